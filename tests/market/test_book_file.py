"""Order books as people write them: read strictly, cleared, answered in one form."""

import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.errors import InputError
from commonwatt.market.book_answer import Answer, answer_of, clear_book
from commonwatt.market.book_file import FILE_BYTES_MAX, RULES, BookFile, read_book
from commonwatt.market.book_line import NAME_MAX, BookFileUnusable
from commonwatt.market.orders import ORDER_WH_MAX
from commonwatt.market.preference import NONE, PARTNERS_MAX
from commonwatt.quantity import Currency
from effort import effort

Document = dict[str, object]


def buy(ident: str, participant: str, wh: int, price: str | None, **more: object) -> Document:
    order = {"id": ident, "side": "buy", "participant": participant, "energy_wh": wh, **more}
    return order if price is None else {**order, "price": price}


def sell(ident: str, participant: str, wh: int, price: str | None, **more: object) -> Document:
    return {**buy(ident, participant, wh, price, **more), "side": "sell"}


HOME = buy("b1", "home", 400, "0.22")
SHOP = buy("b2", "shop", 300, "0.19")
ROOF = sell("s1", "roof", 500, "0.10")
BARN = sell("s2", "barn", 600, "0.16")
STREET = [HOME, SHOP, ROOF, BARN]


def read(orders: list[Document], **terms: object) -> BookFile:
    return read_book(json.dumps({**terms, "orders": orders}).encode())


def cleared(orders: list[Document], **terms: object) -> Answer:
    return answer_of(clear_book(read(orders, **terms)))


# What is read


def test_the_form_of_the_documentation_is_read_in_full() -> None:
    text = b"""{"rule": "uniform_price", "price_rule": "midpoint", "split": "1/2",
      "allow_self_trade": false, "orders": [
      {"id": "b1", "side": "buy", "participant": "A", "energy_wh": 10000, "price": "0.30",
       "partners": ["C"], "quality": "green", "premium": "0.02", "takes_rest": true},
      {"id": "s1", "side": "sell", "participant": "C", "energy_wh": 4000, "price": "0.1",
       "quality": "green", "place": "Mill Lane 3"}]}"""
    file = read_book(text)
    assert file.participants == ("A", "C")
    assert file.wishes is not None
    assert file.wishes.partners == ((1,),)
    assert file.wishes.premium.tolist() == [2_000]
    assert file.wishes.buy_quality.tolist() == file.wishes.sell_quality.tolist() == [0]
    assert (file.wishes.buy_place.tolist(), file.wishes.sell_place.tolist()) == ([NONE], [0])
    assert file.wishes.takes_rest.tolist() == [True]
    assert answer_of(clear_book(file)).volume_wh == 4_000


def test_rows_stand_in_the_order_of_ids_and_numbers_in_that_of_names() -> None:
    file = read([ROOF, SHOP, BARN, HOME])
    assert (file.buy_ids, file.sell_ids) == (("b1", "b2"), ("s1", "s2"))
    assert file.participants == ("barn", "home", "roof", "shop")
    assert file.book.buy.participant.tolist() == [1, 3]
    assert file.book.sell.price.tolist() == [10_000, 16_000]
    assert file.wishes is None


def test_a_partner_with_nothing_to_sell_leaves_the_others_in_their_turns() -> None:
    choosy = buy("b3", "flat", 100, "0.20", partners=["nobody here", "barn"])
    file = read([*STREET, choosy])
    assert file.wishes is not None
    turns = file.wishes.partners[file.buy_ids.index("b3")]
    assert [file.participants[number] for number in turns] == ["nobody here", "barn"]


def test_a_bid_without_a_price_takes_what_is_offered_and_counts_for_no_gain() -> None:
    orders = [buy("b1", "home", 400, None), SHOP, ROOF, BARN]
    answer = cleared(orders, rule="pay_as_offer")
    [paid] = [trade for trade in answer.trades if trade.buy == "b1"]
    assert (paid.sell, paid.price) == ("s1", "0.10000")
    # The shop alone gains: 100 Wh from the roof, 200 Wh from the barn.
    currency = Currency()
    gain = currency.price("0.09") * 100 + currency.price("0.03") * 200
    assert answer.gain == currency.amount_text(gain)


def test_a_dearest_bid_and_a_largest_order_are_read() -> None:
    largest = sell("s3", "plant", ORDER_WH_MAX, "0.00001")
    answer = cleared([buy("b3", "works", 1, "10000"), largest])
    assert answer.price == "5000.00000"
    assert answer.rounded_down


# What is refused


def orders_with(**changes: object) -> Callable[[], Document]:
    return lambda: {"orders": [{**HOME, **changes}, ROOF]}


def offers_with(**changes: object) -> Callable[[], Document]:
    return lambda: {"orders": [HOME, {**ROOF, **changes}]}


def terms_with(**changes: object) -> Callable[[], Document]:
    return lambda: {**changes, "orders": STREET}


REFUSED: dict[str, tuple[Callable[[], Document], list[str]]] = {
    "no orders": (lambda: {"orders": []}, ["no orders"]),
    "nothing": (dict, ["orders"]),
    "no offers": (lambda: {"orders": [HOME, SHOP]}, ["no sell orders"]),
    "no bids": (lambda: {"orders": [ROOF]}, ["no buy orders"]),
    "no energy": (orders_with(energy_wh=0), ["'b1'", "energy_wh of 0"]),
    "negative energy": (offers_with(energy_wh=-5), ["'s1'", "energy_wh of -5"]),
    "too much energy": (orders_with(energy_wh=ORDER_WH_MAX + 1), ["'b1'", str(ORDER_WH_MAX)]),
    "energy beyond 64 bits": (orders_with(energy_wh=2**63), ["'b1'", "2^63"]),
    "energy of many digits": (orders_with(energy_wh=10**4_000), ["'b1'", "2^63"]),
    "a float": (orders_with(energy_wh=400.0), ["energy_wh", "`float`", "whole Wh"]),
    "a text for a number": (orders_with(energy_wh="400"), ["energy_wh", "`str`"]),
    "yes for a number": (orders_with(energy_wh=True), ["energy_wh", "`bool`"]),
    "a number for a price": (orders_with(price=0.3), ["price", "`float`", "texts"]),
    "six decimals": (orders_with(price="0.123456"), ["'b1', price", "5 decimals"]),
    "a negative price": (offers_with(price="-0.1"), ["'s1', price", "-0.1"]),
    "no number": (offers_with(price="NaN"), ["'s1', price", "NaN"]),
    "no end": (orders_with(price="Infinity"), ["'b1', price", "Infinity"]),
    "an exponent without end": (orders_with(price="1e999999999"), ["'b1', price"]),
    "too dear": (orders_with(price="10000.00001"), ["'b1', price", "10000"]),
    "no limit to buy at": (orders_with(price=None), ["'b1'", "pay_as_offer"]),
    "no limit to sell at": (offers_with(price=None), ["'s1'", "no price"]),
    "a third side": (orders_with(side="hold"), ["'b1'", "'hold'", "buy or sell"]),
    "a word too many": (orders_with(colour="blue"), ["colour"]),
    "a field above": (terms_with(currency="EUR"), ["currency"]),
    "two of one id": (lambda: {"orders": [*STREET, HOME]}, ["'b1'", "two orders"]),
    "one id on both sides": (offers_with(id="b1"), ["'b1'", "two orders"]),
    "no id": (orders_with(id=""), ["orders[0]", "id"]),
    "a long id": (offers_with(id="x" * (NAME_MAX + 1)), ["orders[1]", str(NAME_MAX)]),
    "an id of two lines": (orders_with(id="b\n1"), ["orders[0]", r"'b\n1'"]),
    "nobody's": (orders_with(participant=" "), ["'b1'", "participant"]),
    "no such rule": (terms_with(rule="barter"), ["'barter'", *RULES]),
    "no such price rule": (terms_with(price_rule="fair"), ["'fair'", "last_accepted_offer"]),
    "price rule of others": (
        terms_with(rule="pay_as_bid", price_rule="marginal_order"), ["price_rule", "pay_as_bid"],
    ),
    "a split of one price": (terms_with(split="1/3"), ["split", "uniform_price"]),
    "a split of the seller's": (terms_with(rule="pay_as_offer", split="1"), ["split"]),
    "a split above 1": (terms_with(rule="pay_as_bid", split="3/2"), ["3/2"]),
    "a split below 0": (terms_with(rule="pay_as_bid", split="-1/2"), ["-1/2"]),
    "a split by nothing": (terms_with(rule="pay_as_bid", split="1/0"), ["1/0"]),
    "a split in words": (terms_with(rule="pay_as_bid", split="half"), ["'half'", "1/2"]),
    "a split without end": (terms_with(rule="pay_as_bid", split="1e-99999999"), ["split"]),
    "a split as a number": (terms_with(rule="pay_as_bid", split=0.5), ["split", "`float`"]),
    "a maybe": (terms_with(allow_self_trade="no"), ["allow_self_trade"]),
    "an own partner": (orders_with(partners=["home"]), ["'b1'", "itself"]),
    "a partner twice": (orders_with(partners=["roof", "roof"]), ["'b1'", "twice"]),
    "a nameless partner": (orders_with(partners=[""]), ["'b1'", "partner"]),
    "a crowd of partners": (
        orders_with(partners=[f"p{n}" for n in range(PARTNERS_MAX + 1)]), ["'b1'", "partners"],
    ),
    "partners of an offer": (offers_with(partners=["home"]), ["'s1'", "partners"]),
    "premium of an offer": (offers_with(premium="0.1"), ["'s1'", "premium"]),
    "rest of an offer": (offers_with(takes_rest=True), ["'s1'", "takes_rest"]),
    "a third quality": (orders_with(quality="grey"), ["'b1'", "'grey'", "green or local"]),
    "a premium for nothing": (orders_with(premium="0.01"), ["'b1'", "premium"]),
    "a premium in fractions": (
        orders_with(quality="green", premium="0.000001"), ["'b1', premium", "5 decimals"],
    ),
    "an empty premium": (orders_with(quality="green", premium=""), ["'b1', premium"]),
    "a premium above all": (
        orders_with(quality="green", price="9999", premium="2"), ["'b1'", "together"],
    ),
    "a premium on no limit": (
        lambda: {
            "rule": "pay_as_offer",
            "orders": [buy("b1", "home", 1, None, quality="green", premium="0.1"), ROOF],
        },
        ["'b1'", "premium"],
    ),
    "neither choice nor rest": (orders_with(takes_rest=False), ["'b1'", "takes_rest"]),
    "a house without a name": (offers_with(place="\t"), ["'s1'", "place"]),
    "truth of two orders": (
        lambda: {"rule": "truthful", "orders": [*STREET, buy("b3", "roof", 1, "0.3")]},
        ["'b3'", "'s1'", "'roof'"],
    ),
    "truth with a choice": (
        lambda: {"rule": "truthful", "orders": [{**HOME, "partners": ["roof"]}, ROOF]},
        ["'b1'", "partners"],
    ),
    "truth with oneself": (
        terms_with(rule="truthful", allow_self_trade=True), ["allow_self_trade"],
    ),
    "a list for a book": (lambda: [HOME, ROOF], ["array"]),
    "worth too much": (
        lambda: {
            "orders": [
                HOME, *(sell(f"s{n}", f"p{n}", ORDER_WH_MAX, "10000") for n in range(10)),
            ]
        },
        ["sell orders", "2^63"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_what_no_auction_can_use_is_refused_in_one_line_with_its_name(fault: str) -> None:
    document, words = REFUSED[fault]
    with pytest.raises(InputError) as refusal:
        read_book(json.dumps(document()).encode())
    message = str(refusal.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 400
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b'{"orders": [{"energy_wh": NaN}]}',
        b'{"orders": [{"energy_wh": 1' + b"0" * 5_000 + b"}]}",
        b"[" * 100_000,
        b'{"or\\nders": []}',
        b'{"orders": []} and more',
    ],
)
def test_what_is_no_json_of_a_book_is_refused_in_one_line(text: bytes) -> None:
    with pytest.raises(BookFileUnusable) as refusal:
        read_book(text)
    assert len(str(refusal.value).splitlines()) == 1


def test_a_file_too_long_and_orders_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BookFileUnusable, match="longer than"):
        read_book(bytes(FILE_BYTES_MAX + 1))
    monkeypatch.setattr("commonwatt.market.book_file.FILE_ORDERS_MAX", 3)
    with pytest.raises(BookFileUnusable, match="4 orders: use at most 3"):
        read(STREET)


def test_terms_that_say_the_usual_are_taken_under_every_rule() -> None:
    usual = {"price_rule": "midpoint", "split": "1/2", "allow_self_trade": False}
    for rule in RULES:
        assert cleared(STREET, rule=rule, **usual) == cleared(STREET, rule=rule)


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("1", 1), ("0.25", Fraction(1, 4))])
def test_a_split_is_a_fraction_or_a_decimal(text: str, value: Fraction) -> None:
    file = read(STREET, rule="pay_as_bid", split=text)
    assert file.terms is not None
    assert file.terms.split == value


def test_preferred_trades_have_a_split_under_one_price_too() -> None:
    choosy = [{**HOME, "partners": ["barn"]}, SHOP, ROOF, BARN]
    answer = cleared(choosy, split="1")
    assert answer.split == "1"
    [own] = [trade for trade in answer.trades if trade.buy == "b1"]
    assert (own.sell, own.price) == ("s2", "0.22000")


# What is answered


def test_the_answer_has_the_fields_of_the_documentation() -> None:
    answer = json.loads(msgspec.json.encode(cleared(STREET)))
    assert answer == {
        "rule": "uniform_price",
        "price_rule": "midpoint",
        "split": None,
        "allow_self_trade": False,
        "price": "0.17500",
        "rounded_down": False,
        "volume_wh": 700,
        "gain": "0.06300000",
        "trades": [
            {"buy": "b1", "sell": "s1", "energy_wh": 400, "price": "0.17500",
             "amount": "0.07000000"},
            {"buy": "b2", "sell": "s1", "energy_wh": 100, "price": "0.17500",
             "amount": "0.01750000"},
            {"buy": "b2", "sell": "s2", "energy_wh": 200, "price": "0.17500",
             "amount": "0.03500000"},
        ],
        "filled_wh": {"b1": 400, "b2": 300, "s1": 500, "s2": 200},
        "open_wh": {"b1": 0, "b2": 0, "s1": 0, "s2": 400},
    }  # fmt: skip


def test_only_the_truthful_auction_has_two_prices_and_what_lies_between() -> None:
    orders = [*STREET, buy("b9", "mill", 300, "0.30"), sell("s9", "dam", 300, "0.04")]
    answer = json.loads(msgspec.json.encode(cleared(orders, rule="truthful")))
    assert answer["price"] is answer["split"] is answer["price_rule"] is None
    assert (answer["buy_price"], answer["sell_price"]) == ("0.19000", "0.16000")
    assert Decimal(answer["surplus"]) == Decimal("0.03") * answer["volume_wh"] / 1_000
    nothing = cleared([HOME, ROOF], rule="truthful")
    assert (nothing.buy_price, nothing.sell_price, nothing.trades) == (None, None, [])


def test_orders_that_do_not_meet_are_an_answer_too() -> None:
    answer = cleared([buy("b1", "home", 400, "0.05"), ROOF])
    assert (answer.price, answer.volume_wh, answer.gain, answer.trades) == (
        None, 0, "0.00000000", [],
    )  # fmt: skip
    assert answer.open_wh == {"b1": 400, "s1": 500}


names = st.sampled_from(["home", "shop", "roof", "barn", "mill"])
prices = st.integers(0, 8).map(lambda cents: f"0.{cents:02d}")


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Books under any rule, with wishes here and there."""
    rule = draw(st.sampled_from(RULES))
    plain = rule == "truthful"
    orders = []
    for number in range(draw(st.integers(2, 10))):
        participant = f"p{number}" if plain else draw(names)
        side = ("buy", "sell")[number] if number < 2 else draw(st.sampled_from(["buy", "sell"]))
        order: Document = {
            "id": f"o{number}",
            "side": side,
            "participant": participant,
            "energy_wh": draw(st.integers(1, 9)),
            "price": draw(prices),
        }
        if not plain and draw(st.booleans()):
            order["quality"] = draw(st.sampled_from(["green", "local"]))
            order["place"] = draw(st.sampled_from(["Mill Lane 3", "Mill Lane 5"]))
            if side == "buy":
                others = names.filter(lambda name, own=participant: name != own)
                order["partners"] = draw(st.lists(others, max_size=2, unique=True))
                order["premium"] = draw(prices)
                order["takes_rest"] = draw(st.booleans())
        if rule == "pay_as_offer" and side == "buy" and draw(st.booleans()):
            order.pop("price")
            order.pop("premium", None)
        orders.append(order)
    document: Document = {"rule": rule, "orders": orders}
    if not plain:
        document["allow_self_trade"] = draw(st.booleans())
    return document


@effort(2)
@given(documents(), st.randoms(use_true_random=False))
def test_the_same_orders_in_any_order_give_the_same_bytes(
    document: Document, chance: Random
) -> None:
    def answered(orders: list[Document]) -> bytes:
        text = json.dumps({**document, "orders": orders}).encode()
        return msgspec.json.encode(answer_of(clear_book(read_book(text))))

    orders = list(document["orders"])
    before = answered(orders)
    chance.shuffle(orders)
    assert answered([dict(sorted(order.items(), reverse=True)) for order in orders]) == before


@effort(2)
@given(documents())
def test_an_answer_adds_up_to_the_orders(document: Document) -> None:
    orders = {order["id"]: order for order in document["orders"]}
    answer = answer_of(clear_book(read_book(json.dumps(document).encode())))
    served = dict.fromkeys(orders, 0)
    for trade in answer.trades:
        assert trade.energy_wh > 0
        served[trade.buy] += trade.energy_wh
        served[trade.sell] += trade.energy_wh
        assert Decimal(trade.amount) * 1_000 == Decimal(trade.price) * trade.energy_wh
        assert (orders[trade.buy]["side"], orders[trade.sell]["side"]) == ("buy", "sell")
    assert answer.filled_wh == served
    for ident, order in orders.items():
        assert answer.filled_wh[ident] + answer.open_wh[ident] == order["energy_wh"]
    assert list(answer.filled_wh) == list(answer.open_wh) == sorted(orders)
    assert answer.volume_wh == sum(trade.energy_wh for trade in answer.trades)
    assert Decimal(answer.gain) >= 0

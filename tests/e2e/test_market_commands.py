"""The market without meters or a chain: books, pools and prices in files."""

import json
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from commandline import Answer, commonwatt

BOOK = {
    "orders": [
        {"id": "b1", "side": "buy", "participant": "home", "energy_wh": 400, "price": "0.22"},
        {"id": "b2", "side": "buy", "participant": "shop", "energy_wh": 300, "price": "0.19"},
        {"id": "b3", "side": "buy", "participant": "flat", "energy_wh": 500, "price": "0.12"},
        {"id": "s1", "side": "sell", "participant": "roof", "energy_wh": 500, "price": "0.10"},
        {"id": "s2", "side": "sell", "participant": "barn", "energy_wh": 600, "price": "0.16"},
    ]
}
ISSUE = {
    "rule": "uniform_price",
    "price_rule": "midpoint",
    "split": "1/2",
    "allow_self_trade": False,
    "orders": [
        {
            "id": "b1", "side": "buy", "participant": "A", "energy_wh": 10_000, "price": "0.30",
            "partners": ["C"], "quality": "green", "premium": "0.02", "takes_rest": True,
        },
        {
            "id": "s1", "side": "sell", "participant": "C", "energy_wh": 4_000, "price": "0.20",
            "quality": "green", "place": "Mill Lane 3",
        },
    ],
}  # fmt: skip
POOL = {
    "key": "dynamic",
    "plant_wh": 600,
    "members": [
        {"id": "a", "produced_wh": 0, "used_wh": 200, "participation_percent": 100},
        {"id": "b", "produced_wh": 100, "used_wh": 500},
    ],
}
COMMUNITY = {
    "rule": "mid_market_rate", "retail": "0.30", "feed_in": "0.08",
    "produced_wh": 10_000, "used_wh": 4_000,
}  # fmt: skip


def file_of(folder: Path, document: object) -> Path:
    path = folder / "input.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def assert_one_line(answer: Answer, *words: str) -> None:
    assert (answer.code, answer.out) == (2, ""), answer
    [line] = answer.err.splitlines()
    assert line.startswith("commonwatt: ")
    for word in words:
        assert word in line, line


# What they answer


def test_a_book_is_cleared_for_people_and_for_programs(tmp_path: Path) -> None:
    book = file_of(tmp_path, BOOK)
    told = commonwatt("market", "clear", book)
    assert told.code == 0, told.err
    for words in ("uniform_price, price rule midpoint", "0.17500 EUR per kWh", "0.700 kWh in 3"):
        assert words in told.out
    assert "0.06300000 EUR" in told.out
    answer = commonwatt("market", "clear", book, "--json").json
    assert (answer["price"], answer["volume_wh"], answer["gain"]) == ("0.17500", 700, "0.06300000")
    assert answer["open_wh"] == {"b1": 0, "b2": 0, "b3": 500, "s1": 0, "s2": 400}
    paid = sum(Decimal(trade["amount"]) for trade in answer["trades"])
    assert paid == Decimal("0.175") * 700 / 1_000


def test_the_same_book_in_any_order_gives_the_same_bytes(tmp_path: Path) -> None:
    chance = Random(11)
    orders = [
        {
            "id": f"o{number}",
            "side": chance.choice(["buy", "sell"]),
            "participant": f"p{chance.randrange(90)}",
            "energy_wh": chance.randrange(1, 3_000),
            "price": f"0.{chance.randrange(5, 35):02d}",
        }
        for number in range(300)
    ]
    said = set()
    for rule in ("uniform_price", "pay_as_bid"):
        for _ in range(2):
            chance.shuffle(orders)
            book = file_of(tmp_path, {"rule": rule, "orders": orders})
            said.add(commonwatt("market", "clear", book, "--json").out)
    assert len(said) == 2
    assert all(json.loads(text)["volume_wh"] > 0 for text in said)


def test_a_long_table_is_cut_and_says_so(tmp_path: Path) -> None:
    orders = [
        {"id": f"{side}{n:03d}", "side": side, "participant": f"{side}{n}", "energy_wh": 100 + n,
         "price": price}
        for n in range(60)
        for side, price in (("buy", "0.2"), ("sell", "0.1"))
    ]  # fmt: skip
    told = commonwatt("market", "clear", file_of(tmp_path, {"orders": orders})).out
    assert "... and 20 more, all with --json" in told
    assert len(told.splitlines()) < 60


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"rule": "pay_as_bid", "split": "1/3"}, ["split 1/3", "each trade has its own", "down"]),
        ({"rule": "pay_as_offer"}, ["pay_as_offer", "each trade has its own"]),
        ({"price_rule": "last_accepted_offer"}, ["last_accepted_offer", "0.16000"]),
        ({"rule": "truthful"}, ["buyers pay", "surplus"]),
        ({"allow_self_trade": True}, ["own trades allowed"]),
    ],
)
def test_the_rule_and_its_parameters_are_said(
    tmp_path: Path, terms: dict[str, object], words: list[str]
) -> None:
    orders = [*BOOK["orders"], {**BOOK["orders"][0], "id": "b9", "participant": "mill"}]
    orders[0] = {**orders[0], "price": "0.22001"}
    told = commonwatt("market", "clear", file_of(tmp_path, {**terms, "orders": orders}))
    assert told.code == 0, told.err
    for word in words:
        assert word in told.out


def test_the_form_that_is_documented_is_taken_with_all_its_wishes(tmp_path: Path) -> None:
    told = commonwatt("market", "clear", file_of(tmp_path, ISSUE))
    assert "4.000 kWh in 1 trade, 1 of them preferred" in told.out
    answer = commonwatt("market", "clear", file_of(tmp_path, ISSUE), "--json").json
    # A partner comes before quality, and pays no premium: midway between 0.20 and 0.30.
    [trade] = answer["trades"]
    assert (trade["price"], trade["amount"]) == ("0.25000", "1.00000000")


def test_orders_that_do_not_meet_are_told_without_an_error(tmp_path: Path) -> None:
    low = {**BOOK["orders"][0], "price": "0.05"}
    told = commonwatt("market", "clear", file_of(tmp_path, {"orders": [low, BOOK["orders"][3]]}))
    assert told.code == 0
    assert "nothing" in told.out


def test_a_picture_is_written_and_never_over_the_book(tmp_path: Path) -> None:
    book, picture = file_of(tmp_path, BOOK), tmp_path / "book.svg"
    drawn = commonwatt("market", "show", book, "--svg", picture)
    assert drawn.code == 0, drawn.err
    assert str(picture) in drawn.out
    assert picture.read_text().startswith("<svg")
    assert "0.175 EUR per kWh" in picture.read_text()
    assert_one_line(commonwatt("market", "show", book, "--svg", book), "the book itself")
    assert json.loads(book.read_text()) == BOOK
    nowhere = tmp_path / "no" / "book.svg"
    assert_one_line(commonwatt("market", "show", book, "--svg", nowhere), str(nowhere))


def test_a_pool_is_shared_for_people_and_for_programs(tmp_path: Path) -> None:
    pool = file_of(tmp_path, POOL)
    told = commonwatt("market", "share", pool)
    assert told.code == 0, told.err
    assert "dynamic" in told.out
    answer = commonwatt("market", "share", pool, "--json").json
    assert answer["own_use_wh"] == {"a": 0, "b": 100}
    # 600 Wh of the plant over needs of 200 and 400 Wh.
    assert answer["allocated_wh"] == {"a": 200, "b": 400}
    assert answer["surplus_wh"] == 0
    turned = file_of(tmp_path, {**POOL, "members": POOL["members"][::-1]})
    assert commonwatt("market", "share", turned, "--json").json == answer


def test_a_community_price_is_found_for_people_and_for_programs(tmp_path: Path) -> None:
    community = file_of(tmp_path, COMMUNITY)
    told = commonwatt("market", "price", community)
    assert told.code == 0, told.err
    answer = commonwatt("market", "price", community, "--json").json
    # (4 kWh at 0.19 and 6 kWh at 0.08) over 10 kWh.
    assert (answer["buy"], answer["sell"]) == ("0.19000", "0.12400")
    for price in ("0.19000", "0.12400"):
        assert price in told.out


# What they refuse


def first_order(**changes: object) -> dict[str, object]:
    return {**BOOK, "orders": [{**BOOK["orders"][0], **changes}, *BOOK["orders"][1:]]}


def first_member(**changes: object) -> dict[str, object]:
    return {**POOL, "members": [{**POOL["members"][0], **changes}, POOL["members"][1]]}


def nan(document: dict[str, object], number: object) -> str:
    """The document with NaN, which is no JSON, where a number stands."""
    text = json.dumps(document)
    assert str(number) in text
    return text.replace(str(number), "NaN", 1)


SHARED = {"key": "static", "plant_wh": 600}
BAD_BOOKS: dict[str, tuple[object, list[str]]] = {
    "an empty file": ("", ["input.json"]),
    "an empty book": ({"orders": []}, ["no orders"]),
    "no offers": ({"orders": BOOK["orders"][:3]}, ["no sell orders"]),
    "no bids": ({"orders": BOOK["orders"][3:]}, ["no buy orders"]),
    "nothing to buy": (first_order(energy_wh=0), ["'b1'", "energy_wh of 0"]),
    "less than nothing": (first_order(energy_wh=-1), ["'b1'", "-1"]),
    "energy beyond 2^63": (first_order(energy_wh=2**63), ["'b1'", "2^63"]),
    "amounts beyond 2^63": (
        {"orders": [
            {"id": f"{side}{n}", "side": side, "participant": f"{side}{n}", "energy_wh": 10**9,
             "price": "9999"}
            for side in ("buy", "sell") for n in range(10)
        ]},
        ["2^63"],
    ),
    "a rule nobody knows": ({**BOOK, "rule": "barter"}, ["'barter'", "uniform_price", "truthful"]),
    "a price rule nobody knows": ({**BOOK, "price_rule": "fair"}, ["'fair'", "midpoint"]),
    "one id twice": (first_order(id="b2"), ["'b2'", "two orders"]),
    "NaN for energy": (nan(BOOK, 400), ["not JSON"]),
    "NaN for a price": (first_order(price="NaN"), ["'b1'", "NaN"]),
    "a float for energy": (first_order(energy_wh=400.0), ["energy_wh", "float"]),
    "a float for a price": (first_order(price=0.22), ["price", "float"]),
    "a price too fine": (first_order(price="0.220001"), ["'b1'", "5 decimals"]),
    "a negative price": (first_order(price="-0.22"), ["'b1'", "-0.22"]),
    "a split above 1": ({**BOOK, "rule": "pay_as_bid", "split": "2"}, ["split of 2"]),
    "itself for a partner": (first_order(partners=["home"]), ["'b1'", "itself"]),
    "a word too many": (first_order(energy_kwh=1), ["energy_kwh"]),
}  # fmt: skip
BAD_POOLS: dict[str, tuple[object, list[str]]] = {
    "an empty file": ("", ["input.json"]),
    "no members": ({**POOL, "members": []}, ["members"]),
    "a key nobody knows": ({**POOL, "key": "fair"}, ["'fair'", "dynamic"]),
    "one id twice": (first_member(id="b"), ["'b'"]),
    "negative use": (first_member(used_wh=-1), ["used_wh"]),
    "use beyond 2^63": (first_member(used_wh=2**63), ["used_wh"]),
    "NaN for use": (nan(POOL, 200), ["not JSON"]),
    "a float for use": (first_member(used_wh=200.0), ["used_wh", "float"]),
    "a share above 1": (
        {**SHARED, "members": [{"id": "a", "used_wh": 1, "share": "1.5"}]}, ["'a'", "1.5"],
    ),
    "shares above 1": (
        {**SHARED, "members": [
            {"id": "a", "used_wh": 1, "share": "0.6"}, {"id": "b", "used_wh": 1, "share": "0.5"},
        ]},
        ["1.1"],
    ),
    "a share that is none": (
        {**SHARED, "members": [{"id": "a", "used_wh": 1, "share": "NaN"}]}, ["'a'", "NaN"],
    ),
    "taking part above 100 %": (first_member(participation_percent=101), ["participation_percent"]),
    "taking part above 100 % in all": (
        first_member(participation_percent=60, elsewhere_percent=[30, 20]), ["'a'", "110 %"],
    ),
}  # fmt: skip
BAD_COMMUNITIES: dict[str, tuple[object, list[str]]] = {
    "an empty file": ("", ["input.json"]),
    "a rule nobody knows": ({**COMMUNITY, "rule": "fair"}, ["'fair'", "mid_market_rate"]),
    "negative use": ({**COMMUNITY, "used_wh": -1}, ["used_wh"]),
    "a float for use": ({**COMMUNITY, "used_wh": 4_000.0}, ["used_wh", "float"]),
    "NaN for a price": ({**COMMUNITY, "retail": "NaN"}, ["NaN"]),
    "a float for a price": ({**COMMUNITY, "retail": 0.3}, ["retail", "float"]),
    "use beyond 2^63": ({**COMMUNITY, "used_wh": 2**63}, ["2^63"]),
}


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        *(("clear", fault) for fault in BAD_BOOKS),
        *(("share", fault) for fault in BAD_POOLS),
        *(("price", fault) for fault in BAD_COMMUNITIES),
    ],
)
def test_bad_input_gives_one_clear_line(tmp_path: Path, command: str, fault: str) -> None:
    faults = {"clear": BAD_BOOKS, "share": BAD_POOLS, "price": BAD_COMMUNITIES}[command]
    document, words = faults[fault]
    path = file_of(tmp_path, document)
    assert_one_line(commonwatt("market", command, path, "--json"), str(path), *words)


@pytest.mark.parametrize("command", ["clear", "share", "price", "show"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, command: str) -> None:
    more = ("--svg", tmp_path / "book.svg") if command == "show" else ()
    for path in (tmp_path, tmp_path / "nowhere.json"):
        assert_one_line(commonwatt("market", command, path, *more), str(path))


def test_a_book_that_cannot_be_drawn_leaves_no_picture(tmp_path: Path) -> None:
    book, picture = file_of(tmp_path, {"orders": []}), tmp_path / "book.svg"
    assert_one_line(commonwatt("market", "show", book, "--svg", picture), "no orders")
    assert not picture.exists()

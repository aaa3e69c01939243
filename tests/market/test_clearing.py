"""Every rule and key, against what any market must do."""

from collections.abc import Callable, Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.errors import InputError, InvariantBroken
from commonwatt.market import clearing as clearing_module
from commonwatt.market.book import Book, Clearing, Limits, LimitsUnusable, Tariff, Trade
from commonwatt.market.catalogue import (
    AUCTIONED,
    CONTRACT,
    PREFERENCE,
    RULES,
    RuleUnknown,
    rule_named,
)
from commonwatt.market.charter import charter_of
from commonwatt.market.clearing import clear
from commonwatt.market.keys import KEYS
from effort import effort
from markets import (
    CHOICES,
    EURO,
    FULL,
    NOON,
    PRICED,
    SYMMETRIC,
    Choice,
    book_for,
    plain_markets,
    prices,
    tariffs,
)

TARIFF = Tariff(24_000, 8_000, 3_000, 8_000)
DYNAMIC = tuple(Choice(rule, "dynamic") for rule in PRICED)


def bought(clearing: Clearing, members: int) -> list[int]:
    return [sum(t.wh for t in clearing.trades if t.buyer == member) for member in range(members)]


def sold(clearing: Clearing, members: int) -> list[int]:
    return [sum(t.wh for t in clearing.trades if t.seller == member) for member in range(members)]


def test_every_rule_and_key_is_among_these() -> None:
    assert {choice.rule for choice in CHOICES} == set(RULES)
    assert {choice.key for choice in CHOICES} - {None} == set(KEYS)
    assert len(CHOICES) == len(AUCTIONED) + len(PRICED) * len(KEYS) == 3 + 4 * 8


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@given(data=st.data())
@effort(0.4)
def test_nobody_trades_beyond_need_offer_purse_or_limit(
    choice: Choice, data: st.DataObject
) -> None:
    charter, book, tariff = data.draw(plain_markets((choice,)))
    clearing = clear(charter, book, tariff, NOON)
    members = len(book.need_wh)
    assert clearing.rule == choice.rule
    for member in range(members):
        assert bought(clearing, members)[member] <= book.need_wh[member]
        assert sold(clearing, members)[member] <= book.offer_wh[member]
        spent = sum(t.wh * (t.price + t.fee) for t in clearing.trades if t.buyer == member)
        assert spent <= book.purse[member]
    for trade in clearing.trades:
        assert trade.wh > 0
        assert trade.seller != trade.buyer
        assert (trade.fee, trade.rule) == (tariff.fee_local, RULES[choice.rule].number)
        if book.limits:
            assert book.limits[trade.seller].ask <= trade.price <= book.limits[trade.buyer].bid


@given(plain_markets())
@effort(4)
def test_what_is_bought_is_sold_and_trades_stand_in_order(market) -> None:
    charter, book, tariff = market
    clearing = clear(charter, book, tariff, NOON)
    members = len(book.need_wh)
    assert sum(bought(clearing, members)) == sum(sold(clearing, members))
    assert list(clearing.trades) == sorted(clearing.trades)
    alike = [trade._replace(wh=0) for trade in clearing.trades]
    assert len(set(alike)) == len(alike)


@given(plain_markets())
@effort(2)
def test_the_price_of_an_interval_is_what_a_watt_hour_cost_on_average(market) -> None:
    charter, book, tariff = market
    clearing = clear(charter, book, tariff, NOON)
    if not clearing.trades:
        assert clearing.price == 0
        return
    moved = sum(trade.wh for trade in clearing.trades)
    mean = Fraction(sum(trade.wh * trade.price for trade in clearing.trades), moved)
    assert clearing.price <= mean < clearing.price + 1
    if charter.rule_name not in ("pay_as_bid", "pay_as_offer"):
        assert {trade.price for trade in clearing.trades} == {clearing.price}


@given(plain_markets(SYMMETRIC), st.randoms(use_true_random=False))
@effort(4)
def test_names_decide_nothing_but_the_last_watt_hour_of_a_tie(market, chance) -> None:
    charter, book, tariff = market
    members = len(book.need_wh)
    order = list(range(members))
    chance.shuffle(order)
    renamed = Book(
        tuple(book.need_wh[member] for member in order),
        tuple(book.offer_wh[member] for member in order),
        tuple(book.purse[member] for member in order),
        tuple(book.limits[member] for member in order) if book.limits else (),
    )
    before, after = (clear(charter, named, tariff, NOON) for named in (book, renamed))
    assert after.price == before.price
    for count in (bought, sold):
        then, now = count(before, members), count(after, members)
        assert sum(then) == sum(now)
        for place, member in enumerate(order):
            assert abs(now[place] - then[member]) <= 1


ALIKE_TO_ALL = tuple(choice for choice in CHOICES if choice.key != "pairs")


@given(plain_markets(ALIKE_TO_ALL), st.integers(2, 50))
@effort(3)
def test_twins_are_served_alike_to_the_last_watt_hour(market, copies: int) -> None:
    """Members with the same wishes differ by one at most, and the lower index is not behind."""
    charter, book, tariff = market
    twins = Book(
        *(
            tuple(value for value in part for _ in range(copies))
            for part in (book.need_wh, book.offer_wh, book.purse, book.limits)
        )
    )
    choice = Choice(charter.rule_name, charter.key_name)
    clearing = clear(choice.charter(len(twins.need_wh)), twins, tariff, NOON)
    for count in (bought, sold):
        served = count(clearing, len(twins.need_wh))
        for first in range(0, len(served), copies):
            alike = served[first : first + copies]
            assert alike == sorted(alike, reverse=True)
            assert alike[0] - alike[-1] <= 1


@given(st.sampled_from(PRICED), st.data(), tariffs())
@effort(2)
def test_at_any_community_price_the_short_side_is_served_in_full(rule, data, tariff) -> None:
    choice = Choice(rule, "dynamic")
    book = data.draw(book_for(choice, purse=st.just(FULL)))
    members = len(book.need_wh)
    clearing = clear(choice.charter(members), book, tariff, NOON)
    assert sum(bought(clearing, members)) == min(sum(book.need_wh), sum(book.offer_wh))
    if sum(book.need_wh) <= sum(book.offer_wh):
        assert tuple(bought(clearing, members)) == book.need_wh
    else:
        assert tuple(sold(clearing, members)) == book.offer_wh


@given(plain_markets(DYNAMIC))
@effort(2)
def test_the_long_side_shares_in_proportion(market) -> None:
    charter, book, tariff = market
    clearing = clear(charter, book, tariff, NOON)
    members = len(book.need_wh)
    unit = plain_price(charter.rule_name, tariff, book) + tariff.fee_local
    wanted = [
        min(need, purse // unit if unit else need)
        for need, purse in zip(book.need_wh, book.purse, strict=True)
    ]
    for wishes, served in (
        (wanted, bought(clearing, members)),
        (book.offer_wh, sold(clearing, members)),
    ):
        for wish, got in zip(wishes, served, strict=True):
            if sum(wishes):
                assert abs(got - Fraction(wish * sum(served), sum(wishes))) < 1
            assert got <= wish


def plain_price(rule: str, tariff: Tariff, book: Book) -> int:
    """A community's price by its paper's formula, rounded down once."""
    made, used = sum(book.offer_wh), sum(book.need_wh)
    if rule == "fixed_price":
        return EURO.price("0.15")
    if rule == "bill_sharing":
        return 0
    if rule == "mid_market_rate":
        return int(Fraction(tariff.retail + tariff.feed_in, 2))
    if made > used:
        return tariff.feed_in
    if not made:
        return tariff.retail
    below = (tariff.retail - tariff.feed_in) * Fraction(made, used) + tariff.feed_in
    return int(tariff.retail * tariff.feed_in / below) if below else 0


@given(plain_markets(tuple(choice for choice in CHOICES if choice.key)))
@effort(2)
def test_whatever_the_key_everybody_trades_at_the_communitys_price(market) -> None:
    charter, book, tariff = market
    clearing = clear(charter, book, tariff, NOON)
    expected = {plain_price(charter.rule_name, tariff, book)} if clearing.trades else set()
    assert {trade.price for trade in clearing.trades} == expected


@given(tariffs(), prices, prices)
def test_the_price_of_the_middle_and_of_the_ratio_lies_between_feed_in_and_retail(
    tariff: Tariff, need: int, offer: int
) -> None:
    book = Book((need, 0), (0, offer), (FULL, 0), ())
    for rule in ("mid_market_rate", "supply_demand_ratio"):
        for trade in clear(Choice(rule, None).charter(2), book, tariff, NOON).trades:
            assert tariff.feed_in <= trade.price <= tariff.retail


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_a_community_of_one_trades_nothing(choice: Choice) -> None:
    limits = (Limits(9, 9),) if choice.key is None else ()
    book = Book((10,), (0,), (FULL,), limits)
    clearing = clear(choice.charter(1), book, TARIFF, NOON)
    assert clearing == Clearing(choice.rule, 0, ())


def test_a_rule_nobody_knows_is_refused_with_those_there_are() -> None:
    with pytest.raises(RuleUnknown, match="'barter': use one of mid_market_rate, uniform_price, "):
        rule_named("barter")


def test_rules_keep_their_numbers() -> None:
    assert {name: rule.number for name, rule in RULES.items()} == {
        "mid_market_rate": 1,
        "uniform_price": 2,
        "supply_demand_ratio": 3,
        "fixed_price": 4,
        "bill_sharing": 5,
        "pay_as_bid": 6,
        "pay_as_offer": 7,
    }
    assert (PREFERENCE, CONTRACT) == (100, 101)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_limits_where_none_belong_and_none_where_some_do_are_refused(choice: Choice) -> None:
    limits = () if choice.key is None else (Limits(1, 1), Limits(1, 1))
    book = Book((1, 0), (0, 1), (FULL, FULL), limits)
    with pytest.raises(LimitsUnusable):
        clear(choice.charter(2), book, TARIFF, NOON)


DISHONEST: dict[str, tuple[str, Trade]] = {
    "beyond need": ("_shared", Trade(1, 0, 11, 1, 0, 1)),
    "from who has none": ("_shared", Trade(0, 1, 1, 1, 0, 1)),
    "beyond purse": ("_shared", Trade(1, 0, 1, FULL + 1, 0, 1)),
    "beyond purse by its fee": ("_shared", Trade(1, 0, 1, 0, FULL + 1, 1)),
    "with itself": ("_shared", Trade(0, 0, 1, 1, 0, 1)),
    "above a bid": ("_auctioned", Trade(1, 0, 1, 21, 0, 2)),
    "below an ask": ("_auctioned", Trade(1, 0, 1, 8, 0, 2)),
    "above a bid by preference": ("_auctioned", Trade(1, 0, 1, 21, 0, PREFERENCE)),
}


@pytest.mark.parametrize("what", DISHONEST)
def test_a_rule_is_not_believed_but_checked(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    step, trade = DISHONEST[what]
    dishonest: Callable[..., Sequence[Trade]] = lambda *_: [trade]  # noqa: E731
    monkeypatch.setattr(clearing_module, step, dishonest)
    bids = step == "_auctioned"
    limits = (Limits(20, 9), Limits(20, 9)) if bids else ()
    book = Book((10, 0), (0, 10), (FULL, FULL), limits)
    choice = Choice("uniform_price" if bids else "mid_market_rate", None)
    with pytest.raises(InvariantBroken):
        clear(choice.charter(2), book, TARIFF, NOON)


def test_a_community_of_nobody_has_no_market() -> None:
    with pytest.raises(InputError):
        charter_of(Choice("mid_market_rate", None).settings(), EURO, 0, 900)

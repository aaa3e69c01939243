"""Clearing rules, against what any market must do and against an oracle without their code."""

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from commonwatt.errors import InvariantBroken
from commonwatt.market import rules
from commonwatt.market.book import Book, Clearing, Limits, LimitsUnusable, Tariff, Trade
from commonwatt.market.rules import RULES, Rule, RuleUnknown, clear, rule_named
from effort import effort

prices = st.integers(0, 60_000)
energies = st.one_of(st.just(0), st.integers(0, 30), st.integers(0, 8_000))
purses = st.one_of(st.just(0), st.integers(0, 10**6), st.integers(0, 10**9), st.just(2**40 - 1))
FULL = 2**40 - 1


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    low, high = sorted((draw(prices), draw(prices)))
    fees = st.sampled_from([0, 1, 3_440, 60_000])
    return Tariff(high, low, draw(fees), draw(fees))


@st.composite
def books(
    draw: st.DrawFn, *, limits: bool, purse: st.SearchStrategy[int] = purses, most: int = 12
) -> Book:
    """Each member takes or gives, as net energy is; some neither."""
    size = draw(st.integers(1, most))
    sides = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    sizes = draw(st.lists(energies, min_size=size, max_size=size))
    # Few prices, so that members often share the marginal one.
    price = st.one_of(st.integers(0, 6).map(lambda step: step * 5_000), prices)
    return Book(
        need_wh=tuple(wh if takes else 0 for wh, takes in zip(sizes, sides, strict=True)),
        offer_wh=tuple(0 if takes else wh for wh, takes in zip(sizes, sides, strict=True)),
        purse=tuple(draw(st.lists(purse, min_size=size, max_size=size))),
        limits=tuple(draw(st.lists(st.builds(Limits, price, price), min_size=size, max_size=size)))
        if limits
        else (),
    )


def book_for(rule: str, **options: object) -> st.SearchStrategy[Book]:
    return books(limits=RULES[rule].needs_limits, **options)


@st.composite
def markets(draw: st.DrawFn, **options: object) -> tuple[str, Book, Tariff]:
    rule = draw(st.sampled_from(sorted(RULES)))
    return rule, draw(book_for(rule, **options)), draw(tariffs())


def bought(clearing: Clearing, members: int) -> list[int]:
    return [sum(t.wh for t in clearing.trades if t.buyer == member) for member in range(members)]


def sold(clearing: Clearing, members: int) -> list[int]:
    return [sum(t.wh for t in clearing.trades if t.seller == member) for member in range(members)]


@given(markets())
@effort(2)
def test_nobody_trades_beyond_need_offer_purse_or_limit(market) -> None:
    rule, book, tariff = market
    clearing = clear(rule, book, tariff)
    members = len(book.need_wh)
    assert clearing.rule == rule
    for member in range(members):
        assert bought(clearing, members)[member] <= book.need_wh[member]
        assert sold(clearing, members)[member] <= book.offer_wh[member]
        spent = sum(
            t.wh * (t.price + tariff.fee_local) for t in clearing.trades if t.buyer == member
        )
        assert spent <= book.purse[member]
    for trade in clearing.trades:
        assert trade.wh > 0
        assert trade.seller != trade.buyer
        if book.limits:
            assert book.limits[trade.seller].ask <= trade.price <= book.limits[trade.buyer].bid


@given(markets())
def test_what_is_bought_is_sold_and_at_one_price(market) -> None:
    rule, book, tariff = market
    clearing = clear(rule, book, tariff)
    members = len(book.need_wh)
    assert sum(bought(clearing, members)) == sum(sold(clearing, members))
    assert {trade.price for trade in clearing.trades} <= {clearing.price}
    assert clearing.price == 0 or clearing.trades
    pairs = [(trade.seller, trade.buyer) for trade in clearing.trades]
    assert pairs == sorted(set(pairs))


@given(markets(), st.randoms(use_true_random=False))
@effort(2)
def test_names_decide_nothing_but_the_last_watt_hour_of_a_tie(market, chance) -> None:
    rule, book, tariff = market
    members = len(book.need_wh)
    order = list(range(members))
    chance.shuffle(order)
    renamed = Book(
        tuple(book.need_wh[member] for member in order),
        tuple(book.offer_wh[member] for member in order),
        tuple(book.purse[member] for member in order),
        tuple(book.limits[member] for member in order) if book.limits else (),
    )
    before, after = clear(rule, book, tariff), clear(rule, renamed, tariff)
    assert after.price == before.price
    for count in (bought, sold):
        then, now = count(before, members), count(after, members)
        assert sum(then) == sum(now)
        for place, member in enumerate(order):
            assert abs(now[place] - then[member]) <= 1


@given(markets(), st.integers(2, 50))
def test_twins_are_served_alike_to_the_last_watt_hour(market, copies: int) -> None:
    """Members with the same wishes differ by one at most, and the lower index is not behind."""
    rule, book, tariff = market
    twins = Book(
        *(
            tuple(value for value in part for _ in range(copies))
            for part in (book.need_wh, book.offer_wh, book.purse, book.limits)
        )
    )
    clearing = clear(rule, twins, tariff)
    for count in (bought, sold):
        served = count(clearing, len(twins.need_wh))
        for first in range(0, len(served), copies):
            alike = served[first : first + copies]
            assert alike == sorted(alike, reverse=True)
            assert alike[0] - alike[-1] <= 1


@given(book_for("mid_market_rate", purse=st.just(FULL)), tariffs())
def test_at_the_mid_market_rate_the_short_side_is_served_in_full(book: Book, tariff: Tariff):
    assume(max(book.need_wh) * (tariff.retail + tariff.fee_local) <= FULL)
    clearing = clear("mid_market_rate", book, tariff)
    members = len(book.need_wh)
    volume = min(sum(book.need_wh), sum(book.offer_wh))
    assert sum(bought(clearing, members)) == volume
    if sum(book.need_wh) <= sum(book.offer_wh):
        assert tuple(bought(clearing, members)) == book.need_wh
    else:
        assert tuple(sold(clearing, members)) == book.offer_wh


@given(book_for("mid_market_rate"), tariffs())
def test_the_long_side_shares_in_proportion(book: Book, tariff: Tariff) -> None:
    clearing = clear("mid_market_rate", book, tariff)
    members = len(book.need_wh)
    unit = (tariff.retail + tariff.feed_in) // 2 + tariff.fee_local
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


@given(book_for("mid_market_rate"), tariffs())
def test_the_mid_market_rate_lies_between_feed_in_and_retail(book: Book, tariff: Tariff) -> None:
    clearing = clear("mid_market_rate", book, tariff)
    if clearing.trades:
        assert 2 * clearing.price in (
            tariff.retail + tariff.feed_in,
            tariff.retail + tariff.feed_in - 1,
        )
        assert tariff.feed_in <= clearing.price <= tariff.retail


def affordable_bids(book: Book, tariff: Tariff) -> list[tuple[int, int]]:
    """Each member's bid price and as many Wh as its purse pays for at that price."""
    bids = []
    for need, purse, limit in zip(book.need_wh, book.purse, book.limits, strict=True):
        unit = limit.bid + tariff.fee_local
        bids.append((limit.bid, need if not unit else min(need, purse // unit)))
    return bids


def optimum(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> tuple[int, int]:
    """The largest gain of any matching, and the largest volume with it: Wh by Wh.

    The k-th dearest Wh of demand against the k-th cheapest of supply: no other matching of k Wh
    gains more, and each further pair adds less.
    """
    demand = sorted((price for price, wh in bids for _ in range(wh)), reverse=True)
    supply = sorted(price for price, wh in asks for _ in range(wh))
    pairs = [(bid, ask) for bid, ask in zip(demand, supply, strict=False) if bid >= ask]
    return sum(bid - ask for bid, ask in pairs), len(pairs)


small = st.integers(0, 40)


@st.composite
def small_auctions(draw: st.DrawFn) -> tuple[Book, Tariff]:
    size = draw(st.integers(1, 9))
    each = {"min_size": size, "max_size": size}
    price = st.integers(0, 8)
    book = Book(
        need_wh=tuple(draw(st.lists(small, **each))),
        offer_wh=tuple(draw(st.lists(small, **each))),
        purse=tuple(draw(st.lists(st.integers(0, 300), **each))),
        limits=tuple(draw(st.lists(st.builds(Limits, price, price), **each))),
    )
    # Nobody is on both sides, as own use comes first.
    book = Book(
        tuple(
            0 if offer else need for need, offer in zip(book.need_wh, book.offer_wh, strict=True)
        ),
        book.offer_wh,
        book.purse,
        book.limits,
    )
    return book, Tariff(8, 0, draw(st.integers(0, 2)), 0)


@given(small_auctions())
@effort(4)
def test_no_auction_could_move_more_or_gain_more(auction: tuple[Book, Tariff]) -> None:
    book, tariff = auction
    clearing = clear("uniform_price", book, tariff)
    bids = affordable_bids(book, tariff)
    asks = [(limit.ask, wh) for limit, wh in zip(book.limits, book.offer_wh, strict=True)]
    gain, volume = optimum(bids, asks)
    members = len(book.need_wh)
    assert sum(trade.wh for trade in clearing.trades) == volume
    worth = sum(bid * wh for (bid, _), wh in zip(bids, bought(clearing, members), strict=True))
    cost = sum(ask * wh for (ask, _), wh in zip(asks, sold(clearing, members), strict=True))
    assert worth - cost == gain


@given(small_auctions())
@effort(4)
def test_the_price_lies_midway_between_the_last_bid_and_the_last_offer(auction) -> None:
    book, tariff = auction
    clearing = clear("uniform_price", book, tariff)
    if not clearing.trades:
        return
    last_bid = min(book.limits[trade.buyer].bid for trade in clearing.trades)
    last_ask = max(book.limits[trade.seller].ask for trade in clearing.trades)
    assert last_ask <= clearing.price <= last_bid
    assert clearing.price == (last_bid + last_ask) // 2


@given(small_auctions())
@effort(2)
def test_better_prices_are_served_first_and_equal_ones_share(auction) -> None:
    book, tariff = auction
    clearing = clear("uniform_price", book, tariff)
    members = len(book.need_wh)
    bids = affordable_bids(book, tariff)
    sides = [
        ([(-bid, wh) for bid, wh in bids], bought(clearing, members)),
        (
            [(limit.ask, wh) for limit, wh in zip(book.limits, book.offer_wh, strict=True)],
            sold(clearing, members),
        ),
    ]
    for orders, served in sides:
        full = [rank for (rank, wh), got in zip(orders, served, strict=True) if wh and got == wh]
        part = [rank for (rank, wh), got in zip(orders, served, strict=True) if got < wh]
        some = [rank for (rank, _), got in zip(orders, served, strict=True) if got]
        # Whoever is served at all ranks no worse than anybody who is not served in full.
        assert not part or not some or max(some) <= min(part)
        assert not full or not part or max(full) <= min(part)
        marginal = min(part, default=None)
        level = [
            (wh, got)
            for (rank, wh), got in zip(orders, served, strict=True)
            if rank == marginal and wh
        ]
        for wh, got in level:
            exact = Fraction(wh * sum(got for _, got in level), sum(wh for wh, _ in level))
            assert abs(got - exact) < 1


def test_an_auction_by_hand() -> None:
    book = Book(
        need_wh=(100, 100, 0, 0),
        offer_wh=(0, 0, 120, 50),
        purse=(FULL,) * 4,
        limits=(Limits(20, 0), Limits(12, 0), Limits(0, 8), Limits(0, 13)),
    )
    clearing = clear("uniform_price", book, Tariff(24, 8, 3, 8))
    assert clearing.price == 10
    assert clearing.trades == (Trade(2, 0, 100, 10), Trade(2, 1, 20, 10))


def test_an_auction_where_nobody_agrees_trades_nothing_at_no_price() -> None:
    book = Book((10, 0), (0, 10), (FULL, FULL), (Limits(9, 9), Limits(10, 10)))
    assert clear("uniform_price", book, Tariff(24, 8, 3, 8)) == Clearing("uniform_price", 0, ())


def test_energy_offered_for_nothing_is_traded_for_nothing() -> None:
    book = Book((10, 0), (0, 10), (0, 0), (Limits(0, 0), Limits(0, 0)))
    clearing = clear("uniform_price", book, Tariff(0, 0, 0, 0))
    assert clearing.trades == (Trade(1, 0, 10, 0),)


@pytest.mark.parametrize("rule", RULES)
def test_an_empty_community_trades_nothing(rule: str) -> None:
    assert clear(rule, Book((), (), (), ()), Tariff(1, 0, 0, 0)).trades == ()


def test_a_rule_nobody_knows_is_refused_with_those_there_are() -> None:
    with pytest.raises(RuleUnknown, match="use one of mid_market_rate, uniform_price"):
        rule_named("pay_as_bid")


def test_rules_keep_their_numbers() -> None:
    assert {name: rule.number for name, rule in RULES.items()} == {
        "mid_market_rate": 1,
        "uniform_price": 2,
    }


def test_limits_where_none_belong_are_refused() -> None:
    book = Book((1, 0), (0, 1), (FULL, FULL), (Limits(1, 1), Limits(1, 1)))
    tariff = Tariff(24, 8, 3, 8)
    with pytest.raises(LimitsUnusable):
        clear("mid_market_rate", book, tariff)
    with pytest.raises(LimitsUnusable):
        clear("uniform_price", Book(book.need_wh, book.offer_wh, book.purse, ()), tariff)


@pytest.mark.parametrize(
    "dishonest",
    [
        lambda book, _: Clearing("", 1, (Trade(1, 0, book.need_wh[0] + 1, 1),)),
        lambda *_: Clearing("", 1, (Trade(0, 1, 1, 1),)),
        lambda *_: Clearing("", FULL, (Trade(1, 0, 1, FULL),)),
    ],
    ids=["beyond need", "from who has none", "beyond purse"],
)
def test_a_rule_is_not_believed_but_checked(
    monkeypatch: pytest.MonkeyPatch, dishonest: Callable[[Book, Tariff], Clearing]
) -> None:
    monkeypatch.setitem(rules.RULES, "trust_me", Rule(9, dishonest, needs_limits=False))
    book = Book((10, 0), (0, 10), (FULL, FULL), ())
    with pytest.raises(InvariantBroken):
        clear("trust_me", book, Tariff(24, 8, 3, 8))

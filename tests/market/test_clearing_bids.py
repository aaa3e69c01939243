"""A community's auctions against an oracle that goes Wh by Wh, without their code."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.market.book import Book, Clearing, Limits, Tariff, Trade
from commonwatt.market.charter import charter_of
from commonwatt.market.clearing import clear
from commonwatt.market.settings import MarketSettings
from effort import effort
from markets import EURO, FULL, NOON, Choice

AUCTIONS = ("uniform_price", "pay_as_bid", "pay_as_offer")
Auction = tuple[Book, Tariff]


def cleared(rule: str, book: Book, tariff: Tariff, **more: str) -> Clearing:
    charter = charter_of(MarketSettings(rule=rule, **more), EURO, len(book.need_wh), 900)
    return clear(charter, book, tariff, NOON)


def bought(clearing: Clearing, members: int) -> list[int]:
    return [sum(t.wh for t in clearing.trades if t.buyer == member) for member in range(members)]


def sold(clearing: Clearing, members: int) -> list[int]:
    return [sum(t.wh for t in clearing.trades if t.seller == member) for member in range(members)]


def affordable_bids(book: Book, tariff: Tariff) -> list[tuple[int, int]]:
    """Each member's bid price and as many Wh as its purse pays for at that price."""
    bids = []
    for need, purse, limit in zip(book.need_wh, book.purse, book.limits, strict=True):
        unit = limit.bid + tariff.fee_local
        bids.append((limit.bid, need if not unit else min(need, purse // unit)))
    return bids


def asks_of(book: Book) -> list[tuple[int, int]]:
    return [(limit.ask, wh) for limit, wh in zip(book.limits, book.offer_wh, strict=True)]


def pairs_of(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Bid and ask of each Wh of the largest gain, and the largest volume with it.

    The k-th dearest Wh of demand against the k-th cheapest of supply: no other matching of k Wh
    gains more, and each further pair adds less.
    """
    demand = sorted((price for price, wh in bids for _ in range(wh)), reverse=True)
    supply = sorted(price for price, wh in asks for _ in range(wh))
    return [(bid, ask) for bid, ask in zip(demand, supply, strict=False) if bid >= ask]


@st.composite
def small_auctions(draw: st.DrawFn) -> Auction:
    size = draw(st.integers(1, 9))
    each = {"min_size": size, "max_size": size}
    price = st.integers(0, 8)
    need, offer = (draw(st.lists(st.integers(0, 40), **each)) for _ in range(2))
    book = Book(
        # Nobody is on both sides, as own use comes first.
        need_wh=tuple(0 if given else taken for taken, given in zip(need, offer, strict=True)),
        offer_wh=tuple(offer),
        purse=tuple(draw(st.lists(st.integers(0, 300), **each))),
        limits=tuple(draw(st.lists(st.builds(Limits, price, price), **each))),
    )
    return book, Tariff(8, 0, draw(st.integers(0, 2)), 0)


@given(st.sampled_from(AUCTIONS), small_auctions())
@effort(6)
def test_no_auction_could_move_more_or_gain_more(rule: str, auction: Auction) -> None:
    book, tariff = auction
    clearing = cleared(rule, book, tariff)
    bids, asks = affordable_bids(book, tariff), asks_of(book)
    pairs = pairs_of(bids, asks)
    members = len(book.need_wh)
    assert sum(trade.wh for trade in clearing.trades) == len(pairs)
    worth = sum(bid * wh for (bid, _), wh in zip(bids, bought(clearing, members), strict=True))
    cost = sum(ask * wh for (ask, _), wh in zip(asks, sold(clearing, members), strict=True))
    assert worth - cost == sum(bid - ask for bid, ask in pairs)


@given(small_auctions())
@effort(4)
def test_the_price_lies_midway_between_the_last_bid_and_the_last_offer(auction: Auction) -> None:
    book, tariff = auction
    clearing = cleared("uniform_price", book, tariff)
    if not clearing.trades:
        return
    last_bid = min(book.limits[trade.buyer].bid for trade in clearing.trades)
    last_ask = max(book.limits[trade.seller].ask for trade in clearing.trades)
    assert last_ask <= clearing.price <= last_bid
    assert clearing.price == (last_bid + last_ask) // 2
    assert {trade.price for trade in clearing.trades} == {clearing.price}
    offered = cleared("uniform_price", book, tariff, price_rule="last_accepted_offer")
    assert {trade.price for trade in offered.trades} == {last_ask}


@given(small_auctions(), st.sampled_from(["0", "1/3", "0.5", "1"]))
@effort(4)
def test_who_pays_as_bid_pays_between_the_two_limits_of_its_trade(auction, split: str) -> None:
    book, tariff = auction
    clearing = cleared("pay_as_bid", book, tariff, split=split)
    for trade in clearing.trades:
        ask, bid = book.limits[trade.seller].ask, book.limits[trade.buyer].bid
        exact = ask + (bid - ask) * Fraction(split)
        assert trade.price <= exact < trade.price + 1
    pairs = pairs_of(affordable_bids(book, tariff), asks_of(book))
    expected = sum(ask + int((bid - ask) * Fraction(split)) for bid, ask in pairs)
    assert sum(trade.wh * trade.price for trade in clearing.trades) == expected


@given(small_auctions())
@effort(2)
def test_who_pays_as_offered_pays_what_was_asked(auction: Auction) -> None:
    book, tariff = auction
    for trade in cleared("pay_as_offer", book, tariff).trades:
        assert trade.price == book.limits[trade.seller].ask


@given(st.sampled_from(AUCTIONS), small_auctions())
@effort(4)
def test_better_prices_are_served_first_and_equal_ones_share(rule: str, auction: Auction) -> None:
    book, tariff = auction
    clearing = cleared(rule, book, tariff)
    members = len(book.need_wh)
    bids = affordable_bids(book, tariff)
    sides = [
        ([(-bid, wh) for bid, wh in bids], bought(clearing, members)),
        (asks_of(book), sold(clearing, members)),
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


BY_HAND = Book(
    need_wh=(100, 100, 0, 0),
    offer_wh=(0, 0, 120, 50),
    purse=(FULL,) * 4,
    limits=(Limits(20, 0), Limits(12, 0), Limits(0, 8), Limits(0, 13)),
)


@pytest.mark.parametrize(
    ("rule", "first", "second", "mean"),
    [("uniform_price", 10, 10, 10), ("pay_as_bid", 14, 10, 13), ("pay_as_offer", 8, 8, 8)],
)
def test_an_auction_by_hand(rule: str, first: int, second: int, mean: int) -> None:
    clearing = cleared(rule, BY_HAND, Tariff(24, 8, 3, 8))
    number = (2, 6, 7)[AUCTIONS.index(rule)]
    assert clearing.trades == (
        Trade(2, 0, 100, first, 3, number),
        Trade(2, 1, 20, second, 3, number),
    )
    assert clearing.price == mean


@pytest.mark.parametrize("rule", AUCTIONS)
def test_an_auction_where_nobody_agrees_trades_nothing_at_no_price(rule: str) -> None:
    book = Book((10, 0), (0, 10), (FULL, FULL), (Limits(9, 9), Limits(10, 10)))
    assert cleared(rule, book, Tariff(24, 8, 3, 8)) == Clearing(rule, 0, ())


@pytest.mark.parametrize("rule", AUCTIONS)
def test_energy_offered_for_nothing_is_traded_for_nothing(rule: str) -> None:
    book = Book((10, 0), (0, 10), (0, 0), (Limits(0, 0), Limits(0, 0)))
    clearing = cleared(rule, book, Tariff(0, 0, 0, 0))
    assert [tuple(trade[:5]) for trade in clearing.trades] == [(1, 0, 10, 0, 0)]


def test_what_nobody_pays_for_is_given_away_under_bill_sharing_too() -> None:
    book = Book((10, 0), (0, 10), (0, 0), ())
    charter = Choice("bill_sharing", None).charter(2)
    clearing = clear(charter, book, Tariff(24, 8, 0, 8), NOON)
    assert clearing.trades == (Trade(1, 0, 10, 0, 0, 5),)

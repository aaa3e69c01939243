"""The truthful auction: lying about a price never helps, and nobody loses by taking part."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from commonwatt.errors import InputError
from commonwatt.market.orders import ORDER_WH_MAX, OrderBook, Side
from commonwatt.market.truthful import (
    SeveralOrders,
    TruthfulResult,
    _given_up,
    truthful_auction,
)
from commonwatt.quantity import PRICE_PER_WH_MAX
from effort import effort

Rows = list[tuple[int, int]]
"""Wh and limit of each order of a side."""
PRICES = range(7)


def book_of(bids: Rows, offers: Rows) -> OrderBook:
    """A book in which each order is another participant's."""
    buyers = [(number, *order) for number, order in enumerate(bids)]
    sellers = [(len(bids) + number, *order) for number, order in enumerate(offers)]
    return OrderBook(Side.of(buyers), Side.of(sellers))


def sides(most_wh: int, most_orders: int = 5) -> st.SearchStrategy[Rows]:
    # Few prices, so that ties and marginal orders are common.
    order = st.tuples(st.integers(0, most_wh), st.sampled_from(PRICES))
    return st.lists(order, max_size=most_orders)


def utilities(result: TruthfulResult, bids: Rows, offers: Rows) -> tuple[list[int], list[int]]:
    """What each order gains at its true price, in units."""
    bought, sold = result.buy_filled.tolist(), result.sell_filled.tolist()
    pays, gets = result.buy_price or 0, result.sell_price or 0
    buyers = [wh * (price - pays) for wh, (_, price) in zip(bought, bids, strict=True)]
    sellers = [wh * (gets - price) for wh, (_, price) in zip(sold, offers, strict=True)]
    return buyers, sellers


# The oracle: the paper's rule in the plainest words --------------------------------------------


def marginal(bids: Rows, offers: Rows, buyers: list[int], sellers: list[int]) -> tuple[int, int]:
    """Bid and offer of the last Wh matched, from ranked rows; -1 where none is."""
    last = -1, -1
    bid_by_wh = [row for row in buyers for _ in range(bids[row][0])]
    offer_by_wh = [row for row in sellers for _ in range(offers[row][0])]
    for bid, offer in zip(bid_by_wh, offer_by_wh, strict=False):
        if bids[bid][1] < offers[offer][1]:
            break
        last = bid, offer
    return last


def by_hand(bids: Rows, offers: Rows) -> tuple[int | None, int | None, list[int], list[int]]:
    """Prices and fills: match Wh by Wh, drop the marginal orders, take turns in giving up a Wh."""
    buyers = sorted(range(len(bids)), key=lambda row: -bids[row][1])
    sellers = sorted(range(len(offers)), key=lambda row: offers[row][1])
    bid, offer = marginal(bids, offers, buyers, sellers)
    ahead: list[list[int]] = [[], []]
    if bid >= 0:
        ahead = [buyers[: buyers.index(bid)], sellers[: sellers.index(offer)]]
    bought = [wh if row in ahead[0] else 0 for row, (wh, _) in enumerate(bids)]
    sold = [wh if row in ahead[1] else 0 for row, (wh, _) in enumerate(offers)]
    shorter = min(sum(bought), sum(sold))
    for filled in (bought, sold):
        while sum(filled) > shorter:
            for row in range(len(filled)):
                if filled[row] and sum(filled) > shorter:
                    filled[row] -= 1
    return (*((bids[bid][1], offers[offer][1]) if shorter else (None, None)), bought, sold)


@effort(5)
@given(sides(9), sides(9))
def test_the_auction_is_the_rule_followed_by_hand(bids: Rows, offers: Rows) -> None:
    result = truthful_auction(book_of(bids, offers))
    buy_price, sell_price, bought, sold = by_hand(bids, offers)
    assert (result.buy_price, result.sell_price) == (buy_price, sell_price)
    assert result.buy_filled.tolist() == bought
    assert result.sell_filled.tolist() == sold


def test_a_published_example() -> None:
    """Of pymarket's documentation, page "Huang": there in units of one, here in kWh and cents."""
    bids = [(1_000, 670), (1_000, 660), (1_000, 650), (1_000, 640), (1_000, 630), (1_000, 600)]
    offers = [(1_000, 100), (1_000, 200), (2_000, 300), (2_000, 400), (1_000, 610)]
    result = truthful_auction(book_of(bids, offers))
    assert (result.buy_price, result.sell_price) == (600, 400)
    buyers, sellers = utilities(result, bids, offers)
    assert [units / 100_000 for units in buyers] == [0.56, 0.48, 0.40, 0.32, 0.24, 0]
    assert [units / 100_000 for units in sellers] == [3, 2, 2, 0, 0]
    assert (result.surplus, result.volume_wh) == (800_000, 4_000)
    assert result.gain == sum(buyers) + sum(sellers) + result.surplus


def test_who_has_less_than_the_equal_part_gives_up_all() -> None:
    """As in pymarket's example: 1,800 Wh too many among 1,000, 500 and 2,000 leave 350 and 1,350.

    Divided in another order, row by row as they stand in the book.
    """
    bids = [(2_000, 6), (500, 5), (1_000, 6), (800, 4)]
    offers = [(1_700, 1), (2_000, 3)]
    result = truthful_auction(book_of(bids, offers))
    assert result.buy_filled.tolist() == [1_350, 0, 350, 0]
    assert result.sell_filled.tolist() == [1_700, 0]


def test_an_equal_part_may_be_exactly_all_somebody_has() -> None:
    """Seven Wh too many among 2, 5 and 5: two each, and the one left over where there is one."""
    result = truthful_auction(book_of([(2, 6), (5, 6), (5, 6), (9, 5)], [(5, 0), (9, 1)]))
    assert result.buy_filled.tolist() == [0, 2, 3, 0]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.data())
def test_giving_up_equally_is_taking_turns(most: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, max(0, sum(most) - 1)))
    parts, left = [0] * len(most), total
    while left:
        for row, limit in enumerate(most):
            if left and parts[row] < limit:
                parts[row] += 1
                left -= 1
    assert _given_up(total, np.array(most)).tolist() == parts


# What it promises ------------------------------------------------------------------------------


@effort(3)
@given(sides(4), sides(4))
@example([(1, 6), (4, 5), (4, 5), (3, 2)], [(4, 0), (4, 0), (2, 2)])
@example([(3, 6), (3, 4), (3, 4)], [(2, 1), (2, 1), (2, 1), (2, 4)])
def test_nobody_gains_by_naming_another_price(bids: Rows, offers: Rows) -> None:
    """All other prices of a participant, to the last Wh; its quantity is what it has."""
    honest = utilities(truthful_auction(book_of(bids, offers)), bids, offers)
    for side, orders in enumerate((bids, offers)):
        for row, (wh, _) in enumerate(orders):
            for price in range(PRICES.stop + 1):
                told = [list(bids), list(offers)]
                told[side][row] = wh, price
                result = truthful_auction(book_of(*told))
                lying = utilities(result, bids, offers)
                assert lying[side][row] <= honest[side][row], (side, row, price)


@given(sides(ORDER_WH_MAX, 12), sides(ORDER_WH_MAX, 12))
def test_nobody_loses_by_taking_part_and_nothing_is_made_or_lost(bids: Rows, offers: Rows) -> None:
    book = book_of(bids, offers)
    result = truthful_auction(book)
    buyers, sellers = utilities(result, bids, offers)
    assert min([0, *buyers, *sellers]) == 0
    assert result.surplus >= 0
    assert result.gain == sum(buyers) + sum(sellers) + result.surplus
    filled, trades = (result.buy_filled, result.sell_filled), result.trades
    for side, served, rows in zip((book.buy, book.sell), filled, trades[:2], strict=True):
        assert ((served >= 0) & (served <= side.wh)).all()
        assert np.bincount(rows, trades.wh, len(served)).tolist() == served.tolist()
    assert int(result.buy_filled.sum()) == int(result.sell_filled.sum()) == result.volume_wh
    assert (trades.wh > 0).all()
    assert (result.buy_price is None) == (result.sell_price is None) == (result.volume_wh == 0)


@given(sides(9), sides(9))
def test_the_marginal_orders_and_those_behind_them_do_not_trade(bids: Rows, offers: Rows) -> None:
    result = truthful_auction(book_of(bids, offers))
    for wh, (_, price) in zip(result.buy_filled.tolist(), bids, strict=True):
        assert not wh or price >= (result.buy_price or 0)
    for wh, (_, price) in zip(result.sell_filled.tolist(), offers, strict=True):
        assert not wh or price <= (result.sell_price or 0)
    priced = [row for row, (_, price) in enumerate(bids) if price == result.buy_price]
    assert result.buy_price is None or any(not result.buy_filled[row] for row in priced)


@given(sides(9), sides(9))
def test_only_one_side_is_cut(bids: Rows, offers: Rows) -> None:
    """Equal parts: after the cut, the larger of two orders that were cut is never behind."""
    result = truthful_auction(book_of(bids, offers))
    cut = []
    for filled, orders in ((result.buy_filled, bids), (result.sell_filled, offers)):
        parts = [wh - int(got) for (wh, _), got in zip(orders, filled, strict=True) if got]
        cut.append(max(parts, default=0))
        assert not parts or max(parts) - min(parts) <= 1
    assert min(cut) == 0


# Corners ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bids", "offers"),
    [
        ([], []),
        ([(5, 6)], []),
        ([], [(5, 1)]),
        ([(5, 6)], [(5, 1)]),  # the only two are marginal
        ([(5, 1), (5, 1)], [(5, 6), (5, 6)]),
        ([(0, 6), (0, 6)], [(5, 1), (5, 1)]),
    ],
)
def test_without_anybody_ahead_of_the_margin_nothing_is_traded(bids: Rows, offers: Rows) -> None:
    result = truthful_auction(book_of(bids, offers))
    assert (result.buy_price, result.sell_price) == (None, None)
    assert (result.volume_wh, result.gain, result.surplus) == (0, 0, 0)
    assert [len(part) for part in result.trades] == [0, 0, 0]


def test_amounts_beyond_64_bits_are_counted() -> None:
    size = 20
    bids = [(ORDER_WH_MAX, PRICE_PER_WH_MAX)] * size
    offers = [(ORDER_WH_MAX, 0)] * size
    result = truthful_auction(book_of(bids, offers))
    assert result.surplus == result.gain == (size - 1) * ORDER_WH_MAX * PRICE_PER_WH_MAX > 2**63


def test_two_orders_of_one_participant_are_refused() -> None:
    producer = 7
    twice = OrderBook(Side.of([(producer, 5, 3)]), Side.of([(producer, 5, 1), (8, 5, 1)]))
    with pytest.raises(SeveralOrders, match="participant 7 has 2 orders") as refusal:
        truthful_auction(twice)
    assert isinstance(refusal.value, InputError)


def test_the_rule_of_one_order_each_is_needed() -> None:
    """With two participants behind one purse, the marginal order can be named to help the other."""
    bids, offers = [(2, 6), (2, 5), (2, 5)], [(2, 0), (2, 0), (2, 1)]
    honest = truthful_auction(book_of(bids, offers))
    shaded = truthful_auction(book_of([*bids[:2], (2, 1)], offers))
    of_both = [sum(utilities(result, bids, offers)[0][1:]) for result in (honest, shaded)]
    assert of_both[1] > of_both[0]

"""Which orders a call auction serves, and with how much: the heart of every auction here.

Bids from the dearest and offers from the cheapest are matched as long as the bid is not below the
offer. No other matching gains more, and none with the same gain moves more energy. Orders at the
marginal price share in proportion to their size. Several books, told apart by a group number, are
crossed in one go.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from commonwatt.market.columns import IntColumn, first_of_each
from commonwatt.market.orders import OrderBook
from commonwatt.market.rows import split_segments

_PRICE_BITS = 30
_PRICE_MASK = 2**_PRICE_BITS - 1
"""No price is above; see `quantity.PRICE_PER_WH_MAX`."""


class Fills(NamedTuple):
    """Wh served, by row of each side; both sum to the same."""

    buy: IntColumn
    sell: IntColumn


@dataclass(frozen=True, slots=True)
class _Queue:
    """One side in the order in which it is served."""

    rows: IntColumn
    """Sorted by group, then best price first, then row."""
    keys: IntColumn
    """Group and price in one number, ascending; equal keys are one price level."""
    wh: IntColumn

    @classmethod
    def of(cls, keys: IntColumn, wh: IntColumn) -> "_Queue":
        rows = np.argsort(keys, kind="stable")
        return cls(rows, keys[rows], wh[rows])

    @property
    def groups(self) -> IntColumn:
        return self.keys >> _PRICE_BITS


def crossed(
    book: OrderBook, buy_group: IntColumn | None = None, sell_group: IntColumn | None = None
) -> Fills:
    """Serve the best orders of each group.

    Args:
        book: the orders.
        buy_group: a number from 0 to 2^32 per buy order; only orders of one group meet. One group
            unless given.
        sell_group: the same for sell orders.
    """
    buyers = _Queue.of(buy_keys(book, buy_group), book.buy.wh)
    sellers = _Queue.of(sell_keys(book, sell_group), book.sell.wh)
    groups, volumes = _volumes(buyers, sellers)
    return Fills(_served(buyers, groups, volumes), _served(sellers, groups, volumes))


def buy_keys(book: OrderBook, group: IntColumn | None = None) -> IntColumn:
    """Numbers whose order is: group, then dearest bid first."""
    return _with_group(_PRICE_MASK - book.buy.price, group)


def sell_keys(book: OrderBook, group: IntColumn | None = None) -> IntColumn:
    """Numbers whose order is: group, then cheapest offer first."""
    return _with_group(book.sell.price, group)


def _with_group(keys: IntColumn, group: IntColumn | None) -> IntColumn:
    return keys if group is None else keys | (group << _PRICE_BITS)


def _volumes(buyers: _Queue, sellers: _Queue) -> tuple[IntColumn, IntColumn]:
    """Each group with bids, and the Wh it trades.

    Down to any one bid, the demand of bids as dear can meet the supply of offers not above it; the
    most that does over all bids is what is traded.
    """
    if not buyers.rows.size:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    groups = buyers.groups
    starts = first_of_each(groups)
    demand = np.cumsum(buyers.wh)
    before = demand[starts] - buyers.wh[starts]
    demand -= np.repeat(before, np.diff(starts, append=len(groups)))
    supplied = np.concatenate(([0], np.cumsum(sellers.wh)))
    prices = (groups << _PRICE_BITS) | (_PRICE_MASK - (buyers.keys & _PRICE_MASK))
    reached = np.searchsorted(sellers.keys, prices, side="right")
    first = np.searchsorted(sellers.keys, groups[starts] << _PRICE_BITS)
    supply = supplied[reached]
    supply -= np.repeat(supplied[first], np.diff(starts, append=len(groups)))
    return groups[starts], np.maximum.reduceat(np.minimum(demand, supply), starts)


def _served(queue: _Queue, groups: IntColumn, volumes: IntColumn) -> IntColumn:
    """Wh per row: better levels in full, the marginal one shares what is left pro rata."""
    served = np.zeros(len(queue.rows), dtype=np.int64)
    if not queue.rows.size or not groups.size:
        return served
    starts = first_of_each(queue.keys)
    sizes = np.diff(starts, append=len(queue.keys))
    totals = np.add.reduceat(queue.wh, starts)
    level_group = queue.keys[starts] >> _PRICE_BITS
    ahead = np.cumsum(totals) - totals
    first = first_of_each(level_group)
    ahead -= np.repeat(ahead[first], np.diff(first, append=len(level_group)))
    known = np.minimum(np.searchsorted(groups, level_group), len(groups) - 1)
    volume = np.where(groups[known] == level_group, volumes[known], 0)
    taken = np.clip(volume - ahead, 0, totals)
    in_queue = np.where(np.repeat(taken == totals, sizes), queue.wh, 0)
    marginal = (taken > 0) & (taken < totals)
    if marginal.any():
        sharing = np.repeat(marginal, sizes)
        ends = np.cumsum(sizes[marginal])
        in_queue[sharing] = split_segments(
            taken[marginal], queue.wh[sharing], ends - sizes[marginal]
        )
    served[queue.rows] = in_queue
    return served

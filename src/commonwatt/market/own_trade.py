"""Auctions in which nobody trades with itself, and nothing else is lost.

Served orders can be paired without own trades exactly if nobody has more than half of all that is
bought and sold: with B bought and S sold by one participant and V in all, B + S <= V for each
(Gale's condition for a flow through all pairs but the own ones). At most one participant can break
it. Where one does, no matching gains more than the two books in which it meets the others: its
offers with their bids, and its bids with their offers. (Gain is linear: on the way from the best
matching that keeps the condition to the best of all, gain does not fall, and the point at which
B + S = V is reached is such a pair of books.)

With one price for all, the same holds among the orders that accept the price; so the best price is
looked for. Each participant found to break the condition lowers what can be had at each price.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonwatt.market.columns import INT64_MAX, IntColumn, sum_by_row
from commonwatt.market.crossing import Fills, crossed
from commonwatt.market.orders import OrderBook, Side
from commonwatt.market.rows import split_column

BUYING, SELLING = -1, 1
"""The sign that brings a side's prices into the order in which it is served."""
OWN_OFFERS, OWN_BIDS = 0, 1
"""The two books of one participant: its offers with others' bids, its bids with others' offers."""
_NUMBERS_PER_ORDER = 4
"""Up to so many participants' numbers per order, a column with one row for each is the fastest."""


@dataclass(frozen=True, slots=True)
class Served:
    """What each order is served, and which orders may be paired."""

    fills: Fills
    buy_group: IntColumn | None = None
    """Only orders of one group may be paired; all may where it is None."""
    sell_group: IntColumn | None = None


def best_of_all(book: OrderBook) -> Served:
    """The largest gain of any matching without own trades, whatever the prices."""
    fills, large = _without_majority(book)
    return Served(fills) if large is None else _apart(book, large)


def best_at_one_price(book: OrderBook) -> Served:
    """The largest gain of any matching without own trades in which one price suits all.

    Among equally good prices the one that moves most is taken, and of these the lowest.
    """
    fills, large = _without_majority(book)
    if large is None:
        return Served(fills)
    prices = np.unique(np.concatenate((book.buy.price, book.sell.price)))
    gain, volume = _Curves(book, large).with_own(prices)
    tried: list[int] = []
    while True:
        if large not in tried:
            tried.append(large)
            bound, moved = _Curves(book, large).without_own(prices)
            gain, volume = np.minimum(gain, bound), np.minimum(volume, moved)
        best = np.flatnonzero(gain == gain.max())
        price = prices[best[np.argmax(volume[best])]]
        accepting = OrderBook(
            book.buy._replace(wh=np.where(book.buy.price >= price, book.buy.wh, 0)),
            book.sell._replace(wh=np.where(book.sell.price <= price, book.sell.wh, 0)),
        )
        fills, found = _without_majority(accepting)
        if found is None:
            return Served(fills)
        if found in tried:
            return _apart(accepting, found)
        large = found


def _without_majority(book: OrderBook) -> tuple[Fills, int | None]:
    """Serve the best orders; names who has more than half where that cannot be helped."""
    fills = crossed(book)
    large = dominant(book, fills)
    if large is None:
        return fills, None
    excess = _part_of(book, fills, large) - int(fills.buy.sum())
    bought, excess = _passed_on(book.buy, fills.buy, large, excess, BUYING)
    sold, excess = _passed_on(book.sell, fills.sell, large, excess, SELLING)
    return (fills, large) if excess else (Fills(bought, sold), None)


def _part_of(book: OrderBook, fills: Fills, participant: int) -> int:
    """Wh that a participant buys and sells."""
    bought = fills.buy[book.buy.participant == participant]
    return int(bought.sum() + fills.sell[book.sell.participant == participant].sum())


def _passed_on(
    side: Side, filled: IntColumn, large: int, excess: int, sign: int
) -> tuple[IntColumn, int]:
    """Let others at the marginal price have what a participant has too much of.

    Nothing is gained or lost by it, as all orders there have one price. Returns what each order is
    served, and how much of the excess is left.
    """
    keys = sign * side.price
    level = keys == keys[filled > 0].max()
    own = np.flatnonzero(level & (side.participant == large))
    others = np.flatnonzero(level & (side.participant != large))
    to_others = int((side.wh - filled)[others].sum())
    moved = min(excess, int(filled[own].sum()), to_others)
    if not moved:
        return filled, excess
    passed = filled.copy()
    passed[own] = split_column(int(filled[own].sum()) - moved, side.wh[own])
    passed[others] = split_column(int(filled[others].sum()) + moved, side.wh[others])
    return passed, excess - moved


def dominant(book: OrderBook, fills: Fills) -> int | None:
    """The participant with more than half of all that is bought and sold, if there is one."""
    volume = int(fills.buy.sum())
    if not volume:
        return None
    buyers, sellers = book.buy.participant, book.sell.participant
    largest = max(int(buyers.max()), int(sellers.max()))
    if largest < _NUMBERS_PER_ORDER * (len(buyers) + len(sellers)):
        names = None
        count = largest + 1
    else:
        names, numbers = np.unique(np.concatenate((buyers, sellers)), return_inverse=True)
        buyers, sellers = numbers[: len(buyers)], numbers[len(buyers) :]
        count = len(names)
    parts = sum_by_row(buyers, fills.buy, count)
    np.add.at(parts, sellers, fills.sell)
    most = int(parts.argmax())
    if parts[most] <= volume:
        return None
    return most if names is None else int(names[most])


def _apart(book: OrderBook, large: int) -> Served:
    """One participant's two books with the others, each cleared by itself."""
    buy_group = np.where(book.buy.participant == large, OWN_BIDS, OWN_OFFERS)
    sell_group = np.where(book.sell.participant == large, OWN_OFFERS, OWN_BIDS)
    return Served(crossed(book, buy_group, sell_group), buy_group, sell_group)


class _Curves:
    """What can be gained at each of many prices, with an eye on one participant."""

    def __init__(self, book: OrderBook, large: int) -> None:
        """Sort the orders, once for all prices."""
        my_bids, my_offers = book.buy.participant == large, book.sell.participant == large
        self._all = _Line(book.buy, BUYING, my_bids), _Line(book.sell, SELLING, my_offers)
        self._apart = (
            (_of(book.buy, BUYING, ~my_bids), _of(book.sell, SELLING, my_offers)),
            (_of(book.buy, BUYING, my_bids), _of(book.sell, SELLING, ~my_offers)),
        )

    def with_own(self, prices: IntColumn) -> tuple[NDArray[Any], IntColumn]:
        """The most that any matching gains, and moves, among orders that accept a price."""
        return _most(*self._all, prices)

    def without_own(self, prices: IntColumn) -> tuple[NDArray[Any], IntColumn]:
        """The same where this participant does not trade with itself."""
        bids, offers = self._all
        gain, volume = self.with_own(prices)
        unavoidable = bids.mine(volume) + offers.mine(volume) > volume
        (one_gain, one_volume), (other_gain, other_volume) = (
            _most(*pair, prices) for pair in self._apart
        )
        return (
            np.where(unavoidable, one_gain + other_gain, gain),
            np.where(unavoidable, one_volume + other_volume, volume),
        )


def _most(bids: "_Line", offers: "_Line", prices: IntColumn) -> tuple[NDArray[Any], IntColumn]:
    """What is gained, and moved, at each price."""
    volume = np.minimum(bids.accepting(prices), offers.accepting(prices))
    return bids.worth(volume) - offers.worth(volume), volume


def _of(side: Side, sign: int, rows: NDArray[np.bool_]) -> "_Line":
    return _Line(side.only(np.flatnonzero(rows)), sign, rows[rows])


class _Line:
    """One side, best price first: how much accepts a price, and what the best Wh are worth."""

    def __init__(self, side: Side, sign: int, mine: NDArray[np.bool_]) -> None:
        """Sort it; at one price, what is not `mine` comes first."""
        order = np.lexsort((mine, sign * side.price))
        wh, price, mine = side.wh[order], side.price[order], mine[order]
        self._sign, self._keys = sign, sign * price
        self._ends = np.concatenate(([0], np.cumsum(wh)))
        fits = int(self._ends[-1]) * int(price.max(initial=0)) <= INT64_MAX
        # Python's integers where 64 bits are too few: slower, as exact.
        self._price = np.append(price if fits else price.astype(object), 0)
        self._worth = np.concatenate(([0], np.cumsum(wh * self._price[:-1])))
        self._mine = np.append(mine, False).astype(np.int64)
        self._my_ends = np.concatenate(([0], np.cumsum(wh * self._mine[:-1])))

    def accepting(self, prices: IntColumn) -> IntColumn:
        """Wh of the orders that accept each price."""
        reached: IntColumn = self._ends[
            np.searchsorted(self._keys, self._sign * prices, side="right")
        ]
        return reached

    def worth(self, volume: IntColumn) -> NDArray[Any]:
        """Limits times Wh over the best `volume` Wh, in units."""
        whole, rest = self._cut(volume)
        worth: NDArray[Any] = self._worth[whole] + rest * self._price[whole]
        return worth

    def mine(self, volume: IntColumn) -> IntColumn:
        """How much of the best `volume` Wh is mine at least."""
        whole, rest = self._cut(volume)
        mine: IntColumn = self._my_ends[whole] + rest * self._mine[whole]
        return mine

    def _cut(self, volume: IntColumn) -> tuple[IntColumn, IntColumn]:
        """How many orders a volume takes in full, and how much of the next."""
        whole = np.searchsorted(self._ends, volume, side="right") - 1
        return whole, volume - self._ends[whole]

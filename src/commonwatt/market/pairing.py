"""Who trades with whom, once it is known how much each order is served."""

import numpy as np

from commonwatt.market.columns import (
    IntColumn,
    first_of_each,
    laid_along,
    sum_by_row,
)
from commonwatt.market.crossing import Fills, buy_keys, sell_keys
from commonwatt.market.orders import OrderBook
from commonwatt.market.result import TradeColumns
from commonwatt.market.rows import split_segments

_ROW_BITS = 32


def paired_by_row(fills: Fills) -> TradeColumns:
    """The fewest trades, by (buy, sell) row: enough where all have one price."""
    buy, sell, wh = laid_along(fills.buy, fills.sell)
    return TradeColumns(buy, sell, wh, np.zeros_like(wh))


def paired_by_price(
    book: OrderBook,
    fills: Fills,
    buy_group: IntColumn | None = None,
    sell_group: IntColumn | None = None,
) -> TradeColumns:
    """The cheapest offer with the dearest bid, and so on; within each group where there are any.

    Bids at one limit get equal parts of each offer's price, and offers at one limit of each bid's:
    nobody pays more than a neighbour with the same limit for standing further down the list.
    """
    buyers = _Ranked(buy_keys(book, buy_group), fills.buy)
    sellers = _Ranked(sell_keys(book, sell_group), fills.sell)
    buy_level, sell_level, wh = laid_along(buyers.level_wh, sellers.level_wh)
    bought, sold = buyers.dealt(buy_level, wh), sellers.dealt(sell_level, wh)
    buy_piece, sell_piece, part = laid_along(bought[1], sold[1])
    return TradeColumns(bought[0][buy_piece], sold[0][sell_piece], part, np.zeros_like(part))


class _Ranked:
    """The served orders of one side, best first, in levels of equal price."""

    def __init__(self, keys: IntColumn, served: IntColumn) -> None:
        """Rank the rows that were served anything."""
        rows = np.flatnonzero(served)
        ranked = rows[np.argsort(keys[rows], kind="stable")]
        self._rows, self._wh = ranked, served[ranked]
        self._starts = first_of_each(keys[ranked])
        self._sizes = np.diff(self._starts, append=len(ranked))
        self.level_wh = np.add.reduceat(self._wh, self._starts) if rows.size else self._wh

    def dealt(self, level: IntColumn, wh: IntColumn) -> tuple[IntColumn, IntColumn]:
        """Divide each cell among the orders of its level, in proportion.

        Args:
            level: the level of each cell, ascending; a level's cells sum to what it was served.
            wh: what each cell holds.

        Returns:
            Row and Wh of each piece, by cell and then by row.
        """
        cells, rows, parts = [], [], []
        alone = self._sizes[level] == 1
        cells.append(np.flatnonzero(alone))
        rows.append(self._rows[self._starts[level[alone]]])
        parts.append(wh[alone])
        # What a level still has to get falls from cell to cell, so each cell must follow the one
        # before; the same cell of all levels is dealt at once.
        shared = np.flatnonzero(~alone)
        nth = np.arange(len(level)) - np.searchsorted(level, level)
        left = self._wh.copy()
        by_turn = shared[np.argsort(nth[shared], kind="stable")]
        for turn in np.split(by_turn, first_of_each(nth[by_turn])[1:]) if by_turn.size else ():
            sizes = self._sizes[level[turn]]
            ends = np.cumsum(sizes)
            within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
            orders = np.repeat(self._starts[level[turn]], sizes) + within
            shares = split_segments(wh[turn], left[orders], ends - sizes)
            left[orders] -= shares
            cells.append(np.repeat(turn, sizes))
            rows.append(self._rows[orders])
            parts.append(shares)
        cell, row, part = (np.concatenate(listed) for listed in (cells, rows, parts))
        kept = np.flatnonzero(part)
        ordered = kept[np.argsort(cell[kept], kind="stable")]
        return row[ordered], part[ordered]


def without_own_trades(book: OrderBook, trades: TradeColumns) -> TradeColumns:
    """Exchange partners until nobody trades with itself; each order keeps what it was served.

    Every order served must be acceptable to every other one served, and nobody may have more than
    half of all that is bought and sold, as `own_trade` sees to: then there is always an exchange.
    """
    buyer, seller = book.buy.participant[trades.buy], book.sell.participant[trades.sell]
    own = np.flatnonzero(buyer == seller)
    if not own.size:
        return trades
    names, whose = np.unique(buyer[own], return_inverse=True)
    sums = sum_by_row(whose, trades.wh[own], len(names))
    largest = names[sums.argmax()]
    lacking = 2 * int(sums.max()) - int(sums.sum())
    if lacking > 0:
        # More than all others' own trades: trades between others lend a hand.
        free = np.flatnonzero((buyer != largest) & (seller != largest) & (buyer != seller))
        trades, helping = _cut(trades, free, lacking)
    else:
        helping = own[:0]
    # One participant after another, the largest first. Where the sellers' line begins with the
    # second, everybody's own sales have moved by as much as the largest has, and so past its bids.
    mine = own[np.lexsort((buyer[own], buyer[own] != largest))]
    of_largest = int(np.count_nonzero(buyer[own] == largest))
    buying = np.concatenate((mine, helping))
    selling = np.concatenate((mine[of_largest:], helping, mine[:of_largest]))
    to_buy, to_sell, wh = laid_along(trades.wh[buying], trades.wh[selling])
    kept = np.ones(len(trades.wh), dtype=bool)
    kept[buying] = False
    return _merged(
        TradeColumns(
            np.concatenate((trades.buy[kept], trades.buy[buying[to_buy]])),
            np.concatenate((trades.sell[kept], trades.sell[selling[to_sell]])),
            np.concatenate((trades.wh[kept], wh)),
            np.zeros(int(kept.sum()) + len(wh), dtype=np.int64),
        )
    )


def _cut(trades: TradeColumns, free: IntColumn, wanted: int) -> tuple[TradeColumns, IntColumn]:
    """Rows out of `free` with exactly `wanted` Wh; the last of them is cut in two for that."""
    ends = np.cumsum(trades.wh[free])
    last = int(np.searchsorted(ends, wanted))
    row, over = free[last], int(ends[last]) - wanted
    if not over:
        return trades, free[: last + 1]
    rest = TradeColumns(*(part[row : row + 1] for part in trades))._replace(
        wh=np.array([over], dtype=np.int64)
    )
    longer = TradeColumns(*(np.concatenate(pair) for pair in zip(trades, rest, strict=True)))
    longer.wh[row] -= over
    return longer, free[: last + 1]


def _merged(trades: TradeColumns) -> TradeColumns:
    """Sorted by (buy, sell) row, and what is alike made one trade; before there are prices."""
    # One number per pair: rows are below 2^32. Most are in order already, which the sort exploits.
    pairs = (trades.buy << _ROW_BITS) | trades.sell
    order = np.argsort(pairs, kind="stable")
    first = first_of_each(pairs[order])
    rows = order[first]
    wh = np.add.reduceat(trades.wh[order], first)
    return TradeColumns(trades.buy[rows], trades.sell[rows], wh, trades.price[rows])

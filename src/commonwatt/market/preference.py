"""Preference rounds: who may trade with whom first, before the auction over all.

1. Partners: everybody's first choice, then everybody's second, and so on.
2. Place: those in the same building.
3. Quality: bids that ask for green or local energy with offers that carry it, up to the bid's limit
   and its premium.

In each round the dearest bid meets the cheapest offer, within its group of partner, place or
quality, and each trade has its own price between the two limits. What stays open goes to the next
round, and then to the auction over all, unless the bid does not take the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from commonwatt.market.columns import IntColumn
from commonwatt.market.crossing import crossed
from commonwatt.market.orders import BookUnusable, OrderBook
from commonwatt.market.own_trade import best_of_all
from commonwatt.market.pairing import paired_by_price, without_own_trades
from commonwatt.market.result import TradeColumns
from commonwatt.quantity import PRICE_PER_WH_MAX

NONE = -1
QUALITIES = ("green", "local")
"""A quality's number is its place here."""
PARTNERS_MAX = 100
"""Nobody names more partners."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the orders of a book prefer, by row."""

    partners: tuple[tuple[int, ...], ...]
    """Per bid, the participants it would buy from first, best first."""
    buy_place: IntColumn
    """The building, by number; `NONE` for none."""
    sell_place: IntColumn
    buy_quality: IntColumn
    """What a bid asks for: a place in `QUALITIES`, or `NONE`."""
    sell_quality: IntColumn
    premium: IntColumn
    """What a bid pays above its limit for that quality, in units per Wh."""
    takes_rest: NDArray[np.bool_]
    """Whether a bid goes on to the auction over all."""

    def require_of(self, book: OrderBook) -> None:
        """Raise `BookUnusable` unless there is one wish per order of the book."""
        buys, sells = len(book.buy.wh), len(book.sell.wh)
        of_buys = (self.partners, self.buy_place, self.buy_quality, self.premium, self.takes_rest)
        if {len(part) for part in of_buys} != {buys} or {
            len(self.sell_place),
            len(self.sell_quality),
        } != {sells}:
            raise BookUnusable(f"wishes do not go with {buys} buy and {sells} sell orders")
        longest = max(map(len, self.partners), default=0)
        if longest > PARTNERS_MAX:
            raise BookUnusable(f"an order names {longest} partners: use at most {PARTNERS_MAX}")


class Preferred(NamedTuple):
    """What the preference rounds made of a book."""

    trades: TradeColumns
    """Without prices."""
    bid: IntColumn
    """What the buyer of each trade accepts at most, its premium included."""
    left: OrderBook
    """The same rows with what is open; bids that do not take the rest have nothing open."""


class _Round(NamedTuple):
    """Orders of one group may meet; those in none sit the round out."""

    buy_group: IntColumn
    sell_group: IntColumn
    premium: IntColumn


def preference_rounds(book: OrderBook, wishes: Wishes, *, allow_self_trade: bool) -> Preferred:
    """Match what prefers each other, round by round.

    Raises:
        BookUnusable: where there is not one wish per order.
    """
    wishes.require_of(book)
    bought, sold = np.zeros_like(book.buy.wh), np.zeros_like(book.sell.wh)
    found = [TradeColumns(*(np.zeros(0, dtype=np.int64) for _ in TradeColumns._fields))]
    bids = [found[0].price]
    for buy_group, sell_group, premium in _rounds(book, wishes):
        buys = np.flatnonzero((buy_group != NONE) & (book.buy.wh > bought))
        sells = np.flatnonzero((sell_group != NONE) & (book.sell.wh > sold))
        if not buys.size or not sells.size:
            continue
        limit = np.minimum(book.buy.price[buys] + premium[buys], PRICE_PER_WH_MAX)
        part = OrderBook(
            book.buy.only(buys)._replace(wh=(book.buy.wh - bought)[buys], price=limit),
            book.sell.only(sells)._replace(wh=(book.sell.wh - sold)[sells]),
        )
        trades = _in_groups(part, buy_group[buys], sell_group[sells], barred=not allow_self_trade)
        np.add.at(bought, buys[trades.buy], trades.wh)
        np.add.at(sold, sells[trades.sell], trades.wh)
        found.append(trades._replace(buy=buys[trades.buy], sell=sells[trades.sell]))
        bids.append(limit[trades.buy])
    left = OrderBook(
        book.buy._replace(wh=np.where(wishes.takes_rest, book.buy.wh - bought, 0)),
        book.sell._replace(wh=book.sell.wh - sold),
    )
    trades = TradeColumns(*map(np.concatenate, zip(*found, strict=True)))
    return Preferred(trades, np.concatenate(bids), left)


def _rounds(book: OrderBook, wishes: Wishes) -> Iterator[_Round]:
    nothing = np.zeros_like(book.buy.wh)
    for choice in range(max(map(len, wishes.partners), default=0)):
        chosen = [row[choice] if choice < len(row) else NONE for row in wishes.partners]
        yield _Round(np.array(chosen, dtype=np.int64), book.sell.participant, nothing)
    yield _Round(wishes.buy_place, wishes.sell_place, nothing)
    yield _Round(wishes.buy_quality, wishes.sell_quality, wishes.premium)


def _in_groups(
    book: OrderBook, buy_group: IntColumn, sell_group: IntColumn, *, barred: bool
) -> TradeColumns:
    fills = crossed(book, buy_group, sell_group)
    trades = paired_by_price(book, fills, buy_group, sell_group)
    if not barred:
        return trades
    own = book.buy.participant[trades.buy] == book.sell.participant[trades.sell]
    # Few groups hold an own trade; each of those is matched again by itself, without it.
    again = np.unique(buy_group[trades.buy[own]])
    kept = ~np.isin(buy_group[trades.buy], again)
    parts = [TradeColumns(*(part[kept] for part in trades))]
    for group in again:
        buys, sells = np.flatnonzero(buy_group == group), np.flatnonzero(sell_group == group)
        inside = matched_apart(book.only(buys, sells))
        parts.append(inside._replace(buy=buys[inside.buy], sell=sells[inside.sell]))
    return TradeColumns(*map(np.concatenate, zip(*parts, strict=True)))


def matched_apart(book: OrderBook) -> TradeColumns:
    """Cheapest offer with dearest bid, nobody with itself; the largest gain there is."""
    served = best_of_all(book)
    trades = paired_by_price(book, served.fills, served.buy_group, served.sell_group)
    return without_own_trades(book, trades)

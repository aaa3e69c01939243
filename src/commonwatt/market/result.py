"""What an auction made of a book, in columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from commonwatt.errors import require
from commonwatt.market.columns import IntColumn, exact_sum, sum_by_row
from commonwatt.market.orders import OrderBook


class AuctionTrade(NamedTuple):
    """One row of the trades."""

    buy: int
    """Row of the buy order."""
    sell: int
    """Row of the sell order."""
    wh: int
    price: int
    """Units per Wh, without grid fee."""

    @property
    def amount(self) -> int:
        """What the buyer pays and the seller gets, in units."""
        return self.wh * self.price


class TradeColumns(NamedTuple):
    """All trades, in columns of equal length."""

    buy: IntColumn
    sell: IntColumn
    wh: IntColumn
    price: IntColumn

    @property
    def amount(self) -> IntColumn:
        """Units per trade; fits, as no order is for more than `ORDER_WH_MAX`."""
        return self.wh * self.price


@dataclass(frozen=True, slots=True)
class Result:
    """A cleared book: who trades what at which price, and under which rule."""

    rule: str
    price_rule: str | None
    """How the one price was found; None where each trade has its own."""
    split: Fraction | None
    """Where between seller's and buyer's limit a trade's price lies; None where all have one."""
    allow_self_trade: bool
    price: int | None
    """The one price in units per Wh; None where there is none."""
    rounded_down: bool
    """Whether a price fell between two units."""
    trades: TradeColumns
    preferred: int
    """How many of the trades, from the first on, come from the preference rounds."""
    buy_filled: IntColumn
    """Wh served, by buy order."""
    sell_filled: IntColumn
    buy_open: IntColumn
    """Wh of each buy order that stayed open."""
    sell_open: IntColumn
    gain: int
    """What buyers would have paid at most, less what sellers would have asked at least; units."""

    @property
    def volume_wh(self) -> int:
        """All that was traded."""
        return int(self.trades.wh.sum())

    def __iter__(self) -> Iterator[AuctionTrade]:
        """The trades, as named tuples."""
        return map(AuctionTrade._make, zip(*(part.tolist() for part in self.trades), strict=True))


def gain_of(trades: TradeColumns, bid: IntColumn, ask: IntColumn) -> int:
    """The gain from trade in units, given each trade's two limits."""
    # A difference of limits times a GWh fits; their sum may not.
    return exact_sum((bid - ask) * trades.wh)


def require_sound(
    trades: TradeColumns, book: OrderBook, bid: IntColumn, *, allow_self_trade: bool
) -> tuple[IntColumn, IntColumn]:
    """Raise `InvariantBroken` unless every order is kept to; returns what each was served.

    Args:
        trades: the result's.
        book: what they come from.
        bid: what the buyer of each trade accepts at most, any premium included.
        allow_self_trade: whether a participant may buy from itself.
    """
    bought = sum_by_row(trades.buy, trades.wh, len(book.buy.wh))
    sold = sum_by_row(trades.sell, trades.wh, len(book.sell.wh))
    require("a trade moves energy", bool((trades.wh > 0).all()))
    require("nobody buys beyond its order", bool((bought <= book.buy.wh).all()))
    require("nobody sells beyond its order", bool((sold <= book.sell.wh).all()))
    require("no buyer above its limit", bool((trades.price <= bid).all()))
    asked = book.sell.price[trades.sell]
    require("no seller below its limit", bool((trades.price >= asked).all()))
    own = book.buy.participant[trades.buy] == book.sell.participant[trades.sell]
    require("nobody trades with itself", allow_self_trade or not np.any(own))
    return bought, sold

"""Orders of one interval in columns: who wants to buy or sell how much at which limit."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from commonwatt.errors import InputError
from commonwatt.market.columns import IntColumn, column
from commonwatt.quantity import PRICE_PER_WH_MAX

ORDER_WH_MAX = 10**9
"""No order is for more: a GWh in one interval. So an amount fits 64 bits at any price."""
ORDERS_MAX = 2_000_000
"""No side of a book has more orders: its Wh then fit 64 bits, whatever they are."""
PARTICIPANTS_MAX = 2**32


class BookUnusable(InputError):
    """Orders that no auction can clear."""


class Order(NamedTuple):
    """One row of a side."""

    participant: int
    wh: int
    price: int
    """The limit: units per Wh, without grid fee."""


class Side(NamedTuple):
    """All orders of one side, in columns of equal length."""

    participant: IntColumn
    """Numbers from 0; the same number on both sides is the same participant."""
    wh: IntColumn
    price: IntColumn
    """Limits in units per Wh, without grid fee: at most for buyers, at least for sellers."""

    @classmethod
    def of(cls, orders: Iterable[tuple[int, int, int]]) -> "Side":
        """A side from rows of participant, Wh and limit."""
        rows = list(orders)
        names = ("participants", "energy in Wh", "limit prices")
        columns = zip(*rows, strict=True) if rows else [()] * len(names)
        return cls(*(column(values, name) for values, name in zip(columns, names, strict=True)))

    def orders(self) -> Iterable[Order]:
        """The rows, as named tuples."""
        return map(Order._make, zip(*(part.tolist() for part in self), strict=True))

    def only(self, rows: IntColumn) -> "Side":
        """These rows of it."""
        return Side(*(part[rows] for part in self))


@dataclass(frozen=True, slots=True)
class OrderBook:
    """The orders of one interval.

    Rows are an order's name: where a Wh cannot be divided, the lower row gets it. Whoever reads
    orders from a file or a wire brings them into the order of their ids first, so that the same
    orders are the same book.
    """

    buy: Side
    sell: Side

    def __post_init__(self) -> None:
        """Refuse columns that are no orders; raises `BookUnusable`."""
        _require_usable("buy", self.buy)
        _require_usable("sell", self.sell)

    def only(self, buy_rows: IntColumn, sell_rows: IntColumn) -> "OrderBook":
        """These rows of each side."""
        return OrderBook(self.buy.only(buy_rows), self.sell.only(sell_rows))


def _require_usable(name: str, side: Side) -> None:
    for part in side:
        column(part, f"{name} orders")
    sizes = {len(part) for part in side}
    if len(sizes) != 1:
        raise BookUnusable(f"{name} orders: columns of different lengths, {sorted(sizes)}")
    if len(side.wh) > ORDERS_MAX:
        raise BookUnusable(f"{len(side.wh)} {name} orders: use at most {ORDERS_MAX}")
    limits = ((0, PARTICIPANTS_MAX), (0, ORDER_WH_MAX), (0, PRICE_PER_WH_MAX))
    for part, what, (least, most) in zip(side, ("participant", "Wh", "limit"), limits, strict=True):
        outside = np.flatnonzero((part < least) | (part > most))
        if outside.size:
            row = int(outside[0])
            raise BookUnusable(
                f"{name} order in row {row}: {what} of {part[row]}, use {least} to {most}"
            )

"""The lines of an order book's document as columns."""

from collections.abc import Sequence

import numpy as np

from commonwatt.errors import InputError
from commonwatt.market.book_line import BUY, SELL, BookFileUnusable, OrderLine
from commonwatt.market.columns import INT64_MAX, IntColumn, column, exact_sum
from commonwatt.market.orders import OrderBook, Side
from commonwatt.market.preference import NONE, QUALITIES, Wishes
from commonwatt.quantity import PRICE_PER_WH_MAX, Currency


class Prices:
    """Decimal texts as units per Wh; a book names the same few again and again."""

    def __init__(self, currency: Currency) -> None:
        """Read prices of this currency."""
        self._currency = currency
        self._known: dict[str, int] = {}

    def of(self, line: OrderLine, field: str) -> int:
        """One of the line's prices, in units per Wh; raises `BookFileUnusable`."""
        text: str = getattr(line, field)
        price = self._known.get(text)
        if price is None:
            try:
                price = self._known[text] = self._currency.price(text)
            except InputError as error:
                raise BookFileUnusable(f"order {line.id!r}, {field}: {error}") from None
        return price


def side_of(lines: Sequence[OrderLine], participants: dict[str, int], prices: Prices) -> Side:
    """One side's orders; a buy order without a price would pay the highest there can be."""
    return Side(
        participant=column([participants[line.participant] for line in lines]),
        wh=column([line.energy_wh for line in lines]),
        price=column(
            [PRICE_PER_WH_MAX if line.price is None else prices.of(line, "price") for line in lines]
        ),
    )


def wishes_of(
    buys: Sequence[OrderLine],
    sells: Sequence[OrderLine],
    participants: dict[str, int],
    prices: Prices,
) -> Wishes | None:
    """What the orders prefer; None where no buy order prefers anything."""
    if not any(line.prefers for line in buys):
        return None
    named = {line.place for line in (*buys, *sells) if line.place is not None}
    places: dict[str | None, int] = {place: number for number, place in enumerate(sorted(named))}
    qualities: dict[str | None, int] = {name: number for number, name in enumerate(QUALITIES)}

    def numbers(of: dict[str | None, int], names: Sequence[str | None]) -> IntColumn:
        return column([of.get(name, NONE) for name in names])

    return Wishes(
        partners=tuple(
            tuple(participants[partner] for partner in line.partners or ()) for line in buys
        ),
        buy_place=numbers(places, [line.place for line in buys]),
        sell_place=numbers(places, [line.place for line in sells]),
        buy_quality=numbers(qualities, [line.quality for line in buys]),
        sell_quality=numbers(qualities, [line.quality for line in sells]),
        premium=column(
            [0 if line.premium is None else prices.of(line, "premium") for line in buys]
        ),
        takes_rest=np.array([line.takes_rest is not False for line in buys], dtype=np.bool_),
    )


def require_summable(buys: Sequence[OrderLine], book: OrderBook, wishes: Wishes | None) -> None:
    """Raise `BookFileUnusable` unless limits with their premiums, and all amounts, can be counted.

    Args:
        buys: the lines of the buy side, by row.
        book: the orders.
        wishes: with premiums, or None.
    """
    limit = book.buy.price + (0 if wishes is None else wishes.premium)
    for row in np.flatnonzero(limit > PRICE_PER_WH_MAX)[:1]:
        raise BookFileUnusable(
            f"order {buys[row].id!r}: price and premium together are above the highest price "
            "there can be: lower one"
        )
    # Who takes what is offered pays offers, and these are counted on their own side.
    priced = np.array([line.price is not None for line in buys], dtype=np.int64)
    worth = {
        BUY: exact_sum(priced * limit * book.buy.wh),
        SELL: exact_sum(book.sell.price * book.sell.wh),
    }
    for side, units in worth.items():
        if units > INT64_MAX:
            raise BookFileUnusable(
                f"the {side} orders are worth {units} units at their limits, beyond 2^63: lower "
                "their prices or energy, or clear them in parts"
            )

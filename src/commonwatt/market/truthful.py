"""A truthful double auction, for research: nobody gains by naming another price than its own.

No community settles by it: it leaves trades undone, and money with the auctioneer, which is what
truthfulness costs. Source: Huang, Scheller-Wolf, Sycara, "Design of a multi-unit double auction
e-market", Computational Intelligence 18(4), 2002, pages 596 to 617.

The book is crossed as in any call auction. The last bid and the last offer served are marginal:
they set the prices and do not trade. All dearer bids pay the marginal bid, all cheaper offers get
the marginal offer. If one of these sides is longer, each on it gives up an equal amount, and who
has less gives up all.

Why no price but the true one does better, to the last Wh: among those who trade, a price changes
neither who is marginal nor what is shared, because Wh that cannot be divided go by row and never
by price. Who trades only thanks to a better price than its own pays at least its own value, or
gets at most its own cost. This holds for prices. It does not hold for quantities: who names fewer
Wh than it has may move the marginal order.

>>> from commonwatt.market.orders import OrderBook, Side
>>> book = OrderBook(
...     buy=Side.of([(0, 500, 25_000), (1, 300, 22_000), (2, 400, 18_000)]),
...     sell=Side.of([(3, 600, 9_000), (4, 300, 12_000), (5, 400, 16_000)]),
... )
>>> result = truthful_auction(book)
>>> result.buy_price, result.sell_price, result.volume_wh, result.surplus
(18000, 16000, 800, 1600000)
>>> result.buy_filled.tolist(), result.sell_filled.tolist()
([500, 300, 0], [550, 250, 0])
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from commonwatt.errors import require
from commonwatt.market.columns import IntColumn, exact_sum, laid_along
from commonwatt.market.orders import BookUnusable, OrderBook


class SeveralOrders(BookUnusable):
    """A participant with more than one order, who could lie about one to gain with the other."""


class TruthfulTrades(NamedTuple):
    """Who gets whose energy, in columns; all buyers pay one price and all sellers get another."""

    buy: IntColumn
    """Row in the book's buy side."""
    sell: IntColumn
    """Row in the book's sell side."""
    wh: IntColumn


@dataclass(frozen=True, slots=True, eq=False)
class TruthfulResult:
    """What a truthful auction made of a book."""

    buy_price: int | None
    """Units per Wh that every buyer pays; None where nothing was traded."""
    sell_price: int | None
    """Units per Wh that every seller gets, never above the buyers' price."""
    trades: TruthfulTrades
    buy_filled: IntColumn
    """Wh by row of the buy side."""
    sell_filled: IntColumn
    """Wh by row of the sell side."""
    gain: int
    """What the energy traded is worth to buyers beyond what it is worth to sellers, in units."""

    @property
    def volume_wh(self) -> int:
        """Wh traded."""
        return exact_sum(self.buy_filled)

    @property
    def surplus(self) -> int:
        """Units buyers pay beyond what sellers get: part of the gain, left with the auctioneer."""
        return self.volume_wh * ((self.buy_price or 0) - (self.sell_price or 0))


class _Winners(NamedTuple):
    """One side's orders ahead of the marginal one, and its price."""

    rows: IntColumn
    """Ascending: their order does not depend on the prices they named."""
    price: int


def truthful_auction(book: OrderBook) -> TruthfulResult:
    """Clear a book so that each participant's best price is its true one.

    Raises:
        SeveralOrders: where a participant has more than one order.
    """
    _require_one_order_each(book)
    buy_filled, sell_filled = np.zeros_like(book.buy.wh), np.zeros_like(book.sell.wh)
    buyers, sellers = _winners(book)
    prices: tuple[int | None, int | None] = None, None
    if buyers.rows.size and sellers.rows.size:
        bought, sold = book.buy.wh[buyers.rows], book.sell.wh[sellers.rows]
        longer = exact_sum(bought) - exact_sum(sold)
        buy_filled[buyers.rows] = bought - _given_up(max(longer, 0), bought)
        sell_filled[sellers.rows] = sold - _given_up(max(-longer, 0), sold)
        prices = buyers.price, sellers.price
    volumes = exact_sum(buy_filled), exact_sum(sell_filled)
    require("as much is sold as is bought", volumes[0] == volumes[1], volumes=volumes)
    worth, cost = exact_sum(buy_filled * book.buy.price), exact_sum(sell_filled * book.sell.price)
    trades = TruthfulTrades(*laid_along(buy_filled, sell_filled))
    result = TruthfulResult(*prices, trades, buy_filled, sell_filled, worth - cost)
    require("buyers pay what sellers get, and no less", result.surplus >= 0, prices=prices)
    return result


def _require_one_order_each(book: OrderBook) -> None:
    participants, orders = np.unique(
        np.concatenate((book.buy.participant, book.sell.participant)), return_counts=True
    )
    if (orders > 1).any():
        most = int(orders.argmax())
        raise SeveralOrders(
            f"participant {participants[most]} has {orders[most]} orders: in a truthful auction "
            "each has one; join them"
        )


def _winners(book: OrderBook) -> tuple[_Winners, _Winners]:
    """The bids and offers ahead of the marginal ones; equal prices rank by row."""
    buy_rows, sell_rows = np.flatnonzero(book.buy.wh), np.flatnonzero(book.sell.wh)
    buy_rows = buy_rows[np.argsort(-book.buy.price[buy_rows], kind="stable")]
    sell_rows = sell_rows[np.argsort(book.sell.price[sell_rows], kind="stable")]
    bids, offers = book.buy.price[buy_rows], book.sell.price[sell_rows]
    demand, supply = np.cumsum(book.buy.wh[buy_rows]), np.cumsum(book.sell.wh[sell_rows])
    # Down to each bid, demand of bids as dear meets supply of offers not above it.
    reached = np.concatenate(([0], supply))[np.searchsorted(offers, bids, side="right")]
    volume = int(np.minimum(demand, reached).max(initial=0))
    if not volume:
        nobody = _Winners(np.zeros(0, dtype=np.int64), 0)
        return nobody, nobody
    last_bid, last_offer = np.searchsorted(demand, volume), np.searchsorted(supply, volume)
    return (
        _Winners(np.sort(buy_rows[:last_bid]), int(bids[last_bid])),
        _Winners(np.sort(sell_rows[:last_offer]), int(offers[last_offer])),
    )


def _given_up(total: int, most: IntColumn) -> IntColumn:
    """Divide `total` equally, nobody above its own `most`; Wh left over go to the lower rows.

    Args:
        total: from 0 to less than the sum of `most`.
        most: Wh by row, >= 0.

    >>> _given_up(1_800, np.array([1_000, 500, 2_000])).tolist()
    [650, 500, 650]
    >>> _given_up(5, np.array([9, 1, 9, 9])).tolist()
    [2, 1, 1, 1]
    """
    smallest_first = np.sort(most)
    others = len(most) - np.arange(len(most))
    before = np.cumsum(smallest_first) - smallest_first
    # The first whose all is more than its part of what those before it leave.
    able = int(np.argmax(before + smallest_first * others > total))
    equal = (total - int(before[able])) // int(others[able])
    parts = np.minimum(most, equal)
    left = total - exact_sum(parts)
    parts[np.flatnonzero(most > equal)[:left]] += 1
    return parts

"""One interval of a community, cleared: contracts first, then its rule, the rest to the supplier.

>>> from commonwatt.market.book import Book, Tariff
>>> from commonwatt.market.charter import charter_of
>>> from commonwatt.market.settings import settings_named
>>> from commonwatt.quantity import Currency
>>> tariff = Tariff(retail=24_000, feed_in=8_000, fee_local=3_000, fee_supplier=8_000)
>>> book = Book(need_wh=(600, 300, 0), offer_wh=(0, 0, 600), purse=(10**9,) * 3, limits=())
>>> charter = charter_of(settings_named("mid_market_rate"), Currency(), 3, 900)
>>> [tuple(trade[:4]) for trade in clear(charter, book, tariff, 0).trades]
[(2, 0, 400, 16000), (2, 1, 200, 16000)]
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from commonwatt.errors import require
from commonwatt.market.auction import auction
from commonwatt.market.book import (
    Book,
    Clearing,
    Tariff,
    Trade,
    affordable_wh,
    require_limits,
    require_sound,
)
from commonwatt.market.catalogue import PREFERENCE
from commonwatt.market.charter import Charter
from commonwatt.market.columns import column, sum_by_row
from commonwatt.market.contract import deliver
from commonwatt.market.grid import Place, common_level, fees_at, nearest_pairs
from commonwatt.market.keys import Key
from commonwatt.market.orders import ORDER_WH_MAX, OrderBook, Side
from commonwatt.market.price import local_price
from commonwatt.market.result import TradeColumns
from commonwatt.market.share import allocate, brought_in


class _Fees(NamedTuple):
    """What a Wh costs to bring, in one interval."""

    by_level: tuple[int, ...]
    places: tuple[Place, ...] | None

    def of(self, seller: int, buyer: int) -> int:
        """The fee between two members, in units per Wh."""
        if self.places is None:
            return self.by_level[-1]
        return self.by_level[common_level(self.places[seller], self.places[buyer])]

    @property
    def highest(self) -> int:
        """What a buyer must be able to pay whoever sells to it."""
        return max(self.by_level)


def clear(
    charter: Charter, book: Book, tariff: Tariff, start: int, shares: Sequence[int] = ()
) -> Clearing:
    """Clear an interval by a community's settings, and check it before anybody relies on it.

    Args:
        charter: the community's settings.
        book: what its members need and offer.
        tariff: the prices around it, outside all hours of other grid fees.
        start: UTC second at which the interval starts.
        shares: the organiser's for this interval, by member; see `Charter.key_at`.

    Raises:
        LimitsUnusable: the book's limit prices are not what the rule needs.
        SettingsUnusable, AllocationKeyUnusable: the shares are not what the key needs.
        InvariantBroken: the result is not sound.
    """
    require_limits(book, needed=charter.rule.needs_limits)
    key = charter.key_at(start, shares)
    fees = _fees(charter, tariff, start)
    part = replace(
        book,
        need_wh=_taking_part(book.need_wh, key),
        offer_wh=_taking_part(book.offer_wh, key),
    )
    delivered = deliver(charter.contracts, part.need_wh, part.offer_wh, part.purse, fees.of, start)
    left = replace(part, need_wh=delivered.need, offer_wh=delivered.offer, purse=delivered.purse)
    if charter.rule.needs_limits:
        trades = _auctioned(charter, left, fees)
    else:
        trades = _shared(charter, key, left, tariff, fees)
    return _sound(charter, book, [*delivered.trades, *trades])


def tariff_at(charter: Charter, tariff: Tariff, start: int) -> Tariff:
    """The tariff with the supplier's grid fee of an interval's hour, where fees have hours."""
    if charter.grid is None:
        return tariff
    return replace(tariff, fee_supplier=fees_at(charter.grid, tariff.fee_supplier, start)[-1])


def _taking_part(wh: Sequence[int], key: Key) -> tuple[int, ...]:
    """Each member's percentage; what no order can be for is the supplier's, and stops no close."""
    part = brought_in(column(wh), key.percent)
    return tuple(np.minimum(part, ORDER_WH_MAX).tolist())


def _fees(charter: Charter, tariff: Tariff, start: int) -> _Fees:
    if charter.grid is None:
        return _Fees((tariff.fee_local,), None)
    return _Fees(fees_at(charter.grid, tariff.fee_supplier, start), charter.places)


def _shared(charter: Charter, key: Key, book: Book, tariff: Tariff, fees: _Fees) -> Iterator[Trade]:
    """Everybody trades at the community's price; an allocation key says how much.

    Source of the mid-market rate: Long et al., "Peer-to-peer energy trading in a community
    microgrid" (2017); its surplus or deficit is traded with the supplier, not averaged into one
    price. The price is rounded down to a whole unit.
    """
    given, taken = sum(book.offer_wh), sum(book.need_wh)
    found = local_price(
        charter.rule_name, tariff.retail, tariff.feed_in, given, taken, fixed=charter.fixed_price
    )
    unit_cost = found.price + fees.highest
    wishes = zip(book.need_wh, book.purse, strict=True)
    wanted = [affordable_wh(need, purse, unit_cost) for need, purse in wishes]
    dealt = allocate(key, column(wanted), column(book.offer_wh), 0)
    pairs: Iterable[tuple[int, int, int]] | None = dealt.pairs
    if pairs is None:
        pairs = nearest_pairs(dealt.sold.tolist(), dealt.bought.tolist(), fees.places)
    return _at_one_price(pairs, found.price, charter.rule.number, fees)


def _at_one_price(
    pairs: Iterable[tuple[int, int, int]], price: int, rule: int, fees: _Fees
) -> Iterator[Trade]:
    for seller, buyer, wh in pairs:
        yield Trade(seller, buyer, wh, price, fees.of(seller, buyer), rule)


def _auctioned(charter: Charter, book: Book, fees: _Fees) -> Iterator[Trade]:
    """An auction over standing limits, one order for each member.

    A purse limits a bid at the most that the bid could have to pay.
    """
    preferences = charter.preferences
    premium = [0] * len(book.need_wh) if preferences is None else preferences.premium.tolist()
    buys, sells = [], []
    wishes = zip(book.need_wh, book.offer_wh, book.purse, book.limits, premium, strict=True)
    for member, (need, offer, purse, limits, extra) in enumerate(wishes):
        wanted = affordable_wh(need, purse, limits.bid + extra + fees.highest)
        if wanted:
            buys.append((member, wanted, limits.bid))
        if offer:
            sells.append((member, offer, limits.ask))
    orders = OrderBook(Side.of(buys), Side.of(sells))
    buyers, sellers = orders.buy.participant, orders.sell.participant
    preferred = None if preferences is None else preferences.of(buyers, sellers)
    result = auction(orders, charter.terms, preferred)
    number, first = charter.rule.number, result.preferred
    own_price = list(result)[: first if result.price is not None else None]
    for at, trade in enumerate(own_price):
        seller, buyer = int(sellers[trade.sell]), int(buyers[trade.buy])
        rule = PREFERENCE if at < first else number
        yield Trade(seller, buyer, trade.wh, trade.price, fees.of(seller, buyer), rule)
    if result.price is not None:
        # At one price it is open who trades with whom: neighbours do, for the sake of the fees.
        main = TradeColumns(*(part[first:] for part in result.trades))
        members = len(book.need_wh)
        sold = sum_by_row(sellers[main.sell], main.wh, members).tolist()
        bought = sum_by_row(buyers[main.buy], main.wh, members).tolist()
        pairs = nearest_pairs(sold, bought, fees.places)
        yield from _at_one_price(pairs, result.price, number, fees)


def _sound(charter: Charter, book: Book, trades: Iterable[Trade]) -> Clearing:
    """What is alike made one trade, in order; checked."""
    volumes: dict[Trade, int] = {}
    for trade in trades:
        alike = trade._replace(wh=0)
        volumes[alike] = volumes.get(alike, 0) + trade.wh
    ordered = tuple(sorted(alike._replace(wh=wh) for alike, wh in volumes.items()))
    moved = sum(trade.wh for trade in ordered)
    paid = sum(trade.wh * trade.price for trade in ordered)
    clearing = Clearing(charter.rule_name, paid // moved if moved else 0, ordered)
    require_sound(clearing, book)
    _require_limits_kept(charter, book, ordered)
    return clearing


def _require_limits_kept(charter: Charter, book: Book, trades: Iterable[Trade]) -> None:
    """Raise `InvariantBroken` if an auction went beyond a standing limit."""
    for trade in trades:
        if trade.rule not in {charter.rule.number, PREFERENCE} or not book.limits:
            continue
        bid, ask = book.limits[trade.buyer].bid, book.limits[trade.seller].ask
        if trade.rule == PREFERENCE and charter.preferences is not None:
            bid += int(charter.preferences.premium[trade.buyer])
        require("no buyer above its limit", trade.price <= bid, trade=trade, bid=bid)
        require("no seller below its limit", trade.price >= ask, trade=trade, ask=ask)

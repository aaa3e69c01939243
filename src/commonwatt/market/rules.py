"""Clearing rules by name.

>>> from commonwatt.market.book import Book, Tariff
>>> tariff = Tariff(retail=24_000, feed_in=8_000, fee_local=3_000, fee_supplier=8_000)
>>> book = Book(need_wh=(600, 300, 0), offer_wh=(0, 0, 600), purse=(10**9,) * 3, limits=())
>>> [tuple(trade) for trade in clear("mid_market_rate", book, tariff).trades]
[(2, 0, 400, 16000), (2, 1, 200, 16000)]
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from commonwatt.errors import InputError
from commonwatt.market.book import (
    Book,
    Clearing,
    Tariff,
    Trade,
    affordable_wh,
    require_limits,
    require_sound,
)
from commonwatt.quantity import side_by_side, split_exactly

_Ranked = tuple[int, int]
"""An order's rank, lower first, and its Wh."""


class RuleUnknown(InputError):
    """No clearing rule has this name."""


class Rule(NamedTuple):
    """A clearing rule and the number that stands for it in a statement's header."""

    number: int
    clear: Callable[[Book, Tariff], Clearing]
    needs_limits: bool


def mid_market_rate(book: Book, tariff: Tariff) -> Clearing:
    """Everybody trades at the middle of retail and feed-in; the short side is served in full.

    The long side shares in proportion to need or offer (dynamic pro rata). The price is rounded
    down to a whole unit. Source: mid-market rate in Zhou, Wu, Long, "Evaluation of peer-to-peer
    energy sharing mechanisms", Applied Energy 222 (2018), with its surplus or deficit left to the
    supplier as trades of their own instead of averaged into one price.
    """
    price = (tariff.retail + tariff.feed_in) // 2
    unit_cost = price + tariff.fee_local
    wishes = zip(book.need_wh, book.purse, strict=True)
    wanted = [affordable_wh(need, purse, unit_cost) for need, purse in wishes]
    volume = min(sum(wanted), sum(book.offer_wh))
    bought, sold = split_exactly(volume, wanted), split_exactly(volume, book.offer_wh)
    return _at_one_price("mid_market_rate", price, sold, bought)


def uniform_price(book: Book, tariff: Tariff) -> Clearing:
    """Call auction over standing limits: one price, midway between the last matched bid and offer.

    Bids are served from the dearest, offers from the cheapest, as long as the bid is not below the
    offer; orders at the marginal price share in proportion to their size. The price is rounded
    down to a whole unit. A purse limits a bid at the bid's own price, which is never below the
    price paid.
    """
    wanted = [
        affordable_wh(need, purse, limit.bid + tariff.fee_local)
        for need, purse, limit in zip(book.need_wh, book.purse, book.limits, strict=True)
    ]
    bids = [(-limit.bid, wh) for limit, wh in zip(book.limits, wanted, strict=True)]
    asks = [(limit.ask, wh) for limit, wh in zip(book.limits, book.offer_wh, strict=True)]
    volume, last_bid, last_ask = _cross(bids, asks)
    bought = _serve(volume, bids)
    sold = _serve(volume, asks)
    return _at_one_price("uniform_price", (last_ask - last_bid) // 2, sold, bought)


def _cross(bids: Sequence[_Ranked], asks: Sequence[_Ranked]) -> tuple[int, int, int]:
    """Volume, last matched -bid and last matched ask, from (rank, Wh) pairs; lower rank first."""
    buyers = sorted(pair for pair in bids if pair[1])
    sellers = sorted(pair for pair in asks if pair[1])
    volume = last_bid = last_ask = 0
    buyer = seller = 0
    bid_left = ask_left = 0
    while True:
        if not bid_left:
            if buyer == len(buyers):
                break
            bid, bid_left = buyers[buyer]
            buyer += 1
        if not ask_left:
            if seller == len(sellers):
                break
            ask, ask_left = sellers[seller]
            seller += 1
        if -bid < ask:
            break
        matched = min(bid_left, ask_left)
        volume, last_bid, last_ask = volume + matched, bid, ask
        bid_left -= matched
        ask_left -= matched
    return volume, last_bid, last_ask


def _serve(volume: int, orders: Sequence[_Ranked]) -> list[int]:
    """Wh per order: better ranks in full, the marginal rank shares what is left pro rata."""
    served = [0] * len(orders)
    for rank in sorted({rank for rank, wh in orders if wh}):
        level = [index for index, order in enumerate(orders) if order[0] == rank]
        sizes = [orders[index][1] for index in level]
        taken = min(volume, sum(sizes))
        for index, share in zip(level, split_exactly(taken, sizes), strict=True):
            served[index] = share
        volume -= taken
        if not volume:
            break
    return served


def _at_one_price(rule: str, price: int, sold: Sequence[int], bought: Sequence[int]) -> Clearing:
    trades = tuple(Trade(*pair, price) for pair in side_by_side(sold, bought))
    return Clearing(rule, price if trades else 0, trades)


RULES = {
    "mid_market_rate": Rule(1, mid_market_rate, needs_limits=False),
    "uniform_price": Rule(2, uniform_price, needs_limits=True),
}


def rule_named(name: str) -> Rule:
    """The rule of this name; `RuleUnknown` lists the ones there are."""
    try:
        return RULES[name]
    except KeyError:
        raise RuleUnknown(f"no clearing rule {name!r}: use one of {', '.join(RULES)}") from None


def clear(name: str, book: Book, tariff: Tariff) -> Clearing:
    """Clear a book under a named rule, and check the result before anybody relies on it.

    Raises:
        RuleUnknown: where there is no such rule.
        LimitsUnusable: where the book's limit prices are not what the rule needs.
        InvariantBroken: where the rule's result is not sound.
    """
    rule = rule_named(name)
    require_limits(book, needed=rule.needs_limits)
    clearing = rule.clear(book, tariff)
    require_sound(clearing, book, tariff)
    return clearing

"""What goes into a clearing and what comes out of it."""

from dataclasses import dataclass
from typing import NamedTuple

from commonwatt.errors import InputError, require
from commonwatt.quantity import PRICE_PER_WH_MAX


class TariffUnusable(InputError):
    """Prices under which a local market makes no sense."""


class LimitsUnusable(InputError):
    """Limit prices that a rule does not ask for, or that nobody can trade at."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """The prices around the community, in whole units per Wh."""

    retail: int
    """What the supplier asks for a Wh, without grid fee."""
    feed_in: int
    """What the supplier pays for a Wh."""
    fee_local: int
    """What the grid operator gets from the buyer per Wh traded inside the community."""
    fee_supplier: int
    """What the grid operator gets per Wh bought from the supplier."""

    def __post_init__(self) -> None:
        """Refuse negative prices and a feed-in price above retail."""
        for name in ("retail", "feed_in", "fee_local", "fee_supplier"):
            value = getattr(self, name)
            if not 0 <= value <= PRICE_PER_WH_MAX:
                raise TariffUnusable(f"{name} of {value} units per Wh: use 0 to {PRICE_PER_WH_MAX}")
        if self.feed_in > self.retail:
            raise TariffUnusable(
                f"the feed-in price {self.feed_in} is above retail {self.retail}: "
                "everybody would sell to the supplier and buy back; lower it"
            )


class Limits(NamedTuple):
    """A member's standing limit prices, in units per Wh, without grid fee."""

    bid: int
    """Pays at most this for local energy."""
    ask: int
    """Sells locally for at least this."""


@dataclass(frozen=True, slots=True)
class Book:
    """One interval's wishes, by member index."""

    need_wh: tuple[int, ...]
    """What each member took from the street and may buy locally."""
    offer_wh: tuple[int, ...]
    """What each member gave to the street and may sell locally."""
    purse: tuple[int, ...]
    """What each member can pay for local energy, in units; nobody buys beyond it."""
    limits: tuple[Limits, ...]
    """Standing limit prices; empty where the rule needs none."""


class Trade(NamedTuple):
    """One member's energy sold to another within one interval."""

    seller: int
    buyer: int
    wh: int
    price: int
    """Units per Wh, without grid fee."""
    fee: int
    """What the grid operator gets from the buyer, in units per Wh."""
    rule: int
    """Number of what brought the two together; see `catalogue`."""


@dataclass(frozen=True, slots=True)
class Clearing:
    """What a rule made of a book."""

    rule: str
    price: int
    """The local price in units per Wh, where trades differ their mean by Wh, rounded down; 0 where
    nothing was traded."""
    trades: tuple[Trade, ...]
    """By seller, buyer, and the rest of a trade."""


def require_limits(book: Book, *, needed: bool) -> None:
    """Raise `LimitsUnusable` unless there is one usable pair for each member, or none at all."""
    expected = len(book.need_wh) if needed else 0
    if len(book.limits) != expected:
        raise LimitsUnusable(
            f"{len(book.limits)} pairs of limit prices where the rule takes {expected}"
        )
    for member, limits in enumerate(book.limits):
        if not 0 <= min(limits) <= max(limits) <= PRICE_PER_WH_MAX:
            raise LimitsUnusable(
                f"limit prices of member {member}, {tuple(limits)}: use 0 to {PRICE_PER_WH_MAX}"
            )


def affordable_wh(need_wh: int, purse: int, unit_cost: int) -> int:
    """As much of a need as the purse pays for at `unit_cost` units per Wh."""
    return need_wh if need_wh * unit_cost <= purse else purse // unit_cost


def require_sound(clearing: Clearing, book: Book) -> None:
    """Raise `InvariantBroken` unless nobody trades beyond need, offer or purse, or with itself."""
    bought, sold = [0] * len(book.need_wh), [0] * len(book.offer_wh)
    cost = [0] * len(book.need_wh)
    for trade in clearing.trades:
        require("a trade moves energy", trade.wh > 0, trade=trade)
        require("nobody trades with itself", trade.buyer != trade.seller, trade=trade)
        bought[trade.buyer] += trade.wh
        sold[trade.seller] += trade.wh
        cost[trade.buyer] += trade.wh * (trade.price + trade.fee)
    for member, need in enumerate(book.need_wh):
        require("nobody buys beyond its need", bought[member] <= need, member=member)
        offered = sold[member] <= book.offer_wh[member]
        require("nobody sells beyond its offer", offered, member=member)
        require("nobody buys beyond its purse", cost[member] <= book.purse[member], member=member)

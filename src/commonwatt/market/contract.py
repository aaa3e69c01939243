"""Long-term contracts: what a member sells another at a fixed price, before any other rule.

>>> roof = Contract(seller=0, buyer=1, price=12_000, first=0, end=900, share=SHARE_ONE // 2)
>>> delivered = deliver([roof], (0, 400), (600, 0), (0, 10**9), lambda seller, buyer: 3_440, 0)
>>> delivered.trades
(Trade(seller=0, buyer=1, wh=300, price=12000, fee=3440, rule=101),)
>>> delivered.need, delivered.offer, delivered.purse
((0, 100), (300, 0), (0, 995368000))
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from commonwatt.errors import InputError, require
from commonwatt.market.book import Trade, affordable_wh
from commonwatt.market.catalogue import CONTRACT
from commonwatt.market.keys import SHARE_ONE
from commonwatt.market.orders import ORDER_WH_MAX
from commonwatt.quantity import PRICE_PER_WH_MAX, TIME_MAX, time_text


class ContractUnusable(InputError):
    """A contract that cannot be delivered as it is written."""


@dataclass(frozen=True, slots=True)
class Contract:
    """One member's promise to sell to another at a fixed price, up to a volume or a share."""

    seller: int
    """Member index."""
    buyer: int
    """Member index."""
    price: int
    """Units per Wh, without grid fee."""
    first: int
    """UTC second; intervals that start from then on."""
    end: int
    """UTC second; intervals that start before it."""
    volume_wh: int | None = None
    """The most per interval, in Wh."""
    share: int | None = None
    """Parts of `SHARE_ONE` of what the seller has to offer in an interval."""

    def __post_init__(self) -> None:
        """Refuse what nobody could deliver; raises `ContractUnusable`."""
        for member in (self.seller, self.buyer):
            self._require_whole("member", member, 0, 2**32)
        if self.seller == self.buyer:
            raise ContractUnusable(f"{self}: nobody sells to itself; name another buyer")
        self._require_whole("price", self.price, 0, PRICE_PER_WH_MAX)
        self._require_whole("first", self.first, 0, TIME_MAX)
        self._require_whole("end", self.end, 0, TIME_MAX)
        if self.end <= self.first:
            raise ContractUnusable(
                f"{self}: ends at {self.end}, before it begins at {self.first}; correct one"
            )
        if (self.volume_wh is None) == (self.share is None):
            raise ContractUnusable(f"{self}: give either volume_wh or share, one of them")
        if self.volume_wh is not None:
            self._require_whole("volume_wh", self.volume_wh, 1, ORDER_WH_MAX)
        if self.share is not None:
            self._require_whole("share", self.share, 1, SHARE_ONE)

    def __str__(self) -> str:
        return f"the contract of members {self.seller} and {self.buyer}"

    def in_force(self, start: int) -> bool:
        """Whether an interval that starts at this UTC second is under the contract."""
        return self.first <= start < self.end

    def promised_wh(self, offer_wh: int) -> int:
        """The most it moves out of an offer, before anything was sold; a share is rounded down."""
        return self.volume_wh or offer_wh * (self.share or 0) // SHARE_ONE

    def _require_whole(self, name: str, value: int, least: int, most: int) -> None:
        if type(value) is not int or not least <= value <= most:
            raise ContractUnusable(f"{self}: {name} is {value!r}, use {least} to {most}")


@dataclass(frozen=True, slots=True)
class Delivered:
    """What contracts moved in one interval, and what is left for the rules after them."""

    trades: tuple[Trade, ...]
    """In the order of signing, at most one per contract."""
    need: tuple[int, ...]
    """Wh, by member."""
    offer: tuple[int, ...]
    """Wh, by member."""
    purse: tuple[int, ...]
    """Units, by member; what a seller earns is not spent again in the same interval."""


def require_usable(contracts: Sequence[Contract], members: int) -> None:
    """Raise `ContractUnusable` unless all parties are members and no offer is promised twice."""
    for contract in contracts:
        known = max(contract.seller, contract.buyer) < members
        if not known:
            raise ContractUnusable(f"{contract}: there are only members 0 to {members - 1}")
    for seller in sorted({contract.seller for contract in contracts}):
        _require_shares(seller, [each for each in contracts if each.seller == seller])


def _require_shares(seller: int, contracts: Iterable[Contract]) -> None:
    # Those that end come before those that begin at the same second: time is half-open.
    changes = sorted(
        change
        for contract in contracts
        for change in (
            (contract.first, contract.share or 0),
            (contract.end, -(contract.share or 0)),
        )
    )
    promised = 0
    for moment, change in changes:
        promised += change
        if promised > SHARE_ONE:
            raise ContractUnusable(
                f"member {seller} promises {promised} of {SHARE_ONE} parts of its offer from "
                f"{time_text(moment)}: lower a share"
            )


def deliver(  # noqa: PLR0917 - three columns of a book, one question, one time
    contracts: Sequence[Contract],
    need: Sequence[int],
    offer: Sequence[int],
    purse: Sequence[int],
    fee_of: Callable[[int, int], int],
    start: int,
) -> Delivered:
    """Deliver the contracts in force, in the order in which they were signed.

    The earlier contract comes first, so that no later one takes anything from it: whoever signs
    can see what was promised before, and rely on the rest. A share is of what the seller has to
    offer at the beginning of the interval, so it does not depend on the order. Local trades are
    paid in full or not made: a purse limits them at price and grid fee.

    Args:
        contracts: in the order of signing.
        need: Wh each member may buy.
        offer: Wh each member may sell.
        purse: units each member can spend, >= 0.
        fee_of: grid fee in units per Wh for a seller and a buyer.
        start: UTC second at which the interval starts.

    Raises:
        ContractUnusable: where a party is not a member, or a seller promises more than it has.
    """
    current = [contract for contract in contracts if contract.in_force(start)]
    require_usable(current, len(need))
    needed, offered, funds = list(need), list(offer), list(purse)
    trades, cost = [], 0
    for contract in current:
        seller, buyer = contract.seller, contract.buyer
        fee = fee_of(seller, buyer)
        unit_cost = contract.price + fee
        wanted = min(contract.promised_wh(offer[seller]), needed[buyer], offered[seller])
        wh = affordable_wh(wanted, funds[buyer], unit_cost)
        if wh:
            trades.append(Trade(seller, buyer, wh, contract.price, fee, CONTRACT))
            needed[buyer] -= wh
            offered[seller] -= wh
            funds[buyer] -= wh * unit_cost
            cost += wh * unit_cost
    delivered = Delivered(tuple(trades), tuple(needed), tuple(offered), tuple(funds))
    volume = sum(trade.wh for trade in trades)
    _require_conserved("need", need, delivered.need, volume)
    _require_conserved("offer", offer, delivered.offer, volume)
    _require_conserved("purse", purse, delivered.purse, cost)
    return delivered


def _require_conserved(what: str, before: Sequence[int], after: Sequence[int], moved: int) -> None:
    require(f"contracts take from each {what} what they move", sum(before) - sum(after) == moved)
    require(f"no {what} falls below zero", min(after, default=0) >= 0, least=min(after, default=0))

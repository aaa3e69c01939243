"""Automatic matching: which of a buyer's units to retire for which of its consumptions.

Each consumption takes from the sources in their order: own production, contracts, the community,
then the market. Only units the buyer holds count; they were produced within the consumption (R20),
in its zone or across a border rule with capacity left (R21), and have not expired (R22). Within one
source every bundle gives in proportion to what it has, to the last Wh (R16).

Shorter consumptions choose first, since fewer units fit them: so no Wh stays unmatched only because
a longer consumption, which could have used others, was served before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from commonwatt.certificate.actions import Retire
from commonwatt.certificate.bundle import Bundle, Origin, Status
from commonwatt.certificate.context import Context, Scheme, same_hour
from commonwatt.certificate.state import Consumption, State
from commonwatt.quantity import SECONDS_PER_HOUR, split_exactly

PURPOSE = "consumption of the same interval"
"""What a proposal says it is for, unless told otherwise."""


class Own(NamedTuple):
    """What the buyer's own devices produced, storage included."""


class Contract(NamedTuple):
    """What came from the other side of a contract."""

    parties: frozenset[bytes]
    """Its accounts, as first holders of the units, or single meters of it."""


class Community(NamedTuple):
    """What was produced in a zone."""

    zone: str


class Market(NamedTuple):
    """Everything else the buyer holds."""


Source: TypeAlias = Own | Contract | Community | Market


class Period(NamedTuple):
    """The half-open time `[start, end)` in UTC seconds; an interval is in it if it starts in it."""

    start: int
    end: int


def propose(
    state: State,
    scheme: Scheme,
    buyer: bytes,
    sources: Sequence[Source],
    period: Period,
    *,
    now: int,
    purpose: str = PURPOSE,
) -> tuple[Retire, ...]:
    """Which units to retire for the buyer's open consumptions of a period.

    Args:
        state: the book's; it is only read.
        scheme: the book's.
        buyer: account that holds the units, owns the consumptions and will act, 20 bytes.
        sources: best first; a bundle belongs to the first one that names it, to none if none does.
        period: which consumptions.
        now: UTC second at which the proposals will be carried out: what expired by then is no use.
        purpose: what the retirements say they are for.

    Returns:
        Actions for the buyer to sign, to be carried out in this order with no other entry between
        them: a bundle used in part is divided, and a later action names the rest by the number it
        will have. None of them will be refused. If another entry came first, propose again.
    """
    stock = _Stock(Context(state, scheme, buyer, now, 0), sources)
    proposals: list[Retire] = []
    for found in consumptions_of(state, buyer, period):
        left = found.wh - found.matched_wh
        for rank in range(len(sources) if left else 0):
            for number, wh in stock.take(found, rank, left):
                proposals.append(_retire(number, wh, found, purpose))
                left -= wh
    return tuple(proposals)


def consumptions_of(state: State, buyer: bytes, period: Period) -> list[Consumption]:
    """What an account consumed in a period and was not withdrawn: shortest first, then by time."""
    mine = (
        found
        for found in state.consumptions.values()
        if found.owner == buyer
        and not found.revoked
        and period.start <= found.origin.start < period.end
    )
    return sorted(mine, key=lambda found: _by_length(found.origin))


@dataclass(slots=True)
class _Pile:
    """What is left of one bundle while proposals are made."""

    number: int
    """The bundle's; once it was divided, of the part that is left."""
    origin: Origin
    zone: str
    wh: int


class _Stock:
    """All the buyer could retire, by hour and source, less what is proposed so far."""

    def __init__(self, context: Context, sources: Sequence[Source]) -> None:
        self._state = context.state
        self._next = len(context.state.bundles)
        """Number of the next bundle that a division makes."""
        self._piles: dict[tuple[int, int], list[_Pile]] = {}
        self._used: dict[tuple[str, str, int, int], int] = {}
        """Per border rule what is proposed so far."""
        for bundle in _usable(context):
            device = self._state.devices[bundle.origin.meter]
            rank = _rank(context, sources, bundle, device.zone)
            if rank is not None:
                pile = _Pile(bundle.number, bundle.origin, device.zone, bundle.wh)
                self._piles.setdefault((_hour(bundle.origin), rank), []).append(pile)

    def take(self, found: Consumption, rank: int, wanted: int) -> list[tuple[int, int]]:
        """Up to `wanted` Wh of one source for a consumption: bundle numbers and Wh, in order."""
        piles = [
            pile
            for pile in self._piles.get((_hour(found.origin), rank), ())
            if pile.wh and same_hour(pile.origin, found.origin)
        ]
        within = self._within_borders(piles, found)
        shares = split_exactly(min(wanted, sum(within)), within)
        taken = []
        for pile, wh in zip(piles, shares, strict=True):
            if wh:
                self._use_border(pile.zone, found, wh)
                taken.append((self._cut(pile, wh), wh))
        return taken

    def _within_borders(self, piles: Sequence[_Pile], found: Consumption) -> list[int]:
        """R21: what each pile can give; piles of one other zone share what its border lets in."""
        within = [pile.wh for pile in piles]
        for zone in {pile.zone for pile in piles if pile.zone != found.zone}:
            rows = [row for row, pile in enumerate(piles) if pile.zone == zone]
            offered = [within[row] for row in rows]
            let_in = min(self._border_left(zone, found), sum(offered))
            for row, wh in zip(rows, split_exactly(let_in, offered), strict=True):
                within[row] = wh
        return within

    def _border_left(self, zone: str, found: Consumption) -> int:
        key = _border(zone, found)
        capacity, used = self._state.borders.get(key, (0, 0))
        return capacity - used - self._used.get(key, 0)

    def _use_border(self, zone: str, found: Consumption, wh: int) -> None:
        if zone != found.zone:
            key = _border(zone, found)
            self._used[key] = self._used.get(key, 0) + wh

    def _cut(self, pile: _Pile, wh: int) -> int:
        """Take units from a pile; returns the number of the bundle to take them from."""
        number = pile.number
        pile.wh -= wh
        if pile.wh:
            # `State.cut` numbers the part that is retired first, then the rest.
            pile.number = self._next + 1
            self._next += 2
        return number


def _usable(context: Context) -> list[Bundle]:
    """R13, R14, R17, R22: what the actor could retire now, in an order no division changes."""
    state = context.state
    held = (state.bundles[number] for number in state.held.get(context.actor, ()))
    usable = (
        bundle
        for bundle in held
        if bundle.status is Status.ACTIVE and not context.is_expired(bundle.origin)
    )
    return sorted(usable, key=lambda bundle: (_by_length(bundle.origin), bundle.first))


def _rank(context: Context, sources: Sequence[Source], bundle: Bundle, zone: str) -> int | None:
    """The first source that a bundle belongs to."""
    origin = bundle.origin
    owner = context.state.issuances[origin].numbering(bundle.first).owner
    for rank, source in enumerate(sources):
        match source:
            case Own():
                belongs = owner == context.actor
            case Contract(parties):
                belongs = owner in parties or origin.meter in parties
            case Community(name):
                belongs = zone == name
            case Market():
                belongs = True
        if belongs:
            return rank
    return None


def _retire(number: int, wh: int, found: Consumption, purpose: str) -> Retire:
    meter, start, duration = found.origin
    return Retire(number, wh, found.owner.hex(), purpose, meter.hex(), start, duration)


def _border(zone: str, found: Consumption) -> tuple[str, str, int, int]:
    return zone, found.zone, found.origin.start, found.origin.duration


def _by_length(origin: Origin) -> tuple[int, int, bytes]:
    return origin.duration, origin.start, origin.meter


def _hour(origin: Origin) -> int:
    return origin.start // SECONDS_PER_HOUR

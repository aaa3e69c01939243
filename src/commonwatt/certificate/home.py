"""One home in one interval: what left its roofs and its batteries, and what went into these.

Behind a connection energy cannot be told apart, so what is not certain counts against a
certificate: what a battery gave out is what left the home first, and of that the part that had
gone in without certificates; what the home took from the grid went into its batteries first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from commonwatt.certificate.lots import draw, given_green_wh
from commonwatt.meter.acceptance import Accepted
from commonwatt.meter.record import CERTIFIABLE, CERTIFIABLE_KINDS, NOT_CERTIFIABLE, Record
from commonwatt.quantity import split_exactly

LOTS_MAX = 2_976
"""Charges that a battery's certificates are remembered of: a month of quarter hours."""
PERMILLE = 1_000


class Lot(NamedTuple):
    """What one charge may still give back with certificates (R24)."""

    start: int
    """Of the charge's interval, UTC second."""
    wh: int
    """Put in with certificates, less losses, less what came out since."""


Lots = Mapping[bytes, tuple[Lot, ...]]
"""By storage meter, oldest first."""


@dataclass(frozen=True, slots=True)
class Storage:
    """What certificates in batteries start from in an interval."""

    lots: Lots = field(default_factory=dict)
    permille: int = 0
    """Of a thousand Wh put in so many come out with certificates, as published (R24); 0: none."""


@dataclass(frozen=True, slots=True)
class Roof:
    """What one generator's certificates of the interval come to."""

    verdict: Accepted
    given_wh: int
    """Issued for what left the home."""
    put_wh: tuple[tuple[bytes, int], ...]
    """Issued for what went into batteries: storage meter and Wh."""


@dataclass(frozen=True, slots=True)
class Battery:
    """What one battery did in the interval, as its record tells."""

    verdict: Accepted
    charged_wh: int
    """Taken in within this very interval: 0 where the record does not show that."""
    given_wh: int
    """Of what came out, what left the home; 0 where it cannot be told."""
    green_wh: int
    """Of what left the home, what had gone in with certificates."""


class Store(NamedTuple):
    """A battery's record of the interval."""

    verdict: Accepted
    is_certain: bool
    """Whether it shows what was charged and discharged within this very interval (R4, R7)."""


@dataclass(slots=True)
class Home:
    """One member's meters behind its connection."""

    roofs: list[Accepted] = field(default_factory=list)
    """Generators whose records can be certified."""
    stores: list[Store] = field(default_factory=list)
    is_known: bool = True
    """Whether its grid meter and all its batteries told about this very interval."""

    @property
    def verdicts(self) -> tuple[Accepted, ...]:
        """Of all its generators and batteries."""
        return (*self.roofs, *(store.verdict for store in self.stores))

    def conclude(
        self, given_wh: int, imported_wh: int, storage: Storage, lots: dict[bytes, tuple[Lot, ...]]
    ) -> tuple[list[Roof], list[Battery]]:
        """What the home's certificates come to; `lots` are left as the interval leaves them.

        Args:
            given_wh: what its grid meter gave to others, net.
            imported_wh: what it took in.
            storage: what the interval starts from.
            lots: of all batteries; only this home's change.
        """
        given = given_wh if self.is_known else 0
        made = [verdict.export_wh for verdict in self.roofs]
        out = [store.verdict.export_wh for store in self.stores]
        by_stores = min(sum(out), given)
        stores = [
            _discharge(store, given_by, lots)
            for store, given_by in zip(self.stores, split_exactly(by_stores, out), strict=True)
        ]
        by_roofs = min(sum(made), given - by_stores)

        charged = [store.charged_wh for store in stores]
        put = 0
        if self.is_known and storage.permille:
            # What came from the grid, or out of another battery, is in there before any sun.
            sun_in = sum(charged) - imported_wh - sum(out)
            put = max(min(sun_in, sum(made) - by_roofs), 0)
        puts = split_exactly(put, charged)
        for store, wh in zip(stores, puts, strict=True):
            _charge(store.verdict, wh, storage.permille, lots)

        issues = split_exactly(by_roofs + put, made)
        into = _dealt(split_exactly(put, issues), stores, puts)
        roofs = [
            Roof(verdict, wh - sum(part for _, part in parts), parts)
            for verdict, wh, parts in zip(self.roofs, issues, into, strict=True)
        ]
        return roofs, stores


def _discharge(store: Store, given_wh: int, lots: dict[bytes, tuple[Lot, ...]]) -> Battery:
    """Draw on a battery's lots for all that came out, first in, first out (R24, R25)."""
    verdict = store.verdict
    meter, out = verdict.record.meter, verdict.export_wh
    before = lots.get(meter, ())
    drawn = draw([lot.wh for lot in before], out)
    left = (Lot(lot.start, lot.wh - wh) for lot, wh in zip(before, drawn, strict=True))
    lots[meter] = tuple(lot for lot in left if lot.wh)
    if not store.is_certain:
        return Battery(verdict, charged_wh=0, given_wh=0, green_wh=0)
    green = given_green_wh(out, given_wh, sum(drawn))
    return Battery(verdict, verdict.import_wh, given_wh, green)


def _charge(verdict: Accepted, wh: int, permille: int, lots: dict[bytes, tuple[Lot, ...]]) -> None:
    """Remember what a charge may give back, less losses (R24)."""
    record = verdict.record
    back = wh * permille // PERMILLE
    if back:
        lot = Lot(record.time_end - record.duration, back)
        lots[record.meter] = (*lots.get(record.meter, ()), lot)[-LOTS_MAX:]


def _dealt(
    of_roofs: Iterable[int], stores: Iterable[Battery], puts: Iterable[int]
) -> list[tuple[tuple[bytes, int], ...]]:
    """Which roof's units go into which battery: both filled up in their order."""
    meters, room = [store.verdict.record.meter for store in stores], list(puts)
    dealt = []
    for wanted in of_roofs:
        taken = draw(room, wanted)
        room = [left - wh for left, wh in zip(room, taken, strict=True)]
        dealt.append(tuple((m, wh) for m, wh in zip(meters, taken, strict=True) if wh))
    return dealt


def is_sound(record: Record) -> bool:
    """R4: measured or calculated, and nothing said against it; `Certificate.vy` asks the same."""
    return (
        record.kind in CERTIFIABLE_KINDS
        and bool(record.quality & CERTIFIABLE)
        and not record.quality & NOT_CERTIFIABLE
    )

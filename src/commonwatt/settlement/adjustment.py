"""Energy that became known after its interval was closed, at the prices of that interval.

A late record splits what was counted in one lump with the next record that came, or says what was
never counted; a correction moves what it changes from the next record's interval to its own, or
back. What has to be paid is the difference: the supplier's prices of the record's own
interval, less those with which the same energy was settled before. Neighbours' trades stay as they
are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from commonwatt.market.book import Tariff
from commonwatt.meter.acceptance import Late
from commonwatt.meter.registration import Registration, Role
from commonwatt.quantity import Interval

ADJUSTABLE_MAX = 672
"""Closed intervals that late records are taken for: a week of quarter hours."""


class SupplierPrices(NamedTuple):
    """What the supplier's energy cost in an interval, in units per Wh."""

    retail: int
    feed_in: int
    fee: int

    @classmethod
    def of(cls, tariff: Tariff) -> "SupplierPrices":
        """Those of an interval's tariff."""
        return cls(tariff.retail, tariff.feed_in, tariff.fee_supplier)


NO_PRICES = SupplierPrices(0, 0, 0)


class Due(NamedTuple):
    """What a member has to pay besides its interval; below zero it gets it back."""

    supplier: int = 0
    grid: int = 0

    @property
    def whole(self) -> int:
        """Both."""
        return self.supplier + self.grid


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What one late record, or correction, moves."""

    start: int
    """Of the interval the record is of."""
    meter: bytes
    member: int
    record: bytes
    """SHA-256 of the record."""
    import_wh: int
    """Of that interval, and not settled with it; below zero where a correction says less."""
    export_wh: int
    prices: SupplierPrices
    """Of that interval."""
    before: SupplierPrices
    """With which the same energy was settled before; `NO_PRICES` if it never was."""
    issued_wh: int
    """Certificates that the record brings its meter's owner."""

    @property
    def was_never_settled(self) -> bool:
        """Whether it is a home's energy that no interval counted before."""
        return self.prices != NO_PRICES and self.before == NO_PRICES

    @property
    def due(self) -> Due:
        """What it comes to."""
        now, before = self.prices, self.before
        return Due(
            supplier=self.import_wh * (now.retail - before.retail)
            - self.export_wh * (now.feed_in - before.feed_in),
            grid=self.import_wh * (now.fee - before.fee),
        )


class Prices:
    """The supplier's prices of the last closed intervals."""

    def __init__(self, interval: Interval, known: Sequence[SupplierPrices]) -> None:
        """Those of the intervals before one, oldest first."""
        self._interval, self._known = interval, known

    @property
    def since(self) -> int:
        """The end of the first interval that late records are taken for."""
        interval = self._interval
        return interval.end - len(self._known) * interval.duration

    def until(self, end: int) -> SupplierPrices:
        """Those of the interval that ends then; it is `since` or later."""
        return self._known[(end - self.since) // self._interval.duration]


def adjustments(
    late: Iterable[Late],
    registrations: Mapping[bytes, Registration],
    prices: Prices,
    issued: Mapping[bytes, int],
) -> list[Adjustment]:
    """What late records move, by interval and meter.

    Generators and batteries are not settled with the supplier: what their records show moves no
    money.

    Args:
        late: the records.
        registrations: by meter id.
        prices: of the closed intervals.
        issued: Wh of certificates by the digest of the record they come from.
    """
    found = []
    for verdict in late:
        record = verdict.record
        registration = registrations[record.meter]
        own = before = NO_PRICES
        if registration.role is Role.GRID:
            own = prices.until(record.time_end)
            until = verdict.counted_until
            before = NO_PRICES if until is None else prices.until(until)
        found.append(
            Adjustment(
                start=record.time_end - record.duration,
                meter=record.meter,
                member=registration.member,
                record=verdict.digest,
                import_wh=verdict.import_wh,
                export_wh=verdict.export_wh,
                prices=own,
                before=before,
                issued_wh=issued.get(verdict.digest, 0),
            )
        )
    return sorted(found, key=lambda one: (one.start, one.meter))


def dues(members: int, found: Iterable[Adjustment]) -> list[Due]:
    """What each member has to pay for adjustments."""
    sums = [Due()] * members
    for adjustment in found:
        before, due = sums[adjustment.member], adjustment.due
        sums[adjustment.member] = Due(before.supplier + due.supplier, before.grid + due.grid)
    return sums

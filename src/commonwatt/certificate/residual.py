"""The residual mix: what was produced and nobody can claim by a certificate (R27).

Per source and interval: production - issued + expired + withdrawn. What was retired was issued, and
is taken off with it, once. What was exported lives elsewhere and does not come back here.

Storage produces nothing. What a discharge was issued for left the residual mix with the
certificates that were put into the charge; it comes back only where the discharge's own units
expire or are withdrawn, as source 0, in the interval of the discharge. Losses, and what a home used
of its own battery, come back nowhere.

So every Wh produced is in the residual mix or behind one unit that is held, used or exported. Where
a correction came too late to take units back (R10), an interval has more units than energy and what
remains is below zero; the device's later issuances, withheld for that debt, make up for it there.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from commonwatt.certificate.bundle import LIVE, Origin, Status
from commonwatt.certificate.context import Context, Scheme
from commonwatt.certificate.matching import Period
from commonwatt.certificate.state import Issuance, State
from commonwatt.errors import InputError, require
from commonwatt.meter.registration import NO_SOURCE
from commonwatt.quantity import Interval

Production: TypeAlias = Mapping[tuple[int, Interval], int]
"""Per AIB technology code and interval all metered net production in Wh, certified or not."""


class ProductionUnusable(InputError):
    """Production that cannot be what certificates were issued from."""


class Residual(NamedTuple):
    """One source and interval, in Wh."""

    source: int
    """AIB technology code; 0 for storage."""
    interval: Interval
    production_wh: int
    """Metered; for storage, what was issued."""
    issued_wh: int
    expired_wh: int
    withdrawn_wh: int
    owed_wh: int
    """Of what was issued, what a correction found too much when it was gone already."""

    @property
    def wh(self) -> int:
        """What remains: below zero by no more than what is owed."""
        return self.production_wh - self.issued_wh + self.expired_wh + self.withdrawn_wh


def residual(
    state: State, scheme: Scheme, production: Production, period: Period, now: int
) -> tuple[Residual, ...]:
    """The residual mix of a period as it is at `now`, ascending by source and interval.

    Args:
        state: the book's.
        scheme: the book's.
        production: what all meters of a source produced. Its intervals may be longer than the
            certificates' but must hold them whole.
        period: all certificates whose intervals start in it are counted.
        now: UTC second: what has expired by then is back in the mix.

    Raises:
        ProductionUnusable: intervals of a source overlap or lie outside the period; an issuance of
            the period lies in none; or less was produced than its certificates' readings say.
    """
    starts = _require_usable(production, period)
    # What an outsider asks has no actor and makes no entry; only the time counts.
    context = Context(state, scheme, b"", now, 0)
    counted: dict[tuple[int, Interval], Counter[str]] = {key: Counter() for key in production}
    for origin, issuance in state.issuances.items():
        if period.start <= origin.start < period.end:
            source = state.devices[origin.meter].source
            key = source, _interval_of(source, origin, starts)
            counted.setdefault(key, Counter()).update(_count(context, issuance))
    return tuple(_rows(production, counted))


def _require_usable(production: Production, period: Period) -> dict[int, list[Interval]]:
    """Per source its intervals, ascending; R27: none counts a Wh twice."""
    starts: dict[int, list[Interval]] = {}
    for source, interval in sorted(production):
        before = starts.setdefault(source, [])
        where = f"production of source {source} at {interval.start_text}"
        if source == NO_SOURCE:
            raise ProductionUnusable(f"{where}: storage produces nothing, leave it out")
        if not period.start <= interval.start < interval.end <= period.end:
            raise ProductionUnusable(f"{where}: it is outside the period, leave it out")
        if before and before[-1].end > interval.start:
            raise ProductionUnusable(f"{where}: it overlaps the interval before, give each Wh once")
        if production[source, interval] < 0:
            raise ProductionUnusable(f"{where}: it is below zero, give net production of 0 or more")
        before.append(interval)
    return starts


def _interval_of(source: int, origin: Origin, starts: Mapping[int, list[Interval]]) -> Interval:
    """The interval whose production an issuance is part of; a discharge stands for itself."""
    own = Interval(origin.start, origin.duration)
    if source == NO_SOURCE:
        return own
    intervals = starts.get(source, [])
    at = bisect_right(intervals, own.start, key=lambda interval: interval.start) - 1
    if at < 0 or intervals[at].end < own.end:
        raise ProductionUnusable(
            f"certificates of source {source} at {own.start_text} for {own.duration} s: "
            "there is no production that holds this interval, add it"
        )
    return intervals[at]


def _count(context: Context, issuance: Issuance) -> dict[str, int]:
    """R22, R23: what became of an issuance's units, as far as the residual mix asks."""
    expired = withdrawn = 0
    for bundle in context.state.parts_of(issuance.origin):
        if bundle.status is Status.WITHDRAWN:
            withdrawn += bundle.wh
        elif bundle.status in LIVE and context.is_expired(bundle.origin):
            expired += bundle.wh
    return {
        "metered": issuance.metered_wh,
        "issued": issuance.issued_wh,
        "expired": expired,
        "withdrawn": withdrawn,
        "owed": issuance.owed_wh,
    }


def _rows(
    production: Production, counted: Mapping[tuple[int, Interval], Counter[str]]
) -> Iterator[Residual]:
    for key in sorted(counted):
        source, interval = key
        found = counted[key]
        made = production.get(key, found["issued"])
        if source != NO_SOURCE and made < found["metered"]:
            raise ProductionUnusable(
                f"production of source {source} at {interval.start_text}: {made} Wh, and "
                f"certificates were issued on readings of {found['metered']} Wh; give all of it"
            )
        row = Residual(
            source,
            interval,
            made,
            found["issued"],
            found["expired"],
            found["withdrawn"],
            found["owed"],
        )
        require("only what is owed is short", row.wh >= -row.owed_wh, row=row)
        require("no more remains than was produced", row.wh <= made, row=row)
        yield row

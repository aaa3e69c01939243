"""Interval energies from several streams put together: one reading per interval and source."""

from collections.abc import Iterable
from itertools import pairwise

from commonwatt.meter.driver.failure import ReadingsContradict, shown
from commonwatt.meter.driver.reading import IntervalReading, require_count
from commonwatt.quantity import time_text


def together(parts: Iterable[IntervalReading]) -> tuple[IntervalReading, ...]:
    """Intervals of one direction each, joined, in order of source and time.

    The same energy told twice counts once.

    Raises:
        ReadingsContradict: two energies for one interval, or intervals that overlap.
        MessageTooLarge: more than `READINGS_MAX`.
    """
    joined: dict[tuple[str, int, int], IntervalReading] = {}
    for part in parts:
        key = part.source, part.start, part.duration
        before = joined.get(key)
        joined[key] = part if before is None else _joined(before, part)
        require_count(len(joined))
    ordered = [joined[key] for key in sorted(joined)]
    for earlier, later in pairwise(ordered):
        if earlier.source == later.source and later.start < earlier.end:
            raise ReadingsContradict(
                f"{shown(later.source)}: intervals of {earlier.duration} s and "
                f"{later.duration} s overlap at {time_text(later.start)}: "
                "leave one of the two streams out"
            )
    return tuple(ordered)


def _joined(one: IntervalReading, other: IntervalReading) -> IntervalReading:
    return IntervalReading(
        source=one.source,
        start=one.start,
        duration=one.duration,
        import_mwh=_one_of(one, one.import_mwh, other.import_mwh),
        export_mwh=_one_of(one, one.export_mwh, other.export_mwh),
        quality=one.quality | other.quality,
        signed_by=one.signed_by,
    )


def _one_of(where: IntervalReading, one: int | None, other: int | None) -> int | None:
    if one is not None and other is not None and one != other:
        raise ReadingsContradict(
            f"{shown(where.source)} at {time_text(where.start)}: both {one} and {other} mWh: "
            "keep the one that is right"
        )
    return other if one is None else one

"""Axes: round numbers to mark on them, in whole Wh, whole units and whole local hours and days."""

from collections.abc import Sequence
from dataclasses import dataclass

from commonwatt.web.report.grouping import DAY_S, HOUR_S

STEPS_S = (
    *(60, 120, 300, 600, 900, 1_800),
    *(HOUR_S, 2 * HOUR_S, 3 * HOUR_S, 6 * HOUR_S, 12 * HOUR_S),
    *(DAY_S, 2 * DAY_S, 7 * DAY_S, 14 * DAY_S, 28 * DAY_S),
)
TIME_TICKS_MAX = 9
VALUE_TICKS_MAX = 5


def value_ticks(highest: int, scale: int = 1) -> tuple[int, ...]:
    """Round numbers from 0 up to the first one that reaches `highest`.

    `scale` is how many of what is counted make up one of what the axis shows; an axis of nothing
    reaches one of those.

    >>> value_ticks(7_300), value_ticks(30_000), value_ticks(0, 1_000)
    ((0, 2000, 4000, 6000, 8000), (0, 10000, 20000, 30000), (0, 1000))
    """
    if highest <= 0:
        return (0, scale)
    power = 1
    while True:
        for round_number in (1, 2, 5):
            step = round_number * power
            count = -(-highest // step)
            if count < VALUE_TICKS_MAX:
                return tuple(step * index for index in range(count + 1))
        power *= 10


@dataclass(frozen=True, slots=True)
class TimeTick:
    """A mark on the axis of time."""

    at: int
    """UTC seconds."""
    local_s: int
    """Local seconds: what a clock on the wall shows, counted like UTC seconds."""
    in_days: bool
    """The label is a date, not a time of day."""
    narrow: bool
    """Keep the label where there is little room."""


def time_ticks(start: int, end: int, utc_offset_s: int) -> tuple[TimeTick, ...]:
    """At most nine marks at round local times in `[start, end]`; every second one is narrow."""
    length = end - start
    steps = list(STEPS_S)
    for step in steps:
        if length // step < TIME_TICKS_MAX:
            break
        if step == steps[-1]:
            steps.append(2 * step)
    # Days are counted from the first midnight in the run, hours from any.
    round_s = min(step, DAY_S)
    first = -(-(start + utc_offset_s) // round_s) * round_s
    locals_s = range(first, end + utc_offset_s + 1, step)
    # Counted from midnight or from the first mark, so that a day keeps 00, 06, 12, 18 and 24.
    origin = first - first % DAY_S if step < DAY_S else first
    return tuple(
        TimeTick(
            at=local - utc_offset_s,
            local_s=local,
            in_days=step >= DAY_S or (length > DAY_S and local % DAY_S == 0),
            narrow=(local - origin) // step % 2 == 0,
        )
        for local in locals_s
    )


def percentile(values: Sequence[float], per_cent: int) -> float:
    """The smallest value that at least `per_cent` of 100 values do not exceed (nearest rank).

    >>> percentile([4.0, 1.0, 3.0, 2.0], 50)
    2.0
    """
    ordered = sorted(values)
    rank = -(-len(ordered) * per_cent // 100)
    return ordered[max(rank, 1) - 1]

"""Long runs in few points: intervals summed per hour, part of a day, day or week of local time."""

from collections.abc import Sequence
from dataclasses import dataclass

HOUR_S = 3_600
DAY_S = 86_400
POINTS_MAX = 200
"""More points than this cannot be told apart on a page."""

SPANS_S = (HOUR_S, 2 * HOUR_S, 3 * HOUR_S, 6 * HOUR_S, 12 * HOUR_S, DAY_S, 7 * DAY_S, 28 * DAY_S)
"""Lengths tried one after another; beyond the last one it is doubled."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The intervals that one point of a chart stands for."""

    start: int
    """UTC seconds."""
    end: int
    """UTC seconds, not included."""
    first: int
    """Index of the first interval."""
    stop: int
    """Index after the last interval."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """How the intervals of a run are put together for the charts."""

    span_s: int
    """Nominal length of a bucket in seconds: the interval itself when nothing was summed."""
    buckets: tuple[Bucket, ...]
    """In time order; none is empty."""

    def sums(self, values: Sequence[int]) -> tuple[int, ...]:
        """The values of the intervals, one per interval, summed per bucket."""
        return tuple(sum(values[b.first : b.stop]) for b in self.buckets)


def group(starts: Sequence[int], interval_s: int, utc_offset_s: int) -> Grouping:
    """Group intervals into at most `POINTS_MAX` buckets that begin at round local times."""
    if len(starts) <= POINTS_MAX:
        single = (Bucket(s, s + interval_s, i, i + 1) for i, s in enumerate(starts))
        return Grouping(interval_s, tuple(single))
    spans = list(SPANS_S)
    for span in spans:
        buckets = _buckets(starts, interval_s, utc_offset_s, span)
        if len(buckets) <= POINTS_MAX:
            return Grouping(span, buckets)
        if span == spans[-1]:
            spans.append(2 * span)
    raise AssertionError("unreachable: one long enough span holds everything")


def _buckets(
    starts: Sequence[int], interval_s: int, utc_offset_s: int, span_s: int
) -> tuple[Bucket, ...]:
    buckets: list[Bucket] = []
    first, current = 0, (starts[0] + utc_offset_s) // span_s
    for index, start in enumerate(starts):
        number = (start + utc_offset_s) // span_s
        if number != current:
            buckets.append(Bucket(starts[first], starts[index - 1] + interval_s, first, index))
            first, current = index, number
    buckets.append(Bucket(starts[first], starts[-1] + interval_s, first, len(starts)))
    return tuple(buckets)

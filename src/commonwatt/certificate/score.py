"""The hourly score: how much of what a buyer used was covered by units of the same interval.

Per consumption the smaller of what was used and what was retired for it, what the interval's own
statement covered within the community included; their sum as a part of all that was used. A Wh too
many at noon makes up for none at night. Days and months are those of a time zone: borders are its
midnights, converted to UTC, so a day has 23, 24 or 25 hours, and a few days in a few places half an
hour more or less.

Time zones are read from files, which is no business of this floor: whoever asks brings one.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from fractions import Fraction
from itertools import groupby, pairwise
from typing import NamedTuple

from commonwatt.certificate.matching import Period, consumptions_of
from commonwatt.certificate.state import State
from commonwatt.errors import InputError, require
from commonwatt.quantity import decimal_text

DAYS_MAX = 3_700
"""Ten years are scored at once, no more."""
YEAR_FIRST, YEAR_LAST = 1970, 6_000
SCORE_PLACES = 6
"""Decimals of a score as text, cut off: 1.000000 only if every Wh is matched."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND, _DAY = timedelta(seconds=1), timedelta(days=1)


class PeriodUnusable(InputError):
    """Days that no score can be over."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """A time zone and its name: where the days of a report begin."""

    name: str
    """IANA name, like Europe/Berlin."""
    zone: tzinfo
    """The zone of this name, as `zoneinfo` reads it."""

    def midnight(self, day: date) -> int:
        """UTC second at which a local day begins.

        Where the clock shows midnight twice, the first; where it leaves midnight out, the moment it
        jumps. A day that a place left out altogether begins where the next one does.

        >>> from datetime import timezone
        >>> Calendar("Asia/Seoul", timezone(timedelta(hours=9))).midnight(date(1970, 1, 2))
        54000
        """
        wall = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        moment = _seconds(wall)
        if self._wall_clock(moment) == wall.replace(tzinfo=None):
            return moment
        # The clock jumps over midnight somewhere between the two readings of it (PEP 495).
        before, after = _seconds(wall.replace(fold=1)) - 1, moment
        while after - before > 1:
            middle = (before + after) // 2
            if self._wall_clock(middle) < wall.replace(tzinfo=None):
                before = middle
            else:
                after = middle
        return after

    def _wall_clock(self, moment: int) -> datetime:
        return (_EPOCH + moment * _SECOND).astimezone(self.zone).replace(tzinfo=None)


class Used(NamedTuple):
    """One meter's consumption in one interval, and what was retired for it."""

    start: int
    """UTC second. An interval belongs to the day in which it starts; its energy is not divided."""
    consumed_wh: int
    retired_wh: int

    @property
    def matched_wh(self) -> int:
        """What counts."""
        return min(self.consumed_wh, self.retired_wh)


@dataclass(frozen=True, slots=True)
class Row:
    """What was used and matched in one local day, month, or all of a period."""

    label: str
    """2026-03-29, 2026-03, or 2026-03-01/2026-04-01 with an end that is not in it."""
    start: int
    """UTC second."""
    end: int
    """UTC second after it."""
    intervals: int
    """How many consumptions."""
    consumed_wh: int
    matched_wh: int

    @property
    def score(self) -> Fraction | None:
        """Matched of consumed, exactly; None where nothing was used."""
        return Fraction(self.matched_wh, self.consumed_wh) if self.consumed_wh else None

    @property
    def text(self) -> str:
        """The score in decimals, cut off; empty where nothing was used."""
        if not self.consumed_wh:
            return ""
        return decimal_text(self.matched_wh * 10**SCORE_PLACES // self.consumed_wh, SCORE_PLACES)


@dataclass(frozen=True, slots=True)
class Score:
    """A score and what it follows from."""

    zone: str
    """IANA name of the zone that days and months are of."""
    whole: Row
    months: tuple[Row, ...]
    """Ascending; the first and last only as far as they lie in the period."""
    days: tuple[Row, ...]
    """Ascending; those without consumption too."""


def score(used: Iterable[Used], first: date, end: date, calendar: Calendar) -> Score:
    """The score of the local days from `first` to the one before `end`.

    Args:
        used: consumptions, each once, in any order; those that start outside are left out.
        first: first local day.
        end: the day after the last.
        calendar: the time zone.

    Raises:
        PeriodUnusable: no day, too many, or too far away.
    """
    _require_period(first, end)
    dates = [first + count * _DAY for count in range((end - first).days + 1)]
    borders = [calendar.midnight(day) for day in dates]
    found: list[list[Used]] = [[] for _ in borders]
    for one in used:
        # Days count from 1 here: what starts before the first border is in 0, after the last in -1.
        day = bisect_right(borders, one.start) - 1
        if 0 <= day < len(borders) - 1:
            found[day].append(one)
    days = tuple(
        _row(day.isoformat(), border, following, inside)
        for day, (border, following), inside in zip(dates, pairwise(borders), found, strict=False)
        if border < following
    )
    months = tuple(_months(days))
    whole = _sum(f"{first}/{end}", days, borders[0], borders[-1])
    require("months sum to days", sum(m.matched_wh for m in months) == whole.matched_wh)
    require("never more matched than consumed", whole.matched_wh <= whole.consumed_wh)
    return Score(calendar.name, whole, months, days)


def score_of(state: State, buyer: bytes, first: date, end: date, calendar: Calendar) -> Score:
    """The score of what one account used, by the book alone; errors as of `score`."""
    _require_period(first, end)
    period = Period(calendar.midnight(first), calendar.midnight(end))
    return score(used_by(state, buyer, period), first, end, calendar)


def used_by(state: State, buyer: bytes, period: Period) -> list[Used]:
    """R19: what an account used in a period, and what was retired for each interval of it.

    What a community's statement covered counts as retired: it was, at issue (`Issue.retired_wh`).
    """
    return [
        Used(found.origin.start, found.wh, found.matched_wh)
        for found in consumptions_of(state, buyer, period)
    ]


def _require_period(first: date, end: date) -> None:
    known = first.year >= YEAR_FIRST and end.year <= YEAR_LAST
    if not known or not 1 <= (end - first).days <= DAYS_MAX:
        raise PeriodUnusable(
            f"a score from {first} to before {end}: use 1 to {DAYS_MAX} days "
            f"in the years {YEAR_FIRST} to {YEAR_LAST}"
        )


def _row(label: str, start: int, end: int, used: Sequence[Used]) -> Row:
    consumed, matched = sum(u.consumed_wh for u in used), sum(u.matched_wh for u in used)
    return Row(label, start, end, len(used), consumed, matched)


def _months(days: Sequence[Row]) -> Iterator[Row]:
    for label, group in groupby(days, key=lambda day: day.label[:7]):
        inside = list(group)
        yield _sum(label, inside, inside[0].start, inside[-1].end)


def _sum(label: str, rows: Sequence[Row], start: int, end: int) -> Row:
    intervals = sum(row.intervals for row in rows)
    consumed, matched = sum(row.consumed_wh for row in rows), sum(row.matched_wh for row in rows)
    return Row(label, start, end, intervals, consumed, matched)


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _SECOND

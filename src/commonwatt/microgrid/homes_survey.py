"""Learns from one reading of a file of homes what it holds, and which part of it to read.

What is learned per home: first and last time, interval length, largest load and PV. Times must
rise from row to row of each home; gaps matter only in the days asked for, so they are not judged
here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from commonwatt.microgrid.errors import HomesFileWrong, SpanUnavailable
from commonwatt.microgrid.homes_lines import (
    COLUMNS,
    HOME_CHARACTERS_MAX,
    KWH_MAX,
    energy_of,
    rows_of,
    time_of,
)
from commonwatt.microgrid.neighbourhood import rounded_up
from commonwatt.quantity import SECONDS_PER_DAY, SECONDS_PER_HOUR, time_text

HOMES_MAX = 1_000
TIMES_MAX = 600_000
"""Different interval starts in one file: a year of minutes."""
INTERVAL_S_MIN, INTERVAL_S_MAX = 60, 3_600

OTHER_LENGTH_PERCENT = 10
"""A longer step that makes up this share of a home's steps is another length, not a gap."""

LOAD, PV = COLUMNS[2], COLUMNS[3]
CLOCK_CHANGE = "in a file of local times a clock change looks like this: write UTC"
DAY_ZERO: Final = date(1970, 1, 1).toordinal()


@dataclass(slots=True)
class Largest:
    """The largest value of a column: found by comparing floats, used as its exact text."""

    value: float
    text: str
    line: int


@dataclass(slots=True)
class Seen:
    """What the first reading learned of one home; times are UTC seconds."""

    first: int
    last: int
    last_line: int
    load: Largest
    pv: Largest
    steps: dict[int, int] = field(default_factory=dict)
    """How often each distance between two rows occurs ..."""
    step_lines: dict[int, int] = field(default_factory=dict)
    """... and the line where it occurs first."""


def survey(path: Path, clock: dict[str, int]) -> dict[str, Seen]:
    """Read every row once, and remember per home what is needed to choose and to rate.

    Args:
        path: the file.
        clock: filled with the UTC seconds of every text of a time; homes share their times, so
            each text is understood once.

    Raises:
        HomesFileUnusable: the file cannot be read.
        HomesFileWrong: a row is wrong, times do not rise, or a limit is passed.

    """
    seen: dict[str, Seen] = {}
    for line, home, time, load, pv in rows_of(path):
        at = clock.get(time)
        if at is None:
            at = clock[time] = time_of(path, line, time)
            _require_at_most(path, line, len(clock), TIMES_MAX, "different times")
        load_kwh = _compared(path, line, LOAD, load)
        pv_kwh = _compared(path, line, PV, pv)
        known = seen.get(home)
        if known is None:
            _require_name(path, line, home)
            largest = Largest(load_kwh, load, line), Largest(pv_kwh, pv, line)
            seen[home] = Seen(at, at, line, *largest)
            _require_at_most(path, line, len(seen), HOMES_MAX, "homes")
            continue
        step = at - known.last
        if step <= 0:
            raise _not_later(path, line, home, time, known.last_line)
        if step in known.steps:
            known.steps[step] += 1
        else:
            known.steps[step] = 1
            known.step_lines[step] = line
        known.last, known.last_line = at, line
        if load_kwh > known.load.value:
            known.load = Largest(load_kwh, load, line)
        if pv_kwh > known.pv.value:
            known.pv = Largest(pv_kwh, pv, line)
    if not seen:
        problem = "has a header but no rows: write one row per home and interval"
        raise HomesFileWrong(path, problem=problem)
    return seen


def _compared(path: Path, line: int, column: str, text: str) -> float:
    """A number good enough to find the largest; what is not plainly one is judged exactly."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= KWH_MAX:
        return energy_of(path, line, column, text) / 1e6
    return value


def interval_of(path: Path, seen: Mapping[str, Seen]) -> int:
    """The one interval length of the file, in seconds.

    Raises:
        HomesFileWrong: there is none, it does not divide the hour, or there are two.

    """
    lengths = {home: _usual_step(path, home, known) for home, known in seen.items()}
    first_home, interval_s = next(iter(lengths.items()))
    for home, length in lengths.items():
        if length != interval_s:
            problem = (
                f"two interval lengths, {interval_s} s (home {first_home}) and {length} s"
                f" (home {home}): bring all homes to one length"
            )
            raise HomesFileWrong(path, line=seen[home].step_lines[length], problem=problem)
        _require_one_length(path, home, seen[home], interval_s)
    return interval_s


def _usual_step(path: Path, home: str, known: Seen) -> int:
    """The most frequent distance between a home's rows, if it can be an interval length."""
    if not known.steps:
        problem = f"home {home} has one row only: the interval length needs at least two"
        raise HomesFileWrong(path, line=known.last_line, problem=problem)
    usual = max(known.steps, key=lambda step: (known.steps[step], -step))
    if not INTERVAL_S_MIN <= usual <= INTERVAL_S_MAX or SECONDS_PER_HOUR % usual:
        problem = (
            f"rows are {usual} s apart: intervals must be 60 to 3600 s long and divide the hour;"
            " give hourly or finer data"
        )
        raise HomesFileWrong(path, line=known.step_lines[usual], problem=problem)
    return usual


def _require_one_length(path: Path, home: str, known: Seen, usual: int) -> None:
    """A step shorter than usual cannot be a gap; a longer one that is frequent is none either."""
    total = sum(known.steps.values())
    for step, count in known.steps.items():
        frequent = step <= INTERVAL_S_MAX and count * 100 >= total * OTHER_LENGTH_PERCENT
        if step < usual or (step > usual and frequent and count > 1):
            problem = (
                f"two interval lengths, {usual} s and {step} s, in home {home}:"
                " bring all rows to one length"
            )
            raise HomesFileWrong(path, line=known.step_lines[step], problem=problem)


def window_of(
    path: Path, seen: Mapping[str, Seen], interval_s: int, start: date | None, days: int | None
) -> tuple[int, int]:
    """The half-open time, in UTC seconds, that is read: first interval's start and the end.

    Raises:
        HomesFileWrong: some homes have the days asked for, others do not.
        SpanUnavailable: no home has them, or fewer than one day was asked for.

    """
    if days is not None and days < 1:
        message = f"{days} days: ask for at least one day"
        raise SpanUnavailable(message)
    first = max(known.first for known in seen.values())
    end = min(known.last for known in seen.values()) + interval_s
    widest_first = min(known.first for known in seen.values())
    widest_end = max(known.last for known in seen.values()) + interval_s
    if start is None and days is None:
        if (first, end) != (widest_first, widest_end):
            raise _different_spans(path, seen, interval_s)
        return first, end

    day_one = rounded_up(widest_first, SECONDS_PER_DAY)
    if start is not None:
        begins = (start.toordinal() - DAY_ZERO) * SECONDS_PER_DAY
    else:
        begins = rounded_up(first, SECONDS_PER_DAY)
    ends = end if days is None else begins + days * SECONDS_PER_DAY
    if not widest_first <= begins < widest_end or ends > widest_end:
        asked = f"{_day_text(begins)}" if days is None else f"{days} days from {_day_text(begins)}"
        whole_days = max(0, widest_end - day_one) // SECONDS_PER_DAY
        message = (
            f"{path} does not hold {asked} (UTC): it runs from {time_text(widest_first)} up to,"
            f" not including, {time_text(widest_end)}, which is {whole_days} whole days from"
            f" {_day_text(day_one)} on; choose days within"
        )
        raise SpanUnavailable(message)
    if begins < first or ends > end or begins >= ends:
        raise _different_spans(path, seen, interval_s)
    return begins, ends


def _require_at_most(path: Path, line: int, count: int, limit: int, what: str) -> None:
    if count > limit:
        problem = f"has more than {limit:,} {what}: split it"
        raise HomesFileWrong(path, line=line, problem=problem)


def _require_name(path: Path, line: int, home: str) -> None:
    if not home.strip() or len(home) > HOME_CHARACTERS_MAX or not home.isprintable():
        problem = f"name the home with 1 to {HOME_CHARACTERS_MAX} printable characters"
        raise HomesFileWrong(path, line=line, column=COLUMNS[0], value=home, problem=problem)


def _not_later(path: Path, line: int, home: str, time: str, before: int) -> HomesFileWrong:
    problem = (
        f"repeats or goes back behind the interval of line {before} of home {home}: keep one row"
        f" per interval, in time order; {CLOCK_CHANGE}"
    )
    return HomesFileWrong(path, line=line, column=COLUMNS[1], value=time, problem=problem)


def _different_spans(path: Path, seen: Mapping[str, Seen], interval_s: int) -> HomesFileWrong:
    late = max(seen, key=lambda home: seen[home].first)
    early = min(seen, key=lambda home: seen[home].last)
    problem = (
        f"the homes cover different times: home {late} begins at {time_text(seen[late].first)},"
        f" home {early} ends at {time_text(seen[early].last + interval_s)};"
        " choose days that all of them cover"
    )
    return HomesFileWrong(path, problem=problem)


def _day_text(seconds: int) -> str:
    return time_text(seconds).partition("T")[0]

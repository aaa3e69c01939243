"""Reads homes from a CSV file: real load and PV of each home, by the hour or finer.

The file is read twice, a line at a time. The first reading learns each home's span, interval
length and largest values; the second keeps the rows of the days asked for. So a day of a large
file costs little memory, and rows outside those days need only be numbers in time order.

All homes share one interval length, 60 to 3600 s that divide the hour. Within the days asked for
each home has every interval, once.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from commonwatt.microgrid.errors import HomesFileUnusable, HomesFileWrong
from commonwatt.microgrid.homes_lines import COLUMNS, energy_of, rows_of
from commonwatt.microgrid.homes_survey import (
    CLOCK_CHANGE,
    LOAD,
    PV,
    Seen,
    interval_of,
    survey,
    window_of,
)
from commonwatt.microgrid.neighbourhood import (
    Home,
    Neighbourhood,
    connection_rating,
    rounded_up,
)
from commonwatt.quantity import MWH_PER_WH, SECONDS_PER_HOUR, time_text

PV_PEAK_MARGIN_PERCENT = 125
"""Rated power of PV, as a share of the largest mean power in the file: roofs rarely reach it."""
PV_PEAK_STEP_W = 100


def read_homes(path: Path, *, start: date | None = None, days: int | None = None) -> Neighbourhood:
    """The homes of a CSV or .csv.gz file, without batteries.

    Args:
        path: the file; columns and units as in `homes_lines`.
        start: first day (UTC). If None: with `days`, the first day that every home covers in
            full; without, the file's first interval.
        days: how many UTC days; to the end of the file if None.

    Raises:
        HomesFileUnusable: the file cannot be read.
        HomesFileWrong: a line, a column or the times are wrong.
        SpanUnavailable: the file does not have the days asked for.

    """
    clock: dict[str, int] = {}
    seen = survey(path, clock)
    interval_s = interval_of(path, seen)
    first, end = window_of(path, seen, interval_s, start, days)
    series = _series_of(path, clock, seen, interval_s, range(first, end, interval_s))
    names = _names_of(path, seen)
    return Neighbourhood(
        name=path.name.removesuffix(".gz").removesuffix(".csv"),
        source=f"file {path.name}",
        interval_s=interval_s,
        start=first,
        utc_offset_s=0,
        homes=tuple(
            _home_of(path, names[home], known, series[home], interval_s)
            for home, known in seen.items()
        ),
    )


def _names_of(path: Path, homes: Mapping[str, Seen]) -> dict[str, str]:
    """The homes' names; a bare number n becomes "Home 0n"."""
    names = {home: f"Home {int(home):02d}" if _is_number(home) else home for home in homes}
    if len(set(names.values())) < len(names):
        problem = "two homes get the same name, as 1 and 01 would: tell them apart clearly"
        raise HomesFileWrong(path, column=COLUMNS[0], problem=problem)
    return names


def _is_number(home: str) -> bool:
    return home.isascii() and home.isdigit()


def _series_of(
    path: Path,
    clock: Mapping[str, int],
    seen: Mapping[str, Seen],
    interval_s: int,
    window: range,
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Load and PV in mWh of each home, one number per start in `window`."""
    count = len(window)
    series = {home: (np.zeros(count, np.int64), np.zeros(count, np.int64)) for home in seen}
    filled = dict.fromkeys(seen, 0)
    first, end = window.start, window.stop
    for line, home, time, load, pv in rows_of(path):
        at = clock.get(time)
        if at is None or home not in filled:
            raise HomesFileUnusable(path, problem="changed while it was read: read it again")
        if not first <= at < end:
            continue
        index, off = divmod(at - first, interval_s)
        if off or at % interval_s:
            problem = f"is not a multiple of the interval length, {interval_s} s: move it to one"
            raise HomesFileWrong(path, line=line, column=COLUMNS[1], value=time, problem=problem)
        if index != filled[home]:
            raise _gap(path, line, home, window[filled[home]])
        loads, pvs = series[home]
        loads[index] = energy_of(path, line, LOAD, load)
        pvs[index] = energy_of(path, line, PV, pv)
        filled[home] = index + 1
    for home, number in filled.items():
        if number < count:
            raise _gap(path, None, home, window[number])
    return series


def _home_of(
    path: Path,
    name: str,
    known: Seen,
    series: tuple[NDArray[np.int64], NDArray[np.int64]],
    interval_s: int,
) -> Home:
    """A home, rated by the largest values of the whole file so that every part gives the same."""
    load_w = _power_w(energy_of(path, known.load.line, LOAD, known.load.text), interval_s)
    pv_w = _power_w(energy_of(path, known.pv.line, PV, known.pv.text), interval_s)
    pv_peak_w = rounded_up(-(-pv_w * PV_PEAK_MARGIN_PERCENT // 100), PV_PEAK_STEP_W)
    load_mwh, pv_mwh = series
    return Home(
        name=name,
        kind="home",
        load_mwh=load_mwh,
        pv_mwh=pv_mwh if pv_peak_w else None,
        pv_peak_w=pv_peak_w,
        battery=None,
        connection_w=connection_rating(load_w, pv_peak_w),
    )


def _power_w(energy_mwh: int, interval_s: int) -> int:
    """The mean power of an energy over an interval, rounded up."""
    return -(-energy_mwh * SECONDS_PER_HOUR // (interval_s * MWH_PER_WH))


def _gap(path: Path, line: int | None, home: str, missing: int) -> HomesFileWrong:
    problem = (
        f"home {home} has a gap, no row for {time_text(missing)}: add the missing rows or choose"
        f" days without a gap; {CLOCK_CHANGE}"
    )
    return HomesFileWrong(path, line=line, column=COLUMNS[1], problem=problem)

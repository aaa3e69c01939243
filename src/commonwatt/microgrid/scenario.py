"""The neighbourhoods that ship with the program: a village, a suburb and a town of one year.

They are derived from SimBench (`data/LICENCE-DATA.md`: attribution, changes, and which clock the
series follow). Profiles are stored once, as integers relative to rated power; a home's energy is
their sum, computed exactly and floored once per interval:
`mWh = floor(sum(rated W x profile) x 1000 x 900 / (3600 x scale))`.
"""

import json
import lzma
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from commonwatt.microgrid.errors import ScenarioUnknown, SpanUnavailable
from commonwatt.microgrid.neighbourhood import (
    Battery,
    Home,
    Neighbourhood,
    connection_rating,
)
from commonwatt.quantity import MWH_PER_WH, SECONDS_PER_DAY, SECONDS_PER_HOUR

SCENARIOS = ("village", "suburb", "town")
"""By size: 13, 39 and 53 participants."""
SCENARIO_DAY = date(2016, 6, 21)
"""The day a scenario starts with unless told otherwise: the longest of its year."""
SOURCE = (
    "derived from SimBench 1.6.3 (www.simbench.net; University of Kassel, TU Dortmund,"
    " RWTH Aachen, Fraunhofer IEE), Open Database License 1.0"
)


class _HomeData(TypedDict):
    """A participant as written in `neighbourhoods.json`."""

    name: str
    kind: str
    bus: str
    loads: list[tuple[str, int]]
    pv: list[tuple[str, int]]
    battery: tuple[int, int, int, int] | None


class _NeighbourhoodData(TypedDict):
    """A neighbourhood as written in `neighbourhoods.json`."""

    simbench: str
    homes: list[_HomeData]


class _ScenarioData(TypedDict):
    """`neighbourhoods.json` as a whole."""

    interval_s: int
    start: int
    utc_offset_s: int
    rows: int
    load_scale: int
    pv_scale: int
    load_profiles: list[str]
    pv_profiles: list[str]
    profiles_sha256: str
    neighbourhoods: dict[str, _NeighbourhoodData]


def load_scenario(name: str, *, start: date | None = None, days: int = 1) -> Neighbourhood:
    """A neighbourhood that ships with the program, for some days of its year.

    Args:
        name: one of `SCENARIOS`.
        start: first local day (UTC+01:00, also in summer); `SCENARIO_DAY` if None.
        days: how many days of 96 quarter hours.

    Raises:
        ScenarioUnknown: no such neighbourhood.
        SpanUnavailable: the days are not all in 2016, or fewer than one.

    """
    if name not in SCENARIOS:
        raise ScenarioUnknown(name, known=SCENARIOS)
    folder = files("commonwatt.microgrid").joinpath("data")
    data: _ScenarioData = json.loads(folder.joinpath("neighbourhoods.json").read_text("utf-8"))
    first, last = _rows_of_days(data, SCENARIO_DAY if start is None else start, days)

    raw = lzma.decompress(folder.joinpath("profiles.xz").read_bytes())
    series = np.frombuffer(raw, "<i4").reshape(-1, data["rows"])[:, first:last]
    names = data["load_profiles"] + data["pv_profiles"]
    profiles = dict(zip(names, series, strict=True))
    return Neighbourhood(
        name=name,
        source=SOURCE,
        interval_s=data["interval_s"],
        start=data["start"] + first * data["interval_s"],
        utc_offset_s=data["utc_offset_s"],
        homes=tuple(
            _home_of(home, data, profiles) for home in data["neighbourhoods"][name]["homes"]
        ),
    )


def _rows_of_days(data: _ScenarioData, start: date, days: int) -> tuple[int, int]:
    """The half-open range of rows of some local days."""
    per_day = SECONDS_PER_DAY // data["interval_s"]
    year_days = data["rows"] // per_day
    first_day = datetime.fromtimestamp(data["start"] + data["utc_offset_s"], UTC).date()
    end_day = first_day + timedelta(days=year_days)
    skipped = (start - first_day).days
    if days < 1:
        message = f"{days} days: ask for at least one day"
        raise SpanUnavailable(message)
    if not 0 <= skipped < year_days:
        message = (
            f"{start} is not in the scenarios: they run from {first_day} up to,"
            f" not including, {end_day}; choose a day in between"
        )
        raise SpanUnavailable(message)
    if skipped + days > year_days:
        message = (
            f"{days} days from {start} go beyond the scenarios' end, {end_day}:"
            f" ask for at most {year_days - skipped} from there"
        )
        raise SpanUnavailable(message)
    return skipped * per_day, (skipped + days) * per_day


def _home_of(home: _HomeData, data: _ScenarioData, profiles: dict[str, NDArray[np.int32]]) -> Home:
    """A participant with its energy in the chosen rows."""
    interval_s = data["interval_s"]
    pv_peak_w = sum(rated_w for _, rated_w in home["pv"])
    load_w = sum(rated_w for _, rated_w in home["loads"])
    return Home(
        name=home["name"],
        kind=home["kind"],
        load_mwh=_energy_mwh(home["loads"], profiles, data["load_scale"], interval_s),
        pv_mwh=(
            _energy_mwh(home["pv"], profiles, data["pv_scale"], interval_s) if home["pv"] else None
        ),
        pv_peak_w=pv_peak_w,
        battery=Battery(*home["battery"]) if home["battery"] is not None else None,
        connection_w=connection_rating(load_w, pv_peak_w),
    )


def _energy_mwh(
    rated: Sequence[tuple[str, int]],
    profiles: dict[str, NDArray[np.int32]],
    scale: int,
    interval_s: int,
) -> NDArray[np.int64]:
    """The energy per interval of everything rated, summed exactly and then floored once."""
    # At most 10**6 W x 10**9 x 900 000: reduced by their common factors it stays far below 2**63.
    rows = len(next(iter(profiles.values())))
    power = np.zeros(rows, np.int64)
    for profile, rated_w in rated:
        power += profiles[profile].astype(np.int64) * rated_w
    intervals_per_hour = SECONDS_PER_HOUR // interval_s
    return power // (intervals_per_hour * scale // MWH_PER_WH)

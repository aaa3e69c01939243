"""The neighbourhoods that ship with the program: complete, exact, and on the clock they claim."""

import hashlib
import json
import lzma
import subprocess
import sys
from datetime import UTC, date, datetime
from importlib.resources import files

import numpy as np
import pytest

from commonwatt.errors import InputError
from commonwatt.microgrid import SCENARIOS, flows_of, load_scenario
from commonwatt.microgrid.errors import ScenarioUnknown, SpanUnavailable

DATA = files("commonwatt.microgrid").joinpath("data")
DATA_BYTES_MAX = 10_000_000
FIRST_DAY, YEAR_DAYS = date(2016, 1, 1), 366


@pytest.mark.parametrize(
    ("name", "participants", "with_pv", "with_battery"),
    [("village", 13, 13, 5), ("suburb", 39, 10, 4), ("town", 53, 19, 7)],
)
def test_each_scenario_has_its_participants(
    name: str, participants: int, with_pv: int, with_battery: int
) -> None:
    neighbourhood = load_scenario(name)
    homes = neighbourhood.homes
    assert len(homes) == participants
    assert sum(home.pv_mwh is not None for home in homes) == with_pv
    assert sum(home.battery is not None for home in homes) == with_battery
    assert len({home.name for home in homes}) == participants
    assert neighbourhood.name == name
    assert "SimBench" in neighbourhood.source
    assert "Open Database License" in neighbourhood.source


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_usual_day_is_the_longest_of_the_year(name: str) -> None:
    neighbourhood = load_scenario(name)
    assert neighbourhood.intervals == 96
    local_start = datetime.fromtimestamp(neighbourhood.start + neighbourhood.utc_offset_s, UTC)
    assert local_start == datetime(2016, 6, 21, tzinfo=UTC)
    assert neighbourhood.end - neighbourhood.start == 86_400


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_home_exceeds_its_connection_or_its_roof_all_year(name: str) -> None:
    for home in load_scenario(name, start=FIRST_DAY, days=YEAR_DAYS).homes:
        assert home.load_mwh.min() >= 0
        assert home.load_mwh.max() * 4 <= home.connection_w * 1_000
        if home.pv_mwh is None:
            assert home.pv_peak_w == 0
        else:
            assert home.pv_mwh.min() >= 0
            assert 0 < home.pv_mwh.max() * 4 <= home.pv_peak_w * 1_000 < home.connection_w * 1_000


@pytest.mark.parametrize("name", SCENARIOS)
def test_meters_conserve_energy_over_the_year(name: str) -> None:
    neighbourhood = load_scenario(name, start=FIRST_DAY, days=YEAR_DAYS)
    for home in neighbourhood.homes:
        flows = flows_of(neighbourhood, home)
        used = int(home.load_mwh.sum() + flows.export_mwh.sum() + flows.charge_mwh.sum())
        given = int(flows.import_mwh.sum() + flows.pv_mwh.sum() + flows.discharge_mwh.sum())
        assert used == given


def test_a_farm_on_one_day_is_what_simbench_says() -> None:
    """13.7 kW of profile L2-A and 117.2 kW of PV8, row 2016-06-21 12:00 at UTC+1, floored."""
    farm = load_scenario("village").homes[0]
    assert (farm.name, farm.kind, farm.pv_peak_w) == ("Farm 01", "farm", 117_200)
    assert farm.pv_mwh is not None
    noon = 12 * 4
    data = json.loads(DATA.joinpath("neighbourhoods.json").read_text("utf-8"))
    profiles = lzma.decompress(DATA.joinpath("profiles.xz").read_bytes())
    series = np.frombuffer(profiles, "<i4").reshape(-1, data["rows"])
    row = 172 * 96 + noon
    load = int(series[data["load_profiles"].index("L2-A"), row])
    pv = int(series[len(data["load_profiles"]) + data["pv_profiles"].index("PV8"), row])
    assert int(farm.load_mwh[noon]) == 13_700 * load * 1_000 // (4 * 10**6)
    assert int(farm.pv_mwh[noon]) == 117_200 * pv * 1_000 // (4 * 10**9)


def test_days_are_parts_of_the_same_year() -> None:
    three = load_scenario("suburb", start=date(2016, 10, 29), days=3)
    second = load_scenario("suburb", start=date(2016, 10, 30))
    assert second.start == three.start + 86_400
    for whole, part in zip(three.homes, second.homes, strict=True):
        assert (whole.load_mwh[96:192] == part.load_mwh).all()


def test_the_sun_stands_highest_near_noon_in_winter_and_in_summer() -> None:
    """The series follow one fixed offset: no hour is gained or lost with summer time."""
    for month in (2, 7, 11):
        roof = load_scenario("village", start=date(2016, month, 1), days=28).homes[11]
        assert roof.pv_mwh is not None  # PV5, which faces south
        by_quarter = roof.pv_mwh.reshape(28, 96).sum(axis=0)
        quarters_of_hour = float((by_quarter * np.arange(96)).sum() / by_quarter.sum()) / 4
        assert 11.0 <= quarters_of_hour <= 11.6


def test_an_unknown_scenario_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ScenarioUnknown, match=r"'hamlet'.*village, suburb, town") as refusal:
        load_scenario("hamlet")
    assert isinstance(refusal.value, InputError)


@pytest.mark.parametrize(
    ("start", "days", "told"),
    [
        (date(2015, 12, 31), 1, "run from 2016-01-01 up to, not including, 2017-01-01"),
        (date(2017, 1, 1), 1, "not in the scenarios"),
        (date(2016, 12, 31), 2, "ask for at most 1"),
        (date(2016, 1, 1), 0, "at least one day"),
        (None, -3, "at least one day"),
        (None, 10**12, "ask for at most 194"),
    ],
)
def test_days_outside_the_year_are_refused(start: date | None, days: int, told: str) -> None:
    with pytest.raises(SpanUnavailable, match=told):
        load_scenario("town", start=start, days=days)


def test_the_data_is_small_whole_and_attributed() -> None:
    names = {"profiles.xz", "neighbourhoods.json", "LICENCE-DATA.md"}
    sizes = [len(DATA.joinpath(name).read_bytes()) for name in names]
    assert sum(sizes) <= DATA_BYTES_MAX
    data = json.loads(DATA.joinpath("neighbourhoods.json").read_text("utf-8"))
    raw = lzma.decompress(DATA.joinpath("profiles.xz").read_bytes())
    assert hashlib.sha256(raw).hexdigest() == data["profiles_sha256"]
    assert set(data["neighbourhoods"]) == set(SCENARIOS)
    assert "ODbL" in DATA.joinpath("LICENCE-DATA.md").read_text("utf-8")


def test_importing_the_microgrid_loads_neither_pandas_nor_simbench_nor_a_chain() -> None:
    heavy = "{'pandas', 'simbench', 'pandapower', 'web3', 'eth_account', 'sqlalchemy', 'fastapi'}"
    check = f"import sys, commonwatt.microgrid; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0

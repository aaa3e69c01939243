"""How the shipped neighbourhoods are derived, on a SimBench of a handful of rows."""

import importlib.util
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "derive_simbench.py"

LOADS = """id;node;profile;pLoad;subnet
1;LV1.101 Bus 10;L2-A;0.0059;LV1.101
2;LV1.101 Bus 10;Soil_Alternative_2;0.004;LV1.101
3;LV1.101 Bus 2;H0-A;0.003;LV1.101
4;LV1.101 Bus 2;HLS_A_3.7;0.0037;LV1.101
5;LV1.101 Bus 3;H0-A;0.003;LV1.101
6;LV1.101 Bus 3;H0-B;0.003;LV1.101
7;LV2.101 Bus 1;G4-A;0.009;LV2.101
"""
PLANTS = """id;node;type;profile;pRES;subnet
1;LV1.101 Bus 2;PV;PV6;0.019;LV1.101
2;LV1.101 Bus 7;PV;PV8;0.1;LV1.101
"""
STORAGE = """id;node;type;profile;pStor;sR;eStore;etaStore;subnet
1;LV1.101 Bus 10;PV_Storage;Storage_PV8_L2-A;-0.0502;0.0502;0.1005;0.95;LV1.101
"""
POWER_PLANTS = "id;node;subnet\n1;EHV Bus 1;EHV1\n"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("derive_simbench", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wheel_of(folder: Path, script: ModuleType, **changed: str) -> zipfile.ZipFile:
    """A wheel that holds the small tables."""
    tables = {"Load": LOADS, "RES": PLANTS, "Storage": STORAGE, "PowerPlant": POWER_PLANTS}
    with zipfile.ZipFile(folder / "small.whl", "w") as wheel:
        for name, text in (tables | changed).items():
            wheel.writestr(f"{script.TABLES}{name}.csv", text)
    return zipfile.ZipFile(folder / "small.whl")


def test_a_bus_with_all_that_is_connected_to_it_is_one_participant(
    tmp_path: Path, script: ModuleType
) -> None:
    with wheel_of(tmp_path, script) as wheel:
        homes = script.described(script.points_of(wheel, "LV1.101"))
    by_name = {home["name"]: home for home in homes}
    assert list(by_name) == ["Household 01", "Apartment house 01", "Solar plant 01", "Farm 01"]
    assert by_name["Household 01"]["loads"] == [("H0-A", 3_000), ("HLS_A_3.7", 3_700)]
    assert by_name["Household 01"]["pv"] == [("PV6", 19_000)]
    assert by_name["Household 01"]["battery"] is None
    assert by_name["Solar plant 01"]["loads"] == []


def test_a_pv_storage_is_taken_apart_into_its_roof_and_its_battery(
    tmp_path: Path, script: ModuleType
) -> None:
    with wheel_of(tmp_path, script) as wheel:
        farm = script.described(script.points_of(wheel, "LV1.101"))[-1]
    assert farm["pv"] == [("PV8", 50_200)]
    assert farm["battery"] == (100_500, 50_200, 50_200, 902)


@pytest.mark.parametrize(
    "changed",
    [
        {"RES": PLANTS.replace(";PV;PV8", ";biomass;BM1")},
        {"Storage": STORAGE.replace("-0.0502", "-0.05")},
        {"PowerPlant": "id;node;subnet\n1;LV1.101 Bus 1;LV1.101\n"},
        {"Storage": STORAGE + STORAGE.splitlines()[1] + "\n"},
        {"Load": LOADS.replace("0.0059", "0.00590001")},
    ],
)
def test_what_the_script_was_not_told_how_to_read_stops_it(
    tmp_path: Path, script: ModuleType, changed: dict[str, str]
) -> None:
    with wheel_of(tmp_path, script, **changed) as wheel, pytest.raises(SystemExit):
        script.described(script.points_of(wheel, "LV1.101"))

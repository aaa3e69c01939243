"""Derive the demo's three neighbourhoods from the SimBench data set, once, with exact integers.

    python tools/derive_simbench.py simbench-1.6.3-py3-none-any.whl

reads the tables inside the wheel (nothing of SimBench is installed or run) and writes
`profiles.xz` and `neighbourhoods.json` into `src/commonwatt/microgrid/data/`. The same wheel gives
the same bytes. What is kept, left out and read how is told in `LICENCE-DATA.md` beside them.
"""

import argparse
import csv
import hashlib
import io
import json
import lzma
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TABLES = "simbench/networks/1-complete_data-mixed-all-2-sw/"
DATA = Path(__file__).parents[1] / "src" / "commonwatt" / "microgrid" / "data"

NEIGHBOURHOODS = {
    "village": ("1-LV-rural1--2-sw", "LV1.101"),
    "suburb": ("1-LV-semiurb4--2-sw", "LV4.101"),
    "town": ("1-LV-urban6--2-sw", "LV6.201"),
}
"""Our name, SimBench's code of the grid, and the subnet that SimBench extracts for that code."""

ROWS = 366 * 96
FIRST_LABEL, LAST_LABEL = "01.01.2016 00:00", "31.12.2016 23:45"
START = 1_451_602_800
"""2015-12-31T23:00:00Z: the first row's label, read as Central European Time (UTC+1)."""
UTC_OFFSET_S = 3_600
INTERVAL_S = 900

LOAD_SCALE, PV_SCALE = 10**6, 10**9
"""The data's own decimals: 6 for the loads used, 9 for PV, so that nothing is rounded."""

ROUND_TRIP_POWER = 2
"""`etaStore` is one way: in and out again multiplies it twice (see LICENCE-DATA.md)."""

KINDS = {
    "H0": ("household", "Household"),
    "L0": ("farm", "Farm"),
    "L1": ("farm", "Farm"),
    "L2": ("farm", "Farm"),
    "G0": ("business", "Business"),
    "G1": ("office", "Office"),
    "G2": ("restaurant", "Restaurant"),
    "G3": ("works", "Works"),
    "G4": ("shop", "Shop"),
    "G5": ("bakery", "Bakery"),
    "G6": ("inn", "Inn"),
}
"""Kind and name by standard load profile: G1 weekdays 8 to 18, G2 evenings, G6 weekends."""
APARTMENTS = ("apartments", "Apartment house")
SOLAR_PLANT = ("solar plant", "Solar plant")

XZ_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]


@dataclass(slots=True)
class Point:
    """What SimBench connects to one bus; all of it is one participant."""

    bus: str
    loads: list[tuple[str, int]] = field(default_factory=list)
    """Profile and rated power in W, each load of the bus."""
    pv: list[tuple[str, int]] = field(default_factory=list)
    """Profile and rated power in W, each PV plant of the bus."""
    batteries: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Capacity in Wh, charging W, discharging W, round trip in permille."""

    @property
    def kind(self) -> tuple[str, str]:
        """Kind and name, from the loads that are neither heat pump nor charging point."""
        homes = [profile for profile, _ in self.loads if profile[:2] in KINDS]
        if not self.loads:
            return SOLAR_PLANT
        if len(homes) > 1 and all(profile.startswith("H0") for profile in homes):
            return APARTMENTS
        return KINDS[homes[0][:2]]

    @property
    def number(self) -> int:
        """The bus's number, for a stable order."""
        return int(self.bus.rsplit(" ", 1)[1])


def rows_of(wheel: zipfile.ZipFile, table: str) -> Iterator[dict[str, str]]:
    """The rows of one table in the wheel."""
    with wheel.open(f"{TABLES}{table}.csv") as binary:
        text = io.TextIOWrapper(binary, encoding="utf-8", newline="")
        yield from csv.DictReader(text, delimiter=";")


def exactly(text: str, scale: int) -> int:
    """A decimal string times the scale; refuses what would have to be rounded."""
    value = Decimal(text) * scale
    if value != int(value):
        message = f"{text} has more decimals than 1/{scale}"
        raise SystemExit(message)
    return int(value)


def watts(megawatts: str) -> int:
    """Rated power in W."""
    return exactly(megawatts, 10**6)


def points_of(wheel: zipfile.ZipFile, subnet: str) -> list[Point]:
    """The connection points of a subnet, in the order of their bus numbers."""
    points: defaultdict[str, Point] = defaultdict(lambda: Point(""))

    def here(table: str) -> Iterator[tuple[Point, dict[str, str]]]:
        for row in rows_of(wheel, table):
            if row["subnet"] == subnet:
                point = points[row["node"]]
                point.bus = row["node"]
                yield point, row

    for point, row in here("Load"):
        point.loads.append((row["profile"], watts(row["pLoad"])))
    for point, row in here("RES"):
        if row["type"] != "PV":
            message = f"{row['id']} is {row['type']}, not PV: say how to name it first"
            raise SystemExit(message)
        point.pv.append((row["profile"], watts(row["pRES"])))
    for point, row in here("Storage"):
        # A PV_Storage is a PV plant with its battery in one element: the profile's name holds the
        # plant's own profile, the rated power is the plant's peak and the battery's inverter.
        _, plant, _ = row["profile"].split("_")
        power = watts(row["sR"])
        if row["type"] != "PV_Storage" or power != -watts(row["pStor"]):
            message = f"{row['id']} is not a PV plant with its battery: say how to read it first"
            raise SystemExit(message)
        round_trip = int(Decimal(row["etaStore"]) ** ROUND_TRIP_POWER * 1_000)
        point.pv.append((plant, power))
        point.batteries.append((watts(row["eStore"]), power, power, round_trip))
    if any(row["subnet"] == subnet for row in rows_of(wheel, "PowerPlant")):
        message = f"{subnet} has a power plant: say how to name it first"
        raise SystemExit(message)
    return sorted(points.values(), key=lambda point: point.number)


def described(points: Sequence[Point]) -> list[dict[str, object]]:
    """The participants as written to `neighbourhoods.json`."""
    numbers: Counter[str] = Counter()
    described_points: list[dict[str, object]] = []
    for point in points:
        kind, name = point.kind
        numbers[kind] += 1
        if len(point.batteries) > 1:
            message = f"{point.bus} has more than one battery: say how to add them first"
            raise SystemExit(message)
        described_points.append(
            {
                "name": f"{name} {numbers[kind]:02d}",
                "kind": kind,
                "bus": point.bus,
                "loads": point.loads,
                "pv": point.pv,
                "battery": point.batteries[0] if point.batteries else None,
            }
        )
    return described_points


def series_of(
    wheel: zipfile.ZipFile, table: str, columns: dict[str, str], scale: int
) -> dict[str, NDArray[np.int32]]:
    """Profiles of a table by name, as integers of 1/scale of the rated power.

    A handful of charging profiles dip a millionth or so below zero; a load cannot, so it is zero.
    """
    series = {profile: np.zeros(ROWS, np.int32) for profile in columns}
    labels = []
    for index, row in enumerate(rows_of(wheel, table)):
        labels.append(row["time"])
        for profile, column in columns.items():
            series[profile][index] = max(0, exactly(row[column], scale))
    if len(labels) != ROWS or (labels[0], labels[-1]) != (FIRST_LABEL, LAST_LABEL):
        message = f"{table} is not the year 2016 in quarter hours"
        raise SystemExit(message)
    return series


def derive(wheel: zipfile.ZipFile) -> tuple[bytes, str]:
    """The bytes of `profiles.xz` and the text of `neighbourhoods.json`."""
    points = {name: points_of(wheel, subnet) for name, (_, subnet) in NEIGHBOURHOODS.items()}
    everyone = [point for listed in points.values() for point in listed]
    loads = sorted({profile for point in everyone for profile, _ in point.loads})
    plants = sorted({profile for point in everyone for profile, _ in point.pv})
    load_columns = {profile: f"{profile}_pload" for profile in loads}
    series = series_of(wheel, "LoadProfile", load_columns, LOAD_SCALE)
    series |= series_of(wheel, "RESProfile", {profile: profile for profile in plants}, PV_SCALE)

    raw = np.stack([series[profile] for profile in loads + plants]).astype("<i4").tobytes()
    description = {
        "interval_s": INTERVAL_S,
        "start": START,
        "utc_offset_s": UTC_OFFSET_S,
        "rows": ROWS,
        "load_scale": LOAD_SCALE,
        "pv_scale": PV_SCALE,
        "load_profiles": loads,
        "pv_profiles": plants,
        "profiles_sha256": hashlib.sha256(raw).hexdigest(),
        "neighbourhoods": {
            name: {"simbench": code, "homes": described(points[name])}
            for name, (code, _) in NEIGHBOURHOODS.items()
        },
    }
    packed = lzma.compress(raw, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=XZ_FILTERS)
    return packed, json_text(description)


def json_text(description: dict[str, object]) -> str:
    """JSON with one participant per line, so that a change shows as one line."""
    text = json.dumps(description, ensure_ascii=False)
    for before in ('{"name"', '"village"', '"suburb"', '"town"', '"load_profiles"', '"pv_'):
        text = text.replace(before, "\n" + before)
    return text + "\n"


def main() -> None:
    """Write the derived files and say how large they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("wheel", type=Path, help="simbench-*.whl, from the package index")
    parser.add_argument("--to", type=Path, default=DATA, help="folder to write to")
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.wheel) as wheel:
        packed, text = derive(wheel)
    (arguments.to / "profiles.xz").write_bytes(packed)
    (arguments.to / "neighbourhoods.json").write_text(text, encoding="utf-8", newline="\n")
    print(f"profiles.xz {len(packed):,} bytes, neighbourhoods.json {len(text):,} characters")


if __name__ == "__main__":
    main()

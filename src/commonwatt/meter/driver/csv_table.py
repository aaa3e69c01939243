"""Plain CSV: registers at times, or energy of intervals, in columns that are named.

The first line names the columns. `time` makes a table of registers; `start` with `end`,
`duration_s` or the option `interval_s` one of intervals. Energy stands in `import_wh` or
`import_kwh`, `export_wh` or `export_kwh`, `source` says of which meter, `quality` how it is known.
Every time names its offset, so the hour that comes twice in autumn is two hours here. A table is
read whole or not at all. Nothing is signed: whoever delivers it vouches.
"""

import csv
from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from commonwatt.meter.driver.energy import read_energy, whole_number
from commonwatt.meter.driver.failure import (
    DriverError,
    DriverOptionsUnusable,
    FormatUnreadable,
    NumberUnreadable,
    ReadingsContradict,
    RegisterMissing,
    SourceUnusable,
    TimeUnreadable,
    shown,
)
from commonwatt.meter.driver.merging import together
from commonwatt.meter.driver.moment import utc_seconds
from commonwatt.meter.driver.reading import AnyReading, IntervalReading, Reading, require_count
from commonwatt.meter.driver.text import numbered_lines, read_text
from commonwatt.meter.record import Quality
from commonwatt.quantity import SECONDS_PER_DAY

CSV_BYTES_MAX = 32 * 1_024 * 1_024
CELLS_MAX = 200
SOURCE, TIME, START, END, DURATION, QUALITY = (
    "source",
    "time",
    "start",
    "end",
    "duration_s",
    "quality",
)
IMPORTS = {"import_wh": "Wh", "import_kwh": "kWh"}
EXPORTS = {"export_wh": "Wh", "export_kwh": "kWh"}
COLUMNS = (SOURCE, TIME, START, END, DURATION, *IMPORTS, *EXPORTS, QUALITY)
QUALITIES = {
    "": Quality.MEASURED,
    "measured": Quality.MEASURED,
    "calculated": Quality.CALCULATED,
    "estimated": Quality.ESTIMATED,
    "substituted": Quality.SUBSTITUTED,
    "manual": Quality.MEASURED | Quality.MANUAL,
    "error": Quality.METER_ERROR,
}
_DURATION_MAX = 400 * SECONDS_PER_DAY


class CsvOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a configuration can say."""

    source: str = ""
    """The meter's id, for tables without a column of it."""
    columns: dict[str, str] = {}
    """What a table calls our columns: `{"start": "Von", "import_kwh": "Bezug"}`."""
    ignore: tuple[str, ...] = ()
    """Columns to pass over."""
    delimiter: str = ""
    """Empty: semicolon, tab or comma, whichever the first line has."""
    decimal_comma: bool = False
    """Whether decimals are written 1,5."""
    interval_s: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Length of all intervals, for tables that only say their start."""

    def __post_init__(self) -> None:
        """Raise `DriverOptionsUnusable` for a delimiter that sets nothing apart."""
        if len(self.delimiter) > 1 or self.delimiter in set('"\r\n'):
            raise DriverOptionsUnusable(
                f"delimiter {shown(self.delimiter)}: one sign that is in no cell, such as ';'"
            )


def read_csv(payload: bytes, options: CsvOptions) -> tuple[AnyReading, ...]:
    """The readings of a table: registers in its order, intervals in order of source and time.

    Raises:
        MessageTooLarge: more than `CSV_BYTES_MAX`, or too many readings.
        FormatUnreadable: no such table; the message names line and column.
        RegisterMissing: no line with energy.
        ReadingsContradict: two values for one meter and time, or intervals that overlap.
        NumberUnreadable, TimeUnreadable, SourceUnusable: in a line, which is named.
    """
    text = read_text(payload, CSV_BYTES_MAX, "CSV table")
    rows = _rows(text, options)
    _, head = next(rows, (1, []))
    places = _places(head, options)
    registers: list[Reading] = []
    intervals: list[IntervalReading] = []
    for line, cells in rows:
        if len(cells) != len(head):
            raise FormatUnreadable(
                f"line {line} has {len(cells)} cells for {len(head)} columns: "
                "set apart cells and decimals by different signs"
            )
        fields = {name: cells[place] for name, place in places.items()}
        reading = _line(line, fields, options)
        if isinstance(reading, Reading):
            registers.append(reading)
        else:
            intervals.append(reading)
        require_count(len(registers) + len(intervals))
    if not registers and not intervals:
        raise RegisterMissing("a CSV table without lines below the columns' names: add some")
    _require_agreeing(registers)
    return (*registers, *together(intervals))


def _rows(text: str, options: CsvOptions) -> Iterator[tuple[int, list[str]]]:
    """Each line's cells with its number from 1; empty lines are passed over."""
    mark = options.delimiter
    for number, line in numbered_lines(text, "CSV table"):
        mark = mark or next((mark for mark in ";\t" if mark in line), ",")
        try:
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter=mark, strict=True))]
        except csv.Error as error:
            raise FormatUnreadable(f"line {number}: {error}: write one line for each") from None
        if any(cells):
            yield number, cells


def _places(head: list[str], options: CsvOptions) -> dict[str, int]:
    """Where each of our columns stands."""
    if len(head) > CELLS_MAX:
        raise FormatUnreadable(f"{len(head)} columns: at most {CELLS_MAX} are read")
    ours = {theirs: name for name, theirs in options.columns.items()}
    places: dict[str, int] = {}
    for place, theirs in enumerate(head):
        name = ours.get(theirs, theirs)
        if theirs in options.ignore:
            continue
        if name not in COLUMNS:
            raise FormatUnreadable(
                f"column {shown(theirs)} is not known: name it in columns or ignore; "
                f"known are {', '.join(COLUMNS)}"
            )
        if name in places:
            raise FormatUnreadable(f"column {shown(name)} stands twice: keep one")
        places[name] = place
    _require_columns(places, options)
    return places


def _require_columns(places: Mapping[str, int], options: CsvOptions) -> None:
    if (TIME in places) == (START in places):
        raise FormatUnreadable(
            f"name either {TIME!r}, for registers, or {START!r}, for intervals, in the first line"
        )
    if SOURCE not in places and not options.source:
        raise SourceUnusable(f"no column {SOURCE!r}: add it, or set the option source")
    lengths = sum((END in places, DURATION in places, options.interval_s > 0))
    if START in places and lengths != 1:
        raise FormatUnreadable(
            f"the length of intervals: one of {END!r}, {DURATION!r} or the option interval_s"
        )
    if not any(name in places for name in (*IMPORTS, *EXPORTS)):
        raise RegisterMissing(f"no column of energy: one of {', '.join((*IMPORTS, *EXPORTS))}")
    for units in (IMPORTS, EXPORTS):
        if sum(name in places for name in units) > 1:
            raise FormatUnreadable(f"both {' and '.join(units)}: keep one")


def _line(line: int, fields: Mapping[str, str], options: CsvOptions) -> AnyReading:
    imported = _energy(line, fields, IMPORTS, options)
    exported = _energy(line, fields, EXPORTS, options)
    source = fields.get(SOURCE, options.source)
    quality = QUALITIES.get(fields.get(QUALITY, "").lower())
    if quality is None:
        raise FormatUnreadable(
            f"line {line}: quality {shown(fields[QUALITY])} is none of "
            f"{', '.join(filter(None, QUALITIES))}"
        )
    try:
        if TIME in fields:
            time = utc_seconds(fields[TIME], TIME)
            return Reading(source, time, imported, exported, quality)
        start = utc_seconds(fields[START], START)
        return IntervalReading(
            source, start, _duration(fields, start, options), imported, exported, quality
        )
    except DriverError as error:
        raise type(error)(f"line {line}: {error}") from None


def _energy(
    line: int, fields: Mapping[str, str], units: Mapping[str, str], options: CsvOptions
) -> int | None:
    name = next((name for name in units if name in fields), "")
    text = fields.get(name, "")
    if not text:
        return None
    what = f"line {line}, {name}"
    if options.decimal_comma:
        if "." in text:
            raise NumberUnreadable(f"{what}: {shown(text)} has a point: write thousands without it")
        text = text.replace(",", ".")
    return read_energy(text, units[name], what)


def _duration(fields: Mapping[str, str], start: int, options: CsvOptions) -> int:
    if END in fields:
        return utc_seconds(fields[END], END) - start
    text = fields.get(DURATION, str(options.interval_s))
    duration = whole_number(text, 1, _DURATION_MAX)
    if duration is None:
        raise TimeUnreadable(f"{DURATION} {shown(text)} is no count of seconds")
    return duration


def _require_agreeing(readings: list[Reading]) -> None:
    seen: dict[tuple[str, int], Reading] = {}
    for reading in readings:
        before = seen.setdefault((reading.source, reading.time), reading)
        if (before.import_mwh, before.export_mwh) != (reading.import_mwh, reading.export_mwh):
            raise ReadingsContradict(
                f"two lines of {shown(reading.source)} at one time differ: keep one"
            )

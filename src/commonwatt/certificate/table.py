"""Readings from a table, for meters that cannot sign: CSV lines, vouched for by somebody named.

The first line names the columns: `metering_point`, `start` and either `quantity_wh` (whole) or
`quantity_kwh` (a decimal, rounded down to whole Wh, R2); `duration_s` where intervals differ in
length. Columns are set apart by commas or semicolons. A start names its offset, so the hour that
comes twice in autumn is two hours here (R6). A table is taken whole or not at all.
"""

import csv
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from commonwatt.certificate.actions import Issue
from commonwatt.certificate.bundle import Origin
from commonwatt.certificate.context import Context
from commonwatt.certificate.devices import VOUCHER_MAX, is_voucher
from commonwatt.certificate.refusal import ActionRefused, refuse_unless
from commonwatt.certificate.state import ISSUED
from commonwatt.errors import CommonwattError
from commonwatt.meter.acceptance import within_capacity
from commonwatt.quantity import MWH_PER_WH, BadInterval, parse_time

READING_FORMAT = "commonwatt-vouched-reading/1"
POINT, START, DURATION = "metering_point", "start", "duration_s"
IN_WH, IN_KWH = "quantity_wh", "quantity_kwh"
LINES_MAX = 1_000_000
PROBLEMS_MAX = 100
"""No more are told at once."""
VALUE_SHOWN_MAX = 60
_WH = re.compile(r"[0-9]{1,12}")
_KWH = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,12}))?")
_DURATION = re.compile(r"[0-9]{2,4}")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a table; its bytes are the proving record of what is issued for it."""

    format: str = READING_FORMAT
    meter: str
    start: int
    duration: int
    wh: int
    voucher: str
    """Who vouches for it."""

    @property
    def record(self) -> str:
        """SHA-256 of the reading's bytes."""
        return sha256(msgspec.json.encode(self)).hexdigest()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a table cannot be taken: where, what stands there, and what to do."""

    line: int
    """From 1; the last one of a row that spans several."""
    column: str
    """Empty where it is about the whole line."""
    value: str
    advice: str

    def __str__(self) -> str:
        """All of it on one line."""
        where = f"line {self.line}" + (f", {self.column}" if self.column else "")
        shown = f" {self.value[:VALUE_SHOWN_MAX]!r}" if self.value else ""
        return f"{where}{shown}: {self.advice}"


@dataclass(frozen=True, slots=True)
class Imported:
    """A table without problems."""

    readings: tuple[Reading, ...]
    """In the order of the lines."""

    def issues(self) -> tuple[Issue, ...]:
        """What the issuer would sign; nothing for what is zero (R7)."""
        return tuple(
            Issue(
                meter=reading.meter,
                start=reading.start,
                duration=reading.duration,
                metered_wh=reading.wh,
                retired_wh=0,
                free_wh=reading.wh,
                record=reading.record,
            )
            for reading in self.readings
            if reading.wh
        )


@dataclass(frozen=True, slots=True)
class NotImported:
    """A table with problems: nothing of it was taken."""

    problems: tuple[Problem, ...]


class _Stop(CommonwattError):
    """There is no use in reading on; it never leaves this module."""


def read_table(
    lines: Iterable[str],
    points: Mapping[str, str],
    voucher: str,
    duration: int,
    context: Context,
) -> Imported | NotImported:
    """Read a table for devices of a book.

    What comes back as imported is what the book issues: each line was held against the rules of
    issuing (R3, R4, R6, R7) and against all lines before it.

    Args:
        lines: of text, with or without their line ends.
        points: per metering point the hex digits of its meter.
        voucher: who vouches for the readings, by name.
        duration: of an interval in seconds, where the table has no column of it.
        context: the book's state and the time now.

    Raises:
        ActionRefused: nobody is named who vouches.
    """
    refuse_unless(
        is_voucher(voucher),
        "R4",
        f"name who vouches for the table in 1 to {VOUCHER_MAX} printable characters",
    )
    reader = _Reader(points, voucher, duration, context)
    with suppress(_Stop):
        reader.read(lines)
    if reader.problems:
        return NotImported(tuple(reader.problems))
    return Imported(tuple(reader.readings))


class _Reader:
    """Reads line after line and collects what is wrong."""

    def __init__(
        self, points: Mapping[str, str], voucher: str, duration: int, context: Context
    ) -> None:
        self.points, self.voucher = points, voucher
        self.duration, self.context = duration, context
        self.readings: list[Reading] = []
        self.problems: list[Problem] = []
        self._columns: dict[str, int] = {}
        self._taken: dict[str, list[tuple[int, int, int]]] = {}
        """Per meter: start, end and line, ascending; none overlaps another."""

    def read(self, lines: Iterable[str]) -> None:
        rows = self._rows(lines)
        line, head = next(rows, (1, []))
        self._read_head(line, head)
        for line, row in rows:
            reading = self._reading(line, row)
            if reading is not None:
                self.readings.append(reading)
        if not self.readings and not self.problems:
            self._problem(line, "", "", "there are no readings below the columns' names")

    def _rows(self, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        """Each row with the number of its line; empty lines are passed over."""
        source = iter(lines)
        first = next(source, "").removeprefix("\ufeff")
        mark = ";" if ";" in first else ","
        rows = csv.reader(_with(first, source), delimiter=mark, strict=True)
        try:
            for row in rows:
                if rows.line_num > LINES_MAX:
                    self._problem(
                        rows.line_num, "", "", f"more than {LINES_MAX} lines: divide the table"
                    )
                    raise _Stop
                cells = [cell.strip() for cell in row]
                if any(cells):
                    yield rows.line_num, cells
        except csv.Error as error:
            self._problem(rows.line_num, "", "", f"{error}: write plain CSV")
            raise _Stop from None

    def _read_head(self, line: int, head: list[str]) -> None:
        self._columns = {name: place for place, name in enumerate(head)}
        known = {POINT, START, DURATION, IN_WH, IN_KWH}
        for name in head:
            if name not in known or head.count(name) > 1:
                advice = (
                    "a column once only" if name in known else f"use {', '.join(sorted(known))}"
                )
                self._problem(line, "", name, advice)
        for name in (POINT, START):
            if name not in self._columns:
                self._problem(line, name, "", "this column is missing: name it in the first line")
        if (IN_WH in self._columns) == (IN_KWH in self._columns):
            self._problem(line, "", "", f"name one column of energy: {IN_WH} or {IN_KWH}")
        if self.problems:
            raise _Stop

    def _reading(self, line: int, row: list[str]) -> Reading | None:
        if len(row) != len(self._columns):
            what = f"{len(row)} cells for {len(self._columns)} columns"
            self._problem(line, "", "", f"{what}: write a decimal as 1.5, not 1,5")
            return None
        cells = {name: row[place] for name, place in self._columns.items()}
        before = len(self.problems)
        meter = self.points.get(cells[POINT], "")
        if not meter:
            self._problem(line, POINT, cells[POINT], "no such metering point: register it first")
        start, duration = self._start(line, cells[START]), self._duration(line, cells)
        wh = self._wh(line, cells)
        if len(self.problems) > before:
            return None
        reading = Reading(meter=meter, start=start, duration=duration, wh=wh, voucher=self.voucher)
        fits = self._is_issuable(line, cells, reading) and self._is_free(line, cells, reading)
        return reading if fits else None

    def _start(self, line: int, text: str) -> int:
        try:
            return parse_time(text)
        except (BadInterval, OverflowError) as error:
            self._problem(line, START, text, _after_value(str(error), text))
            return 0

    def _duration(self, line: int, cells: Mapping[str, str]) -> int:
        text = cells.get(DURATION)
        if text is None:
            return self.duration
        if _DURATION.fullmatch(text):
            return int(text)
        self._problem(line, DURATION, text, "write whole seconds, such as 900")
        return 0

    def _wh(self, line: int, cells: Mapping[str, str]) -> int:
        """R2, R7: whole Wh, rounded down; a decimal comma or a minus is no number here."""
        if IN_WH in cells:
            text = cells[IN_WH]
            if _WH.fullmatch(text):
                return int(text)
            self._problem(line, IN_WH, text, "write whole Wh of 0 or more, such as 1500")
            return 0
        text = cells[IN_KWH]
        found = _KWH.fullmatch(text)
        if found is None:
            self._problem(line, IN_KWH, text, "write kWh of 0 or more with a point, such as 1.5")
            return 0
        whole, part = found.groups(default="")
        return int(whole + part[:3].ljust(3, "0"))

    def _is_issuable(self, line: int, cells: Mapping[str, str], reading: Reading) -> bool:
        """R3, R4, R6, R7: what the book would refuse is a problem here, before anything is done."""
        column, context = START, self.context
        try:
            origin = context.interval(reading.meter, reading.start, reading.duration)
            column = POINT
            device = context.device(reading.meter)
            generates = not device.storage_permille
            refuse_unless(generates, "R25", "storage generates nothing: enter a discharge")
            refuse_unless(not device.key, "R4", "this meter signs: its own records count")
            refuse_unless(
                device.voucher == self.voucher, "R4", f"{device.voucher} vouches for this meter"
            )
            column = START
            context.require_in_service(device, origin)
            free = context.state.is_free(ISSUED, origin)
            refuse_unless(free, "R3", "the interval is issued already: leave the line out")
            column = IN_WH if IN_WH in cells else IN_KWH
            refuse_unless(
                within_capacity(reading.wh * MWH_PER_WH, device.rated_w, origin.duration),
                "R7",
                f"more than {device.rated_w} W can make in {origin.duration} s: check the unit",
            )
        except ActionRefused as error:
            self._problem(line, column, cells[column], str(error))
            return False
        return True

    def _is_free(self, line: int, cells: Mapping[str, str], reading: Reading) -> bool:
        """R3: no line before it has any second of its interval."""
        origin = Origin(bytes.fromhex(reading.meter), reading.start, reading.duration)
        spans = self._taken.setdefault(reading.meter, [])
        at = bisect_left(spans, (origin.start, origin.end, line))
        for start, end, earlier in spans[max(at - 1, 0) : at + 1]:
            if origin.overlaps(start, end):
                same = (start, end) == (origin.start, origin.end)
                what = "the same interval as" if same else "overlaps the interval of"
                advice = f"{what} line {earlier}: keep one of them (R3)"
                self._problem(line, START, cells[START], advice)
                return False
        spans.insert(at, (origin.start, origin.end, line))
        return True

    def _problem(self, line: int, column: str, value: str, advice: str) -> None:
        self.problems.append(Problem(line, column, value, advice))
        if len(self.problems) >= PROBLEMS_MAX:
            raise _Stop


def _with(first: str, others: Iterator[str]) -> Iterator[str]:
    yield first
    yield from others


def _after_value(message: str, value: str) -> str:
    """An error's advice without the value it begins with: a problem shows that itself."""
    return message.removeprefix(f"{value!r} ")

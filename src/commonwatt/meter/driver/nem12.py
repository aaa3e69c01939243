"""NEM12 files (AEMO, Australia): interval energy of metering points, a day to a line.

Times are Australian Eastern Standard Time, UTC+10, the whole year and in every state. Suffixes
tell the direction as the grid sees it: E is energy to the customer, B from the customer; all
master registers of a metering point are added up. Other quantities are passed over. A file is
read whole or not at all. Nothing is signed: whoever delivers the file vouches.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from commonwatt.meter.driver.energy import UNITS, scaled_energy, whole_number
from commonwatt.meter.driver.failure import (
    ChecksumWrong,
    FormatUnreadable,
    MessageCut,
    ReadingsContradict,
    RegisterMissing,
    TimeUnreadable,
    UnitUnknown,
    shown,
)
from commonwatt.meter.driver.merging import together
from commonwatt.meter.driver.reading import IntervalReading, require_count
from commonwatt.meter.driver.text import numbered_lines, read_text
from commonwatt.meter.record import Quality
from commonwatt.quantity import SECONDS_PER_DAY, SECONDS_PER_HOUR, time_text

NEM12_BYTES_MAX = 16 * 1_024 * 1_024
"""Some fifteen years of one register with five-minute intervals."""
AEST_S = 10 * SECONDS_PER_HOUR
"""Ahead of UTC, without daylight saving."""
INTERVAL_MINUTES = frozenset({5, 15, 30})
NMI_CHARS, NMI_CHARS_WITH_CHECK = 10, 11
CHANNEL_FIELDS, EVENT_FIELDS = 9, 4
"""At least so many on a 200 and on a 400 line; what may follow is not read."""
_MINUTES_PER_DAY = 1_440
_UNITS = {unit.upper(): power for unit, power in UNITS.items()}
"""The format writes units in any case, and knows no milliwatt-hours."""
_NMI = re.compile(r"[A-HJ-NP-Z0-9]{10}[0-9]?")
_SUFFIX = re.compile(r"[A-Z][A-Z0-9]")
_QUALITY = re.compile(r"([AEFNSV])([0-9]{2})?")
_DAY = re.compile(r"[0-9]{8}")
_QUALITIES = {
    "A": Quality.MEASURED,
    "E": Quality.ESTIMATED,
    "F": Quality.SUBSTITUTED,
    "S": Quality.SUBSTITUTED,
}
"""Actual, forward estimate, final substitute, substitute. N is no data, V says it by 400 lines."""
_NULL, _VARIABLE = "N", "V"


@dataclass(slots=True)
class Day:
    """The values of one channel and one day; text still, as each may be of another quality."""

    line: int
    start: int
    """UTC seconds of the first interval."""
    values: Sequence[str]
    flags: list[str]
    """For each interval its quality flag; empty where 400 lines are still to say it."""


@dataclass(slots=True)
class Channel:
    """A 200 line and what follows it."""

    line: int
    nmi: str
    suffix: str
    unit: str
    minutes: int
    days: list[Day] = field(default_factory=list)

    @property
    def is_energy(self) -> bool:
        """Whether it counts active energy, in or out, at the master meter."""
        return self.suffix[0] in "BE"

    def parts(self) -> Iterator[IntervalReading]:
        """Its intervals with data, in mWh."""
        power = _UNITS.get(self.unit.upper())
        if power is None:
            raise UnitUnknown(
                f"line {self.line}: {self.suffix} of {self.nmi} is in {shown(self.unit)}: "
                "it has to be in Wh, kWh or MWh"
            )
        seconds, out = self.minutes * 60, self.suffix[0] == "B"
        for day in self.days:
            for number, (text, flag) in enumerate(zip(day.values, day.flags, strict=True)):
                if flag == _NULL:
                    continue
                energy = scaled_energy(text, power, f"line {day.line}, interval {number + 1}")
                yield IntervalReading(
                    source=self.nmi,
                    start=day.start + number * seconds,
                    duration=seconds,
                    import_mwh=None if out else energy,
                    export_mwh=energy if out else None,
                    quality=_QUALITIES[flag],
                )


def read_nem12(payload: bytes) -> tuple[IntervalReading, ...]:
    """The energy of each interval and metering point, in order of point and time.

    An interval in which a register is marked N, no data, says nothing of that direction.

    Raises:
        MessageTooLarge: more than `NEM12_BYTES_MAX`, or too many readings.
        MessageCut: no 900 line at the end, or 400 lines are missing.
        FormatUnreadable: a line is not what its place asks for.
        ChecksumWrong: the eleventh digit of a metering point does not fit.
        RegisterMissing: no channel of active energy, or one without a day the others have.
        ReadingsContradict: one day twice, or lengths of intervals that overlap.
        NumberUnreadable, UnitUnknown, TimeUnreadable: in a line.
    """
    channels = [channel for channel in read_channels(payload) if channel.is_energy]
    if not any(channel.days for channel in channels):
        raise RegisterMissing(
            "no channel of active energy (suffix E or B) with a day: order the interval data"
        )
    return together(_sums(channels))


def read_channels(payload: bytes) -> tuple[Channel, ...]:
    """Every channel of a file, whatever it counts; errors as of `read_nem12`."""
    reader = _Reader()
    text = read_text(payload, NEM12_BYTES_MAX, "NEM12 file")
    for number, line in numbered_lines(text, "NEM12 file"):
        reader.take(number, [cell.strip() for cell in line.split(",")])
    return reader.finished()


def nmi_check_digit(nmi: str) -> int:
    """The check digit of a metering point's ten characters (AEMO, NMI procedure).

    >>> nmi_check_digit("2001985732")
    8
    """
    total = 0
    for place, sign in enumerate(reversed(nmi)):
        value = ord(sign) * (2 if place % 2 == 0 else 1)
        total += sum(int(digit) for digit in str(value))
    return -total % 10


def _sums(channels: list[Channel]) -> Iterator[IntervalReading]:
    """Per metering point and direction all registers added up, where all have data."""
    streams: dict[tuple[str, str], list[Channel]] = {}
    for channel in channels:
        streams.setdefault((channel.nmi, channel.suffix[0]), []).append(channel)
    count = 0
    for stream in streams.values():
        registers = _registers(stream)
        found: dict[tuple[int, int], list[tuple[str, IntervalReading]]] = {}
        for channel in stream:
            for part in channel.parts():
                count += 1
                require_count(count)
                found.setdefault((part.start, part.duration), []).append((channel.suffix, part))
        for parts in found.values():
            if len({suffix for suffix, _ in parts}) != len(parts):
                raise ReadingsContradict(
                    f"{parts[0][0]} of {parts[0][1].source} has a day twice: keep the later one"
                )
            if len(parts) == registers:
                yield _sum([part for _, part in parts])


def _registers(stream: list[Channel]) -> int:
    """How many registers add up; each has to have the days of the others."""
    days: dict[str, set[int]] = {}
    for channel in stream:
        days.setdefault(channel.suffix, set()).update(day.start for day in channel.days)
    every = set().union(*days.values())
    for suffix, own in days.items():
        if own != every:
            missing = time_text(min(every - own) + AEST_S)[:10]
            raise RegisterMissing(
                f"{suffix} of {stream[0].nmi} has no {missing}, its other registers do: "
                "order that day, or divide the file there if the register is new"
            )
    return len(days)


def _sum(parts: list[IntervalReading]) -> IntervalReading:
    first, *others = parts
    if not others:
        return first
    quality = Quality(0)
    for part in parts:
        quality |= part.quality
    if quality & ~Quality.MEASURED:
        quality &= ~Quality.MEASURED
    energy = sum((part.import_mwh or 0) + (part.export_mwh or 0) for part in parts)
    return IntervalReading(
        source=first.source,
        start=first.start,
        duration=first.duration,
        import_mwh=energy if first.import_mwh is not None else None,
        export_mwh=energy if first.export_mwh is not None else None,
        quality=quality,
    )


class _Reader:
    """Reads line after line; each kind may only follow certain others."""

    def __init__(self) -> None:
        self._channels: list[Channel] = []
        self._line, self._begun, self._ended = 0, False, False
        self._covered = 0
        """Intervals of the current day that 400 lines have told the quality of."""
        self._kinds: dict[str, Callable[[list[str]], None]] = {
            "200": self._channel,
            "300": self._day,
            "400": self._event,
            "500": self._b2b,
            "900": self._end,
        }

    def take(self, line: int, cells: list[str]) -> None:
        self._line = line
        kind = cells[0]
        if not self._begun:
            if cells[:2] != ["100", "NEM12"]:
                raise self._wrong("a NEM12 file begins with a line 100,NEM12")
            self._begun = True
            return
        if self._ended:
            raise self._wrong("nothing follows the 900 line: give one file at a time")
        read = self._kinds.get(kind)
        if read is None:
            raise self._wrong(f"{shown(kind)} is no kind of line: 200, 300, 400, 500 or 900")
        read(cells)

    def finished(self) -> tuple[Channel, ...]:
        if not self._begun:
            raise FormatUnreadable("a NEM12 file without a line: it begins with 100,NEM12")
        if not self._ended:
            raise MessageCut(
                f"line {self._line} is not the 900 line of the end: get the file whole"
            )
        return tuple(self._channels)

    def _channel(self, cells: list[str]) -> None:
        self._require_covered()
        if len(cells) < CHANNEL_FIELDS:
            raise self._wrong(f"a 200 line has {CHANNEL_FIELDS} fields, this one {len(cells)}")
        nmi, suffix, unit, minutes = cells[1], cells[4], cells[7], cells[8]
        if not _NMI.fullmatch(nmi):
            raise self._wrong(f"{shown(nmi)} is no metering point: ten letters and digits")
        if len(nmi) == NMI_CHARS_WITH_CHECK and nmi_check_digit(nmi[:NMI_CHARS]) != int(nmi[-1]):
            raise ChecksumWrong(
                f"line {self._line}: the last digit of metering point {nmi} is not its check "
                f"digit {nmi_check_digit(nmi[:NMI_CHARS])}: is the number right?"
            )
        if not _SUFFIX.fullmatch(suffix):
            raise self._wrong(f"{shown(suffix)} is no suffix like E1")
        length = whole_number(minutes, 1, _MINUTES_PER_DAY)
        if length is None or length not in INTERVAL_MINUTES:
            raise self._wrong(f"intervals of {shown(minutes)} minutes: 5, 15 or 30 are read")
        self._channels.append(Channel(self._line, nmi[:NMI_CHARS], suffix, unit, length))

    def _day(self, cells: list[str]) -> None:
        self._require_covered()
        if not self._channels:
            raise self._wrong("a 300 line before the first 200 line")
        channel = self._channels[-1]
        intervals = _MINUTES_PER_DAY // channel.minutes
        if len(cells) < intervals + 3:
            raise self._wrong(
                f"a day of {channel.minutes} minutes has {intervals} values and their quality, "
                f"this line {len(cells)} fields"
            )
        flag = self._flag(cells[intervals + 2])
        self._covered = 0
        channel.days.append(
            Day(
                line=self._line,
                start=self._midnight(cells[1]),
                values=cells[2 : intervals + 2],
                flags=[] if flag == _VARIABLE else [flag] * intervals,
            )
        )

    def _event(self, cells: list[str]) -> None:
        day = self._channels[-1].days[-1] if self._channels and self._channels[-1].days else None
        if day is None or len(day.flags) != self._covered or len(day.flags) == len(day.values):
            raise self._wrong("a 400 line without a 300 line of quality V before it")
        if len(cells) < EVENT_FIELDS:
            raise self._wrong(f"a 400 line has {EVENT_FIELDS} fields, this one {len(cells)}")
        _, begin, end, quality, *_ = cells
        first, last = (whole_number(bound, 1, len(day.values)) for bound in (begin, end))
        if first != self._covered + 1 or last is None or last < first:
            raise self._wrong(
                f"intervals {shown(begin)} to {shown(end)} do not follow interval "
                f"{self._covered} of {len(day.values)}"
            )
        flag = self._flag(quality)
        if flag == _VARIABLE:
            raise self._wrong("quality V says nothing on a 400 line")
        day.flags += [flag] * (last - first + 1)
        self._covered = last

    def _b2b(self, _: list[str]) -> None:
        """Readings at site visits: nothing of an interval."""
        self._require_covered()
        if not self._channels:
            raise self._wrong("a 500 line before the first 200 line")

    def _end(self, _: list[str]) -> None:
        self._require_covered()
        self._ended = True

    def _require_covered(self) -> None:
        day = self._channels[-1].days[-1] if self._channels and self._channels[-1].days else None
        if day is not None and len(day.flags) != len(day.values):
            raise MessageCut(
                f"line {day.line}: 400 lines tell the quality of {len(day.flags)} of "
                f"{len(day.values)} intervals: get the file whole"
            )

    def _flag(self, text: str) -> str:
        found = _QUALITY.fullmatch(text)
        if found is None:
            raise self._wrong(f"{shown(text)} is no quality like A, S14 or V")
        return found.group(1)

    def _midnight(self, text: str) -> int:
        try:
            day = (
                date(int(text[:4]), int(text[4:6]), int(text[6:])) if _DAY.fullmatch(text) else None
            )
        except ValueError:
            day = None
        if day is None:
            raise TimeUnreadable(f"line {self._line}: {shown(text)} is no day like 20240131")
        local = datetime(day.year, day.month, day.day, tzinfo=UTC)
        days = (local - datetime(1970, 1, 1, tzinfo=UTC)).days
        return days * SECONDS_PER_DAY - AEST_S

    def _wrong(self, what: str) -> FormatUnreadable:
        return FormatUnreadable(f"line {self._line}: {what}")

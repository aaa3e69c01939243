"""Green Button (NAESB ESPI) files: interval energy as utilities in North America give it out.

A feed has usage points, their meter readings, the types of these, and blocks of intervals; links
tell what belongs to what. Read are types in Wh (uom 72) of electricity with flow 1, delivered to
the customer, and 19, received from it. Times are seconds since 1970 in UTC. Nothing is signed:
whoever delivers the file vouches.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec

from commonwatt.meter.driver.energy import scaled_energy, whole_number
from commonwatt.meter.driver.espi_feed import Block, Entry, Interval, ReadingType, read_feed
from commonwatt.meter.driver.failure import (
    FormatUnreadable,
    RegisterMissing,
    TimeUnreadable,
    UnitUnknown,
    shown,
)
from commonwatt.meter.driver.merging import together
from commonwatt.meter.driver.reading import IntervalReading, require_count
from commonwatt.meter.record import Quality
from commonwatt.quantity import TIME_MAX

WATT_HOURS, ELECTRICITY = "72", frozenset({"", "0", "1"})
DELIVERED, RECEIVED = frozenset({"1"}), frozenset({"19"})
DELTA = frozenset({"", "0", "4"})
"""Accumulation: energy of the interval, which is meant where nothing is said."""
WH_POWER = 3
POWER_MAX = 12
QUALITIES = {
    "0": Quality.MEASURED,
    "7": Quality.MANUAL | Quality.SUBSTITUTED,
    "8": Quality.ESTIMATED,
    "9": Quality.ESTIMATED,
    "10": Quality.METER_ERROR,
    "11": Quality.CALCULATED,
    "12": Quality.ESTIMATED,
    "13": Quality.ESTIMATED,
    "14": Quality.MEASURED,
    "15": Quality.ESTIMATED,
    "16": Quality.ESTIMATED,
    "17": Quality.MEASURED,
    "18": Quality.MEASURED,
    "19": Quality.MEASURED,
}
"""Valid, edited by hand, estimated (two ways), questionable, derived, projected, mixed, raw,
normalised for weather, other, validated, verified, revenue quality."""


class EspiOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a configuration can say."""

    interval_s: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Read intervals of this length only, where a file has the same energy in several; 0: all."""


@dataclass(frozen=True, slots=True)
class _Stream:
    """What the intervals of a block are."""

    source: str
    power: int
    """Power of ten from a value to mWh."""
    out: bool
    length: str
    """Seconds of an interval, where the type says it."""
    quality: str
    """Code of those that say none."""


def read_espi(payload: bytes, options: EspiOptions) -> tuple[IntervalReading, ...]:
    """The energy of each interval and usage point, in order of point and time.

    Raises:
        MessageTooLarge, MessageCut: see `read_feed`; also too many readings.
        FormatUnreadable: no such feed, or links that lead nowhere.
        RegisterMissing: no meter reading of active energy.
        UnitUnknown: a power of ten beyond any meter's.
        ReadingsContradict: two values for one interval, or intervals that overlap.
        NumberUnreadable, TimeUnreadable, SourceUnusable: in an interval.
    """
    entries = read_feed(payload)
    types = {entry.link("self"): entry for entry in entries if entry.reading_type}
    readings = [entry for entry in entries if entry.kind == "MeterReading"]
    above = _above(readings)
    parts: list[IntervalReading] = []
    streams = 0
    for entry in entries:
        if not entry.blocks:
            continue
        stream = _stream(entry, readings, above, types)
        if stream is None:
            continue
        streams += 1
        for part in _parts(entry.blocks, stream):
            if options.interval_s in (0, part.duration):
                parts.append(part)
                require_count(len(parts))
    if not parts:
        raise RegisterMissing(
            f"no interval of active energy (uom 72, flow 1 or 19) in {streams} fitting blocks: "
            "download the electricity usage by interval"
        )
    return together(parts)


def _above(readings: list[Entry]) -> Mapping[str, Entry]:
    """Meter readings by every path that names them or what is theirs."""
    found: dict[str, Entry] = {}
    for reading in readings:
        for path in (reading.link("self"), *(path for _, path in reading.links)):
            if path:
                found.setdefault(path, reading)
    return found


def _stream(
    entry: Entry, readings: list[Entry], above: Mapping[str, Entry], types: Mapping[str, Entry]
) -> _Stream | None:
    """What a block's values are, by its links; None for other quantities than active energy."""
    up = entry.link("up")
    reading = above.get(up) or above.get(up.rpartition("/")[0])
    if reading is None and len(readings) == 1:
        reading = readings[0]
    if reading is None:
        raise FormatUnreadable(
            f"an interval block whose link {shown(up)} leads to no meter reading: "
            "get the file anew from the utility"
        )
    kind = next((types[path] for _, path in reading.links if path in types), None)
    if kind is None and len(types) == 1:
        kind = next(iter(types.values()))
    if kind is None or kind.reading_type is None:
        raise FormatUnreadable(
            f"meter reading {shown(reading.link('self'))} links to no reading type: "
            "get the file anew from the utility"
        )
    source = reading.link("up").removesuffix("/MeterReading") or reading.link("self")
    return _energy_stream(source, kind.reading_type)


def _energy_stream(source: str, kind: ReadingType) -> _Stream | None:
    fields = kind.fields
    flow = fields.get("flowDirection", "")
    readable = (
        fields.get("uom") == WATT_HOURS
        and fields.get("commodity", "") in ELECTRICITY
        and fields.get("accumulationBehaviour", "") in DELTA
        and flow in DELIVERED | RECEIVED
    )
    if not readable:
        return None
    multiplier = fields.get("powerOfTenMultiplier") or "0"
    power = whole_number(multiplier, -POWER_MAX, POWER_MAX)
    if power is None:
        raise UnitUnknown(
            f"powerOfTenMultiplier {shown(multiplier)}: a whole number from -{POWER_MAX} to "
            f"{POWER_MAX}"
        )
    return _Stream(
        source=source,
        power=WH_POWER + power,
        out=flow in RECEIVED,
        length=fields.get("intervalLength", ""),
        quality=fields.get("defaultQuality") or "0",
    )


def _parts(blocks: list[Block], stream: _Stream) -> Iterator[IntervalReading]:
    for block in blocks:
        following = block.fields.get("start", "")
        for interval in block.intervals:
            start = _seconds(interval.fields.get("start") or following, "start")
            duration = _seconds(interval.fields.get("duration") or stream.length, "duration")
            value = interval.fields.get("value")
            if value is None:
                raise FormatUnreadable(f"the interval at {start} has no value: get the file anew")
            energy = scaled_energy(value, stream.power, f"value at {start}")
            yield IntervalReading(
                source=stream.source,
                start=start,
                duration=duration,
                import_mwh=None if stream.out else energy,
                export_mwh=energy if stream.out else None,
                quality=_quality(interval, stream),
            )
            following = str(start + duration)


def _seconds(text: str, what: str) -> int:
    seconds = whole_number(text, 0, TIME_MAX)
    if seconds is None:
        raise TimeUnreadable(f"{what} {shown(text)} is no count of seconds since 1970")
    return seconds


def _quality(interval: Interval, stream: _Stream) -> Quality:
    quality = Quality(0)
    for code in interval.qualities or [stream.quality]:
        if code not in QUALITIES:
            raise FormatUnreadable(f"quality {shown(code)} is none of ESPI: 0, 7 to 19")
        quality |= QUALITIES[code]
    return (quality & ~Quality.MEASURED) or quality

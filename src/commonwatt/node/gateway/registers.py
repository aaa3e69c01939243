"""What readings say of the registers at an interval's end.

A device is read when it speaks, not when an interval ends. Of two readings around an end, at most
one interval apart, the registers are taken to have grown evenly, rounded down: such a record is
calculated. A reading at the very end is measured. Where readings are further apart nothing is
known of the ends between them, so there is no record; the next one carries the energy, because
registers never forget.

Devices that only say the energy of intervals get a register here: the running sum. An interval of
the community is known only if the device's own intervals cover all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple, TypeAlias

from commonwatt.meter.acceptance import within_capacity
from commonwatt.meter.driver.energy import ENERGY_MWH_MAX
from commonwatt.meter.driver.reading import IntervalReading, Reading
from commonwatt.meter.record import Quality

SAID_OF_READING = ~(Quality.CLOCK_NOT_SYNCHRONISED | Quality.VOUCHED)
"""What a driver says of a reading; the other two are the gateway's own."""


class Registers(NamedTuple):
    """A meter's two registers at one time."""

    time: int
    """UTC seconds."""
    import_mwh: int
    export_mwh: int


class Offset(NamedTuple):
    """What is added to a device's registers, because it took another's place."""

    import_mwh: int
    """Below zero for a device that stood higher than the old one."""
    export_mwh: int
    sequence: int
    """Of the first record that counts with it; 0: the device was never exchanged."""
    time: int
    """UTC seconds of the exchange: what was read before is the old device's."""

    def added(self, reading: Reading) -> Reading:
        """A reading of the new device as the registers go on."""
        into, out = reading.import_mwh, reading.export_mwh
        return replace(
            reading,
            import_mwh=None if into is None else into + self.import_mwh,
            export_mwh=None if out is None else out + self.export_mwh,
        )


NO_OFFSET = Offset(0, 0, 0, 0)


class Exchange(NamedTuple):
    """A device that took another's place."""

    final: Registers
    """What the old device said at last, at the time of the exchange."""
    start: Registers
    """What the new one said at first."""
    offset: Offset


def offset_of(exchanges: Sequence[Exchange], sequence: int) -> Offset:
    """The offset of the device that a record was read from; exchanges the oldest first."""
    stands = [one.offset for one in exchanges if one.offset.sequence <= sequence]
    return stands[-1] if stands else NO_OFFSET


class Due(NamedTuple):
    """What the record of an interval's end has to say."""

    registers: Registers
    """Its time is the interval's end."""
    quality: Quality
    """Of the readings it comes from; neither the clock's nor who vouches."""


class Why(Enum):
    """Why a reading changes nothing."""

    OLD = "is of a time before what was read already"
    FELL = "says less than a register said before: was the meter exchanged or reset?"
    OLD_DEVICE = (
        "is of a time before the exchange, so of the device that was taken away; "
        "its final readings count"
    )
    TOO_MUCH = "says more than the meter's rated power allows in the time"
    OVERLAPS = "covers time that is counted in part already"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a meter's registers between two of its records."""

    at: Registers
    """The last that was read, or at the beginning the opening record's."""
    quality: Quality
    """Of the last reading; of a device that counts intervals, all since the last record."""
    unbroken_since: int
    """A device that counts intervals has said all of the time from here to `at`."""
    recorded: Registers
    """As in the last record."""


class Taken(NamedTuple):
    """A reading that moves things on."""

    known: Known
    due: Due | None
    """The record that can be made now. `known` already stands as after it."""
    missed: int | None = None
    """An interval's end that was passed and of which nothing is known: it has no record."""


class Passed(NamedTuple):
    """A reading that changes nothing."""

    why: Why


Outcome: TypeAlias = Taken | Passed


def opened(opening: Registers, at: Registers) -> Known:
    """What is known of a new meter.

    Args:
        opening: as in its opening record.
        at: the same registers, at the time they were read.
    """
    return Known(at, Quality.MEASURED, at.time, opening)


def take_registers(
    known: Known, reading: Reading, interval_s: int, rated_w: int | None = None
) -> Outcome:
    """What a reading of registers brings.

    A register the reading does not speak of is where it was. Energy is rounded down (rule R2).

    Args:
        known: what is known before.
        reading: of the same meter.
        interval_s: length of the community's intervals in seconds.
        rated_w: the meter's rated power in W, to pass over what cannot be (rule R7).
    """
    before = known.at
    now = Registers(
        reading.time,
        before.import_mwh if reading.import_mwh is None else reading.import_mwh,
        before.export_mwh if reading.export_mwh is None else reading.export_mwh,
    )
    why = _why_not(known, now, interval_s, rated_w)
    if why is not None:
        return Passed(why)
    quality = reading.quality & SAID_OF_READING
    due, end = None, _end_before(now.time, interval_s)
    if end == now.time > before.time:
        due = Due(now, quality)
    elif end > before.time:
        due = _calculated(before, now, end, interval_s, known.quality | quality)
    recorded = known.recorded if due is None else due.registers
    missed = end if due is None and end > before.time else None
    return Taken(replace(known, at=now, quality=quality, recorded=recorded), due, missed)


def take_interval(
    known: Known, reading: IntervalReading, interval_s: int, rated_w: int | None = None
) -> Outcome:
    """What the energy of an interval of the device brings.

    Args:
        known: what is known before; its registers are the running sum.
        reading: of the same meter; may be shorter or longer than the community's intervals.
        interval_s: length of the community's intervals in seconds.
        rated_w: the meter's rated power in W, to pass over what cannot be (rule R7).
    """
    before = known.at
    if reading.end <= before.time:
        return Passed(Why.OLD)
    if reading.start < before.time:
        return Passed(Why.OVERLAPS)
    now = Registers(
        reading.end,
        before.import_mwh + (reading.import_mwh or 0),
        before.export_mwh + (reading.export_mwh or 0),
    )
    why = _why_not(known, now, interval_s, rated_w)
    if why is not None:
        return Passed(why)
    unbroken_since = known.unbroken_since
    if reading.start > before.time:
        # Nobody knows what flowed meanwhile: it is not in the sum, and no record claims it was.
        unbroken_since = reading.start
        before = before._replace(time=reading.start)
    own = reading.quality & SAID_OF_READING
    # The opening's own quality says nothing of the energy after it.
    earlier = known.quality if known.at.time > known.recorded.time else Quality(0)
    due, end = None, _end_before(now.time, interval_s)
    if end > before.time and end - interval_s >= unbroken_since:
        if end == now.time:
            due = Due(now, earlier | own)
        else:
            due = _calculated(before, now, end, interval_s, earlier | own)
    if due is None:
        return Taken(Known(now, earlier | own, unbroken_since, known.recorded), None)
    return Taken(Known(now, own, unbroken_since, due.registers), due)


def _why_not(known: Known, now: Registers, interval_s: int, rated_w: int | None) -> Why | None:
    before, recorded = known.at, known.recorded
    if now.time < before.time:
        return Why.OLD
    if now.import_mwh < before.import_mwh or now.export_mwh < before.export_mwh:
        return Why.FELL
    energy = max(now.import_mwh - recorded.import_mwh, now.export_mwh - recorded.export_mwh)
    # One interval more than has passed: registers move in steps, and readings come early.
    seconds = now.time - recorded.time + interval_s
    if rated_w is not None and not within_capacity(energy, rated_w, seconds):
        return Why.TOO_MUCH
    return Why.TOO_MUCH if max(now.import_mwh, now.export_mwh) > ENERGY_MWH_MAX else None


def _end_before(time: int, interval_s: int) -> int:
    """The last interval's end that is not after `time`; ends are multiples of UTC (rule R6)."""
    return time // interval_s * interval_s


def _calculated(
    before: Registers, now: Registers, end: int, interval_s: int, quality: Quality
) -> Due | None:
    """The registers at an `end` between two readings; None where these are too far apart."""
    span, passed = now.time - before.time, end - before.time
    if span > interval_s:
        return None
    registers = Registers(
        end,
        before.import_mwh + (now.import_mwh - before.import_mwh) * passed // span,
        before.export_mwh + (now.export_mwh - before.export_mwh) * passed // span,
    )
    return Due(registers, quality & ~Quality.MEASURED | Quality.CALCULATED)

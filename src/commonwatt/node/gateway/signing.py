"""From readings to signed records in the spool.

All of a meter's state is on the disk before a record of it leaves. Readings between two records
are only kept now and then, to spare small disks: after a restart the end of an interval may so lie
between readings too far apart, and then the next record carries its energy.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from hashlib import sha256

import structlog

from commonwatt.meter.driver.failure import shown
from commonwatt.meter.driver.reading import AnyReading, IntervalReading, Reading
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.record import RECORD_VERSION, Kind, Quality, Record, SignedRecord
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.gateway.clock import ClockWatch
from commonwatt.node.gateway.registers import (
    Due,
    Known,
    Passed,
    Registers,
    Why,
    take_interval,
    take_registers,
)
from commonwatt.node.gateway.settings import MeterSettings
from commonwatt.node.gateway.spool import MeterState, Spool
from commonwatt.quantity import time_text

TOLD_MAX = 1_000
"""So many different complaints are remembered, so that each is said once."""

_log = structlog.get_logger("commonwatt.gateway")


class Skipped(Enum):
    """Why a reading did not even get to its meter's registers."""

    STRANGER = "is of no meter that this gateway vouches for"
    OTHER_KIND = "says registers where intervals were expected, or the other way round"


@dataclass(frozen=True, slots=True)
class VouchedMeter:
    """A meter and the key that signs for it."""

    settings: MeterSettings
    key: MeterKey

    @property
    def counts_intervals(self) -> bool:
        """Whether its device says the energy of intervals, and no registers."""
        return self.settings.counts == "intervals"


def next_record(
    state: MeterState, due: Due, *, kind: Kind, interval_s: int, synchronised: bool
) -> Record:
    """The record after a meter's last one. A gateway always says that it vouched."""
    last = state.last_record
    quality = due.quality | Quality.VOUCHED
    if not synchronised:
        quality |= Quality.CLOCK_NOT_SYNCHRONISED
    return Record(
        version=RECORD_VERSION,
        kind=kind,
        quality=quality,
        ledger=last.ledger,
        meter=last.meter,
        sequence=last.sequence + 1,
        time_end=due.registers.time,
        duration=interval_s,
        import_mwh=due.registers.import_mwh,
        export_mwh=due.registers.export_mwh,
        previous=sha256(state.last).digest(),
    )


def opening_record(
    ledger: bytes, meter: bytes, registers: Registers, *, kind: Kind, interval_s: int
) -> Record:
    """The first record of a meter: sequence 0, where its registers stood."""
    return Record(
        version=RECORD_VERSION,
        kind=kind,
        quality=Quality.MEASURED | Quality.VOUCHED,
        ledger=ledger,
        meter=meter,
        sequence=0,
        time_end=registers.time,
        duration=interval_s,
        import_mwh=registers.import_mwh,
        export_mwh=registers.export_mwh,
        previous=bytes(32),
    )


class Signer:
    """Signs for the meters of one gateway."""

    def __init__(
        self,
        meters: Iterable[VouchedMeter],
        spool: Spool,
        interval_s: int,
        signed: Callable[[], None] = lambda: None,
    ) -> None:
        """Go on where the spool left off.

        Args:
            meters: each with its opening record in the spool.
            spool: where records are kept.
            interval_s: length of the community's intervals in seconds.
            signed: called when there are new records to send.
        """
        self._meters = {meter.key.meter: meter for meter in meters}
        self._spool, self._interval_s, self._signed = spool, interval_s, signed
        self._states = self._kept()
        self._watch = ClockWatch(spool.latest())
        self._synchronised = True
        self._dirty: set[bytes] = set()
        """Meters whose state is newer than on the disk."""
        self._told: set[tuple[bytes, str]] = set()
        self._is_full = False

    def _kept(self) -> dict[bytes, MeterState]:
        states = self._spool.states()
        return {meter: states[meter] for meter in self._meters}

    @property
    def latest(self) -> int:
        """The latest UTC second the clock has ever shown."""
        return self._watch.latest

    def look_at_clock(self, wall: int, monotonic: float) -> None:
        """Follow the machine's clock; before readings are taken.

        Args:
            wall: UTC seconds.
            monotonic: seconds by a clock that nobody can set.
        """
        synchronised = self._watch.look(wall, monotonic)
        if self._synchronised and not synchronised:
            _log.warning("clock_set", now=time_text(wall), latest=time_text(self._watch.latest))
        self._synchronised = synchronised
        if not synchronised:
            for meter, state in self._states.items():
                if not state.doubtful:
                    self._states[meter] = replace(state, doubtful=True)
                    self._dirty.add(meter)

    def take(self, devices: Mapping[str, bytes], readings: Iterable[AnyReading]) -> int:
        """Take readings in; new records are on the disk on return.

        Args:
            devices: meter by what its device calls itself.
            readings: of them, in the order of time.

        Returns:
            How many records were signed.

        Raises:
            DatabaseUnusable: nothing of it was kept; the same readings can be given again.
        """
        signed: list[SignedRecord] = []
        for reading in readings:
            meter = devices.get(reading.source)
            if meter is None:
                self._tell(b"", reading, Skipped.STRANGER)
                continue
            record = self._take_one(self._meters[meter], reading, self._spool.room - len(signed))
            if record is not None:
                signed.append(record)
        if signed:
            self._keep(signed)
            self._signed()
        return len(signed)

    def keep(self) -> None:
        """Keep whatever is newer than on the disk; raises `DatabaseUnusable`."""
        if self._dirty:
            self._keep([])

    def _keep(self, signed: list[SignedRecord]) -> None:
        try:
            states = {meter: self._states[meter] for meter in self._dirty}
            self._spool.keep(states, signed, self._watch.latest)
        except DatabaseUnusable:
            # What is on the disk is what counts, whichever way the write went.
            self._states = self._kept()
            raise
        finally:
            self._dirty.clear()

    def _take_one(self, meter: VouchedMeter, reading: AnyReading, room: int) -> SignedRecord | None:
        key, settings = meter.key, meter.settings
        state = self._states[key.meter]
        reading = turned(reading) if settings.reversed else reading
        interval_s = self._interval_s
        if isinstance(reading, IntervalReading) is not meter.counts_intervals:
            self._tell(key.meter, reading, Skipped.OTHER_KIND)
            return None
        if isinstance(reading, Reading):
            if reading.time < state.offset.time:
                if reading.time > state.known.at.time:
                    self._tell(key.meter, reading, Why.OLD_DEVICE)
                return None
            reading = state.offset.added(reading)
            outcome = take_registers(state.known, reading, interval_s, settings.rated_w)
        else:
            outcome = take_interval(state.known, reading, interval_s, settings.rated_w)
        if isinstance(outcome, Passed):
            if outcome.why is not Why.OLD:
                self._tell(key.meter, reading, outcome.why)
            return None
        self._dirty.add(key.meter)
        if outcome.due is None:
            self._states[key.meter] = replace(state, known=outcome.known)
            if outcome.missed is not None:
                self._tell_missed(key.meter, outcome.missed, outcome.known, state.known)
            return None
        if room <= 0:
            self._states[key.meter] = replace(state, known=_without_record(state, outcome.known))
            self._tell_full()
            return None
        self._is_full = False
        record = next_record(
            state,
            outcome.due,
            kind=_kind_of(meter, state),
            interval_s=interval_s,
            synchronised=self._synchronised and not state.doubtful,
        ).encode()
        doubtful = not self._synchronised
        self._states[key.meter] = replace(
            state, last=record, known=outcome.known, doubtful=doubtful
        )
        self._told = {told for told in self._told if told[0] != key.meter}
        return key.sign(record)

    def _tell(self, meter: bytes, reading: AnyReading, why: Why | Skipped) -> None:
        """Say it once per meter, until the meter has its next record."""
        told = (meter, f"{reading.source} {why.name}" if why is Skipped.STRANGER else why.name)
        if told in self._told or len(self._told) >= TOLD_MAX:
            return
        self._told.add(told)
        time = reading.time if isinstance(reading, Reading) else reading.end
        advice = {}
        if why is Why.FELL:
            name = self._meters[meter].settings.name
            advice = {"do": f"if it was exchanged: commonwatt gateway exchange FOLDER {name}"}
        _log.warning(
            "reading_passed_over",
            meter=self._meters[meter].settings.name if meter else None,
            device=shown(reading.source),
            time=time_text(time),
            why=why.value,
            **advice,
        )

    def _tell_missed(self, meter: bytes, end: int, now: Known, before: Known) -> None:
        """Say once that readings come too seldom, until the meter has its next record."""
        told = (meter, "MISSED")
        if told in self._told or len(self._told) >= TOLD_MAX:
            return
        self._told.add(told)
        _log.warning(
            "no_record",
            meter=self._meters[meter].settings.name,
            time=time_text(end),
            why=f"the readings around it are {now.at.time - before.at.time} s apart, more than the "
            f"{self._interval_s} s of an interval; the next record carries the energy",
        )

    def _tell_full(self) -> None:
        if not self._is_full:
            self._is_full = True
            _log.error(
                "spool_full",
                records=self._spool.count,
                spool_records_max=self._spool.records_max,
                meaning="no record is signed until the node answers; "
                "registers go on, and the next record carries the energy",
            )


def _kind_of(meter: VouchedMeter, state: MeterState) -> Kind:
    if state.is_exchange_due:
        return Kind.METER_EXCHANGE
    return Kind.INTERVAL_ONLY if meter.counts_intervals else Kind.REGISTERS


def _without_record(state: MeterState, known: Known) -> Known:
    """What is known after a record that could not be made: as if its end had not been read."""
    before = state.known
    return replace(known, recorded=before.recorded, quality=before.quality | known.quality)


def turned(reading: AnyReading) -> AnyReading:
    """A reading with energy in and out exchanged."""
    return replace(reading, import_mwh=reading.export_mwh, export_mwh=reading.import_mwh)

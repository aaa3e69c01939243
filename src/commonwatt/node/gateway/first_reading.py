"""Where a new meter's registers stand: as its device says, or as its display shows."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec
import structlog

from commonwatt.meter.driver import AnyReading, IntervalReading, Message, Reading
from commonwatt.meter.driver.failure import shown
from commonwatt.node.gateway.errors import GatewaySettingsUnusable, SourceSilent
from commonwatt.node.gateway.feed import Feed, feeds_of
from commonwatt.node.gateway.registers import Registers
from commonwatt.node.gateway.settings import MeterSettings
from commonwatt.node.gateway.signing import turned
from commonwatt.node.gateway.sources import (
    Files,
    FolderWatch,
    Listener,
    Place,
    shown_place,
    utc_now,
)
from commonwatt.node.mqtt.client import BrokerAddress

UNKNOWN_DEVICE = "?"
DEVICES_SHOWN_MAX = 10
INTERVAL_SOURCES = ("nem12", "espi")
"""Drivers that never say a register."""

_log = structlog.get_logger("commonwatt.gateway")


@dataclass(frozen=True, slots=True)
class NewMeter:
    """What whoever adds a meter says of it."""

    settings: MeterSettings
    """With no devices: the only one that speaks is meant."""
    import_mwh: int | None = None
    """Where register 1.8.0 stands, for a device that does not say it."""
    export_mwh: int | None = None
    """Where register 2.8.0 stands, for a device that does not say it."""
    since: int | None = None
    """UTC seconds: what was read before does not count. None: from the first reading on."""
    wait_s: float = 60.0
    """How long to wait for the device to speak."""


class First(NamedTuple):
    """Where a device stood when it was first heard."""

    device: str
    registers: Registers
    counts: Literal["registers", "intervals"]


async def first_heard(new: NewMeter) -> First:
    """Where the meter's registers stand.

    Files are looked through at once; other devices are listened to. Nobody is asked where both
    registers and the device's id are given.

    Raises:
        SourceSilent: nothing came in time, or not of both registers.
        GatewaySettingsUnusable: several devices speak, or one says what was given otherwise.
    """
    meter = new.settings
    feed = _feed_of(meter)
    heard = _Heard(new)
    given = new.import_mwh is not None and new.export_mwh is not None and bool(meter.devices)
    if isinstance(feed.place, Files):
        _read_files(feed, feed.place, heard)
    elif not given:
        heard.why_silent = await _listen(feed, heard, new.wait_s)
    if given and not heard.devices:
        at = Registers(
            utc_now() if new.since is None else new.since, new.import_mwh or 0, new.export_mwh or 0
        )
        return First(
            meter.devices[0],
            at,
            "intervals" if meter.source in INTERVAL_SOURCES else "registers",
        )
    return heard.result(feed.place)


def _feed_of(meter: MeterSettings) -> Feed:
    [feed] = feeds_of([msgspec.structs.replace(meter, devices=meter.devices or (UNKNOWN_DEVICE,))])
    return feed


def _read_files(feed: Feed, files: Files, heard: "_Heard") -> None:
    for file in FolderWatch(files).look(at_once=True):
        heard.take(feed.read(Message(file.content, utc_now())))
        if heard.is_enough:
            return


async def _listen(feed: Feed, heard: "_Heard", wait_s: float) -> str | None:
    """Listen for a while; tells why the place could not be opened, if so."""
    enough = asyncio.Event()
    # Who else speaks at a broker is only known after a while.
    alone = not isinstance(feed.place, BrokerAddress) or heard.is_named

    async def got(message: Message) -> None:
        heard.take(feed.read(message))
        if alone and heard.is_enough:
            enough.set()

    if isinstance(feed.place, Files):
        return None
    listener = Listener(feed.place, feed.topics, got, 5.0)
    until = "the first reading of both registers" if alone else "then, to find out who else speaks"
    _log.info("listening", at=shown_place(feed.place), seconds_max=wait_s, until=until)
    listening = asyncio.create_task(listener.run())
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await enough.wait()
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
    return listener.why


class _Heard:
    """What was heard so far, by device."""

    def __init__(self, new: NewMeter) -> None:
        self._new = new
        self.devices: dict[str, AnyReading] = {}
        self.why_silent: str | None = None

    @property
    def is_named(self) -> bool:
        return bool(self._new.settings.devices)

    def take(self, readings: Iterable[AnyReading]) -> None:
        named, since = self._new.settings.devices, self._new.since
        for reading in sorted(readings, key=_begin_of):
            if named and reading.source not in named:
                continue
            if since is not None and _begin_of(reading) < since:
                continue
            mine = turned(reading) if self._new.settings.reversed else reading
            device = named[0] if named else reading.source
            before = self.devices.get(device)
            if before is None:
                self.devices[device] = mine
            elif (
                isinstance(before, Reading) and isinstance(mine, Reading) and self._missing(before)
            ):
                self.devices[device] = mine.after(before)

    @property
    def is_enough(self) -> bool:
        return any(not self._missing(reading) for reading in self.devices.values())

    def _missing(self, reading: AnyReading) -> tuple[str, ...]:
        """Registers that neither the device says nor anybody gave."""
        if isinstance(reading, IntervalReading):
            return ()
        values = {
            "import": (reading.import_mwh, self._new.import_mwh),
            "export": (reading.export_mwh, self._new.export_mwh),
        }
        return tuple(name for name, known in values.items() if known == (None, None))

    def result(self, place: Place) -> First:
        new = self._new
        if not self.devices:
            why = "" if self.why_silent is None else f" ({self.why_silent})"
            raise SourceSilent(
                f"{shown_place(place)}: no reading came{why}; see that the device sends, or name "
                "it with --device and give both --import-kwh and --export-kwh as its display shows"
            )
        if len(self.devices) > 1:
            names = ", ".join(shown(name) for name in list(self.devices)[:DEVICES_SHOWN_MAX])
            raise GatewaySettingsUnusable(
                f"{shown_place(place)}: several devices speak; name one with --device: {names}"
            )
        [(device, reading)] = self.devices.items()
        missing = self._missing(reading)
        if missing:
            raise SourceSilent(
                f"{shown_place(place)}: {shown(device)} does not say its register of energy "
                f"{missing[0]}; give --{missing[0]}-kwh as its display shows, 0 if it has none"
            )
        if isinstance(reading, IntervalReading):
            registers = Registers(reading.start, new.import_mwh or 0, new.export_mwh or 0)
            return First(device, registers, "intervals")
        for name, said, given in (
            ("import", reading.import_mwh, new.import_mwh),
            ("export", reading.export_mwh, new.export_mwh),
        ):
            if said is not None and given is not None:
                raise GatewaySettingsUnusable(
                    f"{shown_place(place)}: {shown(device)} says its register of energy {name} "
                    f"itself; leave --{name}-kwh away"
                )
        registers = Registers(
            reading.time,
            (new.import_mwh or 0) if reading.import_mwh is None else reading.import_mwh,
            (new.export_mwh or 0) if reading.export_mwh is None else reading.export_mwh,
        )
        return First(device, registers, "registers")


def _begin_of(reading: AnyReading) -> int:
    return reading.time if isinstance(reading, Reading) else reading.start

"""A gateway at work: it reads its meters, signs for them, and sends what it signed."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import structlog

from commonwatt.meter.driver import AnyReading, Message, Reading
from commonwatt.node.errors import DatabaseUnusable, FolderUnusable
from commonwatt.node.gateway.backoff import Backoff
from commonwatt.node.gateway.delivery import Delivery
from commonwatt.node.gateway.errors import (
    GatewayBusy,
    GatewaySettingsUnusable,
    NodeUnusable,
)
from commonwatt.node.gateway.feed import Feed, feeds_of
from commonwatt.node.gateway.http_link import HttpLink, HttpNode, NodeAddress
from commonwatt.node.gateway.key_file import read_key
from commonwatt.node.gateway.link import Link
from commonwatt.node.gateway.mqtt_link import MqttLink
from commonwatt.node.gateway.settings import (
    LOCK_FILE,
    SPOOL_FILE,
    GatewaySettings,
    read_settings,
)
from commonwatt.node.gateway.signing import Signer, VouchedMeter
from commonwatt.node.gateway.sources import POLL_S, Files, FolderWatch, FoundFile, Listener, utc_now
from commonwatt.node.gateway.spool import Spool
from commonwatt.node.mqtt.client import BrokerAddress

READINGS_PER_COMMIT = 2_000
ROOM_S = 0.5
"""So often a file that waits for room in the spool looks again."""
KEEP_S = 60.0
"""So often readings between two records are put on the disk: small ones wear out."""

_log = structlog.get_logger("commonwatt.gateway")


class Clock(Protocol):
    """The machine's two clocks."""

    def wall(self) -> int:
        """UTC seconds."""

    def monotonic(self) -> float:
        """Seconds by a clock that nobody can set."""


class SystemClock:
    """The machine's."""

    def wall(self) -> int:
        """UTC seconds."""
        return utc_now()

    def monotonic(self) -> float:
        """Seconds by a clock that nobody can set."""
        return time.monotonic()


class FolderLock:
    """One process works in a gateway's folder at a time: two would sign twice."""

    def __init__(self, folder: Path) -> None:
        """Take the folder.

        Raises:
            GatewayBusy: another process has it.
            FolderUnusable: it is not there, or cannot be written.
        """
        path = folder / LOCK_FILE
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise FolderUnusable(
                f"{folder}: cannot be used ({error.strerror}); choose another directory"
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise GatewayBusy(
                f"{folder}: another gateway works here; stop it, or take another directory"
            ) from None

    def close(self) -> None:
        """Let others have it."""
        os.close(self._file)


def link_to(settings: GatewaySettings, meters: Mapping[bytes, object]) -> Link:
    """The way to the node that the settings name.

    Raises:
        AddressUnusable, BrokerAddressUnusable: not an address.
    """
    if settings.to.startswith(("mqtt:", "mqtts:")):
        return MqttLink(BrokerAddress.parse(settings.to), settings.community, meters.keys())
    return HttpLink(HttpNode(NodeAddress.parse(settings.to)), settings.community)


class Gateway:
    """One gateway in one folder."""

    def __init__(
        self,
        folder: Path,
        password: str | None = None,
        clock: Clock | None = None,
        link: Callable[[GatewaySettings, Mapping[bytes, object]], Link] = link_to,
    ) -> None:
        """Read settings and keys, take the folder, and open the spool.

        Args:
            folder: with `gateway.toml`, keys and spool.
            password: of the keys, where they are encrypted.
            clock: the machine's, unless given.
            link: makes the way to the node.

        Raises:
            InputError: what is wrong with the folder, and what to do.
        """
        self._clock = clock or SystemClock()
        self.settings = settings = read_settings(folder)
        if not settings.meters:
            raise GatewaySettingsUnusable(
                f"{folder}: no meters yet; add one with commonwatt gateway init {folder} --source"
            )
        self._feeds = feeds_of(settings.meters)
        meters = [
            VouchedMeter(meter, read_key(folder / f"{meter.name}.pem", password))
            for meter in settings.meters
        ]
        self._by_name = {meter.settings.name: meter.key.meter for meter in meters}
        self._link = link(settings, dict.fromkeys(self._by_name.values()))
        self._lock = FolderLock(folder)
        try:
            self.spool = Spool(folder / SPOOL_FILE, settings.spool_records_max)
            _require_opened(folder, settings, meters, self.spool)
        except BaseException:
            self._lock.close()
            raise
        self.delivery = Delivery(
            self.spool,
            self._link,
            settings.retry_s_max,
            early_s=settings.correction_retry_s,
        )
        self.signer = Signer(meters, self.spool, settings.interval_s, self.delivery.wake)

    def close(self) -> None:
        """Keep what is newer than on the disk, and let go of everything."""
        with suppress(DatabaseUnusable):
            self.signer.keep()
        self.spool.close()
        self._lock.close()

    async def run(self) -> None:
        """Read, sign and send until cancelled."""
        _log.info(
            "gateway_started",
            community=self.settings.community,
            meters=len(self.settings.meters),
            waiting=self.spool.count,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.delivery.run())
                tasks.create_task(self._keep_now_and_then())
                for feed in self._feeds:
                    tasks.create_task(self._read(feed))
        finally:
            await self._link.close()
            _log.info("gateway_stopped", waiting=self.spool.count)

    async def run_once(self) -> int:
        """Read the files that are there, send everything, and end.

        Returns:
            How many records are still waiting: always 0.

        Raises:
            GatewaySettingsUnusable: a meter is not read from files.
            NodeUnusable: the node is away or does not take the records yet; they wait.
        """
        try:
            for feed in self._feeds:
                if not isinstance(feed.place, Files):
                    raise GatewaySettingsUnusable(
                        f"{feed.name}: never ends; --once is for files, so leave it away"
                    )
                watch = FolderWatch(feed.place)
                for file in watch.look(at_once=True):
                    async for _ in self._take_file(feed, file):
                        await self._send_all()
            self.signer.keep()
            await self._send_all()
        finally:
            await self._link.close()
        return self.spool.count

    async def _send_all(self) -> None:
        while True:
            pause = await self.delivery.send_some()
            if pause is None:
                return
            if pause:
                raise NodeUnusable(
                    f"{self.spool.count} records wait, because the node is away or does not take "
                    "them yet; run it again later"
                )

    async def _read(self, feed: Feed) -> None:
        if isinstance(feed.place, Files):
            await self._read_files(feed, feed.place)
            return

        async def got(message: Message) -> None:
            self._take(feed, feed.read(message))

        limit = self.settings.retry_s_max
        await Listener(feed.place, feed.topics, got, limit, self._clock.wall).run()

    async def _read_files(self, feed: Feed, files: Files) -> None:
        watch, is_away = FolderWatch(files), False
        while True:
            try:
                for file in watch.look():
                    async for _ in self._take_file(feed, file):
                        await asyncio.sleep(ROOM_S)
                is_away = False
            except OSError as error:
                if not is_away:
                    is_away = True
                    _log.warning("source_away", at=str(files.path), why=error.strerror)
            await asyncio.sleep(min(POLL_S, self.settings.retry_s_max))

    async def _take_file(self, feed: Feed, file: FoundFile) -> AsyncIterator[None]:
        """Take a file's readings in; gives way whenever the spool has no room for more."""
        backoff = Backoff(self.settings.retry_s_max)
        while True:
            try:
                if self.spool.has_read(feed.identity, file.digest):
                    return
                break
            except DatabaseUnusable as error:
                await self._spool_fails(error, backoff)
        readings = sorted(feed.read(Message(file.content, self._clock.wall())), key=_end_of)
        signed = start = 0
        is_told = False
        while start < len(readings):
            room = self.spool.room
            if not room:
                if not is_told:
                    is_told = True
                    _log.error(
                        "spool_full",
                        records=self.spool.count,
                        spool_records_max=self.spool.records_max,
                        meaning=f"the rest of {file.name} waits until the node answers",
                    )
                yield
                continue
            part = readings[start : start + min(room, READINGS_PER_COMMIT)]
            try:
                signed += self._sign(feed, part)
            except DatabaseUnusable as error:
                await self._spool_fails(error, backoff)
                continue
            start += len(part)
            await asyncio.sleep(0)
        try:
            self.signer.keep()
            self.spool.mark_read(feed.identity, file.digest, file.name)
        except DatabaseUnusable as error:
            # It is read again after the next start, and changes nothing then.
            await self._spool_fails(error, backoff)
        _log.info("file_read", file=file.name, readings=len(readings), records=signed)

    async def _spool_fails(self, error: DatabaseUnusable, backoff: Backoff) -> None:
        _log.error("spool_unusable", why=str(error))
        await asyncio.sleep(backoff.after_failure())

    def _take(self, feed: Feed, readings: tuple[AnyReading, ...]) -> None:
        try:
            self._sign(feed, list(readings))
        except DatabaseUnusable as error:
            # The next reading brings the same energy: registers do not forget.
            _log.error("spool_unusable", why=str(error))

    def _sign(self, feed: Feed, readings: list[AnyReading]) -> int:
        self._look_at_clock()
        devices = {
            device: self._by_name[meter.name] for meter in feed.meters for device in meter.devices
        }
        return self.signer.take(devices, readings)

    def _look_at_clock(self) -> None:
        self.signer.look_at_clock(self._clock.wall(), self._clock.monotonic())

    async def _keep_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(KEEP_S)
            self._look_at_clock()
            try:
                self.signer.keep()
            except DatabaseUnusable as error:
                _log.error("spool_unusable", why=str(error))
            # Corrections are put into the spool from beside.
            self.delivery.wake()


def _end_of(reading: AnyReading) -> int:
    return reading.time if isinstance(reading, Reading) else reading.end


def _require_opened(
    folder: Path, settings: GatewaySettings, meters: list[VouchedMeter], spool: Spool
) -> None:
    """Every meter has begun, on this ledger and with these intervals."""
    states = spool.states()
    for meter in meters:
        name, state = meter.settings.name, states.get(meter.key.meter)
        if state is None:
            raise GatewaySettingsUnusable(
                f"{folder}: meter {name} has no opening record in the spool; "
                "make it with commonwatt gateway init"
            )
        last = state.last_record
        if (last.ledger, last.duration) != (settings.ledger_bytes, settings.interval_s):
            raise GatewaySettingsUnusable(
                f"{folder}: meter {name} began on ledger {last.ledger.hex()} with intervals of "
                f"{last.duration} s; write these into gateway.toml, or begin in another directory"
            )

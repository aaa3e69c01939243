"""Where readings come from: serial lines, sockets, brokers, files. Only the bytes, and when.

Each way of reading goes on for ever: what breaks is opened again, after a while that gets longer
up to the limit of the settings. What breaks is said once, and once that it is back.
"""

import asyncio
import os
import re
import stat
import termios
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

import structlog

from commonwatt.meter.driver import Message
from commonwatt.node.gateway.backoff import RETRY_S_MAX, Backoff
from commonwatt.node.gateway.errors import AddressUnusable
from commonwatt.node.mqtt.client import BrokerAddress, MqttError, connected, listen_to

PIECE_BYTES = 4_096
IDLE_S = 120.0
"""A line or socket that says nothing for so long is opened again."""
FILE_BYTES_MAX = 64 * 1_024 * 1_024
POLL_S = 5.0
"""A folder is looked through this often; a file is read once it is the same twice."""

_log = structlog.get_logger("commonwatt.gateway")

_HOST_AND_PORT = re.compile(r"[\w.-]+:[0-9]{1,5}")

Got = Callable[[Message], Awaitable[None]]
"""Hears of each message."""


@dataclass(frozen=True, slots=True)
class SerialLine:
    """A serial device, such as `/dev/ttyUSB0`."""

    path: Path
    speed: int
    bits: str


@dataclass(frozen=True, slots=True)
class Socket:
    """A P1 adapter or anything else that sends what a line would."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Files:
    """A file, or a folder that files are dropped into."""

    path: Path


Place: TypeAlias = SerialLine | Socket | BrokerAddress | Files


class FoundFile(NamedTuple):
    """A file with its content."""

    name: str
    digest: bytes
    content: bytes


def place_of(at: str, speed: int, bits: str) -> Place:
    """Where `at` says to read.

    Raises:
        AddressUnusable: neither an address that is known nor a file that is there.
        BrokerAddressUnusable: an MQTT address that is none.
    """
    if at.startswith(("mqtt:", "mqtts:")):
        return BrokerAddress.parse(at)
    if at.startswith("tcp:"):
        return _socket(at)
    if re.match(r"[a-z]+://", at):
        raise AddressUnusable(
            f"{at!r:.200}: write tcp://HOST:PORT, mqtt://HOST:PORT, a serial device, file or folder"
        )
    path = Path(at)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if at.startswith("/dev/"):
            return SerialLine(path, _known_speed(speed), bits)  # it may be plugged in later
        instead = f"tcp://{path.name}" if _HOST_AND_PORT.fullmatch(path.name) else "tcp://HOST:PORT"
        raise AddressUnusable(
            f"{at}: cannot be read ({error.strerror}); correct the path, or write {instead} for a "
            "device on the network"
        ) from None
    if stat.S_ISCHR(mode):
        return SerialLine(path, _known_speed(speed), bits)
    return Files(path)


def _socket(at: str) -> Socket:
    try:
        parts = urlsplit(at)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.path not in ("", "/"):
        raise AddressUnusable(f"{at!r:.200}: write tcp://HOST:PORT")
    return Socket(host, port)


def _known_speed(speed: int) -> int:
    if not hasattr(termios, f"B{speed}"):
        raise AddressUnusable(f"speed {speed}: no serial line has it; use 115200 or 9600")
    return speed


def utc_now() -> int:
    """UTC seconds by the machine's clock."""
    return int(time.time())


class Listener:
    """Reads one place for ever."""

    def __init__(
        self,
        place: SerialLine | Socket | BrokerAddress,
        topics: tuple[str, ...],
        got: Got,
        retry_s_max: float = RETRY_S_MAX,
        clock: Callable[[], int] = utc_now,
    ) -> None:
        """Name the place; nothing is opened yet.

        Args:
            place: where to read.
            topics: what to listen to at a broker.
            got: hears of each message.
            retry_s_max: the longest wait in seconds before it is opened again.
            clock: UTC seconds.
        """
        self._place, self._topics, self._got, self._clock = place, topics, got, clock
        self._backoff = Backoff(retry_s_max)
        self._is_away = False
        self.why: str | None = None
        """Why nothing comes at the moment; None: it is open, or was never tried."""

    async def run(self) -> None:
        """Read; what breaks is opened again."""
        while True:
            try:
                async with aclosing(self._messages()) as messages:
                    async for message in messages:
                        self._is_back()
                        await self._got(message)
                why = "the other side hung up"
            except TimeoutError:
                why = f"nothing came for {IDLE_S:.0f} s"
            except (OSError, MqttError, termios.error) as error:
                why = str(getattr(error, "strerror", None) or error) or type(error).__name__
            self.why = why
            if not self._is_away:
                self._is_away = True
                _log.warning("source_away", at=shown_place(self._place), why=why)
            await asyncio.sleep(self._backoff.after_failure())

    def _is_back(self) -> None:
        self._backoff.after_success()
        self.why = None
        if self._is_away:
            self._is_away = False
            _log.info("source_back", at=shown_place(self._place))

    async def _messages(self) -> AsyncGenerator[Message]:
        if isinstance(self._place, BrokerAddress):
            async with connected(self._place) as client:
                await listen_to(client, self._topics)
                async for message in client.messages:
                    payload = message.payload if isinstance(message.payload, bytes) else b""
                    topic = str(message.topic)
                    yield Message(payload, self._clock(), topic, retained=message.retain)
            return
        pieces = _line(self._place) if isinstance(self._place, SerialLine) else _stream(self._place)
        async with aclosing(pieces) as opened:
            async for piece in opened:
                yield Message(piece, self._clock())


def shown_place(place: Place) -> str:
    """A place for messages and logs, without passwords."""
    match place:
        case SerialLine(path=path) | Files(path=path):
            return str(path)
        case Socket(host=host, port=port):
            return f"tcp://{host}:{port}"
        case BrokerAddress():
            return place.shown


def shown_address(to: str) -> str:
    """Where records are sent, for messages and logs, without passwords."""
    is_broker = to.startswith(("mqtt:", "mqtts:"))
    return BrokerAddress.parse(to).shown if is_broker else to


async def _stream(place: Socket) -> AsyncGenerator[bytes]:
    async with asyncio.timeout(IDLE_S):
        reader, writer = await asyncio.open_connection(place.host, place.port)
    try:
        while True:
            async with asyncio.timeout(IDLE_S):
                piece = await reader.read(PIECE_BYTES)
            if not piece:
                return
            yield piece
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _line(place: SerialLine) -> AsyncGenerator[bytes]:
    line = os.open(place.path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    try:
        if os.isatty(line):
            _set_up(line, place)
        loop.add_reader(line, ready.set)
        try:
            while True:
                async with asyncio.timeout(IDLE_S):
                    await ready.wait()
                ready.clear()
                try:
                    piece = os.read(line, PIECE_BYTES)
                except BlockingIOError:
                    continue
                if not piece:
                    return
                yield piece
        finally:
            loop.remove_reader(line)
    finally:
        os.close(line)


def _set_up(line: int, place: SerialLine) -> None:
    """Raw bytes, no echo, no flow control, at the speed and with the bits of the settings."""
    speed = getattr(termios, f"B{place.speed}")
    bits = termios.CS7 | termios.PARENB if place.bits == "7E1" else termios.CS8
    control = termios.tcgetattr(line)[6]
    control[termios.VMIN], control[termios.VTIME] = 1, 0
    attributes = [0, 0, bits | termios.CREAD | termios.CLOCAL, 0, speed, speed, control]
    termios.tcsetattr(line, termios.TCSANOW, attributes)


class FolderWatch:
    """Finds files that are new, once they have been written to their end."""

    def __init__(self, files: Files) -> None:
        """Name the file or folder."""
        self._path = files.path
        self._seen: dict[str, tuple[int, int]] = {}
        self._given: dict[str, tuple[int, int]] = {}

    def look(self, *, at_once: bool = False) -> Iterator[FoundFile]:
        """Files that have not been given yet, by name.

        Args:
            at_once: do not wait until a file has been the same twice.

        Raises:
            OSError: the folder cannot be read.
        """
        seen: dict[str, tuple[int, int]] = {}
        for path in self._paths():
            name = path.name
            try:
                status = path.stat()
            except OSError:
                continue  # taken away again
            mark = (status.st_size, status.st_mtime_ns)
            if not stat.S_ISREG(status.st_mode) or self._given.get(name) == mark:
                continue
            seen[name] = mark
            if not at_once and self._seen.get(name) != mark:
                continue
            self._given[name] = mark
            if status.st_size > FILE_BYTES_MAX:
                _log.warning("file_too_large", file=name, bytes_max=FILE_BYTES_MAX)
                continue
            try:
                content = path.read_bytes()
            except OSError as error:
                _log.warning("file_unreadable", file=name, why=error.strerror)
                continue
            yield FoundFile(name, sha256(content).digest(), content)
        self._seen = seen

    def _paths(self) -> list[Path]:
        if self._path.is_dir():
            # What begins with a dot or ends so is being written by somebody.
            return sorted(
                path
                for path in self._path.iterdir()
                if not path.name.startswith(".") and path.suffix not in (".part", ".tmp")
            )
        return [self._path] if self._path.exists() else []

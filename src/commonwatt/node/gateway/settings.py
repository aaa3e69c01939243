"""`gateway.toml`: which meters a gateway vouches for, where it reads them, whom it sends to."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from commonwatt.meter.record import LEDGER_BYTES
from commonwatt.node.errors import FolderUnusable
from commonwatt.node.gateway.backoff import RETRY_S_MAX
from commonwatt.node.gateway.errors import GatewaySettingsUnusable
from commonwatt.node.gateway.key_file import KEY_MODE
from commonwatt.node.gateway.spool import SPOOL_RECORDS_MAX
from commonwatt.node.toml_file import read_toml
from commonwatt.quantity import BadInterval, Interval

SETTINGS_FILE = "gateway.toml"
SPOOL_FILE = "spool.sqlite"
LOCK_FILE = "gateway.lock"
SETTINGS_BYTES_MAX = 1_000_000
METERS_MAX = 1_000
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""Of a community or a meter: part of paths and topics."""

Positive = Annotated[int, msgspec.Meta(ge=1)]
ROLES = ("grid", "generation", "storage")


class MeterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One meter that cannot sign."""

    name: str
    """Its own in this file: lower-case letters, digits and hyphens. Its key is in `NAME.pem`."""
    role: Literal["grid", "generation", "storage"]
    """What it stands at."""
    source: str
    """Name of the driver that understands it."""
    at: str
    """Where it is read: a serial device, `tcp://HOST:PORT`, `mqtt://HOST:PORT`, file or folder."""
    devices: tuple[str, ...]
    """What the device calls itself; readings of others are passed over. At least one."""
    counts: Literal["registers", "intervals"] = "registers"
    """Whether the device says registers, or only the energy of intervals."""
    topics: tuple[str, ...] = ()
    """MQTT topics to listen to; the usual ones of the source unless given."""
    reversed: bool = False
    """Whether the device counts as energy in what the meter's role calls energy out."""
    rated_w: Positive | None = None
    """Rated power in W; readings beyond it are passed over. None: only the node looks."""
    speed: Positive = 115_200
    """Baud of a serial line."""
    bits: Literal["8N1", "7E1"] = "8N1"
    """Data bits, parity and stop bits of a serial line; 7E1 before DSMR 4."""
    options: Mapping[str, str | int | bool | tuple[str, ...] | dict[str, str]] = {}
    """What the driver has to know besides."""


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it."""

    community: str
    """Name of the community at its node."""
    to: str
    """The node, `http://HOST:PORT`, or the broker it listens to, `mqtt://HOST:PORT`."""
    ledger: str
    """The community's ledger, 16 hex digits; the opening records name it, so it never changes."""
    interval_s: int = 900
    """Length of the community's intervals in seconds."""
    spool_records_max: Positive = SPOOL_RECORDS_MAX
    """So many records are kept for the node; then no more are signed until it answers."""
    retry_s_max: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = RETRY_S_MAX
    """The longest wait in seconds before a node, broker or meter is tried again."""
    meters: tuple[MeterSettings, ...] = ()

    @property
    def ledger_bytes(self) -> bytes:
        """The ledger's 8 bytes."""
        return bytes.fromhex(self.ledger)

    @property
    def correction_retry_s(self) -> float:
        """So many seconds a correction waits whose interval the node has not closed.

        No oftener than intervals are closed, because the node keeps whatever it refuses.
        """
        return min(self.retry_s_max, float(self.interval_s))


def read_settings(folder: Path) -> GatewaySettings:
    """The settings of the gateway in a folder.

    Raises:
        GatewaySettingsUnusable: naming the file, the entry, and what to write instead.
    """
    path = folder / SETTINGS_FILE
    found = read_toml(
        path,
        GatewaySettings,
        GatewaySettingsUnusable,
        most_bytes=SETTINGS_BYTES_MAX,
        advice=f"commonwatt gateway init {folder} writes one, docs/gateway.md explains it",
    )
    try:
        require_usable(found)
    except GatewaySettingsUnusable as error:
        raise GatewaySettingsUnusable(f"{path}: {error}") from None
    return found


def require_usable(settings: GatewaySettings) -> None:
    """Raise `GatewaySettingsUnusable` for what the shape of the file does not show."""
    if not NAME.fullmatch(settings.community):
        raise GatewaySettingsUnusable(
            f"community {settings.community!r:.80}: use lower-case letters, digits and hyphens"
        )
    if not re.fullmatch(f"[0-9a-f]{{{2 * LEDGER_BYTES}}}", settings.ledger):
        raise GatewaySettingsUnusable(
            f"ledger {settings.ledger!r:.80}: write {2 * LEDGER_BYTES} hex digits in small letters"
        )
    try:
        Interval(0, settings.interval_s)
    except BadInterval as error:
        raise GatewaySettingsUnusable(f"interval_s: {error}") from None
    if len(settings.meters) > METERS_MAX:
        raise GatewaySettingsUnusable(
            f"{len(settings.meters)} meters: a gateway has at most {METERS_MAX}; make another"
        )
    for meter in settings.meters:
        if not NAME.fullmatch(meter.name):
            raise GatewaySettingsUnusable(
                f"meter {meter.name!r:.80}: use lower-case letters, digits and hyphens in its name"
            )
        if not meter.devices:
            raise GatewaySettingsUnusable(
                f"meter {meter.name}: name in devices what the device calls itself"
            )
    names = [meter.name for meter in settings.meters]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise GatewaySettingsUnusable(f"meter {twice}: is there twice; take one of the two out")


def write_settings(folder: Path, settings: GatewaySettings) -> None:
    """Write `gateway.toml`, whole or not at all, for its owner's eyes: addresses hold passwords.

    Raises:
        FolderUnusable: it cannot be written.
    """
    require_usable(settings)
    path, part = folder / SETTINGS_FILE, folder / f"{SETTINGS_FILE}.part"
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, KEY_MODE), "wb") as file:
            file.write(settings_text(settings).encode())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise FolderUnusable(
            f"{path}: cannot be written ({error.strerror}); free some space or choose another "
            "directory"
        ) from None


def settings_text(settings: GatewaySettings) -> str:
    """The settings as TOML, without what is as usual."""
    lines = _lines(settings)
    for meter in settings.meters:
        lines += ["", "[[meters]]", *_lines(meter)]
        if meter.options:
            lines += ["", "[meters.options]"]
            lines += [f"{_key(key)} = {_value(value)}" for key, value in meter.options.items()]
    return "\n".join(lines) + "\n"


def _lines(part: msgspec.Struct) -> list[str]:
    return [
        f"{field.name} = {_value(getattr(part, field.name))}"
        for field in msgspec.structs.fields(part)
        if field.name not in ("meters", "options") and getattr(part, field.name) != field.default
    ]


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _value(text)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(part) for part in value) + "]"
    # JSON and TOML write numbers, booleans and texts alike, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

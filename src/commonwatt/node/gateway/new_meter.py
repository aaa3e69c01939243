"""A new meter in a gateway: its key, its opening record, and what its operator needs.

The order makes it safe to be killed in between: first the key, then the opening record in the
spool, then the meter in `gateway.toml`, and only then is it told. Doing it again finds what is
there and goes on, and never signs a second opening record with a key.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from commonwatt.meter.driver import DRIVERS
from commonwatt.meter.driver.failure import DriverOptionsUnusable, DriverUnknown, shown
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.record import Kind, Record
from commonwatt.node.errors import FolderUnusable
from commonwatt.node.gateway.errors import GatewaySettingsUnusable
from commonwatt.node.gateway.feed import feeds_of
from commonwatt.node.gateway.first_reading import NewMeter, first_heard
from commonwatt.node.gateway.gateway import FolderLock
from commonwatt.node.gateway.http_link import NodeAddress, ask_community
from commonwatt.node.gateway.key_file import read_key, write_key
from commonwatt.node.gateway.overview import Registration, registration_of
from commonwatt.node.gateway.registers import Registers, opened
from commonwatt.node.gateway.settings import (
    SETTINGS_FILE,
    SPOOL_FILE,
    GatewaySettings,
    MeterSettings,
    read_settings,
    require_usable,
    write_settings,
)
from commonwatt.node.gateway.signing import opening_record
from commonwatt.node.gateway.spool import Opening, Spool
from commonwatt.node.mqtt.client import BrokerAddress

UNNAMED = "unnamed"
"""Stands for a device that has not said yet what it calls itself."""


class Begun(NamedTuple):
    """A meter that is ready."""

    meter: MeterSettings
    meter_id: bytes
    registration: Registration
    opening: Record


def driver_options(name: str, texts: Mapping[str, str]) -> dict[str, object]:
    """A driver's options from texts: a list is divided by commas, a table has colons besides.

    Raises:
        DriverUnknown, DriverOptionsUnusable: no such driver or option, or not such a value.

    >>> driver_options("homeassistant", {"imports": "sensor.day,sensor.night"})
    {'imports': ('sensor.day', 'sensor.night')}
    """
    kind = DRIVERS.get(name)
    if kind is None:
        raise DriverUnknown(f"no driver is called {shown(name)}: {', '.join(DRIVERS)}")
    fields = {field.name: field for field in msgspec.structs.fields(kind.options)}
    values: dict[str, object] = {}
    for key, text in texts.items():
        if key not in fields:
            known = ", ".join(fields) or "none"
            raise DriverOptionsUnusable(f"driver {name} has no option {shown(key)}: {known}")
        default = fields[key].default
        if isinstance(default, tuple):
            values[key] = text.split(",")
        elif isinstance(default, dict) or fields[key].default_factory is dict:
            values[key] = dict(_pair(part, key) for part in text.split(","))
        else:
            values[key] = text
    try:
        options = msgspec.convert(values, kind.options, strict=False)
    except msgspec.ValidationError as error:
        raise DriverOptionsUnusable(f"options of driver {name}: {error}") from None
    found = msgspec.to_builtins(options)
    return {key: found[key] for key in values}


def _pair(text: str, option: str) -> tuple[str, str]:
    key, colon, value = text.partition(":")
    if not colon:
        raise DriverOptionsUnusable(f"option {option}: {shown(text)}: write KEY:VALUE,KEY:VALUE")
    return key, value


async def settings_for(
    folder: Path,
    *,
    community: str | None,
    to: str | None,
    node: str | None,
    ledger: str | None,
    interval_s: int | None,
) -> GatewaySettings:
    """The settings of a gateway that is there, or of a new one.

    Args:
        folder: of the gateway.
        community: its name; needed for a new one.
        to: where records are sent; needed for a new one.
        node: HTTP address of the node to ask for the ledger; `to` unless given.
        ledger: 16 hex digits, so that nobody has to be asked.
        interval_s: length of the community's intervals in seconds, together with `ledger`.

    Raises:
        GatewaySettingsUnusable: something is missing, or is not as it was.
        AddressUnusable, NodeUnusable: the node cannot be asked.
    """
    if (folder / SETTINGS_FILE).exists():
        found = read_settings(folder)
        given = {"community": community, "to": to, "ledger": ledger, "interval_s": interval_s}
        for name, value in given.items():
            if value is not None and value != getattr(found, name):
                raise GatewaySettingsUnusable(
                    f"{folder}: {name} is {getattr(found, name)} there; leave the option away to "
                    "add a meter, or begin in another directory"
                )
        return found
    if community is None or to is None:
        raise GatewaySettingsUnusable(
            f"{folder}: a new gateway needs --community NAME and --to ADDRESS"
        )
    settings = GatewaySettings(
        community=community, to=to, ledger=ledger or "0" * 16, interval_s=interval_s or 900
    )
    require_usable(settings)
    if to.startswith(("mqtt:", "mqtts:")):
        BrokerAddress.parse(to)
        if ledger is None and node is None:
            raise GatewaySettingsUnusable(
                "a broker does not know the ledger: name it with --ledger, or with --node the "
                "node's http address, to ask there"
            )
    else:
        NodeAddress.parse(to)
    if ledger is not None:
        return settings
    facts = await ask_community(NodeAddress.parse(node or to), community)
    return msgspec.structs.replace(settings, ledger=facts.ledger.hex(), interval_s=facts.interval_s)


async def begin_meter(
    folder: Path, settings: GatewaySettings, new: NewMeter, password: str | None = None
) -> Begun:
    """Add a meter to a gateway, and the gateway itself with its first meter.

    Args:
        folder: of the gateway; made if it is not there.
        settings: as they are, without the meter.
        new: what is to be added.
        password: to encrypt the key with.

    Raises:
        InputError: what is wrong, and what to do.
    """
    _make(folder)
    lock = FolderLock(folder)
    try:
        meter = new.settings
        begun = {other.name: other for other in settings.meters}.get(meter.name)
        if begun is not None:
            raise GatewaySettingsUnusable(
                f"{folder}: has a meter {meter.name} already; choose another --name, or see what "
                f"is there with commonwatt gateway show {folder}"
            )
        named = msgspec.structs.replace(meter, devices=meter.devices or (UNNAMED,))
        require_usable(_with(settings, named))
        return await _begin(folder, settings, new, password)
    finally:
        lock.close()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise FolderUnusable(
            f"{folder}: cannot be made ({error.strerror}); choose another directory"
        ) from None


async def _begin(
    folder: Path, settings: GatewaySettings, new: NewMeter, password: str | None
) -> Begun:
    new = replace(new, settings=_with_entities(new.settings))
    first = await first_heard(new)
    meter = msgspec.structs.replace(
        new.settings, devices=new.settings.devices or (first.device,), counts=first.counts
    )
    settings = _with(settings, meter)
    feeds_of(settings.meters)
    path = folder / f"{meter.name}.pem"
    is_there = path.exists()
    key = read_key(path, password) if is_there else MeterKey.generate()
    if not is_there:
        write_key(path, key, password)
    at = first.registers
    record = opening_record(
        settings.ledger_bytes,
        key.meter,
        at._replace(time=at.time // settings.interval_s * settings.interval_s),
        kind=Kind.REGISTERS if meter.counts == "registers" else Kind.INTERVAL_ONLY,
        interval_s=settings.interval_s,
    )
    spool = Spool(folder / SPOOL_FILE, settings.spool_records_max)
    try:
        opening = Registers(record.time_end, record.import_mwh, record.export_mwh)
        signed = key.sign(record.encode())
        spool.open_meter(Opening(meter.name, key.public_key, signed), opened(opening, at))
        # Where somebody was interrupted before, the first opening record stands.
        kept = spool.openings()[key.meter]
    finally:
        spool.close()
    write_settings(folder, settings)
    return Begun(
        meter, key.meter, registration_of(meter.role, kept), Record.decode(kept.signed.record)
    )


def _with_entities(meter: MeterSettings) -> MeterSettings:
    """With the entities of Home Assistant as devices: each of them is read by its name."""
    if meter.devices or meter.source != "homeassistant":
        return meter
    names = (meter.options.get(option) for option in ("imports", "exports"))
    found = [name for part in names if isinstance(part, list | tuple) for name in part]
    return msgspec.structs.replace(meter, devices=tuple(found))


def _with(settings: GatewaySettings, meter: MeterSettings) -> GatewaySettings:
    return msgspec.structs.replace(settings, meters=(*settings.meters, meter))

"""Drivers: what real devices and files say, read into readings that all look the same.

A driver takes messages as they come (`Message`) and gives what it `Taken`: readings in whole mWh
and UTC seconds, each with the device's own id, its quality, and who vouches for it, and one clear
error for each message that cannot be used. It does no input or output, knows no clock, and reads
no more than its named limit, so anything may be fed to it. `DRIVERS` lists them by the names that
a configuration uses:

>>> from commonwatt.meter.driver import Message, open_driver
>>> meter = open_driver("shelly", {})
>>> taken = meter.take(Message(b"1234.5", 1_700_000_000, "shellies/shellyem-1/emeter/0/total"))
>>> taken.readings[0].source, taken.readings[0].import_mwh
('shellyem-1/emeter/0', 1234500)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from commonwatt.errors import InputError
from commonwatt.meter.driver.csv_table import CsvOptions, read_csv
from commonwatt.meter.driver.espi import EspiOptions, read_espi
from commonwatt.meter.driver.failure import DriverOptionsUnusable, DriverUnknown, shown
from commonwatt.meter.driver.homeassistant import HomeAssistant, HomeAssistantOptions
from commonwatt.meter.driver.nem12 import read_nem12
from commonwatt.meter.driver.ocmf import OCMF_BYTES_MAX, Keys, ocmf_readings, read_ocmf
from commonwatt.meter.driver.ocpp import OcppOptions, read_ocpp
from commonwatt.meter.driver.p1 import CENTRAL_EUROPE_S, read_p1
from commonwatt.meter.driver.p1_stream import Splitter
from commonwatt.meter.driver.reading import (
    AnyReading,
    Check,
    Driver,
    IntervalReading,
    Message,
    Reading,
    SignedBy,
    Taken,
)
from commonwatt.meter.driver.shelly import ShellyOptions, read_shelly
from commonwatt.meter.driver.tasmota import TasmotaOptions, read_tasmota
from commonwatt.meter.driver.text import read_text

__all__ = [
    "DRIVERS",
    "AnyReading",
    "Check",
    "Driver",
    "IntervalReading",
    "Kind",
    "Message",
    "Reading",
    "SignedBy",
    "Taken",
    "open_driver",
]


REFUSED_MAX = 20
"""Told at once of one piece of a line."""
_OFFSET_S = 14 * 3_600


class NoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For drivers that need none."""


class OcmfOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a configuration can say of signed records."""

    public_key: str = ""
    """Public key of the meters, where one is given for all."""
    public_keys: dict[str, str] = {}
    """Public keys by serial number of the meter."""


class P1Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a configuration can say of a P1 port."""

    winter_offset_s: Annotated[int, msgspec.Meta(ge=-_OFFSET_S, le=_OFFSET_S)] = CENTRAL_EUROPE_S
    """How far the meter's winter time is ahead of UTC, in seconds; summer is an hour more."""


class _Whole:
    """A driver that reads each message by itself."""

    def __init__(self, read: Callable[[Message], tuple[AnyReading, ...]]) -> None:
        self._read = read

    def take(self, message: Message) -> Taken:
        try:
            return Taken(readings=self._read(message))
        except InputError as error:
            return Taken(refused=(error,))


class _P1Line:
    """A driver over a line of bytes, where a message is just a piece."""

    def __init__(self, options: P1Options) -> None:
        self._splitter, self._offset = Splitter(), options.winter_offset_s

    def take(self, message: Message) -> Taken:
        readings: list[AnyReading] = []
        refused: list[InputError] = []
        for telegram in self._splitter.feed(message.payload):
            try:
                readings.append(read_p1(telegram, message.received, self._offset))
            except InputError as error:
                # Noise can hold many; the first ones tell what is wrong.
                if len(refused) < REFUSED_MAX:
                    refused.append(error)
        return Taken(tuple(readings), tuple(refused))


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of device."""

    says: str
    """What it reads, in one line."""
    options: type[msgspec.Struct]
    open: Callable[[Any], Driver]


def _ocmf(options: OcmfOptions) -> Driver:
    keys = Keys(options.public_key, options.public_keys)

    def read(message: Message) -> tuple[AnyReading, ...]:
        text = read_text(message.payload, OCMF_BYTES_MAX, "an OCMF record")
        return ocmf_readings(read_ocmf(text, keys))

    return _Whole(read)


DRIVERS: Mapping[str, Kind] = {
    "csv": Kind(
        "CSV files of registers or interval energy, with named columns",
        CsvOptions,
        lambda options: _Whole(lambda message: read_csv(message.payload, options)),
    ),
    "espi": Kind(
        "Green Button files (NAESB ESPI), interval energy",
        EspiOptions,
        lambda options: _Whole(lambda message: read_espi(message.payload, options)),
    ),
    "homeassistant": Kind(
        "Home Assistant over MQTT: state stream and announced sensors",
        HomeAssistantOptions,
        HomeAssistant,
    ),
    "nem12": Kind(
        "NEM12 files (AEMO, Australia), interval energy",
        NoOptions,
        lambda _: _Whole(lambda message: read_nem12(message.payload)),
    ),
    "ocmf": Kind("OCMF records of charging stations, signed", OcmfOptions, _ocmf),
    "ocpp": Kind(
        "OCPP 1.6, 2.0.1 and 2.1 meter values of charging stations, signed or not",
        OcppOptions,
        lambda options: _Whole(lambda message: read_ocpp(message, options)),
    ),
    "p1": Kind("P1 port of Dutch, Belgian and related smart meters", P1Options, _P1Line),
    "shelly": Kind(
        "Shelly meters and plugs over MQTT, all generations",
        ShellyOptions,
        lambda options: _Whole(lambda message: read_shelly(message, options)),
    ),
    "tasmota": Kind(
        "Tasmota devices over MQTT, with ENERGY or an infrared reading head",
        TasmotaOptions,
        lambda options: _Whole(lambda message: read_tasmota(message, options)),
    ),
}
"""Every driver by the name that a configuration uses."""


def open_driver(name: str, options: Mapping[str, object]) -> Driver:
    """A driver of this name with these options, ready for its first message.

    Raises:
        DriverUnknown: no driver has this name.
        DriverOptionsUnusable: an option it does not take, or a value it cannot use.
    """
    kind = DRIVERS.get(name)
    if kind is None:
        raise DriverUnknown(f"no driver is called {shown(name)}: {', '.join(DRIVERS)}")
    try:
        return kind.open(msgspec.convert(dict(options), kind.options))
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(kind.options)) or "none"
        raise DriverOptionsUnusable(
            f"options of driver {name}: {error}; it takes {known}"
        ) from None

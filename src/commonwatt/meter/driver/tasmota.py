"""Tasmota devices over MQTT: `tele/NAME/SENSOR` with `ENERGY`, or the fields of an SML script.

`ENERGY.Total` and `ExportActive` count in kWh, with a value for each phase in brackets where the
device splits them. Scripts that read a utility meter's infrared eye name group and fields as they
like; a configuration names them. Nothing is signed: the gateway vouches.
"""

import re
from collections.abc import Mapping

import msgspec

from commonwatt.meter.driver.energy import read_energy, unit_power
from commonwatt.meter.driver.failure import RegisterMissing, ValueUnavailable, shown
from commonwatt.meter.driver.moment import has_offset, utc_seconds
from commonwatt.meter.driver.reading import Message, Reading
from commonwatt.meter.driver.strict_json import (
    as_number,
    as_object,
    read_json,
    text_or,
)

PAYLOAD_BYTES_MAX = 16 * 1_024
PHASES_MAX = 8
ENERGY_GROUP = "ENERGY"
_TOPIC = re.compile(r"(?:[^/]+/)*?(?:tele/)?([^/]+)/(?:tele/)?SENSOR")
_IMPORTS = ("Total", "total")
_EXPORTS = ("ExportActive", "TotalReturn", "Export")
_SCRIPT_IMPORTS = ("Total_in", "total_in", "E_in", "1_8_0", "TotalIn")
_SCRIPT_EXPORTS = ("Total_out", "total_out", "E_out", "2_8_0", "TotalOut")


class TasmotaOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a configuration can say; needed for scripts with names of their own."""

    group: str = ""
    """Name of the object that holds the fields; empty: `ENERGY`, else the one that has some."""
    import_field: str = ""
    """Register of energy in; empty: any of the usual names."""
    export_field: str = ""
    """Register of energy out; empty: any of the usual names."""
    unit: str = "kWh"
    """Unit of both."""

    def __post_init__(self) -> None:
        """Raise `UnitUnknown` for a unit that is none of energy."""
        unit_power(self.unit, "option unit")


def read_tasmota(message: Message, options: TasmotaOptions) -> tuple[Reading, ...]:
    """The reading in a SENSOR message; none for other topics.

    Raises:
        MessageTooLarge, FormatUnreadable: not such a message.
        RegisterMissing: no register under a known or named field.
        ValueUnavailable: a register that is null.
        NumberUnreadable, UnitUnknown, TimeUnreadable, SourceUnusable: in its fields.
    """
    found = _TOPIC.fullmatch(message.topic)
    if found is None:
        return ()
    fields = as_object(read_json(message.payload, PAYLOAD_BYTES_MAX, "SENSOR"), "SENSOR")
    time = _time(fields, message)
    if time is None:
        return ()
    group = _group(fields, options)
    if group is None:
        return ()  # a thermometer
    imported = _register(group, options.import_field, _IMPORTS + _SCRIPT_IMPORTS, options.unit)
    exported = _register(group, options.export_field, _EXPORTS + _SCRIPT_EXPORTS, options.unit)
    if imported is None and exported is None:
        raise RegisterMissing(
            f"SENSOR of {shown(found.group(1))} has no register under a usual name: "
            "name import_field and export_field"
        )
    return (Reading(source=found.group(1), time=time, import_mwh=imported, export_mwh=exported),)


def _time(fields: Mapping[str, object], message: Message) -> int | None:
    """The device's time where it has an offset (SetOption52), otherwise when the message came."""
    text = text_or(fields, "Time")
    if text and has_offset(text, "Time"):
        return utc_seconds(text, "Time")
    return None if message.retained else message.received


def _group(fields: Mapping[str, object], options: TasmotaOptions) -> Mapping[str, object] | None:
    if options.group:
        if options.group not in fields:
            raise RegisterMissing(
                f"SENSOR has no group {shown(options.group)}, but {shown(', '.join(fields))}: "
                "name the one of the meter"
            )
        return as_object(fields[options.group], options.group)
    if ENERGY_GROUP in fields:
        return as_object(fields[ENERGY_GROUP], ENERGY_GROUP)
    named = {options.import_field, options.export_field} - {""}
    names = named or {*_SCRIPT_IMPORTS, *_SCRIPT_EXPORTS}
    groups = [
        group for group in fields.values() if isinstance(group, dict) and names & group.keys()
    ]
    if len(groups) > 1:
        raise RegisterMissing("SENSOR has several meters: name the group of the one that is meant")
    return groups[0] if groups else None


def _register(
    group: Mapping[str, object], named: str, usual: tuple[str, ...], unit: str
) -> int | None:
    name = named or next((name for name in usual if name in group), "")
    if name not in group:
        if named:
            raise RegisterMissing(f"no field {shown(named)} beside {shown(', '.join(group))}")
        return None
    value = group[name]
    phases = value if isinstance(value, list) else [value]
    if not phases or len(phases) > PHASES_MAX:
        raise RegisterMissing(f"{name} has {len(phases)} values: one for each phase")
    if any(phase is None for phase in phases):
        raise ValueUnavailable(f"{name} has no value now: wait for the next message")
    return sum(read_energy(as_number(phase, name), unit, name) for phase in phases)

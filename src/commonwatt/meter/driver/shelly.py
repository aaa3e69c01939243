"""Shelly energy meters and plugs over MQTT, first and later generations.

What is read keeps its count through a restart:

- first generation (EM, 3EM): `shellies/ID/emeter/N/total` and `total_returned`, in Wh, one number
  a message; and `shellies/ID/info`, which has all of them at once.
- later ones: `PREFIX/status/emdata:0` (Pro 3EM: `total_act`, `total_act_ret`), `em1data:N`
  (`total_act_energy`, `total_act_ret_energy`), `switch:N`, `pm1:N`, `cover:N` (`aenergy`, of
  which `ret_aenergy` is a part), in Wh; `emdata` and `em1data` also from `PREFIX/events/rpc`.

The counter `relay/N/energy` of the first generation begins at zero after each restart and is
refused. Nothing is signed: the gateway vouches.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec

from commonwatt.meter.driver.energy import read_energy
from commonwatt.meter.driver.failure import (
    FormatUnreadable,
    NumberUnreadable,
    RegisterMissing,
    ValueUnavailable,
    shown,
)
from commonwatt.meter.driver.moment import in_range
from commonwatt.meter.driver.reading import Message, Reading
from commonwatt.meter.driver.strict_json import (
    Number,
    as_list,
    as_number,
    as_object,
    read_json,
    text_or,
)
from commonwatt.meter.driver.text import read_text

PAYLOAD_BYTES_MAX = 64 * 1_024
_FIRST = re.compile(r"(?:.*/)?([^/]+)/(emeter/[0-9]{1,2})/(total|total_returned)")
_COUNTER = re.compile(r"shellies/.+/relay/[0-9]{1,2}/energy")
_INFO = re.compile(r"shellies/([^/]+)/info")
_STATUS = re.compile(r"(.+)/status/((?:emdata|em1data|switch|pm1|cover):[0-9]{1,3})")
_EVENTS = re.compile(r"(.+)/events/rpc")
_WHOLE = re.compile(r"(?:emdata|em1data):[0-9]{1,3}")
"""Components whose notifications are whole; those of a switch leave out what did not change."""
_SECONDS = re.compile(r"([0-9]{1,12})(?:\.[0-9]*)?")
_FIELDS = {
    "emdata": ("total_act", "total_act_ret"),
    "em1data": ("total_act_energy", "total_act_ret_energy"),
}


class ShellyOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a configuration can say."""

    sum_phases: bool = False
    """First generation: add the channels of an `info` message up to one meter (3EM)."""


def read_shelly(message: Message, options: ShellyOptions) -> tuple[Reading, ...]:
    """The readings in a message; none where its topic is about something else.

    Raises:
        MessageTooLarge: more than `PAYLOAD_BYTES_MAX`.
        FormatUnreadable: not what such a topic carries.
        RegisterMissing: a status without energy, or a counter that forgets.
        NumberUnreadable: no number, or more returned than counted.
        ValueUnavailable: the meter says that it has no value.
        SourceUnusable: an id that cannot be shown.
    """
    topic = message.topic
    if found := _FIRST.fullmatch(topic):
        return tuple(_single(message, *found.groups()))
    if found := _INFO.fullmatch(topic):
        return tuple(_info(message, found.group(1), options))
    if found := _STATUS.fullmatch(topic):
        return tuple(_status(message, *found.groups()))
    if _EVENTS.fullmatch(topic):
        return tuple(_notified(message))
    if _COUNTER.fullmatch(topic):
        raise RegisterMissing(
            f"{shown(topic)} counts from zero after each restart: use a Shelly EM or one of a "
            "later generation"
        )
    return ()


def _single(message: Message, device: str, channel: str, name: str) -> Iterator[Reading]:
    """One register of the first generation: the payload is the number."""
    if message.retained:
        return  # it may be of yesterday
    energy = read_energy(read_text(message.payload, PAYLOAD_BYTES_MAX, name), "Wh", name)
    returned = name == "total_returned"
    yield Reading(
        source=f"{device}/{channel}",
        time=message.received,
        import_mwh=None if returned else energy,
        export_mwh=energy if returned else None,
    )


def _info(message: Message, device: str, options: ShellyOptions) -> Iterator[Reading]:
    """The whole status of the first generation."""
    status = as_object(read_json(message.payload, PAYLOAD_BYTES_MAX, "info"), "info")
    if "emeters" not in status:
        return  # a relay or a lamp
    time = _own_time(status.get("unixtime"), message)
    if time is None:
        return
    channels = []
    for number, entry in enumerate(as_list(status["emeters"], "emeters")):
        what = f"emeter {number} of {shown(device)}"
        meter = as_object(entry, what)
        if meter.get("is_valid") is False:
            raise ValueUnavailable(f"{what} says that its values are not valid: look at its wiring")
        channels.append((_energy(meter, "total", what), _energy(meter, "total_returned", what)))
    if options.sum_phases and channels:
        channels = [(sum(into for into, _ in channels), sum(out for _, out in channels))]
    for number, (imported, exported) in enumerate(channels):
        source = device if options.sum_phases else f"{device}/emeter/{number}"
        yield Reading(source=source, time=time, import_mwh=imported, export_mwh=exported)


def _status(message: Message, prefix: str, component: str) -> Iterator[Reading]:
    """The status of one component of a later generation: always whole."""
    if message.retained:
        return
    status = as_object(read_json(message.payload, PAYLOAD_BYTES_MAX, component), component)
    kind, _, _ = component.partition(":")
    if kind not in _FIELDS and "aenergy" not in status:
        return  # a switch that measures nothing
    yield _reading(f"{prefix}/{component}", message.received, component, status)


def _notified(message: Message) -> Iterator[Reading]:
    """A notification of a later generation: says its own time and who sends it."""
    event = as_object(read_json(message.payload, PAYLOAD_BYTES_MAX, "events/rpc"), "events/rpc")
    parameters = event.get("params")
    if text_or(event, "method") not in {"NotifyStatus", "NotifyFullStatus"}:
        return
    fields = as_object(parameters, "params")
    time = _own_time(fields.get("ts"), message)
    if time is None:
        return
    device = text_or(event, "src")
    for component, status in fields.items():
        if _WHOLE.fullmatch(component):
            whole = as_object(status, component)
            yield _reading(f"{device}/{component}", time, component, whole)


def _reading(source: str, time: int, component: str, status: Mapping[str, object]) -> Reading:
    kind, _, _ = component.partition(":")
    if kind in _FIELDS:
        into, out = _FIELDS[kind]
        imported, exported = _energy(status, into, component), _energy(status, out, component)
        return Reading(source=source, time=time, import_mwh=imported, export_mwh=exported)
    counted = _energy(as_object(status["aenergy"], "aenergy"), "total", component)
    if "ret_aenergy" not in status:
        return Reading(source=source, time=time, import_mwh=counted, export_mwh=None)
    exported = _energy(as_object(status["ret_aenergy"], "ret_aenergy"), "total", component)
    if exported > counted:
        raise NumberUnreadable(
            f"{component} of {shown(source)} returned {exported} mWh of {counted} counted: "
            "reset both counters together"
        )
    # aenergy counts both ways.
    return Reading(source=source, time=time, import_mwh=counted - exported, export_mwh=exported)


def _energy(fields: Mapping[str, object], name: str, what: str) -> int:
    if name not in fields:
        raise RegisterMissing(f"{what} says no {name}: is it an energy meter with new firmware?")
    value = fields[name]
    if value is None:
        raise ValueUnavailable(f"{what} has no value of {name} now: wait for the next message")
    return read_energy(as_number(value, name), "Wh", f"{name} of {what}")


def _own_time(value: object, message: Message) -> int | None:
    """The device's time, or when the message came; None if that says nothing of the value."""
    if value is not None:
        found = _SECONDS.fullmatch(value) if isinstance(value, Number) else None
        if found is None:
            raise FormatUnreadable(f"time {shown(value)} is no count of seconds")
        seconds = int(found.group(1))
        if seconds:  # it says 0 until it has heard the time
            return in_range(seconds, "the device's time")
    return None if message.retained else message.received

"""Home Assistant over MQTT: its state stream, and sensors that announce themselves to it.

Two ways lead here. With `mqtt_statestream` Home Assistant publishes the state of each entity at
`BASE/sensor/NAME/state` and its attributes beside it, `unit_of_measurement` among them. Devices
made for Home Assistant publish `homeassistant/sensor/.../config` with the topic, unit and template
of their state. One sensor counts one way; a configuration says which entity counts in and which
out. Nothing is signed: the gateway vouches.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from commonwatt.errors import InputError
from commonwatt.meter.driver.energy import read_energy, unit_power
from commonwatt.meter.driver.failure import (
    DriverOptionsUnusable,
    FormatUnreadable,
    RegisterMissing,
    UnitUnknown,
    ValueUnavailable,
    shown,
)
from commonwatt.meter.driver.reading import Message, Reading, Taken
from commonwatt.meter.driver.strict_json import (
    as_number,
    as_object,
    as_text,
    read_json,
)
from commonwatt.meter.driver.text import read_text

PAYLOAD_BYTES_MAX = 64 * 1_024
ENTITIES_MAX = 1_000
_UNAVAILABLE = frozenset({"unavailable", "unknown", "none", ""})
_TEMPLATE = re.compile(r"\{\{-?\s*(value(?:_json)?)((?:\.\w+|\['\w+'\]|\[\"\w+\"\])*)\s*-?\}\}")
_STEP = re.compile(r"\w+")
_SHORT = {
    "stat_t": "state_topic",
    "unit_of_meas": "unit_of_measurement",
    "val_tpl": "value_template",
    "uniq_id": "unique_id",
}
"""What discovery abbreviates."""


class HomeAssistantOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a configuration says: which entities count which way."""

    imports: tuple[str, ...] = ()
    """Entities (`sensor.grid_import`) or unique ids that count energy in."""
    exports: tuple[str, ...] = ()
    """Entities or unique ids that count energy out."""
    base_topic: str = "homeassistant"
    """Of `mqtt_statestream`."""
    discovery_prefix: str = "homeassistant"
    """Of announcements."""
    unit: str = ""
    """Unit of all, where attributes are not published; empty: each says its own."""


@dataclass(frozen=True, slots=True)
class _Announced:
    """A sensor that announced itself."""

    name: str
    unit: str
    steps: tuple[str, ...] | None
    """The way into a JSON payload; None where the payload is the number."""


class HomeAssistant:
    """Reads the entities that a configuration names, and no other: so it stays small.

    It remembers what was announced and the units; both come again after a restart, because Home
    Assistant and its devices have the broker keep them.
    """

    def __init__(self, options: HomeAssistantOptions) -> None:
        """Take the options.

        Raises:
            DriverOptionsUnusable: no entity, too many, or one that counts both ways.
        """
        names = {*options.imports, *options.exports}
        if not names or len(names) > ENTITIES_MAX:
            raise DriverOptionsUnusable(
                f"{len(names)} entities: name 1 to {ENTITIES_MAX} in imports and exports"
            )
        if len(names) != len(options.imports) + len(options.exports):
            raise DriverOptionsUnusable("an entity counts one way: name it once")
        if options.unit:
            unit_power(options.unit, "option unit")
        self._exports = frozenset(options.exports)
        self._names = frozenset(names)
        self._options = options
        self._units: dict[str, str] = {}
        self._announced: dict[str, dict[str, _Announced]] = {}
        self._stream = re.compile(
            re.escape(options.base_topic.rstrip("/"))
            + r"/(sensor)/([^/]+)/(state|unit_of_measurement)"
        )
        self._config = re.compile(
            re.escape(options.discovery_prefix.rstrip("/")) + r"/sensor/(?:[^/]+/)?[^/]+/config"
        )

    def take(self, message: Message) -> Taken:
        """The readings in a message; nothing for topics of other entities."""
        try:
            return Taken(readings=self.read(message))
        except InputError as error:
            return Taken(refused=(error,))

    def read(self, message: Message) -> tuple[Reading, ...]:
        """The readings in a message; none for topics of other entities.

        Raises:
            MessageTooLarge, FormatUnreadable: not what such a topic carries.
            UnitUnknown: a unit that is not one of energy, or none said so far.
            ValueUnavailable: the entity has no value now.
            RegisterMissing: an announced sensor without topic, or a template beyond a path.
            NumberUnreadable, SourceUnusable: in its value or name.
        """
        if found := self._stream.fullmatch(message.topic):
            domain, name, what = found.groups()
            entity = f"{domain}.{name}"
            return self._streamed(message, entity, what) if entity in self._names else ()
        if self._config.fullmatch(message.topic):
            self._announce(message)
            return ()
        announced = self._announced.get(message.topic, {})
        return tuple(
            self._reading(message, sensor.name, _value(message, sensor), sensor.unit)
            for sensor in announced.values()
            if not message.retained
        )

    def _streamed(self, message: Message, entity: str, what: str) -> tuple[Reading, ...]:
        if what == "unit_of_measurement":
            unit = read_json(message.payload, PAYLOAD_BYTES_MAX, what)
            unit_power(as_text(unit, what), f"{what} of {shown(entity)}")
            self._units[entity] = as_text(unit, what)
            return ()
        if message.retained:
            return ()  # the state of some time before
        text = read_text(message.payload, PAYLOAD_BYTES_MAX, entity)
        unit = self._options.unit or self._units.get(entity, "")
        return (self._reading(message, entity, text, unit),)

    def _reading(self, message: Message, name: str, text: str, unit: str) -> Reading:
        if text.strip().lower() in _UNAVAILABLE:
            raise ValueUnavailable(f"{shown(name)} is {shown(text)}: wait until it has a value")
        if not unit:
            raise UnitUnknown(
                f"{shown(name)} has not said its unit: set publish_attributes, or option unit"
            )
        energy = read_energy(text, unit, name)
        out = name in self._exports
        return Reading(
            source=name,
            time=message.received,
            import_mwh=None if out else energy,
            export_mwh=energy if out else None,
        )

    def _announce(self, message: Message) -> None:
        if not message.payload.strip():
            return  # a sensor that is taken away; its topic stays silent from now on
        config = as_object(read_json(message.payload, PAYLOAD_BYTES_MAX, "config"), "config")
        fields = {_SHORT.get(key, key): value for key, value in config.items()}
        name = _field(fields, "unique_id")
        if name not in self._names:
            return
        topic = _field(fields, "state_topic")
        base = _field(fields, "~")
        if base and topic.startswith("~"):
            topic = base + topic[1:]
        elif base and topic.endswith("~"):
            topic = topic[:-1] + base
        if not topic:
            raise RegisterMissing(f"{shown(name)} announces no state_topic: nothing can be read")
        unit = self._options.unit or _field(fields, "unit_of_measurement")
        unit_power(unit, f"unit of {shown(name)}")
        steps = _steps(_field(fields, "value_template"), name)
        for others in self._announced.values():
            others.pop(name, None)
        self._announced.setdefault(topic, {})[name] = _Announced(name, unit, steps)
        self._announced = {key: sensors for key, sensors in self._announced.items() if sensors}


def _field(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    return "" if value is None else as_text(value, name)


def _steps(template: str, name: str) -> tuple[str, ...] | None:
    """The way a template takes into the payload: `{{ value_json.ENERGY.Total }}`."""
    if not template:
        return None
    found = _TEMPLATE.fullmatch(template.strip())
    if found is None or (found.group(1) == "value" and found.group(2)):
        raise RegisterMissing(
            f"template {shown(template)} of {shown(name)} computes: only a path like "
            "{{ value_json.total }} is read, so announce the register itself"
        )
    return tuple(_STEP.findall(found.group(2))) if found.group(1) == "value_json" else None


def _value(message: Message, sensor: _Announced) -> str:
    if sensor.steps is None:
        return read_text(message.payload, PAYLOAD_BYTES_MAX, sensor.name)
    value = read_json(message.payload, PAYLOAD_BYTES_MAX, sensor.name)
    for step in sensor.steps:
        fields = as_object(value, f"payload of {shown(sensor.name)}")
        if step not in fields:
            raise FormatUnreadable(f"payload of {shown(sensor.name)} has no {shown(step)}")
        value = fields[step]
    return "" if value is None else as_number(value, sensor.name)

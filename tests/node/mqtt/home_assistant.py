"""Home Assistant as its documentation describes it: what it takes, and what it shows then.

Written from the pages that docs/home-assistant.md names. It is stricter than the program in one
thing: keys that are not documented are an error here, where the program passes over them.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import jinja2

from node.mqtt.parts import Client

STATE_CLASSES = {"measurement", "total", "total_increasing"}
ENERGY_UNITS = {
    "J", "kJ", "MJ", "GJ", "mWh", "Wh", "kWh", "MWh", "GWh", "TWh", "cal", "kcal", "Mcal", "Gcal",
}  # fmt: skip
DEVICE_CLASS_STATE_CLASSES = {
    "energy": {"total", "total_increasing"},
    "monetary": {"total"},
    "power_factor": {"measurement"},
}
"""Of the classes that a figure of ours could have."""
KEYS: dict[str, type | tuple[type, ...]] = {
    "availability_topic": str,
    "device": dict,
    "device_class": str,
    "enabled_by_default": bool,
    "entity_category": str,
    "expire_after": int,
    "force_update": bool,
    "icon": str,
    "json_attributes_topic": str,
    "last_reset_value_template": str,
    "name": str,
    "origin": dict,
    "payload_available": str,
    "payload_not_available": str,
    "qos": int,
    "state_class": str,
    "state_topic": str,
    "suggested_display_precision": int,
    "unique_id": str,
    "unit_of_measurement": str,
    "value_template": str,
}
DEVICE_KEYS = {
    "configuration_url", "connections", "hw_version", "identifiers", "manufacturer", "model",
    "model_id", "name", "serial_number", "suggested_area", "sw_version", "via_device",
}  # fmt: skip
ORIGIN_KEYS = {"name", "sw_version", "support_url"}
TOPIC = re.compile(r"[^/]+/sensor/([a-zA-Z0-9_-]+/)?[a-zA-Z0-9_-]+/config")
_AMOUNT = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_ICON = re.compile(r"mdi:[a-z0-9-]+")


def flaws(topic: str, config: dict[str, Any]) -> list[str]:
    """Everything in which a discovery message is not as documented."""
    found = []
    if not TOPIC.fullmatch(topic):
        found.append(f"topic {topic}")
    for key, value in config.items():
        if key not in KEYS:
            found.append(f"{key}: not documented")
        elif not isinstance(value, KEYS[key]):
            found.append(f"{key}: {type(value).__name__}")
    if not config.get("state_topic") or set(config.get("state_topic", "")) & set("+#"):
        found.append("state_topic: required, and no wildcards")
    if config.get("qos", 0) not in {0, 1, 2}:
        found.append("qos")
    if not _ICON.fullmatch(config.get("icon", "mdi:eye")):
        found.append("icon")
    return found + _device_flaws(config) + _class_flaws(config)


def _device_flaws(config: dict[str, Any]) -> list[str]:
    found = []
    device, origin = config.get("device", {}), config.get("origin")
    if device:
        found += [f"device: {key}" for key in device.keys() - DEVICE_KEYS]
        if not config.get("unique_id"):
            found.append("device: only works when unique_id is set")
        if not device.get("identifiers") and not device.get("connections"):
            found.append("device: identifiers or connections must be present")
    if origin is not None:
        found += [f"origin: {key}" for key in origin.keys() - ORIGIN_KEYS]
        if not origin.get("name"):
            found.append("origin: name is required")
    return found


def _class_flaws(config: dict[str, Any]) -> list[str]:
    found = []
    device_class, state_class = config.get("device_class"), config.get("state_class")
    unit = config.get("unit_of_measurement")
    if state_class is not None and state_class not in STATE_CLASSES:
        found.append(f"state_class {state_class}")
    allowed = DEVICE_CLASS_STATE_CLASSES.get(device_class or "")
    if device_class is not None and allowed is None:
        found.append(f"device_class {device_class}")
    if allowed is not None and state_class is not None and state_class not in allowed:
        found.append(f"state_class {state_class} is impossible with device_class {device_class}")
    if device_class == "energy" and unit not in ENERGY_UNITS:
        found.append(f"unit {unit} is not valid with device class energy")
    if device_class == "monetary" and not _CURRENCY.fullmatch(unit or ""):
        found.append(f"unit {unit} is no ISO 4217 code")
    if "last_reset_value_template" in config and state_class != "total":
        found.append("last_reset_value_template: state_class must be total")
    return found


@dataclass
class Entity:
    """One sensor as it is shown."""

    config: dict[str, Any]
    state: str
    """`unavailable`, `unknown`, or the figure."""
    last_reset: datetime | None

    @property
    def value(self) -> Decimal:
        assert _AMOUNT.fullmatch(self.state), self.state
        return Decimal(self.state)


class HomeAssistant:
    """Listens as Home Assistant does, and shows what it would show."""

    def __init__(self, client: Client, prefix: str = "homeassistant") -> None:
        self.client, self.prefix = client, prefix

    def configs(self) -> dict[str, dict[str, Any]]:
        """Discovery messages by topic; an empty one removes what was discovered."""
        topics = {t for t in self.client.topics() if t.startswith(f"{self.prefix}/sensor/")}
        found = {topic: self.client.latest(topic) for topic in topics}
        return {topic: json.loads(text) for topic, text in found.items() if text}

    def entities(self) -> dict[str, Entity]:
        """By unique id."""
        shown = {}
        for topic, config in self.configs().items():
            assert flaws(topic, config) == []
            assert config["unique_id"] not in shown, "two sensors have the same unique id"
            shown[config["unique_id"]] = self._entity(config)
        return shown

    def _entity(self, config: dict[str, Any]) -> Entity:
        available = self.client.latest(config["availability_topic"]).decode()
        payload = self.client.latest(config["state_topic"])
        if available != config.get("payload_available", "online"):
            return Entity(config, "unavailable", None)
        if not payload:
            return Entity(config, "unknown", None)
        state = _rendered(config["value_template"], payload)
        reset = config.get("last_reset_value_template")
        last_reset = datetime.fromisoformat(_rendered(reset, payload)) if reset else None
        if state == "None":
            return Entity(config, "unknown", last_reset)
        # With a unit, a number is expected.
        assert _AMOUNT.fullmatch(state), state
        return Entity(config, state, last_reset)

    def by_name(self, member: int) -> dict[str, Entity]:
        """One member's, by the end of their id."""
        inside = f"_{member:03d}_"
        return {
            unique.partition(inside)[2]: entity
            for unique, entity in self.entities().items()
            if inside in unique
        }


def _rendered(template: str, payload: bytes) -> str:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    return environment.from_string(template).render(value_json=json.loads(payload))

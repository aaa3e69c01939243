"""The messages by which a member's sensors are announced to Home Assistant, and their state.

One device per member, one discovery message per sensor, one state message for all of them: so what
is shown belongs to one and the same interval. All are retained: a Home Assistant that starts later
finds them.
"""

from collections.abc import Iterable, Mapping

import msgspec

from commonwatt import __version__
from commonwatt.node.mqtt.home.sensors import SENSORS, Sensor
from commonwatt.node.mqtt.home.settings import HomeSettings, MemberHome
from commonwatt.node.mqtt.home.totals import Totals, reset_text
from commonwatt.node.mqtt.topics import OFFLINE, ONLINE, ROOT, status_topic
from commonwatt.quantity import time_text
from commonwatt.statement.community import Community

PRODUCT = "Commonwatt"
DAY_BEGAN, INTERVAL_END = "day_began", "interval_end"
"""What the state message has besides the figures: ISO 8601 in UTC."""


def device_id(community: str, member: int) -> str:
    """A member's level in discovery topics."""
    return f"{ROOT}_{community}_{member:03d}"


def discovery_filter(settings: HomeSettings, device: str) -> str:
    """All discovery topics of one member's sensors."""
    return f"{settings.discovery_prefix}/sensor/{device}/#"


def state_topic(home: MemberHome, community: str) -> str:
    """Where a member's figures are published."""
    return f"{home.prefix_in(community)}/state"


def announcements(name: str, community: Community, settings: HomeSettings) -> dict[str, bytes]:
    """Every discovery message, by topic.

    Args:
        name: the community's.
        community: its ledger and currency.
        settings: whose sensors.
    """
    return {
        f"{settings.discovery_prefix}/sensor/{device_id(name, home.member)}/{key}/config": (
            msgspec.json.encode(_announcement(SENSORS[key], home, name, community))
        )
        for home in settings.members
        for key in dict.fromkeys(home.sensors)
    }


def _announcement(
    sensor: Sensor, home: MemberHome, name: str, community: Community
) -> dict[str, object]:
    # The ledger is in the id: figures of another founding under the same name are other sensors.
    identity = f"{ROOT}_{community.chain.ledger.hex()}_{home.member:03d}"
    found: dict[str, object] = {
        "name": sensor.name,
        "unique_id": f"{identity}_{sensor.key}",
        "state_topic": state_topic(home, name),
        "value_template": f"{{{{ value_json.{sensor.key} }}}}",
        "unit_of_measurement": sensor.unit_in(community.currency.code),
        "suggested_display_precision": sensor.places,
        "icon": sensor.icon,
        "qos": 1,
        "availability_topic": status_topic(name),
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
        "device": {
            "identifiers": [identity],
            "name": home.name_in(name),
            "manufacturer": PRODUCT,
            "model": f"Member {home.member} of {name}",
            "sw_version": __version__,
        },
        "origin": {"name": PRODUCT, "sw_version": __version__},
    }
    if sensor.device_class is not None:
        found["device_class"] = sensor.device_class
    if sensor.state_class is not None:
        found["state_class"] = sensor.state_class
    if sensor.resets:
        found["last_reset_value_template"] = f"{{{{ value_json.{DAY_BEGAN} }}}}"
    return found


def state_message(
    totals: Totals, figures: Mapping[str, str | None], sensors: Iterable[str]
) -> bytes:
    """A member's figures as JSON: decimal strings, and null where there is nothing to say."""
    state: dict[str, str | None] = {
        INTERVAL_END: time_text(totals.until),
        DAY_BEGAN: reset_text(totals),
    }
    state.update((key, figures[key]) for key in dict.fromkeys(sensors))
    return msgspec.json.encode(state)

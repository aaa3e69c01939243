"""A feed: one driver on one place, and the meters that are read there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

import msgspec
import structlog

from commonwatt.errors import InputError
from commonwatt.meter.driver import AnyReading, Driver, Message, open_driver
from commonwatt.node.gateway.errors import GatewaySettingsUnusable
from commonwatt.node.gateway.settings import MeterSettings
from commonwatt.node.gateway.sources import Place, place_of, shown_place
from commonwatt.node.mqtt.client import BrokerAddress

USUAL_TOPICS: Mapping[str, tuple[str, ...]] = {
    "shelly": ("shellies/#", "+/status/#", "+/events/rpc"),
    "tasmota": ("tele/+/SENSOR", "+/tele/SENSOR"),
    "homeassistant": ("homeassistant/#",),
}
"""What is listened to unless the settings name topics."""

_log = structlog.get_logger("commonwatt.gateway")


@dataclass(frozen=True, slots=True)
class Feed:
    """One driver on one place."""

    place: Place
    topics: tuple[str, ...]
    driver: Driver
    meters: tuple[MeterSettings, ...]
    identity: bytes
    """The same for the same settings: what was read under it need not be read again."""
    complaints: set[type[InputError]]
    """What was said since the last message that could be read."""

    @property
    def name(self) -> str:
        """For logs."""
        return f"{self.meters[0].source} at {shown_place(self.place)}"

    def read(self, message: Message) -> tuple[AnyReading, ...]:
        """The readings in a message; what cannot be read is said, each kind of it once."""
        taken = self.driver.take(message)
        if taken.readings:
            self.complaints.clear()
        for error in taken.refused:
            if type(error) not in self.complaints:
                self.complaints.add(type(error))
                _log.warning("message_unreadable", source=self.name, why=str(error))
        return taken.readings


def feeds_of(meters: Iterable[MeterSettings]) -> list[Feed]:
    """The feeds that these meters need: meters that are read in the same way share one.

    Raises:
        GatewaySettingsUnusable: one device stands for two meters, or no topic is named.
        AddressUnusable, BrokerAddressUnusable: a place that is none.
        DriverUnknown, DriverOptionsUnusable: a driver that is none, or that cannot do this.
    """
    shared: dict[bytes, list[MeterSettings]] = {}
    for meter in meters:
        shared.setdefault(_way(meter), []).append(meter)
    return [_feed(group) for group in shared.values()]


def _way(meter: MeterSettings) -> bytes:
    way = (meter.source, meter.at, meter.topics, meter.speed, meter.bits, meter.options)
    return msgspec.json.encode(way, order="deterministic")


def _feed(meters: list[MeterSettings]) -> Feed:
    first = meters[0]
    devices = [device for meter in meters for device in meter.devices]
    for device in devices:
        if devices.count(device) > 1:
            raise GatewaySettingsUnusable(
                f"device {device!r:.80}: stands for two meters; name it for one of them"
            )
    place = place_of(first.at, first.speed, first.bits)
    if first.source in USUAL_TOPICS and not isinstance(place, BrokerAddress):
        raise GatewaySettingsUnusable(
            f"meter {first.name}: {first.source} speaks through a broker; write mqtt://HOST:PORT "
            f"in place of {shown_place(place)}"
        )
    topics = first.topics or USUAL_TOPICS.get(first.source, ())
    if isinstance(place, BrokerAddress) and not topics:
        raise GatewaySettingsUnusable(
            f"meter {first.name}: {first.source} has no usual topics; name them in topics"
        )
    identity = sha256(_way(first) + msgspec.json.encode(sorted(devices))).digest()
    return Feed(
        place, topics, open_driver(first.source, first.options), tuple(meters), identity, set()
    )

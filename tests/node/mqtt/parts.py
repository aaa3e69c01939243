"""Brokers, senders and listeners for the tests of MQTT."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from commonwatt.meter.record import SignedRecord
from commonwatt.node.mqtt.client import BrokerAddress
from commonwatt.node.mqtt.limits import IntakeLimits
from commonwatt.node.mqtt.topics import acks_topic, records_topic
from mosquitto import Broker, mosquitto_program

PATIENCE_S = 15.0
COMMUNITY = "street"
HASTY = IntakeLimits(retry_s=0.05, retry_s_max=0.1)
"""The usual limits; a database that is away is asked again sooner."""
RETRY_S_MAX = 0.2


def until(holds: Callable[[], object], what: str = "") -> None:
    """Wait until something holds; fail after a while."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, what or "it never came"
        time.sleep(0.005)


@contextmanager
def broker_with(folder: Path, *settings: str) -> Iterator[Broker]:
    """A broker with more settings than the plain one."""
    program = mosquitto_program()
    if program is None:
        pytest.skip("Mosquitto is not installed: apt-get install mosquitto")
    folder.mkdir(parents=True, exist_ok=True)
    broker = Broker(program, folder)
    written = folder / "mosquitto.conf"
    # Started by root it would become somebody who cannot read the test's folder.
    plain = written.read_text().replace("allow_anonymous true\n", "")
    anonymous = [] if "allow_anonymous false" in settings else ["allow_anonymous true"]
    written.write_text("\n".join(["user root", plain, *anonymous, *settings, ""]))
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


def address_of(broker: Broker, user: str | None = None) -> BrokerAddress:
    """As whom to talk to a broker."""
    return BrokerAddress("127.0.0.1", broker.port, tls=False, user=user, password=user)


def batch_of(records: Iterable[SignedRecord]) -> bytes:
    """The payload of a message."""
    return b"".join(signed.record + signed.signature for signed in records)


class Client:
    """Somebody at the broker, who remembers all that came."""

    def __init__(self, broker: Broker, *filters: str, user: str | None = None) -> None:
        self._changed = Condition()
        self.came: list[tuple[str, bytes, bool]] = []
        """Topic, payload, and whether it was retained."""
        self._ready = 0
        self.refusals: list[int] = []
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if user is not None:
            self.client.username_pw_set(user, user)
        self.client.reconnect_delay_set(1, 1)
        self.client.max_inflight_messages_set(1_000)
        self.client.on_message = self._hear
        self.client.on_connect = lambda *_: [self.client.subscribe(f, 1) for f in filters]
        self.client.on_subscribe = lambda *_: self._count()
        self.client.on_publish = lambda _c, _d, _m, reason, _p: self.refusals.append(reason.value)
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        until(lambda: self._ready >= len(filters) and self.client.is_connected())

    def _count(self) -> None:
        self._ready += 1

    def _hear(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            self.came.append((message.topic, bytes(message.payload), message.retain))

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
    ) -> mqtt.MQTTMessageInfo:
        return self.client.publish(topic, payload, qos, retain)

    def topics(self) -> set[str]:
        with self._changed:
            return {topic for topic, _, _ in self.came}

    def latest(self, topic: str) -> bytes:
        with self._changed:
            return next((p for t, p, _ in reversed(self.came) if t == topic), b"")

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Sender(Client):
    """A meter or gateway: publishes records and reads the answers."""

    def __init__(self, broker: Broker, *, user: str | None = None) -> None:
        super().__init__(broker, f"commonwatt/{COMMUNITY}/acks/+", user=user)

    def send(self, *records: SignedRecord, meter: bytes = b"", qos: int = 1) -> None:
        """Publish records in one message, on the first one's topic unless told otherwise."""
        topic = records_topic(COMMUNITY, meter or records[0].record[12:32])
        self.publish(topic, batch_of(records), qos=qos)

    def send_raw(self, meter: bytes, payload: bytes) -> None:
        self.publish(records_topic(COMMUNITY, meter), payload)

    def answers(self, meter: bytes | None = None) -> list[dict]:
        """The answers that came, of one meter or of all."""
        wanted = None if meter is None else acks_topic(COMMUNITY, meter)
        with self._changed:
            return [json.loads(p) for t, p, _ in self.came if wanted in (None, t)]

    def results(self, meter: bytes | None = None) -> list[dict]:
        return [result for answer in self.answers(meter) for result in answer["results"]]

    def verdicts(self) -> dict[tuple[str, int], list[str]]:
        """By record all that was said to it, in order."""
        found: dict[tuple[str, int], list[str]] = {}
        for result in self.results():
            said = result["reason"] or result["verdict"]
            found.setdefault((result["meter"], result["sequence"]), []).append(said)
        return found


def name_of(signed: SignedRecord) -> tuple[str, int]:
    """As answers call a record."""
    return signed.record[12:32].hex(), int.from_bytes(signed.record[32:40])

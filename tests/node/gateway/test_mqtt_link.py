"""Through a real broker: answers late, twice, in another order or never, and it all arrives."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from commonwatt.meter.record import Record, SignedRecord
from commonwatt.node.gateway.delivered import Correctable
from commonwatt.node.gateway.delivery import Delivery
from commonwatt.node.gateway.mqtt_link import MqttLink
from commonwatt.node.gateway.registers import Registers
from commonwatt.node.gateway.restate import correction_of
from commonwatt.node.mqtt.client import BrokerAddress, BrokerAddressUnusable
from mosquitto import Broker, running_mosquitto
from node.gateway.bench_of_meters import KWH, NOON, QUARTER, Bench, meter, registration
from node.gateway.stub_node import (
    COMMUNITY,
    OverMqtt,
    StubNode,
    assert_once_and_in_order,
    entries,
)

RETRY_S_MAX = 0.3


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with running_mosquitto() as broker:
        yield broker


class World:
    """A gateway's spool, a broker, and a node behind it."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.node = StubNode(folder / "log")
        self.bench = Bench(folder, meter("home"), meter("roof"))
        self.broker = broker
        for one in self.bench.meters:
            self.node.register(registration(one, self.bench.openings[one.key.meter]))
        self.service: OverMqtt | None = None

    @contextmanager
    def running(self) -> Iterator[OverMqtt]:
        """The node is there while inside."""
        self.service = OverMqtt(self.node, self.broker.port)
        try:
            yield self.service
        finally:
            self.service.close()

    def fill(self, intervals: int, first: int = 1) -> None:
        for name in ("home", "roof"):
            self.bench.fill(intervals, first=first, name=name)

    def deliver(
        self, until: Callable[[], bool], answer_s: float = 0.3, limit_s: float = 30
    ) -> None:
        """A gateway's sending, until that holds."""

        async def work() -> None:
            meters = [one.key.meter for one in self.bench.meters]
            address = BrokerAddress.parse(self.broker.url)
            link = MqttLink(address, COMMUNITY, meters, answer_s)
            sending = asyncio.create_task(Delivery(self.bench.spool, link, RETRY_S_MAX).run())
            async with asyncio.timeout(limit_s):
                while not until():
                    await asyncio.sleep(0.01)
                    assert not sending.done() or sending.result()
                sending.cancel()
                await asyncio.wait({sending})
                await link.close()

        asyncio.run(work())

    def deliver_all(self, **more: float) -> None:
        self.deliver(lambda: self.bench.spool.count == 0, **more)

    def assert_all_arrived(self, intervals: int) -> None:
        assert self.bench.spool.refused() == []
        for one in self.bench.meters:
            opening = Record.decode(self.bench.openings[one.key.meter].record)
            records = self.node.records[one.key.meter]
            assert_once_and_in_order(records, opening=opening)
            assert len(records) == intervals


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> Iterator[World]:
    world = World(tmp_path, broker)
    yield world
    world.bench.close()
    world.node.close()


def test_what_waits_arrives_once_and_in_order(world: World) -> None:
    world.fill(450)
    with world.running() as service:
        world.deliver_all(answer_s=20.0)
        assert service.messages == 6, "250 of each meter in batches of 200 and 50, then the rest"
    world.assert_all_arrived(450)


def test_answers_that_come_twice_late_and_in_any_order(world: World) -> None:
    chance, kept = random.Random(5), []

    def answer(topic: str, payload: bytes):
        kept.append((topic, payload))
        chance.shuffle(kept)
        yield from kept[:3]  # this one only by chance
        yield from kept[:1]

    for start in range(1, 60, 10):
        world.fill(10, first=start)
        with world.running() as service:
            service.answer = answer
            world.deliver_all(answer_s=0.1)
    world.assert_all_arrived(60)


def test_answers_about_others_and_nonsense_let_go_of_nothing(world: World) -> None:
    world.fill(2)
    false = {"record": "00" * 32, "meter": "00" * 20, "sequence": 1, "verdict": "accepted"}

    def answer(topic: str, _payload: bytes):
        yield topic, json.dumps({"results": [false]}).encode()
        yield topic, b"\xff\x00 nonsense"

    with world.running() as service:
        service.answer = answer
        world.deliver(lambda: service.messages >= 6, answer_s=0.1)
        assert world.bench.spool.count == 4
        service.answer = lambda *one: [one]
        world.deliver_all()
    world.assert_all_arrived(2)


def test_a_late_answer_to_a_record_is_not_taken_for_its_corrections(world: World) -> None:
    kept: list[tuple[str, bytes]] = []
    home = world.bench.meters[0].key

    def answer(topic: str, payload: bytes):
        kept.append((topic, payload))
        # What was said first is said again, and what is new only when it is asked for once more.
        yield from kept[:1] if len(kept) == 2 else kept[-1:]

    def sign(found: Correctable) -> SignedRecord:
        return home.sign(correction_of(found, Registers(0, KWH + 15_000, KWH)).encode())

    world.bench.fill(3)
    with world.running() as service:
        service.answer = answer
        world.deliver_all(answer_s=1.0)
        assert len(kept) == 1
        world.bench.spool.correct(home.meter, NOON + QUARTER, sign)
        world.deliver_all(answer_s=1.0)
        assert len(kept) >= 3, "the late answer let go of nothing"
    assert [len(versions) for versions in world.node.versions[home.meter]] == [2, 1, 1]
    assert world.bench.spool.refused() == []


def test_a_node_that_is_away_is_sent_the_same_again(world: World) -> None:
    world.fill(5)
    with capture_logs() as logs:
        world.deliver(lambda: bool(logs), answer_s=0.1)
    assert logs[0]["why"] == "the broker is there, but no node answers"
    with world.running():
        world.deliver_all()
    world.assert_all_arrived(5)


def test_a_node_that_asks_for_time_gets_it(world: World) -> None:
    world.fill(3)
    busy = {"results": [], "error": "TOO_FAST", "detail": "send later", "retry_after_s": 1}
    with world.running() as service:
        service.answer = lambda topic, _: [(topic, json.dumps(busy).encode())]
        with capture_logs() as logs:
            world.deliver(lambda: service.messages >= 4, answer_s=5.0)
        assert logs[0]["why"] == "the node says 'send later'"
        service.answer = lambda *one: [one]
        world.deliver_all()
    world.assert_all_arrived(3)


def test_a_node_that_takes_little_gets_little_at_once(world: World) -> None:
    world.fill(6)
    sizes = []
    with world.running() as service:

        def take(client, _, message) -> None:
            service.messages += 1
            batch = entries(message.payload)
            sizes.append(len(batch))
            topic = message.topic.replace("/records/", "/acks/")
            if len(batch) > 2:
                client.publish(topic, b'{"results": [], "error": "TOO_LARGE", "detail": "less"}', 1)
            else:
                client.publish(topic, json.dumps({"results": world.node.take(batch)}), 1)

        service._client.on_message = take
        world.deliver_all()
    world.assert_all_arrived(6)
    assert max(sizes) == 6


def test_a_broker_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    with running_mosquitto() as broker:
        world = World(tmp_path, broker)
        with world.running() as service:
            for start in range(1, 31, 10):
                world.fill(10, first=start)
                broker.kill()
                with capture_logs() as logs:
                    world.deliver(lambda logs=logs: bool(logs))
                assert logs[0]["event"] == "node_away"
                broker.start()
                world.deliver_all()
            world.fill(400, first=31)
            # In the middle of it, too: its queues are gone, and nobody is told.
            seen = service.messages
            world.deliver(lambda: service.messages > seen)
            broker.kill()
            broker.start()
            world.deliver_all()
        world.assert_all_arrived(430)
        world.bench.close()
        world.node.close()


def test_a_broker_that_dies_while_it_is_sent_to_is_waited_for(tmp_path: Path) -> None:
    with running_mosquitto() as broker:
        world = World(tmp_path, broker)
        world.fill(20)
        begun = time.monotonic()

        def restarted() -> bool:
            # Killed under a running gateway, and back a moment later.
            if broker._process is not None and not steps:
                steps.append("killed")
                broker.kill()
            elif steps == ["killed"] and time.monotonic() - begun > 0.5:
                steps.append("back")
                broker.start()
            return world.bench.spool.count == 0

        steps: list[str] = []
        with world.running():
            world.deliver(restarted)
        world.assert_all_arrived(20)
        world.bench.close()
        world.node.close()


@pytest.mark.parametrize(
    "url",
    ["broker", "mqtt://", "mqtt://a:b@", "mqtt://h/topic", "mqtt://h:x", "http://h", "mqtt://[h"],
)
def test_an_address_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(BrokerAddressUnusable, match="mqtt://HOST:1883"):
        BrokerAddress.parse(url)


def test_an_address_has_its_parts() -> None:
    address = BrokerAddress.parse("mqtts://me:tu%3Alip@[::1]:9000")
    assert (address.host, address.port, address.tls) == ("::1", 9_000, True)
    assert (address.user, address.password) == ("me", "tu:lip")
    assert address.shown == "mqtts://[::1]:9000"
    assert BrokerAddress.parse("mqtt://h").port == 1_883
    assert "tu:lip" not in repr(address)

"""With the access list, neighbours at one broker see and say only what is their own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commonwatt.node.mqtt.acl import BrokerUserUnusable, acl_text
from commonwatt.node.mqtt.home.feed import HomeAssistant as Feed
from commonwatt.node.mqtt.home.sensors import SENSORS
from commonwatt.node.mqtt.home.settings import HomeSettings, MemberHome
from commonwatt.node.mqtt.intake import MqttIntake
from commonwatt.node.mqtt.topics import acks_topic, records_topic, status_topic
from mosquitto import Broker
from node.mqtt.home_assistant import HomeAssistant
from node.mqtt.parts import (
    COMMUNITY,
    RETRY_S_MAX,
    Client,
    Sender,
    address_of,
    batch_of,
    broker_with,
    name_of,
    until,
)
from node.service.parts import Town

HOMES = HomeSettings(members=(MemberHome(member=0), MemberHome(member=1, prefix="home/one")))
NOT_AUTHORISED = 0x87


def meters_of(town: Town) -> dict[bytes, str]:
    """Each grid meter has a user of its own; the producer's gateway has two more meters."""
    street = town.street
    users = {meter.key.meter: f"meter-{n}" for n, meter in enumerate(street.grid)}
    return users | {meter.key.meter: "gateway" for meter in (*street.solar, *street.stores)}


@contextmanager
def guarded(folder: Path, text: str, *users: str) -> Iterator[Broker]:
    """A broker with this access list and these users, each with its name for a password."""
    folder.mkdir()
    (folder / "acl").write_text(text)
    (folder / "passwords").touch(mode=0o600)
    for user in users:
        subprocess.run(
            ["mosquitto_passwd", "-b", folder / "passwords", user, user],
            check=True,
            capture_output=True,
        )
    settings = (f"acl_file {folder}/acl", f"password_file {folder}/passwords")
    with broker_with(folder, *settings, "allow_anonymous false") as broker:
        yield broker


@pytest.fixture
def broker(town: Town, tmp_path: Path) -> Iterator[Broker]:
    meters, members = meters_of(town), {0: "home-0", 1: "home-1"}
    text = acl_text(COMMUNITY, "node", meters, HOMES, members)
    users = {"node", *meters.values(), *members.values(), "stranger"}
    with guarded(tmp_path / "broker", text, *sorted(users)) as running:
        yield running


@pytest.fixture
def served(town: Town, broker: Broker) -> Iterator[Town]:
    """The node at work as the user `node`."""
    address = address_of(broker, "node")
    intake = MqttIntake(town.hosted, address, retry_s_max=RETRY_S_MAX)
    feed = Feed(town.hosted, address, HOMES, retry_s_max=RETRY_S_MAX)
    intake.start()
    feed.start()
    until(lambda: intake.is_connected and feed.is_connected)
    yield town
    feed.stop()
    intake.stop()


def test_a_meter_speaks_for_itself_and_hears_its_own_answers_only(
    served: Town, broker: Broker
) -> None:
    first, second, *_ = records = served.records()
    senders = [Sender(broker, user=user) for user in ("meter-0", "meter-1", "gateway")]
    mine, neighbour, gateway = senders
    mine.send(first)
    neighbour.send(second)
    for signed in records[3:]:
        gateway.send(signed)
    until(lambda: len(gateway.results()) == 2)
    until(lambda: mine.results() and neighbour.results())
    mine.refusals.clear()
    later = served.records(1)[1]
    mine.send(later)
    until(lambda: mine.refusals)
    assert mine.refusals == [NOT_AUTHORISED]
    assert set(mine.verdicts()) == {name_of(first)}
    assert set(neighbour.verdicts()) == {name_of(second)}
    for sender in senders:
        sender.stop()


def test_a_member_reads_its_own_figures_and_nobody_elses(served: Town, broker: Broker) -> None:
    served.hosted.take(served.records())
    served.hosted.conclude()
    assert served.hosted.settle()
    watchers = {user: Client(broker, "#", user=user) for user in ("home-0", "home-1", "stranger")}
    ours, neighbours = HomeAssistant(watchers["home-0"]), HomeAssistant(watchers["home-1"])
    until(lambda: len(ours.configs()) == len(neighbours.configs()) == len(SENSORS))
    until(lambda: ours.client.latest("commonwatt/street/members/000/state"))
    until(lambda: neighbours.client.latest("home/one/state"))
    until(lambda: ours.by_name(0)["export"].state == "0.700")
    until(lambda: neighbours.by_name(1)["import"].state == "0.300")
    for home, below in ((ours, "commonwatt/street/members/000/"), (neighbours, "home/one/")):
        discovered = set(home.configs())
        rest = home.client.topics() - discovered - {status_topic(COMMUNITY)}
        assert all(topic.startswith(below) for topic in rest), rest
    assert ours.by_name(1) == neighbours.by_name(0) == {}
    assert watchers["stranger"].topics() == set()
    for watcher in watchers.values():
        watcher.stop()


def test_nobody_but_the_node_answers_or_says_what_a_member_has(
    served: Town, broker: Broker
) -> None:
    first, *_ = served.records()
    meter = first.record[12:32]
    forbidden = {
        "meter-0": [acks_topic(COMMUNITY, meter), "commonwatt/street/members/000/state"],
        "home-1": ["home/one/state", status_topic(COMMUNITY), records_topic(COMMUNITY, meter)],
        "stranger": [records_topic(COMMUNITY, meter), "anything"],
    }
    for user, topics in forbidden.items():
        client = Client(broker, user=user)
        for topic in topics:
            client.publish(topic, batch_of([first]))
        until(lambda: len(client.refusals) == len(topics))  # noqa: B023 - of this round
        assert set(client.refusals) == {NOT_AUTHORISED}, user
        client.stop()
    nameless = MqttIntake(served.hosted, address_of(broker), retry_s_max=60)
    nameless.start()
    until(lambda: "Not authorized" in nameless.trouble)
    nameless.stop()


def test_lists_of_several_communities_go_into_one_file(tmp_path: Path, town: Town) -> None:
    meters = meters_of(town)
    both = acl_text("hill", "node", {}) + "\n" + acl_text(COMMUNITY, "node", meters)
    with guarded(tmp_path / "broker", both, "node", "meter-0") as broker:
        intake = MqttIntake(town.hosted, address_of(broker, "node"), retry_s_max=RETRY_S_MAX)
        intake.start()
        until(lambda: intake.is_connected)
        sender = Sender(broker, user="meter-0")
        sender.send(town.records()[0])
        until(sender.results)
        sender.stop()
        intake.stop()


def test_a_node_that_may_not_connect_says_why(tmp_path: Path, town: Town) -> None:
    with guarded(tmp_path / "broker", acl_text(COMMUNITY, "node", {}), "node") as broker:
        intake = MqttIntake(town.hosted, address_of(broker, "nobody"), retry_s_max=RETRY_S_MAX)
        intake.start()
        until(lambda: "Not authorized" in intake.trouble)
        assert not intake.is_connected
        intake.stop()


def test_a_user_of_several_things_has_them_all_in_one_block() -> None:
    first, second = b"\x01" * 20, b"\x02" * 20
    text = acl_text("hill", "node", {first: "home", second: "home"}, HOMES, {1: "home"})
    blocks = text.split("user ")[1:]
    assert [block.splitlines()[0] for block in blocks] == ["node", "home"]
    assert blocks[1].splitlines()[1:] == [
        f"topic write commonwatt/hill/records/{first.hex()}",
        f"topic read commonwatt/hill/acks/{first.hex()}",
        f"topic write commonwatt/hill/records/{second.hex()}",
        f"topic read commonwatt/hill/acks/{second.hex()}",
        "topic read home/one/#",
        "topic read homeassistant/sensor/commonwatt_hill_001/#",
        "topic read commonwatt/hill/status",
        "topic write homeassistant/status",
    ]


@pytest.mark.parametrize(
    ("meters", "members", "said"),
    [
        ({b"\x01" * 20: "two words"}, {}, "user 'two words'"),
        ({b"\x01" * 20: "a\ntopic readwrite #"}, {}, "user"),
        ({b"\x01" * 20: ""}, {}, "user ''"),
        ({b"\x01" * 20: "x" * 65}, {}, "64"),
        ({b"\x01" * 20: "node"}, {}, "is the node's"),
        ({}, {1: "node"}, "is the node's"),
        ({}, {2: "home"}, "member 2 has no sensors"),
    ],
)
def test_what_the_list_cannot_hold_is_refused(
    meters: dict[bytes, str], members: dict[int, str], said: str
) -> None:
    with pytest.raises(BrokerUserUnusable, match=said):
        acl_text("hill", "node", meters, HOMES, members)


def test_a_node_of_an_unusable_name_is_refused() -> None:
    with pytest.raises(BrokerUserUnusable, match="user 'the node'"):
        acl_text("hill", "the node", {})

"""A member finds its own figures in Home Assistant, after every closed interval and every fault."""

import json
import socket
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from commonwatt.node.errors import FolderUnusable
from commonwatt.node.folder import Publisher
from commonwatt.node.mqtt.home.feed import HomeAssistant as Feed
from commonwatt.node.mqtt.home.feed import home_assistant_of
from commonwatt.node.mqtt.home.memory import MEMORY_FILE
from commonwatt.node.mqtt.home.sensors import SENSORS
from commonwatt.node.mqtt.home.settings import (
    HOME_FILE,
    HomeSettings,
    HomeSettingsUnusable,
    MemberHome,
)
from commonwatt.node.mqtt.topics import status_topic
from commonwatt.statement.publication import member_folder
from mosquitto import Broker, running_mosquitto
from node.mqtt.home_assistant import HomeAssistant
from node.mqtt.parts import COMMUNITY, RETRY_S_MAX, Client, address_of, until
from node.service.parts import Town

ALL = HomeSettings(members=tuple(MemberHome(member=member) for member in range(3)))
GROWING = ("import", "export", "from_neighbours", "to_neighbours")


@pytest.fixture
def fresh_broker() -> Iterator[Broker]:
    """Retained messages of one test would be another's."""
    with running_mosquitto() as running:
        yield running


def watching(broker: Broker) -> HomeAssistant:
    return HomeAssistant(Client(broker, "homeassistant/#", "commonwatt/#", "my/#"))


def feed_of(town: Town, broker: Broker, settings: HomeSettings = ALL) -> Feed:
    feed = Feed(town.hosted, address_of(broker), settings, retry_s_max=RETRY_S_MAX)
    feed.start()
    return feed


def closed_interval(town: Town, index: int) -> None:
    """Records in, interval stated and paid."""
    town.hosted.take(town.records(index))
    town.hosted.conclude()
    assert town.hosted.settle()


def shows(home: HomeAssistant, member: int, key: str, value: str | Decimal) -> bool:
    entity = home.by_name(member).get(key)
    if entity is None or not entity.state[-1].isdigit():
        return False
    return entity.value == value if isinstance(value, Decimal) else entity.state == value


def said_of(home: HomeAssistant) -> list[bytes]:
    """Whether somebody keeps the figures, as it was said one after the other."""
    return [text for topic, text, _ in home.client.came if topic == status_topic(COMMUNITY)]


def test_sensors_are_announced_and_show_the_members_figures_after_each_interval(
    town: Town, fresh_broker: Broker
) -> None:
    home = watching(fresh_broker)
    feed = feed_of(town, fresh_broker)
    until(lambda: len(home.configs()) == 3 * len(SENSORS))
    until(lambda: {e.state for e in home.entities().values()} == {"unknown"})
    imported = Decimal(0)
    for index in range(4):
        closed_interval(town, index)
        imported += Decimal(300 + index) / 1000
        until(lambda: shows(home, 1, "import", imported))  # noqa: B023 - it is of this interval
    producer, neighbour, other = (home.by_name(member) for member in range(3))
    assert producer["export"].state == "2.800"
    assert producer["import"].state == "0.000"
    sold, bought = producer["to_neighbours"].value, neighbour["from_neighbours"].value
    assert sold == bought + other["from_neighbours"].value > 0
    assert producer["earned_today"].value == -producer["bill_today"].value > 0
    assert neighbour["bill_today"].value > 0
    assert 0 < neighbour["green_share"].value <= 100
    assert neighbour["hourly_score"].state == neighbour["green_share"].state
    assert neighbour["price_now"].value < neighbour["price_next"].value == Decimal("0.24")
    reset = neighbour["bill_today"].last_reset
    assert reset is not None
    assert reset.isoformat() == "2016-06-21T00:00:00+00:00"
    feed.stop()
    until(lambda: {e.state for e in home.entities().values()} == {"unavailable"})
    home.client.stop()


def test_whoever_starts_later_finds_everything_retained(town: Town, fresh_broker: Broker) -> None:
    closed_interval(town, 0)
    feed = feed_of(town, fresh_broker)
    first = watching(fresh_broker)
    until(lambda: shows(first, 1, "import", "0.300"))
    later = watching(fresh_broker)
    until(lambda: shows(later, 1, "import", "0.300"))
    assert all(retained for _, _, retained in later.client.came)
    feed.stop()
    for home in (first, later):
        home.client.stop()


def test_no_member_sees_a_figure_that_is_not_in_its_own_lines(
    town: Town, fresh_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    lines = Publisher.lines
    monkeypatch.setattr(
        Publisher, "lines", lambda self, path: (asked.append(path), lines(self, path))[1]
    )
    home = watching(fresh_broker)
    feed = feed_of(town, fresh_broker, HomeSettings(members=(MemberHome(member=1),)))
    closed_interval(town, 0)
    until(lambda: shows(home, 1, "import", "0.300"))
    feed.stop()
    assert asked
    assert all(path.startswith(member_folder(1)) for path in asked)
    topics = {t for t in home.client.topics() if "/members/" in t}
    assert topics == {"commonwatt/street/members/001/state"}
    home.client.stop()


def test_totals_go_on_after_a_restart_and_never_fall(town: Town, fresh_broker: Broker) -> None:
    home = watching(fresh_broker)
    for life in range(3):
        feed = feed_of(town, fresh_broker)
        closed_interval(town, life)
        whole = sum(300 + index for index in range(life + 1))
        until(lambda: shows(home, 1, "import", Decimal(whole) / 1000))  # noqa: B023
        feed.stop()
        town.close()
        town.open()
    home.client.stop()
    states = [json.loads(p) for t, p, _ in home.client.came if t.endswith("members/001/state")]
    for key in GROWING:
        shown = [Decimal(state[key]) for state in states]
        assert shown == sorted(shown)


@pytest.mark.parametrize("damage", ["gone", "cut", "of another run"])
def test_figures_are_counted_again_where_the_memory_is_gone_or_of_another_run(
    damage: str, town: Town, fresh_broker: Broker
) -> None:
    for index in range(3):
        closed_interval(town, index)
    home = watching(fresh_broker)
    feed_of(town, fresh_broker).stop()
    memory = town.folder / "node" / MEMORY_FILE
    assert memory.is_file()
    kept = json.loads(memory.read_bytes())
    if damage == "gone":
        memory.unlink()
    elif damage == "cut":
        memory.write_bytes(memory.read_bytes()[:-30])
    else:
        kept["members"]["1"] |= {"anchor": "00" * 32, "import_wh": 10**9}
        memory.write_text(json.dumps(kept))
    feed = feed_of(town, fresh_broker)
    until(lambda: shows(home, 1, "import", "0.903"))
    feed.stop()
    home.client.stop()


def test_a_kept_memory_spares_reading_the_days_before(
    town: Town, fresh_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day and a bit: the restart reads the last day only."""
    for index in range(50):
        closed_interval(town, index)
    feed_of(town, fresh_broker).stop()
    asked: list[str] = []
    lines = Publisher.lines
    monkeypatch.setattr(
        Publisher, "lines", lambda self, path: (asked.append(path), lines(self, path))[1]
    )
    home = watching(fresh_broker)
    closed_interval(town, 50)
    feed = feed_of(town, fresh_broker)
    whole = sum(300 + index for index in range(51))
    until(lambda: shows(home, 1, "import", Decimal(whole) / 1000))
    assert {path[-16:] for path in asked} == {"2016-06-22.jsonl"}
    feed.stop()
    home.client.stop()


def test_sensors_of_a_member_that_leaves_are_removed_with_its_figures(
    town: Town, fresh_broker: Broker
) -> None:
    home = watching(fresh_broker)
    feed = feed_of(town, fresh_broker)
    closed_interval(town, 0)
    until(lambda: shows(home, 2, "import", "0.500"))
    feed.update(HomeSettings(members=(ALL.members[0], MemberHome(member=1, sensors=("import",)))))
    until(lambda: len(home.configs()) == len(SENSORS) + 1)
    until(lambda: home.client.latest("commonwatt/street/members/002/state") == b"")
    assert home.by_name(2) == {}
    until(lambda: shows(home, 1, "import", "0.300"))
    wanted = {"interval_end", "day_began", "import"}
    state = "commonwatt/street/members/001/state"
    until(lambda: set(json.loads(home.client.latest(state))) == wanted)
    later = watching(fresh_broker)
    until(lambda: shows(later, 1, "import", "0.300"))
    assert "002" not in "".join(later.client.topics())
    with pytest.raises(HomeSettingsUnusable):
        feed.update(HomeSettings(members=(MemberHome(member=9),)))
    feed.stop()
    for one in (home, later):
        one.client.stop()


def test_sensors_that_were_taken_out_of_the_file_are_removed_at_the_next_start(
    town: Town, fresh_broker: Broker
) -> None:
    address = address_of(fresh_broker)
    assert home_assistant_of(town.hosted, address) is None
    (town.folder / HOME_FILE).write_text("[[members]]\nmember = 1\n")
    home = watching(fresh_broker)
    feed = home_assistant_of(town.hosted, address)
    assert feed is not None
    feed.start()
    until(lambda: len(home.configs()) == len(SENSORS))
    feed.stop()
    (town.folder / HOME_FILE).unlink()
    feed = home_assistant_of(town.hosted, address)
    assert feed is not None
    feed.start()
    until(lambda: home.configs() == {})
    feed.stop()
    assert home_assistant_of(town.hosted, address) is None
    home.client.stop()


def test_a_killed_broker_that_forgot_everything_is_told_everything_again(
    town: Town, fresh_broker: Broker
) -> None:
    feed = feed_of(town, fresh_broker)
    closed_interval(town, 0)
    until(lambda: feed.is_connected)
    fresh_broker.kill()
    closed_interval(town, 1)
    until(lambda: not feed.is_connected)
    fresh_broker.start()
    home = watching(fresh_broker)
    until(lambda: shows(home, 1, "import", "0.601"))
    home.client.stop()
    fresh_broker.kill()
    fresh_broker.start()
    home = watching(fresh_broker)
    until(lambda: shows(home, 1, "import", "0.601"))
    feed.stop()
    home.client.stop()


def test_when_the_node_dies_the_broker_says_so_and_a_late_will_is_answered(
    town: Town, fresh_broker: Broker
) -> None:
    closed_interval(town, 0)
    home = watching(fresh_broker)
    feed = feed_of(town, fresh_broker)
    until(lambda: shows(home, 1, "import", "0.300"))
    # As with a killed process, the connection is gone without a word.
    feed._connection._client._sock.shutdown(socket.SHUT_RDWR)
    until(lambda: said_of(home)[-2:] == [b"offline", b"online"])
    assert shows(home, 1, "import", "0.300")
    home.client.publish(status_topic(COMMUNITY), b"offline", retain=True)
    until(lambda: said_of(home)[-4:] == [b"offline", b"online"] * 2)
    feed.stop()
    until(lambda: home.client.latest(status_topic(COMMUNITY)) == b"offline")
    home.client.stop()


def test_figures_wait_for_the_chain_and_then_come_all(town: Town, fresh_broker: Broker) -> None:
    home = watching(fresh_broker)
    feed = feed_of(town, fresh_broker)
    closed_interval(town, 0)
    until(lambda: shows(home, 1, "import", "0.300"))
    town.chain.is_away = True
    for index in (1, 2):
        town.hosted.take(town.records(index))
        town.hosted.conclude()
        assert not town.hosted.settle()
    assert shows(home, 1, "import", "0.300")
    town.chain.is_away = False
    assert town.hosted.settle()
    until(lambda: shows(home, 1, "import", "0.903"))
    feed.stop()
    home.client.stop()


def test_one_members_damaged_file_leaves_its_last_figures_and_holds_up_nobody(
    town: Town, fresh_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = watching(fresh_broker)
    feed = feed_of(town, fresh_broker)
    closed_interval(town, 0)
    until(lambda: shows(home, 1, "import", "0.300"))
    monkeypatch.setattr("commonwatt.node.mqtt.home.feed.RETRY_S", 0.05)
    lines = Publisher.lines

    def damaged(publisher: Publisher, path: str) -> list[bytes]:
        found = lines(publisher, path)
        return [b"{"] * len(found) if path.startswith(member_folder(1)) else found

    with monkeypatch.context() as on_the_disk:
        on_the_disk.setattr(Publisher, "lines", damaged)
        closed_interval(town, 1)
        until(lambda: shows(home, 2, "import", "1.000"))
        assert shows(home, 1, "import", "0.300")
    until(lambda: shows(home, 1, "import", "0.601"))
    feed.stop()
    home.client.stop()


def test_a_full_disk_keeps_nobodys_figures_back(
    town: Town, fresh_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commonwatt.node.mqtt.home.memory.write_whole", _refusing)
    closed_interval(town, 0)
    home = watching(fresh_broker)
    feed = feed_of(town, fresh_broker)
    until(lambda: shows(home, 1, "import", "0.300"))
    feed.stop()
    home.client.stop()


def _refusing(path: Path, _chunks: object) -> None:
    raise FolderUnusable(f"{path}: cannot be written (No space left on device)")


def test_a_community_without_members_that_want_it_only_says_that_it_is_there(
    town: Town, fresh_broker: Broker
) -> None:
    home = watching(fresh_broker)
    feed = feed_of(town, fresh_broker, HomeSettings())
    until(lambda: home.client.latest(status_topic(COMMUNITY)) == b"online")
    assert home.client.topics() == {status_topic(COMMUNITY)}
    feed.stop()
    home.client.stop()

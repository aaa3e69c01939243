"""Serial lines, sockets, brokers and folders: what breaks is opened again."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from paho.mqtt import publish
from structlog.testing import capture_logs

from commonwatt.meter.driver import Message, open_driver
from commonwatt.node.gateway.errors import AddressUnusable
from commonwatt.node.gateway.sources import (
    Files,
    FolderWatch,
    Listener,
    SerialLine,
    Socket,
    place_of,
)
from commonwatt.node.mqtt.client import BrokerAddress
from mosquitto import running_mosquitto
from node.gateway.p1_device import NOON, P1Device, telegram


def hear(
    place: object,
    until: Callable[[list[Message]], bool],
    topics: tuple[str, ...] = (),
    limit_s: float = 20.0,
) -> list[Message]:
    """What a place says until that holds."""
    heard: list[Message] = []

    async def got(message: Message) -> None:
        heard.append(message)

    async def work() -> None:
        listening = asyncio.create_task(Listener(place, topics, got, 0.1, lambda: NOON).run())
        async with asyncio.timeout(limit_s):
            while not until(heard):
                await asyncio.sleep(0.005)
                assert not listening.done() or listening.result()
            listening.cancel()
            await asyncio.wait({listening})

    asyncio.run(work())
    return heard


def readings(heard: list[Message]) -> list[int]:
    driver = open_driver("p1", {})
    return [r.time for message in heard for r in driver.take(message).readings]


def test_a_serial_line_gives_its_bytes_raw_and_is_opened_again_when_pulled_out() -> None:
    keyboard, device = os.openpty()
    with ExitStack() as closing:
        closing.callback(os.close, device)
        place = place_of(os.ttyname(device), 115_200, "8N1")
        assert isinstance(place, SerialLine)
        said = telegram(NOON, 10**6) + b"\x00\x03\x04\x1a\xff\r\n" + telegram(NOON + 10, 10**6)

        looks = iter(range(10**6))

        def until(heard: list[Message]) -> bool:
            if next(looks) == 3:  # by then the line is open and set up
                for start in range(0, len(said), 100):
                    os.write(keyboard, said[start : start + 100])
            return len(readings(heard)) == 2

        heard = hear(place, until)
        # Nothing was turned into something else, and no control byte was obeyed.
        assert b"".join(message.payload for message in heard) == said
        os.close(keyboard)


def test_a_serial_line_that_is_not_plugged_in_is_waited_for(tmp_path: Path) -> None:
    link = tmp_path / "ttyUSB0"
    place = SerialLine(link, 9_600, "7E1")
    keyboard, device = os.openpty()

    with capture_logs() as logs:

        def until(heard: list[Message]) -> bool:
            if logs and not link.is_symlink():
                link.symlink_to(os.ttyname(device))
                os.write(keyboard, b"hello\n")
            return bool(heard)

        heard = hear(place, until)
    assert [log["event"] for log in logs] == ["source_away", "source_back"]
    assert logs[0]["why"] == "No such file or directory"
    assert heard[0].payload.startswith(b"hello")
    os.close(keyboard)
    os.close(device)


def test_a_socket_that_hangs_up_is_opened_again() -> None:
    device = P1Device(every_s=0.002)
    with device.on_socket() as at, capture_logs() as logs:
        place = place_of(at, 115_200, "8N1")
        assert isinstance(place, Socket)

        def until(heard: list[Message]) -> bool:
            device.is_mute = device.connections < 3 and len(heard) > 3
            return device.connections >= 3 and len(readings(heard)) > 20

        times = readings(hear(place, until))
    assert times == sorted(set(times)), "each once"
    assert logs[0]["why"] == "the other side hung up"


def test_a_socket_that_says_nothing_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("commonwatt.node.gateway.sources.IDLE_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server, capture_logs() as logs:
        hear(Socket("127.0.0.1", server.getsockname()[1]), lambda _: len(logs) > 0)
    assert logs[0]["why"] == "nothing came for 0 s"


def test_a_broker_that_is_killed_is_listened_to_again() -> None:
    with running_mosquitto() as broker:
        place = BrokerAddress.parse(broker.url)
        topic, kept = "shellies/em-1/emeter/0/total", "shellies/em-1/info"
        publish.single(kept, b"old", qos=1, retain=True, port=broker.port)
        steps: list[str] = []

        def until(heard: list[Message]) -> bool:
            live = [message for message in heard if not message.retained]
            if not live or ("back" in steps and steps[-1] != "heard"):
                publish.single(topic, b"12.5", qos=1, port=broker.port)
            if live and "back" not in steps:
                broker.kill()
                broker.start()
                heard.clear()
                steps.append("back")
                return False
            return bool(live)

        heard = hear(place, until, ("shellies/#",))
    assert (heard[-1].topic, heard[-1].payload, heard[-1].received) == (topic, b"12.5", NOON)
    assert not heard[-1].retained


def names(watch: FolderWatch, *, at_once: bool = False) -> list[str]:
    return [file.name for file in watch.look(at_once=at_once)]


def test_a_file_is_given_once_it_is_the_same_twice_and_again_when_it_changes(
    tmp_path: Path,
) -> None:
    watch = FolderWatch(Files(tmp_path))
    (tmp_path / "b.csv").write_text("1")
    (tmp_path / "a.csv").write_text("2")
    assert names(watch) == []
    (tmp_path / "b.csv").write_text("1 and more")
    assert names(watch) == ["a.csv"]
    assert names(watch) == ["b.csv"]
    assert names(watch) == []
    (tmp_path / "a.csv").write_text("something else")
    assert names(watch, at_once=True) == ["a.csv"]


def test_files_that_are_being_written_hidden_or_none_are_left_alone(tmp_path: Path) -> None:
    for name in (".hidden", "x.csv.part", "y.tmp"):
        (tmp_path / name).write_text("1")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert names(FolderWatch(Files(tmp_path)), at_once=True) == []


def test_a_file_too_large_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("commonwatt.node.gateway.sources.FILE_BYTES_MAX", 3)
    (tmp_path / "large.csv").write_text("1234")
    watch = FolderWatch(Files(tmp_path))
    with capture_logs() as logs:
        assert names(watch, at_once=True) + names(watch, at_once=True) == []
    assert [log["event"] for log in logs] == ["file_too_large"]


def test_a_single_file_is_a_place_too(tmp_path: Path) -> None:
    path = tmp_path / "telegrams"
    watch = FolderWatch(Files(path))
    assert names(watch, at_once=True) == []
    path.write_text("1")
    assert names(watch, at_once=True) == ["telegrams"]


@pytest.mark.parametrize(
    ("at", "instead"),
    [("127.0.0.1:17001", "tcp://127.0.0.1:17001"), ("nowhere/p1.csv", "tcp://HOST:PORT")],
)
def test_a_device_on_the_network_is_shown_how_its_address_is_written(
    tmp_path: Path, at: str, instead: str
) -> None:
    with pytest.raises(AddressUnusable, match=f"or write {instead} for a device on the network"):
        place_of(str(tmp_path / at), 115_200, "8N1")

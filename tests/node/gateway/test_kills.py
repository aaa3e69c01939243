"""`kill -9` of the running gateway at any moment: nothing acknowledged is lost or double."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commandline import Answer, commonwatt
from commonwatt.meter.record import Quality, Record
from commonwatt.node.gateway.settings import SPOOL_FILE
from commonwatt.node.gateway.spool import Spool
from in_process import here
from mosquitto import running_mosquitto
from node.gateway.p1_device import P1Device
from node.gateway.stub_node import (
    COMMUNITY,
    LEDGER,
    OverMqtt,
    StubNode,
    assert_once_and_in_order,
    over_http,
)

KILLS = 40 if os.environ.get("COMMONWATT_SOAK") else 7
PASSWORD = "tulip and windmill"


class Running:
    """`commonwatt gateway run` in a process of its own."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.log = log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "commonwatt.cli.main", "gateway", "run", str(folder)],
            stderr=self.log,
            env={**os.environ, "COMMONWATT_PASSWORD": PASSWORD},
        )

    def wait_until(self, holds: Callable[[], bool], limit_s: float = 60.0) -> None:
        deadline = time.monotonic() + limit_s
        while not holds():
            assert self.process.poll() is None, Path(self.log.name).read_text()
            assert time.monotonic() < deadline, Path(self.log.name).read_text()
            time.sleep(0.003)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(timeout=20)
        self.log.close()
        return code


@contextmanager
def running(folder: Path, log: Path) -> Iterator[Running]:
    gateway = Running(folder, log)
    try:
        yield gateway
    finally:
        if gateway.process.poll() is None:
            gateway.end(signal.SIGKILL)


def init(folder: Path, to: str, at: str, *more: object) -> tuple[Answer, dict[str, str]]:
    answer = commonwatt(
        "gateway", "init", folder, "--source", "p1", "--at", at, "--community", COMMUNITY,
        "--to", to, *more, COMMONWATT_PASSWORD=PASSWORD,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    settings = folder / "gateway.toml"
    settings.write_text("retry_s_max = 0.2\n" + settings.read_text())
    return answer, json.loads(answer.out)


def nothing_waits(folder: Path, meter: bytes) -> bool:
    spool = Spool(folder / SPOOL_FILE)
    try:
        return spool.waiting_of(meter) == 0
    finally:
        spool.close()


def assert_what_arrived(node: StubNode, meter: bytes, opening: Record, device: P1Device) -> None:
    records = node.records[meter]
    assert_once_and_in_order(records, opening=opening)
    assert records[-1].time_end == device.until
    energy = sum(
        now.import_mwh - before.import_mwh
        for before, now in zip([opening, *records], records, strict=False)
    )
    assert opening.import_mwh + energy == device.import_mwh(device.until)
    for record in records:
        assert record.quality & Quality.VOUCHED
        between = record.quality & Quality.CALCULATED
        off = record.import_mwh - device.import_mwh(record.time_end)
        assert off == 0 or (between and abs(off) <= 1), "it counts evenly, so every end is known"


def test_kills_at_random_moments_in_any_weather(tmp_path: Path) -> None:
    chance, folder, log = random.Random(11), tmp_path / "gw", tmp_path / "gateway.log"
    # Telegrams seven minutes apart: ends lie between two of them.
    node, device = StubNode(tmp_path / "log"), P1Device(step_s=420, every_s=0.01)
    with device.on_socket() as at, over_http(node) as (url, weather):
        answer, entry = init(folder, url, at)
        assert PASSWORD not in answer.out + answer.err
        assert "ENCRYPTED" in (folder / "p1.pem").read_text()
        meter = node.register(entry)
        opening = Record.decode(bytes.fromhex(entry["opening"]))
        moods = ["fine", "cut", "503", "forgetful", "slow", "cut early", "fine"]
        for kill in range(KILLS):
            weather.mood = moods[kill % len(moods)]
            with running(folder, log) as gateway:
                begun = device.time + chance.randrange(40) * 420
                gateway.wait_until(lambda begun=begun: device.time > begun)
                time.sleep(chance.random() * 0.02)
                gateway.end(signal.SIGKILL)
        weather.mood = "fine"
        with running(folder, log) as gateway:
            gateway.wait_until(lambda: device.connections > KILLS + 1)
            device.until = (device.time // 900 + 8) * 900
            gateway.wait_until(
                lambda: (
                    bool(node.records[meter]) and node.records[meter][-1].time_end == device.until
                )
            )
            gateway.wait_until(lambda: nothing_waits(folder, meter))
            # It says goodbye when it is asked to, and leaves nothing behind.
            assert gateway.end(signal.SIGTERM) == 0
        shown = commonwatt("gateway", "show", folder, "--json").json
    assert_what_arrived(node, meter, opening, device)
    assert (shown["waiting"], shown["refused"]) == (0, [])
    assert shown["meters"][0]["registration"] == entry
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert {event["event"] for event in events} >= {"gateway_started", "gateway_stopped"}
    assert PASSWORD not in log.read_text()
    node.close()


def test_kills_of_gateway_and_broker_by_turns(tmp_path: Path) -> None:
    chance, folder, log = random.Random(3), tmp_path / "gw", tmp_path / "gateway.log"
    node, device = StubNode(tmp_path / "log"), P1Device(step_s=450, every_s=0.01)
    with running_mosquitto() as broker, device.on_socket() as at:
        _, entry = init(folder, broker.url, at, "--ledger", LEDGER.hex())
        meter = node.register(entry)
        opening = Record.decode(bytes.fromhex(entry["opening"]))
        service = OverMqtt(node, broker.port)

        def answer(topic: str, payload: bytes):
            yield from [(topic, payload)] * chance.choice([0, 1, 1, 1, 2])

        service.answer = answer
        for _ in range(max(KILLS // 3, 2)):
            with running(folder, log) as gateway:
                seen = len(node.records[meter]) + 3
                gateway.wait_until(lambda seen=seen: len(node.records[meter]) >= seen)
                broker.kill()
                begun = device.time + 450 * 20
                gateway.wait_until(lambda begun=begun: device.time > begun)
                gateway.end(signal.SIGKILL)
                broker.start()
        service.answer = lambda *one: [one]
        with running(folder, log) as gateway:
            device.until = (device.time // 900 + 12) * 900
            gateway.wait_until(
                lambda: (
                    bool(node.records[meter]) and node.records[meter][-1].time_end == device.until
                )
            )
            gateway.wait_until(lambda: nothing_waits(folder, meter))
            assert gateway.end(signal.SIGINT) == 0
        service.close()
    assert_what_arrived(node, meter, opening, device)
    node.close()


@pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens:UserWarning")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("gateway", "run", "/nowhere/at/all"), ["gateway.toml", "gateway init"]),
        (("gateway", "show", "/nowhere/at/all"), ["gateway.toml"]),
        (("gateway", "init", "{}/gw", "--source", "p1", "--at", "tcp://h:1"), ["--community"]),
        (
            ("gateway", "init", "{}/gw", "--source", "abacus", "--at", "tcp://h:1"),
            ["abacus", "shelly"],
        ),
        (
            ("gateway", "init", "{}/gw", "--source", "p1", "--at", "tcp://h:1", "--option", "x"),
            ["NAME=VALUE"],
        ),
        (
            ("gateway", "init", "{}/gw", "--source", "p1", "--at", "tcp://h:1", "--wait", "0"),
            ["--wait"],
        ),
        (
            ("gateway", "init", "{}/gw", "--source", "p1", "--at", "tcp://h:1", "--rated-w", "0"),
            ["rated_w"],
        ),
        (
            ("gateway", "init", "{}/gw", "--source", "p1", "--at", "tcp://h:1", "--since", "noon"),
            ["noon"],
        ),
        (
            ("gateway", "init", "{}/gw", "--source", "p1", "--at", "tcp://h:1",
             "--import-kwh", "-1"),
            ["--import-kwh"],
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said_in_one_line(
    tmp_path: Path, words: tuple[str, ...], expected: list[str]
) -> None:
    answer = here(*(word.format(tmp_path) for word in words))
    assert answer.code == 2
    assert len(answer.err.strip().splitlines()) == 1, answer.err
    for word in expected:
        assert word in answer.err
    assert not (tmp_path / "gw" / "gateway.toml").exists()

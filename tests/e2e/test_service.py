"""The node as a service with real processes: simulated meters, brokers, databases, kills."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from anvil import DEV_KEY, running_anvil
from commandline import Answer, commonwatt
from mosquitto import Broker, running_mosquitto
from postgres import PostgresServer, postgres

__all__ = ["postgres"]

KILLS = 100 if os.environ.get("COMMONWATT_SOAK") else 3
START_S, TAKE_OVER_S = 60.0, 30.0
METERS, INTERVALS = 31, 96
"""The village's, and a day's."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(*words: object, folder: Path) -> subprocess.Popen[bytes]:
    log = (folder.parent / f"{folder.name}.log").open("ab")
    with log:
        return subprocess.Popen(
            [sys.executable, "-m", "commonwatt.cli.main", *map(str, words)],
            stdout=log,
            stderr=log,
        )


class Node:
    """A node's directory, and the process that serves it."""

    def __init__(self, folder: Path, *options: object) -> None:
        self.folder, self.port = folder, free_port()
        made = commonwatt(
            "init", folder, "--scenario", "village", "--yes",
            "--listen", f"127.0.0.1:{self.port}", *options,
        )  # fmt: skip
        assert made.code == 0, made.err

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = start("serve", self.folder, folder=self.folder)
        self.await_health()

    def await_health(self, seconds: float = START_S) -> dict:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = self.health()
            if found is not None and found["communities"]:
                return found
            assert self.process.poll() is None, self.log()
            time.sleep(0.1)
        raise AssertionError(self.log())

    def health(self) -> dict | None:
        try:
            with urlopen(f"{self.url}/v1/health", timeout=5) as answer:
                found: dict = json.load(answer)
                return found
        except (URLError, OSError):
            return None

    def log(self) -> str:
        return (self.folder.parent / f"{self.folder.name}.log").read_text()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=60)


@pytest.fixture
def mosquitto() -> Iterator[Broker]:
    with running_mosquitto() as broker:
        yield broker


@contextmanager
def serving(node: Node) -> Iterator[Node]:
    node.start()
    try:
        yield node
    finally:
        node.stop()


def simulate(node: Node, to: str, state: Path, *options: object) -> subprocess.Popen[bytes]:
    return start(
        "meter", "simulate", "--scenario", "village", "--community", "village", "--to", to,
        "--node", node.url, "--speed", "0", "--state", state, *options, folder=state,
    )  # fmt: skip


def require_whole(community: Path, *options: object) -> None:
    """All intervals closed once, no acknowledged record lost, everything agrees."""
    found = commonwatt("audit", community, "--certificates", "--json", *options)
    assert found.code == 0, found.out + found.err
    assert found.json["intervals"] == INTERVALS
    assert found.json["records"] == METERS * INTERVALS
    assert found.json["certificates"]["entries"] == found.json["certificates"]["posted"]


def test_a_day_over_http_with_the_node_killed_again_and_again(tmp_path: Path) -> None:
    node, dice = Node(tmp_path / "node"), random.Random(5)
    node.start()
    meters = simulate(node, node.url, tmp_path / "meters")
    for _ in range(KILLS):
        time.sleep(0.5 + 1.5 * dice.random())
        node.kill()
        node.start()
    assert meters.wait(timeout=300) == 0, (tmp_path / "meters.log").read_text()
    node.stop()
    require_whole(tmp_path / "node" / "village")


def test_a_day_over_a_broker_that_is_killed_into_postgresql_on_another_chain(
    tmp_path: Path, postgres: PostgresServer, mosquitto: Broker
) -> None:
    key = tmp_path / "operator.key"
    key.write_text(DEV_KEY.hex() + "\n")
    with running_anvil(31_337, "--block-base-fee-per-gas", "1000000000") as url:
        node = Node(
            tmp_path / "node", "--chain", url, "--key", key, "--mqtt", mosquitto.url,
            "--database", postgres.url(postgres.new_database()),
        )  # fmt: skip
        with serving(node):
            meters = simulate(node, mosquitto.url, tmp_path / "meters")
            time.sleep(3)
            mosquitto.kill()
            time.sleep(1)
            mosquitto.start()
            assert meters.wait(timeout=300) == 0, (tmp_path / "meters.log").read_text()
        require_whole(tmp_path / "node" / "village", "--chain", url)


def test_another_node_takes_over_within_half_a_minute_and_nothing_is_closed_twice(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    key, database = tmp_path / "operator.key", postgres.url(postgres.new_database())
    key.write_text(DEV_KEY.hex() + "\n")
    with running_anvil(31_337) as url:
        first = Node(
            tmp_path / "first", "--chain", url, "--key", key, "--database", database
        )  # fmt: skip
        second = Node(
            tmp_path / "second", "--chain", url, "--key", key, "--database", database
        )  # fmt: skip
        settings = second.folder / "node.toml"
        text = settings.read_text().replace('name = "node"', 'name = "other"')
        settings.write_text(f'data = "{first.folder}"\n{text}')
        with serving(first):
            second.process = start("serve", second.folder, folder=second.folder)
            meters = simulate(first, first.url, tmp_path / "meters")
            time.sleep(4)
            first.kill()
            meters.kill()
            meters.wait()
            began = time.monotonic()
            try:
                second.await_health(TAKE_OVER_S + START_S)
                assert time.monotonic() - began <= TAKE_OVER_S
                again = simulate(second, second.url, tmp_path / "meters")
                assert again.wait(timeout=300) == 0, (tmp_path / "meters.log").read_text()
            finally:
                second.stop()
        require_whole(first.folder / "village", "--chain", url)


def test_what_serve_cannot_start_from_is_one_line(tmp_path: Path) -> None:
    empty: Answer = commonwatt("serve", tmp_path / "nowhere")
    assert empty.code == 2
    assert "commonwatt init" in empty.err
    assert empty.err.count("\n") == 1

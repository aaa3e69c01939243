"""What a service stands on breaks while it runs: the node itself, database, chain, broker, disk.

After each of them every interval is closed and paid once, and no acknowledged record is lost.
"""

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from anvil import DEV_KEY, anvil
from commonwatt.microgrid import load_scenario
from commonwatt.node.fleet import Fleet
from commonwatt.node.gateway.answers import BATCH_TYPE, encode_batch
from mosquitto import running_mosquitto
from postgres import PostgresServer, postgres, running_postgres
from served import (
    INTERVALS,
    SOAK,
    VILLAGE,
    Clock,
    Meters,
    Node,
    await_that,
    require_whole,
    serving,
    simulated,
)

__all__ = ["postgres"]

FAULTS = 12 if SOAK else 1
EVENING = INTERVALS if SOAK else 8
"""So many intervals are lived through at least."""
KILLS = 100
DISK_BYTES = 64 * 2**20


def more(meters: Meters, intervals: int = 2) -> None:
    """Wait until so many more intervals are answered."""
    meters.await_done(min(meters.done + intervals, INTERVALS))


def day_after(meters: Meters, faults: int, fault: Callable[[], object]) -> int:
    """Let a fault happen again and again while records come; gives how many were answered."""
    for _ in range(faults):
        more(meters)
        fault()
    return meters.end(max(EVENING, meters.done + 2))


def test_postgresql_killed_under_the_service(tmp_path: Path) -> None:
    dice = random.Random(7)
    with running_postgres() as server:
        node = Node(tmp_path / "node", "--database", server.url(server.new_database()))

        def kill() -> None:
            time.sleep(0.3 * dice.random())
            server.kill()
            time.sleep(dice.random())
            server.start()

        with serving(node), simulated(node, node.url, tmp_path / "meters") as meters:
            answered = day_after(meters, FAULTS, kill)
        require_whole(node.published, answered=answered)


def test_the_chain_goes_away_and_freezes_and_intervals_are_anchored_in_order(
    tmp_path: Path,
) -> None:
    key = tmp_path / "operator.key"
    key.write_text(DEV_KEY.hex() + "\n")
    with anvil(31_337, state=tmp_path / "chain.json") as chain:
        node = Node(tmp_path / "node", "--chain", chain.url, "--key", key)
        with serving(node), simulated(node, node.url, tmp_path / "meters") as meters:
            more(meters)
            chain.stop()
            # On a test bed an interval is answered once the one before is closed.
            more(meters, 5)
            assert "chain_away" in node.log()
            chain.start()
            more(meters, 2)
            chain.freeze()
            time.sleep(4)
            chain.thaw()
            answered = meters.end(max(EVENING, meters.done + 2))
            await_that(lambda: node.figure("commonwatt_intervals_waiting") == 0, node.log)
        require_whole(node.published, "--chain", chain.url, answered=answered)


@pytest.mark.soak
def test_a_chain_that_answers_nothing_holds_up_neither_records_nor_intervals(
    tmp_path: Path,
) -> None:
    key = tmp_path / "operator.key"
    key.write_text(DEV_KEY.hex() + "\n")
    with anvil(31_337) as chain:
        node = Node(tmp_path / "node", "--chain", chain.url, "--key", key)
        # Not a test bed: there what brings a record waits until the interval is on the chain.
        begun = load_scenario(VILLAGE).start
        node.say(clock="system")
        node.program = Clock(tmp_path / "clock", begun + 86_400).program
        with serving(node), simulated(node, node.url, tmp_path / "meters") as meters:
            more(meters)
            chain.freeze()
            frozen_at = meters.done
            meters.await_done(frozen_at + 20)
            closed = begun + 900 * (frozen_at + 15)
            await_that(lambda: node.open_interval > closed, node.log, 60)
            assert node.figure("commonwatt_intervals_waiting") >= 10
            chain.thaw()
            await_that(lambda: node.figure("commonwatt_intervals_waiting") == 0, node.log)
            answered = meters.end(meters.done + 2)
            await_that(lambda: node.open_interval >= begun + 900 * answered, node.log)
        require_whole(node.published, "--chain", chain.url, answered=answered)


@pytest.mark.soak
def test_the_broker_killed_at_random_moments(tmp_path: Path) -> None:
    dice = random.Random(8)
    with running_mosquitto() as broker:
        node = Node(tmp_path / "node", "--mqtt", broker.url)

        def kill() -> None:
            time.sleep(0.3 * dice.random())
            broker.kill()
            time.sleep(0.3 * dice.random())
            broker.start()

        with serving(node), simulated(node, broker.url, tmp_path / "meters") as meters:
            answered = day_after(meters, FAULTS + 1, kill)
        require_whole(node.published, answered=answered)


# Disk


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of its own of 64 MB, in memory."""
    if os.geteuid() != 0:
        pytest.skip("only root may make a small disk")
    folder.mkdir()
    options = f"size={DISK_BYTES}"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip(f"no small disk here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte of a disk free."""
    filler = disk / "filler"
    size = 2**20
    with filler.open("ab", buffering=0) as file:
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2
    return filler


def asked_to_wait(node: Node, meters: Meters) -> bool:
    """Whether the node says to the next interval's records that they are to come again later."""
    told = node.community()
    if told is None:
        return False
    fleet = Fleet(load_scenario(VILLAGE), bytes.fromhex(told["ledger"]))
    fleet.skip_to(meters.done)
    body = encode_batch(fleet.sign())
    url = f"{node.url}/v1/communities/{VILLAGE}/records"
    try:
        urlopen(Request(url, body, {"Content-Type": BATCH_TYPE}), timeout=60).close()
    except HTTPError as error:
        return error.code == 503 and "Retry-After" in error.headers
    except OSError:
        return False
    return False


def test_a_full_disk_acknowledges_nothing_and_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        node, dice = Node(disk / "node"), random.Random(9)
        with serving(node), simulated(node, node.url, tmp_path / "meters") as meters:

            def run_full() -> None:
                time.sleep(0.3 * dice.random())
                filler = fill(disk)
                try:
                    # What fits into pages that are there already still goes in.
                    await_that(lambda: asked_to_wait(node, meters), node.log, 60)
                    before = meters.done
                    time.sleep(1)
                    assert meters.done == before
                finally:
                    filler.unlink()

            answered = day_after(meters, FAULTS, run_full)
        require_whole(node.published, answered=answered)


# Kills


@pytest.mark.soak
@pytest.mark.parametrize("way", ["http", "mqtt"])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_node_killed_at_a_hundred_random_moments(
    tmp_path: Path, postgres: PostgresServer, kind: str, way: str
) -> None:
    days, dice = 5, random.Random(f"{kind} {way}")
    with running_mosquitto() as broker:
        options: list[object] = ["--days", days]
        if kind == "postgresql":
            options += ["--database", postgres.url(postgres.new_database())]
        if way == "mqtt":
            options += ["--mqtt", broker.url]
        node = Node(tmp_path / "node", *options)
        to = broker.url if way == "mqtt" else node.url
        with serving(node), simulated(node, to, tmp_path / "meters", "--days", days) as meters:
            for kill in range(KILLS):
                if kill % 4:
                    meters.await_done(meters.done + 1)
                    time.sleep(0.4 * dice.random())
                else:
                    time.sleep(4 * dice.random())  # while it starts, or before the meters know
                assert meters.process.poll() is None, "the days were over before the kills"
                node.kill()
                if kill % 4 == 3:
                    node.launch()
                else:
                    node.start()
            meters.await_end()
        require_whole(node.published, answered=days * INTERVALS)

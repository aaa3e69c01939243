"""The network between meters or gateways and their node: cut, slow, answers lost, batches twice."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from commandline import Answer, commonwatt
from commonwatt.meter.record import Record
from commonwatt.node.gateway.settings import SPOOL_FILE
from commonwatt.node.gateway.spool import Spool
from commonwatt.quantity import time_text
from mosquitto import running_mosquitto
from network import Proxy
from served import INTERVALS, SOAK, Node, await_that, require_whole, serving, simulated, start

ACCEPTED = "commonwatt_records_accepted_total"
DUPLICATE = "commonwatt_records_duplicate_total"
MOODS = ("cut", "answers lost", "slow", "fine")
ROUNDS = 8 if SOAK else 1
QUARTER = 900
HOURS = 12 if SOAK else 3
"""Of quarter hours: how many of them a gateway has kept readings for."""


@pytest.mark.parametrize("way", ["http", pytest.param("mqtt", marks=pytest.mark.soak)])
def test_meters_whose_network_is_cut_slow_and_loses_answers(tmp_path: Path, way: str) -> None:
    dice = random.Random(way)
    with ExitStack() as stack:
        broker = stack.enter_context(running_mosquitto()) if way == "mqtt" else None
        node = Node(tmp_path / "node", *(("--mqtt", broker.url) if broker else ()))
        network = stack.enter_context(Proxy.to(broker.port if broker else node.port))
        scheme = "mqtt" if broker else "http"
        stack.enter_context(serving(node))
        to = f"{scheme}://127.0.0.1:{network.port}"
        meters = stack.enter_context(simulated(node, to, tmp_path / "meters"))
        meters.await_done(1)
        for mood in MOODS * ROUNDS:
            network.mood, arrived = mood, arrivals(node)
            if mood == "cut":
                time.sleep(0.5 + dice.random())
            elif mood == "answers lost":
                await_that(lambda arrived=arrived: arrivals(node) > arrived, node.log)
            else:
                meters.await_done(min(meters.done + 1, INTERVALS))
        answered = meters.end(INTERVALS if SOAK else meters.done + 3)
        assert node.figure(DUPLICATE) > 0, "answers were lost"
        node.stop()
        require_whole(node.published, answered=answered)


def arrivals(node: Node) -> int:
    """Records that reached the node, whether it had them or not."""
    return node.figure(ACCEPTED) + node.figure(DUPLICATE)


def told(*words: object) -> Answer:
    answer = commonwatt(*words)
    assert answer.code == 0, answer.err
    return answer


class Gateway:
    """A gateway over a folder of tables, and its process."""

    METERS = ("roof", "cellar")

    def __init__(self, folder: Path, node: Node, network: Proxy, begun: int) -> None:
        """Make it with two meters, and enter them in the node's community."""
        self.folder, self.inbox, self.begun, self._node = folder, folder / "in", begun, node
        self.inbox.mkdir(parents=True)
        self.log = folder.parent / f"{folder.name}.log"
        self.drop(0, 1)
        for member, name in enumerate(self.METERS):
            made = told(
                "gateway", "init", folder / "gw", "--source", "csv", "--at", self.inbox,
                "--community", node.name, "--to", f"http://127.0.0.1:{network.port}",
                "--ledger", node.ledger, "--interval", QUARTER,
                "--name", name, "--device", name,
            )  # fmt: skip
            (folder / f"{name}.json").write_text(made.out)
            told(
                "init", node.folder, "--meter", folder / f"{name}.json",
                "--member", member, "--rated-w", 17_250,
            )  # fmt: skip
        settings = folder / "gw" / "gateway.toml"
        settings.write_text("retry_s_max = 0.5\n" + settings.read_text())

    def drop(self, first: int, end: int, new_at: int = 0) -> None:
        """A table of readings at the ends of quarter hours `[first, end)`.

        The second meter's device counts from 0 since the end of number `new_at`, if one is given.
        """
        rows = []
        for n in range(first, end):
            when, counted = time_text(self.begun + n * QUARTER), n - new_at
            taken = 100 * counted if new_at else 1000 + 100 * n
            rows.append(f"{when},{self.METERS[0]},{1000 + 100 * n},0")
            rows.append(f"{when},{self.METERS[1]},{taken},{50 * counted}")
        table = "\n".join(["time,source,import_wh,export_wh", *rows]) + "\n"
        (self.inbox / f"{first}.csv.part").write_text(table)
        (self.inbox / f"{first}.csv.part").rename(self.inbox / f"{first}.csv")

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        process = start("gateway", "run", self.folder / "gw", log=self.log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def shown(self) -> dict:
        found: dict = told("gateway", "show", self.folder / "gw", "--json").json
        return found

    @property
    def waiting(self) -> int:
        """Records in the spool."""
        spool = Spool(self.folder / "gw" / SPOOL_FILE)
        try:
            return spool.count
        finally:
            spool.close()

    def await_waiting(self, records: int) -> None:
        await_that(lambda: self.waiting == records, self.log.read_text)

    def await_closed(self, until: int) -> None:
        """The node has closed the quarter hour with this number."""
        end = self.begun + until * QUARTER
        await_that(
            lambda: self._node.open_interval >= end,
            lambda: self.log.read_text() + self._node.log(),
            100,
        )


def test_a_gateway_catches_up_after_hours_without_a_network(tmp_path: Path) -> None:
    quarters = 4 * HOURS
    begun = (int(time.time()) // QUARTER - quarters) * QUARTER
    node = Node(
        tmp_path / "node", "--name", "lane", "--members", 2, "--first-start", time_text(begun)
    )
    with Proxy.to(node.port) as network:
        gateway = Gateway(tmp_path / "gateway", node, network, begun)
        with serving(node):
            with gateway.running():
                gateway.drop(1, 5)
                gateway.await_closed(4)
                network.mood = "cut"
                gateway.drop(5, 9)
                gateway.await_waiting(2 * 4)
            # Killed while it waits for the network, and the hours go by.
            with gateway.running() as process:
                gateway.drop(9, quarters - 1)
                gateway.await_waiting(2 * (quarters - 6))
                network.mood = "answers lost"
                gateway.await_closed(quarters - 2)
                network.mood = "fine"
                # What came before comes again, by several connections at once, in any order.
                network.send_again(random.Random(6))
                gateway.drop(quarters - 1, quarters + 1)
                gateway.await_closed(quarters)
                gateway.await_waiting(0)
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=20) == 0
            assert node.figure(DUPLICATE) > 2 * (quarters - 6)
    found = commonwatt("audit", node.published, "--certificates", "--json")
    assert found.code == 0, found.out
    assert (found.json["records"], found.json["refused"]) == (2 * quarters, 0)
    shown = gateway.shown()
    assert shown["refused"] == []
    assert sequences(node.published) == {
        meter["meter"]: list(range(1, quarters + 1)) for meter in shown["meters"]
    }


def sequences(published: Path) -> dict[str, list[int]]:
    """The numbers of each meter's counted records, in the order of their intervals."""
    found: dict[str, list[int]] = {}
    for path in sorted(published.glob("audit/*.inputs.jsonl")):
        for line in map(json.loads, path.read_text().splitlines()):
            if "record" in line:
                record = Record.decode(bytes.fromhex(line["record"]))
                found.setdefault(record.meter.hex(), []).append(record.sequence)
    return found

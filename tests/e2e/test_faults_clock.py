"""The machine's clock is set forward and back while a node runs."""

import json
import time
from pathlib import Path

from commandline import commonwatt
from commonwatt.microgrid import load_scenario
from served import (
    METERS,
    SOAK,
    VILLAGE,
    Clock,
    Meters,
    Node,
    await_that,
    serving,
    simulated,
)

HOUR, QUARTER = 3_600, 900
ROUNDS = 4 if SOAK else 1
REFUSED = "commonwatt_records_refused_total"


def test_a_clock_that_is_set_forward_and_back_closes_nothing_early_or_twice(tmp_path: Path) -> None:
    node = Node(tmp_path / "node")
    node.say(clock="system")
    begun = load_scenario(VILLAGE).start
    clock = Clock(tmp_path / "clock", begun + 24 * HOUR)
    node.program = clock.program
    with serving(node), simulated(node, node.url, tmp_path / "meters") as meters:
        for _ in range(ROUNDS):
            more(meters)
            with meters.silent():
                time.sleep(1)
                stood = node.open_interval
                # Past intervals that nobody has spoken for are not closed without their records.
                clock.set_by(7 * HOUR)
                time.sleep(1)
                assert node.open_interval == stood
            more(meters)
            # What ends after now has to come again.
            clock.set_by(begun + (meters.done + 4) * QUARTER - now_of(node))
            await_more_refused(node)
            stood = meters.done
            time.sleep(1)
            assert meters.done <= stood + 1
            clock.set_by(17 * HOUR)
            more(meters)
        answered = meters.done
        meters.kill()
    found = commonwatt("audit", node.published, "--certificates", "--json")
    assert found.code == 0, found.out + found.err
    assert answered <= found.json["intervals"] <= answered + 1
    assert found.json["records"] == METERS * found.json["intervals"]
    assert refusals(node.published) == {"IN_THE_FUTURE"}


def more(meters: Meters) -> None:
    meters.await_done(meters.done + 3)


def now_of(node: Node) -> int:
    """The time by the node's clock."""
    return node.figure("commonwatt_time_seconds")


def await_more_refused(node: Node) -> None:
    before = node.figure(REFUSED)
    await_that(lambda: node.figure(REFUSED) > before, node.log)


def refusals(published: Path) -> set[str]:
    """Why records were refused."""
    lines = (
        json.loads(line)
        for path in published.glob("audit/*.inputs.jsonl")
        for line in path.read_text().splitlines()
    )
    return {line["reason"] for line in lines if "reason" in line}

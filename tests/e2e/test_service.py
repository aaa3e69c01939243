"""The node as a service with real processes: simulated meters, brokers, databases, kills."""

import random
import time
from pathlib import Path

import pytest

from anvil import DEV_KEY, running_anvil
from commandline import Answer, anchors, commonwatt
from mosquitto import running_mosquitto
from postgres import PostgresServer, postgres
from served import (
    INTERVALS,
    SOAK,
    START_S,
    Node,
    require_whole,
    serving,
    simulated,
)

__all__ = ["postgres"]

TAKE_OVER_S = 30.0
KILLS = 12 if SOAK else 2
EVENING = INTERVALS if SOAK else 16
"""So many intervals are lived through; the fifth of them begins a day of UTC."""


@pytest.fixture
def operator_key(tmp_path: Path) -> Path:
    key = tmp_path / "operator.key"
    key.write_text(DEV_KEY.hex() + "\n")
    return key


def test_a_day_over_http_with_the_node_killed_has_the_roots_of_a_pure_run(
    tmp_path: Path, village: tuple[Path, Answer]
) -> None:
    node, dice = Node(tmp_path / "node"), random.Random(5)
    node.resemble_demonstration()
    with serving(node), simulated(node, node.url, tmp_path / "meters") as meters:
        for _ in range(KILLS):
            meters.await_done(meters.done + 1)
            time.sleep(dice.random())
            node.kill()
            node.start()
        answered = meters.end(EVENING)
    found = require_whole(node.published, answered=answered)
    # What one process makes of the same records, without a service around it and without faults.
    pure, closed = anchors(village[0]), anchors(node.published)
    assert closed == {start: pure[start] for start in sorted(pure)[: len(closed)]}
    assert found.json["root"] == closed[max(closed)]


def test_a_day_over_a_broker_that_is_killed_into_postgresql_on_another_chain(
    tmp_path: Path, postgres: PostgresServer, operator_key: Path
) -> None:
    with (
        running_mosquitto() as broker,
        running_anvil(31_337, "--block-base-fee-per-gas", "1000000000") as url,
    ):
        node = Node(
            tmp_path / "node", "--chain", url, "--key", operator_key, "--mqtt", broker.url,
            "--database", postgres.url(postgres.new_database()),
        )  # fmt: skip
        with serving(node), simulated(node, broker.url, tmp_path / "meters") as meters:
            meters.await_done(5)
            broker.kill()
            time.sleep(1)
            broker.start()
            answered = meters.end(EVENING)
        require_whole(node.published, "--chain", url, answered=answered)


def test_another_node_takes_over_within_half_a_minute_and_nothing_is_closed_twice(
    tmp_path: Path, postgres: PostgresServer, operator_key: Path
) -> None:
    database = postgres.url(postgres.new_database())
    with running_anvil(31_337) as url:
        shared = ("--chain", url, "--key", operator_key, "--database", database)
        first, second = (Node(tmp_path / name, *shared) for name in ("first", "second"))
        second.say(name="other", data=str(first.folder))
        with serving(first), simulated(first, first.url, tmp_path / "meters") as meters:
            second.launch()
            try:
                meters.await_done(3)
                first.kill()
                answered = meters.done
                meters.kill()
                began = time.monotonic()
                second.await_health(TAKE_OVER_S + START_S)
                assert time.monotonic() - began <= TAKE_OVER_S
                with simulated(second, second.url, tmp_path / "meters") as again:
                    answered = again.end(INTERVALS if SOAK else answered + 10)
            finally:
                second.stop()
        require_whole(first.published, "--chain", url, answered=answered)


def test_what_serve_cannot_start_from_is_one_line(tmp_path: Path) -> None:
    empty: Answer = commonwatt("serve", tmp_path / "nowhere")
    assert empty.code == 2
    assert "commonwatt init" in empty.err
    assert empty.err.count("\n") == 1

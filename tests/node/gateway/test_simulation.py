"""A scenario's meters on their way to a node: the demonstration's own records, each once."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commandline import commonwatt
from commonwatt.meter.acceptance import Reason, Refused
from commonwatt.meter.record import Record, SignedRecord
from commonwatt.microgrid import Neighbourhood, load_scenario
from commonwatt.node.fleet import Fleet
from commonwatt.node.gateway.errors import SimulationUnusable
from commonwatt.node.gateway.http_link import (
    CommunityFacts,
    HttpLink,
    HttpNode,
    NodeAddress,
    ask_community,
)
from commonwatt.node.gateway.simulation import Simulation
from in_process import here
from mosquitto import running_mosquitto
from node.gateway.stub_node import COMMUNITY, LEDGER, OverMqtt, StubNode, Weather, over_http

INTERVALS = 96

cyclopts_without_tokens = pytest.mark.filterwarnings(
    "ignore:Cyclopts application invoked without tokens:UserWarning"
)


@pytest.fixture(scope="module")
def village() -> Neighbourhood:
    return load_scenario("village")


@pytest.fixture
def node(tmp_path: Path, village: Neighbourhood) -> Iterator[StubNode]:
    node = StubNode(tmp_path / "log")
    for registration in Fleet(village, LEDGER).registrations:
        node.enter(registration)
    yield node
    node.close()


def expected(village: Neighbourhood) -> dict[bytes, list[Record]]:
    """What the demonstration's meters sign, by meter."""
    fleet = Fleet(village, LEDGER)
    found: dict[bytes, list[Record]] = {r.meter: [] for r in fleet.registrations}
    for _ in range(village.intervals):
        for signed in fleet.sign():
            record = Record.decode(signed.record)
            found[record.meter].append(record)
    return found


def simulate(url: str, village: Neighbourhood, **more: object) -> Simulation:
    async def work() -> Simulation:
        address = NodeAddress.parse(url)
        facts = await ask_community(address, COMMUNITY)
        link = HttpLink(HttpNode(address), COMMUNITY)
        simulation = Simulation(village, facts, link, **more)
        await simulation.run()
        return simulation

    return asyncio.run(work())


def test_a_days_records_are_those_of_the_demonstration(
    node: StubNode, village: Neighbourhood
) -> None:
    with over_http(node) as (url, _):
        done = simulate(url, village)
    assert node.records == expected(village)
    assert done.tally.accepted == INTERVALS * done.meters
    assert (done.done, done.tally.duplicates, done.tally.refused) == (INTERVALS, 0, {})


def test_bad_weather_makes_it_longer_and_changes_nothing(
    node: StubNode, village: Neighbourhood
) -> None:
    with over_http(node) as (url, weather):
        weather.records_max = 7
        moods = ["cut", "forgetful", "garbage", "cut early"]

        def told(done: int, _: int) -> None:
            weather.mood = moods[done % 4] if done % 20 < 4 else "fine"

        threading.Thread(target=_clears_up, args=(weather,), daemon=True).start()
        simulate(url, village, told=told)
        weather.requests = -1
    assert node.records == expected(village)
    assert node.verdicts["duplicate"] > 0


def _clears_up(weather: Weather) -> None:
    while weather.requests >= 0:
        time.sleep(0.02)
        weather.mood = "fine"


def test_a_meter_whose_interval_is_not_over_at_the_node_waits_for_it(
    node: StubNode, village: Neighbourhood
) -> None:
    node.now = village.start + 900
    stopping = threading.Event()

    def time_passes() -> None:
        while not stopping.wait(0.005):
            node.now += 900

    passing = threading.Thread(target=time_passes)
    with over_http(node) as (url, _):
        passing.start()
        done = simulate(url, village)
        stopping.set()
        passing.join()
    assert done.tally.refused == {}
    assert node.records == expected(village)


def test_it_keeps_its_pace(node: StubNode, village: Neighbourhood) -> None:
    with over_http(node) as (url, _):
        begun = time.monotonic()
        simulate(url, village, speed=INTERVALS * 900 / 0.6)
        assert 0.6 <= time.monotonic() - begun < 10


def test_it_goes_on_after_a_kill_where_it_was(
    node: StubNode, village: Neighbourhood, tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    with over_http(node) as (url, _):
        words = ["--to", url, "--community", COMMUNITY, "--scenario", "village", "--state", state]
        command = [sys.executable, "-m", "commonwatt.cli.main", "meter", "simulate"]
        process = subprocess.Popen([*command, *map(str, words), "--speed", "90000"])
        meter = next(iter(node.records))
        while len(node.records[meter]) < 20:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        assert json.loads(state.read_text())["done"] >= 18
        answer = commonwatt("meter", "simulate", *words, "--speed", 0)
        assert answer.code == 0, answer.err
        again = commonwatt("meter", "simulate", *words, "--speed", 0)
    assert node.records == expected(village)
    assert node.verdicts["duplicate"] <= len(node.records), "at most one interval twice"
    assert f"meters      {len(node.records)}\nintervals   96 of 96\n" in answer.out
    assert "accepted    0\n" in again.out


@cyclopts_without_tokens
def test_through_a_broker_it_is_the_same(node: StubNode, village: Neighbourhood) -> None:
    node.syncs = False  # 2,496 messages, and it is not about disks
    with running_mosquitto() as broker, over_http(node) as (url, _):
        service = OverMqtt(node, broker.port)
        answer = here(
            "meter", "simulate", "--to", broker.url, "--node", url, "--community", COMMUNITY,
            "--scenario", "village", "--speed", 0,
        )  # fmt: skip
        service.close()
    assert answer.code == 0, answer.err
    assert node.records == expected(village)


@cyclopts_without_tokens
def test_refused_records_are_counted_by_reason_and_end_with_1(
    node: StubNode,
) -> None:
    node._judge = _too_late
    with over_http(node) as (url, _):
        answer = here(
            "meter", "simulate", "--to", url, "--community", COMMUNITY, "--scenario", "village",
            "--speed", 0,
        )  # fmt: skip
    assert answer.code == 1
    count = INTERVALS * len(node.records)
    assert f"refused     {count}\n  {count} TOO_LATE\n" in answer.out


def _too_late(signed: SignedRecord) -> Refused:
    return Refused(signed, Reason.TOO_LATE)


@cyclopts_without_tokens
@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--community", "elsewhere"], "no such community"),
        (["--scenario", "suburb"], "not registered"),
        (["--start", "2016-06-22"], "PREVIOUS_WRONG"),
        (["--start", "midsummer"], "midsummer"),
        (["--start", "1999-01-01"], "1999"),
        (["--days", "0"], "0 days"),
        (["--speed", "-1"], "--speed"),
        (["--speed", "nan"], "--speed"),
        (["--to", "mqtt://localhost"], "--node"),
        (["--to", "node"], "http://HOST:PORT"),
        (["--to", "http://127.0.0.1:9"], "no answer"),
    ],
)
def test_what_does_not_go_together_is_said(node: StubNode, more: list[str], word: str) -> None:
    with over_http(node) as (url, _):
        words = {"--to": url, "--community": COMMUNITY, "--scenario": "village", "--speed": "0"}
        words.update(zip(more[::2], more[1::2], strict=True))
        answer = here("meter", "simulate", *(part for pair in words.items() for part in pair))
    assert answer.code in (1, 2)
    assert word in answer.err + answer.out
    if answer.code == 2:
        assert len(answer.err.strip().splitlines()) == 1


def test_a_state_of_other_meters_is_not_gone_on_with(
    village: Neighbourhood, tmp_path: Path
) -> None:
    state, link = tmp_path / "state.json", HttpLink(HttpNode(NodeAddress.parse("http://h")), "c")
    facts = CommunityFacts(LEDGER, 900, frozenset())
    for text in (
        "{",
        json.dumps({"scenario": "town", "start": 0, "intervals": 1, "ledger": "", "done": 3}),
    ):
        state.write_text(text)
        with pytest.raises(SimulationUnusable, match=r"state\.json"):
            Simulation(village, facts, link, state_file=state)
    with pytest.raises(SimulationUnusable, match="300 s"):
        Simulation(village, facts._replace(interval_s=300), link)

"""On the way to the node: whatever the network does, everything arrives once and in order."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from commonwatt.meter.record import Record
from commonwatt.node.gateway.answers import (
    Answer,
    Fate,
    NoAnswer,
    RecordName,
    name_of,
    of_batch,
    read_answers,
)
from commonwatt.node.gateway.backoff import Backoff
from commonwatt.node.gateway.delivery import Delivery
from commonwatt.node.gateway.http_link import HttpLink, HttpNode, NodeAddress
from commonwatt.node.gateway.link import LinkDown
from node.gateway.bench_of_meters import Bench, meter, registration
from node.gateway.stub_node import COMMUNITY, StubNode, assert_once_and_in_order, over_http

HOURS_6 = 6 * 3_600


class World:
    """A gateway's spool, a node, and the weather between them; waiting takes no time."""

    def __init__(self, folder: Path, node: StubNode, url: str, weather, **more: object) -> None:
        self.bench = Bench(folder, meter("home"), meter("roof"), **more)
        self.node, self.weather = node, weather
        self.waited = 0.0
        self.waits: list[float] = []
        for one in self.bench.meters:
            node.register(registration(one, self.bench.openings[one.key.meter]))
        self.address = NodeAddress.parse(url)
        self.delivery = self.new_delivery()

    answer_s = 5.0

    def new_delivery(self, retry_s_max: float = 300.0) -> Delivery:
        link = HttpLink(HttpNode(self.address, answer_s=self.answer_s), COMMUNITY)
        return Delivery(self.bench.spool, link, retry_s_max, self.wait, lambda: self.waited)

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.waited += seconds
        await asyncio.sleep(0)

    def send_until(self, enough, attempts: int = 10_000) -> None:
        """Send until that holds."""

        async def work() -> None:
            for _ in range(attempts):
                pause = await self.delivery.send_some()
                if enough():
                    break
                if pause:
                    await self.wait(pause)
            else:
                pytest.fail("it never came to that")
            await self.delivery._link.close()

        asyncio.run(work())

    def send_all(self) -> None:
        self.send_until(lambda: self.bench.spool.count == 0)

    def assert_all_arrived(self, intervals: int) -> None:
        assert self.bench.spool.count == 0
        assert self.bench.spool.refused() == []
        for one in self.bench.meters:
            records = self.node.records[one.key.meter]
            opening = Record.decode(self.bench.openings[one.key.meter].record)
            assert_once_and_in_order(records, opening=opening)
            assert len(records) == intervals
            energy = records[-1].import_mwh - opening.import_mwh
            assert energy == intervals * 10_000, "nothing lost, nothing twice"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    node = StubNode(tmp_path / "log")
    with over_http(node) as (url, weather):
        world = World(tmp_path, node, url, weather)
        yield world
        world.bench.close()
    node.close()


def fill(world: World, intervals: int, first: int = 1) -> None:
    for name in ("home", "roof"):
        world.bench.fill(intervals, first=first, name=name)


def test_what_waits_arrives_once_and_in_order(world: World) -> None:
    fill(world, 300)
    world.send_all()
    world.assert_all_arrived(300)
    assert world.node.verdicts == {"accepted": 600}
    assert world.weather.requests == 2, "500 records go at once"


@pytest.mark.parametrize("mood", ["503", "404", "cut early", "cut", "garbage", "others"])
def test_six_hours_of_bad_weather_change_nothing_but_the_time(world: World, mood: str) -> None:
    fill(world, 3)
    world.weather.mood = mood
    with capture_logs() as logs:
        world.send_until(lambda: world.waited > HOURS_6)
        assert world.bench.spool.count == 6, "nobody has answered"
        fill(world, 24, first=4)
        world.weather.mood = "fine"
        world.send_all()
    world.assert_all_arrived(27)
    told = [log["event"] for log in logs if log["event"] != "records_taken"]
    assert told == ["node_away", "node_back"], "said once, and once again"
    assert max(world.waits) <= 300.0
    assert sum(wait > 100 for wait in world.waits) > 50, "waits get longer"
    if mood in ("cut", "garbage", "others"):
        assert world.node.verdicts["duplicate"] >= 6, "it had them, and nobody heard"


def test_a_node_that_says_nothing_is_asked_again(world: World) -> None:
    fill(world, 2)
    world.weather.mood = "silent"
    world.answer_s = 0.2
    world.delivery = world.new_delivery()
    world.send_until(lambda: len(world.waits) >= 2)
    world.weather.mood = "fine"
    world.send_all()
    world.assert_all_arrived(2)


def test_nobody_listening_at_all_is_waited_for(world: World) -> None:
    fill(world, 2)
    world.delivery._link = HttpLink(HttpNode(NodeAddress.parse("http://127.0.0.1:9")), COMMUNITY)
    with capture_logs() as logs:
        world.send_until(lambda: world.waited > 60)
    assert logs[0]["why"] == "Connection refused"
    world.delivery = world.new_delivery()
    world.send_all()
    world.assert_all_arrived(2)


def test_answers_to_every_second_record_only_and_twice_lead_there_too(world: World) -> None:
    fill(world, 40)
    world.weather.mood = "forgetful"
    world.send_until(lambda: world.bench.spool.count <= 1)
    world.weather.mood = "fine"
    world.send_all()
    world.assert_all_arrived(40)


def test_a_node_that_takes_little_gets_little_at_once(world: World) -> None:
    fill(world, 20)
    world.weather.records_max = 3
    world.send_all()
    world.assert_all_arrived(20)


def test_a_node_that_takes_nothing_at_once_is_waited_for(world: World) -> None:
    fill(world, 1)
    world.weather.records_max = 0
    world.send_until(lambda: len(world.waits) >= 3)
    assert world.bench.spool.count == 2
    world.weather.records_max = 1
    world.send_all()
    world.assert_all_arrived(1)


def test_weather_that_changes_with_every_batch(world: World) -> None:
    chance = random.Random(7)
    moods = ["fine", "503", "cut", "cut early", "garbage", "others", "forgetful"]
    for start in range(1, 200, 10):
        fill(world, 10, first=start)
        world.weather.mood = chance.choice(moods)
        for _ in range(2):
            world.send_until(lambda: True)
    world.weather.mood = "fine"
    world.send_all()
    world.assert_all_arrived(200)


def test_what_the_node_has_after_a_restart_of_both_is_the_same(world: World) -> None:
    fill(world, 50)
    world.weather.mood = "cut"
    world.send_until(lambda: True)
    world.weather.mood = "fine"
    world.delivery = world.new_delivery()
    world.send_all()
    world.assert_all_arrived(50)
    assert world.node.verdicts == {"accepted": 100, "duplicate": 100}


def test_a_meter_the_node_does_not_know_waits_and_holds_up_nobody(world: World) -> None:
    roof = world.bench.meters[1].key.meter
    entry = world.node._registrations.pop(roof)
    fill(world, 30)
    with capture_logs() as logs:
        world.send_until(lambda: world.waited > HOURS_6)
    assert world.bench.spool.count == 30
    assert world.bench.spool.waiting_of(roof) == 30
    assert [log["event"] for log in logs if log["log_level"] == "warning"] == ["meter_waits"]
    assert world.node.verdicts["METER_UNKNOWN"] < 200, "asked with one record, ever more rarely"
    world.node._registrations[roof] = entry
    world.send_all()
    world.assert_all_arrived(30)


def test_records_from_a_clock_ahead_wait_until_it_is_time(world: World) -> None:
    fill(world, 8)
    world.node.now = world.bench.records()[7].time_end
    world.send_until(lambda: world.waited > 60)
    assert world.bench.spool.count == 8
    world.node.now += 10**6
    world.send_all()
    world.assert_all_arrived(8)


def test_what_is_refused_for_good_is_put_aside_and_the_rest_goes_on(world: World) -> None:
    fill(world, 3)
    home = world.bench.meters[0].key.meter
    rated = world.node._registrations[home]
    world.node._registrations[home] = replace(rated, rated_w=1)
    with capture_logs() as logs:
        world.send_all()
    assert {refused.reason for refused in world.bench.spool.refused()} == {"OVER_CAPACITY"}
    refused = [log["reason"] for log in logs if log["event"] == "record_refused"]
    assert refused == ["OVER_CAPACITY"] * 3
    assert len(world.node.records[world.bench.meters[1].key.meter]) == 3


def test_the_limit_of_waiting_is_the_one_of_the_settings(world: World) -> None:
    fill(world, 1)
    world.delivery = world.new_delivery(retry_s_max=0.25)
    world.weather.mood = "503"
    world.send_until(lambda: len(world.waits) >= 20)
    assert min(world.waits) >= 0.1
    assert max(world.waits) <= 0.25, "also where the node asks for more"


def test_new_records_are_sent_at_once_while_the_node_is_there(world: World) -> None:
    async def work() -> None:
        sending = asyncio.create_task(world.delivery.run())
        for number in range(1, 4):
            fill(world, 1, first=number)
            world.delivery.wake()
            async with asyncio.timeout(10):
                while world.bench.spool.count:  # noqa: ASYNC110 - a spool tells nobody
                    await asyncio.sleep(0.005)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await world.delivery._link.close()

    asyncio.run(work())
    world.assert_all_arrived(3)


def test_stopping_does_not_wait_for_a_node_that_says_nothing(world: World) -> None:
    fill(world, 1)
    world.weather.mood = "silent"
    link = HttpLink(HttpNode(world.address, answer_s=60.0), COMMUNITY)
    world.delivery._link = link

    async def work() -> None:
        sending = asyncio.create_task(world.delivery.send_some())
        await asyncio.sleep(0.1)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await link.close()

    asyncio.run(asyncio.wait_for(work(), 5.0))


# Backoff


def test_waits_double_up_to_the_limit_and_begin_again() -> None:
    backoff = Backoff(limit_s=10.0, first_s=1.0)
    waits = [backoff.after_failure() for _ in range(20)]
    for wait, step in zip(waits, [1, 2, 4, 8, *[10] * 16], strict=True):
        assert step / 2 <= wait <= step
    backoff.after_success()
    assert backoff.after_failure() <= 1.0
    assert Backoff(limit_s=0.1).after_failure() <= 0.1


# Answers


def test_only_the_first_word_that_the_node_has_a_record_counts(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.fill(2)
    one, two = bench.spool.waiting(2)
    has = Answer(name_of(one), one.digest, Fate.TAKEN, "", duplicate=False)
    later = has._replace(fate=Fate.LATER)
    other = Answer(RecordName(bytes(20), 1), bytes(32), Fate.TAKEN, "", duplicate=False)
    assert of_batch([later, has, later, other], [one, two]) == [has]
    assert of_batch([other], [one, two]) == []
    bench.close()


SOUND = {"record": "00" * 32, "meter": "00" * 20, "sequence": 1, "verdict": "accepted"}


def test_a_sound_answer_is_read() -> None:
    [answer] = read_answers(msgspec.json.encode({"results": [SOUND]}))
    assert answer == Answer(RecordName(bytes(20), 1), bytes(32), Fate.TAKEN, "", duplicate=False)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"results": 5}',
        *(
            msgspec.json.encode({"results": [{**SOUND, **wrong}]})
            for wrong in (
                {"meter": "zz"},
                {"meter": "00"},
                {"record": "00"},
                {"record": None},
                {"sequence": -1},
                {"verdict": "maybe"},
            )
        ),
        b'{"results": [], "error": "TOO_FAST", "detail": "slower", "retry_after_s": 3}',
        b" " * 5_000_000,
    ],
)
def test_what_no_node_answers_is_no_answer(text: bytes) -> None:
    with pytest.raises(NoAnswer):
        read_answers(text)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_answers_or_no_answer(text: bytes) -> None:
    try:
        found: object = read_answers(text)
    except NoAnswer as error:
        found = [] if "\n" not in str(error) else error
    assert isinstance(found, list)


def test_an_address_is_read_and_shown_without_more_than_needed() -> None:
    assert NodeAddress.parse("https://node.example:444/base/").shown == (
        "https://node.example:444/base"
    )
    assert NodeAddress.parse("http://[::1]:80").shown == "http://[::1]:80"
    for wrong in ("node", "ftp://node", "http://", "http://user:tulip@node", "http://node?x=1"):
        with pytest.raises(Exception, match="http://HOST:PORT"):
            NodeAddress.parse(wrong)


def test_a_failure_is_told_in_one_line() -> None:
    assert str(LinkDown(ValueError("two\nlines"))) == "two lines"
    assert str(LinkDown(TimeoutError())) == "TimeoutError"

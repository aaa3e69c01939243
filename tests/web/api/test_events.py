"""Server-sent events: what happens, in order, and what was missed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from commonwatt.web.api.limits import Limits
from commonwatt.web.api.routes import events as events_module
from web.api.parts import HERE, NOON, People, Station

PATH = f"{HERE}/events"


class Reader:
    """Reads a stream as it comes; the client of the tests waits for its end."""

    def __init__(self, people: People, path: str, headers: dict[str, str]) -> None:
        self._app = people.app
        self._gone = asyncio.Event()
        self._parts: asyncio.Queue[bytes] = asyncio.Queue()
        self.status, self.headers = 0, {}
        address, _, query = path.partition("?")
        self._scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
            "path": address, "raw_path": address.encode(), "query_string": query.encode(),
            "headers": [(n.encode(), v.encode()) for n, v in headers.items()], "scheme": "http",
            "client": ("192.0.2.1", 1), "server": ("node", 80), "root_path": "",
        }  # fmt: skip

    async def receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {n.decode(): v.decode() for n, v in message["headers"]}
        else:
            self._parts.put_nowait(message.get("body", b""))

    async def run(self) -> None:
        await self._app(self._scope, self.receive, self.send)
        self._parts.put_nowait(b"")

    def leave(self) -> None:
        self._gone.set()

    async def part(self) -> bytes:
        return await asyncio.wait_for(self._parts.get(), 10)

    async def told(self, many: int) -> list[dict[str, Any]]:
        """So many events, decoded."""
        found: list[dict[str, Any]] = []
        while len(found) < many:
            for block in (await self.part()).decode().split("\n\n"):
                lines = dict(line.partition(": ")[::2] for line in block.splitlines())
                if "event" in lines:
                    found.append(
                        {
                            "id": int(lines["id"]),
                            "kind": lines["event"],
                            **json.loads(lines["data"]),
                        }
                    )
        return found


@asynccontextmanager
async def reading(people: People, path: str = PATH, **headers: str) -> AsyncIterator[Reader]:
    reader = Reader(people, path, {name.replace("_", "-"): v for name, v in headers.items()})
    task = asyncio.create_task(reader.run())
    try:
        yield reader
    finally:
        reader.leave()
        await asyncio.wait_for(task, 10)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "LOOK_S", 0.005)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    station = Station(tmp_path / "node")
    station.live(2)
    yield station
    station.close()


def stay(people: People, told: Callable[[], Any]) -> Any:
    return people.run(told())


def test_missed_events_are_told_first_and_new_ones_as_they_happen(
    people: People, station: Station
) -> None:
    async def scene() -> None:
        async with reading(people, last_event_id="0") as reader:
            first = await reader.told(2)
            assert [one["kind"] for one in first] == ["interval", "interval"]
            assert [one["start"] for one in first] == [NOON, NOON + 900]
            assert reader.headers["content-type"].startswith("text/event-stream")
            assert reader.headers["cache-control"] == "no-store"
            station.live(1)
            [new] = await reader.told(1)
            assert new["start"] == NOON + 1_800
            assert new["id"] > first[-1]["id"]

    stay(people, scene)


def test_a_reader_that_comes_again_hears_what_it_missed_and_nothing_twice(
    people: People, station: Station
) -> None:
    async def scene() -> None:
        async with reading(people, last_event_id="0") as reader:
            seen = await reader.told(1)
        station.live(1)
        async with reading(people, last_event_id=str(seen[-1]["id"])) as reader:
            assert (await reader.told(1))[0]["id"] > seen[-1]["id"]
        async with reading(people, f"{PATH}?after={seen[-1]['id']}") as reader:
            assert (await reader.told(1))[0]["id"] > seen[-1]["id"]

    stay(people, scene)


def test_without_a_number_only_what_is_to_come_is_told(people: People, station: Station) -> None:
    async def scene() -> None:
        for number in ({}, {"last_event_id": "not a number"}):
            async with reading(people, **number) as reader:
                assert (await reader.part()).startswith(b"retry: ")
                station.hosted.events.add(NOON, "book", entries=7)
                [told] = await reader.told(1)
                assert told["entries"] == 7

    stay(people, scene)


def test_one_kind_of_events_can_be_asked_for(people: People, station: Station) -> None:
    async def scene() -> None:
        station.hosted.events.add(NOON, "book", entries=7)
        async with reading(people, f"{PATH}?kind=book", last_event_id="0") as reader:
            told = await reader.told(1)
            assert [one["kind"] for one in told] == ["book"]

    stay(people, scene)


def test_why_a_chain_is_away_is_not_for_everybody(people: People, station: Station) -> None:
    async def scene() -> None:
        events = station.hosted.events
        number = events.add(NOON, "chain", state="https://rpc.example/secret-key").number - 1
        events.add(NOON, "chain", state="ok")
        async with reading(people, last_event_id=str(number)) as reader:
            told = await reader.told(2)
            assert [one["state"] for one in told] == ["away", "ok"]

    stay(people, scene)


def test_a_stream_says_that_it_is_alive(station: Station) -> None:
    people = People(station, limits=Limits(heartbeat_s=0))

    async def scene() -> None:
        async with reading(people) as reader:
            assert (await reader.part()).startswith(b"retry: ")
            assert await reader.part() == b": alive\n\n"

    people.run(scene())
    people.close()


def test_a_stream_ends_after_its_time(station: Station) -> None:
    people = People(station, limits=Limits(stream_s=0))

    async def scene() -> None:
        async with reading(people) as reader:
            assert (await reader.part()).startswith(b"retry: ")
            assert await reader.part() == b""
        assert people.api.streams.names == 0

    people.run(scene())
    people.close()


def test_streams_are_few_and_a_place_is_free_again_when_a_reader_leaves(station: Station) -> None:
    people = People(station, limits=Limits(streams=2, streams_per_address=1))

    async def scene() -> None:
        async with reading(people) as first:
            await first.part()
            async with reading(people) as second:
                await second.part()
                assert second.status == 503
                assert "retry-after" in second.headers
        async with reading(people) as third:
            await third.part()
            assert third.status == 200

    people.run(scene())
    assert people.ask("HEAD", PATH).status_code == 200
    assert people.api.streams.names == 0
    people.close()


@pytest.mark.parametrize("query", ["kind=secret", "after=-1", "after=x", "limit=1"])
def test_what_cannot_be_asked_for_is_named(people: People, query: str) -> None:
    assert people.ask("HEAD", f"{PATH}?{query}").status_code == 422
    assert people.ask("HEAD", PATH, headers={"accept": "application/json"}).status_code == 406

"""A node of several workers: records go where one sends them on to, and no further."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from commonwatt.node.gateway.http_link import (
    HOPS_MAX,
    HttpLink,
    HttpNode,
    NodeAddress,
    ask_community,
)
from commonwatt.node.gateway.link import LinkDown
from node.gateway.bench_of_meters import Bench, registration
from node.gateway.stub_node import COMMUNITY, StubNode, Weather, over_http

T = TypeVar("T")
PATH = f"/v1/communities/{COMMUNITY}/records"


class Workers:
    """Two of them, and a record for the second."""

    def __init__(self, folder: Path, node: StubNode, first, second) -> None:
        (self.url, self.weather), (self.second_url, self.second) = first, second
        self.node = node
        bench = Bench(folder)
        bench.fill(1)
        [one] = bench.meters
        node.register(registration(one, bench.openings[one.key.meter]))
        self.batch = bench.spool.waiting(1)
        bench.close()
        self.send_on_to(f"{self.second_url}{PATH}")

    weather: Weather

    def send_on_to(self, location: str) -> None:
        self.weather.mood, self.weather.location = "307", location

    def with_link(self, work: Callable[[HttpLink], Awaitable[T]], url: str = "") -> T:
        async def whole() -> T:
            link = HttpLink(HttpNode(NodeAddress.parse(url or self.url)), COMMUNITY)
            try:
                return await work(link)
            finally:
                await link.close()

        return asyncio.run(whole())


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    node = StubNode(tmp_path / "log")
    with over_http(node) as first, over_http(node) as second:
        yield Workers(tmp_path, node, first, second)
    node.close()


def test_records_go_to_the_worker_that_is_remembered(workers: Workers) -> None:
    async def work(link: HttpLink) -> None:
        for duplicate in (False, True, True):
            [answer] = await link.send(workers.batch)
            assert answer.duplicate is duplicate

    workers.with_link(work)
    assert (workers.weather.requests, workers.second.requests) == (1, 3), "asked once"


@pytest.mark.parametrize("mood", ["404", "503", "cut early"])
def test_when_the_worker_is_gone_the_configured_address_is_asked_again(
    workers: Workers, mood: str
) -> None:
    async def work(link: HttpLink) -> None:
        await link.send(workers.batch)
        workers.second.mood, workers.weather.mood = mood, "fine"
        with pytest.raises(LinkDown):
            await link.send(workers.batch)
        [answer] = await link.send(workers.batch)
        assert answer.duplicate

    workers.with_link(work)
    assert workers.weather.requests == 2


def test_a_host_by_name_stays_the_one_that_was_configured(workers: Workers) -> None:
    # A worker knows itself by number, and 127.0.0.9 is not where it would have to be reached.
    port = workers.second_url.rpartition(":")[2]
    workers.send_on_to(f"http://127.0.0.9:{port}{PATH}")
    by_name = workers.url.replace("127.0.0.1", "localhost")
    [answer] = workers.with_link(lambda link: link.send(workers.batch), by_name)
    assert not answer.duplicate


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1:{port}/v1/communities/street/records",
        "http://127.0.0.1:{port}/v1/communities/other/records",
        "http://127.0.0.1/v1/communities/street/records",
        "http://127.0.0.1:{port}/v1/communities/street/records?to=other",
        "ftp://127.0.0.1:{port}/v1/communities/street/records",
        "/v1/communities/street/records",
        "",
    ],
)
def test_nobody_is_followed_to_another_scheme_or_path(workers: Workers, location: str) -> None:
    workers.send_on_to(location.format(port=workers.second_url.rpartition(":")[2]))
    with pytest.raises(LinkDown, match="the node sends on to"):
        workers.with_link(lambda link: link.send(workers.batch))
    assert workers.second.requests == 0


def test_workers_that_send_on_in_a_circle_are_left_after_a_few_hops(workers: Workers) -> None:
    workers.second.mood = "307"
    workers.second.location = f"{workers.url}{PATH}"
    with pytest.raises(LinkDown, match="HTTP 307"):
        workers.with_link(lambda link: link.send(workers.batch))
    assert workers.weather.requests + workers.second.requests == HOPS_MAX + 1


def test_a_new_gateway_asks_the_right_worker_for_the_ledger(workers: Workers) -> None:
    workers.send_on_to(f"{workers.second_url}/v1/communities/{COMMUNITY}")
    facts = asyncio.run(ask_community(NodeAddress.parse(workers.url), COMMUNITY))
    assert facts.interval_s == 900

"""A real node's workers send on as the gateway follows."""

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from bed import SCENARIO, init, make_bed
from commonwatt.meter.record import SignedRecord
from commonwatt.node.gateway.answers import Answer, Fate
from commonwatt.node.gateway.errors import NodeUnusable
from commonwatt.node.gateway.http_link import HttpLink, HttpNode, NodeAddress, ask_community
from commonwatt.node.service.service import Service
from commonwatt.node.service.share import Share
from commonwatt.web.serving import served
from node.gateway.bench_of_meters import Bench


def test_a_worker_is_followed_to_another_ones_community(tmp_path: Path) -> None:
    folder = make_bed(tmp_path / "node")
    init(folder, name="mill")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = folder / "node.toml"
    settings.write_text(settings.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
    address = NodeAddress.parse(f"http://localhost:{port}")
    with ExitStack() as stack:
        for worker in range(2):
            service = Service(folder, Share(worker, 2))
            service.open()
            stack.callback(service.close)
            stack.enter_context(served(service, "127.0.0.1", port + worker))
            if worker == 0:
                service.start()
        assert asyncio.run(ask_community(address, "mill")).interval_s == 900
        with pytest.raises(NodeUnusable, match="404"):
            asyncio.run(ask_community(address, "nowhere"))
        other = NodeAddress.parse(f"http://localhost:{port + 1}")
        [answer] = asyncio.run(sent(other, SCENARIO, a_record(tmp_path)))
        assert (answer.fate, answer.reason) == (Fate.LATER, "METER_UNKNOWN")


def a_record(folder: Path) -> list[SignedRecord]:
    bench = Bench(folder)
    bench.fill(1)
    waiting = bench.spool.waiting(1)
    bench.close()
    return waiting


async def sent(address: NodeAddress, community: str, batch: list[SignedRecord]) -> list[Answer]:
    link = HttpLink(HttpNode(address, answer_s=10.0), community)
    try:
        return await link.send(batch)
    finally:
        await link.close()

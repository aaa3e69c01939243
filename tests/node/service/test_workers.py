"""Workers: every community has exactly one, and whoever asks another one is shown the way."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, build_opener, urlopen

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bed import init, make_bed, until
from commonwatt.node.service.service import Service
from commonwatt.node.service.share import Share, ShareUnusable, require_enough, share_of
from commonwatt.web.serving import served


@given(st.lists(st.integers(), unique=True), st.integers(1, 9))
def test_each_community_has_exactly_one_worker(communities: list[int], workers: int) -> None:
    shares = [share_of(worker, workers).own(communities) for worker in range(workers)]
    assert sorted(one for share in shares for one in share) == sorted(communities)


@given(st.lists(st.integers(), unique=True), st.integers(), st.integers(1, 9))
def test_a_community_that_is_added_moves_no_other(
    communities: list[int], added: int, workers: int
) -> None:
    for worker in range(workers):
        share = share_of(worker, workers)
        assert share.own([*communities, added])[: len(share.own(communities))] == share.own(
            communities
        )


@pytest.mark.parametrize(("worker", "workers"), [(0, 0), (0, 65), (-1, 2), (2, 2)])
def test_a_worker_that_there_is_not_is_refused(worker: int, workers: int) -> None:
    with pytest.raises(ShareUnusable, match="--worker"):
        share_of(worker, workers)


@pytest.mark.parametrize(
    ("workers", "communities", "listen"),
    [(3, 2, "127.0.0.1:8080"), (2, 2, "127.0.0.1:0"), (2, 2, "127.0.0.1:65535")],
)
def test_each_worker_needs_a_community_and_a_port(
    workers: int, communities: int, listen: str
) -> None:
    with pytest.raises(ShareUnusable, match=f"--workers {workers}"):
        require_enough(workers, communities, listen)


class _Stay(HTTPRedirectHandler):
    """Follows nothing."""

    def redirect_request(self, *_: object) -> None:
        return None


@pytest.fixture
def node(tmp_path: Path) -> tuple[Path, int]:
    """A node's directory with two communities, and the port it listens at."""
    folder = make_bed(tmp_path / "node")
    init(folder, name="mill")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = folder / "node.toml"
    settings.write_text(settings.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
    return folder, port


@pytest.fixture
def two_workers(node: tuple[Path, int]) -> Iterator[int]:
    """Both shares at work; gives the first one's port."""
    folder, port = node
    with ExitStack() as stack:
        for worker in range(2):
            service = Service(folder, Share(worker, 2))
            service.open()
            stack.callback(service.close)
            stack.enter_context(served(service, "127.0.0.1", port + worker))
        yield port


def test_a_worker_shows_the_way_to_another_ones_community(two_workers: int) -> None:
    own, other = two_workers, two_workers + 1
    path = "/v1/communities/mill?unknown"
    with pytest.raises(HTTPError) as answer:
        build_opener(_Stay).open(f"http://127.0.0.1:{own}{path}")
    assert answer.value.code == 307
    assert answer.value.headers["location"] == f"http://127.0.0.1:{other}{path}"
    problem = msgspec.json.decode(answer.value.read())
    assert problem["type"] == "/v1/problems/elsewhere"
    with urlopen(f"http://127.0.0.1:{own}/v1/communities/mill") as found:
        assert msgspec.json.decode(found.read())["name"] == "mill"
    with pytest.raises(HTTPError, match="404"):
        urlopen(f"http://127.0.0.1:{own}/v1/communities/nowhere")


@pytest.mark.parametrize("killed", ["a worker", "the process that began them"])
def test_where_one_process_is_killed_the_others_end(node: tuple[Path, int], killed: str) -> None:
    folder, port = node
    words = [sys.executable, "-m", "commonwatt.cli.main", "serve", str(folder), "--workers", "2"]
    with (folder / "log").open("wb") as log:
        parent = subprocess.Popen(words, stdout=log, stderr=log)
    until(lambda: _answers(port) and _answers(port + 1))
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    victim = int(children[1]) if killed == "a worker" else parent.pid
    os.kill(victim, signal.SIGKILL)
    assert parent.wait(timeout=60) == (1 if killed == "a worker" else -signal.SIGKILL)
    until(lambda: not _answers(port) and not _answers(port + 1))


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True

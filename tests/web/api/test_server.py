"""A real server and clients of the worst kind: it keeps to its limits and goes on answering."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from commonwatt.web.api import server_options
from commonwatt.web.api.limits import RECORD_BYTES_MAX, SHUTDOWN_S, Limits
from commonwatt.web.api.settings import ApiSettings
from web.api.parts import BINARY, DAY, HERE, TOKENS
from web.api.serve import LIMITS

TESTS = Path(__file__).parents[2]
WAIT_S = 8
GROWTH_MB = 60
"""Bodies up to `LIMITS.bodies_bytes` may be under way, and a thread has its own memory."""


class Node:
    """A server in a process."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(TESTS)}
        self.log = folder / "log"
        self._log = self.log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("serve.py")), str(folder / "node")],
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)

    def send(self, *parts: bytes, then_s: float = 0) -> bytes:
        """Send parts one after another, and read until the server hangs up."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
                time.sleep(then_s)
            return read(connection)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def peak_mb(self) -> int:
        """The most memory the process has ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) // 1024

    def is_well(self) -> bool:
        return httpx.get(f"{self.url}/v1/health", timeout=WAIT_S).status_code == 200

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()
        return code


def read(connection: socket.socket) -> bytes:
    """All there is until the other side hangs up, however it does."""
    found = b""
    try:
        while part := connection.recv(65_536):
            found += part
    except ConnectionResetError:
        pass
    return found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("server"))
    yield node
    node.stop()


def head(path: str, method: bytes = b"GET", *lines: bytes) -> bytes:
    return b"\r\n".join([method + b" " + path.encode() + b" HTTP/1.1", b"host: node", *lines, b""])


def test_a_connection_that_says_nothing_is_closed(node: Node) -> None:
    began = time.monotonic()
    assert node.send() == b""
    assert time.monotonic() - began < LIMITS.header_s + 2


def test_a_header_that_comes_a_byte_now_and_then_is_not_waited_for(node: Node) -> None:
    began = time.monotonic()
    with node.connect() as connection:
        try:
            for byte in head("/v1/health") * 10:
                connection.sendall(bytes((byte,)))
                time.sleep(0.02)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert read(connection) == b""
    assert time.monotonic() - began < LIMITS.header_s + 2
    assert node.is_well()


def test_a_second_header_on_a_connection_is_not_waited_for_either(node: Node) -> None:
    whole = head("/v1/health") + b"\r\n"
    answer = node.send(whole, head("/v1/health"))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"HTTP/1.1") == 1


def test_a_body_that_comes_too_slowly_is_told_so(node: Node) -> None:
    lines = [b"content-type: application/octet-stream", b"content-length: 1640"]
    answer = node.send(head(f"{HERE}/records", b"POST", *lines) + b"\r\n", b"x" * 100)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in answer
    assert b"application/problem+json" in answer


def test_a_body_that_nobody_wants_is_not_read_to_its_end(node: Node) -> None:
    """What follows a refused header is not worth the time: the server hangs up."""
    for lines, status in (
        ([b"content-type: application/octet-stream", b"content-length: 99999999999"], b"413"),
        ([b"content-type: application/octet-stream", b"transfer-encoding: chunked"], b"411"),
        ([b"content-type: text/html", b"content-length: 5000000"], b"415"),
    ):
        answer = node.send(head(f"{HERE}/records", b"POST", *lines) + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 " + status), answer
        assert b"connection: close" in answer


def test_a_body_behind_a_get_does_not_keep_the_connection(node: Node) -> None:
    began = time.monotonic()
    asked = head("/v1/health", b"GET", b"content-length: 1000000") + b"\r\n"
    answer = node.send(asked)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer
    assert time.monotonic() - began < 5


def test_what_is_not_http_is_a_problem_too(node: Node) -> None:
    for nonsense in (b"\x16\x03\x01\x02\x00\x01", b"GET / JUNK/1.1\r\n", b"\r\n" * 9 + b"x y\r\n"):
        answer = node.send(nonsense + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"application/problem+json" in answer


def test_a_header_that_is_too_long_is_refused(node: Node) -> None:
    answer = node.send(head("/v1/health", b"GET", b"x: " + b"y" * 30_000), then_s=0.1)
    assert answer.startswith(b"HTTP/1.1 400")
    assert node.is_well()


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd", f"{HERE}/statements/../../node/inputs", "//etc/passwd",
        f"{HERE}/statements/{DAY}/../../node/node.sqlite", f"{HERE}/../../../..", "/v1/%00",
        f"{HERE}/statements/..%5c..%5cnode/inputs", "/v1/communities/%ff%fe", "/%2e%2e/%2e%2e",
    ],
)  # fmt: skip
def test_paths_as_they_are_sent_lead_nowhere(node: Node, path: str) -> None:
    token = f"authorization: Bearer {TOKENS['operator']}".encode()
    answer = node.send(head(path, b"GET", token, b"connection: close") + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 404"), answer
    assert b"application/problem+json" in answer
    assert b"root:" not in answer


def test_who_opens_too_many_connections_gets_no_more_and_the_others_go_on(node: Node) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(node.connect()) for _ in range(LIMITS.connections_per_address)]
        extra = stack.enter_context(node.connect())
        assert read(extra) == b""
        whole = head("/v1/health", b"GET", b"connection: close") + b"\r\n"
        held[0].sendall(whole)
        assert read(held[0]).startswith(b"HTTP/1.1 200")
    assert node.is_well()


def test_who_takes_nothing_of_an_answer_is_cut_off(node: Node) -> None:
    path = f"{HERE}/statements/{DAY}/leaves"
    token = f"Bearer {TOKENS['auditor']}"
    asked = head(path, b"GET", f"authorization: {token}".encode()) + b"\r\n"
    with ExitStack() as stack:
        # As many as there are places for files of an audit.
        for _ in range(LIMITS.big_answers):
            stuck = stack.enter_context(node.connect())
            stuck.sendall(asked)
            assert stuck.recv(12) == b"HTTP/1.1 200"
        busy = httpx.get(f"{node.url}{path}", headers={"authorization": token})
        assert busy.status_code == 503
        time.sleep(LIMITS.send_s * 1.5)
        whole = httpx.get(f"{node.url}{path}", headers={"authorization": token}, timeout=30)
        assert (whole.status_code, len(whole.content)) == (200, 40_000_000)


def test_many_large_bodies_at_once_fit_the_memory_they_may_have(node: Node) -> None:
    before = node.peak_mb
    size = RECORD_BYTES_MAX
    lines = [b"content-type: application/octet-stream", b"content-length: %d" % size]
    with ExitStack() as stack:
        senders = [stack.enter_context(node.connect()) for _ in range(30)]
        for one in senders:
            one.sendall(head(f"{HERE}/records", b"POST", *lines) + b"\r\n")
        for one in senders:
            try:
                one.sendall(b"x" * (size - 1_000))
            except (BrokenPipeError, ConnectionResetError):
                continue
        codes = [read(one)[9:12] for one in senders]
    # Some were told at once that there is no room, the others that they were too slow.
    assert set(codes) <= {b"503", b"408", b""}
    assert b"503" in codes
    assert node.peak_mb - before < GROWTH_MB
    assert httpx.post(f"{node.url}{HERE}/records", content=b"", headers=BINARY).status_code == 200


def test_it_says_nothing_of_itself_and_logs_no_secret(node: Node) -> None:
    answer = httpx.get(f"{node.url}/v1/health")
    assert "server" not in answer.headers
    assert node.log.exists()
    logged = node.log.read_text()
    assert not any(token in logged for token in TOKENS.values())


def test_a_stream_of_events_ends_when_the_node_stops(tmp_path: Path) -> None:
    node = Node(tmp_path)
    with httpx.stream("GET", f"{node.url}{HERE}/events", timeout=WAIT_S) as stream:
        assert stream.status_code == 200
        began = time.monotonic()
        node.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in stream.iter_bytes():
                pass
    node.stop()
    assert time.monotonic() - began < SHUTDOWN_S / 2


def test_proxies_are_believed_only_where_they_are_named() -> None:
    assert server_options()["proxy_headers"] is False
    options = server_options(ApiSettings(proxies=("10.0.0.1",)))
    assert (options["proxy_headers"], options["forwarded_allow_ips"]) == (True, ["10.0.0.1"])


def test_each_server_counts_its_own_connections() -> None:
    one, other = server_options(), server_options(limits=Limits())
    assert one["http"].open_by_address is not other["http"].open_by_address

"""The connection against nodes that misbehave, and against none."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from commonwatt.chain.connection import Account, Connection, Message
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.errors import ChainError, ChainUnreachable, NodeRefused, ReceiptMissing
from commonwatt.chain.revert import reason_of


class Scripted:
    """A chain whose answers a test can replace."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self.chain = chain
        self.replaced: dict[str, Callable[..., Any]] = {}
        self.asked: list[tuple[str, Any]] = []

    def make_request(self, method: str, params: Any) -> dict[str, Any]:
        self.asked.append((method, params))
        if method in self.replaced:
            return self.replaced[method](*params)
        return self.chain.make_request(method, params)


def refusal(message: str, code: int = -32000) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@pytest.fixture
def scripted(chain: EmbeddedChain) -> Scripted:
    return Scripted(chain)


def test_logs_are_read_in_pages_that_shrink_when_the_node_objects(
    scripted: Scripted, clerk: Account, drawer
) -> None:
    writer = Connection.embedded(scripted)
    address = writer.send(clerk, None, drawer.creation).contract_address
    assert address is not None
    writer.send_many(clerk, [Message(address, drawer("file", n, n + 20)) for n in range(20)])
    pages: list[int] = []

    def at_most_three_blocks(wanted: dict[str, Any]) -> dict[str, Any]:
        size = int(wanted["toBlock"], 16) - int(wanted["fromBlock"], 16) + 1
        pages.append(size)
        if size > 3:
            return refusal("query returned more than 10000 results")
        return scripted.chain.make_request("eth_getLogs", [wanted])

    scripted.replaced["eth_getLogs"] = at_most_three_blocks
    logs = Connection(scripted).logs(address)
    assert [int.from_bytes(log.data, "big") for log in logs] == list(range(20, 40))
    assert pages[:4] == [22, 11, 5, 2]
    scripted.replaced["eth_getLogs"] = lambda _: refusal("no")
    with pytest.raises(NodeRefused, match="eth_getLogs: the node refused: no"):
        Connection(scripted).logs(address)


def test_a_transaction_in_no_block_is_not_waited_for_for_ever(
    scripted: Scripted, clerk: Account
) -> None:
    pauses: list[float] = []
    scripted.replaced["eth_getTransactionReceipt"] = lambda _: {"result": None}
    connection = Connection(scripted, sleep=pauses.append)
    with pytest.raises(ReceiptMissing, match=r"is not in a block after 12\d s"):
        connection.send(clerk, clerk.address, b"")
    assert 120 <= sum(pauses) <= 122
    assert pauses == sorted(pauses)


def test_a_receipt_that_comes_late_is_fine(scripted: Scripted, clerk: Account) -> None:
    answers = iter([None, None])
    ask = scripted.chain.make_request
    scripted.replaced["eth_getTransactionReceipt"] = lambda tx_hash: {
        "result": next(answers, ask("eth_getTransactionReceipt", [tx_hash])["result"])
    }
    connection = Connection(scripted, sleep=lambda _: None)
    assert connection.send(clerk, clerk.address, b"").succeeded


def test_nonces_are_counted_here_and_asked_for_again_when_wrong(
    scripted: Scripted, clerk: Account
) -> None:
    one, other = Connection(scripted), Connection(scripted)
    for number, connection in enumerate((one, one, other, one, other)):
        assert connection.send(clerk, clerk.address, bytes([number])).block_number == number + 1
    counts = [method for method, _ in scripted.asked if method == "eth_getTransactionCount"]
    assert len(counts) == 4  # each at first, then once per transaction of the other's


def test_after_a_lost_answer_the_next_nonce_is_asked_for(
    scripted: Scripted, clerk: Account
) -> None:
    connection = Connection(scripted)
    connection.send(clerk, clerk.address, b"")

    def taken_but_not_answered(raw: str) -> dict[str, Any]:
        scripted.chain.make_request("eth_sendRawTransaction", [raw])
        raise ChainUnreachable("http://node", "timed out")

    scripted.replaced["eth_sendRawTransaction"] = taken_but_not_answered
    with pytest.raises(ChainUnreachable, match="http://node: no chain answers"):
        connection.send(clerk, clerk.address, b"")
    del scripted.replaced["eth_sendRawTransaction"]
    assert connection.send(clerk, clerk.address, b"").block_number == 3


@pytest.mark.parametrize("with_slots", [90_000, 100_000, 110_000])
def test_slots_are_named_where_the_node_says_that_it_saves(
    scripted: Scripted, clerk: Account, with_slots: int
) -> None:
    sent: list[bytes] = []

    def estimated(question: dict[str, Any], _: str) -> dict[str, Any]:
        return {"result": hex(with_slots if "accessList" in question else 100_000)}

    def taken(raw: str) -> dict[str, Any]:
        sent.append(bytes.fromhex(raw[2:]))
        return scripted.chain.make_request("eth_sendRawTransaction", [raw])

    scripted.replaced |= {"eth_estimateGas": estimated, "eth_sendRawTransaction": taken}
    message = Message(clerk.address, b"", slots=(1, 2, 3))
    assert Connection(scripted).send_many(clerk, [message])[0].succeeded
    assert (sent[0][0] == 1) == (with_slots < 100_000)


@pytest.mark.parametrize("answer", ["already known", "nonce too low: next nonce 2, tx nonce 1"])
def test_what_the_node_has_already_is_not_sent_again(
    scripted: Scripted, clerk: Account, answer: str
) -> None:
    connection = Connection(scripted)
    connection.send(clerk, clerk.address, b"")

    def twice(raw: str) -> dict[str, Any]:
        scripted.chain.make_request("eth_sendRawTransaction", [raw])
        return refusal(answer)

    scripted.replaced["eth_sendRawTransaction"] = twice
    assert connection.send(clerk, clerk.address, b"").block_number == 2
    del scripted.replaced["eth_sendRawTransaction"]
    assert connection.send(clerk, clerk.address, b"").block_number == 3


def test_fees_follow_the_node(scripted: Scripted, clerk: Account) -> None:
    sent: list[bytes] = []

    def keep(raw: str) -> dict[str, Any]:
        sent.append(bytes.fromhex(raw[2:]))
        return refusal("that is enough")

    scripted.replaced["eth_sendRawTransaction"] = keep
    scripted.replaced["eth_gasPrice"] = lambda: {"result": hex(12)}
    for base, kind in ((None, "legacy"), (hex(10), "fee market")):
        scripted.replaced["eth_getBlockByNumber"] = lambda *_, base=base: {
            "result": {"baseFeePerGas": base}
        }
        with pytest.raises(NodeRefused, match="that is enough"):
            Connection(scripted).send(clerk, clerk.address, b"", gas=50_000)
        assert (sent[-1][0] == 2) == (kind == "fee market")


def test_threads_may_share_a_connection(
    chain: EmbeddedChain, deployed: str, clerk: Account, drawer
) -> None:
    connection = Connection.embedded(chain)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for amount in range(5):
                connection.send(clerk, deployed, drawer("file", number, amount))
                connection.call(deployed, drawer("drawers", number))
        except BaseException as why:  # noqa: BLE001 - shown below
            failures.append(why)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert connection.call(deployed, drawer("count")) == (20).to_bytes(32, "big")
    assert chain.check() == 21


class Handler(BaseHTTPRequestHandler):
    """Answers as the test has told its server."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, body, hang_up = self.server.answer(request)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        # Without "Connection: close" in the answer: as a node does that was restarted.
        self.close_connection = hang_up

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def node() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.url = f"http://127.0.0.1:{server.server_port}/rpc"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def answered(result: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()


@pytest.mark.parametrize("hang_up", [False, True])
def test_one_connection_is_kept_and_made_again_when_the_node_hangs_up(
    node, *, hang_up: bool
) -> None:
    node.answer = lambda _: (200, answered("0x5"), hang_up)
    with Connection.http(node.url) as connection:
        assert connection.chain_id == 5
        assert [connection.block_number() for _ in range(3)] == [5, 5, 5]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (503, b"busy", "HTTP 503"),
        (200, b"<html>", "Expecting value"),
        (200, b"[]", "not JSON-RPC"),
        (200, b"{}", "not JSON-RPC"),
    ],
)
def test_what_is_not_a_node_is_named(node, status: int, body: bytes, reason: str) -> None:
    node.answer = lambda _: (status, body, True)
    with pytest.raises(ChainUnreachable, match=f"{node.url}: no chain answers .*{reason}"):
        Connection.http(node.url)


def test_a_node_that_is_not_there_is_named_with_its_url() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(
            ChainUnreachable, match=f"{url}: no chain answers .*is the node running"
        ):
            Connection.http(url, timeout=2)


@pytest.mark.parametrize("url", ["localhost:8545", "ws://host", "http://", "file:///x", ""])
def test_what_is_not_a_url_of_a_node_is_refused(url: str) -> None:
    with pytest.raises(ChainError, match="not the URL of a node"):
        Connection.http(url)


def test_reasons_are_read_from_what_contracts_return() -> None:
    text = bytes.fromhex("08c379a0") + (32).to_bytes(32, "big") + (4).to_bytes(32, "big")
    assert reason_of(text + b"much".ljust(32, b"\0")) == "much"
    assert reason_of(bytes.fromhex("4e487b71") + (0x11).to_bytes(32, "big")) == "panic 0x11"
    assert reason_of(b"\x01\x02\x03\x04\x05") == "0x0102030405"
    assert reason_of(b"") == ""
    assert reason_of(bytes.fromhex("08c379a0") + b"cut") == "0x08c379a0637574"

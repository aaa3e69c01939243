"""The embedded chain over HTTP: what clients ask, and what nobody should send."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.chain import serve, serve_filters, serve_handler, serve_requests
from commonwatt.chain.connection import Account, Connection
from commonwatt.chain.embedded import EmbeddedChain, engine, rpc
from commonwatt.chain.errors import (
    CallReverted,
    ChainError,
    JournalUnwritable,
    NodeRefused,
    TransactionReverted,
)
from commonwatt.chain.serve import RpcServer
from commonwatt.chain.serve_filters import Filters
from commonwatt.chain.serve_requests import Requests

JSON = {"Content-Type": "application/json"}
CLIENTS_PAGE = Path(__file__).parents[2] / "docs" / "clients.md"


@contextmanager
def serving(chain: Any, **options: Any) -> Iterator[RpcServer]:
    """A server in this process, while inside."""
    server = RpcServer(chain, "127.0.0.1", 0, **options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


@pytest.fixture
def server(chain: EmbeddedChain) -> Iterator[RpcServer]:
    with serving(chain) as server:
        yield server


def send(
    server: RpcServer, body: object, *, verb: str = "POST", **headers: str | None
) -> tuple[int, dict[str, str], bytes]:
    """One HTTP request as it stands; headers by their names with _ for -, None: without it."""
    client = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    try:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        wanted = {**JSON, "Content-Length": str(len(sent)), **named}
        client.putrequest(verb, "/", skip_host="Host" in named, skip_accept_encoding=True)
        for name, value in wanted.items():
            if value is not None:
                client.putheader(name, value)
        client.endheaders(sent)
        answer = client.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        client.close()


def request(method: str, *params: object, **more: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params), **more}


@pytest.fixture
def ask(server: RpcServer) -> Callable[..., Any]:
    """One request's answer, with `result` or `error`."""

    def asked(method: str, *params: object) -> Any:
        status, _, body = send(server, request(method, *params))
        assert status == 200
        return json.loads(body)

    return asked


# What a client does


def test_our_own_connection_finds_a_node_like_any_other(
    chain: EmbeddedChain, server: RpcServer, clerk: Account, drawer
) -> None:
    with Connection.http(server.url) as connection:
        assert connection.chain_id == chain.chain_id
        at = connection.send(clerk, None, drawer.creation).contract_address
        assert at is not None
        receipt = connection.send(clerk, at, drawer("file", 1, 2))
        assert (receipt.block_number, chain.head.number) == (2, 2)
        assert connection.call(at, drawer("drawers", 1))[-1] == 2
        assert [log.block_number for log in connection.logs(at)] == [2]
        with pytest.raises(CallReverted, match="unlucky") as refusal:
            connection.send(clerk, at, drawer("file", 1, 13))
        assert refusal.value.reason == "drawer: unlucky"
        with pytest.raises(TransactionReverted, match="drawer: unlucky"):
            connection.send(clerk, at, drawer("file", 1, 13), gas=200_000)
        with pytest.raises(NodeRefused, match="only the latest state is kept"):
            connection.request("eth_getBalance", clerk.address, "0x1")


def test_clients_at_the_same_time_get_their_own_answers(
    chain: EmbeddedChain, server: RpcServer, drawer
) -> None:
    clerks = [Account.from_key(bytes([number]) * 32) for number in range(1, 5)]
    with Connection.http(server.url) as connection:
        at = connection.send(clerks[0], None, drawer.creation).contract_address
    failures: list[BaseException] = []

    def work(clerk: Account) -> None:
        try:
            with Connection.http(server.url) as connection:
                for amount in range(20, 25):
                    connection.send(clerk, at, drawer("file", amount, amount))
        except BaseException as why:  # noqa: BLE001 - shown below
            failures.append(why)

    threads = [threading.Thread(target=work, args=(clerk,)) for clerk in clerks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert chain.check() == 21


def test_requests_in_a_batch_are_answered_in_order_with_their_ids(server: RpcServer) -> None:
    batch = [
        request("eth_chainId", id="first"),
        {"jsonrpc": "2.0", "method": "eth_blockNumber"},  # a notification: nobody waits
        request("eth_nothing", id=None),
        17,
        {"jsonrpc": "2.0", "id": 2.5, "method": "eth_blockNumber"},
    ]
    _, _, body = send(server, batch)
    first, nothing, number, last = json.loads(body)
    assert first == {"jsonrpc": "2.0", "id": "first", "result": "0x4eee"}
    assert (nothing["id"], nothing["error"]["code"]) == (None, -32601)
    assert (number["id"], number["error"]["code"]) == (None, -32600)
    assert last == {"jsonrpc": "2.0", "id": 2.5, "result": "0x0"}


@pytest.mark.parametrize("batch", [False, True])
def test_a_notification_is_done_and_not_answered(
    chain: EmbeddedChain, server: RpcServer, clerk: Account, *, batch: bool
) -> None:
    from commonwatt.chain.account import Transaction  # noqa: PLC0415 - for this test alone

    raw = clerk.sign(Transaction(chain.chain_id, 0, 21_000, clerk.address_bytes, b"")).raw
    sent = request("eth_sendRawTransaction", "0x" + raw.hex())
    del sent["id"]
    status, _, body = send(server, [sent] if batch else sent)
    assert (status, body) == (204, b"")
    assert chain.head.number == 1


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"{", -32700, "not JSON"),
        (b"\xff\xfe", -32700, "not JSON"),
        (b'{"jsonrpc": "2.0", "id": NaN, "method": "eth_chainId"}', -32700, "not JSON"),
        (b"[" * 5_000_000, -32600, "lists and objects"),
        (b'{"a":' * 900_000, -32600, "lists and objects"),
        ([], -32600, "empty batch"),
        ([request("eth_chainId")] * 1_001, -32600, "at most 1000 requests"),
        ("eth_chainId", -32600, "a request is an object"),
        ({"id": 1, "method": "eth_chainId"}, -32600, "a request is an object"),
        ({"jsonrpc": "2.0", "id": 1}, -32600, "no method"),
        (request("eth_chainId", id=True), -32600, "an id is"),
        (request("eth_chainId", id=[1]), -32600, "an id is"),
        (request("eth_chainId", params={"at": 1}), -32602, "give a list"),
        (request("eth_chainId", 1), -32602, "too many"),
        (request("eth_getCode"), -32602, "missing"),
        (request("eth_call", "0x"), -32602, "in another's place"),
        (request("eth_call", {"to": "0x12"}), -32602, "20 bytes"),
        (request("eth_getBlockByNumber", 10**40), -32602, "invalid params"),
        (request("eth_getLogs", {"address": ["0x" + "11" * 20] * 1_001}), -32602, "at most 1000"),
        (request("eth_getLogs", {"topics": [["0x" + "11" * 32] * 1_001]}), -32602, "at most 1000"),
        (request("eth_feeHistory", "0x1", "latest", [1] * 101), -32602, "at most 100"),
        (request("eth_newFilter", {"topics": [None] * 5}), -32602, "four topics"),
        (request("eth_newFilter", {"blockHash": "0x" + "11" * 32}), -32602, "by its hash"),
        (request("eth_newFilter"), -32602, "missing"),
        (request("eth_getFilterChanges", "0x99"), -32000, "not found"),
        (request("eth_getFilterLogs", 99), -32000, "not found"),
        (request("eth_sendRawTransaction", "0x02"), -32000, "not a signed transaction"),
        (request("eth_getBalance", "0x" + "11" * 20, "0x0"), None, ""),
        (request("eth_getBalance", "0x" + "11" * 20, {"blockHash": "0x" + "11" * 32}), -32000,
         "latest"),
        (request("m" * 100_000), -32601, "does not exist"),
    ],
)  # fmt: skip
def test_what_is_no_request_gets_a_code_and_the_server_goes_on(
    server: RpcServer, body: object, code: int | None, words: str
) -> None:
    status, _, answer = send(server, body)
    found = json.loads(answer)
    assert (status, found["jsonrpc"]) == (200, "2.0")
    assert found.get("error", {}).get("code") == code
    assert words in found.get("error", {}).get("message", "")
    assert len(answer) < 400
    assert json.loads(send(server, request("eth_chainId"))[2])["result"] == "0x4eee"


def test_a_refusing_contract_is_code_3_with_what_it_returned(
    ask: Callable[..., Any], deployed: str, drawer
) -> None:
    question = {"to": deployed, "data": "0x" + drawer("file", 1, 13).hex()}
    for method in ("eth_call", "eth_estimateGas"):
        refusal = ask(method, question)["error"]
        assert refusal["code"] == 3
        assert refusal["message"] == "execution reverted: drawer: unlucky"
        assert bytes.fromhex(refusal["data"][2:]).startswith(bytes.fromhex("08c379a0"))


def test_blocks_and_their_transactions_are_found_by_every_road(
    ask: Callable[..., Any], chain: EmbeddedChain, deployed: str
) -> None:
    head = ask("eth_getBlockByNumber", "latest", True)["result"]  # noqa: FBT003
    [sent] = head["transactions"]
    by_hash, by_number = (head["hash"],), ("0x1",)
    for where, name in ((by_hash, "Hash"), (by_number, "Number")):
        assert ask(f"eth_getBlockTransactionCountBy{name}", *where)["result"] == "0x1"
        found = ask(f"eth_getTransactionByBlock{name}AndIndex", *where, "0x0")["result"]
        assert found == sent
        assert ask(f"eth_getTransactionByBlock{name}AndIndex", *where, "0x1")["result"] is None
        [receipt] = ask("eth_getBlockReceipts", *where)["result"]
        assert receipt == ask("eth_getTransactionReceipt", sent["hash"])["result"]
        assert receipt["contractAddress"] == deployed
    assert ask("eth_getBlockReceipts", {"blockHash": head["hash"]})["result"] == [receipt]
    assert ask("eth_getBlockReceipts", "0x0")["result"] == []
    assert ask("eth_getBlockReceipts", "0x9")["result"] is None
    assert ask("eth_getBlockTransactionCountByNumber", "0x0")["result"] == "0x0"
    assert ask("eth_getBlockTransactionCountByNumber", "0x9")["result"] is None
    assert ask("eth_getTransactionByBlockNumberAndIndex", "0x0", "0x0")["result"] is None
    assert ask("net_listening")["result"] is True
    latest = {"blockHash": "0x" + chain.head.hash.hex()}
    assert ask("eth_getCode", deployed, latest)["result"] == ask("eth_getCode", deployed)["result"]


def test_a_call_gets_no_more_gas_than_one_may_use(
    ask: Callable[..., Any], deployed: str, drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commonwatt.chain.embedded.rpc.CALL_GAS", 100_000)
    question = {"to": deployed, "data": "0x" + drawer("burn", 1, 0).hex(), "gas": hex(2**63)}
    assert ask("eth_call", question)["error"]["message"] == "out of gas"


# Filters


def test_a_filter_tells_each_event_once(
    ask: Callable[..., Any], connection: Connection, deployed: str, clerk: Account, drawer
) -> None:
    def amounts(found: Any) -> list[int]:
        return [int(log["data"], 16) for log in found["result"]]

    connection.send(clerk, deployed, drawer("file", 1, 5))
    logs = ask("eth_newFilter", {"address": deployed})["result"]
    old = ask("eth_newFilter", {"fromBlock": "0x0", "toBlock": "0x3"})["result"]
    late = ask("eth_newFilter", {"fromBlock": "0x4", "toBlock": "latest"})["result"]
    elsewhere = ask("eth_newFilter", {"address": clerk.address})["result"]
    blocks = ask("eth_newBlockFilter")["result"]
    pending = ask("eth_newPendingTransactionFilter")["result"]
    assert amounts(ask("eth_getFilterChanges", logs)) == []
    receipts = [connection.send(clerk, deployed, drawer("file", 1, amount)) for amount in (6, 7)]
    assert amounts(ask("eth_getFilterChanges", logs)) == [6, 7]
    assert amounts(ask("eth_getFilterChanges", logs)) == []
    assert amounts(ask("eth_getFilterChanges", old)) == [6]
    assert amounts(ask("eth_getFilterChanges", late)) == [7]
    assert amounts(ask("eth_getFilterLogs", old)) == [5, 6]
    assert ask("eth_getFilterChanges", elsewhere)["result"] == []
    hashes = [
        connection.request("eth_getBlockByNumber", hex(receipt.block_number), False)["hash"]  # noqa: FBT003
        for receipt in receipts
    ]
    assert ask("eth_getFilterChanges", blocks)["result"] == hashes
    assert ask("eth_getFilterChanges", pending)["result"] == []
    for other in (blocks, pending):
        assert ask("eth_getFilterLogs", other)["error"]["code"] == -32000
    assert ask("eth_uninstallFilter", logs)["result"] is True
    assert ask("eth_uninstallFilter", logs)["result"] is False
    assert ask("eth_getFilterChanges", logs)["error"]["code"] == -32000


def test_filters_have_a_limit_and_are_forgotten_when_nobody_asks(
    chain: EmbeddedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve_filters, "FILTERS_MAX", 2)
    now = 0.0
    methods = Filters(chain, lambda: now).methods
    asked, silent = (methods["eth_newBlockFilter"]()["result"] for _ in range(2))
    assert methods["eth_newFilter"]({})["error"]["code"] == -32005
    now = serve_filters.FILTER_SECONDS
    assert methods["eth_getFilterChanges"](asked) == {"result": []}
    assert "error" in methods["eth_newBlockFilter"]()
    now += 1.0
    assert "result" in methods["eth_newBlockFilter"]()
    assert "error" in methods["eth_getFilterChanges"](silent)
    assert "result" in methods["eth_getFilterChanges"](asked)


# Limits


def test_answers_have_a_size_and_a_batch_shares_it(
    chain: EmbeddedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = request("eth_getBlockByNumber", "0x0")
    size = len(Requests(chain).answer(json.dumps(one).encode()) or b"")
    monkeypatch.setattr(serve_requests, "ANSWER_BYTES_MAX", 2 * size)
    answers = json.loads(Requests(chain).answer(json.dumps([one] * 4).encode()) or b"")
    assert ["error" in answer for answer in answers] == [False, False, True, True]
    assert {answer["error"]["code"] for answer in answers[2:]} == {-32003}
    monkeypatch.setattr(serve_requests, "ANSWER_BYTES_MAX", size - 1)
    answer = json.loads(Requests(chain).answer(json.dumps(one).encode()) or b"")
    assert answer["error"]["code"] == -32003


class Slow:
    """A chain that takes its time, or cannot go on."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work

    def make_request(self, method: str, params: object) -> dict[str, Any]:  # noqa: ARG002
        self.work()
        return {"result": "0x1"}


def test_who_waits_too_long_for_others_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_requests, "REQUEST_SECONDS", 0.05)
    begun, over = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        over.wait(10)

    requests = Requests(Slow(work))
    body = json.dumps(request("eth_chainId")).encode()
    first = threading.Thread(target=requests.answer, args=(body,))
    first.start()
    begun.wait(10)
    assert json.loads(requests.answer(body) or b"")["error"]["code"] == -32002
    over.set()
    first.join()
    assert json.loads(requests.answer(body) or b"")["result"] == "0x1"


def test_a_batch_that_takes_too_long_is_not_gone_on_with() -> None:
    now = 0.0

    def work() -> None:
        nonlocal now
        now += serve_requests.REQUEST_SECONDS / 2

    chain = Slow(work)
    body = json.dumps([request("eth_chainId")] * 4).encode()
    answers = json.loads(Requests(chain, lambda: now).answer(body) or b"")
    codes = [answer.get("error", {}).get("code") for answer in answers]
    assert codes == [None, None, -32002, -32002]


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (JournalUnwritable(None, "disk full"), "disk full"),
        (RuntimeError("secret"), "a defect of the server"),
    ],
)
def test_a_chain_in_trouble_is_an_answer_too(
    why: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise why

    body = json.dumps(request("eth_chainId")).encode()
    answer = json.loads(Requests(Slow(fail)).answer(body) or b"")
    assert answer["error"]["code"] == -32603
    assert said in answer["error"]["message"]
    assert "secret" not in answer["error"]["message"]
    assert ("secret" in capsys.readouterr().err) == isinstance(why, RuntimeError)


WORDS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8), st.integers(-2, 2**260).map(hex),
    st.binary(max_size=40).map(lambda blob: "0x" + blob.hex()),
    st.sampled_from(["latest", "earliest", "pending", "0x", "0x" + "11" * 20, "0x" + "11" * 32]),
)  # fmt: skip
KEYS = (
    "to", "from", "data", "input", "value", "gas", "accessList", "address", "storageKeys", "topics",
    "fromBlock", "toBlock", "blockHash", "blockNumber",
)  # fmt: skip
VALUES = st.recursive(
    WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=12,
)


@given(data=st.data())
def test_whatever_is_asked_has_an_answer_and_the_chain_goes_on(data: st.DataObject) -> None:
    requests, methods = asked_at_random()
    method = data.draw(st.sampled_from(methods))
    params = data.draw(st.lists(VALUES, max_size=4) | VALUES)
    answer = json.loads(requests.answer(json.dumps(request(method) | {"params": params}).encode()))
    assert ("result" in answer) != ("error" in answer)
    if "error" in answer:
        assert answer["error"]["code"] in (-32602, -32000, -32005, 3), answer
    assert json.loads(requests.answer(json.dumps(request("eth_chainId")).encode()))["result"]


@cache
def asked_at_random() -> tuple[Requests, tuple[str, ...]]:
    """One chain for all examples: none of them has a key to change it with."""
    chain = EmbeddedChain(None)
    clerk = Account.from_key(b"\x07" * 32)
    Connection.embedded(chain).send(clerk, clerk.address, b"")
    filters = Filters(chain, time.monotonic).methods
    return Requests(chain), (*rpc.Methods(chain).names, *filters)


# HTTP


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": None}, 415),
        ({"Content_Type": "application/json; charset=utf-8"}, 200),
        ({"Content_Length": None}, 411),
        ({"Content_Length": "-1"}, 411),
        ({"Content_Length": "4x"}, 411),
        ({"Content_Length": str(serve_handler.BODY_BYTES_MAX + 1)}, 413),
        ({"Content_Length": "9" * 400}, 413),
        ({"Host": "elsewhere.example"}, 403),
        ({"Host": "localhost:8545"}, 200),
        ({"Host": "[::1]:8545"}, 200),
        ({"Host": "]"}, 403),
        ({"Origin": "https://elsewhere.example"}, 200),
    ],
)
def test_a_post_is_json_of_a_known_length_to_a_name_of_ours(
    server: RpcServer, headers: dict[str, str | None], status: int
) -> None:
    answered, heads, _ = send(server, request("eth_chainId"), **headers)
    assert answered == status
    assert "Access-Control-Allow-Origin" not in heads
    assert send(server, request("eth_chainId"))[0] == 200


@pytest.mark.parametrize("verb", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_other_verbs_are_told_what_is_here(server: RpcServer, verb: str) -> None:
    status, heads, body = send(server, b"", verb=verb)
    assert (status, heads["Allow"]) == (405, "POST")
    assert (b"JSON-RPC" in body) == (verb != "HEAD")


@pytest.mark.parametrize(
    ("known", "asking", "allowed"),
    [
        (None, "https://page.example", None),
        (None, None, None),
        ("https://page.example", "https://page.example", "https://page.example"),
        ("https://page.example", "https://other.example", None),
        ("*", "https://other.example", "*"),
    ],
)
def test_web_pages_may_ask_only_if_their_origin_was_named(
    chain: EmbeddedChain, known: str | None, asking: str | None, allowed: str | None
) -> None:
    with serving(chain, origin=known) as server:
        status, heads, _ = send(server, b"", verb="OPTIONS", Origin=asking)
        assert (status == 204) == (allowed is not None)
        assert heads.get("Access-Control-Allow-Origin") == allowed
        status, heads, _ = send(server, request("eth_chainId"), Origin=asking)
        assert (status, heads.get("Access-Control-Allow-Origin")) == (200, allowed)


@pytest.mark.parametrize("origin", ["page.example", "https://page.example/app", "https://", ""])
def test_an_origin_that_no_page_has_is_refused(chain: EmbeddedChain, origin: str) -> None:
    with pytest.raises(ChainError, match="write it as https://example"):
        RpcServer(chain, "127.0.0.1", 0, origin=origin)


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("127.0.0.1", None, "choose another with --port"),
        ("nowhere.invalid", 0, "cannot listen there"),
        ("127.0.0.1", 65_536, "give 1 to 65535"),
        ("127.0.0.1", -1, "give 1 to 65535"),
    ],
)
def test_where_it_cannot_listen_it_says_so(
    chain: EmbeddedChain, server: RpcServer, host: str, port: int | None, said: str
) -> None:
    taken = server.server_address[1]
    with pytest.raises(ChainError, match=said):
        RpcServer(chain, host, taken if port is None else port)


def test_it_listens_on_addresses_of_the_newer_kind_too(chain: EmbeddedChain) -> None:
    try:
        server = RpcServer(chain, "::1", 0)
    except ChainError:
        pytest.skip("no IPv6 on this machine")
    with server:
        assert server.url == f"http://[::1]:{server.server_address[1]}"


def test_who_sends_byte_by_byte_is_hung_up_on(
    chain: EmbeddedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve_handler, "READ_SECONDS", 0.2)
    for head in (b"POST / HT", b"POST / HTTP/1.1\r\nContent-Length: 50\r\n\r\n{"):
        with serving(chain) as server, socket.create_connection(server.server_address[:2]) as slow:
            slow.settimeout(0.05)
            slow.sendall(head)
            deadline = time.monotonic() + 10
            while not _is_hung_up(slow):
                assert time.monotonic() < deadline


def _is_hung_up(connection: socket.socket) -> bool:
    """Send one more byte, and see whether anybody is left to read it."""
    try:
        connection.sendall(b" ")
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_connections_have_a_limit_and_places_become_free(
    chain: EmbeddedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "CONNECTIONS_MAX", 2)
    with serving(chain) as server:
        at = server.server_address[:2]
        kept = [http.client.HTTPConnection(*at, timeout=10) for _ in range(2)]
        for connection in kept:
            connection.request("POST", "/", json.dumps(request("eth_chainId")), JSON)
            assert connection.getresponse().read()
        with socket.create_connection(at) as refused:
            assert refused.recv(100).startswith(b"HTTP/1.1 503 ")
        for connection in kept:
            connection.close()
        deadline = time.monotonic() + 10
        while True:
            with socket.create_connection(at) as again:
                again.settimeout(0.2)
                try:
                    assert again.recv(100).startswith(b"HTTP/1.1 503 ")
                except TimeoutError:
                    break  # it waits for us to speak
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_what_has_begun_is_answered_before_it_ends_and_nothing_begins_then() -> None:
    begun, over = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        over.wait(10)

    answers: list[bytes] = []
    with serving(Slow(work)) as server:
        kept = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
        kept.connect()
        asking = threading.Thread(
            target=lambda: answers.append(send(server, request("eth_chainId"))[2])
        )
        asking.start()
        begun.wait(10)
        ending = threading.Thread(target=server.stop)
        ending.start()
        while not server._stopping:
            time.sleep(0.01)
        kept.request("POST", "/", json.dumps(request("eth_chainId")), JSON)
        assert kept.getresponse().status == 503
        kept.close()
        assert ending.is_alive()
        over.set()
        ending.join()
        asking.join()
    assert json.loads(answers[0])["result"] == "0x1"


def test_every_method_there_is_is_on_the_page_for_clients(chain: EmbeddedChain) -> None:
    page = CLIENTS_PAGE.read_text(encoding="utf-8")
    known = {*rpc.Methods(chain).names, *Filters(chain, time.monotonic).methods}
    listed = page.partition("## Methods\n")[2].partition("\n## ")[0]
    words = {word for word in listed.split("`")[1::2] if "_" in word}
    assert words == known


def test_the_limits_are_those_on_the_page_for_clients() -> None:
    limits = CLIENTS_PAGE.read_text(encoding="utf-8").partition("## Limits\n")[2]
    for number in (
        serve_requests.BATCH_MAX,
        serve_requests.BRACKETS_MAX,
        serve.CONNECTIONS_MAX,
        serve_filters.FILTERS_MAX,
        rpc.CALL_GAS,
        rpc.LOG_CHOICES_MAX,
        engine.TRANSACTION_GAS_LIMIT,
    ):
        assert f" {number:,}" in limits, number
    for size in (serve_handler.BODY_BYTES_MAX, serve_requests.ANSWER_BYTES_MAX):
        assert f" {size // 1024**2} MiB" in limits
    for seconds in (
        serve_handler.READ_SECONDS,
        serve_requests.REQUEST_SECONDS,
        serve_filters.FILTER_SECONDS,
    ):
        assert f" {seconds:.0f} s" in limits

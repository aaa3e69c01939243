"""The JSON-RPC methods of the embedded chain."""

import pytest

from commonwatt.chain.account import Transaction
from commonwatt.chain.connection import Account, Connection, Message
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.errors import CallReverted, NodeRefused, TransactionReverted

FULL, HASHES = True, False
NOON = 1_781_956_800


def test_a_new_chain_is_empty_and_says_who_it_is(chain: EmbeddedChain, connection) -> None:
    assert connection.chain_id == 20206
    assert connection.block_number() == 0
    assert connection.request("net_version") == "20206"
    assert connection.request("eth_gasPrice") == "0x0"
    assert connection.request("eth_syncing") is False
    assert connection.request("eth_accounts") == []
    assert connection.request("eth_getBlockByNumber", "0x0", HASHES)["timestamp"] == "0x0"
    assert connection.request("eth_getBlockByNumber", "0x1", HASHES) is None
    history = connection.request("eth_feeHistory", "0x4", "latest", [50])
    assert history["baseFeePerGas"] == ["0x0", "0x0"]
    assert chain.head.number == 0


def test_each_transaction_is_in_a_block_of_its_own(
    connection: Connection, deployed: str, clerk: Account, drawer
) -> None:
    first = connection.send(clerk, deployed, drawer("file", 1, 2))
    second = connection.send(clerk, deployed, drawer("file", 1, 3))
    assert (first.block_number, second.block_number) == (2, 3)
    assert connection.call(deployed, drawer("drawers", 1)) == (3).to_bytes(32, "big")
    newest = connection.request("eth_getBlockByNumber", "latest", FULL)
    assert newest["transactions"][0]["hash"] == "0x" + second.tx_hash.hex()
    assert newest["transactions"][0]["from"] == clerk.address.lower()
    assert newest == connection.request("eth_getBlockByHash", newest["hash"], FULL)
    assert newest["timestamp"] == hex(NOON)
    assert connection.request("eth_getTransactionByHash", "0x" + bytes(32).hex()) is None
    assert connection.receipt(bytes(32)) is None
    parent = connection.request("eth_getBlockByNumber", "0x2", HASHES)
    assert newest["parentHash"] == parent["hash"]


def test_a_refused_transaction_is_in_a_block_and_leaves_nothing_but_its_nonce(
    chain: EmbeddedChain, connection: Connection, deployed: str, clerk: Account, drawer
) -> None:
    connection.send(clerk, deployed, drawer("file", 1, 2))
    for function in ("file", "copy_to"):
        nonce = connection.nonce(clerk)
        with pytest.raises(TransactionReverted, match="drawer: unlucky") as refusal:
            connection.send(clerk, deployed, drawer(function, 1, 13))
        receipt = connection.receipt(refusal.value.tx_hash)
        assert receipt is not None
        assert (receipt.status, receipt.logs) == (0, ())
        assert receipt.block_number == chain.head.number
        assert connection.nonce(clerk) == nonce + 1
        assert connection.call(deployed, drawer("drawers", 1)) == (2).to_bytes(32, "big")
        assert connection.call(deployed, drawer("count")) == (1).to_bytes(32, "big")
        assert connection.call(deployed, drawer("copies", 1)) == bytes(32)


def test_a_transaction_that_runs_out_of_gas_says_so(
    connection: Connection, deployed: str, clerk: Account, drawer
) -> None:
    with pytest.raises(TransactionReverted, match="out of gas, 100000 were not enough"):
        connection.send(clerk, deployed, drawer("burn", 1, 0), gas=100_000)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"nonce": 7}, "nonce too high"),
        ({"nonce": 0}, "nonce too low"),
        ({"chain_id": 1}, "bad v"),
        ({"gas": 2**24 + 1}, "Gas limit too high"),
        ({"gas": 20_000}, "Insufficient gas"),
        ({"max_fee": 1}, "insufficient sender balance"),
        ({"max_fee": 1, "tip": 2}, "priority fee greater than max fee"),
        ({"to": b"", "data": bytes(50_000)}, "Code size too large"),
    ],
)
def test_what_cannot_be_in_a_block_changes_nothing(
    *,
    chain: EmbeddedChain,
    connection: Connection,
    deployed: str,
    clerk: Account,
    drawer,
    changed,
    reason: str,
) -> None:
    before = (chain.head, chain.producer.world.root())
    fields = {
        "chain_id": 20206, "nonce": 1, "gas": 2_000_000, "to": bytes.fromhex(deployed[2:]),
        "data": drawer("file", 1, 2),
    }  # fmt: skip
    signed = clerk.sign(Transaction(**{**fields, **changed}))
    with pytest.raises(NodeRefused, match=reason):
        connection.request("eth_sendRawTransaction", "0x" + signed.raw.hex())
    assert (chain.head, chain.producer.world.root()) == before


@pytest.mark.parametrize(
    "junk", ["0x", "0x02", "0x7f01", "0xc0", "0xf8ff", "0x01c0", "0x03c0", "0xff"]
)
def test_junk_is_not_a_transaction(connection: Connection, junk: str) -> None:
    with pytest.raises(NodeRefused, match="not a signed transaction"):
        connection.request("eth_sendRawTransaction", junk)


def test_fee_market_transactions_are_taken_too(
    connection: Connection, deployed: str, clerk: Account, drawer
) -> None:
    to, data = bytes.fromhex(deployed[2:]), drawer("file", 1, 2)
    signed = clerk.sign(Transaction(20206, 1, 200_000, to, data, 0, 0))
    connection.request("eth_sendRawTransaction", "0x" + signed.raw.hex())
    receipt = connection.request("eth_getTransactionReceipt", "0x" + signed.tx_hash.hex())
    assert (receipt["status"], receipt["type"]) == ("0x1", "0x2")
    shown = connection.request("eth_getTransactionByHash", "0x" + signed.tx_hash.hex())
    assert (shown["type"], shown["maxFeePerGas"], shown["accessList"]) == ("0x2", "0x0", [])


def test_transactions_with_access_lists_are_taken_too(
    connection: Connection, deployed: str, clerk: Account, drawer
) -> None:
    message = Message(deployed, drawer("file", 1, 2), slots=(1, 2**255))
    (receipt,) = connection.send_many(clerk, [message])
    shown = connection.request("eth_getTransactionReceipt", "0x" + receipt.tx_hash.hex())
    assert (shown["status"], shown["type"]) == ("0x1", "0x1")
    shown = connection.request("eth_getTransactionByHash", "0x" + receipt.tx_hash.hex())
    keys = ["0x" + "0" * 63 + "1", "0x8" + "0" * 63]
    assert shown["accessList"] == [{"address": deployed.lower(), "storageKeys": keys}]
    assert (shown["type"], shown["gasPrice"], shown["yParity"]) == ("0x1", "0x0", shown["v"])
    assert "maxFeePerGas" not in shown


def test_questions_may_bring_an_access_list(
    connection: Connection, deployed: str, clerk: Account, drawer
) -> None:
    connection.send(clerk, deployed, drawer("file", 1, 2))
    plain = Message(deployed, drawer("file", 1, 8))
    named = Message(deployed, drawer("file", 1, 9), slots=(1,))
    used, estimates = [], []
    for message in (plain, named):
        estimates.append(int(connection.request("eth_estimateGas", message.asked_by(clerk)), 16))
        used.append(connection.send_many(clerk, [message])[0].gas_used)
    # The contract costs 2,400, the slot 1,900; it is warm then, and reading it 2,000 cheaper.
    assert used[1] - used[0] == estimates[1] - estimates[0] == 2_400 + 1_900 - 2_000
    connection.request("eth_call", named.asked_by(clerk), "latest")
    wrong = {**plain.asked_by(clerk), "accessList": [{"address": "0x12", "storageKeys": []}]}
    with pytest.raises(NodeRefused, match="20 bytes"):
        connection.request("eth_call", wrong, "latest")


def test_a_call_answers_or_gives_the_reason_and_changes_nothing(
    chain: EmbeddedChain, connection: Connection, deployed: str, clerk: Account, drawer
) -> None:
    connection.send(clerk, deployed, drawer("file", 1, 2))
    root = chain.producer.world.root()
    assert connection.call(deployed, drawer("divided", 7, 2))[-1] == 3
    with pytest.raises(CallReverted, match="unlucky") as refusal:
        connection.call(deployed, drawer("file", 1, 13), clerk.address)
    assert refusal.value.reason == "drawer: unlucky"
    with pytest.raises(CallReverted, match="the contract refused"):
        connection.call(deployed, drawer("divided", 7, 0))
    connection.call(deployed, drawer("copy_to", 3, 4))
    assert connection.call(deployed, drawer("drawers", 1)) == (2).to_bytes(32, "big")
    assert chain.producer.world.root() == root
    answer = chain.make_request(
        "eth_call", [{"to": deployed, "data": "0x" + drawer("file", 1, 13).hex()}]
    )
    assert answer["error"]["code"] == 3
    assert answer["error"]["message"] == "execution reverted: drawer: unlucky"
    assert answer["error"]["data"].startswith("0x08c379a0")
    out_of_gas = {"to": deployed, "data": "0x" + drawer("burn", 1, 0).hex(), "gas": "0x186a0"}
    assert chain.make_request("eth_call", [out_of_gas])["error"]["message"] == "out of gas"


def test_an_estimate_is_enough_and_not_much_more(
    connection: Connection, deployed: str, clerk: Account, drawer
) -> None:
    for function in ("file", "file_twice", "file_within", "copy_to", "clear"):
        question = {
            "from": clerk.address,
            "to": deployed,
            "data": "0x" + drawer(function, 1, 9).hex(),
        }
        estimate = int(connection.request("eth_estimateGas", question), 16)
        receipt = connection.send(clerk, deployed, drawer(function, 1, 9), gas=estimate)
        assert receipt.gas_used <= estimate <= receipt.gas_used * 5 // 4 + 3_000
    with pytest.raises(CallReverted, match="unlucky"):
        connection.request(
            "eth_estimateGas", {"to": deployed, "data": "0x" + drawer("file", 1, 13).hex()}
        )


def test_contracts_see_the_time_and_the_blocks_before(
    chain: EmbeddedChain, connection: Connection, deployed: str, drawer
) -> None:
    assert int.from_bytes(connection.call(deployed, drawer("when")), "big") == NOON
    genesis = chain.journal.block(0)
    assert genesis is not None
    assert connection.call(deployed, drawer("elsewhere", 0)) == genesis.hash


def test_time_never_goes_back(open_chain, clerk: Account) -> None:
    times = iter([500, 400, 700, 650])
    chain = open_chain(None, clock=lambda: next(times))
    connection = Connection.embedded(chain)
    stamps = []
    for _ in range(4):
        connection.send(clerk, clerk.address, b"")
        stamps.append(chain.head.timestamp)
    assert stamps == [500, 500, 700, 700]


def test_storage_code_and_balance_can_be_read(
    connection: Connection, deployed: str, clerk: Account, drawer
) -> None:
    connection.send(clerk, deployed, drawer("file", 1, 2))
    # `count` lies behind the mapping, in slot 1.
    assert int(connection.request("eth_getStorageAt", deployed, "0x1", "latest"), 16) == 1
    assert connection.code(deployed)
    assert connection.code(clerk.address) == b""
    assert connection.request("eth_getBalance", clerk.address, "latest") == "0x0"
    with pytest.raises(NodeRefused, match="only the latest state is kept"):
        connection.request("eth_getBalance", clerk.address, "0x0")


def test_wrong_questions_are_answered_with_errors(connection: Connection, deployed: str) -> None:
    for method, params, reason in (
        ("eth_mine", (), "does not exist"),
        ("eth_getCode", ("0x12", "latest"), "20 bytes"),
        ("eth_getCode", ("12", "latest"), "0x prefix"),
        ("eth_getCode", (), "missing"),
        ("eth_getLogs", ({"topics": [None] * 5},), "four topics"),
        ("eth_getLogs", ({"blockHash": "0x" + "11" * 32},), "unknown block"),
        ("eth_call", ({"to": deployed}, "latest", {deployed: {}}), "overrides"),
        ("eth_call", ({"to": deployed, "value": "0x1"}, "latest"), "insufficient funds"),
        ("eth_call", ({"to": deployed, "gas": "0x1"}, "latest"), "intrinsic"),
    ):
        with pytest.raises(NodeRefused, match=reason):
            connection.request(method, *params)

"""Three engines, one result: the untouched specification, the one with speed-ups, and Anvil."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anvil import DEV_KEY, running_anvil
from commonwatt.chain.account import Account, Transaction
from commonwatt.chain.answers import Receipt
from commonwatt.chain.connection import Connection, Message
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.errors import CallReverted, TransactionReverted

CHAIN_ID = 20206
FUNCTIONS = ("file", "file_twice", "file_within", "copy_to", "clear", "burn")
GAS = 700_000
FULL = True

# Few drawers and amounts: the same slots are set, changed, cleared and refused again and again.
works = st.lists(
    st.tuples(st.sampled_from(FUNCTIONS), st.integers(0, 3), st.sampled_from((0, 1, 5, 9, 13))),
    min_size=1,
    max_size=12,
)


def signed(account: Account, nonce: int, to: bytes, data: bytes, gas: int) -> str:
    """The four kinds in turn, all free: one price or two, without an access list or with one."""
    tip = 0 if nonce % 2 else None
    # Slots that are touched, slots that are not, a slot twice; another contract's.
    access = ((to, (0, 1, 1, 77)), (bytes(20), (1,))) if to and nonce % 4 > 1 else ()
    transaction = Transaction(CHAIN_ID, nonce, gas, to, data, 0, tip, access=access)
    return "0x" + account.sign(transaction).raw.hex()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(work=works)
def test_both_engines_make_the_same_blocks(
    open_chain: Callable[..., EmbeddedChain], clerk: Account, drawer, work: list
) -> None:
    chains = [open_chain(None, engine=engine) for engine in ("cached", "untouched")]
    raws = [signed(clerk, 0, b"", drawer.creation, 2_000_000)]
    for nonce, (function, where, amount) in enumerate(work, start=1):
        raws.append(signed(clerk, nonce, bytes(20), drawer(function, where, amount), GAS))
    for chain in chains:
        chain.make_request("eth_sendRawTransaction", raws[:1])
    to = chains[0].head.contract
    assert to is not None
    for nonce, (function, where, amount) in enumerate(work, start=1):
        raw = signed(clerk, nonce, to, drawer(function, where, amount), GAS)
        question = {"to": "0x" + to.hex(), "data": "0x" + drawer(function, 1, amount).hex()}
        asked, taken = [], []
        for chain in chains:
            # A call and a refused transaction in between must leave no trace in either.
            asked.append(chain.make_request("eth_call", [{**question, "gas": hex(GAS)}]))
            asked.append(chain.make_request("eth_sendRawTransaction", raws[:1]))
            taken.append(chain.make_request("eth_sendRawTransaction", [raw]))
        assert asked[:2] == asked[2:]
        assert taken[0] == taken[1]
        # The header holds the state root: equal blocks are equal states.
        assert chains[0].head == chains[1].head


# Any bytes are code. Most of it fails soon, so the beginning fills the stack and the memory.
prelude = bytes.fromhex("60056003600760025f5f52366020526103e760405260016000600d60ff")
codes = st.one_of(
    st.binary(min_size=1, max_size=120),
    st.lists(
        st.sampled_from(
            [bytes([op]) for op in (*range(0x20), 0x20, *range(0x30, 0x4B), *range(0x50, 0x60))]
            + [bytes([op]) for op in (*range(0x80, 0xA5), 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFA, 0xFF)]
            + [b"\x60\x03", b"\x61\x01\x00", b"\x60\x00", b"\x60\x05\x54", b"\x60\x01\x60\x05\x55"]
            + [b"\x7f" + bytes(31) + b"\x09", b"\x63\xff\xff\xff\xff", b"\x5b"]
        ),
        min_size=1,
        max_size=60,
    ).map(b"".join),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(code=codes, filled=st.booleans())
def test_both_engines_run_any_code_alike(
    open_chain: Callable[..., EmbeddedChain], clerk: Account, code: bytes, *, filled: bool
) -> None:
    running = prelude + code if filled else code
    # Returns `running` as the contract: PUSH1 size, PUSH1 offset, PUSH0, CODECOPY, RETURN.
    creation = bytes((0x60, len(running), 0x80, 0x60, 9, 0x5F, 0x39, 0x5F, 0xF3)) + running
    heads = []
    for engine in ("cached", "untouched"):
        chain = open_chain(None, engine=engine)
        chain.make_request("eth_sendRawTransaction", [signed(clerk, 0, b"", creation, 200_000)])
        to = chain.head.contract or bytes(20)
        for nonce in (1, 2):
            raw = signed(clerk, nonce, to, b"some data to read", 150_000)
            chain.make_request("eth_sendRawTransaction", [raw])
        # The code as creation code, and a call of what is there now.
        chain.make_request("eth_sendRawTransaction", [signed(clerk, 3, b"", running, 150_000)])
        question = {"to": "0x" + to.hex(), "data": "0x1234", "gas": hex(150_000)}
        heads.append((chain.head, chain.make_request("eth_call", [question])))
        chain.close()
    assert heads[0] == heads[1]
    assert heads[0][0].number == 4


def test_the_speed_ups_are_taken_off_after_each_use(chain: EmbeddedChain) -> None:
    from ethereum.forks.osaka.vm import interpreter  # noqa: PLC0415
    from ethereum_types.numeric import Uint  # noqa: PLC0415

    from commonwatt.chain.embedded import speedups  # noqa: PLC0415

    published = interpreter.begin_transaction
    with speedups.applied():
        assert interpreter.begin_transaction is not published
    assert interpreter.begin_transaction is published
    with speedups.taken_off():
        assert "__init__" not in vars(Uint)
    with speedups.applied():
        assert "__init__" in vars(Uint)
    assert chain.head.number == 0


@dataclass(frozen=True)
class Outcome:
    """What two engines must agree on."""

    status: int
    gas_used: int
    logs: tuple[tuple[str, tuple[bytes, ...], bytes], ...]
    contract: str | None

    @classmethod
    def of(cls, receipt: Receipt | None) -> "Outcome":
        assert receipt is not None
        logs = tuple((log.address, log.topics, log.data) for log in receipt.logs)
        return cls(receipt.status, receipt.gas_used, logs, receipt.contract_address)


@pytest.fixture(scope="module")
def anvil() -> Iterator[Connection]:
    with running_anvil(CHAIN_ID) as url, Connection.http(url) as connection:
        yield connection


def test_anvil_agrees_on_gas_status_logs_and_storage(
    anvil: Connection, connection: Connection, neighbour: Account, drawer
) -> None:
    raws = [signed(neighbour, 0, b"", drawer.creation, 2_000_000)]
    outcomes, contracts = [], []
    for engine in (connection, anvil):
        engine.request("eth_sendRawTransaction", raws[0])
        receipt = engine.wait(hash_of(raws[0]))
        contracts.append(receipt.contract_address)
    assert contracts[0] == contracts[1] is not None
    to = bytes.fromhex(contracts[0][2:])
    cases = [(f, n, a) for f in FUNCTIONS for n, a in ((0, 5), (0, 13), (1, 9), (0, 0), (2, 7))]
    for nonce, (function, where, amount) in enumerate(cases, start=1):
        raws.append(signed(neighbour, nonce, to, drawer(function, where, amount), GAS))
    for engine in (connection, anvil):
        for raw in raws[1:]:
            engine.request("eth_sendRawTransaction", raw)
        outcomes.append([Outcome.of(engine.wait(hash_of(raw))) for raw in raws])
    assert outcomes[0] == outcomes[1]
    assert {outcome.status for outcome in outcomes[0]} == {0, 1}
    assert {raw[:4] for raw in raws} == {"0xf8", "0xf9", "0x01", "0x02"}
    for slot in (0, 1, 2, 3):
        ours, theirs = (
            engine.request("eth_getStorageAt", contracts[0], hex(slot), "latest")
            for engine in (connection, anvil)
        )
        assert int(ours, 16) == int(theirs, 16)
    for number in range(12):
        answers = {
            engine.call(contracts[0], drawer("drawers", number)) for engine in (connection, anvil)
        }
        assert len(answers) == 1
    made = [engine.call(contracts[0], drawer("copies", 1)) for engine in (connection, anvil)]
    assert made[0] == made[1] != bytes(32)


def test_the_same_connection_works_on_a_node(anvil: Connection, clerk: Account, drawer) -> None:
    address = anvil.send(clerk, None, drawer.creation).contract_address
    assert address is not None
    receipts = anvil.send_many(clerk, [Message(address, drawer("file", n, n)) for n in range(5)])
    assert [receipt.status for receipt in receipts] == [1] * 5
    assert len(anvil.logs(address, [None, (3).to_bytes(32, "big")])) == 1
    assert len(anvil.logs(address)) == 5
    with pytest.raises(CallReverted, match="drawer: unlucky"):
        anvil.send(clerk, address, drawer("file", 1, 13))  # the estimate says so: not sent
    with pytest.raises(TransactionReverted, match="drawer: unlucky"):
        anvil.send(clerk, address, drawer("file", 1, 13), gas=200_000)
    with pytest.raises(TransactionReverted, match="out of gas"):
        anvil.send(clerk, address, drawer("burn", 1, 0), gas=100_000)
    with pytest.raises(CallReverted, match="drawer: unlucky"):
        anvil.call(address, drawer("file", 1, 13))
    named = Message(address, drawer("file", 3, 4), slots=(0, 1))
    assert anvil.send_many(clerk, [replace(named, gas=200_000)])[0].succeeded
    shown = anvil.request("eth_getBlockByNumber", "latest", FULL)["transactions"][0]
    assert (shown["type"], len(shown["accessList"][0]["storageKeys"])) == ("0x1", 2)
    # Two slots do not pay for their contract: the node's estimates say so, and nothing is named.
    assert anvil.send_many(clerk, [named])[0].succeeded
    shown = anvil.request("eth_getBlockByNumber", "latest", FULL)["transactions"][0]
    assert shown["type"] == "0x0"
    # A nonce that another process used meanwhile is found out and not an error.
    Connection(anvil._rpc).send(clerk, address, drawer("file", 2, 2))
    assert anvil.send(clerk, address, drawer("file", 2, 3)).succeeded


def test_where_gas_has_a_price_it_is_paid(drawer) -> None:
    rich = Account.from_key(DEV_KEY)
    price = ("--block-base-fee-per-gas", "1000000000")
    with running_anvil(CHAIN_ID, *price) as url, Connection.http(url) as connection:
        address = connection.send(rich, None, drawer.creation).contract_address
        assert address is not None
        assert connection.send(rich, address, drawer("file", 1, 2)).succeeded
        newest = connection.request("eth_getBlockByNumber", "latest", FULL)
        assert newest["transactions"][0]["type"] == "0x2"
        assert int(newest["transactions"][0]["gasPrice"], 16) > 0


def hash_of(raw: str) -> bytes:
    from commonwatt.chain.encoding import keccak  # noqa: PLC0415

    return keccak(bytes.fromhex(raw[2:]))

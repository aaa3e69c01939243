"""Roots, headers and receipts: computed our way, and the specification's."""

from ethereum.forks.osaka.blocks import Header, Receipt
from ethereum.forks.osaka.blocks import Log as SpecLog
from ethereum.forks.osaka.bloom import logs_bloom
from ethereum.forks.osaka.trie import Trie as SpecTrie
from ethereum.forks.osaka.trie import root, trie_set
from ethereum_rlp import rlp as spec_rlp
from ethereum_types.bytes import Bytes20, Bytes32, Bytes256
from ethereum_types.numeric import U256, Uint
from hypothesis import given, settings
from hypothesis import strategies as st

from commonwatt.chain.connection import Account, Connection
from commonwatt.chain.embedded import EmbeddedChain, header
from commonwatt.chain.embedded.block import LogEntry
from commonwatt.chain.embedded.trie import Trie, single_root
from commonwatt.chain.encoding import keccak, rlp

HASHES = False

# Few keys, so that the same ones are set, changed and removed over and over again.
writes = st.lists(st.tuples(st.integers(0, 40), st.one_of(st.just(0), st.integers(0, 2**256 - 1))))


@settings(max_examples=60, deadline=None)
@given(writes=writes)
def test_after_any_writes_the_root_is_the_specifications(writes: list[tuple[int, int]]) -> None:
    ours, theirs = Trie(), SpecTrie(secured=True, default=U256(0))
    for number, value in writes:
        key = Bytes32(number.to_bytes(32, "big"))
        trie_set(theirs, key, U256(value))
        ours.put(keccak(key), rlp(value) if value else None)
        if number % 5 == 0:  # asking in between must not matter
            ours.root()
    assert ours.root() == root(theirs)


@given(keys=st.lists(st.binary(min_size=2, max_size=2), unique=True), data=st.data())
def test_removing_everything_in_any_order_leaves_the_empty_root(
    keys: list[bytes], data: st.DataObject
) -> None:
    trie = Trie()
    for key in keys:
        trie.put(key, b"value")
    for key in data.draw(st.permutations(keys)):
        trie.put(key, None)
    assert trie.root() == Trie().root()


@given(value=st.binary(min_size=1, max_size=600))
def test_the_root_of_a_single_item_is_the_specifications(value: bytes) -> None:
    trie = SpecTrie(secured=False, default=None)
    trie_set(trie, spec_rlp.encode(Uint(0)), value)
    assert single_root(value) == root(trie)


logs = st.lists(
    st.builds(
        LogEntry,
        address=st.binary(min_size=20, max_size=20),
        topics=st.lists(st.binary(min_size=32, max_size=32), max_size=4).map(tuple),
        data=st.binary(max_size=70),
    ),
    max_size=4,
).map(tuple)


@settings(max_examples=40, deadline=None)
@given(logs=logs, gas=st.integers(0, 2**40), succeeded=st.booleans())
def test_receipts_and_blooms_are_the_specifications(
    logs: tuple[LogEntry, ...], gas: int, *, succeeded: bool
) -> None:
    theirs = tuple(
        SpecLog(Bytes20(log.address), tuple(map(Bytes32, log.topics)), log.data) for log in logs
    )
    bloom = logs_bloom(theirs)
    assert header.bloom(logs) == bloom
    receipt = spec_rlp.encode(Receipt(succeeded, Uint(gas), Bytes256(bloom), theirs))
    for raw, prefix in ((b"\xf8", b""), (b"\x02", b"\x02")):
        ours = header.receipt(raw, succeeded=succeeded, gas_used=gas, logs=logs)
        assert ours == prefix + receipt


def test_a_header_read_by_the_specification_says_what_the_block_says(
    chain: EmbeddedChain, connection: Connection, deployed: str, clerk: Account, drawer
) -> None:
    connection.send(clerk, deployed, drawer("file", 1, 2))
    block = chain.head
    parsed = spec_rlp.decode_to(Header, block.header)
    assert spec_rlp.encode(parsed) == block.header
    assert (int(parsed.number), int(parsed.gas_used)) == (2, block.gas_used)
    assert int(parsed.timestamp) == block.timestamp
    assert parsed.bloom == header.bloom(block.logs) != bytes(256)
    shown = connection.request("eth_getBlockByNumber", "latest", HASHES)
    assert shown["hash"] == "0x" + keccak(spec_rlp.encode(parsed)).hex()
    for name, value in {
        "parentHash": parsed.parent_hash,
        "sha3Uncles": parsed.ommers_hash,
        "miner": parsed.coinbase,
        "stateRoot": parsed.state_root,
        "transactionsRoot": parsed.transactions_root,
        "receiptsRoot": parsed.receipt_root,
        "logsBloom": parsed.bloom,
        "extraData": parsed.extra_data,
        "mixHash": parsed.prev_randao,
        "nonce": parsed.nonce,
        "withdrawalsRoot": parsed.withdrawals_root,
        "parentBeaconBlockRoot": parsed.parent_beacon_block_root,
        "requestsHash": parsed.requests_hash,
    }.items():
        assert shown[name] == "0x" + value.hex(), name
    for name, number in {
        "difficulty": parsed.difficulty,
        "gasLimit": parsed.gas_limit,
        "baseFeePerGas": parsed.base_fee_per_gas,
        "blobGasUsed": parsed.blob_gas_used,
        "excessBlobGas": parsed.excess_blob_gas,
    }.items():
        assert int(shown[name], 16) == int(number), name

"""Headers: everything Ethereum puts into one (Osaka), and blocks chained by its hash.

A header is a function of the block's content: `seal` computes it, `check` computes it again.
"""

from hashlib import sha256

from commonwatt.chain.embedded.block import Block, LogEntry
from commonwatt.chain.embedded.trie import EMPTY_ROOT, single_root
from commonwatt.chain.encoding import keccak, rlp

BLOCK_GAS_LIMIT = 36_000_000
NOBODY = bytes(20)
"""Collects the fees, of which there are none."""

NO_UNCLES = keccak(rlp(()))
NO_REQUESTS = sha256().digest()
_BLOOM_BYTES = 256
_LEGACY_FIRST_BYTE = 0x80

PARENT, STATE_ROOT = slice(4, 36), slice(91, 123)
TRANSACTIONS_ROOT, RECEIPTS_ROOT, BLOOM = slice(124, 156), slice(157, 189), slice(192, 448)
"""Where fields lie in a header's RLP: all before the first of variable length."""


def genesis(chain_id: int) -> Block:
    """Block 0: no transaction, no account, and the chain's id in its header."""
    header = _header(
        parent=bytes(32),
        state_root=EMPTY_ROOT,
        transactions_root=EMPTY_ROOT,
        receipts_root=EMPTY_ROOT,
        logs=(),
        number=0,
        gas_used=0,
        timestamp=0,
        extra=extra_data(0, chain_id),
    )
    return Block(
        number=0,
        timestamp=0,
        hash=keccak(header),
        header=header,
        raw=b"",
        tx_hash=b"",
        sender=b"",
        contract=None,
        succeeded=True,
        gas_used=0,
        logs=(),
    )


def seal(
    raw: bytes,
    *,
    number: int,
    timestamp: int,
    parent: bytes,
    state_root: bytes,
    sender: bytes,
    contract: bytes | None,
    succeeded: bool,
    gas_used: int,
    logs: tuple[LogEntry, ...],
) -> Block:
    """Put a transaction and what it did into a block on top of `parent` (its hash)."""
    header = _header(
        parent=parent,
        state_root=state_root,
        transactions_root=single_root(raw),
        receipts_root=single_root(receipt(raw, succeeded=succeeded, gas_used=gas_used, logs=logs)),
        logs=logs,
        number=number,
        gas_used=gas_used,
        timestamp=timestamp,
        extra=b"",
    )
    return Block(
        number=number,
        timestamp=timestamp,
        hash=keccak(header),
        header=header,
        raw=raw,
        tx_hash=keccak(raw),
        sender=sender,
        contract=contract,
        succeeded=succeeded,
        gas_used=gas_used,
        logs=logs,
    )


def check(block: Block, chain_id: int) -> bool:
    """Whether a block's header and hashes are those of its content."""
    if block.number == 0:
        return block == genesis(chain_id)
    return block == seal(
        block.raw,
        number=block.number,
        timestamp=block.timestamp,
        parent=parent_of(block),
        state_root=state_root_of(block),
        sender=block.sender,
        contract=block.contract,
        succeeded=block.succeeded,
        gas_used=block.gas_used,
        logs=block.logs,
    )


def extra_data(number: int, chain_id: int) -> bytes:
    """The field a block's maker may fill: block 0 names the chain, the others are silent."""
    return b"" if number else f"commonwatt/{chain_id}".encode()


def parent_of(block: Block) -> bytes:
    """The hash of the block before."""
    return block.header[PARENT]


def state_root_of(block: Block) -> bytes:
    """The root over all accounts and storage after the block."""
    return block.header[STATE_ROOT]


def receipt(raw: bytes, *, succeeded: bool, gas_used: int, logs: tuple[LogEntry, ...]) -> bytes:
    """The receipt of the only transaction in a block, in RLP, behind its type if it has one."""
    encoded = rlp(
        (int(succeeded), gas_used, bloom(logs), [(e.address, e.topics, e.data) for e in logs])
    )
    return encoded if raw[0] >= _LEGACY_FIRST_BYTE else raw[:1] + encoded


def bloom(logs: tuple[LogEntry, ...]) -> bytes:
    """The filter of 2,048 bits in which each address and topic sets three."""
    bits = 0
    for item in {item for entry in logs for item in (entry.address, *entry.topics)}:
        digest = keccak(item)
        for at in (0, 2, 4):
            bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 0x7FF)
    return bits.to_bytes(_BLOOM_BYTES, "big")


def _header(
    *,
    parent: bytes,
    state_root: bytes,
    transactions_root: bytes,
    receipts_root: bytes,
    logs: tuple[LogEntry, ...],
    number: int,
    gas_used: int,
    timestamp: int,
    extra: bytes,
) -> bytes:
    """The 21 fields of an Osaka header, in RLP."""
    return rlp(
        (
            parent,
            NO_UNCLES,
            NOBODY,
            state_root,
            transactions_root,
            receipts_root,
            bloom(logs),
            0,  # difficulty
            number,
            BLOCK_GAS_LIMIT,
            gas_used,
            timestamp,
            extra,
            bytes(32),  # randomness
            bytes(8),  # nonce
            0,  # base fee
            EMPTY_ROOT,  # withdrawals
            0,  # blob gas used
            0,  # excess blob gas
            bytes(32),  # beacon root
            NO_REQUESTS,
        )
    )

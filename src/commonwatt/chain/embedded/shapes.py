"""Values in the form JSON-RPC gives them: hexadecimal strings, blocks, receipts, transactions."""

from collections.abc import Sequence
from typing import Any

from ethereum_types.bytes import Bytes0

from commonwatt.chain.account import AccessList
from commonwatt.chain.embedded import header as headers
from commonwatt.chain.embedded.block import Block, LogEntry
from commonwatt.chain.embedded.engine import decode
from commonwatt.chain.embedded.trie import EMPTY_ROOT

ADDRESS_BYTES = 20


def data(value: bytes) -> str:
    """Bytes as `0x...`."""
    return "0x" + value.hex()


def blob(value: str | bytes) -> bytes:
    """`0x...` as bytes.

    Raises:
        ValueError: it is not hexadecimal with `0x` in front.
    """
    if isinstance(value, bytes):
        return bytes(value)
    if not value.startswith(("0x", "0X")):
        msg = f"hex string without 0x prefix: {value[:12]}"
        raise ValueError(msg)
    return bytes.fromhex(value[2:])


def address(value: str | bytes) -> bytes:
    """`0x...` as an address."""
    found = blob(value)
    if len(found) != ADDRESS_BYTES:
        msg = f"an address has 20 bytes, not {len(found)}"
        raise ValueError(msg)
    return found


def number(value: str | int) -> int:
    """`0x...` as a whole number; plain numbers pass."""
    return value if isinstance(value, int) else int(value, 16)


def access(named: Sequence[dict[str, Any]]) -> AccessList:
    """The access list of a question."""
    return tuple(
        (address(one["address"]), tuple(map(number, one.get("storageKeys") or ()))) for one in named
    )


def log(entry: LogEntry, block: Block, position: int) -> dict[str, Any]:
    """One log entry."""
    return {
        "address": data(entry.address),
        "topics": [data(topic) for topic in entry.topics],
        "data": data(entry.data),
        "blockNumber": hex(block.number),
        "blockHash": data(block.hash),
        "blockTimestamp": hex(block.timestamp),
        "transactionHash": data(block.tx_hash),
        "transactionIndex": "0x0",
        "logIndex": hex(position),
        "removed": False,
    }


def receipt(block: Block) -> dict[str, Any]:
    """What became of the block's transaction."""
    tx = decode(block.raw)
    return {
        "transactionHash": data(block.tx_hash),
        "transactionIndex": "0x0",
        "blockHash": data(block.hash),
        "blockNumber": hex(block.number),
        "from": data(block.sender),
        "to": None if isinstance(tx.to, Bytes0) else data(tx.to),
        "contractAddress": None if block.contract is None else data(block.contract),
        "status": hex(block.succeeded),
        "gasUsed": hex(block.gas_used),
        "cumulativeGasUsed": hex(block.gas_used),
        "effectiveGasPrice": hex(_price(tx)),
        "type": hex(_kind(block.raw)),
        "logs": [log(entry, block, position) for position, entry in enumerate(block.logs)],
        "logsBloom": data(headers.bloom(block.logs)),
    }


def transaction(block: Block, chain_id: int) -> dict[str, Any]:
    """The block's transaction."""
    tx = decode(block.raw)
    kind = _kind(block.raw)
    shown: dict[str, Any] = {
        "hash": data(block.tx_hash),
        "blockHash": data(block.hash),
        "blockNumber": hex(block.number),
        "transactionIndex": "0x0",
        "type": hex(kind),
        "chainId": hex(chain_id),
        "from": data(block.sender),
        "to": None if isinstance(tx.to, Bytes0) else data(tx.to),
        "nonce": hex(int(tx.nonce)),
        "gas": hex(int(tx.gas)),
        "gasPrice": hex(_price(tx)),
        "value": hex(int(tx.value)),
        "input": data(tx.data),
        "v": hex(int(tx.v if kind == 0 else tx.y_parity)),
        "r": hex(int(tx.r)),
        "s": hex(int(tx.s)),
    }
    if kind > 0:
        shown["yParity"] = shown["v"]
        shown["accessList"] = [
            {"address": data(named.account), "storageKeys": [data(slot) for slot in named.slots]}
            for named in tx.access_list
        ]
    if kind > 1:
        shown["maxFeePerGas"] = hex(int(tx.max_fee_per_gas))
        shown["maxPriorityFeePerGas"] = hex(int(tx.max_priority_fee_per_gas))
    return shown


def block(found: Block, chain_id: int, *, full: bool) -> dict[str, Any]:
    """A block; with whole transactions if `full`, else with their hashes."""
    transactions: list[Any] = []
    if found.raw:
        transactions = [transaction(found, chain_id) if full else data(found.tx_hash)]
    return {
        "number": hex(found.number),
        "hash": data(found.hash),
        "parentHash": data(found.header[headers.PARENT]),
        "sha3Uncles": data(headers.NO_UNCLES),
        "miner": data(headers.NOBODY),
        "stateRoot": data(found.header[headers.STATE_ROOT]),
        "transactionsRoot": data(found.header[headers.TRANSACTIONS_ROOT]),
        "receiptsRoot": data(found.header[headers.RECEIPTS_ROOT]),
        "logsBloom": data(found.header[headers.BLOOM]),
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "gasLimit": hex(headers.BLOCK_GAS_LIMIT),
        "gasUsed": hex(found.gas_used),
        "timestamp": hex(found.timestamp),
        "extraData": data(headers.extra_data(found.number, chain_id)),
        "mixHash": data(bytes(32)),
        "nonce": data(bytes(8)),
        "baseFeePerGas": "0x0",
        "withdrawalsRoot": data(EMPTY_ROOT),
        "withdrawals": [],
        "blobGasUsed": "0x0",
        "excessBlobGas": "0x0",
        "parentBeaconBlockRoot": data(bytes(32)),
        "requestsHash": data(headers.NO_REQUESTS),
        "size": hex(len(found.header) + len(found.raw)),
        "transactions": transactions,
        "uncles": [],
    }


def _kind(raw: bytes) -> int:
    """The transaction's type: 0 for legacy, else its first byte."""
    return 0 if raw[0] > 0x7F else raw[0]  # noqa: PLR2004 - an RLP list begins above it


def _price(tx: Any) -> int:
    # The base fee is always zero, so what a fee-market transaction pays is its priority fee.
    price = tx.gas_price if hasattr(tx, "gas_price") else tx.max_priority_fee_per_gas
    return int(price)

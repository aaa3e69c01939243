"""What a chain answers, as plain values: receipts and logs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Log:
    """What a contract wrote."""

    address: str
    """The contract, in small letters."""

    topics: tuple[bytes, ...]
    """Up to four indexed words of 32 bytes; the first names the event."""

    data: bytes
    block_number: int
    tx_hash: bytes
    position: int
    """Its place in the block, counted from 0."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction."""

    tx_hash: bytes
    block_number: int
    succeeded: bool
    gas_used: int
    contract_address: str | None
    """The contract it made, in small letters."""

    logs: tuple[Log, ...]

    @property
    def status(self) -> int:
        """1 if it stands, 0 if the contract undid it."""
        return int(self.succeeded)


def read_receipt(found: dict[str, Any]) -> Receipt:
    """A receipt from its JSON-RPC form."""
    contract = found.get("contractAddress")
    return Receipt(
        tx_hash=read_bytes(found["transactionHash"]),
        block_number=int(found["blockNumber"], 16),
        succeeded=int(found["status"], 16) == 1,
        gas_used=int(found["gasUsed"], 16),
        contract_address=None if contract is None else contract.lower(),
        logs=tuple(map(read_log, found["logs"])),
    )


def read_log(found: dict[str, Any]) -> Log:
    """A log entry from its JSON-RPC form."""
    return Log(
        address=found["address"].lower(),
        topics=tuple(map(read_bytes, found["topics"])),
        data=read_bytes(found["data"]),
        block_number=int(found["blockNumber"], 16),
        tx_hash=read_bytes(found["transactionHash"]),
        position=int(found["logIndex"], 16),
    )


def write_topic(choice: bytes | Sequence[bytes] | None) -> str | list[str] | None:
    """One position of a log filter: a word, alternatives, or None for anything."""
    if choice is None:
        return None
    if isinstance(choice, bytes):
        return write_bytes(choice)
    return [write_bytes(alternative) for alternative in choice]


def write_bytes(value: bytes) -> str:
    """Bytes as JSON-RPC has them: `0x` and hexadecimal digits."""
    return "0x" + value.hex()


def read_bytes(value: str) -> bytes:
    """The bytes behind `0x`."""
    return bytes.fromhex(value[2:])

"""A block of the embedded chain as plain values: one transaction, its outcome, its header."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What a contract wrote with one LOG instruction."""

    address: bytes
    """The contract, 20 bytes."""

    topics: tuple[bytes, ...]
    """Up to four indexed words of 32 bytes."""

    data: bytes
    """Everything else, ABI-encoded by the contract."""


@dataclass(frozen=True, slots=True)
class Block:
    """One transaction and all that followed from it."""

    number: int
    timestamp: int
    """Seconds since 1970, never below the parent's."""

    hash: bytes
    """Keccak-256 of `header`, 32 bytes."""

    header: bytes
    """The Osaka header in RLP, with the state root after this block."""

    raw: bytes
    """The signed transaction as it was sent; empty in block 0."""

    tx_hash: bytes
    sender: bytes
    """The address that signed, 20 bytes."""

    contract: bytes | None
    """The address of the contract it created, if it created one."""

    succeeded: bool
    gas_used: int
    logs: tuple[LogEntry, ...]

"""Ethereum's two everyday encodings: Keccak-256, and RLP, the recursive length prefix."""

from collections.abc import Sequence
from functools import cache
from typing import Any

_SHORT_MAX = 55
_STRING, _LIST = 0x80, 0xC0

Rlp = int | bytes | Sequence["Rlp"]
"""What RLP encodes here: whole numbers, bytes, and lists of those."""


def keccak(data: bytes) -> bytes:
    """Keccak-256, 32 bytes: Ethereum's hash, older than SHA-3 and padded otherwise.

    >>> keccak(b"").hex()[:16]
    'c5d2460186f7233c'
    """
    return bytes(_keccak_module().new(digest_bits=256, data=data).digest())


@cache
def _keccak_module() -> Any:
    from Crypto.Hash import keccak as module  # noqa: PLC0415 - only who talks to a chain needs it

    return module


def rlp(value: Rlp) -> bytes:
    """The recursive length prefix of a whole number, bytes or a list.

    >>> rlp((b"cat", 1024, ())).hex()
    'c883636174820400c0'
    """
    if isinstance(value, int):
        value = value.to_bytes((value.bit_length() + 7) // 8, "big")
    if isinstance(value, bytes):
        if len(value) == 1 and value < b"\x80":
            return value
        return _prefixed(_STRING, value)
    return rlp_list(b"".join(map(rlp, value)))


def rlp_list(items: bytes) -> bytes:
    """A list whose items are encoded already, one behind the other."""
    return _prefixed(_LIST, items)


def _prefixed(base: int, body: bytes) -> bytes:
    size = len(body)
    if size <= _SHORT_MAX:
        return bytes((base + size,)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((base + _SHORT_MAX + len(length),)) + length + body

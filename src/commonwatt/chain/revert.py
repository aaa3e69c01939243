"""What a contract says when it refuses, read from the bytes it returns."""

from typing import Final

ERROR_STRING: Final = bytes.fromhex("08c379a0")
"""Selector of `Error(string)`: a refusal with a text."""

PANIC: Final = bytes.fromhex("4e487b71")
"""Selector of `Panic(uint256)`: arithmetic overflow, index out of range and the like."""

WORD = 32


def reason_of(data: bytes) -> str:
    """The text of a refusal; empty if the contract gave none.

    >>> reason_of(b"")
    ''
    """
    selector, body = data[:4], data[4:]
    if selector == ERROR_STRING and len(body) >= 2 * WORD:
        length = int.from_bytes(body[WORD : 2 * WORD], "big")
        return body[2 * WORD : 2 * WORD + length].decode(errors="replace")
    if selector == PANIC and len(body) >= WORD:
        return f"panic 0x{int.from_bytes(body[:WORD], 'big'):02x}"
    return f"0x{data.hex()}" if data else ""

"""Calls to the contracts of one community by name: what the client's methods are made of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from commonwatt.chain.abi import contract
from commonwatt.chain.connection import Account, Connection, Message, Receipt
from commonwatt.chain.errors import ChainError

CONTRACT_OF = {
    "registry": "Registry",
    "settlement": "Settlement",
    "certificate": "Certificate",
    "token": "Euro",
    "exchange": "Exchange",
    "book": "Book",
}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a community's contracts are, 20 bytes each."""

    registry: bytes
    settlement: bytes
    certificate: bytes
    token: bytes
    exchange: bytes
    book: bytes


class Calls:
    """The contracts of one community, called by their place in it."""

    def __init__(self, connection: Connection, addresses: Addresses) -> None:
        """Use contracts that are there.

        Raises:
            ChainError: there is no contract at one of the addresses.
        """
        self.connection = connection
        self.addresses = addresses
        self.chain_id = connection.chain_id
        for name in CONTRACT_OF:
            address = getattr(addresses, name)
            if not connection.code(text_of(address)):
                msg = (
                    f"{name}: no contract at {text_of(address)} on chain {self.chain_id}; "
                    "is this the right chain?"
                )
                raise ChainError(msg)

    def _ask(self, where: str, function: str, *values: object) -> tuple[Any, ...]:
        known = contract(CONTRACT_OF[where])
        returned = self.connection.call(self._at(where), known.data(function, *values))
        return known.answer(function, returned)

    def _send(self, sender: Account, where: str, function: str, *values: object) -> Receipt:
        return self._send_many(sender, [(where, function, values)])[0]

    def _send_many(
        self, sender: Account, calls: Iterable[tuple[str, str, Sequence[object]]]
    ) -> list[Receipt]:
        messages = [
            Message(self._at(where), contract(CONTRACT_OF[where]).data(function, *values))
            for where, function, values in calls
        ]
        return self.connection.send_many(sender, messages)

    def _at(self, where: str) -> str:
        return text_of(getattr(self.addresses, where))


def halves(signature: bytes) -> tuple[int, int]:
    """`r` and `s` of a signature of 64 bytes."""
    return int.from_bytes(signature[:32]), int.from_bytes(signature[32:])


def text_of(address: bytes) -> str:
    """An address as nodes write it."""
    return "0x" + address.hex()


def address_of(text: str) -> bytes:
    """An address as nodes write it, read."""
    return bytes.fromhex(text[2:])

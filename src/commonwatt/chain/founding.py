"""Founding a community on a chain, so that it can be interrupted anywhere and gone on with.

One account sends a fixed list of transactions. How many of them the chain has is that account's
count of transactions less the count it started from, so nothing is ever sent twice. The contracts'
addresses follow from the account and its count, so meters can sign for the ledger before it exists.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from commonwatt.audit.facts import RegisteredMeter
from commonwatt.chain.abi import contract
from commonwatt.chain.account import Account, created_address
from commonwatt.chain.calls import Addresses
from commonwatt.chain.connection import Connection, Message, Receipt
from commonwatt.chain.errors import ChainError
from commonwatt.chain.ledger import (
    ACCOUNTS_PER_CALL_MAX,
    METERS_PER_CALL_MAX,
    Ledger,
)
from commonwatt.chain.ledger import new_meter as as_argument
from commonwatt.quantity import Currency

PIPELINE = 16
"""Transactions sent before their receipts are collected."""

LIFETIME_S = 2 * 365 * 86_400
"""How long after its interval a certificate's unit can be used: 63,072,000 s, two years."""


@dataclass(frozen=True, slots=True)
class Deposit:
    """Units to pay into a lane at the founding."""

    lane: int
    amount: int


@dataclass(frozen=True, slots=True)
class Founding:
    """One account's plan: contracts, members, meters and first deposits of one community.

    The account is issuer, operator and, for a token of its own, minter; a consortium separates
    these roles afterwards with the contracts' own functions.
    """

    account: Account
    first_nonce: int
    """Transactions the account had sent before."""
    supplier: bytes
    grid_operator: bytes
    currency: Currency
    lifetime_s: int = LIFETIME_S
    """Of a certificate's units, from the end of their interval; 0: without end."""

    @property
    def addresses(self) -> Addresses:
        """Where the contracts are, or will be."""
        token, registry, certificate, settlement, exchange, book = (
            created_address(self.account.address_bytes, self.first_nonce + step)
            for step in range(6)
        )
        return Addresses(registry, settlement, certificate, token, exchange, book)

    def messages(
        self,
        accounts: Sequence[bytes],
        meters: Sequence[RegisteredMeter],
        deposits: Sequence[Deposit],
        kept: Mapping[bytes, int],
    ) -> list[Message]:
        """All transactions, in order.

        Args:
            accounts: of the members.
            meters: to register.
            deposits: first ones.
            kept: meters whose certificates are kept in the book, and from which start.
        """
        at = self.addresses
        own = self.account.address_bytes
        name = ("Euro" if self.currency.code == "EUR" else self.currency.code, self.currency.code)
        messages = [
            Message(None, contract("Euro").creation(*name, self.currency.decimals)),
            Message(None, contract("Registry").creation()),
            Message(None, contract("Certificate").creation(at.registry, self.lifetime_s)),
            Message(
                None,
                contract("Settlement").creation(
                    at.token, at.registry, self.supplier, self.grid_operator
                ),
            ),
            Message(None, contract("Exchange").creation(at.certificate, at.token)),
            Message(None, contract("Book").creation(at.registry)),
            _call("Registry", at.registry, "found", at.settlement, own),
        ]
        for first in range(0, len(accounts), ACCOUNTS_PER_CALL_MAX):
            batch = accounts[first : first + ACCOUNTS_PER_CALL_MAX]
            messages.append(_call("Registry", at.registry, "join", at.settlement, batch))
        for first in range(0, len(meters), METERS_PER_CALL_MAX):
            entries = [as_argument(m) for m in meters[first : first + METERS_PER_CALL_MAX]]
            messages.append(
                _call("Registry", at.registry, "register_meters", at.settlement, entries)
            )
        messages += [
            _call("Certificate", at.certificate, "keep", int.from_bytes(meter), start)
            for meter, start in kept.items()
        ]
        total = sum(deposit.amount for deposit in deposits)
        messages.append(_call("Euro", at.token, "mint", own, total))
        messages.append(_call("Euro", at.token, "approve", at.settlement, total))
        messages += [
            _call("Settlement", at.settlement, "deposit", deposit.lane, deposit.amount)
            for deposit in deposits
        ]
        return messages

    def carry_out(
        self,
        connection: Connection,
        messages: Sequence[Message],
        told: Callable[[int], None] = lambda _: None,
    ) -> list[Receipt]:
        """Send what the chain does not have yet; `told` hears how many it has after each batch."""
        done = connection.nonce(self.account) - self.first_nonce
        receipts: list[Receipt] = []
        while done < len(messages):
            batch = messages[done : done + PIPELINE]
            receipts += connection.send_many(self.account, batch)
            done += len(batch)
            told(done)
        return receipts


def deploy(
    connection: Connection,
    *,
    issuer: Account,
    operator: bytes,
    supplier: bytes,
    grid_operator: bytes,
    token: bytes | None = None,
    registry: bytes | None = None,
    certificate: bytes | None = None,
    exchange: bytes | None = None,
    book: bytes | None = None,
    currency: tuple[str, str, int] = ("Euro", "EUR", 8),
    lifetime_s: int = LIFETIME_S,
) -> Ledger:
    """Create a community's contracts and found it, in one go and with separate roles.

    For a registry that is shared, and for trying things out; `Founding` is what survives a kill.

    Args:
        connection: the chain.
        issuer: sends everything; becomes issuer of a new registry and minter of a new token.
        operator: account that runs the community.
        supplier: account of the supplier's lane.
        grid_operator: account of the grid operator's lane.
        token: an ERC-20 to pay in; None makes a new one.
        registry: one that is there, of the same issuer; None makes a new one.
        certificate: the one of that registry; None makes a new one.
        exchange: the one of those certificates and that token; None makes a new one.
        book: the one of that registry; None makes a new one.
        currency: name, symbol and decimals of a new token.
        lifetime_s: of the units of a new certificate contract; 0: without end.
    """

    def made(name: str, *values: object) -> bytes:
        receipt = connection.send(issuer, None, contract(name).creation(*values))
        if receipt.contract_address is None:  # not seen; nodes always name it
            raise ChainError(f"{name}: the chain did not say where it is; send it again")
        return bytes.fromhex(receipt.contract_address[2:])

    token = token or made("Euro", *currency)
    registry = registry or made("Registry")
    certificate = certificate or made("Certificate", registry, lifetime_s)
    settlement = made("Settlement", token, registry, supplier, grid_operator)
    exchange = exchange or made("Exchange", certificate, token)
    book = book or made("Book", registry)
    data = contract("Registry").data("found", settlement, operator)
    connection.send(issuer, "0x" + registry.hex(), data)
    at = Addresses(registry, settlement, certificate, token, exchange, book)
    return Ledger(connection, at)


def _call(name: str, address: bytes, function: str, *values: object) -> Message:
    return Message("0x" + address.hex(), contract(name).data(function, *values))

"""Founding a community on a chain and remembering it: for a demonstration and for a service."""

from collections.abc import Callable, Mapping, Sequence

from commonwatt.audit.facts import RegisteredMeter
from commonwatt.chain.account import Account
from commonwatt.chain.connection import Connection
from commonwatt.chain.founding import Deposit, Founding
from commonwatt.chain.ledger import Ledger
from commonwatt.node.store import Database
from commonwatt.quantity import Currency
from commonwatt.statement.community import ChainAddress, Community

FIRST_NONCE, FOUNDING_GAS = "first nonce", "founding gas"
"""Notes in a community's database."""


def founding_of(
    connection: Connection,
    database: Database,
    *,
    account: Account,
    supplier: bytes,
    grid_operator: bytes,
    currency: Currency,
) -> Founding:
    """The plan of who sends what, the same after every restart.

    Args:
        connection: the chain.
        database: the community's, which keeps what the plan starts from.
        account: sends everything; becomes issuer and operator.
        supplier: account of the supplier's lane.
        grid_operator: account of the grid operator's lane.
        currency: what is paid in.
    """
    kept = database.note(FIRST_NONCE)
    if kept is None:
        database.take_note(FIRST_NONCE, connection.nonce(account).to_bytes(8))
        kept = database.note(FIRST_NONCE) or b""
    return Founding(
        account=account,
        first_nonce=int.from_bytes(kept),
        supplier=supplier,
        grid_operator=grid_operator,
        currency=currency,
    )


def address_of(connection: Connection, founding: Founding) -> ChainAddress:
    """Where the community is, or will be."""
    at = founding.addresses
    return ChainAddress(
        chain_id=connection.chain_id,
        registry=at.registry,
        settlement=at.settlement,
        certificate=at.certificate,
        token=at.token,
        exchange=at.exchange,
        book=at.book,
    )


def found(  # noqa: PLR0917 - a founding has as many parts
    connection: Connection,
    database: Database,
    founding: Founding,
    community: Community,
    deposits: Sequence[Deposit],
    kept: Mapping[bytes, int],
    told: Callable[[int, int], None] = lambda *_: None,
) -> Ledger:
    """Send of the founding what the chain does not have yet.

    Args:
        connection: the chain.
        database: remembers what it cost.
        founding: the plan.
        community: members and meters.
        deposits: what is paid in first.
        kept: generators whose certificates are kept in the book, and from which start.
        told: hears how many of how many transactions are done.
    """
    meters = [RegisteredMeter.of(registration) for registration in community.registrations]
    messages = founding.messages(community.accounts, meters, deposits, kept)
    receipts = founding.carry_out(connection, messages, lambda done: told(done, len(messages)))
    gas = sum(receipt.gas_used for receipt in receipts)
    database.take_note(FOUNDING_GAS, gas.to_bytes(16))
    return Ledger(connection, founding.addresses)

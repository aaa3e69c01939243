"""Who works for a community: one node at a time, for a while, and longer only if it says so.

Times are the database's, never a node's. Each taking over counts the lease's token up; a node's
writes carry the token and are refused once it has moved on, so a node that slept through the end of
its lease can do no harm, however sure it is of itself. A row stays for ever: tokens never start
again.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, or_, select, update

from commonwatt.errors import CommonwattError
from commonwatt.node.store.dialect import NowMs, insert_or, is_postgresql
from commonwatt.node.store.schema import lease as _lease
from commonwatt.node.store.transactions import Transactions

MS_PER_S = 1_000


class LeaseLost(CommonwattError):
    """Another node has taken a community over; nothing was written."""

    def __init__(self, community: bytes, node: str, token: int) -> None:
        """Name the community, the node that is too late, and its token."""
        super().__init__(
            f"community {community.hex()}: {node} no longer works for it (lease {token} is over); "
            "another node has taken over, nothing was written"
        )
        self.community, self.node, self.token = community, node, token


@dataclass(frozen=True, slots=True)
class Lease:
    """A node's right to write for a community."""

    community: bytes
    node: str
    token: int
    """Larger than that of anybody before."""
    until_ms: int
    """By the database's clock."""


class Leases:
    """All communities' leases."""

    def __init__(self, transactions: Transactions) -> None:
        """Over a database that is up to date."""
        self._transactions = transactions

    def acquire(self, community: bytes, node: str, seconds: float) -> Lease | None:
        """Take a community nobody works for; None while another node does.

        A node takes its own lease over from an earlier process of the same name at once; the
        earlier one's writes are refused from then on.
        """
        until = NowMs() + round(seconds * MS_PER_S)
        with self._transactions.writing() as connection:
            statement = insert_or(connection, _lease)
            row = connection.execute(
                statement.values(community=community, node=node, token=1, until_ms=until)
                .on_conflict_do_update(
                    index_elements=["community"],
                    set_={"node": node, "token": _lease.c.token + 1, "until_ms": until},
                    where=or_(_lease.c.until_ms <= NowMs(), _lease.c.node == node),
                )
                .returning(_lease.c.token, _lease.c.until_ms)
            ).first()
        return None if row is None else Lease(community, node, row[0], row[1])

    def renew(self, lease: Lease, seconds: float) -> Lease | None:
        """Keep a lease for longer; None if another node has it now."""
        with self._transactions.writing() as connection:
            row = connection.execute(
                update(_lease)
                .where(_lease.c.community == lease.community, _lease.c.token == lease.token)
                .values(until_ms=NowMs() + round(seconds * MS_PER_S))
                .returning(_lease.c.until_ms)
            ).first()
        return None if row is None else Lease(lease.community, lease.node, lease.token, row[0])

    def release(self, lease: Lease) -> None:
        """Let others have it at once; our own writes under it are over, too."""
        with self._transactions.writing() as connection:
            connection.execute(
                update(_lease)
                .where(_lease.c.community == lease.community, _lease.c.token == lease.token)
                .values(node="", token=_lease.c.token + 1, until_ms=0)
            )

    def held(self) -> list[Lease]:
        """Leases that have not run out, by community."""
        query = select(_lease).where(_lease.c.until_ms > NowMs()).order_by(_lease.c.community)
        with self._transactions.reading() as connection:
            return [Lease(*row) for row in connection.execute(query)]


def require_held(connection: Connection, lease: Lease) -> None:
    """Raise `LeaseLost` if the lease has gone to another; until our transaction ends it cannot."""
    query = select(_lease.c.token).where(
        _lease.c.community == lease.community, _lease.c.token == lease.token
    )
    if is_postgresql(connection):
        query = query.with_for_update(read=True)
    if connection.execute(query).first() is None:
        raise LeaseLost(lease.community, lease.node, lease.token)

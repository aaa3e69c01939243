"""One community's rows, and who may write them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection

from commonwatt.errors import require
from commonwatt.node.store.leases import Lease, require_held
from commonwatt.node.store.schema import COMMUNITY_BYTES
from commonwatt.node.store.transactions import Transactions


class Scope:
    """A community in a database; with a lease, every write asks whether it still holds."""

    def __init__(
        self, transactions: Transactions, community: bytes, lease: Lease | None = None
    ) -> None:
        """Over a database that is up to date.

        Args:
            transactions: the database.
            community: 20 bytes.
            lease: of this community; None where nobody else could write.
        """
        require("a community has 20 bytes", len(community) == COMMUNITY_BYTES, got=len(community))
        mine = lease is None or lease.community == community
        require("a lease is of the community it is used for", mine, community=community.hex())
        self.community, self._lease = community, lease
        self._transactions = transactions

    @property
    def name(self) -> str:
        """Of the database, for messages."""
        return self._transactions.name

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that only reads; raises `DatabaseUnusable`."""
        return self._transactions.reading()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes; raises `DatabaseUnusable`, and `LeaseLost` before anything."""
        with self._transactions.writing() as connection:
            if self._lease is not None:
                require_held(connection, self._lease)
            yield connection

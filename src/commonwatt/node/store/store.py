"""A database of many communities, opened."""

from pathlib import Path

from sqlalchemy import URL, select

from commonwatt.node.store.answers import Answers
from commonwatt.node.store.database import Database
from commonwatt.node.store.deliveries import Deliveries
from commonwatt.node.store.leases import Lease, Leases
from commonwatt.node.store.migration import bring_up_to_date
from commonwatt.node.store.outbox import Outbox
from commonwatt.node.store.quarantine import Quarantine
from commonwatt.node.store.schema import journal
from commonwatt.node.store.scope import Scope
from commonwatt.node.store.transactions import SQLITE, Transactions


def file_url(path: Path) -> URL:
    """The URL of a SQLite file, whatever signs its name has."""
    return URL.create(SQLITE, database=str(path))


class Store:
    """One database; all of it may be used from any thread."""

    def __init__(self, url: str | URL) -> None:
        """Open a database, and create or update its tables.

        Args:
            url: `sqlite:///FILE` or `postgresql+psycopg://USER@HOST/DATABASE`.

        Raises:
            DatabaseUnusable: if that is impossible.
        """
        self.transactions = Transactions(url)
        self.leases = Leases(self.transactions)
        """Who works for which community."""
        try:
            bring_up_to_date(self.transactions)
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """For messages: the file, or the URL without its password."""
        return self.transactions.name

    def close(self) -> None:
        """Let go of the database."""
        self.transactions.close()

    def database(self, community: bytes, lease: Lease | None = None) -> Database:
        """A community's records and statements; every write under the lease, if there is one."""
        return Database(Scope(self.transactions, community, lease))

    def outbox(self, community: bytes, lease: Lease | None = None) -> Outbox:
        """A community's closes on their way to the chain."""
        return Outbox(Scope(self.transactions, community, lease))

    def deliveries(self, community: bytes, lease: Lease | None = None) -> Deliveries:
        """A community's messages to webhooks."""
        return Deliveries(Scope(self.transactions, community, lease))

    def quarantine(self, community: bytes) -> Quarantine:
        """A community's refused records, and what was decided about them."""
        return Quarantine(Scope(self.transactions, community))

    def answers(self, community: bytes) -> Answers:
        """Answers to requests with a key, given again when the request is."""
        return Answers(Scope(self.transactions, community))

    def communities(self) -> list[bytes]:
        """Those whose records are kept here."""
        query = select(journal.c.community).distinct().order_by(journal.c.community)
        with self.transactions.reading() as connection:
            return list(connection.scalars(query))

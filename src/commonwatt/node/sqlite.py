"""A file of SQLite that keeps what it acknowledged, also after a power cut.

Reading waits for nobody: it sees the file as it was when it began. Writing takes the write lock at
once, so what a transaction read first is still so when it writes.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError

from commonwatt.node.errors import DatabaseUnusable

WAIT_MS = 30_000
"""How long a process waits for another's transaction."""
BEGIN = "commonwatt_begin"
"""Name of the execution option that says how a transaction begins."""
READ, WRITE = "BEGIN", "BEGIN IMMEDIATE"


def durable_engine(path: Path) -> Engine:
    """Connections to a file whose every transaction says by `BEGIN` how it begins."""
    engine = create_engine(
        # Parameters of statements hold records and salts: no log and no error shows them.
        URL.create("sqlite", database=str(path)),
        hide_parameters=True,
    )
    event.listen(engine, "connect", _make_durable)
    event.listen(engine, "begin", _begin)
    return engine


class SqliteFile:
    """One database file, for as many transactions as wanted."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is opened, or created, by the first transaction."""
        self._path = path
        self._engine = durable_engine(path)

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads; raises `DatabaseUnusable`."""
        with self._transaction(READ) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that only one process has at a time; raises `DatabaseUnusable`."""
        with self._transaction(WRITE) as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                connection.execution_options(**{BEGIN: begin})
                with connection.begin():
                    yield connection
        except DatabaseError as error:
            raise DatabaseUnusable(self._path, error.orig) from None


def _make_durable(connection: sqlite3.Connection, _record: object) -> None:
    # The library's own way to begin would leave the write lock for later.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {WAIT_MS}")
    # Acknowledged means on the disk, also after a power cut.
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    # A row that is replaced is deleted; without this, triggers would not hear of it.
    cursor.execute("PRAGMA recursive_triggers = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()[BEGIN])

"""Transactions that are on the disk once they return, in SQLite or in PostgreSQL.

A transaction that reads sees one moment of the database. One that writes sees what was there when
it got its turn: in SQLite there is one writer at a time, in PostgreSQL whoever decides on what it
read takes a lock first. Everything that goes wrong comes as `DatabaseUnusable`; then nothing was
written, unless the error says that it is in doubt: the connection was lost on the answer.
"""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock

from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoneFree

from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.sqlite import BEGIN, READ, WRITE, durable_engine

# It would tell every row at the lowest level, and secrets stand in some of them.
logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)

POSTGRESQL, SQLITE = "postgresql+psycopg", "sqlite"
_FORMS = "name sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"
_SERVER_STEP = "see that the server runs, lets this user in and has room, then try again"
_DRIVER = "install its driver: pip install 'commonwatt[postgresql]'"


class Transactions:
    """One database, for as many transactions as wanted, from any thread.

    A process that was forked needs its own.
    """

    def __init__(self, url: str | URL) -> None:
        """Name the database; it is opened by the first transaction."""
        self.url = _known(url)
        self.name = (
            self.url.database or ""
            if self.url.drivername == SQLITE
            else self.url.render_as_string(hide_password=True)
        )
        """For messages, without a password."""
        self._turn: AbstractContextManager[object]
        self._step: str | None = None
        self._reading: dict[str, object]
        self._writing: dict[str, object]
        if self.url.drivername == SQLITE:
            self._engine = durable_engine(Path(self.name))
            # One after another instead of asking the file again and again whether it is free.
            self._turn = Lock()
            self._reading, self._writing = {BEGIN: READ}, {BEGIN: WRITE}
        else:
            # Loads the driver; who only uses SQLite does without.
            try:
                from commonwatt.node.store.postgresql import server_engine  # noqa: PLC0415
            except ModuleNotFoundError as error:
                raise DatabaseUnusable(self.name, error, step=_DRIVER) from None
            self._engine = server_engine(self.url)
            self._turn = nullcontext()
            self._step = _SERVER_STEP
            self._reading = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            self._writing = {}

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that only reads, all of it as of one moment; raises `DatabaseUnusable`."""
        return self._transaction(self._reading)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes all or nothing; raises `DatabaseUnusable`."""
        with self._turn, self._transaction(self._writing) as connection:
            yield connection

    @contextmanager
    def _transaction(self, options: dict[str, object]) -> Iterator[Connection]:
        committing = False
        try:
            with self._engine.connect() as connection:
                connection.execution_options(**options)
                with connection.begin() as transaction:
                    yield connection
                    committing = True
                    transaction.commit()
        except (DBAPIError, NoneFree) as error:
            why = error.orig if isinstance(error, DBAPIError) else error
            raise DatabaseUnusable(self.name, why, step=self._step, in_doubt=committing) from None


def _known(url: str | URL) -> URL:
    """The URL, if it is one of ours; raises `DatabaseUnusable`."""
    try:
        found = make_url(url)
    except ArgumentError:
        # What cannot be read may hold a password: it is not repeated.
        raise DatabaseUnusable("database", "its URL cannot be read", step=_FORMS) from None
    if found.drivername in {"postgresql", "postgres"}:
        found = found.set(drivername=POSTGRESQL)
    if found.drivername not in {SQLITE, POSTGRESQL}:
        why = f"{found.drivername} is neither SQLite nor PostgreSQL"
        raise DatabaseUnusable("database", why, step=_FORMS)
    if found.drivername == SQLITE and found.database in {None, "", ":memory:"}:
        raise DatabaseUnusable("database", "memory forgets", step=_FORMS)
    return found

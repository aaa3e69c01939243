"""Connections to a PostgreSQL server that keep what they acknowledged and never wait for ever."""

from collections.abc import Iterable

from psycopg import Connection as Driver
from psycopg import Error
from psycopg import sql as words
from sqlalchemy import (
    URL,
    BigInteger,
    Connection,
    Engine,
    Float,
    LargeBinary,
    String,
    Table,
    create_engine,
    event,
)
from sqlalchemy.exc import DBAPIError

LOCK_WAIT_S = 30
"""How long a transaction waits for another's."""
IDLE_S = 10
"""A transaction whose node has gone silent is ended by the server after so long, so that the lease
it holds on to can be taken over."""
_NETWORK = {
    "application_name": "commonwatt",
    "connect_timeout": 5,
    # A peer that is gone without a word is noticed within about 20 s.
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
_TYPES = {BigInteger: "int8", LargeBinary: "bytea", String: "text", Float: "float8"}


def server_engine(url: URL) -> Engine:
    """A pool of connections; what the URL says of the network goes before our own settings."""
    settings = {name: value for name, value in _NETWORK.items() if name not in url.query}
    # A connection is tried before it is used: after a restart of the server none fails.
    engine = create_engine(url, pool_pre_ping=True, connect_args=settings, hide_parameters=True)
    event.listen(engine, "connect", _make_durable)
    return engine


def _make_durable(driver: Driver[object], _record: object) -> None:
    driver.autocommit = True
    # Acknowledged means on the disk, whatever the server's default.
    driver.execute("SET synchronous_commit = on")
    driver.execute(f"SET lock_timeout = '{LOCK_WAIT_S}s'")
    driver.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_S}s'")
    driver.autocommit = False


def copy_rows(connection: Connection, table: Table, rows: Iterable[tuple[object, ...]]) -> None:
    """Insert whole rows by COPY."""
    command = words.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(words.Identifier(table.name))
    try:
        driver: Driver[object] = connection.connection.driver_connection  # type: ignore[assignment]
        with driver.cursor() as cursor, cursor.copy(command) as copy:
            copy.set_types([_TYPES[type(column.type)] for column in table.columns])
            for row in rows:
                copy.write_row(row)
    except Error as error:
        raise DBAPIError(f"COPY {table.name}", None, error) from None

"""What SQLite and PostgreSQL say differently."""

from collections.abc import Sequence
from hashlib import sha256

from sqlalchemy import BigInteger, Connection, Table, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class NowMs(FunctionElement[int]):
    """Milliseconds of UTC by the database's clock, when the statement runs."""

    type = BigInteger()
    inherit_cache = True


@compiles(NowMs, "sqlite")
def _now_in_sqlite(_element: NowMs, _compiler: SQLCompiler, **_: object) -> str:
    return "CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


@compiles(NowMs, "postgresql")
def _now_in_postgresql(_element: NowMs, _compiler: SQLCompiler, **_: object) -> str:
    # Of the moment, not of the transaction's begin: a statement may have waited for a lock.
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


def now_ms(connection: Connection) -> int:
    """The time by the database's clock."""
    return connection.execute(select(NowMs())).scalar_one()


def is_postgresql(connection: Connection) -> bool:
    """Whether this is PostgreSQL; SQLite otherwise."""
    return connection.dialect.name == "postgresql"


def insert_or(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An insert that can say what happens where the key is taken."""
    return postgresql.insert(table) if is_postgresql(connection) else sqlite.insert(table)


def take_turn(connection: Connection, name: bytes) -> None:
    """Wait until no other transaction has this turn, and have it until the end of ours.

    SQLite has one writer at a time anyway.
    """
    if is_postgresql(connection):
        key = int.from_bytes(sha256(name).digest()[:8], signed=True)
        connection.execute(select(func.pg_advisory_xact_lock(key)))


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert many whole rows at the speed of the driver, values in the order of the columns."""
    if not rows:
        return
    if is_postgresql(connection):
        # Loads the driver; who only uses SQLite does without.
        from commonwatt.node.store.postgresql import copy_rows  # noqa: PLC0415

        copy_rows(connection, table, rows)
    else:
        statement = str(insert(table).compile(dialect=connection.dialect))
        connection.exec_driver_sql(statement, list(rows))

"""Bringing a database from the version that made it to the one this program reads.

Versions only go up. All steps that are missing are one transaction, and only one process takes it
at a time, so a database is always of one version, whole. A step makes the tables of its own
version: it has to keep a copy of those that a later version changes.
"""

from collections.abc import Callable

from sqlalchemy import (
    Connection,
    LargeBinary,
    MetaData,
    Table,
    func,
    insert,
    inspect,
    literal,
    select,
    text,
)

from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.store.dialect import is_postgresql, now_ms, take_turn
from commonwatt.node.store.journal import RECORD, REFUSED, keep
from commonwatt.node.store.schema import (
    BOOK,
    COMMUNITY_BYTES,
    STANDING_LIMITS,
    checkpoint,
    note,
    schema,
    schema_version,
    statement,
)
from commonwatt.node.store.transactions import Transactions

ONLY_COMMUNITY = bytes(COMMUNITY_BYTES)
"""The community of a database that has one and does not say which: a demonstration's."""
FIRST_TABLES = ("note", "record", "refused", "statement", "checkpoint")
"""Of version 1, which had no note of its version."""


def bring_up_to_date(transactions: Transactions) -> None:
    """Create the tables, or take the steps that are missing.

    Raises:
        DatabaseUnusable: if it cannot be opened, is newer than this program, or does not keep what
            it says it kept.
    """
    with transactions.reading() as connection:
        if is_postgresql(connection) and connection.scalar(text("SHOW fsync")) != "on":
            why = "fsync is off: what it says it keeps is gone after a power cut"
            raise DatabaseUnusable(transactions.name, why, step="set fsync = on for the server")
        if _version(connection) == VERSION:
            return
    with transactions.writing() as connection:
        take_turn(connection, b"schema")
        version = _version(connection)
        if version > VERSION:
            raise DatabaseUnusable(
                transactions.name,
                f"its schema is version {version}, this program knows versions up to {VERSION}",
                step="use the newer release that made it",
            )
        if version == 0:
            schema.create_all(connection)
            _stamp(connection, VERSION)
        for number, step in enumerate(STEPS, 2):
            if 0 < version < number:
                step(connection)
                _stamp(connection, number)


def _version(connection: Connection) -> int:
    """The version of the tables that are there; 0 for none."""
    tables = set(inspect(connection).get_table_names())
    if schema_version.name in tables:
        return connection.scalar(select(func.max(schema_version.c.version))) or 0
    return 1 if tables.issuperset(FIRST_TABLES) else 0


def _stamp(connection: Connection, version: int) -> None:
    values = {"version": version, "since_ms": now_ms(connection)}
    connection.execute(insert(schema_version).values(values))


def _to_many_communities(connection: Connection) -> None:
    """Version 2: many communities, a journal, and what a service keeps besides."""
    old = MetaData()
    for name in FIRST_TABLES:
        connection.execute(text(f"ALTER TABLE {name} RENAME TO {name}_1"))
    for name in FIRST_TABLES:
        Table(f"{name}_1", old, autoload_with=connection)
    later = {*BOOK, *STANDING_LIMITS}
    tables = [table for table in schema.sorted_tables if table not in later]
    schema.create_all(connection, tables=tables)
    for new in (note, statement, checkpoint):
        source = old.tables[f"{new.name}_1"]
        names = [column.name for column in source.columns]
        rows = select(literal(ONLY_COMMUNITY, LargeBinary), *(source.c[name] for name in names))
        connection.execute(insert(new).from_select(["community", *names], rows))
    source = old.tables["record_1"]
    for time_end in connection.scalars(select(source.c.time_end).distinct()).all():
        found = connection.execute(select(source).where(source.c.time_end == time_end))
        keep(connection, ONLY_COMMUNITY, RECORD, [tuple(row) for row in found])
    source = old.tables["refused_1"]
    columns = [source.c[name] for name in ("start", "number", "record", "signature", "reason")]
    for start in connection.scalars(select(source.c.start).distinct()).all():
        found = connection.execute(select(*columns).where(source.c.start == start))
        keep(connection, ONLY_COMMUNITY, REFUSED, [tuple(row) for row in found])
    old.drop_all(connection)


def _with_books(connection: Connection) -> None:
    """Version 3: the books of certificates, which had files of their own."""
    schema.create_all(connection, tables=BOOK)


def _with_standing_limits(connection: Connection) -> None:
    """Version 4: limit prices that members set themselves."""
    schema.create_all(connection, tables=STANDING_LIMITS)


STEPS: tuple[Callable[[Connection], None], ...] = (
    _to_many_communities,
    _with_books,
    _with_standing_limits,
)
"""The first one leads to version 2."""
VERSION = len(STEPS) + 1

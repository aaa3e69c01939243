"""A database of an earlier release becomes one of this one with every row; never the reverse."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Connection, Table, insert, inspect, text

from certificates import IDENTITY, ISSUER, LATER, SCHEME, Signers, admission
from commonwatt.chain.account import signer_of
from commonwatt.market.book import Limits
from commonwatt.meter.acceptance import Reason, Refused
from commonwatt.meter.record import SignedRecord
from commonwatt.node.book_store import BookStore
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.pipeline import Terms
from commonwatt.node.store import (
    ONLY_COMMUNITY,
    LimitChange,
    StandingLimits,
    StatementRow,
    Store,
    file_url,
    migration,
)
from commonwatt.node.store.journal import RECORD, keep
from commonwatt.node.store.schema import BOOK, STANDING_LIMITS, schema, schema_version
from commonwatt.node.store.transactions import Transactions
from node.lanes import LanesInMemory, NodeFile, energy_of, node_over
from node.store.rows import NOON, QUARTER, STREET, batch, meter, refused, signed
from street import EURO, TARIFF, Street

VERSION_1 = """
CREATE TABLE note ("key" VARCHAR NOT NULL, value BLOB NOT NULL, PRIMARY KEY ("key"));
CREATE TABLE record (
    time_end BIGINT NOT NULL, meter BLOB NOT NULL, record BLOB NOT NULL, signature BLOB NOT NULL,
    PRIMARY KEY (time_end, meter)
);
CREATE TABLE refused (
    number SERIAL NOT NULL, start BIGINT NOT NULL, record BLOB NOT NULL, signature BLOB NOT NULL,
    reason VARCHAR NOT NULL, PRIMARY KEY (number)
);
CREATE INDEX ix_refused_start ON refused (start);
CREATE TABLE statement (
    start BIGINT NOT NULL, header BLOB NOT NULL, inputs BLOB NOT NULL, anchor BLOB NOT NULL,
    "transaction" BLOB, gas BIGINT, seconds FLOAT, PRIMARY KEY (start)
);
CREATE TABLE checkpoint (start BIGINT NOT NULL, state BLOB NOT NULL, PRIMARY KEY (start))
"""
"""As the release before made it in SQLite; for PostgreSQL, in which it never was, in its words."""

PAID = StatementRow(NOON, b"header", b"inputs", b"anchor", b"transaction", 21_000, 0.25)
STATED = StatementRow(NOON + QUARTER, b"header", b"inputs", b"anchor", None, None, None)
ODD = Refused(SignedRecord(b"odd", b""), Reason.UNREADABLE)


def make_version_1(connection: Connection) -> None:
    in_sqlite = connection.dialect.name == "sqlite"
    script = VERSION_1.replace("BLOB", "BYTEA")
    if in_sqlite:
        script = VERSION_1.replace("SERIAL", "INTEGER")
        script = script.replace("(time_end, meter)\n)", "(time_end, meter)\n) WITHOUT ROWID")
    for statement in script.split(";"):
        connection.execute(text(statement))


def fill_version_1(connection: Connection) -> None:
    def add(table: str, **values: object) -> None:
        names = ", ".join(f'"{name}"' for name in values)
        places = ", ".join(f":{name}" for name in values)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), values)

    add("note", key="first nonce", value=b"7")
    for end in (NOON, NOON + QUARTER):
        for number in range(3):
            record, signature = signed(number, end)
            add("record", time_end=end, meter=meter(number), record=record, signature=signature)
    for start, (came, reason) in ((NOON, refused(9, NOON)), (NOON, ODD), (NOON + QUARTER, ODD)):
        add("refused", start=start, record=came[0], signature=came[1], reason=reason.name)
    for row in (PAID, STATED):
        add("statement", **{name: getattr(row, name) for name in StatementRow.__slots__})
    add("checkpoint", start=NOON, state=b"state")


def old_database(url: str, *made_by: Callable[[Connection], None]) -> None:
    transactions = Transactions(url)
    with transactions.writing() as connection:
        for make in made_by:
            make(connection)
    transactions.close()


def shape_of(store: Store) -> dict[str, object]:
    """Tables, columns, keys, indexes and triggers; names that the database gave do not count."""
    with store.transactions.reading() as connection:
        found = inspect(connection)
        if connection.dialect.name == "sqlite":
            query = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
        else:
            query = (
                "SELECT tgname, relname, tgtype FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid"
                " WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal"
            )
        shape: dict[str, object] = {"triggers": sorted(map(tuple, connection.execute(text(query))))}
        for table in found.get_table_names():
            shape[table] = (
                [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table)],
                found.get_pk_constraint(table)["constrained_columns"],
                sorted(u["column_names"] for u in found.get_unique_constraints(table)),
                sorted((i["name"] or "", i["column_names"]) for i in found.get_indexes(table)
                       if "duplicates_constraint" not in i),
                sorted(str(c["sqltext"]) for c in found.get_check_constraints(table)),
            )  # fmt: skip
    return shape


def require_everything_is_there(store: Store) -> None:
    database = store.database(ONLY_COMMUNITY)
    assert database.note("first nonce") == b"7"
    for end in (NOON, NOON + QUARTER):
        by_meter = sorted((meter(number), signed(number, end)) for number in range(3))
        assert database.records(end) == [record for _, record in by_meter]
    assert len(database.refusals(NOON)) == 2
    assert database.refusals(NOON + QUARTER) == [ODD]
    assert [found.number for found in store.quarantine(ONLY_COMMUNITY).waiting()] == [1, 2, 3]
    assert database.statements() == [PAID, STATED]
    assert database.checkpoint() == (NOON, b"state")
    assert database.counts() == (6, 3)
    assert database.verified().number == 4
    assert store.communities() == [ONLY_COMMUNITY]
    with store.transactions.reading() as connection:
        versions = connection.scalars(text("SELECT version FROM schema_version")).all()
    assert versions == list(range(2, migration.VERSION + 1))


def test_a_database_of_version_1_becomes_the_newest_with_every_row(url: str) -> None:
    old_database(url, make_version_1, fill_version_1)
    for _ in range(2):  # the second time nothing is left to do
        store = Store(url)
        require_everything_is_there(store)
        store.close()
    store = Store(url)
    store.database(ONLY_COMMUNITY).acknowledge(NOON, batch(NOON + 2 * QUARTER), [refused(9, NOON)])
    assert store.database(ONLY_COMMUNITY).counts() == (11, 4), "it goes on"
    store.close()


def make_version_2(connection: Connection) -> None:
    """As it was while the books had files of their own."""
    make_without(connection, {*BOOK, *STANDING_LIMITS}, 2)


def make_version_3(connection: Connection) -> None:
    """As it was while standing limits were in the community's file only."""
    make_without(connection, set(STANDING_LIMITS), 3)


def make_without(connection: Connection, later: set[Table], version: int) -> None:
    schema.create_all(connection, tables=[t for t in schema.sorted_tables if t not in later])
    connection.execute(insert(schema_version).values(version=version, since_ms=0))


def test_a_database_of_version_2_keeps_its_rows_and_has_books_now(url: str) -> None:
    def fill_version_2(connection: Connection) -> None:
        rows = [(NOON, meter(number), *signed(number, NOON)) for number in range(3)]
        keep(connection, STREET, RECORD, rows)

    old_database(url, make_version_2, fill_version_2)
    store = Store(url)
    database = store.database(STREET)
    assert len(database.records(NOON)) == 3
    assert database.verified().number == 1
    book = BookStore(database.scope, IDENTITY, SCHEME, signer_of)
    book.submit(Signers().sign(ISSUER, admission()), LATER)
    store.close()
    store = Store(url)
    book = BookStore(store.database(STREET).scope, IDENTITY, SCHEME, signer_of)
    assert book.log.book.entries == 1
    store.close()


def test_a_database_of_version_3_keeps_its_rows_and_takes_standing_limits_now(url: str) -> None:
    def fill_version_3(connection: Connection) -> None:
        keep(connection, STREET, RECORD, [(NOON, meter(0), *signed(0, NOON))])

    old_database(url, make_version_3, fill_version_3)
    store = Store(url)
    database = store.database(STREET)
    assert database.records(NOON) == [signed(0, NOON)]
    made = StandingLimits(database.scope).add(0, NOON, Limits(24_000, 8_000), "operator")
    assert isinstance(made, LimitChange)
    assert database.verified().number == 1
    store.close()
    store = Store(url)
    assert StandingLimits(store.database(STREET).scope).last() == [made]
    store.close()


@pytest.mark.parametrize("made_by", [make_version_1, make_version_2, make_version_3])
def test_an_old_database_gets_the_very_tables_of_a_new_one(
    url: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    made_by: Callable[[Connection], None],
) -> None:
    old_database(url, made_by)
    if url.startswith("sqlite"):
        new_url = str(file_url(tmp_path / "new.sqlite"))
    else:
        new_url = request.getfixturevalue("postgres").new_schema()
    old, new = Store(url), Store(new_url)
    assert shape_of(old) == shape_of(new)
    old.close()
    new.close()


def test_of_several_programs_that_open_an_old_database_one_brings_it_up_to_date(url: str) -> None:
    old_database(url, make_version_1, fill_version_1)
    programs = 4
    ready = Barrier(programs, timeout=20)

    def open_at_once(_: int) -> Store:
        ready.wait()
        return Store(url)

    with ThreadPoolExecutor(programs) as pool:
        stores = list(pool.map(open_at_once, range(programs)))
    for store in stores:
        require_everything_is_there(store)
        store.close()


def test_of_several_programs_that_open_a_new_database_one_makes_it(url: str) -> None:
    programs = 4
    ready = Barrier(programs, timeout=20)

    def open_at_once(number: int) -> None:
        ready.wait()
        store = Store(url)
        store.database(STREET).take_note(f"program {number}", b"was here")
        store.close()

    with ThreadPoolExecutor(programs) as pool:
        list(pool.map(open_at_once, range(programs)))
    store = Store(url)
    for number in range(programs):
        assert store.database(STREET).note(f"program {number}") == b"was here"
    store.close()


def test_a_newer_database_is_refused_and_left_alone(store: Store, url: str) -> None:
    newer = migration.VERSION + 1
    with store.transactions.writing() as connection:
        connection.execute(text(f"INSERT INTO schema_version VALUES ({newer}, 0)"))
    before = shape_of(store)
    with pytest.raises(
        DatabaseUnusable,
        match=rf"version {newer}, this program knows versions up to {newer - 1}.*newer release",
    ):
        Store(url)
    assert shape_of(store) == before


def test_a_step_that_fails_leaves_the_database_as_it_was(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_database(url, make_version_1, fill_version_1)

    def fails(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half (done BIGINT)"))
        connection.execute(text("SELECT 1 FROM nowhere"))

    steps = migration.STEPS
    with monkeypatch.context() as patch:
        patch.setattr(migration, "STEPS", (*steps, fails))
        patch.setattr(migration, "VERSION", len(steps) + 2)
        with pytest.raises(DatabaseUnusable, match="nowhere"):
            Store(url)
        transactions = Transactions(url)
        with transactions.reading() as connection:
            assert set(inspect(connection).get_table_names()) == set(migration.FIRST_TABLES)
        transactions.close()
    store = Store(url)
    require_everything_is_there(store)
    store.close()


def test_a_run_of_the_release_before_goes_on_with_its_anchors(tmp_path: Path) -> None:
    street, lanes = Street(), LanesInMemory(3, 10 * EURO)
    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    database = NodeFile(new)
    node = node_over(street, tmp_path, lanes, database)
    node.catch_up()
    for index in range(3):
        node.receive(street.measure(*energy_of(index)))
        node.close(Terms(TARIFF))
        street.interval = street.interval.next
    stated = database.statements()
    database.close()
    old_database(str(file_url(old)), make_version_1)
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("ATTACH ? AS new", (str(new),))
        for table in migration.FIRST_TABLES:
            names = ", ".join(
                f'"{name}"' for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")
            )
            connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM new.{table}")
    again = NodeFile(old)
    assert again.statements() == stated
    assert node_over(street, tmp_path / "again", lanes, again).catch_up() == 3
    again.close()

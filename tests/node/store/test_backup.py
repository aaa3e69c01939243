"""A copy made while a node writes is a database as of one moment, and leads to the same anchors."""

import subprocess
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import select

from certificates import (
    IDENTITY,
    ISSUER,
    LATER,
    PRODUCER,
    SCHEME,
    Signers,
    admission,
    issue,
)
from commonwatt.chain.account import signer_of
from commonwatt.errors import InvariantBroken
from commonwatt.market.book import Limits
from commonwatt.node.book_store import BookStore
from commonwatt.node.errors import DatabaseUnusable, FolderUnusable
from commonwatt.node.pipeline import Terms
from commonwatt.node.store import Ruling, StandingLimits, Store, backup, file_url
from commonwatt.node.store.schema import journal, schema
from databases import unguard
from node.lanes import LanesInMemory, NodeFile, energy_of, node_over
from node.store.rows import MILL, NOON, QUARTER, STREET, accepted, batch, refused
from postgres import PostgresServer, on_postgres
from street import EURO, TARIFF, Street


def book_of(store: Store, community: bytes) -> tuple[BookStore, Signers]:
    """A community's book with a device in it, and wallets."""
    book = BookStore(store.database(community).scope, IDENTITY, SCHEME, signer_of)
    wallets = Signers()
    book.submit(wallets.sign(ISSUER, admission()), LATER)
    wallets.done(ISSUER)
    return book, wallets


def fill(store: Store) -> None:
    """Some of everything that is kept."""
    for community in (STREET, MILL):
        database = store.database(community)
        for at in range(3):
            end = NOON + QUARTER * at
            database.acknowledge(end - QUARTER, batch(end), [refused(9, end)])
        store.quarantine(community).decide(1, Ruling.RELEASED, "operator")
        database.acknowledge_late(NOON, [accepted(9, NOON)], readmitted=[1])
        database.take_note("key", b"value")
        limits = StandingLimits(database.scope)
        for bid in (24_000, 23_000):
            limits.add(0, NOON, Limits(bid, 8_000), "operator")
        book, wallets = book_of(store, community)
        book.submit(wallets.sign(ISSUER, issue()), LATER)
        book.take_snapshot()


def rows_of(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with store.transactions.reading() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))
            ]
            for table in schema.sorted_tables
        }


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Store]:
    store = Store(file_url(tmp_path / "source.sqlite"))
    fill(store)
    yield store
    store.close()


def test_a_copy_has_every_row_and_says_where_its_journals_end(
    source: Store, tmp_path: Path
) -> None:
    path = tmp_path / "copy.sqlite"
    heads = backup(source, path)
    assert heads == {name: source.database(name).head() for name in (STREET, MILL)}
    copy = Store(file_url(path))
    assert rows_of(copy) == rows_of(source)
    assert copy.database(STREET).verified() == heads[STREET]
    with pytest.raises(DatabaseUnusable, match="never changed"), copy.transactions.writing() as c:
        c.exec_driver_sql("DELETE FROM record")
    copy.close()
    assert names_in(tmp_path) == {
        "copy.sqlite", "source.sqlite", "source.sqlite-shm", "source.sqlite-wal",
    }  # fmt: skip


def test_copies_made_while_a_node_writes_are_each_of_one_moment(
    source: Store, tmp_path: Path
) -> None:
    database, stop, written = source.database(STREET), Event(), [0]

    def write() -> None:
        at = 10
        while not stop.is_set():
            database.acknowledge(NOON, batch(NOON + QUARTER * at, 50), [refused(9, NOON)])
            written[0], at = written[0] + 1, at + 1

    writer = Thread(target=write)
    writer.start()
    try:
        copies, before = [], -1
        while len(copies) < 5:
            if written[0] == before:
                continue  # a copy is only of interest with writes around it
            before = written[0]
            path = tmp_path / f"copy {len(copies)}.sqlite"
            copies.append((path, backup(source, path)))
    finally:
        stop.set()
        writer.join(30)
    with source.transactions.reading() as connection:
        mine = journal.c.community == STREET
        entries = connection.execute(select(journal.c.number, journal.c.head).where(mine))
        heads = {number: head for number, head in entries}  # noqa: C416 - rows are no pairs
    numbers = [found[STREET].number for _, found in copies]
    assert numbers == sorted(set(numbers)), "each is later than the one before"
    for path, found in copies:
        copy = Store(file_url(path))
        assert copy.database(STREET).verified() == found[STREET]
        assert heads[found[STREET].number] == found[STREET].head, "it is how the source once was"
        copy.close()


def test_a_copy_has_records_and_book_as_of_one_moment(tmp_path: Path) -> None:
    source = Store(file_url(tmp_path / "source.sqlite"))
    database, (book, wallets) = source.database(STREET), book_of(source, STREET)
    stop, done = Event(), [0]

    def work() -> None:
        while not stop.is_set():
            database.acknowledge(NOON, batch(NOON + QUARTER * done[0]), [])
            book.submit(wallets.sign(ISSUER, issue(done[0])), LATER)
            wallets.done(ISSUER)
            done[0] += 1

    worker = Thread(target=work)
    worker.start()
    try:
        paths: list[Path] = []
        seen = -1
        while len(paths) < 4:
            if done[0] > seen:
                seen = done[0]
                paths.append(tmp_path / f"copy {len(paths)}.sqlite")
                backup(source, paths[-1])
    finally:
        stop.set()
        worker.join(30)
    lines = list(book.lines())
    for path in paths:
        copy = Store(file_url(path))
        kept = len(copy.database(STREET).time_ends(0))
        again = BookStore(copy.database(STREET).scope, IDENTITY, SCHEME, signer_of)
        entered = again.log.book.entries - 1
        assert entered <= kept <= entered + 1, "never an entry without the records before it"
        assert list(again.lines()) == lines[: entered + 1]
        assert len(again.held(PRODUCER.address_bytes)) == entered
        copy.close()
    source.close()


def test_a_node_over_a_copy_comes_to_the_same_anchors(tmp_path: Path) -> None:
    street, lanes = Street(), LanesInMemory(3, 10 * EURO)
    database = NodeFile(tmp_path / "node.sqlite")
    node = node_over(street, tmp_path, lanes, database)
    node.catch_up()
    for index in range(4):
        node.receive(street.measure(*energy_of(index)))
        if index == 3:  # in the middle of an interval
            backup(database._store, tmp_path / "copy.sqlite")
            lanes_then = deepcopy(lanes)
        node.close(Terms(TARIFF))
        street.interval = street.interval.next
    copy = NodeFile(tmp_path / "copy.sqlite")
    again = node_over(street, tmp_path / "again", lanes_then, copy)
    assert again.catch_up() == 3
    again.close(Terms(TARIFF))
    assert len(database.statements()) == 4
    anchors, expected = ([row.anchor for row in d.statements()] for d in (copy, database))
    assert anchors == expected
    copy.close()
    database.close()


def test_nothing_is_written_over(source: Store, tmp_path: Path) -> None:
    path = tmp_path / "copy.sqlite"
    path.write_bytes(b"last week's")
    with pytest.raises(FolderUnusable, match="is there already"):
        backup(source, path)
    assert path.read_bytes() == b"last week's"


def test_a_copy_that_cannot_be_written_leaves_nothing_behind(source: Store, tmp_path: Path) -> None:
    with pytest.raises(FolderUnusable, match="backup cannot be written"):
        backup(source, tmp_path / "nowhere" / "copy.sqlite")
    assert not (tmp_path / "nowhere").exists()


def test_a_database_that_lost_a_record_gives_no_copy(source: Store, tmp_path: Path) -> None:
    with source.transactions.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER record_refuses_delete")
        connection.exec_driver_sql("DELETE FROM record WHERE time_end = ?", (NOON,))
    with pytest.raises(InvariantBroken, match="as it was"):
        backup(source, tmp_path / "copy.sqlite")
    assert not [name for name in names_in(tmp_path) if name.startswith("copy")]


@pytest.mark.parametrize("number", [0, 1])
def test_a_book_that_lost_a_line_before_another_gives_no_copy(
    source: Store, tmp_path: Path, number: int
) -> None:
    book = BookStore(source.database(STREET).scope, IDENTITY, SCHEME, signer_of)
    wallets = Signers()
    wallets.nonces[ISSUER.address] = 2
    book.submit(wallets.sign(ISSUER, issue(1)), LATER)
    unguard(source, "book_entry")
    with source.transactions.writing() as connection:
        connection.exec_driver_sql("DELETE FROM book_entry WHERE number = ?", (number,))
    with pytest.raises(InvariantBroken, match="a book has all its lines"):
        backup(source, tmp_path / "copy.sqlite")
    assert not [name for name in names_in(tmp_path) if name.startswith("copy")]


def test_changes_of_limits_that_lost_one_before_another_give_no_copy(
    source: Store, tmp_path: Path
) -> None:
    unguard(source, "standing_limit")
    with source.transactions.writing() as connection:
        connection.exec_driver_sql("DELETE FROM standing_limit WHERE number = 1")
    with pytest.raises(InvariantBroken, match="changes of standing limits are all there"):
        backup(source, tmp_path / "copy.sqlite")
    assert not [name for name in names_in(tmp_path) if name.startswith("copy")]


@on_postgres
def test_a_server_has_its_own_way(postgres: PostgresServer, tmp_path: Path) -> None:
    store = Store(postgres.new_schema())
    with pytest.raises(DatabaseUnusable, match="use pg_dump"):
        backup(store, tmp_path / "copy")
    store.close()


@on_postgres
def test_a_dump_of_a_server_restores_to_the_same_rows_and_journals(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    if not postgres.program("pg_dump").exists():
        pytest.skip("pg_dump is not installed: apt-get install postgresql-client")
    source, target = postgres.new_database(), postgres.new_database()
    store = Store(postgres.url(source))
    fill(store)
    dump = tmp_path / "node.dump"
    reach = ["-h", "127.0.0.1", "-p", str(postgres.port), "-U", "commonwatt"]
    for program, *arguments in (
        ["pg_dump", "--format=custom", "--file", str(dump), source],
        ["pg_restore", "--exit-on-error", "--dbname", target, str(dump)],
    ):
        subprocess.run(
            [postgres.program(program), *reach, *arguments], check=True, capture_output=True
        )
    copy = Store(postgres.url(target))
    assert rows_of(copy) == rows_of(store)
    for community in (STREET, MILL):
        assert copy.database(community).verified() == store.database(community).head()
    with pytest.raises(DatabaseUnusable, match="never changed"), copy.transactions.writing() as c:
        c.exec_driver_sql("DELETE FROM record")
    copy.close()
    store.close()

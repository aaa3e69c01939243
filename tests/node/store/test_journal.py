"""What was kept cannot be changed by mistake, and not without being found out on purpose."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import inspect, text

from commonwatt.errors import InvariantBroken
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.store import Database, Ruling, Store
from commonwatt.node.store.journal import NO_HEAD
from commonwatt.node.store.schema import KEPT
from databases import unguard
from node.store.rows import MILL, NOON, QUARTER, STREET, accepted, batch, meter, refused

KEPT_NAMES = [table.name for table in KEPT]


@pytest.fixture
def filled(store: Store) -> Database:
    """Some of everything that is kept."""
    database = store.database(STREET)
    for at in range(3):
        end = NOON + QUARTER * at
        database.acknowledge(end - QUARTER, batch(end), [refused(9, end), refused(8, end)])
    store.quarantine(STREET).decide(1, Ruling.RELEASED, "operator")
    database.acknowledge_late(NOON + QUARTER, [accepted(8, NOON)], readmitted=[1])
    store.database(MILL).acknowledge(NOON, batch(NOON), [])
    return database


def meddle(store: Store, statement: str, **values: object) -> None:
    """Do what nobody should: take the guards away and change something."""
    unguard(store, *KEPT_NAMES)
    with store.transactions.writing() as connection:
        assert connection.execute(text(statement), values).rowcount > 0


@pytest.mark.parametrize("table", KEPT_NAMES)
@pytest.mark.parametrize("change", ["UPDATE {} SET community = community", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_change_what_was_kept(
    store: Store, filled: Database, table: str, change: str
) -> None:
    before = filled.verified()
    with (
        pytest.raises(DatabaseUnusable, match=f"{table}: what was kept is never changed"),
        store.transactions.writing() as connection,
    ):
        connection.execute(text(change.format(table)))
    assert filled.verified() == before


@pytest.mark.parametrize("table", KEPT_NAMES)
def test_emptying_or_replacing_is_refused_as_well(
    store: Store, filled: Database, table: str
) -> None:
    before = filled.verified()
    change = {
        "postgresql": f"TRUNCATE {table}",
        "sqlite": f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
    }
    with (
        pytest.raises(DatabaseUnusable, match=f"{table}: what was kept is never changed"),
        store.transactions.writing() as connection,
    ):
        connection.execute(text(change[connection.dialect.name]))
    assert filled.verified() == before


def test_every_table_with_an_entry_is_guarded_and_no_other(store: Store) -> None:
    with store.transactions.reading() as connection:
        tables = inspect(connection)
        with_entry = {
            name
            for name in tables.get_table_names()
            if "entry" in {column["name"] for column in tables.get_columns(name)}
        }
    assert with_entry | {"journal"} == set(KEPT_NAMES)


def test_the_head_stands_for_everything_that_was_kept(store: Store, filled: Database) -> None:
    empty = store.database(b"nobody".ljust(20))
    assert empty.verified() == empty.head() == (0, NO_HEAD)
    first = filled.verified()
    assert first == filled.head()
    filled.acknowledge(NOON, [], [])
    assert filled.head() == first, "nothing came, nothing was kept"
    filled.acknowledge(NOON, [accepted(20, NOON)], [])
    second = filled.verified()
    assert second.number == first.number + 1
    assert second.head != first.head
    assert store.database(MILL).verified().number == 1


OF_ONE = "WHERE community = :community AND meter = :meter"
LAST = "(SELECT max(number) FROM journal WHERE community = :community)"
CHANGES = {
    "a record's bytes": f"UPDATE record SET record = :record {OF_ONE}",
    "a signature": f"UPDATE record SET signature = :signature {OF_ONE}",
    "whose record it is": f"UPDATE record SET meter = :other {OF_ONE}",
    "when it was": f"UPDATE record SET time_end = time_end + 9000 {OF_ONE}",
    "the entry it belongs to": f"UPDATE record SET entry = entry + 1 {OF_ONE}",
    "a lost record": f"DELETE FROM record {OF_ONE}",
    "a lost interval": "DELETE FROM record WHERE community = :community AND time_end = :end",
    "a reason": "UPDATE refused SET reason = 'TOO_LATE' WHERE community = :community",
    "a lost refusal": "DELETE FROM refused WHERE community = :community AND number = 1",
    "a ruling": "UPDATE decision SET ruling = 'REJECTED' WHERE community = :community",
    "who decided": "UPDATE decision SET decided_by = 'nobody' WHERE community = :community",
    "a late record": "UPDATE late_record SET meter = :other WHERE community = :community",
    "where it counts": "UPDATE readmission SET start = start + 9 WHERE community = :community",
    "an entry's size": "UPDATE journal SET size = 9 WHERE community = :community AND number = 1",
    "an entry's time": "UPDATE journal SET written_ms = 1 WHERE community = :community",
    "a head": "UPDATE journal SET head = :head WHERE community = :community AND number = 2",
    "a lost entry": "DELETE FROM journal WHERE community = :community AND number = 2",
    "the first entry": "DELETE FROM journal WHERE community = :community AND number = 1",
    "the last entry": f"DELETE FROM journal WHERE community = :community AND number = {LAST}",
}
VALUES = {
    "meter": meter(1), "other": bytes(20), "end": NOON, "record": bytes(100),
    "signature": bytes(64), "head": bytes(32),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_a_row_that_was_changed_all_the_same_is_found(
    store: Store, filled: Database, what: str
) -> None:
    filled.verified()
    statement = CHANGES[what]
    values = {name: value for name, value in VALUES.items() if f":{name}" in statement}
    meddle(store, statement, community=STREET, **values)
    with pytest.raises(InvariantBroken):
        filled.verified()
    store.database(MILL).verified()


def test_a_record_that_was_slipped_in_is_found(store: Store, filled: Database) -> None:
    slip = (
        "INSERT INTO record SELECT community, time_end + :later, meter, record, signature, entry"
        " FROM record WHERE community = :community AND time_end = :end"
    )
    meddle(store, slip, community=STREET, end=NOON, later=90_000)
    with pytest.raises(InvariantBroken, match="the journal knows every row"):
        filled.verified()
    with pytest.raises(InvariantBroken, match="what was kept is as it was"):
        filled.records(NOON + 90_000)


def test_entries_follow_from_each_other_whoever_writes_at_the_same_time(url: str) -> None:
    writers, rounds = 4, 8
    stores = [Store(url) for _ in range(writers)]
    stores[0].database(STREET).acknowledge(NOON, [], [refused(0, NOON)])
    ready = Barrier(writers, timeout=20)

    def write(number: int) -> None:
        database, quarantine = (get(STREET) for get in
                                (stores[number].database, stores[number].quarantine))  # fmt: skip
        for at in range(rounds):
            ready.wait()
            if number == 0:
                quarantine.decide(1, Ruling.RELEASED, f"round {at}")
            else:
                came = accepted(number, NOON + QUARTER * at)
                database.acknowledge(NOON, [came], [refused(number, NOON)])

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    database, others = stores[0].database(STREET), writers - 1
    assert database.verified().number == 1 + rounds * (1 + 2 * others)
    assert database.counts() == (rounds * others, rounds * others + 1)
    found = stores[0].quarantine(STREET).all()
    assert [one.number for one in found] == list(range(1, rounds * others + 2))
    for opened in stores:
        opened.close()


def test_reading_an_interval_back_finds_a_lost_record_at_once(
    store: Store, filled: Database
) -> None:
    meddle(
        store,
        "DELETE FROM record WHERE community = :community AND time_end = :end AND meter = :meter",
        community=STREET, end=NOON, meter=meter(2),
    )  # fmt: skip
    with pytest.raises(InvariantBroken, match=f"what was kept is as it was.*about={NOON}"):
        filled.records(NOON)
    assert len(filled.records(NOON + QUARTER)) == 5, "the others are as they were"
    assert len(filled.refusals(NOON - QUARTER)) == 2

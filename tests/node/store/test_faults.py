"""Whatever breaks: what was acknowledged is there, nothing is half written, and it goes on."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.store import Database, Head, Store, file_url
from node.store import writer
from node.store.rows import NOON, QUARTER, STREET, batch, refused
from postgres import PostgresServer, on_postgres

TESTS = Path(__file__).parents[2]
MIB = 2**20
SERVER_FILE_MAX = MIB + MIB // 8
"""Above a segment of the server's log, which must go on."""


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """As on a full disk: no file of this process grows beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill_until_refused(database: Database, size: int) -> tuple[list[int], Head, DatabaseUnusable]:
    """Acknowledge batches until the database refuses one; gives those that were kept."""
    kept, head = [], database.head()
    for at in range(1, 100):
        end = NOON + QUARTER * at
        try:
            database.acknowledge(end - QUARTER, batch(end, size), [refused(9, end)])
        except DatabaseUnusable as error:
            return kept, head, error
        kept.append(end)
        head = database.head()
    pytest.fail("there was always room")


def require_whole(database: Database, kept: list[int], head: Head, size: int) -> None:
    assert database.verified() == head
    assert database.time_ends(0) == kept
    assert database.counts() == (size * len(kept), len(kept))


def test_a_full_disk_under_a_file_refuses_whole_batches_until_there_is_room(tmp_path: Path) -> None:
    store = Store(file_url(tmp_path / "node.sqlite"))
    database = store.database(STREET)
    with file_size_limit(2 * MIB):
        kept, head, error = fill_until_refused(database, 500)
        assert kept, "there was room for some"
        assert "node.sqlite" in str(error)
        require_whole(store.database(STREET), kept, head, 500)
    require_it_goes_on(store, kept, 500)


@on_postgres
def test_a_full_disk_under_a_server_refuses_whole_batches_until_there_is_room(
    postgres: PostgresServer,
) -> None:
    store = Store(postgres.new_schema())
    with store.transactions.reading() as connection:
        # The one connection there is: the next transactions have it, too.
        worker = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    with postgres.file_size_limit(worker, SERVER_FILE_MAX):
        kept, head, error = fill_until_refused(store.database(STREET), 500)
        assert kept, "there was room for some"
        assert "could not extend file" in str(error)
        require_whole(store.database(STREET), kept, head, 500)
    require_it_goes_on(store, kept, 500)


def require_it_goes_on(store: Store, kept: list[int], size: int) -> None:
    """A node that opens the community again goes on with the batch that was refused."""
    database = store.database(STREET)
    end = kept[-1] + QUARTER
    database.acknowledge(end - QUARTER, batch(end, size), [refused(9, end)])
    require_whole(database, [*kept, end], database.head(), size)
    store.close()


def break_in(store: Store, break_it: Callable[[], object]) -> None:
    """Break something in the middle of a write."""
    with store.transactions.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO note SELECT community, 'half', digest FROM journal WHERE number = 1"
        )
        break_it()


@on_postgres
def test_a_server_that_dies_within_a_write_loses_that_write_only(postgres: PostgresServer) -> None:
    store = Store(postgres.new_schema())
    database = store.database(STREET)
    database.acknowledge(NOON, batch(NOON), [refused(9, NOON)])
    head = database.head()
    try:
        with pytest.raises(DatabaseUnusable, match="nothing was half-written"):
            break_in(store, postgres.kill)
        with pytest.raises(DatabaseUnusable, match=r"127\.0\.0\.1"):
            database.records(NOON)
    finally:
        postgres.start()
    assert database.note("half") is None
    require_whole(database, [NOON], head, 5)
    require_it_goes_on(store, [NOON], 5)


@on_postgres
def test_nothing_acknowledged_is_lost_when_the_server_dies_again_and_again(
    postgres: PostgresServer,
) -> None:
    store = Store(postgres.new_schema())
    kept: list[int] = []
    end, chance = NOON, random.Random(7)
    for _ in range(3):
        database = store.database(STREET)
        ends = database.time_ends(0)
        assert set(kept) <= set(ends), "a write that nobody heard of may be kept as well"
        kept, end = ends, max([*ends, NOON])
        killer = Thread(target=lambda: (time.sleep(chance.uniform(0.05, 0.3)), postgres.kill()))
        killer.start()
        try:
            while True:
                end += QUARTER
                database.acknowledge(end - QUARTER, batch(end, 20), [refused(9, end)])
                kept.append(end)
        except DatabaseUnusable:
            killer.join()
        finally:
            postgres.start()
    database = store.database(STREET)
    database.verified()
    assert set(kept) <= set(database.time_ends(0))
    assert len(kept) > 10
    assert all(len(database.records(end)) == 20 for end in kept)
    store.close()


@on_postgres
def test_a_connection_that_is_cut_within_a_write_loses_that_write_only(
    postgres: PostgresServer,
) -> None:
    store = Store(postgres.new_schema())
    database = store.database(STREET)
    database.acknowledge(NOON, batch(NOON), [refused(9, NOON)])

    def cut() -> None:
        with psycopg.connect(postgres.url("postgres").replace("+psycopg", "")) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'commonwatt'"
            )

    with pytest.raises(DatabaseUnusable):
        break_in(store, cut)
    assert database.note("half") is None
    cut()  # also of those that wait in the pool
    require_it_goes_on(store, [NOON], 5)


def lose_the_answer(store: Store, *, kept: bool) -> None:
    """Let the next commit fail, before or after the database has kept it."""

    @event.listens_for(store.transactions._engine, "commit", once=True)
    def fail(connection: object) -> None:
        driver = connection.connection.driver_connection  # type: ignore[attr-defined]
        driver.commit() if kept else driver.rollback()
        raise OperationalError("COMMIT", None, Exception("connection lost"))


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "lost"])
def test_a_write_nobody_heard_of_stops_its_writer_until_it_has_read_again(
    store: Store, *, kept: bool
) -> None:
    database = store.database(STREET)
    database.acknowledge(NOON, batch(NOON), [])
    lose_the_answer(store, kept=kept)
    end = NOON + QUARTER
    with pytest.raises(DatabaseUnusable, match="connection lost") as lost:
        database.acknowledge(NOON, batch(end), [])
    assert lost.value.in_doubt
    assert database.in_doubt
    for write in (
        lambda: database.acknowledge(NOON, batch(end + QUARTER), []),
        lambda: database.mark_paid(NOON, b"transaction", 1, 0.1),
    ):
        with pytest.raises(DatabaseUnusable, match="it goes on from what was kept"):
            write()
    again = store.database(STREET)
    again.verified()
    assert len(again.records(end)) == (5 if kept else 0)
    again.acknowledge(NOON, batch(end + QUARTER), [])


def test_a_write_that_was_refused_leaves_no_doubt(store: Store) -> None:
    database = store.database(STREET)
    database.acknowledge(NOON, batch(NOON), [])
    with pytest.raises(DatabaseUnusable) as refusal:
        database.acknowledge(NOON, batch(NOON), [])
    assert not refusal.value.in_doubt
    assert not database.in_doubt
    database.acknowledge(NOON, batch(NOON + QUARTER), [])


def test_what_a_killed_node_acknowledged_is_there(url: str) -> None:
    chance, announced = random.Random(11), 0
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, writer.__file__, url],
            stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(TESTS)},
        )  # fmt: skip
        assert process.stdout is not None
        lines = [process.stdout.readline()]  # it is at work
        time.sleep(chance.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        ends = [int(line) for line in lines if line.endswith(b"\n")]
        announced += len(ends)
        store = Store(url)
        database = store.database(STREET)
        database.verified()
        there = database.time_ends(0)
        assert set(ends) <= set(there)
        assert len(there) <= announced + 1, "at most one was kept without being said"
        announced = len(there)
        for end in there:
            assert len(database.records(end)) == writer.RECORDS
            assert len(database.refusals(end - QUARTER)) == 1
        store.close()


@on_postgres
def test_a_server_that_does_not_answer_is_named_without_its_password(
    postgres: PostgresServer,
) -> None:
    url = postgres.url("nowhere").replace("commonwatt@", "commonwatt:open-sesame@")
    with pytest.raises(DatabaseUnusable, match="nowhere") as wrong:
        Store(url)
    assert "open-sesame" not in str(wrong.value)
    store = Store(postgres.new_schema().replace("commonwatt@", "commonwatt:open-sesame@"))
    assert "open-sesame" not in store.name
    store.close()


@on_postgres
def test_a_server_that_does_not_sync_is_refused(postgres: PostgresServer) -> None:
    url = postgres.new_schema()
    with postgres.connect("postgres") as admin:
        try:
            admin.execute("ALTER SYSTEM SET fsync = off")
            admin.execute("SELECT pg_reload_conf()")
            with pytest.raises(DatabaseUnusable, match="set fsync = on"):
                wait_until_refused(url)
        finally:
            admin.execute("ALTER SYSTEM RESET fsync")
            admin.execute("SELECT pg_reload_conf()")


def wait_until_refused(url: str) -> None:
    for _ in range(100):  # the server reads its settings again in its own time
        Store(url).close()
        time.sleep(0.05)


@on_postgres
def test_a_server_that_commits_sooner_by_default_is_told_to_wait_for_the_disk(
    postgres: PostgresServer,
) -> None:
    with postgres.connect("postgres") as admin:
        admin.execute("ALTER ROLE commonwatt SET synchronous_commit = off")
        try:
            store = Store(postgres.new_schema())
            with store.transactions.writing() as connection:
                setting = connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
            assert setting == "on"
            store.close()
        finally:
            admin.execute("ALTER ROLE commonwatt RESET synchronous_commit")


def test_a_file_is_written_through_to_the_disk(tmp_path: Path) -> None:
    store = Store(file_url(tmp_path / "node.sqlite"))
    with store.transactions.writing() as connection:
        settings = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous")
        ]
    assert settings == ["wal", 2]
    store.close()


@pytest.mark.parametrize(
    "url",
    ["mysql://user:open-sesame@host/base", "sqlite://", "sqlite:///:memory:", "open-sesame"],
)
def test_what_cannot_keep_anything_is_refused_with_what_can(url: str) -> None:
    with pytest.raises(DatabaseUnusable, match=r"name sqlite:///FILE or postgresql") as wrong:
        Store(url)
    assert "open-sesame" not in str(wrong.value)


def test_a_path_may_have_any_signs(tmp_path: Path) -> None:
    path = tmp_path / "Straße 7, 50% off?mode=memory&x=#1.sqlite"
    store = Store(file_url(path))
    store.database(STREET).take_note("key", b"value")
    store.close()
    assert path.stat().st_size > 0
    store = Store(str(file_url(path)))
    assert store.database(STREET).note("key") == b"value"
    store.close()

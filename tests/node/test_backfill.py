"""A node that takes a community over has, after a while, every day that others published."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Event as Signal

import pytest
from sqlalchemy import text

from certificates import ISSUER
from commonwatt.errors import InvariantBroken
from commonwatt.node import backfill
from commonwatt.node import folder as folder_module
from commonwatt.node.backfill import Backfill, missing
from commonwatt.node.book_store import BookStore
from commonwatt.node.errors import FolderUnusable
from commonwatt.node.folder import PUBLISHED, Publisher, write_whole
from commonwatt.node.pipeline import Node, Terms
from commonwatt.node.registrar import Registrar, open_book, publish_book
from commonwatt.node.store import ONLY_COMMUNITY, Store, file_url
from commonwatt.quantity import Interval
from databases import url
from node.lanes import LanesInMemory, energy_of
from postgres import postgres
from street import EURO, LIFETIME_S, TARIFF, Street

__all__ = ["postgres", "url"]

EVENING, DAY = 2, 24
"""Intervals of the first day, and of every other one; each has an hour."""
START = Interval.parse("2016-06-21T22:00:00Z", 3_600)
SECRET = b"secret"


class Worker:
    """A node with a folder of its own, on the database and the chain of all."""

    def __init__(self, town: "Town", folder: Path) -> None:
        self.folder, self._town = folder, town
        for name in PUBLISHED:
            (folder / name).mkdir(parents=True, exist_ok=True)
        street = town.street
        kept = {street.solar[0].key.meter: START.start}
        self.book = town.book()
        registrar = Registrar(self.book, ISSUER, street.community, kept, folder)
        self.node = Node(
            street.community,
            SECRET,
            database=town.database,
            treasury=town.lanes,
            publisher=Publisher(folder),
            now=lambda: street.interval.end + 1,
            closed=registrar.enter,
        )
        self.backfill = self.filling()
        self.node.recall()

    def filling(self, *then: object) -> Backfill:
        town = self._town
        return Backfill(
            town.street.community, SECRET, database=town.database, book=self.book,
            folder=self.folder, then=then,  # type: ignore[arg-type]
        )  # fmt: skip

    def work(self, intervals: int, *, is_settled: bool = True) -> None:
        street = self._town.street
        for _ in range(intervals):
            self.node.receive(street.measure(*energy_of(self._town.done)))
            self.node.conclude(Terms(TARIFF))
            if is_settled:
                self.node.settle()
            street.interval = street.interval.next
            self._town.done += 1

    def publish(self) -> None:
        self.node.publish()
        publish_book(self.book, self.folder)

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }


class Town:
    """A street, the database of its nodes, and its lanes."""

    def __init__(self, url: str) -> None:
        self.street, self.lanes, self.done = Street(start=START), LanesInMemory(3, 10 * EURO), 0
        self.store = Store(url)
        self.database = self.store.database(ONLY_COMMUNITY)

    def book(self) -> BookStore:
        scope, own = self.database.scope, ISSUER.address_bytes
        return open_book(scope, self.street.community, own, LIFETIME_S)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(str(file_url(tmp_path / "town.sqlite")))
    yield town
    town.store.close()


@pytest.fixture
def any_town(url: str) -> Iterator[Town]:
    """Over SQLite and over PostgreSQL."""
    town = Town(url)
    yield town
    town.store.close()


def test_an_empty_folder_gets_every_day_byte_for_byte(any_town: Town, tmp_path: Path) -> None:
    first = Worker(any_town, tmp_path / "first")
    first.work(EVENING + DAY + 1)
    first.publish()
    second = Worker(any_town, tmp_path / "second")
    assert len(missing(any_town.database, second.folder)) == 2
    second.backfill.write()
    assert missing(any_town.database, second.folder) == []
    second.publish()
    assert second.files() == first.files()
    assert {day for path in first.files() if (day := path.partition(".")[0][-10:])[:2] == "20"} == {
        f"2016-06-{number}" for number in (21, 22, 23)
    }


def test_who_comes_back_gets_what_the_other_one_published_meanwhile(
    any_town: Town, tmp_path: Path
) -> None:
    first = Worker(any_town, tmp_path / "first")
    first.work(EVENING + 5)
    first.publish()  # in the middle of the second day
    second = Worker(any_town, tmp_path / "second")
    second.work(DAY)
    again = Worker(any_town, tmp_path / "first")
    second.publish()
    second.backfill.write()
    assert len(missing(any_town.database, again.folder)) == 1
    again.backfill.write()
    again.publish()
    assert again.files() == second.files()


def test_days_that_wait_for_the_chain_over_midnight_are_written_too(
    town: Town, tmp_path: Path
) -> None:
    first = Worker(town, tmp_path / "first")
    first.work(1)
    first.work(3, is_settled=False)
    first.work(DAY)
    first.publish()
    assert len(town.database.checkpoints()) == 2, "a day began before the one before was paid"
    second = Worker(town, tmp_path / "second")
    second.backfill.write()
    second.publish()
    assert second.files() == first.files()


class FullDisk:
    """Writes files until one does not fit."""

    def __init__(self, fails_at: int) -> None:
        self._fails_at, self.written = fails_at, 0

    def __call__(self, path: Path, chunks: list[bytes]) -> None:
        self.written += 1
        if self.written == self._fails_at:
            raise FolderUnusable(f"{path}: cannot be written (disk full)")
        write_whole(path, chunks)


def test_interrupted_at_any_file_it_goes_on_where_it_was(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Worker(town, tmp_path / "first")
    first.work(EVENING + 1)
    first.publish()
    interrupted = 0
    for fails_at in count(1):
        second, disk = Worker(town, tmp_path / f"second {fails_at}"), FullDisk(fails_at)
        with monkeypatch.context() as patch, suppress(FolderUnusable):
            patch.setattr(folder_module, "write_whole", disk)
            second.backfill.write()
        second.filling().write()
        second.publish()
        assert second.files() == first.files()
        if disk.written < fails_at:
            break
        interrupted += 1
    assert interrupted == 6, "three of the day, one of each member"


def test_where_nothing_is_missing_nothing_is_done_again(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(town, tmp_path / "first")
    assert missing(town.database, worker.folder) == []
    worker.work(EVENING + 1)
    worker.publish()
    again = Worker(town, tmp_path / "first")

    def never(*_: object, **__: object) -> None:
        raise AssertionError("nothing was missing")

    monkeypatch.setattr(backfill, "Node", never)
    again.backfill.write()


def test_a_database_that_does_not_lead_to_its_anchors_publishes_nothing_of_that_day(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = Worker(town, tmp_path / "first")
    first.work(EVENING + 1)
    first.publish()
    with town.store.transactions.writing() as connection:
        changed = text("UPDATE statement SET anchor = :anchor WHERE start = :start")
        connection.execute(changed, {"anchor": bytes(32), "start": START.start})
    second = Worker(town, tmp_path / "second")
    with pytest.raises(InvariantBroken, match="the database leads to its anchors"):
        second.backfill.write()
    assert not (second.folder / "public" / "2016-06-21.jsonl").exists()

    # In its thread it says so, tries again later, and ends when it is told to.
    said = Signal()
    monkeypatch.setattr(second.backfill._stopping, "wait", lambda _: said.set() or True)
    with caplog.at_level(logging.WARNING):
        second.backfill.start()
        assert said.wait(20)
        second.backfill.stop()
    assert "the database leads to its anchors" in caplog.text


class Listener:
    """What needs every day before it starts."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.found, self.is_stopped = folder, Signal(), False
        self.files: set[str] = set()

    def start(self) -> None:
        self.files = {path.name for path in (self._folder / "public").iterdir()}
        self.found.set()

    def stop(self) -> None:
        self.is_stopped = True


def test_who_needs_every_day_starts_when_they_are_there(town: Town, tmp_path: Path) -> None:
    first = Worker(town, tmp_path / "first")
    first.work(EVENING + 1)
    first.publish()
    second = Worker(town, tmp_path / "second")
    listener = Listener(second.folder)
    filling = second.filling(listener)
    filling.start()
    assert listener.found.wait(30)
    filling.stop()
    assert listener.is_stopped
    assert "2016-06-21.jsonl" in listener.files


def test_stopped_in_the_middle_it_ends_and_starts_nobody(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Worker(town, tmp_path / "first")
    first.work(EVENING + 1)
    first.publish()
    second = Worker(town, tmp_path / "second")
    listener, reached = Listener(second.folder), Signal()
    add = Publisher.add

    def slowly(publisher: Publisher, start: int, lines: object) -> None:
        add(publisher, start, lines)  # type: ignore[arg-type]
        reached.set()
        filling._stopping.wait(30)

    monkeypatch.setattr(Publisher, "add", slowly)
    filling = second.filling(listener)
    filling.start()
    assert reached.wait(30)
    filling.stop()
    assert not listener.found.is_set()
    assert missing(town.database, second.folder)
    monkeypatch.undo()
    second.filling().write()
    second.publish()
    assert second.files() == first.files()

"""What was published while another node worked for a community, written out here as well.

Everything published follows from the database: a day is concluded again from its records, as after
a crash, and must lead to the anchors that are kept. So nodes that share a database need no
directory in common; whoever takes a community over writes what its own lacks, oldest first, and
leaves half of the processor's time to the work of the day.
"""

import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from time import monotonic
from typing import NamedTuple, Protocol

from commonwatt.errors import CommonwattError, InvariantBroken
from commonwatt.node.book_store import BookStore
from commonwatt.node.folder import Publisher
from commonwatt.node.lanes import LaneFunds, Payment
from commonwatt.node.pipeline import Node
from commonwatt.node.registrar import publish_book
from commonwatt.node.store import Database, StatementRow
from commonwatt.statement.community import Community
from commonwatt.statement.publication import Line, day_of

RETRY_S = 60.0
"""After a fault of the disk or the database it is tried again."""

_log = logging.getLogger("commonwatt.backfill")


class _Follower(Protocol):
    """Works in threads of its own, from `start` to `stop`, and needs every published day."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Stretch(NamedTuple):
    """Whole days, from one checkpoint to the next."""

    start: int
    """UTC second, and so is the next one."""
    end: int


class _Stopped(CommonwattError):
    """Nobody waits for it any more."""


class Backfill:
    """Writes a community's earlier days in a thread of its own."""

    def __init__(
        self,
        community: Community,
        secret: bytes,
        *,
        database: Database,
        book: BookStore,
        folder: Path,
        then: Sequence[_Follower] = (),
    ) -> None:
        """Nothing starts yet.

        Args:
            community: whose days.
            secret: salts what is published.
            database: the community's.
            book: its certificates.
            folder: where it is published.
            then: started once every day is there.
        """
        self._community, self._secret = community, secret
        self._database, self._book, self._folder = database, book, folder
        self._then, self._started = then, list[_Follower]()
        self._stopping = Signal()
        self._thread = Thread(target=self._run, name="backfill", daemon=True)

    def start(self) -> None:
        """Look for what is missing, and write it."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is written is whole, and the rest is missing still."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        while self._started:
            self._started.pop().stop()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.write()
            except _Stopped:
                return
            except CommonwattError as error:
                _log.warning("%s: %s", self._folder, error)
                self._stopping.wait(RETRY_S)
            else:
                break
        for follower in self._then:
            if not self._stopping.is_set():
                follower.start()
                self._started.append(follower)

    def write(self) -> None:
        """Write the days that are missing, and the book.

        Raises:
            DatabaseUnusable, FolderUnusable: what was written until then is whole.
            InvariantBroken: the database does not lead to its anchors.
        """
        publish_book(self._book, self._folder)
        for stretch in missing(self._database, self._folder):
            _log.info("%s: writing what was published from %s on", self._folder, day_of(stretch[0]))
            publisher = _Earlier(self._folder, self._stopping)
            node = Node(
                self._community,
                self._secret,
                database=_Past(self._database, stretch),
                treasury=_NoTreasury(),
                publisher=publisher,
                now=lambda: 0,
            )
            node.recall()
            publisher.flush()


def missing(database: Database, folder: Path) -> list[Stretch]:
    """The stretches before the last checkpoint of which a day is not in a folder, in order.

    The last stretch is the node's own: it writes that one again whenever it begins.
    """
    starts, stated = database.checkpoints(), database.stated()
    found = []
    for start, end in pairwise(starts):
        days = Counter(map(day_of, stated[bisect_left(stated, start) : bisect_left(stated, end)]))
        if any(_lines(folder / f"public/{day}.jsonl") != count for day, count in days.items()):
            found.append(Stretch(start, end))
    return found


def _lines(path: Path) -> int:
    """How many lines a file has: a day's public one is written last, so with it all are there."""
    return path.read_bytes().count(b"\n") if path.is_file() else 0


class _Past(Database):
    """A community's memory of one stretch, as if nothing had come after it."""

    def __init__(self, database: Database, stretch: Stretch) -> None:
        super().__init__(database.scope)
        self._stretch = stretch

    def checkpoint(self, until: int | None = None) -> tuple[int, bytes] | None:  # noqa: ARG002 - its own
        start = self._stretch.start
        state = self.checkpoint_at(start)
        return None if state is None else (start, state)

    def statements(self, since: int = 0) -> Sequence[StatementRow]:
        return [row for row in super().statements(since) if row.start < self._stretch.end]

    def time_ends(self, since: int) -> list[int]:  # noqa: ARG002 - nothing came after it
        return []


class _Earlier(Publisher):
    """Writes as fast as half of the time allows, until it is told to stop."""

    def __init__(self, folder: Path, stopping: Signal) -> None:
        super().__init__(folder)
        self._stopping, self._last = stopping, monotonic()

    def add(self, start: int, lines: Iterable[Line]) -> None:
        super().add(start, lines)
        if self._stopping.wait(monotonic() - self._last):
            raise _Stopped
        self._last = monotonic()


class _NoTreasury:
    """Everything in a stretch is on the chain: nobody asks for lanes."""

    def funds(self, known: LaneFunds | None) -> LaneFunds:
        raise _asked(known)

    def pay(self, header: bytes, deltas: Sequence[bytes]) -> Payment | None:
        raise _asked(header, deltas)

    def paid(self, start: int, anchor: bytes) -> Payment | None:
        raise _asked(start, anchor)


def _asked(*values: object) -> InvariantBroken:
    return InvariantBroken("a day that is over asks nothing of the chain", asked=values)

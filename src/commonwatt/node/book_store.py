"""The book of certificates in a node's database: its log, and its bundles as they are now.

An action is acknowledged once its line is on the disk, beside the community's statements, in one
database and one backup. Several processes may write one book: each waits for its turn and does what
the others did before it acts, so of two that want the same units exactly one gets them. A node
writes under its community's lease, and one that has lost the lease writes nothing. Questions wait
for nobody.

A long log is not done again from its first line when the book is opened: a snapshot is kept now and
then, believed only where the lines lead to the same head, and made anew where it is not. Whoever
audits reads the lines.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock, RLock
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, bindparam, select, update

from commonwatt.certificate.bundle import Bundle, Origin, Status
from commonwatt.certificate.context import Scheme
from commonwatt.certificate.log import NO_HEAD, Log, SignedAction, SignerOf, next_head
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.certificate.snapshot import log_of, snapshot_of
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.store import LeaseLost
from commonwatt.node.store.dialect import insert_or, insert_rows, take_turn
from commonwatt.node.store.schema import book_bundle as _bundle
from commonwatt.node.store.schema import book_entry as _entry
from commonwatt.node.store.schema import book_snapshot as _snapshot
from commonwatt.node.store.schema import of
from commonwatt.node.store.scope import Scope

PAGE_MAX = 1_000
SNAPSHOT_ENTRIES = 10_000
"""So many entries after the last snapshot, closing the book takes another."""
LINES_FIRST, LINES_MAX = 16, 4_096
"""How many lines are read at once: at first, and at most. Whoever wants one does not read all."""
ACTIONS_AT_ONCE = 1_000
"""After so many a transaction writes what it has done: a server ends one that is silent."""


class BookStore:
    """A book that forgets nothing it has acknowledged. Any thread may call it."""

    def __init__(self, scope: Scope, identity: bytes, scheme: Scheme, signer_of: SignerOf) -> None:
        """Open the book, or begin it, and do its log again.

        Args:
            scope: the community in its database, and the lease to write under.
            identity: the book's id, 8 bytes.
            scheme: the rules fixed beforehand.
            signer_of: tells who signed a text.

        Raises:
            DatabaseUnusable: the database cannot be read.
            LogBroken: its lines do not follow from each other.
        """
        self._scope = scope
        self._identity, self._scheme, self._signer_of = identity, scheme, signer_of
        self._lock = RLock()
        """Had by whoever changes the log."""
        self.publishing = Lock()
        """Had by whoever writes the entries out."""
        self._kept = 0
        """Entries in the last snapshot."""
        self.entries = 0
        """How many the book has, as far as this process has heard."""
        self._forget()
        self.follow()

    def _forget(self) -> None:
        """Begin to read again: what memory did and the disk did not must not be built upon."""
        self._log = Log(self._identity, self._scheme, self._signer_of)
        self._is_known = False

    def close(self) -> None:
        """Keep a snapshot of a book that has grown; the database stays open."""
        if self._log.book.entries - self._kept >= SNAPSHOT_ENTRIES:
            # Without it the book is whole, and only slower to open.
            with suppress(DatabaseUnusable, LeaseLost):
                self.take_snapshot()

    def take_snapshot(self) -> None:
        """Keep the book as this process knows it, so that it is opened sooner next time."""
        with self._lock:
            log = self.log
            values = {"entries": log.book.entries, "book": snapshot_of(log)}
            with self._scope.writing() as connection:
                connection.execute(
                    insert_or(connection, _snapshot)
                    .values(community=self._scope.community, **values)
                    .on_conflict_do_update(index_elements=["community"], set_=values)
                )
            self._kept = log.book.entries

    def follow(self) -> Log:
        """Do what others did since, from the snapshot on where nothing is known; returns the log.

        Raises:
            DatabaseUnusable: the database cannot be read.
            LogBroken: a line does not follow from those before.
        """
        with self._lock:
            if not self._is_known:
                self._log = self._from_snapshot() or self._log
                self._kept = self._log.book.entries
            self._redo(self.lines(self._log.book.entries))
            self._is_known = True
            return self._log

    def _redo(self, lines: Iterable[bytes]) -> None:
        try:
            self._log.replay(lines)
        except BaseException:
            self._forget()
            raise
        self.entries = self._log.book.entries

    def _from_snapshot(self) -> Log | None:
        """The log as the snapshot says, if there is one that the lines lead to."""
        columns = (_snapshot.c.entries, _snapshot.c.book)
        with self._scope.reading() as connection:
            row = connection.execute(select(*columns).where(self._mine(_snapshot))).first()
        if row is None:
            return None
        head, count = NO_HEAD, 0
        for line in islice(self.lines(), row.entries):
            head, count = next_head(head, line), count + 1
        found = log_of(row.book, self._identity, self._scheme, self._signer_of, head)
        return found if found is not None and found.book.entries == count else None

    @property
    def log(self) -> Log:
        """The log and the book as this process last saw them.

        Raises:
            DatabaseUnusable: a write has failed, and what is kept could not be read since.
        """
        return self._log if self._is_known else self.follow()

    def submit(self, signed: SignedAction, now: int) -> tuple[Bundle, ...]:
        """Do one action; durable on return. Raises `ActionRefused`."""
        [answer] = self.submit_many([signed], now)
        if isinstance(answer, ActionRefused):
            raise answer
        return answer

    def submit_many(
        self, batch: Sequence[SignedAction], now: int, *, in_order: bool = False
    ) -> list[tuple[Bundle, ...] | ActionRefused]:
        """Do actions one after another in one transaction, each or nothing of it.

        Args:
            batch: in the order in which they are to be done.
            now: UTC second; where another process was later, its time counts.
            in_order: after one that is refused none is done.

        Returns:
            What came of each, or why it was refused, as far as they were done; durable on return.
        """
        with self._lock:
            if not self._is_known:
                self.follow()
            head = self._log.head
            try:
                with self._scope.writing() as connection:
                    take_turn(connection, b"book" + self._scope.community)
                    since = self._log.book.entries
                    self._redo(connection.scalars(self._lines_from(since)))
                    head = self._log.head
                    answers = list(self._do_all(connection, batch, now, in_order=in_order))
            except BaseException:
                if self._log.head != head:
                    self._forget()
                raise
            self.entries = self._log.book.entries
        return answers

    def _do_all(
        self, connection: Connection, batch: Iterable[SignedAction], now: int, *, in_order: bool
    ) -> Iterator[tuple[Bundle, ...] | ActionRefused]:
        done = _Done(len(self._log.book.state.bundles))
        for signed in batch:
            answer = self._do(signed, now, done)
            yield answer
            if in_order and isinstance(answer, ActionRefused):
                break
            if len(done.entries) == ACTIONS_AT_ONCE:
                self._keep(connection, done)
                done = _Done(len(self._log.book.state.bundles))
        self._keep(connection, done)

    def _do(
        self, signed: SignedAction, now: int, done: "_Done"
    ) -> tuple[Bundle, ...] | ActionRefused:
        book = self._log.book
        before = len(book.state.bundles)
        try:
            entry, made = self._log.submit(signed, max(now, book.now))
        except ActionRefused as refused:
            return refused
        done.entries.append((self._scope.community, entry.number, entry.line()))
        done.changed.update(bundle.number for bundle in made)
        done.changed.update(range(before, len(book.state.bundles)))
        return made

    def _keep(self, connection: Connection, done: "_Done") -> None:
        """Write the lines, and the bundles that were made or changed."""
        community, bundles = self._scope.community, self._log.book.state.bundles
        # A bundle that was divided is told by its parts.
        parents = {p for number in done.changed if (p := bundles[number].parent) is not None}
        changed = [bundles[number] for number in sorted(done.changed | parents)]
        insert_rows(connection, _entry, done.entries)
        made = [bundle for bundle in changed if bundle.number >= done.first]
        insert_rows(connection, _bundle, [_row_of(community, bundle) for bundle in made])
        again = [_change_of(bundle) for bundle in changed if bundle.number < done.first]
        if again:
            one = (self._mine(_bundle), _bundle.c.number == bindparam("which"))
            connection.execute(update(_bundle).where(*one), again)

    def lines(self, since: int = 0) -> Iterator[bytes]:
        """The log's lines from an entry on; others write meanwhile, and some of that may come."""
        wanted = LINES_FIRST
        while True:
            with self._scope.reading() as connection:
                page = connection.scalars(self._lines_from(since).limit(wanted)).all()
            yield from page
            if len(page) < wanted:
                return
            since, wanted = since + wanted, min(4 * wanted, LINES_MAX)

    def _lines_from(self, since: int) -> Select[bytes]:
        query = select(_entry.c.line).where(self._mine(_entry), _entry.c.number >= since)
        return query.order_by(_entry.c.number)

    def bundle(self, number: int) -> Bundle | None:
        """One bundle as it is now."""
        query = select(_bundle).where(self._mine(_bundle), _bundle.c.number == number)
        with self._scope.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else _bundle_of(row)

    def produced(
        self, start: int, end: int, *, after: tuple[int, int] = (-1, -1), limit: int = PAGE_MAX
    ) -> list[Bundle]:
        """Bundles of intervals that start in `[start, end)`, by start and number.

        Args:
            start: first UTC second.
            end: first UTC second outside.
            after: start and number of the last one of the page before.
            limit: how many at most.
        """
        order = (_bundle.c.start, _bundle.c.number)
        later = (_bundle.c.start > after[0]) | (
            (_bundle.c.start == after[0]) & (_bundle.c.number > after[1])
        )
        query = select(_bundle).where(_bundle.c.start >= max(start, after[0]), later)
        query = query.where(self._mine(_bundle), _bundle.c.start < end)
        return self._page(query.order_by(*order), limit)

    def held(self, holder: bytes, *, after: int = -1, limit: int = PAGE_MAX) -> list[Bundle]:
        """An account's bundles, by number, from the one after `after` on."""
        held = (_bundle.c.holder == holder, _bundle.c.number > after)
        query = select(_bundle).where(self._mine(_bundle), *held)
        return self._page(query.order_by(_bundle.c.number), limit)

    def _page(self, query: Select[Any], limit: int) -> list[Bundle]:
        with self._scope.reading() as connection:
            rows = connection.execute(query.limit(min(limit, PAGE_MAX)))
            return [_bundle_of(row) for row in rows]

    def _mine(self, table: Table) -> ColumnElement[bool]:
        return of(table, self._scope.community)


@dataclass(slots=True)
class _Done:
    """What a transaction has done and not yet written."""

    first: int
    """Number of the first bundle that is not yet written."""
    entries: list[tuple[object, ...]] = field(default_factory=list)
    """Rows of their table."""
    changed: set[int] = field(default_factory=set)
    """Numbers of bundles."""


def _row_of(community: bytes, bundle: Bundle) -> tuple[object, ...]:
    """A bundle in the order of its table's columns."""
    origin, status = bundle.origin, bundle.status.value
    interval = (origin.meter, origin.start, origin.duration, bundle.first, bundle.end)
    return (community, bundle.number, *interval, bundle.holder, status, bundle.by, bundle.parent)


def _change_of(bundle: Bundle) -> dict[str, object]:
    """What of a bundle ever changes."""
    return {
        "which": bundle.number,
        "holder": bundle.holder,
        "status": bundle.status.value,
        "by": bundle.by,
    }


def _bundle_of(row: Row[Any]) -> Bundle:
    return Bundle(
        number=row.number,
        origin=Origin(row.meter, row.start, row.duration),
        first=row.first,
        end=row.end,
        holder=row.holder,
        status=Status(row.status),
        by=row.by,
        parent=row.parent,
    )

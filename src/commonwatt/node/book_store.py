"""The book of certificates on a disk: its log, and its bundles as they are now, for questions.

SQLite through SQLAlchemy Core. An action is acknowledged once its line is on the disk. Several
processes may use one file: each does what the others did before it acts, in a transaction that
only one has at a time, so of two that want the same units exactly one gets them. Questions wait for
nobody.

A long log is not done again from its first line when the file is opened: a snapshot is kept now and
then, believed only where the lines lead to the same head, and made anew where it is not. Whoever
audits reads the lines.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Select,
    String,
    Table,
    delete,
    select,
)
from sqlalchemy.dialects.sqlite import insert

from commonwatt.certificate.bundle import Bundle, Origin, Status
from commonwatt.certificate.context import Scheme
from commonwatt.certificate.log import NO_HEAD, Log, SignedAction, SignerOf, next_head
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.certificate.snapshot import log_of, snapshot_of
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.sqlite import SqliteFile

PAGE_MAX = 1_000
SNAPSHOT_ENTRIES = 10_000
"""So many entries after the last snapshot, closing the book takes another."""

_schema = MetaData()

_entry = Table(
    "entry",
    _schema,
    Column("number", Integer, primary_key=True),
    Column("line", LargeBinary, nullable=False),
)

_bundle = Table(
    "bundle",
    _schema,
    Column("number", Integer, primary_key=True),
    Column("meter", LargeBinary, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("duration", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("holder", LargeBinary, nullable=False),
    Column("status", String, nullable=False),
    Column("by", Integer, nullable=False),
    Column("parent", Integer),
)
_snapshot = Table(
    "snapshot",
    _schema,
    Column("entries", Integer, primary_key=True),
    Column("book", LargeBinary, nullable=False),
)

# A day's certificates and an account's are read as runs of neighbouring rows, page by page.
Index("bundle_by_start", _bundle.c.start, _bundle.c.number)
Index("bundle_by_holder", _bundle.c.holder, _bundle.c.number)


class BookStore:
    """A book that forgets nothing it has acknowledged."""

    def __init__(self, path: Path, identity: bytes, scheme: Scheme, signer_of: SignerOf) -> None:
        """Open or create the file and do its log again.

        Args:
            path: the file.
            identity: the book's id, 8 bytes.
            scheme: the rules fixed beforehand.
            signer_of: tells who signed a text.

        Raises:
            DatabaseUnusable: the file cannot be opened or read.
            LogBroken: its lines do not follow from each other.
        """
        self._identity, self._scheme, self._signer_of = identity, scheme, signer_of
        self._log = self._new_log()
        self._kept = 0
        """Entries in the last snapshot."""
        self._file = SqliteFile(path)
        with self._file.writing() as connection:
            _schema.create_all(connection)
        with self._file.reading() as connection:
            self._follow(connection)

    def _new_log(self) -> Log:
        return Log(self._identity, self._scheme, self._signer_of)

    def close(self) -> None:
        """Let go of the file, with a snapshot of a book that has grown."""
        if self._log.book.entries - self._kept >= SNAPSHOT_ENTRIES:
            # Without it the book is whole, and only slower to open.
            with suppress(DatabaseUnusable):
                self.take_snapshot()
        self._file.close()

    def take_snapshot(self) -> None:
        """Keep the book as this process knows it, so that it is opened sooner next time."""
        entries, book = self._log.book.entries, snapshot_of(self._log)
        with self._file.writing() as connection:
            connection.execute(delete(_snapshot))
            connection.execute(insert(_snapshot).values(entries=entries, book=book))
        self._kept = entries

    def _from_snapshot(self, connection: Connection) -> Log | None:
        """The log as the snapshot says, if there is one that the lines lead to."""
        row = connection.execute(select(_snapshot)).first()
        if row is None:
            return None
        head, count = NO_HEAD, 0
        for line in connection.scalars(_lines(0).where(_entry.c.number < row.entries)):
            head, count = next_head(head, line), count + 1
        found = log_of(row.book, self._identity, self._scheme, self._signer_of, head)
        return found if found is not None and found.book.entries == count else None

    @property
    def log(self) -> Log:
        """The log and the book as this process last saw them."""
        return self._log

    def submit(self, signed: SignedAction, now: int) -> tuple[Bundle, ...]:
        """Do one action; durable on return. Raises `ActionRefused`."""
        [answer] = self.submit_many([signed], now)
        if isinstance(answer, ActionRefused):
            raise answer
        return answer

    def submit_many(
        self, batch: Sequence[SignedAction], now: int
    ) -> list[tuple[Bundle, ...] | ActionRefused]:
        """Do actions one after another in one transaction, each or nothing of it.

        Args:
            batch: in the order in which they are to be done.
            now: UTC second; where another process was later, its time counts.

        Returns:
            What came of each, or why it was refused; durable on return.
        """
        done = _Done()
        try:
            with self._file.writing() as connection:
                self._follow(connection)
                answers = [self._do(signed, now, done) for signed in batch]
                self._keep(connection, done)
        except BaseException:
            # What memory did and the disk did not must not be built upon.
            self._log = self._new_log()
            raise
        return answers

    def _do(
        self, signed: SignedAction, now: int, done: "_Done"
    ) -> tuple[Bundle, ...] | ActionRefused:
        book = self._log.book
        before = len(book.state.bundles)
        try:
            entry, made = self._log.submit(signed, max(now, book.now))
        except ActionRefused as refused:
            return refused
        done.entries.append({"number": entry.number, "line": entry.line()})
        done.changed.update(bundle.number for bundle in made)
        done.changed.update(range(before, len(book.state.bundles)))
        return made

    def _keep(self, connection: Connection, done: "_Done") -> None:
        """Write the lines, and the bundles that were made or changed."""
        bundles = self._log.book.state.bundles
        # A bundle that was divided is told by its parts.
        parents = {p for number in done.changed if (p := bundles[number].parent) is not None}
        rows = [_row_of(bundles[number]) for number in sorted(done.changed | parents)]
        if done.entries:
            connection.execute(insert(_entry), done.entries)
        if rows:
            statement = insert(_bundle)
            replaced = {name: statement.excluded[name] for name in ("holder", "status", "by")}
            connection.execute(
                statement.on_conflict_do_update(index_elements=["number"], set_=replaced), rows
            )

    def _follow(self, connection: Connection) -> None:
        """Do what other processes did since; from the snapshot on, where nothing is known yet."""
        if not self._log.book.entries:
            self._log = self._from_snapshot(connection) or self._log
            self._kept = self._log.book.entries
        self._log.replay(connection.scalars(_lines(self._log.book.entries)))

    def lines(self, since: int = 0) -> Iterator[bytes]:
        """The log's lines from an entry on."""
        with self._file.reading() as connection:
            yield from connection.scalars(_lines(since))

    def bundle(self, number: int) -> Bundle | None:
        """One bundle as it is now."""
        with self._file.reading() as connection:
            row = connection.execute(select(_bundle).where(_bundle.c.number == number)).first()
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
        return self._page(query.where(_bundle.c.start < end).order_by(*order), limit)

    def held(self, holder: bytes, *, after: int = -1, limit: int = PAGE_MAX) -> list[Bundle]:
        """An account's bundles, by number, from the one after `after` on."""
        query = select(_bundle).where(_bundle.c.holder == holder, _bundle.c.number > after)
        return self._page(query.order_by(_bundle.c.number), limit)

    def _page(self, query: Select[Any], limit: int) -> list[Bundle]:
        with self._file.reading() as connection:
            rows = connection.execute(query.limit(min(limit, PAGE_MAX)))
            return [_bundle_of(row) for row in rows]


@dataclass(slots=True)
class _Done:
    """What a transaction has done and not yet written."""

    entries: list[dict[str, object]] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)
    """Numbers of bundles."""


def _lines(since: int) -> Select[bytes]:
    return select(_entry.c.line).where(_entry.c.number >= since).order_by(_entry.c.number)


def _row_of(bundle: Bundle) -> dict[str, object]:
    origin = bundle.origin
    return {
        "number": bundle.number,
        "meter": origin.meter,
        "start": origin.start,
        "duration": origin.duration,
        "first": bundle.first,
        "end": bundle.end,
        "holder": bundle.holder,
        "status": bundle.status.value,
        "by": bundle.by,
        "parent": bundle.parent,
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

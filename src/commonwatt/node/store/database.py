"""What a node must not forget of a community: records it acknowledged, and statements it made.

Each method is one transaction; when it returns, its rows are on the disk. Money and energy are in
the bytes of statements, never in columns of their own.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, insert, select, update

from commonwatt.meter.acceptance import Accepted, Late, Reason, Refused
from commonwatt.meter.record import SignedRecord
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.store.dialect import insert_or, take_turn
from commonwatt.node.store.journal import (
    LATE_RECORD,
    READMISSION,
    RECORD,
    REFUSED,
    Head,
    head_of,
    keep,
    read_back,
    verified,
)
from commonwatt.node.store.outbox import Close, put_in
from commonwatt.node.store.schema import checkpoint as _checkpoint
from commonwatt.node.store.schema import late_record as _late_record
from commonwatt.node.store.schema import note as _note
from commonwatt.node.store.schema import of
from commonwatt.node.store.schema import readmission as _readmission
from commonwatt.node.store.schema import record as _record
from commonwatt.node.store.schema import refused as _refused
from commonwatt.node.store.schema import statement as _statement
from commonwatt.node.store.scope import Scope


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One statement as kept; `transaction` is None until the chain has it."""

    start: int
    header: bytes
    inputs: bytes
    anchor: bytes
    transaction: bytes | None
    gas: int | None
    seconds: float | None


class Database:
    """A community's memory.

    Who writes here remembers the same: standings, accepted records. So once a write may have been
    kept without our hearing of it, nothing more is written: open the community again and catch up.
    """

    def __init__(self, scope: Scope) -> None:
        """One community's."""
        self._scope = scope
        self._in_doubt = False

    @property
    def community(self) -> bytes:
        """20 bytes."""
        return self._scope.community

    @property
    def scope(self) -> Scope:
        """Whose rows, and under which lease: for the rest of what is kept of this community."""
        return self._scope

    @property
    def in_doubt(self) -> bool:
        """Whether nothing more is written here: a write may be kept that nobody heard of."""
        return self._in_doubt

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self._in_doubt:
            raise DatabaseUnusable(
                self._scope.name,
                "the connection was lost while a write was being kept",
                step="start again, it goes on from what was kept",
                in_doubt=True,
            )
        try:
            with self._scope.writing() as connection:
                yield connection
        except DatabaseUnusable as error:
            self._in_doubt = error.in_doubt
            raise

    def note(self, key: str) -> bytes | None:
        """A remembered value."""
        query = select(_note.c.value).where(self._mine(_note), _note.c.key == key)
        with self._scope.reading() as connection:
            return connection.scalar(query)

    def take_note(self, key: str, value: bytes) -> None:
        """Remember a value under a key, once; a key keeps its first value."""
        with self._writing() as connection:
            statement = insert_or(connection, _note).on_conflict_do_nothing()
            connection.execute(statement.values(community=self.community, key=key, value=value))

    def acknowledge(
        self,
        start: int,
        accepted: Iterable[Accepted],
        refused: Iterable[Refused],
        *,
        readmitted: Iterable[int] = (),
    ) -> None:
        """Keep what came in while the interval at `start` was open; durable on return.

        Args:
            start: the open interval's, UTC seconds.
            accepted: verdicts of records that count.
            refused: verdicts of records that go to quarantine.
            readmitted: refusals that were released, and whose records are now among `accepted`.
        """
        records = [
            (verdict.record.time_end, verdict.record.meter, *verdict.signed) for verdict in accepted
        ]
        refusals = [(*verdict.signed, verdict.reason.name) for verdict in refused]
        with self._writing() as connection:
            keep(connection, self.community, RECORD, records)
            if refusals:
                first = self._next_refusal(connection)
                numbered = [(start, n, *row) for n, row in enumerate(refusals, first)]
                keep(connection, self.community, REFUSED, numbered)
            self._readmit(connection, start, readmitted)

    def acknowledge_late(
        self, start: int, accepted: Iterable[Accepted | Late], *, readmitted: Iterable[int] = ()
    ) -> None:
        """Keep records of intervals that are closed, to be settled with the interval at `start`."""
        records = [
            (start, verdict.record.time_end, verdict.record.meter, *verdict.signed)
            for verdict in accepted
        ]
        with self._writing() as connection:
            keep(connection, self.community, LATE_RECORD, records)
            self._readmit(connection, start, readmitted)

    def _next_refusal(self, connection: Connection) -> int:
        # Numbers are given in the journal's turn, so that no two get the same.
        take_turn(connection, b"journal" + self.community)
        query = select(func.max(_refused.c.number)).where(self._mine(_refused))
        return (connection.scalar(query) or 0) + 1

    def _readmit(self, connection: Connection, start: int, refusals: Iterable[int]) -> None:
        keep(connection, self.community, READMISSION, [(start, number) for number in refusals])

    def records(self, time_end: int) -> list[SignedRecord]:
        """The acknowledged records of the interval that ends at `time_end`, by meter.

        Raises:
            InvariantBroken: if they are not those that were acknowledged.
        """
        with self._scope.reading() as connection:
            rows = read_back(connection, self.community, RECORD, time_end)
        return [SignedRecord(row[2], row[3]) for row in rows]

    def late_records(self, start: int) -> list[SignedRecord]:
        """Records to be settled with the interval at `start`, by the end of their own and meter.

        Raises:
            InvariantBroken: if they are not those that were acknowledged.
        """
        with self._scope.reading() as connection:
            rows = read_back(connection, self.community, LATE_RECORD, start)
        return [SignedRecord(row[3], row[4]) for row in rows]

    def time_ends(self, since: int) -> list[int]:
        """The ends, from `since` on, of intervals with acknowledged records."""
        ends = _record.c.time_end
        query = select(ends).where(self._mine(_record), ends >= since).distinct().order_by(ends)
        with self._scope.reading() as connection:
            return list(connection.scalars(query))

    def refusals(self, start: int) -> list[Refused]:
        """The records refused while the interval at `start` was open, in a fixed order.

        Raises:
            InvariantBroken: if they are not as they were kept.
        """
        with self._scope.reading() as connection:
            rows = read_back(connection, self.community, REFUSED, start)
        ordered = sorted((record, signature, reason) for _, _, record, signature, reason in rows)
        return [Refused(SignedRecord(row[0], row[1]), Reason[row[2]]) for row in ordered]

    def released(self) -> set[bytes]:
        """The records that were refused, and accepted after the operator released them."""
        query = select(_refused.c.record).join(
            _readmission,
            and_(
                _readmission.c.community == _refused.c.community,
                _readmission.c.refusal == _refused.c.number,
            ),
        )
        with self._scope.reading() as connection:
            return set(connection.scalars(query.where(self._mine(_refused))))

    def is_acknowledged(self, time_end: int, meter: bytes, record: bytes) -> bool:
        """Whether this very record is kept, in time or late."""
        with self._scope.reading() as connection:
            for table in (_record, _late_record):
                query = select(table.c.record).where(
                    self._mine(table), table.c.time_end == time_end, table.c.meter == meter
                )
                if record in connection.scalars(query).all():
                    return True
        return False

    def state_statement(
        self, row: StatementRow, checkpoint: bytes | None, deltas: Sequence[bytes] | None = None
    ) -> None:
        """Keep a statement before it is sent, with the state before it where a day begins.

        One that was kept for the same interval and never paid is replaced.

        Args:
            row: the statement.
            checkpoint: the state before it.
            deltas: if given, it also goes to the outbox, to be closed on the chain in its turn.

        Raises:
            InvariantBroken: if the outbox has a transaction under way that would close another
                statement of the interval.
        """
        of_start = {"community": self.community, "start": row.start}
        with self._writing() as connection:
            if checkpoint is not None:
                keep_first = insert_or(connection, _checkpoint).on_conflict_do_nothing()
                connection.execute(keep_first.values(**of_start, state=checkpoint))
            connection.execute(
                delete(_statement).where(
                    self._mine(_statement),
                    _statement.c.start == row.start,
                    _statement.c.transaction.is_(None),
                )
            )
            kept = {"header": row.header, "inputs": row.inputs, "anchor": row.anchor}
            connection.execute(insert(_statement).values(**of_start, **kept))
            if deltas is not None:
                close = Close(row.start, row.header, tuple(deltas), row.anchor)
                put_in(connection, self.community, close)

    def mark_paid(self, start: int, transaction: bytes, gas: int, seconds: float) -> None:
        """Remember that the chain closed an interval."""
        with self._writing() as connection:
            connection.execute(
                update(_statement)
                .where(self._mine(_statement), _statement.c.start == start)
                .values(transaction=transaction, gas=gas, seconds=seconds)
            )

    def mark_unpaid(self, since: int) -> int:
        """Remember that the chain has taken closes back, from an interval's start on; how many."""
        with self._writing() as connection:
            return connection.execute(
                update(_statement)
                .where(
                    self._mine(_statement),
                    _statement.c.start >= since,
                    _statement.c.transaction.is_not(None),
                )
                .values(transaction=None, gas=None, seconds=None)
            ).rowcount

    def statements(self, since: int = 0) -> Sequence[StatementRow]:
        """All statements from an interval's start on, in order."""
        start = _statement.c.start
        columns = list(_statement.c)[1:]
        query = select(*columns).where(self._mine(_statement), start >= since).order_by(start)
        with self._scope.reading() as connection:
            return [StatementRow(*row) for row in connection.execute(query)]

    def first_unpaid(self) -> int | None:
        """The start of the first interval that is stated and not known to be on the chain."""
        query = select(func.min(_statement.c.start))
        query = query.where(self._mine(_statement), _statement.c.transaction.is_(None))
        with self._scope.reading() as connection:
            found: int | None = connection.scalar(query)
        return found

    def checkpoint(self, until: int | None = None) -> tuple[int, bytes] | None:
        """The last day's first interval and the state before it; of days that begin by `until`."""
        start = _checkpoint.c.start
        query = select(start, _checkpoint.c.state).where(self._mine(_checkpoint))
        if until is not None:
            query = query.where(start <= until)
        with self._scope.reading() as connection:
            row = connection.execute(query.order_by(start.desc()).limit(1)).first()
        return None if row is None else (row[0], row[1])

    def checkpoints(self) -> list[int]:
        """All first intervals of days whose state before them is kept, in order."""
        start = _checkpoint.c.start
        query = select(start).where(self._mine(_checkpoint)).order_by(start)
        with self._scope.reading() as connection:
            return list(connection.scalars(query))

    def checkpoint_at(self, start: int) -> bytes | None:
        """The state before an interval, where it is kept."""
        query = select(_checkpoint.c.state)
        query = query.where(self._mine(_checkpoint), _checkpoint.c.start == start)
        with self._scope.reading() as connection:
            return connection.scalar(query)

    def stated(self) -> list[int]:
        """The starts of all intervals with a statement, in order."""
        start = _statement.c.start
        query = select(start).where(self._mine(_statement)).order_by(start)
        with self._scope.reading() as connection:
            return list(connection.scalars(query))

    def counts(self) -> tuple[int, int]:
        """How many records are kept, and how many were refused."""
        with self._scope.reading() as connection:
            kept, refused = (
                connection.execute(
                    select(func.count()).select_from(table).where(self._mine(table))
                ).scalar_one()
                for table in (_record, _refused)
            )
        return kept, refused

    def head(self) -> Head:
        """Where the journal ends: it stands for everything that was ever kept."""
        with self._scope.reading() as connection:
            return head_of(connection, self.community)

    def verified(self) -> Head:
        """Compare everything that was kept with the journal; gives the journal's end.

        Raises:
            InvariantBroken: at the first row or entry that is not as it was kept.
        """
        with self._scope.reading() as connection:
            return verified(connection, self.community)

    def _mine(self, table: Table) -> ColumnElement[bool]:
        return of(table, self.community)

"""What a node must not forget: records it acknowledged, and statements it made.

SQLite through SQLAlchemy Core. Each method is one transaction; when it returns, its rows are on
the disk. Money and energy are in the bytes of statements, never in columns of their own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from commonwatt.meter.acceptance import Accepted, Reason, Refused
from commonwatt.meter.record import SignedRecord
from commonwatt.node.sqlite import SqliteFile

_schema = MetaData()

_note = Table(
    "note",
    _schema,
    Column("key", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

# Time first: an interval is read and written as one run of neighbouring rows.
_record = Table(
    "record",
    _schema,
    Column("time_end", BigInteger, primary_key=True),
    Column("meter", LargeBinary, primary_key=True),
    Column("record", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

_refused = Table(
    "refused",
    _schema,
    Column("number", Integer, primary_key=True),
    Column("start", BigInteger, nullable=False, index=True),
    Column("record", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("reason", String, nullable=False),
)

_statement = Table(
    "statement",
    _schema,
    Column("start", BigInteger, primary_key=True),
    Column("header", LargeBinary, nullable=False),
    Column("inputs", LargeBinary, nullable=False),
    Column("anchor", LargeBinary, nullable=False),
    Column("transaction", LargeBinary),
    Column("gas", BigInteger),
    Column("seconds", Float),
)

_checkpoint = Table(
    "checkpoint",
    _schema,
    Column("start", BigInteger, primary_key=True),
    Column("state", LargeBinary, nullable=False),
)


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
    """The node's memory."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; raises `DatabaseUnusable` where that is impossible."""
        self._file = SqliteFile(path)
        with self._file.writing() as connection:
            _schema.create_all(connection)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def note(self, key: str) -> bytes | None:
        """A remembered value."""
        with self._file.reading() as connection:
            return connection.scalar(select(_note.c.value).where(_note.c.key == key))

    def take_note(self, key: str, value: bytes) -> None:
        """Remember a value under a key, once; a key keeps its first value."""
        with self._file.writing() as connection:
            connection.execute(insert(_note).prefix_with("OR IGNORE").values(key=key, value=value))

    def acknowledge(
        self, start: int, accepted: Iterable[Accepted], refused: Iterable[Refused]
    ) -> None:
        """Keep what came in while the interval at `start` was open; durable on return."""
        records = [
            {
                "time_end": verdict.record.time_end,
                "meter": verdict.record.meter,
                "record": verdict.signed.record,
                "signature": verdict.signed.signature,
            }
            for verdict in accepted
        ]
        refusals = [
            {
                "start": start,
                "record": verdict.signed.record,
                "signature": verdict.signed.signature,
                "reason": verdict.reason.name,
            }
            for verdict in refused
        ]
        with self._file.writing() as connection:
            if records:
                connection.execute(insert(_record), records)
            if refusals:
                connection.execute(insert(_refused), refusals)

    def records(self, time_end: int) -> list[SignedRecord]:
        """The acknowledged records of the interval that ends at `time_end`, by meter."""
        query = (
            select(_record.c.record, _record.c.signature)
            .where(_record.c.time_end == time_end)
            .order_by(_record.c.meter)
        )
        with self._file.reading() as connection:
            return [SignedRecord(*row) for row in connection.execute(query)]

    def time_ends(self, since: int) -> list[int]:
        """The ends, from `since` on, of intervals with acknowledged records."""
        ends = _record.c.time_end
        query = select(ends).where(ends >= since).distinct().order_by(ends)
        with self._file.reading() as connection:
            return list(connection.scalars(query))

    def refusals(self, start: int) -> list[Refused]:
        """The records refused while the interval at `start` was open, in a fixed order."""
        columns = (_refused.c.record, _refused.c.signature, _refused.c.reason)
        query = select(*columns).where(_refused.c.start == start).order_by(*columns)
        with self._file.reading() as connection:
            rows = connection.execute(query).all()
        return [Refused(SignedRecord(row[0], row[1]), Reason[row[2]]) for row in rows]

    def is_acknowledged(self, time_end: int, meter: bytes, record: bytes) -> bool:
        """Whether this very record is kept."""
        query = select(_record.c.record).where(
            _record.c.time_end == time_end, _record.c.meter == meter
        )
        with self._file.reading() as connection:
            return connection.scalar(query) == record

    def state_statement(self, row: StatementRow, checkpoint: bytes | None) -> None:
        """Keep a statement before it is sent, with the state before it where a day begins.

        One that was kept for the same interval and never paid is replaced.
        """
        with self._file.writing() as connection:
            if checkpoint is not None:
                connection.execute(
                    insert(_checkpoint)
                    .prefix_with("OR IGNORE")
                    .values(start=row.start, state=checkpoint)
                )
            connection.execute(
                delete(_statement).where(
                    _statement.c.start == row.start, _statement.c.transaction.is_(None)
                )
            )
            connection.execute(
                insert(_statement).values(
                    start=row.start, header=row.header, inputs=row.inputs, anchor=row.anchor
                )
            )

    def mark_paid(self, start: int, transaction: bytes, gas: int, seconds: float) -> None:
        """Remember that the chain closed an interval."""
        with self._file.writing() as connection:
            connection.execute(
                update(_statement)
                .where(_statement.c.start == start)
                .values(transaction=transaction, gas=gas, seconds=seconds)
            )

    def statements(self, since: int = 0) -> Sequence[StatementRow]:
        """All statements from an interval's start on, in order."""
        query = select(_statement).where(_statement.c.start >= since).order_by(_statement.c.start)
        with self._file.reading() as connection:
            return [StatementRow(*row) for row in connection.execute(query)]

    def checkpoint(self) -> tuple[int, bytes] | None:
        """The last day's first interval and the state before it."""
        query = select(_checkpoint).order_by(_checkpoint.c.start.desc()).limit(1)
        with self._file.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row[0], row[1])

    def counts(self) -> tuple[int, int]:
        """How many records are kept, and how many were refused."""
        with self._file.reading() as connection:
            kept = connection.scalar(select(func.count()).select_from(_record)) or 0
            refused = connection.scalar(select(func.count()).select_from(_refused)) or 0
        return kept, refused

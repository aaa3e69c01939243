"""The spool: what a gateway has signed and the node has not yet answered, on the disk.

A record is here before it leaves, together with all that is needed to make the next one, so a
gateway that is killed goes on where it was and never signs a second record under a number.
SQLite through SQLAlchemy Core, with a write-ahead log that is synced at each commit.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from commonwatt.meter.acceptance import Reason
from commonwatt.meter.record import Quality, Record, SignedRecord
from commonwatt.node.gateway import delivered, exchanges
from commonwatt.node.gateway.answers import Answer, Fate, RecordName
from commonwatt.node.gateway.delivered import Correctable, Waiting
from commonwatt.node.gateway.registers import NO_OFFSET, Exchange, Known, Offset, Registers
from commonwatt.node.gateway.spool_tables import clock as _clock
from commonwatt.node.gateway.spool_tables import correction as _correction
from commonwatt.node.gateway.spool_tables import file as _file
from commonwatt.node.gateway.spool_tables import meter as _meter
from commonwatt.node.gateway.spool_tables import record as _record
from commonwatt.node.gateway.spool_tables import refused as _refused
from commonwatt.node.gateway.spool_tables import schema as _schema
from commonwatt.node.sqlite import SqliteFile

SPOOL_RECORDS_MAX = 500_000
"""Some 200 MB: one meter's quarter hours of fourteen years, or a hundred meters' of 52 days."""
REFUSED_MAX = 10_000
"""So many refused records are kept to be looked at; then the oldest go."""


@dataclass(frozen=True, slots=True)
class MeterState:
    """Where one meter's chain of records stands."""

    last: bytes
    """The last record that was signed, 100 bytes."""
    known: Known
    doubtful: bool
    """Whether the clock was in doubt since the last record."""
    offset: Offset = NO_OFFSET
    """What is added to what the device says."""

    @property
    def last_record(self) -> Record:
        """The last record, decoded."""
        return Record.decode(self.last)

    @property
    def is_exchange_due(self) -> bool:
        """Whether the next record has to say that the device was exchanged.

        It is so from the exchange until a record has the number that was the next one then, and
        whoever is killed in between finds it so again.
        """
        return self.offset.sequence == self.last_record.sequence + 1


@dataclass(frozen=True, slots=True)
class Opening:
    """How a meter began: what its operator needs to register it."""

    name: str
    """The meter's in `gateway.toml`."""
    public_key: bytes
    """64 bytes `x || y`."""
    signed: SignedRecord
    """The opening record."""


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A record that the node will not take."""

    name: RecordName
    reason: str
    signed: SignedRecord


class Spool:
    """One gateway's records and meters."""

    def __init__(self, path: Path, records_max: int = SPOOL_RECORDS_MAX) -> None:
        """Open or create the file.

        Args:
            path: the file.
            records_max: how many records may wait.

        Raises:
            DatabaseUnusable: it cannot be opened or written.
        """
        self.records_max = records_max
        self._file = SqliteFile(path)
        with self._file.writing() as connection:
            _schema.create_all(connection)
        with self._file.reading() as connection:
            self._count = _counted(connection)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    @property
    def count(self) -> int:
        """How many records wait for the node."""
        return self._count

    @property
    def room(self) -> int:
        """How many more records may be signed."""
        return max(self.records_max - self._count, 0)

    def openings(self) -> dict[bytes, Opening]:
        """Every meter's beginning."""
        with self._file.reading() as connection:
            return {
                row.meter: Opening(
                    row.name, row.public_key, SignedRecord(row.opening, row.opening_signature)
                )
                for row in connection.execute(select(_meter))
            }

    def open_meter(self, opening: Opening, known: Known) -> None:
        """Keep a new meter with its opening record; one that is there stays as it is."""
        state = MeterState(opening.signed.record, known, doubtful=False)
        values = {
            "meter": state.last_record.meter,
            "name": opening.name,
            "public_key": opening.public_key,
            "opening": opening.signed.record,
            "opening_signature": opening.signed.signature,
            **_columns(state),
        }
        with self._file.writing() as connection:
            connection.execute(insert(_meter).values(values).on_conflict_do_nothing())

    def states(self) -> dict[bytes, MeterState]:
        """Where every meter's chain stands."""
        with self._file.reading() as connection:
            offsets = exchanges.offsets(connection)
            return {
                row.meter: _state(row, offsets.get(row.meter, NO_OFFSET))
                for row in connection.execute(select(_meter))
            }

    def exchanges(self, meter: bytes) -> list[Exchange]:
        """How often a meter's device was exchanged, the oldest first."""
        with self._file.reading() as connection:
            return exchanges.exchanges_of(connection, meter)

    def exchange(self, meter: bytes, made: Exchange) -> None:
        """Keep that a device was exchanged; on return it is on the disk.

        One whose record is not signed yet is replaced.

        Raises:
            DatabaseUnusable: nothing was kept.
        """
        with self._file.writing() as connection:
            exchanges.keep_exchange(connection, meter, made)

    def latest(self) -> int:
        """The latest UTC second that was ever seen; 0 at the beginning."""
        with self._file.reading() as connection:
            return connection.scalar(select(func.max(_clock.c.latest))) or 0

    def keep(
        self,
        states: Mapping[bytes, MeterState],
        signed: Sequence[SignedRecord],
        latest: int,
    ) -> None:
        """Keep new records and where their meters stand now, all of it or nothing.

        On return it is on the disk, and only then may a record leave.

        Args:
            states: by meter; those that changed.
            signed: new records, each the next of its meter.
            latest: the latest UTC second that was ever seen.

        Raises:
            DatabaseUnusable: the disk is full or gone; nothing was kept.
        """
        with self._file.writing() as connection:
            if signed:
                # A second record under one number fails here, and nothing of it is kept.
                connection.execute(_record.insert(), [_row(one) for one in signed])
            for meter, state in states.items():
                connection.execute(
                    update(_meter).where(_meter.c.meter == meter).values(_columns(state))
                )
            clock = insert(_clock).values(number=1, latest=latest)
            connection.execute(
                clock.on_conflict_do_update(index_elements=["number"], set_={"latest": latest})
            )
            count = _counted(connection)
        self._count = count

    def waiting(self, limit: int, without: Collection[bytes] = ()) -> list[SignedRecord]:
        """Records that wait, the oldest first and each meter's in order.

        Args:
            limit: at most so many.
            without: meters that have to wait themselves.
        """
        query = select(_record.c.record, _record.c.signature)
        if without:
            query = query.where(_record.c.meter.not_in(list(without)))
        query = query.order_by(_record.c.time_end, _record.c.meter).limit(limit)
        with self._file.reading() as connection:
            return [SignedRecord(row.record, row.signature) for row in connection.execute(query)]

    def first_waiting(self, meter: bytes) -> SignedRecord | None:
        """The first of one meter's records that wait."""
        query = select(_record).where(_record.c.meter == meter).order_by(_record.c.sequence)
        with self._file.reading() as connection:
            row = connection.execute(query.limit(1)).first()
        return None if row is None else SignedRecord(row.record, row.signature)

    def waiting_of(self, meter: bytes) -> int:
        """How many records of one meter wait, corrections among them."""
        with self._file.reading() as connection:
            return sum(
                connection.scalar(
                    select(func.count()).select_from(table).where(table.c.meter == meter)
                )
                or 0
                for table in (_record, _correction)
            )

    def correct(
        self, meter: bytes, time_end: int, sign: Callable[[Correctable], SignedRecord]
    ) -> SignedRecord:
        """Keep a correction of a record that the node has; on return it is on the disk.

        A gateway that runs meanwhile sends it within a minute.

        Args:
            meter: whose.
            time_end: end of the record's interval, UTC seconds.
            sign: makes the correction of what it is given, or refuses to.

        Raises:
            CorrectionUnusable: there is nothing that can be corrected.
            DatabaseUnusable: nothing was kept.
        """
        with self._file.writing() as connection:
            found = delivered.correctable(connection, meter, time_end)
            signed = sign(found)
            delivered.let_wait(connection, signed)
            count = _counted(connection)
        self._count = count
        return signed

    def waiting_corrections(self) -> list[Waiting]:
        """Corrections that wait, those signed beside too; their originals are at the node."""
        with self._file.reading() as connection:
            self._count = _counted(connection)
            return delivered.waiting(connection)

    def answer_correction(self, answer: Answer) -> Fate:
        """Let go of a correction that the node has, and put aside one it will never take.

        Returns:
            What became of it: it waits on where the node may not have closed its interval yet.

        Raises:
            DatabaseUnusable: nothing was changed; the node will say it again.
        """
        fate = answer.fate
        with self._file.writing() as connection:
            if answer.reason == Reason.CORRECTS_NOTHING.name:
                is_open = delivered.may_be_open(connection, answer.name)
                fate = Fate.LATER if is_open else Fate.REFUSED
            if fate is not Fate.LATER:
                signed = delivered.take_out(connection, answer.name, taken=fate is Fate.TAKEN)
                if signed is not None and fate is Fate.REFUSED:
                    _put_aside(connection, answer, signed)
            count = _counted(connection)
        self._count = count
        return fate

    def answer(self, answers: Iterable[Answer]) -> None:
        """Let go of what the node has, and put aside what it will never take.

        What the node has is remembered as long as it may be corrected. What was answered before,
        or never waited here, changes nothing.

        Raises:
            DatabaseUnusable: nothing was changed; the node will say it again.
        """
        with self._file.writing() as connection:
            taken = []
            for answer in answers:
                if answer.fate is Fate.LATER:
                    continue
                let_go = delete(_record).where(_is(answer.name)).returning(_record)
                row = connection.execute(let_go).first()
                if row is None:
                    continue
                if answer.fate is Fate.REFUSED:
                    _put_aside(connection, answer, SignedRecord(row.record, row.signature))
                else:
                    taken.append(row.record)
            delivered.remember(connection, taken)
            last = select(func.max(_refused.c.number)).scalar_subquery()
            connection.execute(delete(_refused).where(_refused.c.number <= last - REFUSED_MAX))
            count = _counted(connection)
        self._count = count

    def refused(self) -> list[RefusedRecord]:
        """What the node refused, the oldest first."""
        query = select(_refused).order_by(_refused.c.number)
        with self._file.reading() as connection:
            return [
                RefusedRecord(
                    RecordName(row.meter, row.sequence),
                    row.reason,
                    SignedRecord(row.record, row.signature),
                )
                for row in connection.execute(query)
            ]

    def has_read(self, feed: bytes, digest: bytes) -> bool:
        """Whether a file with this content was read to its end before."""
        query = select(_file.c.name).where(and_(_file.c.feed == feed, _file.c.digest == digest))
        with self._file.reading() as connection:
            return connection.execute(query).first() is not None

    def mark_read(self, feed: bytes, digest: bytes, name: str) -> None:
        """Remember that a file was read to its end."""
        values = {"feed": feed, "digest": digest, "name": name}
        with self._file.writing() as connection:
            connection.execute(insert(_file).values(values).on_conflict_do_nothing())


def _counted(connection: Connection) -> int:
    return sum(
        connection.scalar(select(func.count()).select_from(table)) or 0
        for table in (_record, _correction)
    )


def _columns(state: MeterState) -> dict[str, object]:
    known = state.known
    return {
        "last": state.last,
        "at_time": known.at.time,
        "at_import_mwh": known.at.import_mwh,
        "at_export_mwh": known.at.export_mwh,
        "quality": int(known.quality),
        "unbroken_since": known.unbroken_since,
        "doubtful": state.doubtful,
    }


def _state(row: Row[Any], offset: Offset) -> MeterState:
    last = Record.decode(row.last)
    known = Known(
        at=Registers(row.at_time, row.at_import_mwh, row.at_export_mwh),
        quality=Quality(row.quality),
        unbroken_since=row.unbroken_since,
        recorded=Registers(last.time_end, last.import_mwh, last.export_mwh),
    )
    return MeterState(row.last, known, row.doubtful, offset)


def _row(signed: SignedRecord) -> dict[str, object]:
    record = Record.decode(signed.record)
    return {
        "time_end": record.time_end,
        "meter": record.meter,
        "sequence": record.sequence,
        "record": signed.record,
        "signature": signed.signature,
    }


def _is(name: RecordName) -> Any:
    return and_(_record.c.meter == name.meter, _record.c.sequence == name.sequence)


def _put_aside(connection: Connection, answer: Answer, signed: SignedRecord) -> None:
    key = {"meter": answer.name.meter, "sequence": answer.name.sequence}
    values = {
        "reason": answer.reason,
        "record": signed.record,
        "signature": signed.signature,
    }
    row = insert(_refused).values({**key, **values})
    # Of several corrections of one record the last that was refused stays.
    connection.execute(row.on_conflict_do_update(index_elements=list(key), set_=values))

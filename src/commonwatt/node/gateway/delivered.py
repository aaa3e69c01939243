"""What the node has taken, as long as it may be corrected.

A correction (rule R10) names the newest version of a record by its hash and must fit between the
records around it. So the spool remembers each meter's last records: those of as many intervals as
a node corrects.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from commonwatt.meter.record import Record, SignedRecord
from commonwatt.node.gateway.answers import RecordName, name_of
from commonwatt.node.gateway.errors import CorrectionUnusable
from commonwatt.node.gateway.exchanges import offset_at
from commonwatt.node.gateway.registers import Offset, Registers
from commonwatt.node.gateway.spool_tables import correction as _correction
from commonwatt.node.gateway.spool_tables import delivered as _delivered
from commonwatt.node.gateway.spool_tables import meter as _meter
from commonwatt.node.gateway.spool_tables import record as _record
from commonwatt.quantity import time_text
from commonwatt.settlement.adjustment import ADJUSTABLE_MAX

LATER_MAX = 8
"""A meter of which the node took so many records meanwhile: the interval is surely closed."""


class Correctable(NamedTuple):
    """A record that the node has, and what a correction of it has to go with."""

    record: Record
    """The original, with its registers as last corrected."""
    digest: bytes
    """SHA-256 of its newest version."""
    offset: Offset
    """What was added to its device's registers."""
    before: Registers | None
    """As in the record before; None: it is too old to be remembered."""
    after: Registers
    """As in the record after, or as read last."""


class Waiting(NamedTuple):
    """A correction that waits."""

    name: RecordName
    """Its original's, too."""
    signed: SignedRecord


def remember(connection: Connection, records: Sequence[bytes]) -> None:
    """Keep what the node took, and forget what it corrects no more.

    Args:
        connection: in a transaction that writes.
        records: 100 bytes each.
    """
    rows = [_row(record) for record in records]
    if rows:
        connection.execute(insert(_delivered).on_conflict_do_nothing(), rows)
    for meter in {row["meter"] for row in rows}:
        newest = (
            select(_delivered.c.time_end)
            .where(_delivered.c.meter == meter)
            .order_by(_delivered.c.time_end.desc())
        )
        oldest = connection.scalar(newest.offset(ADJUSTABLE_MAX - 1).limit(1))
        if oldest is not None:
            connection.execute(
                delete(_delivered).where(
                    _delivered.c.meter == meter, _delivered.c.time_end < oldest
                )
            )


def correctable(connection: Connection, meter: bytes, time_end: int) -> Correctable:
    """The record of an interval that can be corrected.

    Raises:
        CorrectionUnusable: the node has none of this interval's end, it waits still, or a
            correction of it does.
    """
    mine = _delivered.c.meter == meter
    row = connection.execute(
        select(_delivered).where(mine, _delivered.c.time_end == time_end)
    ).first()
    if row is None:
        raise CorrectionUnusable(_why_none(connection, meter, time_end))
    name = RecordName(meter, row.sequence)
    if any(waits.name == name for waits in waiting(connection)):
        raise CorrectionUnusable(
            f"{time_text(time_end)}: a correction of this record waits for the node already; "
            "let the gateway run until it is answered"
        )
    record = Record.decode(row.record)
    return Correctable(
        record=record._replace(import_mwh=row.import_mwh, export_mwh=row.export_mwh),
        digest=row.digest,
        offset=offset_at(connection, name),
        before=_before(connection, record),
        after=_after(connection, record),
    )


def let_wait(connection: Connection, signed: SignedRecord) -> None:
    """Put a correction beside the records that wait."""
    name = name_of(signed)
    connection.execute(
        _correction.insert().values(
            meter=name.meter,
            sequence=name.sequence,
            record=signed.record,
            signature=signed.signature,
        )
    )


def waiting(connection: Connection) -> list[Waiting]:
    """The corrections that wait, by meter and number of their record."""
    query = select(_correction).order_by(_correction.c.meter, _correction.c.sequence)
    return [
        Waiting(RecordName(row.meter, row.sequence), SignedRecord(row.record, row.signature))
        for row in connection.execute(query)
    ]


def may_be_open(connection: Connection, name: RecordName) -> bool:
    """Whether the node may not have closed the interval in which it took a record's newest version.

    Then a correction has to wait: there is one of a record in an interval. A node that catches up
    after hours may be behind what is said here; what it refuses meanwhile can be signed again.
    """
    taken_at = connection.scalar(select(_delivered.c.taken_at).where(_is(name)))
    if taken_at is None:
        return False
    later = (_delivered.c.meter == name.meter, _delivered.c.time_end > taken_at)
    count = connection.scalar(select(func.count()).select_from(_delivered).where(*later)) or 0
    return count < LATER_MAX


def take_out(connection: Connection, name: RecordName, *, taken: bool) -> SignedRecord | None:
    """Let go of a correction that was answered; None: none waits under this name.

    Args:
        connection: in a transaction that writes.
        name: the correction's.
        taken: the node has it, so it is the newest version of its record.
    """
    mine = (_correction.c.meter == name.meter, _correction.c.sequence == name.sequence)
    row = connection.execute(delete(_correction).where(*mine).returning(_correction)).first()
    if row is None:
        return None
    signed = SignedRecord(row.record, row.signature)
    if taken:
        record = Record.decode(signed.record)
        last = select(func.max(_delivered.c.time_end)).where(_delivered.c.meter == name.meter)
        newest = {
            "taken_at": connection.scalar(last),
            "digest": signed.digest,
            "import_mwh": record.import_mwh,
            "export_mwh": record.export_mwh,
        }
        connection.execute(update(_delivered).where(_is(name)).values(newest))
    return signed


def _row(data: bytes) -> dict[str, object]:
    record = Record.decode(data)
    return {
        "meter": record.meter,
        "time_end": record.time_end,
        "sequence": record.sequence,
        "record": data,
        "digest": SignedRecord(data, b"").digest,
        "import_mwh": record.import_mwh,
        "export_mwh": record.export_mwh,
        "taken_at": record.time_end,
    }


def _is(name: RecordName) -> ColumnElement[bool]:
    return and_(_delivered.c.meter == name.meter, _delivered.c.sequence == name.sequence)


def _why_none(connection: Connection, meter: bytes, time_end: int) -> str:
    waits = select(_record.c.sequence).where(
        _record.c.meter == meter, _record.c.time_end == time_end
    )
    if connection.scalar(waits) is not None:
        return (
            f"{time_text(time_end)}: the record of this interval waits for the node itself; let "
            "the gateway run until it is sent, then correct it"
        )
    ends = select(
        func.min(_delivered.c.time_end), func.max(_delivered.c.time_end), func.count()
    ).where(_delivered.c.meter == meter)
    first, last, count = connection.execute(ends).one()
    if not count:
        return (
            f"{time_text(time_end)}: the node has no record of this meter that this gateway "
            "remembers; let it run first"
        )
    return (
        f"{time_text(time_end)}: no record ends then that may be corrected; known are {count} ends "
        f"from {time_text(first)} to {time_text(last)}, so name one of these"
    )


def _before(connection: Connection, record: Record) -> Registers | None:
    query = (
        select(_delivered)
        .where(_delivered.c.meter == record.meter, _delivered.c.time_end < record.time_end)
        .order_by(_delivered.c.time_end.desc())
    )
    row = connection.execute(query.limit(1)).first()
    if row is not None:
        return Registers(row.time_end, row.import_mwh, row.export_mwh)
    opening = connection.scalar(select(_meter.c.opening).where(_meter.c.meter == record.meter))
    if opening is None or record.sequence != 1:
        return None
    return _registers(Record.decode(opening))


def _after(connection: Connection, record: Record) -> Registers:
    """The nearest of the records after it, whether they wait or not; else what was read last."""
    next_delivered = (
        select(_delivered)
        .where(_delivered.c.meter == record.meter, _delivered.c.time_end > record.time_end)
        .order_by(_delivered.c.time_end)
    )
    next_waiting = (
        select(_record.c.record)
        .where(_record.c.meter == record.meter, _record.c.time_end > record.time_end)
        .order_by(_record.c.time_end)
    )
    row = connection.execute(next_delivered.limit(1)).first()
    waits = connection.scalar(next_waiting.limit(1))
    found = [] if row is None else [Registers(row.time_end, row.import_mwh, row.export_mwh)]
    if waits is not None:
        found.append(_registers(Record.decode(waits)))
    if found:
        return min(found)
    at = connection.execute(select(_meter).where(_meter.c.meter == record.meter)).one()
    return Registers(at.at_time, at.at_import_mwh, at.at_export_mwh)


def _registers(record: Record) -> Registers:
    return Registers(record.time_end, record.import_mwh, record.export_mwh)

"""Exchanged devices in the spool: what is added to a meter's registers, from which record on."""

from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.dialects.sqlite import insert

from commonwatt.node.gateway.answers import RecordName
from commonwatt.node.gateway.registers import NO_OFFSET, Exchange, Offset, Registers
from commonwatt.node.gateway.spool_tables import exchange as _exchange


def offsets(connection: Connection) -> dict[bytes, Offset]:
    """The last offset of each meter whose device was ever exchanged."""
    rows = connection.execute(select(_exchange).order_by(_exchange.c.sequence))
    return {row.meter: _offset(row) for row in rows}


def offset_at(connection: Connection, name: RecordName) -> Offset:
    """That of the device which a record was read from."""
    query = (
        select(_exchange)
        .where(_exchange.c.meter == name.meter, _exchange.c.sequence <= name.sequence)
        .order_by(_exchange.c.sequence.desc())
    )
    row = connection.execute(query.limit(1)).first()
    return NO_OFFSET if row is None else _offset(row)


def exchanges_of(connection: Connection, meter: bytes) -> list[Exchange]:
    """A meter's, the oldest first."""
    query = select(_exchange).where(_exchange.c.meter == meter).order_by(_exchange.c.sequence)
    return [
        Exchange(
            Registers(row.time, row.final_import_mwh, row.final_export_mwh),
            Registers(row.time, row.start_import_mwh, row.start_export_mwh),
            _offset(row),
        )
        for row in connection.execute(query)
    ]


def keep_exchange(connection: Connection, meter: bytes, made: Exchange) -> None:
    """Keep one; it replaces another that begins with the same record."""
    key = {"meter": meter, "sequence": made.offset.sequence}
    values = {
        "time": made.offset.time,
        "final_import_mwh": made.final.import_mwh,
        "final_export_mwh": made.final.export_mwh,
        "start_import_mwh": made.start.import_mwh,
        "start_export_mwh": made.start.export_mwh,
        "offset_import_mwh": made.offset.import_mwh,
        "offset_export_mwh": made.offset.export_mwh,
    }
    row = insert(_exchange).values({**key, **values})
    connection.execute(row.on_conflict_do_update(index_elements=list(key), set_=values))


def _offset(row: Row[Any]) -> Offset:
    return Offset(row.offset_import_mwh, row.offset_export_mwh, row.sequence, row.time)

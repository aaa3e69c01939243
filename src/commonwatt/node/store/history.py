"""A meter's counted records around an interval's end, as corrections are judged against them."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Table, select

from commonwatt.meter.correction import Around, around_of
from commonwatt.meter.record import SignedRecord
from commonwatt.node.store.schema import late_record, of, record
from commonwatt.node.store.scope import Scope
from commonwatt.quantity import Interval


class _Until(NamedTuple):
    """What is looked at: what a close has counted."""

    end: int
    """Records in time that end by then."""
    start: int
    """Late ones and corrections that were settled with intervals up to the one at this start."""


class KeptHistory:
    """One community's, while an interval is open or being closed."""

    def __init__(self, scope: Scope, interval: Interval, until: Interval | None = None) -> None:
        """Look at the records of one community.

        Args:
            scope: whose.
            interval: the open one.
            until: the last interval whose records are known; None: all that is acknowledged is.
        """
        self._scope = scope
        self._settled = _Until(interval.before.end, interval.before.start)
        self._known = None if until is None else _Until(until.end, until.start)

    def around(self, meter: bytes, time_end: int, *, settled: bool) -> Around:
        """The counted records next to an end. See `meter.correction.History`."""
        until = self._settled if settled else self._known
        with self._scope.reading() as connection:
            ends = {time_end}
            for table in (record, late_record):
                ends |= self._next_ends(connection, table, meter, time_end, until)
            versions = self._versions(connection, meter, ends, until)
        return around_of(versions.values(), time_end)

    def _next_ends(
        self,
        connection: Connection,
        table: Table,
        meter: bytes,
        time_end: int,
        until: _Until | None,
    ) -> set[int]:
        end = table.c.time_end
        query = self._query(table, meter, until).with_only_columns(end).limit(1)
        before = connection.scalar(query.where(end < time_end).order_by(end.desc()))
        after = connection.scalar(query.where(end > time_end).order_by(end))
        return {found for found in (before, after) if found is not None}

    def _versions(
        self, connection: Connection, meter: bytes, ends: set[int], until: _Until | None
    ) -> dict[int, list[SignedRecord]]:
        """Each record's versions, the oldest first."""
        found: dict[int, list[SignedRecord]] = {}
        for table in (record, late_record):
            query = self._query(table, meter, until).where(table.c.time_end.in_(ends))
            if table is late_record:
                query = query.order_by(table.c.start)
            for end, *signed in connection.execute(query):
                found.setdefault(end, []).append(SignedRecord(*signed))
        return found

    def _query(self, table: Table, meter: bytes, until: _Until | None) -> Select[Any]:
        query = select(table.c.time_end, table.c.record, table.c.signature)
        query = query.where(of(table, self._scope.community), table.c.meter == meter)
        if until is None:
            return query
        if table is record:
            return query.where(table.c.time_end <= until.end)
        return query.where(table.c.start <= until.start)

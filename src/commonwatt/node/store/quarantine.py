"""Records that were refused, and what the operator decided about each: released or rejected.

A decision is added, never changed; the last one counts, until the record of a released refusal has
been accepted after all (`Database.acknowledge` with `readmitted`).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, Select, and_, func, select

from commonwatt.meter.acceptance import Reason
from commonwatt.meter.record import Record, SignedRecord
from commonwatt.node.store.dialect import now_ms, take_turn
from commonwatt.node.store.journal import DECISION, keep
from commonwatt.node.store.schema import decision as _decision
from commonwatt.node.store.schema import late_record as _late_record
from commonwatt.node.store.schema import of
from commonwatt.node.store.schema import readmission as _readmission
from commonwatt.node.store.schema import record as _record
from commonwatt.node.store.schema import refused as _refused
from commonwatt.node.store.scope import Scope
from commonwatt.quantity import TIME_MAX

PAGE_MAX = 1_000
PASSING = frozenset({Reason.METER_UNKNOWN, Reason.IN_THE_FUTURE, Reason.CORRECTS_NOTHING})
"""Reasons that pass with time: whoever sent the record sends it again, so nobody has to decide."""
_REFUSED_COLUMNS = ("number", "start", "record", "signature", "reason")
_DECISION_COLUMNS = ("number", "refusal", "ruling", "decided_by", "decided_ms", "remark")


class Ruling(Enum):
    """What an operator may decide about a refused record."""

    RELEASED = "it may count after all"
    REJECTED = "it stays refused"


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the operator's log."""

    number: int
    refusal: int
    ruling: Ruling
    by: str
    at_ms: int
    """By the database's clock."""
    remark: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A refused record."""

    number: int
    start: int
    """Of the interval with which it is published: the one that was open when it came, mostly."""
    signed: SignedRecord
    reason: Reason
    decision: Decision | None
    """The last one."""
    readmitted: int | None
    """Start of the interval in which its record was accepted after all."""


class Undecidable(Enum):
    """Why nothing was decided."""

    NOT_THERE = "no such record is in quarantine"
    READMITTED = "its record has been accepted already"
    ACCEPTED = "its record was sent again and has been accepted"


Decided: TypeAlias = Decision | Undecidable


class Quarantine:
    """One community's."""

    def __init__(self, scope: Scope) -> None:
        """One community's."""
        self._scope = scope

    def find(self, number: int) -> Quarantined | None:
        """One refused record."""
        found = self._found(self._query().where(_refused.c.number == number))
        return found[0] if found else None

    def waiting(self, after: int = 0, limit: int = PAGE_MAX) -> list[Quarantined]:
        """Records about which somebody has to decide, in the order they came, from a number on."""
        passing = sorted(reason.name for reason in PASSING)
        query = self._query().where(_decision.c.number.is_(None), _refused.c.reason.not_in(passing))
        return self._page(query, after, limit)

    def released(self, after: int = 0, limit: int = PAGE_MAX) -> list[Quarantined]:
        """Records that were released and have not been accepted yet."""
        query = self._query().where(
            _decision.c.ruling == Ruling.RELEASED.name, _readmission.c.refusal.is_(None)
        )
        return self._page(query, after, limit)

    def all(self, after: int = 0, limit: int = PAGE_MAX) -> list[Quarantined]:
        """Every refused record, whatever became of it."""
        return self._page(self._query(), after, limit)

    def decide(self, number: int, ruling: Ruling, by: str, remark: str = "") -> Decided:
        """Add a decision about a refused record to the log; durable on return."""
        community = self._scope.community
        with self._scope.writing() as connection:
            take_turn(connection, b"journal" + community)
            row = connection.execute(self._query().where(_refused.c.number == number)).first()
            if row is None:
                return Undecidable.NOT_THERE
            if row.readmitted is not None:
                return Undecidable.READMITTED
            if Reason[row.reason] in PASSING and _is_kept(connection, community, row.record):
                return Undecidable.ACCEPTED
            last = select(func.max(_decision.c.number)).where(_decision.c.community == community)
            next_number, now = (connection.scalar(last) or 0) + 1, now_ms(connection)
            said = (next_number, number, ruling.name, by, now, remark)
            keep(connection, community, DECISION, [(row.start, *said)])
        return _decision_of(said)

    def decisions(self, after: int = 0, limit: int = PAGE_MAX) -> list[Decision]:
        """The operator's log from a number on."""
        query = (
            select(*(_decision.c[name] for name in _DECISION_COLUMNS))
            .where(_decision.c.community == self._scope.community, _decision.c.number > after)
            .order_by(_decision.c.number)
            .limit(min(limit, PAGE_MAX))
        )
        with self._scope.reading() as connection:
            return [_decision_of(tuple(row)) for row in connection.execute(query)]

    def _query(self) -> Select[Any]:
        """Refused records with their last decision, and where they were accepted after all."""
        other = _decision.alias()
        last = (
            select(func.max(other.c.number))
            .where(other.c.community == _refused.c.community, other.c.refusal == _refused.c.number)
            .scalar_subquery()
        )
        joined = _refused.outerjoin(
            _decision,
            and_(_decision.c.community == _refused.c.community, _decision.c.number == last),
        ).outerjoin(
            _readmission,
            and_(
                _readmission.c.community == _refused.c.community,
                _readmission.c.refusal == _refused.c.number,
            ),
        )
        return (
            select(
                *(_refused.c[name] for name in _REFUSED_COLUMNS),
                _decision.c.number.label("decision"),
                *(_decision.c[name] for name in _DECISION_COLUMNS[1:]),
                _readmission.c.start.label("readmitted"),
            )
            .select_from(joined)
            .where(_refused.c.community == self._scope.community)
        )

    def _page(self, query: Select[Any], after: int, limit: int) -> list[Quarantined]:
        later = query.where(_refused.c.number > after).order_by(_refused.c.number)
        return self._found(later.limit(min(limit, PAGE_MAX)))

    def _found(self, query: Select[Any]) -> list[Quarantined]:
        with self._scope.reading() as connection:
            return [_quarantined(row) for row in connection.execute(query)]


def _is_kept(connection: Connection, community: bytes, data: bytes) -> bool:
    """Whether this very record has been acknowledged, in time or late."""
    wanted = Record.decode(data)
    if wanted.time_end >= TIME_MAX:
        return False  # no database holds such a number
    for table in (_record, _late_record):
        query = select(table.c.record).where(
            of(table, community),
            table.c.time_end == wanted.time_end,
            table.c.meter == wanted.meter,
        )
        if data in connection.scalars(query).all():
            return True
    return False


def _quarantined(row: Row[Any]) -> Quarantined:
    said = (row.decision, row.refusal, row.ruling, row.decided_by, row.decided_ms, row.remark)
    return Quarantined(
        number=row.number,
        start=row.start,
        signed=SignedRecord(row.record, row.signature),
        reason=Reason[row.reason],
        decision=None if row.decision is None else _decision_of(said),
        readmitted=row.readmitted,
    )


def _decision_of(said: tuple[Any, ...]) -> Decision:
    number, refusal, ruling, by, at_ms, remark = said
    return Decision(number, refusal, Ruling[ruling], by, at_ms, remark)

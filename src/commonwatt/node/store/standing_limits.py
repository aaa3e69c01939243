"""Standing limit prices that members or the operator set: every change, and who made it when.

A change is added, never overwritten: the database refuses anything else. A member's last one counts
from the interval it names on.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Row, Select, func, insert, select

from commonwatt.market.book import Limits
from commonwatt.node.store.dialect import now_ms, take_turn
from commonwatt.node.store.schema import of
from commonwatt.node.store.schema import standing_limit as _limit
from commonwatt.node.store.scope import Scope

LIMIT_CHANGES_PER_INTERVAL_MAX = 20
"""Of one member, while an interval is open: each of them is kept for ever."""


@dataclass(frozen=True, slots=True)
class LimitChange:
    """One change of a member's limits."""

    number: int
    """Of the community's changes; the first has 1."""
    member: int
    start: int
    """Of the first interval that it holds for, UTC seconds."""
    limits: Limits | None
    """None: again what the community's file says."""
    by: str
    at_ms: int
    """By the database's clock."""


@dataclass(frozen=True, slots=True)
class TooManyChanges:
    """A member has changed its limits as often as it may while one interval is open."""

    most: int


Added: TypeAlias = LimitChange | TooManyChanges


class StandingLimits:
    """One community's."""

    def __init__(self, scope: Scope) -> None:
        """One community's."""
        self._scope = scope

    @property
    def name(self) -> str:
        """Of the database, for messages."""
        return self._scope.name

    def add(self, member: int, start: int, limits: Limits | None, by: str) -> Added:
        """Add a change; durable on return.

        Args:
            member: whose limits.
            start: the open interval's, UTC seconds: the first one that the change holds for.
            limits: in units per Wh; None for what the community's file says.
            by: who made the change.

        Raises:
            DatabaseUnusable: nothing was changed, or nobody knows whether it was.
        """
        community, c = self._scope.community, _limit.c
        mine = of(_limit, community)
        with self._scope.writing() as connection:
            # Numbers are given in turn, so that no two get the same.
            take_turn(connection, b"standing limits" + community)
            counted = select(func.count()).where(mine, c.member == member, c.start == start)
            if connection.execute(counted).scalar_one() >= LIMIT_CHANGES_PER_INTERVAL_MAX:
                return TooManyChanges(LIMIT_CHANGES_PER_INTERVAL_MAX)
            number = (connection.scalar(select(func.max(c.number)).where(mine)) or 0) + 1
            bid, ask = limits or (None, None)
            change = LimitChange(number, member, start, limits, by, now_ms(connection))
            connection.execute(
                insert(_limit).values(
                    community=community,
                    number=number,
                    member=member,
                    start=start,
                    bid=bid,
                    ask=ask,
                    set_by=by,
                    set_ms=change.at_ms,
                )
            )
        return change

    def last(self, after: int = 0) -> list[LimitChange]:
        """Each member's last change, of those after a number, in the order they were made."""
        numbers = select(func.max(_limit.c.number))
        numbers = numbers.where(of(_limit, self._scope.community), _limit.c.number > after)
        return self._found(
            self._query().where(_limit.c.number.in_(numbers.group_by(_limit.c.member)))
        )

    def changes(self, member: int, after: int, limit: int) -> list[LimitChange]:
        """A member's changes from a number on, in the order they were made, at most `limit`."""
        query = self._query().where(_limit.c.member == member, _limit.c.number > after)
        return self._found(query.limit(limit))

    def _query(self) -> Select[Any]:
        columns = list(_limit.c)[1:]
        mine = of(_limit, self._scope.community)
        return select(*columns).where(mine).order_by(_limit.c.number)

    def _found(self, query: Select[Any]) -> list[LimitChange]:
        with self._scope.reading() as connection:
            return [_change(row) for row in connection.execute(query)]


def _change(row: Row[Any]) -> LimitChange:
    limits = None if row.bid is None else Limits(row.bid, row.ask)
    return LimitChange(row.number, row.member, row.start, limits, row.set_by, row.set_ms)

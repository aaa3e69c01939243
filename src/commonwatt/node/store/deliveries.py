"""Messages to webhooks: each kept until it is delivered or given up."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Update, delete, func, select, update

from commonwatt.node.store.dialect import NowMs, insert_or, take_turn
from commonwatt.node.store.leases import MS_PER_S
from commonwatt.node.store.schema import delivery as _delivery
from commonwatt.node.store.schema import of
from commonwatt.node.store.scope import Scope

DUE_MAX = 100
"""So many messages are handed out at once."""
FAILURE_TEXT_MAX = 500
"""Of what a receiver answered, so many characters are kept."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is due."""

    number: int
    hook: str
    event: str
    body: bytes
    failures: int
    """How often it was tried in vain."""


class Deliveries:
    """One community's messages."""

    def __init__(self, scope: Scope) -> None:
        """One community's."""
        self._scope = scope

    def add(self, hook: str, event: str, body: bytes) -> None:
        """Keep a message; the same event for the same hook once only."""
        community = self._scope.community
        with self._scope.writing() as connection:
            take_turn(connection, b"delivery" + community)
            last = select(func.max(_delivery.c.number)).where(self._mine)
            statement = insert_or(connection, _delivery).on_conflict_do_nothing()
            connection.execute(
                statement.values(
                    community=community,
                    number=(connection.scalar(last) or 0) + 1,
                    hook=hook,
                    event=event,
                    body=body,
                    due_ms=NowMs(),
                    failures=0,
                    last_failure="",
                )
            )

    def due(self, limit: int = DUE_MAX) -> list[Delivery]:
        """Messages whose time has come, the most overdue first."""
        columns = (_delivery.c[name] for name in ("number", "hook", "event", "body", "failures"))
        query = (
            select(*columns)
            .where(self._mine, _delivery.c.due_ms <= NowMs())
            .order_by(_delivery.c.due_ms, _delivery.c.number)
            .limit(limit)
        )
        with self._scope.reading() as connection:
            return [Delivery(*row) for row in connection.execute(query)]

    def mark_delivered(self, number: int) -> None:
        """Remember that a message has arrived."""
        self._change(self._one(number).values(due_ms=None, delivered_ms=NowMs()))

    def mark_failed(self, number: int, why: str, retry_s: float | None) -> None:
        """Remember that a message did not arrive.

        Args:
            number: which.
            why: what happened.
            retry_s: seconds until it is due again; None gives it up.
        """
        due = None if retry_s is None else NowMs() + round(retry_s * MS_PER_S)
        failed = {"failures": _delivery.c.failures + 1, "last_failure": why[:FAILURE_TEXT_MAX]}
        self._change(self._one(number).values(due_ms=due, **failed))

    def given_up(self) -> list[tuple[Delivery, str]]:
        """Messages that never arrived and are tried no more, with the last reason."""
        columns = ("number", "hook", "event", "body", "failures", "last_failure")
        never = (_delivery.c.due_ms.is_(None), _delivery.c.delivered_ms.is_(None))
        query = select(*(_delivery.c[name] for name in columns)).where(self._mine, *never)
        with self._scope.reading() as connection:
            rows = connection.execute(query.order_by(_delivery.c.number)).all()
        return [(Delivery(*row[:-1]), row[-1]) for row in rows]

    def forget(self, before_ms: int) -> None:
        """Drop messages that arrived before a time by the database's clock."""
        old = delete(_delivery).where(self._mine, _delivery.c.delivered_ms < before_ms)
        with self._scope.writing() as connection:
            connection.execute(old)

    @property
    def _mine(self) -> ColumnElement[bool]:
        return of(_delivery, self._scope.community)

    def _one(self, number: int) -> Update:
        return update(_delivery).where(self._mine, _delivery.c.number == number)

    def _change(self, statement: Update) -> None:
        with self._scope.writing() as connection:
            connection.execute(statement)

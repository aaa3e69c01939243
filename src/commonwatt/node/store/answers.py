"""Requests with a key of their sender's choice: a second one gets the first one's answer.

The sender does not know whether a request was carried out whose answer was lost on the way. It
sends it again under the same key, and nothing is done twice.
"""

from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import ColumnElement, and_, delete, select, update

from commonwatt.node.store.dialect import NowMs, insert_or
from commonwatt.node.store.leases import MS_PER_S
from commonwatt.node.store.schema import answer as _answer
from commonwatt.node.store.schema import of
from commonwatt.node.store.scope import Scope


@dataclass(frozen=True, slots=True)
class Fresh:
    """Nobody has asked this: carry it out, then `finish` or `abandon`."""


@dataclass(frozen=True, slots=True)
class Busy:
    """The same request is being carried out; its sender may ask again in a moment."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The same request was carried out."""

    answer: bytes


@dataclass(frozen=True, slots=True)
class KeyTaken:
    """The key was used for another request."""


Known: TypeAlias = Fresh | Busy | Answered | KeyTaken


class Answers:
    """One community's answers, each for a while."""

    def __init__(self, scope: Scope) -> None:
        """One community's."""
        self._scope = scope

    def begin(self, actor: str, key: str, request: bytes, busy_s: float) -> Known:
        """Ask whether a request is new, and if so claim it, in one step.

        Args:
            actor: who asks; keys of different actors have nothing to do with each other.
            key: the sender's.
            request: SHA-256 of what is asked.
            busy_s: so long nobody else carries it out; if no answer is kept by then, it is as if it
                had never been asked.
        """
        values = {"request": request, "answer": None, "until_ms": _in(busy_s)}
        with self._scope.writing() as connection:
            # Of two that ask at once the database lets one through.
            statement = insert_or(connection, _answer)
            claimed = connection.execute(
                statement.values(community=self._scope.community, actor=actor, key=key, **values)
                .on_conflict_do_update(
                    index_elements=["community", "actor", "key"],
                    set_=values,
                    where=_answer.c.until_ms <= NowMs(),
                )
                .returning(_answer.c.key)
            ).first()
            if claimed is not None:
                return Fresh()
            columns = (_answer.c.request, _answer.c.answer)
            row = connection.execute(select(*columns).where(self._one(actor, key))).one()
        if row.request != request:
            return KeyTaken()
        return Busy() if row.answer is None else Answered(row.answer)

    def finish(self, actor: str, key: str, answer: bytes, keep_s: float) -> None:
        """Keep the answer to a request for a while."""
        with self._scope.writing() as connection:
            connection.execute(
                update(_answer)
                .where(self._one(actor, key))
                .values(answer=answer, until_ms=_in(keep_s))
            )

    def abandon(self, actor: str, key: str) -> None:
        """Forget a request that was not carried out, so that it can be asked again."""
        with self._scope.writing() as connection:
            unanswered = _answer.c.answer.is_(None)
            connection.execute(delete(_answer).where(self._one(actor, key), unanswered))

    def forget_expired(self) -> None:
        """Drop answers whose time is over."""
        with self._scope.writing() as connection:
            connection.execute(delete(_answer).where(self._mine, _answer.c.until_ms <= NowMs()))

    @property
    def _mine(self) -> ColumnElement[bool]:
        return of(_answer, self._scope.community)

    def _one(self, actor: str, key: str) -> ColumnElement[bool]:
        return and_(self._mine, _answer.c.actor == actor, _answer.c.key == key)


def _in(seconds: float) -> ColumnElement[int]:
    return NowMs() + round(seconds * MS_PER_S)

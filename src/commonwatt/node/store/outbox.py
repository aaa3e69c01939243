"""Closes on their way to the chain: in order, each until it is confirmed, and afterwards watched.

A close is put in with its statement, signed, kept signed, and only then sent, so that after a crash
the very same transaction is sent again. A stuck one is followed by another attempt with the same
nonce and a higher fee; whichever comes into a block closes the interval. Who works the outbox
decides all that; here it is remembered.
"""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    Update,
    delete,
    func,
    insert,
    select,
    update,
)

from commonwatt.errors import require
from commonwatt.node.store.dialect import NowMs, insert_or
from commonwatt.node.store.schema import attempt as _attempt
from commonwatt.node.store.schema import of
from commonwatt.node.store.schema import outbox as _outbox
from commonwatt.node.store.scope import Scope

WORD_BYTES = 32
_Query = TypeVar("_Query", Select[Any], Update)
PENDING_MAX = 100
"""So many closes are handed out at once."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction."""

    transaction: bytes
    """Its hash."""
    raw: bytes
    nonce: int
    gas_price: int
    """At most, wei per gas."""
    tip: int = 0
    """Of which the block's producer gets so much, wei per gas."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A transaction that was made to close an interval."""

    signed: Signed
    anchor: bytes
    """Of the statement it closes with."""
    sent_ms: int | None
    """When it was first sent, by the database's clock."""
    failure: str | None
    """Why it can never close the interval; None while it still could, or has."""


class Close(NamedTuple):
    """What closes an interval on the chain."""

    start: int
    header: bytes
    deltas: tuple[bytes, ...]
    """Words of 32 bytes."""
    anchor: bytes


@dataclass(frozen=True, slots=True)
class PendingClose:
    """A close on its way, or in a block that could still be undone."""

    close: Close
    attempts: tuple[Attempt, ...]
    """The first one first."""
    transaction: bytes | None
    """The one that closed it, once it is in a block."""
    block: int | None
    gas: int | None


class Outbox:
    """One community's closes."""

    def __init__(self, scope: Scope) -> None:
        """One community's."""
        self._scope = scope

    def add(self, close: Close) -> None:
        """Put a close in, or replace one that was never sent or has failed; durable on return.

        Raises:
            InvariantBroken: if one with another anchor may still reach the chain, or has.
        """
        with self._scope.writing() as connection:
            put_in(connection, self._scope.community, close)

    def next(self) -> PendingClose | None:
        """The earliest interval whose close is in no block."""
        return next(iter(self.pending(1)), None)

    def pending(self, limit: int = PENDING_MAX) -> list[PendingClose]:
        """Closes that are in no block, in order."""
        query = select(_outbox).where(self._mine, _outbox.c.block.is_(None))
        return self._closes(query.order_by(_outbox.c.start).limit(limit))

    def confirmed(self, since_block: int) -> list[PendingClose]:
        """Closes in blocks from a number on, in order: those that a re-organisation could undo."""
        query = select(_outbox).where(self._mine, _outbox.c.block >= since_block)
        return self._closes(query.order_by(_outbox.c.start))

    def keep_signed(self, start: int, signed: Signed) -> None:
        """Remember a transaction before it is sent; a second time changes nothing."""
        community = self._scope.community
        with self._scope.writing() as connection:
            anchor = connection.scalar(_at(select(_outbox.c.anchor), _outbox, community, start))
            require("what is signed is in the outbox", anchor is not None, start=start)
            known = _at(select(_attempt.c.transaction), _attempt, community, start)
            hashes = connection.scalars(known).all()
            if signed.transaction in hashes:
                return
            values = {
                "community": community,
                "start": start,
                "number": len(hashes),
                "anchor": anchor,
                **asdict(signed),
            }
            connection.execute(insert(_attempt).values(values))

    def mark_sent(self, start: int, transaction: bytes) -> None:
        """Remember when a transaction was first sent, by the database's clock."""
        sent = func.coalesce(_attempt.c.sent_ms, NowMs())
        self._mark_attempt(start, transaction, {"sent_ms": sent})

    def mark_failed(self, start: int, transaction: bytes, why: str) -> None:
        """Remember that a transaction can never close its interval: reverted, or its nonce gone."""
        self._mark_attempt(start, transaction, {"failure": why})

    def mark_confirmed(self, start: int, transaction: bytes, block: int, gas: int) -> None:
        """Remember the transaction that closed an interval, and its block."""
        self._mark(start, {"transaction": transaction, "block": block, "gas": gas})

    def mark_unconfirmed(self, start: int) -> None:
        """Remember that the chain has taken a block back: the interval is pending again."""
        self._mark(start, {"transaction": None, "block": None, "gas": None})

    def forget(self, before_start: int, until_block: int) -> int:
        """Drop closes that nothing can undo any more; the statements stay.

        Args:
            before_start: of intervals before this one.
            until_block: which were confirmed in this block at the latest.

        Returns:
            How many.
        """
        community = self._scope.community
        over = select(_outbox.c.start).where(
            _outbox.c.community == community,
            _outbox.c.start < before_start,
            _outbox.c.block <= until_block,
        )
        with self._scope.writing() as connection:
            starts = connection.scalars(over).all()
            for table in (_attempt, _outbox):
                mine = table.c.community == community
                connection.execute(delete(table).where(mine, table.c.start.in_(over)))
        return len(starts)

    def _mark_attempt(self, start: int, transaction: bytes, values: dict[str, object]) -> None:
        which = _at(update(_attempt), _attempt, self._scope.community, start)
        self._change(which.where(_attempt.c.transaction == transaction).values(values), start)

    def _mark(self, start: int, values: dict[str, object]) -> None:
        which = _at(update(_outbox), _outbox, self._scope.community, start)
        self._change(which.values(values), start)

    def _change(self, statement: Update, start: int) -> None:
        with self._scope.writing() as connection:
            changed = connection.execute(statement).rowcount
            require("what is marked is in the outbox", changed == 1, start=start)

    @property
    def _mine(self) -> ColumnElement[bool]:
        return of(_outbox, self._scope.community)

    def _closes(self, query: Select[Any]) -> list[PendingClose]:
        with self._scope.reading() as connection:
            rows = connection.execute(query).all()
            attempts = self._attempts(connection, [row.start for row in rows])
        return [_close_of(row, attempts.get(row.start, [])) for row in rows]

    def _attempts(self, connection: Connection, starts: list[int]) -> dict[int, list[Attempt]]:
        query = (
            select(_attempt)
            .where(_attempt.c.community == self._scope.community, _attempt.c.start.in_(starts))
            .order_by(_attempt.c.start, _attempt.c.number)
        )
        found: dict[int, list[Attempt]] = {}
        for row in connection.execute(query):
            signed = Signed(row.transaction, row.raw, row.nonce, row.gas_price, row.tip)
            made = Attempt(signed, row.anchor, row.sent_ms, row.failure)
            found.setdefault(row.start, []).append(made)
        return found


def put_in(connection: Connection, community: bytes, close: Close) -> None:
    """Put a close in within a transaction; see `Outbox.add`."""
    start, header, deltas, anchor = close
    before = connection.execute(_at(select(_outbox), _outbox, community, start)).first()
    if before is not None and before.anchor == anchor:
        return
    under_way = _at(select(func.count()).select_from(_attempt), _attempt, community, start)
    under_way = under_way.where(_attempt.c.failure.is_(None))
    free = before is None or before.block is None
    free = free and connection.execute(under_way).scalar_one() == 0
    require("a close that is under way is not replaced", free, start=start)
    values = {"header": header, "deltas": b"".join(deltas), "anchor": anchor}
    statement = insert_or(connection, _outbox).values(community=community, start=start, **values)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["community", "start"], set_=values)
    )


def _at(statement: _Query, table: Table, community: bytes, start: int) -> _Query:
    return statement.where(of(table, community), table.c.start == start)


def _close_of(row: Row[Any], attempts: list[Attempt]) -> PendingClose:
    words = row.deltas
    deltas = tuple(words[at : at + WORD_BYTES] for at in range(0, len(words), WORD_BYTES))
    return PendingClose(
        close=Close(row.start, row.header, deltas, row.anchor),
        attempts=tuple(attempts),
        transaction=row.transaction,
        block=row.block,
        gas=row.gas,
    )

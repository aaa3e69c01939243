"""The journal: what was kept, in the order it was kept, each entry chained to the one before.

An entry vouches for the rows that one transaction added to one table about one time: it has their
number and the SHA-256 of their contents. Its head is the SHA-256 of the head before and the entry,
so the last head of a community stands for everything it ever kept. Rows are compared with their
entries whenever they are read back; `verified` compares all of them, and the chain.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

import msgspec
from sqlalchemy import Connection, Table, func, select

from commonwatt.errors import require
from commonwatt.node.store.dialect import insert_rows, now_ms, take_turn
from commonwatt.node.store.schema import (
    DIGEST_BYTES,
    decision,
    journal,
    late_record,
    readmission,
    record,
    refused,
)

NO_HEAD = bytes(DIGEST_BYTES)
"""Before the first entry."""
ROWS_AT_ONCE = 1_000

Values: TypeAlias = tuple[Any, ...]
"""A row, its values in the order of the table's columns."""

_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Kind:
    """A table the journal vouches for."""

    table: Table

    @property
    def name(self) -> str:
        """As in the journal."""
        return str(self.table.name)  # without the library's notes on quoting

    @property
    def about(self) -> str:
        """The column of time that its rows are read by: the first after the community."""
        return self.table.columns.keys()[1]


RECORD, LATE_RECORD, REFUSED = Kind(record), Kind(late_record), Kind(refused)
DECISION, READMISSION = Kind(decision), Kind(readmission)
KINDS = (RECORD, LATE_RECORD, REFUSED, DECISION, READMISSION)


class Head(NamedTuple):
    """Where a community's journal ends."""

    number: int
    """Of the last entry; the first has 1."""
    head: bytes


def head_of(connection: Connection, community: bytes) -> Head:
    """The last entry's number and head."""
    row = connection.execute(
        select(journal.c.number, journal.c.head)
        .where(journal.c.community == community)
        .order_by(journal.c.number.desc())
        .limit(1)
    ).first()
    return Head(0, NO_HEAD) if row is None else Head(row[0], row[1])


def keep(connection: Connection, community: bytes, kind: Kind, rows: Iterable[Values]) -> None:
    """Add rows, and entries that vouch for them.

    Args:
        connection: a transaction that writes.
        community: 20 bytes.
        kind: which table.
        rows: its columns between community and entry; in any order.
    """
    ordered = sorted(rows)
    if not ordered:
        return
    take_turn(connection, b"journal" + community)
    last, now = head_of(connection, community), now_ms(connection)
    entries, kept = [], []
    for about, grouped in groupby(ordered, key=lambda row: row[0]):
        group = list(grouped)
        said = (last.number + 1, kind.name, about, len(group), _digest(group), now)
        last = Head(last.number + 1, _next_head(last.head, said))
        entries.append((community, *said, last.head))
        kept += [(community, *row, last.number) for row in group]
    insert_rows(connection, journal, entries)
    insert_rows(connection, kind.table, kept)


def _digest(rows: list[Values]) -> bytes:
    return sha256(_encode(rows)).digest()


def _next_head(head: bytes, said: Values) -> bytes:
    return sha256(head + _encode(said)).digest()


def read_back(connection: Connection, community: bytes, kind: Kind, about: int) -> list[Values]:
    """The rows about one time, in the order of their key.

    Raises:
        InvariantBroken: if one of them is not as it was kept, or is missing, or was added.
    """
    by = kind.table.c[kind.about]
    mine = kind.table.c.community == community
    found = connection.execute(
        select(*list(kind.table.c)[1:]).where(mine, by == about).order_by(*kind.table.primary_key)
    )
    rows = [tuple(row) for row in found]
    grouped: dict[int, list[Values]] = {}
    for row in rows:
        grouped.setdefault(row[-1], []).append(row[:-1])
    entries = connection.execute(
        select(journal.c.number, journal.c.size, journal.c.digest).where(
            journal.c.community == community,
            journal.c.kind == kind.name,
            journal.c.about == about,
        )
    )
    said = {number: (size, digest) for number, size, digest in entries}
    there = {entry: (len(group), _digest(group)) for entry, group in grouped.items()}
    require("what was kept is as it was", there == said, table=kind.name, about=about)
    return [row[:-1] for row in rows]


def verified(connection: Connection, community: bytes) -> Head:
    """Compare every row with its entry, and follow the chain from the first entry to the last.

    Raises:
        InvariantBroken: with the first entry or the first time that is not as it was kept.
    """
    last = Head(0, NO_HEAD)
    sizes = {kind.name: 0 for kind in KINDS}
    columns = list(journal.c)[1:]
    query = select(*columns).where(journal.c.community == community).order_by(journal.c.number)
    with connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE)) as entries:
        for *said, head in entries:
            number, kind, _, size, *_ = said
            follows = head == _next_head(last.head, tuple(said))
            require("the journal's entries follow from each other", follows, after=last.number)
            last = Head(number, head)
            sizes[kind] += size
    for kind in KINDS:
        times = select(journal.c.about).where(
            journal.c.community == community, journal.c.kind == kind.name
        )
        for about in connection.scalars(times.distinct().order_by(journal.c.about)).all():
            read_back(connection, community, kind, about)
        counted = select(func.count()).where(kind.table.c.community == community)
        size = connection.execute(counted).scalar_one()
        require("the journal knows every row", size == sizes[kind.name], table=kind.name)
    return last

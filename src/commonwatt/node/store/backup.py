"""A copy of a database, made while nodes write to it.

For SQLite only. PostgreSQL has its own, which also see one moment: `pg_dump` and base backups.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Table, func, select

from commonwatt.errors import require
from commonwatt.node.errors import DatabaseUnusable, FolderUnusable
from commonwatt.node.folder import PART_SUFFIX
from commonwatt.node.store.journal import Head
from commonwatt.node.store.schema import book_entry, standing_limit
from commonwatt.node.store.store import Store, file_url
from commonwatt.node.store.transactions import SQLITE


def backup(store: Store, path: Path) -> dict[bytes, Head]:
    """Write a copy as of one moment, whole or not at all.

    Every row of the copy is compared with its journal, and the lines of each book of certificates
    and the changes of standing limits are counted, before the copy gets its name. Books are as of
    the same moment as statements.

    Args:
        store: a SQLite database; its nodes go on writing.
        path: a file that is not there yet.

    Returns:
        Where each community's journal ends in the copy.

    Raises:
        DatabaseUnusable: if it is a PostgreSQL server, or cannot be read.
        FolderUnusable: if the copy cannot be written, or is there already.
        InvariantBroken: if a row is not as it was kept, or a line is missing; then there is no
            copy.
    """
    if store.transactions.url.drivername != SQLITE:
        raise DatabaseUnusable(
            store.name, "only SQLite files are copied this way", step="use pg_dump for a server"
        )
    if path.exists():
        raise FolderUnusable(f"{path}: is there already; name a new file for the backup")
    part = path.with_name(path.name + PART_SUFFIX)
    part.unlink(missing_ok=True)
    try:
        _copy(Path(store.name), part)
        heads = _heads(part)
        _sync(part)
        part.replace(path)
        _sync(path.parent)
    except (OSError, sqlite3.Error) as error:
        raise FolderUnusable(
            f"{path}: the backup cannot be written ({error}); free some space or name a file in "
            "another directory"
        ) from None
    finally:
        for left in (part, *(part.with_name(part.name + end) for end in ("-wal", "-shm"))):
            left.unlink(missing_ok=True)
    return heads


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as reading, closing(sqlite3.connect(target)) as writing:
        # All pages in one step: one moment, and writers are not held up in this journal mode.
        reading.backup(writing)


def _heads(path: Path) -> dict[bytes, Head]:
    copy = Store(file_url(path))
    try:
        _require_whole(copy, book_entry, 0, "a book has all its lines")
        _require_whole(copy, standing_limit, 1, "changes of standing limits are all there")
        return {community: copy.database(community).verified() for community in copy.communities()}
    finally:
        copy.close()


def _require_whole(copy: Store, table: Table, begin: int, whole: str) -> None:
    """Raise `InvariantBroken` unless each community's rows are numbered without a gap."""
    number = table.c.number
    counted = (func.count(), func.min(number), func.max(number))
    query = select(table.c.community, *counted).group_by(table.c.community)
    with copy.transactions.reading() as connection:
        for community, rows, first, last in connection.execute(query):
            is_whole = (first, last) == (begin, begin + rows - 1)
            require(whole, is_whole, community=community.hex(), rows=rows)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)

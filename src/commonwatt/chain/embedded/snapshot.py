"""The whole state as rows, so that a restart replays a few blocks and not all of them.

A snapshot is brought forward, not taken anew: only the rows of what was written since the last
one are put in. It is checked as a whole when it is loaded: the root over all accounts and storage
must be the one in the header of its block.
"""

import sqlite3
from collections.abc import Iterator

from commonwatt.chain.embedded import header
from commonwatt.chain.embedded.journal import Journal
from commonwatt.chain.embedded.world import (
    AccountRow,
    SlotRow,
    Touched,
    World,
    account_row,
    slot_row,
)
from commonwatt.chain.errors import JournalDamaged

_WORD = 32


def load(journal: Journal, world: World) -> int:
    """Fill an empty world with the snapshot.

    Returns:
        The number of the block it is the state after.

    Raises:
        JournalDamaged: it is not the state after that block.
    """
    number = int(journal.one("SELECT value FROM about WHERE name = 'snapshot'"))
    block = journal.block(number)
    if block is None:
        raise JournalDamaged(journal.path, "missing, and the snapshot is of it", block=number)
    try:
        world.load(_accounts(journal), _slots(journal))
        right = world.root() == header.state_root_of(block)
    except (TypeError, ValueError, OverflowError) as why:
        raise JournalDamaged(journal.path, f"snapshot unreadable: {why}", block=number) from why
    if not right:
        what = "the snapshot is not the state after this block"
        raise JournalDamaged(journal.path, what, block=number)
    return number


def bring_forward(db: sqlite3.Connection, world: World, touched: Touched, number: int) -> None:
    """Write the rows of all places touched since the last snapshot; it is now after `number`.

    Args:
        db: as given by `Journal.writing`, so that a block and its snapshot are written together.
        world: the state after the block.
        touched: what blocks after the last snapshot wrote to.
        number: the block.
    """
    for address, key in touched:
        if key is None:
            _put_account(db, address, account_row(world.state, address))
        else:
            _put_slot(db, address, key, slot_row(world.state, address, key))
    db.execute("UPDATE about SET value = ? WHERE name = 'snapshot'", (number,))


def _put_account(db: sqlite3.Connection, address: bytes, row: AccountRow | None) -> None:
    if row is None:
        db.execute("DELETE FROM account WHERE address = ?", (address,))
    else:
        values = (address, row.nonce, row.balance.to_bytes(_WORD, "big"), row.code)
        db.execute("INSERT OR REPLACE INTO account VALUES (?,?,?,?)", values)


def _put_slot(db: sqlite3.Connection, address: bytes, key: bytes, row: SlotRow | None) -> None:
    if row is None:
        db.execute("DELETE FROM slot WHERE address = ? AND key = ?", (address, key))
    else:
        values = (address, key, row.value.to_bytes(_WORD, "big"))
        db.execute("INSERT OR REPLACE INTO slot VALUES (?,?,?)", values)


def _accounts(journal: Journal) -> Iterator[AccountRow]:
    for address, nonce, balance, code in journal.rows("SELECT * FROM account"):
        yield AccountRow(address, nonce, int.from_bytes(balance, "big"), code)


def _slots(journal: Journal) -> Iterator[SlotRow]:
    for address, key, value in journal.rows("SELECT * FROM slot"):
        yield SlotRow(address, key, int.from_bytes(value, "big"))

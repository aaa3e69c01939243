"""The journal of an embedded chain: one SQLite file, written before anything is acknowledged.

| table | holds |
|---|---|
| `about` | format version, chain id, block of the snapshot |
| `block` | per block: the signed transaction, the header, the outcome |
| `log` | per log entry: address, topics, data; what `eth_getLogs` searches |
| `account`, `slot` | the snapshot: the whole state after one block (`snapshot.py`) |

Write-ahead logging with `synchronous=FULL`: when `append` returns, the block survives a crash of
the process and of the machine. The file is held exclusively; a second process is refused. Each
block that is read is checked against its own hash.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

from commonwatt.chain.embedded import header
from commonwatt.chain.embedded.block import Block, LogEntry
from commonwatt.chain.errors import (
    ChainError,
    JournalDamaged,
    JournalLocked,
    JournalUnwritable,
)

FORMAT = 1
LOCK_WAIT_SECONDS = 0.2
"""A process that is just closing gets this long to let go."""

_SCHEMA = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE block (
        number INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL, hash BLOB NOT NULL,
        header BLOB NOT NULL, raw BLOB NOT NULL, tx_hash BLOB NOT NULL, sender BLOB NOT NULL,
        contract BLOB, succeeded INTEGER NOT NULL, gas_used INTEGER NOT NULL,
        guard BLOB NOT NULL)""",
    "CREATE INDEX block_by_transaction ON block (tx_hash)",
    "CREATE INDEX block_by_hash ON block (hash)",
    """CREATE TABLE log (
        block INTEGER NOT NULL, position INTEGER NOT NULL, address BLOB NOT NULL,
        topic0 BLOB, topic1 BLOB, topic2 BLOB, topic3 BLOB, data BLOB NOT NULL,
        PRIMARY KEY (block, position)) WITHOUT ROWID""",
    "CREATE INDEX log_by_topic ON log (address, topic0, block)",
    """CREATE TABLE account (
        address BLOB PRIMARY KEY, nonce INTEGER NOT NULL, balance BLOB NOT NULL,
        code BLOB NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE slot (
        address BLOB NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (address, key)) WITHOUT ROWID""",
)
_INSERT_BLOCK = "INSERT INTO block VALUES (?,?,?,?,?,?,?,?,?,?,?)"
_INSERT_LOG = "INSERT INTO log VALUES (?,?,?,?,?,?,?,?)"
_SELECT_BLOCK = "SELECT * FROM block WHERE "
_SELECT_LOGS = (
    "SELECT address, topic0, topic1, topic2, topic3, data FROM log WHERE block = ?"
    " ORDER BY position"
)
_NO_TOPICS = (None, None, None, None)


class Journal:
    """Blocks in a file (or in memory), appended one by one."""

    def __init__(self, path: Path | None, *, chain_id: int) -> None:
        """Open the journal, making it if there is none.

        Raises:
            JournalLocked: another process has it open.
            JournalDamaged: it is not a journal, or not of this version.
            JournalUnwritable: it cannot be made or written.
            ChainError: it is the journal of another chain id.
        """
        self.path = path
        self._chain_id = chain_id
        with self._translated():
            self._db = sqlite3.connect(
                path or ":memory:",
                isolation_level=None,
                check_same_thread=False,
                timeout=LOCK_WAIT_SECONDS,
            )
        try:
            with self._translated():
                self._open()
            self.height: int = self.one("SELECT coalesce(max(number), -1) FROM block")
        except BaseException:
            self._db.close()
            raise

    def append(self, block: Block) -> None:
        """Write a block and its logs; inside `writing`, like everything written.

        Raises:
            sqlite3.Error: turned into JournalUnwritable by `writing`.
        """
        self._db.execute(
            _INSERT_BLOCK,
            (
                block.number,
                block.timestamp,
                block.hash,
                block.header,
                block.raw,
                block.tx_hash,
                block.sender,
                block.contract,
                block.succeeded,
                block.gas_used,
                _guard(block),
            ),
        )
        self._db.executemany(
            _INSERT_LOG,
            (
                (block.number, position, log.address, *(*log.topics, *_NO_TOPICS)[:4], log.data)
                for position, log in enumerate(block.logs)
            ),
        )

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All of the writes inside, durably, or none of them.

        Raises:
            JournalUnwritable: none of them.
        """
        db = self._db
        with self._translated():
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def block(self, number: int) -> Block | None:
        """The block with this number."""
        return self._found("number = ?", number)

    def block_with_hash(self, block_hash: bytes) -> Block | None:
        """The block with this hash."""
        return self._found("hash = ?", block_hash)

    def block_with_transaction(self, tx_hash: bytes) -> Block | None:
        """The block that holds this transaction."""
        return self._found("tx_hash = ?", tx_hash) if tx_hash else None

    def blocks(self, first: int, last: int) -> Iterator[Block]:
        """The blocks `first` to `last`, both included, each on top of the one before.

        Raises:
            JournalDamaged: one is missing, or not on top of the one before.
        """
        before: Block | None = None
        for number in range(first, last + 1):
            block = self.block(number)
            if block is None:
                raise JournalDamaged(self.path, "missing from the journal", block=number)
            if before is not None and header.parent_of(block) != before.hash:
                raise JournalDamaged(self.path, "not on top of the block before", block=number)
            yield block
            before = block

    def rows(self, query: str, *values: object) -> list[Any]:
        """The answer to a query."""
        with self._translated():
            return self._db.execute(query, values).fetchall()

    def one(self, query: str, *values: object) -> Any:
        """The first value of the answer to a query; None if it is empty."""
        found = self.rows(query, *values)
        return found[0][0] if found else None

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _open(self) -> None:
        db = self._db
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        with self.writing():
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
                for statement in _SCHEMA:
                    db.execute(statement)
                about = [("format", FORMAT), ("chain_id", self._chain_id), ("snapshot", 0)]
                db.executemany("INSERT INTO about VALUES (?, ?)", about)
        found = dict(db.execute("SELECT name, value FROM about"))
        if found.get("format") != FORMAT:
            raise JournalDamaged(self.path, f"journal format {found.get('format')}, not {FORMAT}")
        if found["chain_id"] != self._chain_id:
            msg = (
                f"{self.path}: this is the journal of chain {found['chain_id']}, not of "
                f"{self._chain_id}; set the chain id to match, or use another file"
            )
            raise ChainError(msg)

    def _found(self, condition: str, value: object) -> Block | None:
        found = self.rows(_SELECT_BLOCK + condition, value)
        if not found:
            return None
        (
            number,
            timestamp,
            block_hash,
            head,
            raw,
            tx_hash,
            sender,
            contract,
            succeeded,
            gas_used,
            guard,
        ) = found[0]
        logs = tuple(
            LogEntry(address, tuple(topic for topic in topics if topic is not None), data)
            for address, *topics, data in self.rows(_SELECT_LOGS, number)
        )
        block = Block(
            number=number,
            timestamp=timestamp,
            hash=block_hash,
            header=head,
            raw=raw,
            tx_hash=tx_hash,
            sender=sender,
            contract=contract,
            succeeded=bool(succeeded),
            gas_used=gas_used,
            logs=logs,
        )
        if guard != _guard(block) or not header.check(block, self._chain_id):
            raise JournalDamaged(self.path, "what is stored is not what was written", block=number)
        return block

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Say what a database error means here."""
        try:
            yield
        except sqlite3.Error as why:
            self._refuse(why)

    def _refuse(self, why: sqlite3.Error) -> NoReturn:
        code = getattr(why, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise JournalLocked(self.path or Path(":memory:")) from why
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise JournalDamaged(self.path, f"the file is damaged ({why})") from why
        raise JournalUnwritable(self.path, why) from why


def _guard(block: Block) -> bytes:
    """Protects what the header does not: who sent it, and where the new contract is."""
    parts: Sequence[bytes] = (block.hash, block.tx_hash, block.sender, block.contract or b"")
    return sha256(b"".join(parts)).digest()

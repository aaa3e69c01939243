"""One chain in this process: make a block, journal it, acknowledge it."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from commonwatt.chain.errors import ChainError, JournalDamaged, JournalUnwritable

if TYPE_CHECKING:
    from commonwatt.chain.embedded.block import Block
    from commonwatt.chain.embedded.producer import Producer

CHAIN_ID = 20206
CHECKPOINT_EVERY_BLOCKS = 32


def _system_clock() -> int:
    return int(time.time())


class EmbeddedChain:
    """An Ethereum chain with one validator: this process.

    Each transaction makes a block of its own at once. Gas is counted and limited as everywhere,
    and costs nothing. What was acknowledged is in the journal, whatever happens next.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        chain_id: int = CHAIN_ID,
        clock: Callable[[], int] = _system_clock,
        engine: Literal["cached", "untouched"] = "cached",
        checkpoint_every: int = CHECKPOINT_EVERY_BLOCKS,
    ) -> None:
        """Open a chain, or start a new one.

        Args:
            path: the journal's file; None keeps everything in memory.
            chain_id: part of every signature, so that no transaction counts on two chains.
            clock: seconds since 1970; a block's time is this, but never before its parent's.
            engine: "untouched" runs the specification exactly as published, several times slower.
            checkpoint_every: blocks after which the snapshot is brought forward, hence the most
                that a restart has to execute again.

        Raises:
            JournalLocked: another process has the journal open.
            JournalDamaged: the journal does not lead to the blocks it holds.
            JournalUnwritable: the journal cannot be made or written.
        """
        # Loading the specification takes a second: only who makes a chain waits for it.
        from commonwatt.chain.embedded import rpc, world  # noqa: PLC0415
        from commonwatt.chain.embedded.journal import Journal  # noqa: PLC0415

        self.chain_id = chain_id
        self._clock = clock
        self._checkpoint_every = checkpoint_every
        self._new_world = world.CachedWorld if engine == "cached" else world.PlainWorld
        self._lock = RLock()
        self._touched: set[tuple[bytes, bytes | None]] = set()
        self._methods = rpc.Methods(self)
        self.journal = Journal(path, chain_id=chain_id)
        self._open = True
        try:
            self.producer: Producer = self._resume()
        except BaseException:
            self.journal.close()
            raise

    @property
    def head(self) -> "Block":
        """The latest block."""
        return self.producer.head

    def make_request(self, method: str, params: Sequence[object] = ()) -> dict[str, Any]:
        """Answer a JSON-RPC request: a dictionary with `result`, or with `error`.

        Raises:
            JournalUnwritable: a transaction could not be stored; nothing changed.
            JournalDamaged: what was asked for is damaged.
            ChainError: the chain is closed.
        """
        with self._lock:
            self._require_open()
            return self._methods.answer(method, params)

    def submit(self, raw: bytes) -> "Block":
        """Execute a signed transaction in a block of its own.

        Raises:
            NotIncludable: it cannot be in a block now; nothing changed.
            JournalUnwritable: it could not be stored; nothing changed.
        """
        with self._lock:
            self._require_open()
            producer = self.producer
            block = producer.make(raw, self.now())
            touched = self._touched | producer.world.touched()
            due = block.number % self._checkpoint_every == 0
            try:
                self._write(block, touched if due else None)
            except BaseException:
                producer.undo()
                raise
            producer.keep(block)
            self._touched = set() if due else touched
            return block

    def now(self) -> int:
        """The time of a block made now, in seconds since 1970."""
        return max(self._clock(), self.head.timestamp)

    def check(self) -> int:
        """Execute the whole history again from nothing and compare every block.

        Returns:
            The number of blocks compared.

        Raises:
            JournalDamaged: with the first block that comes out differently.
        """
        from commonwatt.chain.embedded.producer import Producer  # noqa: PLC0415

        with self._lock:
            self._require_open()
            blocks = self.journal.blocks(0, self.head.number)
            again = Producer(self.chain_id, self._new_world(), [next(blocks)])
            for block in blocks:
                self._repeat(again, block)
            return self.head.number

    def close(self) -> None:
        """Bring the snapshot forward and let go of the journal; may be done twice."""
        with self._lock:
            if not self._open:
                return
            self._open = False
            try:
                if self._touched:
                    self._write(None, self._touched)
            except JournalUnwritable:
                # Every block is in the journal; only the next start has more to do.
                pass
            finally:
                self.journal.close()

    def __enter__(self) -> Self:
        """For use with `with`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def _resume(self) -> "Producer":
        """Load the snapshot and execute again what came after it."""
        from commonwatt.chain.embedded import header, snapshot  # noqa: PLC0415
        from commonwatt.chain.embedded.producer import RECENT_BLOCKS, Producer  # noqa: PLC0415

        journal, world = self.journal, self._new_world()
        if journal.height < 0:
            with journal.writing():
                journal.append(header.genesis(self.chain_id))
            journal.height = 0
        number = snapshot.load(journal, world)
        first = max(0, number + 1 - RECENT_BLOCKS)
        producer = Producer(self.chain_id, world, journal.blocks(first, number))
        for block in journal.blocks(number + 1, journal.height):
            self._touched |= self._repeat(producer, block)
        return producer

    def _repeat(self, producer: "Producer", block: "Block") -> frozenset[Any]:
        """Execute a block of the journal again; what it wrote to."""
        from commonwatt.chain.embedded.engine import NotIncludable  # noqa: PLC0415

        try:
            again = producer.make(block.raw, block.timestamp)
        except NotIncludable as why:
            what = f"cannot be executed again ({why})"
            raise JournalDamaged(self.journal.path, what, block=block.number) from why
        if again != block:
            producer.undo()
            what = "executed again, it comes out differently"
            raise JournalDamaged(self.journal.path, what, block=block.number)
        touched = producer.world.touched()
        producer.keep(block)
        return touched

    def _write(self, block: "Block | None", touched: set[Any] | None) -> None:
        """Write a block, or bring the snapshot forward, or both; all of it or nothing."""
        from commonwatt.chain.embedded import snapshot  # noqa: PLC0415

        with self.journal.writing() as db:
            if block is not None:
                self.journal.append(block)
            if touched is not None:
                number = self.head.number if block is None else block.number
                snapshot.bring_forward(db, self.producer.world, frozenset(touched), number)

    def _require_open(self) -> None:
        if not self._open:
            msg = "this chain is closed; open it again to go on"
            raise ChainError(msg)

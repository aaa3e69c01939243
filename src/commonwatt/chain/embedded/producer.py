"""Makes blocks: executes a transaction on top of the head and seals the result."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from ethereum_types.bytes import Bytes32

from commonwatt.chain.embedded import header
from commonwatt.chain.embedded.block import Block
from commonwatt.chain.embedded.engine import Answer, BlockContext, Engine
from commonwatt.chain.embedded.world import World

RECENT_BLOCKS = 256
"""How far back the BLOCKHASH instruction sees."""


class Producer:
    """The head of a chain, its state, and the rules: what it takes to make the next block."""

    def __init__(self, chain_id: int, world: World, blocks: Iterable[Block]) -> None:
        """Stand on the last of `blocks` (the latest 256, or all); `world` is the state after it."""
        self.world = world
        self._engine = Engine(chain_id, world)
        self._recent: deque[Bytes32] = deque(maxlen=RECENT_BLOCKS)
        for block in blocks:
            self._stand_on(block)

    def make(self, raw: bytes, timestamp: int) -> Block:
        """Make the next block of a signed transaction; end with `keep` or `undo`.

        Raises:
            NotIncludable: with the reason; nothing changed.
        """
        number = self.head.number + 1
        done = self._engine.execute(raw, self._context(number, timestamp))
        try:
            return header.seal(
                raw,
                number=number,
                timestamp=timestamp,
                parent=self.head.hash,
                state_root=self.world.root(),
                sender=done.sender,
                contract=done.contract,
                succeeded=done.succeeded,
                gas_used=done.gas_used,
                logs=done.logs,
            )
        except BaseException:
            self.undo()
            raise

    def keep(self, block: Block) -> None:
        """The block just made stands."""
        self.world.keep()
        self._stand_on(block)

    def undo(self) -> None:
        """Take the block just made back."""
        self.world.undo()

    def call(self, timestamp: int, **message: Any) -> Answer:
        """Run a message (see `Engine.call`) against the latest state and throw it away.

        It sees the number of the head, but the time of a block made now: between two intervals
        the head may be a quarter of an hour old.
        """
        return self._engine.call(self._context(self.head.number, timestamp), **message)

    def account(self, address: bytes) -> tuple[int, int, bytes]:
        """Nonce, balance and code of an address."""
        return self._engine.account(address)

    def storage(self, address: bytes, slot: int) -> bytes:
        """The 32 bytes in one storage slot."""
        return self._engine.storage(address, slot)

    def _stand_on(self, block: Block) -> None:
        self.head = block
        self._recent.append(Bytes32(block.hash))

    def _context(self, number: int, timestamp: int) -> BlockContext:
        # A call runs in the head itself, whose own hash no contract could know in there.
        before = list(self._recent)[: -1 if number == self.head.number else None]
        return BlockContext(number, timestamp, before)

"""What a node needs of a chain: the lanes as they are, and a close that moves them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LaneFunds:
    """The lanes as the chain has them."""

    flows: int
    balances: tuple[int, ...]
    supplier: int


@dataclass(frozen=True, slots=True)
class Payment:
    """A close that the chain has accepted."""

    transaction: bytes
    gas: int


class Treasury(Protocol):
    """What a node needs of a chain."""

    def funds(self, known: LaneFunds | None) -> LaneFunds:
        """The lanes now; `known` if nobody paid in or out since they were so."""

    def pay(self, header: bytes, deltas: Sequence[bytes]) -> Payment | None:
        """Close an interval: anchor its header and move its lanes, both or neither.

        None if somebody paid in or out since the statement was made and it cannot be paid any more.
        """

    def paid(self, start: int, anchor: bytes) -> Payment | None:
        """The close of an interval, if the chain has it; raises if it has another anchor."""

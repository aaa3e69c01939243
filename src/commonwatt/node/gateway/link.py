"""What a way to a node looks like to whoever sends records."""

from collections.abc import Sequence
from typing import Protocol

from commonwatt.meter.record import SignedRecord
from commonwatt.node.gateway.answers import Answer


class LinkDown(Exception):
    """No answer: the network, the broker or the node is away. The records wait."""

    def __init__(self, why: object, retry_after_s: float | None = None) -> None:
        """Say why, and how long the node asked to be left alone."""
        super().__init__(" ".join(str(why).split()) or type(why).__name__)
        self.retry_after_s = retry_after_s


class BatchTooLarge(Exception):
    """The node takes fewer records at once."""


class Link(Protocol):
    """A way to one community's node."""

    async def send(self, batch: Sequence[SignedRecord]) -> list[Answer]:
        """Send records and wait for answers; there may be fewer, more, or others than asked for.

        Raises:
            LinkDown: no answer came.
            BatchTooLarge: send fewer at once.
        """

    async def close(self) -> None:
        """Hang up."""

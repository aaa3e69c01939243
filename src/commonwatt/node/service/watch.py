"""Who listens to a community's work without taking part in it: figures, logs."""

from collections.abc import Sequence

from commonwatt.meter.acceptance import Verdict
from commonwatt.node.pipeline import Closed

CHAIN_WELL = "ok"
"""What is said of a chain that answers; of others, why it does not."""


class Watch:
    """Hears of everything and does nothing; others override what they want to hear."""

    def took(self, verdicts: Sequence[Verdict], seconds: float) -> None:
        """A batch was judged, and what was accepted is on the disk after so many seconds."""

    def closed(self, closed: Closed) -> None:
        """An interval is on the chain."""

    def chain(self, state: str) -> None:
        """The chain is there again, `CHAIN_WELL`, or why it is not."""


class Watches(Watch):
    """Several that hear the same."""

    def __init__(self, *watches: Watch) -> None:
        """Tell each in turn."""
        self._watches = watches

    def took(self, verdicts: Sequence[Verdict], seconds: float) -> None:
        """Tell each."""
        for watch in self._watches:
            watch.took(verdicts, seconds)

    def closed(self, closed: Closed) -> None:
        """Tell each."""
        for watch in self._watches:
            watch.closed(closed)

    def chain(self, state: str) -> None:
        """Tell each."""
        for watch in self._watches:
            watch.chain(state)

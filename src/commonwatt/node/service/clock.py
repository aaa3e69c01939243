"""Time: the system's, or one that the records drive so that days pass as fast as they come."""

import time
from collections.abc import Callable
from threading import Lock

Clock = Callable[[], int]
"""UTC seconds."""


def system_clock() -> int:
    """The machine's time."""
    return int(time.time())


class RecordClock:
    """A test bed's time: it stands still until somebody moves it on, and never goes back."""

    def __init__(self, start: int) -> None:
        """Begin at a UTC second."""
        self._now, self._lock = start, Lock()

    def __call__(self) -> int:
        """UTC seconds."""
        return self._now

    def reach(self, now: int) -> None:
        """It is this late now, or later."""
        with self._lock:
            self._now = max(self._now, now)

"""What happened in a community, numbered, so that whoever was away can ask for what it missed."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Condition

EVENTS_KEPT = 10_000
"""Older ones are forgotten; what they told is in the published files."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    number: int
    time: int
    """UTC second."""
    kind: str
    """`interval`, `refused`, `chain` or `book`."""
    data: Mapping[str, object]
    """What JSON can hold; nothing that is not for everybody."""


class Events:
    """A community's events; any thread may add, ask and wait."""

    def __init__(self, first: int) -> None:
        """Start counting, above anything that an earlier process told.

        Args:
            first: the first number, such as the UTC second of the start times 1,000.
        """
        self._next = first
        self._kept: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._changed = Condition()

    def add(self, time: int, kind: str, **data: object) -> Event:
        """Tell everybody who waits."""
        with self._changed:
            event = Event(self._next, time, kind, data)
            self._next += 1
            self._kept.append(event)
            self._changed.notify_all()
        return event

    @property
    def last(self) -> int:
        """The number of the latest event; one less than the first where there was none."""
        return self._next - 1

    def after(self, number: int) -> list[Event]:
        """Those after a number, oldest first, as far as they are remembered."""
        with self._changed:
            return [event for event in self._kept if event.number > number]

    def wait(self, number: int, timeout: float) -> list[Event]:
        """Those after a number, as soon as there is one; empty after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._next - 1 > number, timeout)
        return self.after(number)

"""What one broker may bring a node at once; more is answered, or waits at the broker."""

from dataclasses import dataclass

RECORDS_PER_MESSAGE_MAX = 500
"""82 kB."""
PACKET_BYTES_MAX = 262_144
"""The broker is told not to hand on anything larger: it drops that, and nobody is answered."""


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """Limits of one community's intake, each with its name."""

    records_per_message_max: int = RECORDS_PER_MESSAGE_MAX
    """A longer message is not read; it is answered as too large."""
    queue_messages_max: int = 500
    """So many messages of each quality of service wait in memory, at most 82 MB; with QoS 1 the
    broker keeps the others, without they are dropped."""
    batch_wait_s: float = 0.004
    """What comes within this time is written together."""
    records_per_s: int = 50
    """On one topic, for as long as one likes ..."""
    records_burst: int = 3_000
    """... and at once: a month of quarter hours."""
    retry_s: float = 0.5
    """The first pause while the node cannot store; the next are longer ..."""
    retry_s_max: float = 15.0
    """... up to this."""


class Allowance:
    """How many records one topic may still bring: refilled steadily up to the burst."""

    __slots__ = ("_burst", "_left", "_per_s", "_seen")

    def __init__(self, limits: IntakeLimits, now: float) -> None:
        """Begin with the whole burst.

        Args:
            limits: rate and burst.
            now: seconds by a clock that nobody can set.
        """
        self._per_s, self._burst = limits.records_per_s, limits.records_burst
        self._left, self._seen = float(limits.records_burst), now

    def take(self, records: int, now: float) -> float:
        """Take so many records off, or none; returns the seconds after which there will be enough.

        Args:
            records: how many, at least 1; never more than the burst is asked for.
            now: seconds by a clock that nobody can set.

        Returns:
            0 where they were taken off.
        """
        self._left = min(self._left + (now - self._seen) * self._per_s, float(self._burst))
        self._seen = now
        wanted = min(max(records, 1), self._burst)
        if self._left < wanted:
            return (wanted - self._left) / self._per_s
        self._left -= wanted
        return 0.0

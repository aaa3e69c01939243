"""Whether the machine's clock can be believed.

Two things are wrong with a clock that is set while a gateway runs: times come twice, or a time is
left out. Records never come twice, because their ends only increase. What is left is to say that a
record's time is in doubt, so that whoever reads it knows.
"""

CLOCK_STEP_S_MAX = 10
"""A clock that is set by no more than this is being kept right, as time servers do; by more, it
was wrong before or is now."""


class ClockWatch:
    """Follows the wall clock and notices when it is set."""

    __slots__ = ("_latest", "_monotonic", "_wall")

    def __init__(self, latest: int = 0) -> None:
        """Go on after a restart.

        Args:
            latest: the latest UTC second that was ever seen.
        """
        self._latest = latest
        self._wall: int | None = None
        self._monotonic = 0.0

    @property
    def latest(self) -> int:
        """The latest UTC second the clock has ever shown."""
        return self._latest

    @property
    def behind(self) -> bool:
        """Whether the clock is behind what it has shown before, by more than the limit."""
        return self._wall is not None and self._latest - self._wall > CLOCK_STEP_S_MAX

    def look(self, wall: int, monotonic: float) -> bool:
        """Look at the clock; whether it can be believed now.

        It cannot while it is behind what it has shown before, nor at the moment it jumps ahead.

        Args:
            wall: UTC seconds as the clock says.
            monotonic: seconds by a clock that nobody can set.
        """
        leapt = False
        if self._wall is not None:
            expected = self._wall + (monotonic - self._monotonic)
            leapt = wall - expected > CLOCK_STEP_S_MAX
        self._wall, self._monotonic = wall, monotonic
        self._latest = max(self._latest, wall)
        return not (self.behind or leapt)

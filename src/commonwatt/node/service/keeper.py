"""A thread that closes a community's intervals when they are due, and settles them."""

import logging
from threading import Event as Signal
from threading import Thread
from time import monotonic
from typing import NamedTuple

from commonwatt.errors import CommonwattError
from commonwatt.node.service.clock import Clock
from commonwatt.node.service.hosted import Hosted

LOOK_S = 0.25
"""At most so long after it is due an interval is concluded."""
RETRY_S, RETRY_MAX_S = 1.0, 60.0
"""How long to wait for a chain that is away: at first, and at most."""
CATCH_UP_S = 120
"""After a start, intervals of the past wait so long for records that are on their way. A clock that
leaps forward by more counts as a start: the machine was asleep, or its clock was wrong before."""

_log = logging.getLogger("commonwatt.keeper")


class _Moment(NamedTuple):
    """Seconds by the community's clock, and by one that nobody can set."""

    wall: int
    steady: float


class Keeper:
    """Works for one community until it is stopped."""

    def __init__(self, hosted: Hosted, clock: Clock) -> None:
        """Nothing starts yet."""
        self._hosted, self._clock = hosted, clock
        self._stopping, self._wake = Signal(), Signal()
        self._began = self._seen = _Moment(clock(), monotonic())
        self._retry_s = RETRY_S
        self._retry_at = 0.0
        """When the chain is asked again, by a clock that nobody can set."""
        self._thread = Thread(target=self._run, name=f"keeper {hosted.name}", daemon=True)
        self.failure: BaseException | None = None
        """What ended it, if it was not asked to."""

    def start(self) -> None:
        """Work from now on."""
        self._thread.start()

    def wake(self) -> None:
        """Something came: look whether an interval is complete."""
        self._wake.set()

    def stop(self) -> None:
        """Finish what is being done, and end."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether it still works."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                pause = self.step(asks_chain=monotonic() >= self._retry_at)
                self._wake.wait(pause)
                self._wake.clear()
        except BaseException as error:  # a keeper that dies must say so
            self.failure = error
            _log.exception("the keeper of %s has ended", self._hosted.name)
            raise

    def step(self, *, asks_chain: bool = True) -> float:
        """Conclude what is due and settle what waits; returns the seconds to the next look.

        Args:
            asks_chain: whether it may be asked; one that is away makes nobody wait for it twice.
        """
        hosted = self._hosted
        try:
            while not self._stopping.is_set() and self._is_due():
                hosted.conclude()
                asks_chain = asks_chain and self._settle()
            if asks_chain and hosted.status().waiting:
                self._settle()
        except CommonwattError as error:
            # The disk or the database is not there for us now: nothing is lost, it is tried again.
            _log.warning("%s: %s", hosted.name, error)
            return self._back_off()
        return min(LOOK_S, max(hosted.due_in, 0.0)) or LOOK_S

    def _settle(self) -> bool:
        """Whether the chain has all that was stated; if it is away, when it is asked again."""
        if self._hosted.settle():
            self._retry_s, self._retry_at = RETRY_S, 0.0
            return True
        self._retry_at = monotonic() + self._back_off()
        return False

    def _is_due(self) -> bool:
        hosted = self._hosted
        if hosted.due_in > 0:
            return False
        # After a night without the node, meters and gateways bring what they kept meanwhile.
        is_young = self._is_young()
        begun_before = hosted.status().open_start < self._began.wall - hosted.community.interval_s
        return not (is_young and begun_before) or hosted.is_complete

    def _is_young(self) -> bool:
        """Whether it began a moment ago, by both clocks: one may be set back meanwhile."""
        now, seen = _Moment(self._clock(), monotonic()), self._seen
        if now.wall - seen.wall - (now.steady - seen.steady) > CATCH_UP_S:
            self._began = now
        self._seen = now
        began = self._began
        return now.wall < began.wall + CATCH_UP_S and now.steady < began.steady + CATCH_UP_S

    def _back_off(self) -> float:
        pause, self._retry_s = self._retry_s, min(2 * self._retry_s, RETRY_MAX_S)
        return pause

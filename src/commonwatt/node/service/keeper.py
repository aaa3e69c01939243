"""A thread that closes a community's intervals when they are due, and settles them."""

import logging
from threading import Event as Signal
from threading import Thread

from commonwatt.errors import CommonwattError
from commonwatt.node.service.clock import Clock
from commonwatt.node.service.hosted import Hosted

LOOK_S = 0.25
"""At most so long after it is due an interval is concluded."""
RETRY_S, RETRY_MAX_S = 1.0, 60.0
"""How long to wait for a chain that is away: at first, and at most."""
CATCH_UP_S = 120
"""After a start, intervals of the past wait so long for records that are on their way."""

_log = logging.getLogger("commonwatt.keeper")


class Keeper:
    """Works for one community until it is stopped."""

    def __init__(self, hosted: Hosted, clock: Clock) -> None:
        """Nothing starts yet."""
        self._hosted, self._clock = hosted, clock
        self._stopping, self._wake = Signal(), Signal()
        self._started_at = clock()
        self._retry_s = RETRY_S
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
                pause = self.step()
                self._wake.wait(pause)
                self._wake.clear()
        except BaseException as error:  # a keeper that dies must say so
            self.failure = error
            _log.exception("the keeper of %s has ended", self._hosted.name)
            raise

    def step(self) -> float:
        """Conclude what is due and settle what waits; returns the seconds to the next look."""
        hosted = self._hosted
        try:
            while not self._stopping.is_set() and self._is_due():
                hosted.conclude()
                if not hosted.settle():
                    return self._back_off()
            if hosted.status().waiting and not hosted.settle():
                return self._back_off()
        except CommonwattError as error:
            # The disk or the database is not there for us now: nothing is lost, it is tried again.
            _log.warning("%s: %s", hosted.name, error)
            return self._back_off()
        self._retry_s = RETRY_S
        return min(LOOK_S, max(hosted.due_in, 0.0)) or LOOK_S

    def _is_due(self) -> bool:
        hosted = self._hosted
        if hosted.due_in > 0:
            return False
        # After a night without the node, meters and gateways bring what they kept meanwhile.
        is_young = self._clock() < self._started_at + CATCH_UP_S
        begun_before = hosted.status().open_start < self._started_at - hosted.community.interval_s
        return not (is_young and begun_before) or hosted.is_complete

    def _back_off(self) -> float:
        pause, self._retry_s = self._retry_s, min(2 * self._retry_s, RETRY_MAX_S)
        return pause

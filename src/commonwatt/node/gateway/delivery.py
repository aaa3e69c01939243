"""The spool's records on their way to the node: in order, until each is answered.

What waits longest goes first. A record is let go of only when the node has answered it; whatever
else happens, it is sent again. A meter that the node does not know yet, or whose interval it takes
for not over, waits by itself and holds up nobody else.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from commonwatt.meter.acceptance import Reason
from commonwatt.meter.record import SignedRecord
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.gateway.answers import (
    RECORDS_PER_BATCH_MAX,
    Answer,
    Fate,
    RecordName,
    of_batch,
)
from commonwatt.node.gateway.backoff import RETRY_S_MAX, Backoff
from commonwatt.node.gateway.delivered import Waiting
from commonwatt.node.gateway.link import BatchTooLarge, Link, LinkDown
from commonwatt.node.gateway.spool import Spool

_log = structlog.get_logger("commonwatt.gateway")
_NOT_EVEN_ONE = "the node takes not even one record at once"
_OF_OTHERS = "an answer about other records"


@dataclass(slots=True)
class _Hold:
    """A meter that waits by itself."""

    until: float
    backoff: Backoff


class Delivery:
    """Sends what waits in a spool."""

    def __init__(
        self,
        spool: Spool,
        link: Link,
        retry_s_max: float = RETRY_S_MAX,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
        *,
        early_s: float | None = None,
    ) -> None:
        """Take spool and link; nothing is sent yet.

        Args:
            spool: what waits.
            link: the way to the node.
            retry_s_max: the longest wait in seconds before the next attempt.
            sleep: how waiting is done.
            now: seconds by a clock that nobody can set.
            early_s: how long a correction waits whose interval is not closed; `retry_s_max`
                unless given.
        """
        self._spool, self._link, self._sleep, self._now = spool, link, sleep, now
        self._retry_s_max = retry_s_max
        self._early_s = retry_s_max if early_s is None else early_s
        self._backoff = Backoff(retry_s_max)
        self._size = RECORDS_PER_BATCH_MAX
        self._held: dict[bytes, _Hold] = {}
        self._held_corrections: dict[RecordName, _Hold] = {}
        self._news = asyncio.Event()
        self._is_down = False

    def wake(self) -> None:
        """There are new records."""
        self._news.set()

    async def run(self) -> None:
        """Send for ever."""
        while True:
            self._news.clear()
            try:
                pause = await self.send_some()
            except DatabaseUnusable as error:
                # The node will answer the same records again.
                _log.error("spool_unusable", why=str(error))
                await self._sleep(self._backoff.after_failure())
                continue
            if pause is None:
                await self._news.wait()
            elif pause:
                await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        """Wait; new records end the wait only while the node is there."""
        if self._is_down:
            await self._sleep(seconds)
            return
        news = asyncio.ensure_future(self._news.wait())
        sleep = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({news, sleep}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            sleep.cancel()

    async def send_some(self) -> float | None:
        """Send one batch and take in its answers.

        Returns:
            Seconds to wait before the next, 0 for none; None: until there are new records.

        Raises:
            DatabaseUnusable: the spool cannot be read or written.
        """
        now = self._now()
        batch = self._batch(now)
        if not batch:
            return await self._without_batch(now)
        try:
            answers = of_batch(await self._link.send(batch), batch)
        except BatchTooLarge:
            if len(batch) == 1:
                return self._down(LinkDown(_NOT_EVEN_ONE))
            self._size = max(1, len(batch) // 2)
            return 0
        except LinkDown as error:
            return self._down(error)
        if not answers:
            return self._down(LinkDown(_OF_OTHERS))
        self._spool.answer(answers)
        self._up()
        taken = sum(answer.fate is Fate.TAKEN for answer in answers)
        if taken:
            _log.info("records_taken", records=taken, waiting=self._spool.count)
        self._hold(answers, now)
        return 0

    async def _without_batch(self, now: float) -> float | None:
        """Only corrections are left, or whoever waits by itself."""
        correction = self._next_correction(now)
        if correction is not None:
            return await self._send_correction(correction, now)
        holds = (*self._held.values(), *self._held_corrections.values())
        waits = [hold.until - now for hold in holds]
        return max(min(waits), 0.001) if waits else None

    def _next_correction(self, now: float) -> Waiting | None:
        """The first that does not have to wait; what is not a correction goes before."""
        waiting = self._spool.waiting_corrections()
        names = {one.name for one in waiting}
        self._held_corrections = {
            name: hold for name, hold in self._held_corrections.items() if name in names
        }
        for one in waiting:
            hold = self._held_corrections.get(one.name)
            if hold is None or hold.until <= now:
                return one
        return None

    async def _send_correction(self, one: Waiting, now: float) -> float:
        """Send one correction, by itself: what it corrects has its name in the spool, too."""
        try:
            answers = of_batch(await self._link.send([one.signed]), [one.signed])
        except BatchTooLarge:
            return self._down(LinkDown(_NOT_EVEN_ONE))
        except LinkDown as error:
            return self._down(error)
        if not answers:
            return self._down(LinkDown(_OF_OTHERS))
        [answer] = answers
        fate = self._spool.answer_correction(answer)
        self._up()
        shown = {"meter": one.name.meter.hex(), "sequence": one.name.sequence}
        if fate is Fate.LATER:
            hold = self._held_corrections.get(one.name)
            if hold is None:
                hold = self._held_corrections[one.name] = _Hold(0.0, Backoff(self._retry_s_max))
                _log.warning("correction_waits", reason=answer.reason, **shown)
            pause = hold.backoff.after_failure()
            # The node keeps what it refuses, so it is not asked oftener than it closes.
            is_early = answer.reason == Reason.CORRECTS_NOTHING.name
            hold.until = now + (self._early_s if is_early else pause)
            return 0
        self._held_corrections.pop(one.name, None)
        if fate is Fate.TAKEN:
            _log.info("correction_taken", **shown)
        else:
            _log.warning("correction_refused", reason=answer.reason, **shown)
        return 0

    def _batch(self, now: float) -> list[SignedRecord]:
        """The next records; of a meter that was put off only the first, to find out."""
        for meter, hold in self._held.items():
            if hold.until <= now:
                first = self._spool.first_waiting(meter)
                if first is not None:
                    return [first]
        return self._spool.waiting(self._size, without=self._held.keys())

    def _hold(self, answers: list[Answer], now: float) -> None:
        for answer in answers:
            meter = answer.name.meter
            if answer.fate is not Fate.LATER:
                self._held.pop(meter, None)
                if answer.fate is Fate.REFUSED:
                    _log.warning(
                        "record_refused",
                        meter=meter.hex(),
                        sequence=answer.name.sequence,
                        reason=answer.reason,
                    )
        later = {answer.name.meter: answer for answer in answers if answer.fate is Fate.LATER}
        for meter, answer in later.items():
            hold = self._held.get(meter)
            if hold is None:
                hold = self._held[meter] = _Hold(0.0, Backoff(self._retry_s_max))
                _log.warning("meter_waits", meter=meter.hex(), reason=answer.reason)
            hold.until = now + hold.backoff.after_failure()

    def _down(self, error: LinkDown) -> float:
        asked = min(error.retry_after_s or 0.0, self._retry_s_max)
        pause = max(self._backoff.after_failure(), asked)
        if not self._is_down:
            self._is_down = True
            _log.warning("node_away", why=str(error), waiting=self._spool.count)
        return pause

    def _up(self) -> None:
        self._backoff.after_success()
        if self._is_down:
            self._is_down = False
            _log.info("node_back", waiting=self._spool.count)

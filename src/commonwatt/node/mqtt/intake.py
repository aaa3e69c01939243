"""Records in over MQTT: from a broker to the disk, and the answer back.

A message is acknowledged to the broker once its records are durable and the broker has the answer.
So a node that dies in between is given the message again, by a broker that kept the session, and
answers it then; and where a broker forgets, the sender still waits for the answer and sends again.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition, Thread
from time import monotonic

import structlog

from commonwatt.meter.acceptance import Verdict
from commonwatt.meter.record import SignedRecord
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.gateway.backoff import Backoff
from commonwatt.node.mqtt.batch import (
    ENTRY_BYTES,
    Sorted,
    Unfit,
    answer_to,
    answer_unfit,
    read_batch,
)
from commonwatt.node.mqtt.client import BrokerAddress
from commonwatt.node.mqtt.connection import (
    RETRY_S_MAX,
    BrokerConnection,
    Incoming,
    Outgoing,
    Session,
)
from commonwatt.node.mqtt.limits import PACKET_BYTES_MAX, Allowance, IntakeLimits
from commonwatt.node.mqtt.topics import acks_topic, meter_in, records_filter
from commonwatt.node.service.hosted import Hosted

SESSION_KEPT_S = 7 * 86_400
"""So long a broker keeps what came for a node that is away."""
RECORDS_PER_TAKE_MAX = 20_000
_OTHERS = b""
"""Meters that are not registered share one allowance."""

_log = structlog.get_logger("commonwatt.mqtt")


@dataclass(frozen=True, slots=True)
class IntakeCounts:
    """What has come since the start."""

    messages: int = 0
    records: int = 0
    """Judged by the community's rules."""
    no_batch: int = 0
    too_large: int = 0
    too_fast: int = 0
    misplaced: int = 0
    """Records on another meter's topic."""
    off_topic: int = 0
    """Messages on a topic that names no meter; nobody can be answered."""
    dropped: int = 0
    """Messages of QoS 0 that found the queue full."""
    failed: int = 0
    """Messages the node failed on."""
    unanswered: int = 0
    """Answers that found no connection; who waits for one sends again."""


class MqttIntake:
    """Takes one community's records from a broker. Its name at the broker is the community's.

    A node that takes a community over from another therefore takes over its session, and with it
    whatever the broker kept for the community meanwhile.
    """

    def __init__(
        self,
        hosted: Hosted,
        address: BrokerAddress,
        limits: IntakeLimits | None = None,
        *,
        retry_s_max: float = RETRY_S_MAX,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Nothing starts yet.

        Args:
            hosted: takes the records.
            address: the broker's.
            limits: how much at once; the usual ones unless given.
            retry_s_max: the longest wait in seconds before the broker is tried again.
            clock: seconds by a clock that nobody can set.
        """
        self._hosted, self._limits, self._clock = hosted, limits or IntakeLimits(), clock
        self._queue: deque[Incoming] = deque()
        self._loose = 0
        """Of the queue, messages of QoS 0."""
        self._changed = Condition()
        self._is_stopping = False
        self._allowances: dict[bytes, Allowance] = {}
        self._counts: Counter[str] = Counter()
        self._dropped = 0
        self._connection = BrokerConnection(
            address,
            Session(
                identifier=f"commonwatt-{hosted.name}",
                filters=(records_filter(hosted.name),),
                kept_s=SESSION_KEPT_S,
                unacknowledged_max=self._limits.queue_messages_max,
                packet_bytes_max=PACKET_BYTES_MAX,
            ),
            on_up=self._forget_queue,
            on_message=self._enqueue,
            retry_s_max=retry_s_max,
        )
        self._worker = Thread(target=self._run, name=f"mqtt intake {hosted.name}", daemon=True)

    def start(self) -> None:
        """Listen from now on."""
        self._worker.start()
        self._connection.start()

    def stop(self) -> None:
        """Finish what is being taken, hang up; what waits is given again to the next that comes."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._worker.is_alive():
            self._worker.join()
        self._connection.stop()

    @property
    def counts(self) -> IntakeCounts:
        """What has come since the start."""
        return IntakeCounts(**self._counts, dropped=self._dropped)

    @property
    def is_connected(self) -> bool:
        """Whether the broker is there."""
        return self._connection.is_up

    @property
    def trouble(self) -> str:
        """Why no records can come; empty while all is well."""
        return self._connection.trouble

    # In the connection's thread

    def _forget_queue(self) -> None:
        """On a new connection the broker gives again whatever was not acknowledged."""
        with self._changed:
            self._queue.clear()
            self._loose = 0

    def _enqueue(self, message: Incoming) -> None:
        if len(message.payload) > self._limits.records_per_message_max * ENTRY_BYTES:
            message.payload = b""
            message.is_too_large = True
        limit = self._limits.queue_messages_max
        with self._changed:
            if not message.qos:
                if self._loose >= limit:
                    self._dropped += 1
                    return
                self._loose += 1
            else:
                # Brokers forget how many we asked for when a session goes on: let the rest wait
                # in their own memory and on the way, not in ours.
                self._changed.wait_for(
                    lambda: len(self._queue) - self._loose < limit or self._is_stopping
                )
            self._queue.append(message)
            # Whoever is awake already, and waits for more to come, is left alone.
            if len(self._queue) in {1, limit}:
                self._changed.notify_all()

    # In the worker's thread

    def _run(self) -> None:
        while batch := self._collect():
            try:
                self._handle(batch)
            except Exception:  # noqa: BLE001 - whatever came, the next may be sound
                _log.exception("intake_failed", community=self._hosted.name)

    def _collect(self) -> list[Incoming]:
        """What came within a moment after the first; empty at the end."""
        limits = self._limits
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_stopping)
            if self._is_stopping:
                return []
            self._changed.wait_for(
                lambda: len(self._queue) >= limits.queue_messages_max or self._is_stopping,
                limits.batch_wait_s,
            )
            found, records = [], 0
            while self._queue and records < RECORDS_PER_TAKE_MAX:
                message = self._queue.popleft()
                self._loose -= not message.qos
                records += len(message.payload) // ENTRY_BYTES
                found.append(message)
            self._changed.notify_all()
        return found

    def _handle(self, batch: Sequence[Incoming]) -> None:
        """Take what can be taken in one transaction, and answer everything."""
        sound: list[tuple[Incoming, bytes, Sorted]] = []
        for message in batch:
            self._counts["messages"] += 1
            meter = meter_in(message.topic)
            if meter is None:
                self._counts["off_topic"] += 1
                message.acknowledge()
                continue
            found = self._read(message, meter)
            if isinstance(found, Sorted):
                sound.append((message, meter, found))
            else:
                self._answer(message, meter, found)
        if sound and not self._take(sound):
            for one in sound:
                # One of them may have been too much for the node: the others shall not wait.
                if len(sound) == 1 or not self._take([one]):
                    self._counts["failed"] += 1
                    self._answer(one[0], one[1], answer_unfit(Unfit.FAILED))

    def _read(self, message: Incoming, meter: bytes) -> Sorted | bytes:
        """A message's records, or what is answered because it has none that may be judged."""
        if message.is_too_large:
            self._counts["too_large"] += 1
            return answer_unfit(Unfit.TOO_LARGE)
        found = read_batch(message.payload, meter)
        wait_s = self._allowance(meter).take(len(found.records) if found else 1, self._clock())
        if wait_s:
            self._counts["too_fast"] += 1
            return answer_unfit(Unfit.TOO_FAST, wait_s)
        if found is None:
            self._counts["no_batch"] += 1
            return answer_unfit(Unfit.NO_BATCH)
        return found

    def _allowance(self, meter: bytes) -> Allowance:
        key = meter if meter in self._hosted.community.by_meter else _OTHERS
        if key not in self._allowances:
            self._allowances[key] = Allowance(self._limits, self._clock())
        return self._allowances[key]

    def _take(self, sound: Sequence[tuple[Incoming, bytes, Sorted]]) -> bool:
        """Have records judged, and answer; False where the node failed on them."""
        records = [record for _, _, found in sound for record in found.own]
        try:
            verdicts = self._verdicts(records)
        except Exception:  # noqa: BLE001 - it is told, and tried message by message
            _log.exception("intake_failed", community=self._hosted.name, messages=len(sound))
            return False
        if verdicts is None:
            return True  # stopped; the broker keeps them
        self._counts["records"] += len(records)
        at = 0
        for message, meter, found in sound:
            own = sum(found.is_own)
            self._counts["misplaced"] += len(found.records) - own
            self._answer(message, meter, answer_to(found, verdicts[at : at + own]))
            at += own
        return True

    def _verdicts(self, records: Sequence[SignedRecord]) -> list[Verdict] | None:
        """What the community says to records; while it cannot store, they wait. None at the end."""
        backoff = Backoff(self._limits.retry_s_max, self._limits.retry_s)
        while True:
            try:
                return self._hosted.take(records) if records else []
            except DatabaseUnusable as error:
                _log.warning("intake_waits", community=self._hosted.name, why=str(error))
            with self._changed:
                self._changed.wait_for(lambda: self._is_stopping, backoff.after_failure())
                if self._is_stopping:
                    return None

    def _answer(self, message: Incoming, meter: bytes, answer: bytes) -> None:
        """Answer a message, and let the broker forget it once it has the answer."""
        topic = acks_topic(self._hosted.name, meter)
        if not self._connection.publish(Outgoing(topic, answer), message.acknowledge):
            self._counts["unanswered"] += 1
            message.acknowledge()

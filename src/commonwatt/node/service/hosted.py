"""One community at work: takes records in, closes its intervals in time, answers what it knows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from time import perf_counter

from commonwatt.certificate.log import SignedAction
from commonwatt.chain.errors import ChainError
from commonwatt.chain.ledger import Ledger
from commonwatt.errors import CommonwattError
from commonwatt.market.book import Limits
from commonwatt.meter.acceptance import Accepted, Duplicate, Late, Reason, Refused, Verdict
from commonwatt.meter.keys import in_low_form
from commonwatt.meter.record import SignedRecord
from commonwatt.node.book_store import BookStore
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.folder import Publisher
from commonwatt.node.lanes import LaneFunds
from commonwatt.node.pipeline import Closed, Node, Terms
from commonwatt.node.registrar import Registrar, publish_book
from commonwatt.node.service.clock import Clock, RecordClock
from commonwatt.node.service.events import Events
from commonwatt.node.service.redaction import REDACTION
from commonwatt.node.service.standing_limits import Changed, LimitsInForce
from commonwatt.node.service.watch import CHAIN_WELL, Watch
from commonwatt.node.store import StandingLimits
from commonwatt.statement.community import Community
from commonwatt.statement.publication import day_of

RECORDS_PER_BATCH_MAX = 100_000
"""Taken in one transaction; more wait for the next."""


@dataclass(frozen=True, slots=True)
class Status:
    """How a community's node is doing."""

    name: str
    now: int
    open_start: int
    """Start of the open interval."""
    waiting: int
    """Intervals that are stated and not yet on the chain."""
    chain: str
    """`ok`, or why the chain cannot be reached."""
    accepted: int
    """Records since this process started."""
    refused: int
    silent: int
    """Meters that have not spoken for the open interval."""
    book_entries: int


@dataclass(slots=True)
class _Request:
    """One batch on its way to the disk."""

    batch: Sequence[SignedRecord]
    verdicts: list[Verdict] = field(default_factory=list)
    error: BaseException | None = None
    is_done: bool = False


class Hosted:
    """A community in this process. Any thread may call it."""

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        node: Node,
        ledger: Ledger,
        registrar: Registrar,
        book: BookStore,
        publisher: Publisher,
        terms: Terms,
        limits: StandingLimits,
        clock: Clock,
        events: Events,
    ) -> None:
        """Bring together what a community's work needs; nothing starts yet.

        Args:
            name: as in paths and topics.
            folder: where it publishes, and keeps its own files under `node`.
            node: its pipeline, caught up with its database.
            ledger: its contracts.
            registrar: takes closed intervals over into the book.
            book: its certificates.
            publisher: its published files.
            terms: what energy costs, and standing limits as the community's file has them.
            limits: those that were set since.
            clock: UTC seconds.
            events: where it tells what happens.
        """
        self.name, self.folder, self.book, self.events = name, folder, book, events
        self.ledger = ledger
        self._node, self._registrar, self._publisher = node, registrar, publisher
        self._terms, self._clock = terms, clock
        self.limits = LimitsInForce(limits, terms.limits)
        """Standing limits as they are for the open interval; `change_limits` changes them."""
        self._lock, self._queue_lock = Lock(), Lock()
        self._queue: list[_Request] = []
        self._accepted = self._refused = 0
        self._chain = CHAIN_WELL
        self._day_is_over = False
        self.on_records: Callable[[], None] = lambda: None
        """Called after records were taken: an interval may be complete now."""
        self.watch = Watch()
        """Hears of batches, closes and the chain: figures and logs."""

    @property
    def community(self) -> Community:
        """Members, meters, rules."""
        return self._node.community

    @property
    def is_in_doubt(self) -> bool:
        """Whether the database's last answer was lost: what is in memory may not be kept."""
        return self._node.is_in_doubt

    # Records

    def take(self, batch: Sequence[SignedRecord]) -> list[Verdict]:
        """Judge records; what is accepted is durable on return.

        Batches that come at the same time are written in one transaction: whoever gets the lock
        first takes along what the others brought.

        Returns:
            A verdict for each, in the order of the batch.

        Raises:
            DatabaseUnusable: nothing of it is acknowledged; the sender may try again.
        """
        # One form for both forms of a signature, so that equal records are equal.
        request, began = _Request([in_low_form(signed) for signed in batch]), perf_counter()
        with self._queue_lock:
            self._queue.append(request)
        with self._lock:
            if not request.is_done:
                with self._queue_lock:
                    taken, self._queue = self._queue, []
                self._take(taken)
                self._close_complete()
        if request.error is not None:
            raise request.error
        self.watch.took(request.verdicts, perf_counter() - began)
        self.on_records()
        return request.verdicts

    def _take(self, requests: Sequence[_Request]) -> None:
        """Judge what several brought; the one error of all of them is told to each."""
        try:
            signed = [record for request in requests for record in request.batch]
            self._follow(signed)
            found: dict[SignedRecord, list[Verdict]] = {}
            for first in range(0, len(signed), RECORDS_PER_BATCH_MAX):
                for verdict in self._node.receive(signed[first : first + RECORDS_PER_BATCH_MAX]):
                    found.setdefault(verdict.signed, []).append(verdict)
            for request in requests:
                # The first of equal ones is the accepted one, the others are its duplicates.
                request.verdicts = [found[signed].pop(0) for signed in request.batch]
                self._count(request.verdicts)
        except BaseException as error:
            for request in requests:
                request.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            for request in requests:
                request.is_done = True

    def release(self, number: int, signed: SignedRecord) -> Verdict:
        """Let a refused record count after all, if only its rated power is against it.

        Raises:
            DatabaseUnusable: nothing has changed; it may be tried again.
        """
        with self._lock:
            verdict = self._node.release(number, signed)
            self._count([verdict] if not isinstance(verdict, Refused) else [])
            self._close_complete()
        self.on_records()
        return verdict

    def _close_complete(self) -> None:
        """On a test bed an interval is over as soon as all meters have spoken, before the next."""
        while isinstance(self._clock, RecordClock) and self._node.is_complete:
            self._conclude()
            self._settle()

    def _follow(self, signed: Sequence[SignedRecord]) -> None:
        """On a test bed it is as late as the open interval's end once a record says so."""
        if isinstance(self._clock, RecordClock):
            end = self._node.interval.end.to_bytes(8)
            if any(record.record[40:48] == end for record in signed):
                self._clock.reach(self._node.interval.end)

    def _count(self, verdicts: Sequence[Verdict]) -> None:
        for verdict in verdicts:
            if isinstance(verdict, Accepted | Late):
                self._accepted += 1
            elif isinstance(verdict, Refused):
                self._refused += 1
                self.events.add(self._clock(), "refused", reason=verdict.reason.name)

    # Intervals

    @property
    def due_in(self) -> int:
        """Seconds until the open interval can be concluded; 0 or less: now."""
        node = self._node
        end = node.interval.end + node.community.grace_s
        if isinstance(self._clock, RecordClock):
            return 0 if node.is_complete else 1
        return end - self._clock()

    @property
    def is_complete(self) -> bool:
        """Whether every meter has spoken for the open interval."""
        return self._node.is_complete

    def conclude(self) -> None:
        """State the open interval; durable on return.

        Raises:
            ChainError: the chain is away, and this node has not seen the lanes yet.
        """
        on_records = isinstance(self._clock, RecordClock)
        # Where nobody else concludes, whoever brings records need not wait for a slow chain.
        lanes = None if on_records else self._node.lanes()
        with self._lock:
            if on_records and not self._node.is_complete:
                return  # the records have closed it themselves since the keeper looked
            self._conclude(lanes)

    def _conclude(self, lanes: LaneFunds | None = None) -> None:
        if isinstance(self._clock, RecordClock):
            node = self._node
            self._clock.reach(node.interval.end + node.community.grace_s)
        self._node.conclude(replace(self._terms, limits=self.limits.all()), lanes)

    def settle(self) -> bool:
        """Anchor and pay what is stated; False while the chain cannot be reached.

        Records are taken in meanwhile, except on a test bed, where they close intervals themselves.
        """
        if isinstance(self._clock, RecordClock):
            with self._lock:
                return self._settle()
        return self._settle()

    def _settle(self) -> bool:
        try:
            self._node.settle()
            if self._day_is_over:
                self._publish()
        except ChainError as error:
            self._tell_chain(str(error))
            return False
        self._tell_chain(CHAIN_WELL)
        return True

    def _tell_chain(self, state: str) -> None:
        # Everybody may see it, and the address of a chain's node may hold a password.
        state = REDACTION.text(state)
        if state != self._chain:
            self.events.add(self._clock(), "chain", state=state)
            self.watch.chain(state)
        self._chain = state

    def hear(self, closed: Closed) -> None:
        """An interval is on the chain: take it over into the book and tell everybody."""
        self._registrar.enter(closed)
        self.watch.closed(closed)
        header, interval = closed.statement.header, closed.inputs.interval
        self._day_is_over |= day_of(interval.end) != day_of(interval.start)
        self.events.add(
            self._clock(),
            "interval",
            start=header.start,
            duration=header.duration,
            anchor=header.anchor.hex(),
            local_price=header.local_price,
            imported_wh=header.imported_wh,
            exported_wh=header.exported_wh,
            local_wh=header.local_wh,
            issued_wh=header.issued_wh,
            silent=len(closed.statement.silent),
        )

    def _publish(self) -> None:
        self._node.publish()
        self._registrar.publish(self.ledger)
        self._day_is_over = False

    def publish(self) -> None:
        """Write out everything published so far, and anchor the book's head if the chain is there.

        Called when the node stops: what lies in the folder can be audited then.
        """
        self._node.publish()
        publish_book(self.book, self.folder)
        if self._chain != CHAIN_WELL:
            return  # who stops does not wait for a block that may not come: the next start posts it
        try:
            self._registrar.publish(self.ledger)
        except ChainError as error:
            self._tell_chain(str(error))

    def change_limits(
        self, member: int, limits: Limits | None, by: str, *, seen: int | None = None
    ) -> Changed:
        """Set a member's standing limits from the open interval on; durable on return.

        Args:
            member: whose.
            limits: in units per Wh; None for what the community's file says.
            by: who wants it.
            seen: number of the change that it is based on; None for whichever.

        Raises:
            LimitsUnusable: no clearing takes such prices.
            DatabaseUnusable: it may be tried again.
        """
        with self._lock:
            if self.is_in_doubt:
                # The open interval may be stated already, and then has its limits.
                why = "the connection was lost while a write was being kept"
                raise DatabaseUnusable(self.name, why, in_doubt=True)
            return self.limits.change(member, self._node.interval.start, limits, by, seen)

    # Questions

    def lines(self, path: str) -> list[bytes]:
        """What was published under a path, the open day's included."""
        return self._publisher.lines(path)

    def status(self) -> Status:
        """How it is doing."""
        node = self._node
        return Status(
            name=self.name,
            now=self._clock(),
            open_start=node.interval.start,
            waiting=node.waiting,
            chain=self._chain,
            accepted=self._accepted,
            refused=self._refused,
            silent=len(node.silent),
            book_entries=self.book.entries,
        )

    def submit(self, signed: SignedAction) -> object:
        """A member's action in the book; durable and published on return.

        Raises:
            ActionRefused: a rule says no; nothing was changed.
        """
        made = self.book.submit(signed, self._clock())
        publish_book(self.book, self.folder)
        self.events.add(self._clock(), "book", entries=self.book.entries)
        return made


def result_of(verdict: Verdict) -> dict[str, object]:
    """A verdict as it goes over a wire; the digest tells a record from its corrections."""
    signed = verdict.signed
    reason: Reason | None = verdict.reason if isinstance(verdict, Refused) else None
    said, digest = "refused", b""
    if isinstance(verdict, Accepted | Late):
        said, digest = "accepted", verdict.digest
    elif isinstance(verdict, Duplicate):
        said = "duplicate"
    return {
        "record": (digest or signed.digest).hex(),
        "meter": signed.meter.hex(),
        "sequence": int.from_bytes(signed.record[32:40]),
        "verdict": said,
        "reason": None if reason is None else reason.name,
    }


class NotHosted(CommonwattError):
    """No community of this name is kept by this node."""

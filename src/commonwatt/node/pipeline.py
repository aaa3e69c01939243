"""One community's intervals, from records to payment.

`Node.receive` has records judged and kept (`records.py`). `Node.conclude` states the open
interval and keeps the statement; `Node.settle` closes what is stated on the chain, in order, and
publishes it. While the chain is away intervals are concluded all the same, from the lanes as the
last statement leaves them, and wait. After a crash `Node.catch_up` finds out from the database and
the chain how far all that had got. Decisions are made below; this file only calls them in the
right order.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from commonwatt.chain.errors import ChainUnreachable
from commonwatt.errors import require
from commonwatt.market.book import Limits, Tariff
from commonwatt.meter.acceptance import Verdict
from commonwatt.meter.record import SignedRecord
from commonwatt.node.errors import ChainSetBack, LanesRestless
from commonwatt.node.folder import Publisher
from commonwatt.node.keeping import keep_inputs, keep_state, kept_inputs, kept_state
from commonwatt.node.lanes import LaneFunds, Payment, Treasury
from commonwatt.node.records import Records
from commonwatt.node.store import Database, StatementRow
from commonwatt.quantity import Interval
from commonwatt.statement.close import (
    Inputs,
    State,
    Statement,
    close,
    first_state,
    state_after,
)
from commonwatt.statement.community import Community
from commonwatt.statement.leaves import day_salt_key
from commonwatt.statement.publication import (
    CONSTITUTION_PATH,
    MARKET_PATH,
    REGISTER_PATH,
    constitution_bytes,
    day_of,
    lines_of,
    market_bytes,
    register_bytes,
)

STATEMENTS_MAX = 10
"""How often an interval is stated again because somebody paid in or out meanwhile."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an operator sets, and may change from interval to interval."""

    tariff: Tariff
    limits: tuple[Limits, ...] = ()
    shares: tuple[int, ...] = ()
    """The organiser's for this interval, by member."""


@dataclass(slots=True)
class Closed:
    """One interval as closed and paid."""

    inputs: Inputs
    statement: Statement
    payment: Payment
    seconds: float
    """From the gate to the payment."""


@dataclass(slots=True)
class _Stated:
    """An interval that is concluded and not yet on the chain."""

    inputs: Inputs
    statement: Statement
    began: float

    @property
    def funds_after(self) -> LaneFunds:
        """The lanes as this statement leaves them, if nobody pays in or out meanwhile."""
        settled = self.statement.settled
        return LaneFunds(
            flows=self.inputs.flows,
            balances=tuple(position.balance_after for position in settled.positions),
            supplier=self.inputs.supplier + settled.supplier_in - settled.supplier_out,
        )


class Node:
    """Closes a community's intervals one after another."""

    def __init__(
        self,
        community: Community,
        secret: bytes,
        *,
        database: Database,
        treasury: Treasury,
        publisher: Publisher,
        now: Callable[[], int],
        closed: Callable[[Closed], None] = lambda _: None,
    ) -> None:
        """Start where the community starts; call `catch_up` before anything else.

        Args:
            community: members, meters, rules.
            secret: 32 bytes that salt what is published.
            database: this community's memory.
            treasury: its lanes on a chain.
            publisher: where statements go.
            now: UTC seconds.
            closed: hears of every interval once it is paid; after a crash again of those of the
                last day.
        """
        self.community = community
        self._secret = secret
        self._database, self._treasury, self._publisher = database, treasury, publisher
        self._closed = closed
        self._constitution = sha256(constitution_bytes(community)).digest()
        self._state = first_state(community)
        self._records = Records(community, database, now)
        self._stated: deque[_Stated] = deque()
        self._paid_state = self._state
        """As the last statement on the chain left it."""
        self._funds: LaneFunds | None = None
        """The lanes as last seen, and moved since by what was paid."""
        self._is_untold = False
        """Whether an interval is paid that not all have heard of who should."""
        self._is_unsure = True
        """Whether the first of what is stated may be on the chain without our knowing."""

    @property
    def interval(self) -> Interval:
        """The open interval."""
        return self._records.interval

    @property
    def silent(self) -> list[bytes]:
        """Meters that have not spoken for the open interval."""
        return self._records.silent

    @property
    def is_complete(self) -> bool:
        """Whether every meter has spoken for the open interval."""
        return self._records.is_complete

    def receive(self, batch: Sequence[SignedRecord]) -> list[Verdict]:
        """Judge records; what is accepted is on the disk on return. See `Records.receive`."""
        return self._records.receive(batch)

    def release(self, number: int, signed: SignedRecord) -> Verdict:
        """Let a refused record count after all. See `Records.release`."""
        return self._records.release(number, signed)

    @property
    def is_in_doubt(self) -> bool:
        """Whether memory may not be what is kept: recall it from there with a new node.

        Nobody knows if the last write was kept, or an interval was paid and could not be told.
        """
        return self._database.in_doubt or self._is_untold

    def close(self, terms: Terms) -> Closed:
        """Conclude the open interval, pay it, publish it, and open the next."""
        self.conclude(terms)
        return self.settle()[-1]

    def conclude(self, terms: Terms, lanes: LaneFunds | None = None) -> None:
        """State the open interval and open the next; durable on return.

        Args:
            terms: the operator's.
            lanes: as `lanes` gave them since the last interval; None: look now.

        Raises:
            ChainUnreachable: the chain is away, and the lanes have never been seen.
        """
        began = time.perf_counter()
        funds = lanes or self.lanes()
        accepted, late = self._records.counted()
        inputs = Inputs(
            interval=self.interval,
            tariff=terms.tariff,
            accepted=accepted,
            late=late,
            refused=self._records.refused(accepted, late),
            limits=terms.limits,
            shares=terms.shares,
            flows=funds.flows,
            balances=funds.balances,
            supplier=funds.supplier,
            salt_key=day_salt_key(self._secret, self.interval.start),
        )
        checkpoint = None
        if self.begins_day and not self._stated and not self._is_untold:
            # Catching up starts here from now on, so the day before must be out in full.
            self._publisher.flush()
            checkpoint = keep_state(self._state)
        stated, after = self._state_it(inputs, self._state, began, checkpoint)
        self._stated.append(stated)
        self._advance(after)

    def lanes(self) -> LaneFunds:
        """The lanes as the next statement finds them: may ask the chain, which may be slow.

        Raises:
            ChainUnreachable: the chain is away, and they have never been seen.
        """
        if self._stated:
            return self._stated[-1].funds_after
        try:
            self._funds = self._treasury.funds(self._funds)
        except ChainUnreachable:
            if self._funds is None:
                raise
        return self._funds

    def _state_it(
        self, inputs: Inputs, before: State, began: float, checkpoint: bytes | None = None
    ) -> tuple[_Stated, State]:
        statement, after = close(self.community, self._constitution, before, inputs)
        header = statement.header
        row = StatementRow(
            header.start, header.encode(), keep_inputs(inputs), header.anchor, None, None, None
        )
        self._database.state_statement(row, checkpoint)
        return _Stated(inputs, statement, began), after

    def _advance(self, after: State) -> None:
        self._state = after
        self._records.advance(after)

    @property
    def waiting(self) -> int:
        """How many intervals are stated and not yet on the chain."""
        return len(self._stated)

    def settle(self) -> list[Closed]:
        """Close on the chain whatever is stated, in order; returns what was paid.

        A statement that is not on the chain binds nobody, so it may be replaced. A member who
        takes money out at the wrong moment cannot stop the community's intervals.

        Raises:
            ChainUnreachable: the chain is away; what is stated waits.
            LanesRestless: somebody paid in or out again and again.
        """
        paid: list[Closed] = []
        attempts = 0
        while self._stated:
            stated = self._stated[0]
            payment = self._payment(stated)
            if payment is not None:
                paid.append(self._conclude_payment(stated, payment))
                attempts = 0
                continue
            attempts += 1
            if attempts == STATEMENTS_MAX:
                raise LanesRestless(stated.inputs.interval.start_text, STATEMENTS_MAX)
            self._state_again()
        return paid

    def _payment(self, stated: _Stated) -> Payment | None:
        header = stated.statement.header
        if self._is_unsure:
            found = self._treasury.paid(header.start, header.anchor)
            if found is not None:
                return found
        self._is_unsure = True
        try:
            payment = self._treasury.pay(header.encode(), stated.statement.deltas)
        except ChainSetBack as back:
            # What is not on the chain is sent again by whoever recalls it from the database. If
            # that has been done and did not help, the operator must look at the chain.
            self._is_untold |= self._database.mark_unpaid(back.first) > 0
            raise
        self._is_unsure = False
        return payment

    def _conclude_payment(self, stated: _Stated, payment: Payment) -> Closed:
        seconds = time.perf_counter() - stated.began
        closed = Closed(stated.inputs, stated.statement, payment, seconds)
        start = stated.inputs.interval.start
        self._database.mark_paid(start, payment.transaction, payment.gas, seconds)
        self._funds = stated.funds_after
        self._stated.popleft()
        try:
            self._tell(closed)
        except BaseException:
            # A disk may be full. Whoever recalls the day from the database tells it again.
            self._is_untold = True
            raise
        return closed

    def _state_again(self) -> None:
        """State everything that waits again, from the lanes as they are now."""
        funds = self._treasury.funds(None)
        state, waiting = self._paid_state, list(self._stated)
        self._stated.clear()
        for stated in waiting:
            inputs = replace(
                stated.inputs, flows=funds.flows, balances=funds.balances, supplier=funds.supplier
            )
            again, state = self._state_it(inputs, state, stated.began)
            self._stated.append(again)
            funds = again.funds_after
        self._state = state

    @property
    def begins_day(self) -> bool:
        """Whether the open interval is a UTC day's first, or the community's."""
        start = self.interval.start
        first = start == self.community.first_start
        return first or day_of(start) != day_of(start - self.interval.duration)

    def _tell(self, closed: Closed) -> None:
        """Publish an interval that is on the chain, and remember where it led to."""
        transaction = closed.payment.transaction
        lines = lines_of(self.community, closed.inputs, closed.statement, transaction)
        self._publisher.add(closed.inputs.interval.start, lines)
        self._paid_state = state_after(self._paid_state, closed.inputs, closed.statement)
        self._closed(closed)

    def publish(self) -> None:
        """Write out everything published so far."""
        community = self.community
        self._publisher.publish_whole(CONSTITUTION_PATH, constitution_bytes(community))
        self._publisher.publish_whole(REGISTER_PATH, register_bytes(community.registrations))
        self._publisher.publish_whole(MARKET_PATH, market_bytes(community.market))
        self._publisher.flush()

    def catch_up(self) -> int:
        """Go on where the database and the chain left off; returns how many intervals are closed.

        Raises:
            InvariantBroken: if the database leads to other anchors than it holds.
            ChainUnreachable: the chain is away; everything else is done.
        """
        done = self.recall()
        self.settle()
        return done

    def recall(self) -> int:
        """Go on where the database left off; returns how many intervals are stated.

        The last day is concluded again from its records, which also proves that the database
        still says what was anchored; statements that never reached the chain wait for `settle`.

        Raises:
            InvariantBroken: if the database leads to other anchors than it holds.
        """
        checkpoint = self._database.checkpoint(self._database.first_unpaid())
        self._records.recall_released()
        if checkpoint is not None:
            start, state = checkpoint
            self._state = self._paid_state = kept_state(state)
            self._records.start_from(start, self._state)
            for row in self._database.statements(start):
                self._close_again(row)
        self._records.recall_open()
        self._records.recall_early()
        return (self.interval.start - self.community.first_start) // self.interval.duration

    def _close_again(self, row: StatementRow) -> None:
        interval, began = self.interval, time.perf_counter()
        self._records.recall_open()
        accepted, late = self._records.counted()
        refused = self._records.refused(accepted, late)
        inputs = kept_inputs(row.inputs, interval, accepted, late, refused)
        statement, after = close(self.community, self._constitution, self._state, inputs)
        same = statement.header.anchor == row.anchor and row.start == interval.start
        require("the database leads to its anchors", same, interval=interval.start_text)
        stated = _Stated(inputs, statement, began)
        if row.transaction is None:
            self._stated.append(stated)
        else:
            require("what is paid is paid in order", not self._stated, start=row.start)
            payment = Payment(row.transaction, row.gas or 0)
            self._funds = stated.funds_after
            self._tell(Closed(inputs, statement, payment, row.seconds or 0.0))
        self._advance(after)

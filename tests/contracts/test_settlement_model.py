"""The settlement against a ledger a child could keep, through hundreds of random payments."""

import os
from collections.abc import Callable

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from commonwatt.audit.facts import GRID_LANE, SUPPLIER_LANE, Flow
from commonwatt.chain.errors import TransactionReverted
from commonwatt.statement.close import LANE_BIAS
from contracts.ground import QUARTER, Ground, account

SOAK = bool(os.environ.get("COMMONWATT_SOAK"))
OWNERS = [account(f"member {index}") for index in range(14)]
WIDE = (SUPPLIER_LANE, GRID_LANE)
LANE_MAX, WIDE_MAX = LANE_BIAS - 1, 2**80 - 1
SHIFTS = {"the last interval again": QUARTER, "older": 3 * QUARTER, "future": -QUARTER, "odd": 450}
MISSED = {"a flow unseen": 1, "a flow that was not": -1}
FAULTS = ("a lane too low", "a lane too high", "money from nowhere", *SHIFTS, *MISSED)


class Book:
    """Who has what, as plain numbers; every method answers whether it may be done, and does it."""

    def __init__(self) -> None:
        self.lanes = {SUPPLIER_LANE: 0, GRID_LANE: 0}
        self.wallets: dict[bytes, int] = {}
        self.flows: list[Flow] = []
        self.seen = self.last_end = 0
        self.closes = 0

    def move(self, who: bytes, lane: int, amount: int) -> bool:
        """Pay in (above zero) or out."""
        if lane not in self.lanes or amount == 0:
            return False
        after = self.lanes[lane] + amount
        if not 0 <= after <= (WIDE_MAX if lane in WIDE else LANE_MAX):
            return False
        if amount > self.wallets[who]:
            return False
        self.lanes[lane] = after
        self.wallets[who] -= amount
        self.flows.append(Flow(len(self.flows) + 1, lane, who, amount))
        return True

    def close(  # noqa: PLR0911 - one line a rule
        self, changes: dict[int, int], start: int, duration: int, now: int, seen: int
    ) -> bool:
        """Pay everybody at the end of an interval."""
        if start < self.last_end or start + duration > now or start % duration:
            return False
        if not self.seen <= seen <= len(self.flows):
            return False
        if sum(changes.values()) != 0:
            return False
        after = {lane: held + changes.get(lane, 0) for lane, held in self.lanes.items()}
        if any(held < 0 for held in after.values()):
            return False
        if any(held > (WIDE_MAX if lane in WIDE else LANE_MAX) for lane, held in after.items()):
            return False
        if set(changes) - set(self.lanes):
            return False
        self.lanes, self.seen, self.last_end = after, seen, start + duration
        self.closes += 1
        return True


class SettlementAgainstBook(RuleBasedStateMachine):
    """Random joins, payments and closes, right and wrong."""

    base: Ground | None = None

    @initialize(members=st.integers(0, 7))
    def begin(self, members: int) -> None:
        cls = type(self)
        if cls.base is None:
            cls.base = Ground.new()
            cls.base.ledger.mint(
                cls.base.issuer,
                [(who.address_bytes, 10**30) for who in (*OWNERS, cls.base.supplier)],
            )
        self.ground = Ground.new(beside=cls.base)
        self.book = Book()
        self.book.wallets = dict(cls.base.ledger.facts().wallets)
        supplier = self.ground.supplier
        self.book.move(supplier.address_bytes, SUPPLIER_LANE, 10**6)
        self.ground.ledger.deposit(supplier, SUPPLIER_LANE, 10**6)
        if members:
            self.join(members)

    @rule(number=st.integers(1, 4))
    def join(self, number: int) -> None:
        first = len(self.ground.members)
        if first + number > len(OWNERS):
            return
        self.ground.join(number)
        self.book.lanes.update({first + index: 0 for index in range(number)})

    @rule(
        lane=st.one_of(st.integers(0, 13), st.sampled_from(WIDE)),
        amount=st.one_of(st.integers(0, 1000), st.sampled_from([LANE_MAX, LANE_MAX + 1, 2**79])),
    )
    def deposit(self, lane: int, amount: int) -> None:
        payer = OWNERS[lane % len(OWNERS)]
        expected = self.book.move(payer.address_bytes, lane, amount)
        assert expected == _done(lambda: self.ground.ledger.deposit(payer, lane, amount))

    @rule(
        lane=st.one_of(st.integers(0, 13), st.sampled_from(WIDE)),
        part=st.sampled_from(["nothing", "one", "half", "all", "one too many"]),
        honest=st.booleans(),
    )
    def withdraw(self, lane: int, part: str, *, honest: bool) -> None:
        held = self.book.lanes.get(lane, 5)
        parts = {"nothing": 0, "one": 1, "half": held // 2, "all": held, "one too many": held + 1}
        amount = parts[part]
        wide = {SUPPLIER_LANE: self.ground.supplier, GRID_LANE: self.ground.grid}
        owner = wide.get(lane) or OWNERS[lane]
        caller = owner if honest else self.ground.stranger
        self.book.wallets.setdefault(caller.address_bytes, 0)
        expected = honest and self.book.move(caller.address_bytes, lane, -amount)
        assert expected == _done(lambda: self.ground.ledger.withdraw(caller, lane, amount))

    @rule(data=st.data(), fault=st.sampled_from([*[""] * 7, *FAULTS]))
    def close(self, data: st.DataObject, fault: str) -> None:
        book, members = self.book, len(self.ground.members)
        changes = {lane: data.draw(_change(book.lanes[lane])) for lane in range(members)}
        if fault == "a lane too low" and members:
            # A full lane cannot be asked for more than it holds: the change would not fit.
            changes[members - 1] = max(-book.lanes[members - 1] - 1, 1 - LANE_BIAS)
        if fault == "a lane too high" and members:
            changes[members - 1] = LANE_BIAS - book.lanes[members - 1]
            changes[members - 1] -= changes[members - 1] == LANE_BIAS
        residue = -sum(changes.values())
        grid = data.draw(st.integers(0, min(max(residue, 0), 2**64 - 1)))
        gained = max(residue - grid, 0) + (fault == "money from nowhere")
        paid = max(grid - residue, 0)
        self.ground.clock.now += QUARTER
        now = self.ground.clock.now
        start = now - QUARTER - SHIFTS.get(fault, 0)
        seen = max(len(book.flows) - MISSED.get(fault, 0), 0)
        deltas = [changes[lane] for lane in range(members)]
        header = self.ground.header(
            deltas, supplier_in=gained, supplier_out=paid, grid_in=grid, start=start, flows=seen
        )
        whole = {**changes, SUPPLIER_LANE: gained - paid, GRID_LANE: grid}
        expected = book.close(whole, start, QUARTER, now, seen)
        assert expected == _done(lambda: self.ground.send_close(header, deltas))
        event(f"close {fault or 'honest'}: {'accepted' if expected else 'refused'}")
        if expected:
            self.ground.close_header(header)

    @rule()
    def wait(self) -> None:
        self.ground.clock.now += 3 * QUARTER

    @invariant()
    def lanes_are_those_of_the_book(self) -> None:
        ledger, book = self.ground.ledger, self.book
        members = range(len(self.ground.members))
        assert ledger.balances() == tuple(book.lanes[lane] for lane in members)
        assert [ledger.balance(lane) for lane in WIDE] == [book.lanes[lane] for lane in WIDE]
        in_lanes = sum(book.lanes.values())
        assert ledger.wallet(ledger.addresses.settlement) == in_lanes
        if self.ground.closed:
            header = self.ground.closed[-1].header
            assert ledger.last() == (header.start, QUARTER, header.anchor, book.seen)

    def teardown(self) -> None:
        if not hasattr(self, "ground"):
            return
        ground, book = self.ground, self.book
        facts = ground.ledger.facts()
        assert facts.flows == tuple(book.flows)
        assert [(close.start, close.anchor) for close in facts.closes] == [
            (closed.header.start, closed.header.anchor) for closed in ground.closed
        ]
        for who, amount in book.wallets.items():
            if who != ground.ledger.addresses.settlement:
                assert facts.wallets.get(who, 0) == amount
        assert sum(facts.wallets.values()) == facts.token_supply


def _change(held: int) -> st.SearchStrategy[int]:
    """A lane's change: a little, or as much as there is, or as much as fits."""
    edges = [-held, 0, min(LANE_MAX - held, 7)]
    return st.one_of(st.integers(-min(held, 500), 500), st.sampled_from(edges)).map(
        lambda change: min(change, LANE_MAX - held)
    )


def _done(action: Callable[[], object]) -> bool:
    try:
        action()
    except TransactionReverted:
        return False
    return True


SettlementAgainstBook.TestCase.settings = settings(
    max_examples=150 if SOAK else 20,
    stateful_step_count=50 if SOAK else 30,
    deadline=None,
    derandomize=not SOAK,
    suppress_health_check=list(HealthCheck),
)
TestSettlementAgainstBook = SettlementAgainstBook.TestCase

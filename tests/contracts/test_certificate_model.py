"""Registry and certificates against a book of plain entries, through random claims and sales."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from commonwatt.chain.connection import Account
from commonwatt.chain.errors import TransactionReverted
from commonwatt.chain.production import Purpose, TokenId
from contracts.ground import NOON, QUARTER, Ground, Meter, Shown, account, leaf

SOAK = bool(os.environ.get("COMMONWATT_SOAK"))
MEMBERS = [account(f"member {index}") for index in range(4)]
BROKER = account("broker")
HOLDERS = [*MEMBERS, BROKER]
RATED_W, LIMIT_WH = 5_000, 1562
KINDS = ({}, {}, {}, {"direct": True}, {"source": 0}, {"role": 2, "source": 0})
QUALITIES = (*[1] * 8, 2, 1 | 128, 4, 1 | 8, 2 | 32, 0)
PRODUCED = (*[1000] * 8, 1, 0, LIMIT_WH, LIMIT_WH + 1)
METERS = st.integers(0, 2)


@dataclass
class Entry:
    """What one meter said of one quarter hour, and what the statement made of it."""

    meter: Meter
    shown: Shown
    produced: int
    quality: int
    kind: int
    adjacent: bool
    """Whether the record before ends where this one begins, with the number before."""

    @property
    def key(self) -> tuple[bytes, int]:
        seal = self.shown.production.seal
        return self.meter.key.meter, int.from_bytes(seal[52:60])

    @property
    def sound(self) -> bool:
        """Whether its energy may be certified (rules R1, R4, R7)."""
        production = self.shown.production
        readable = self.quality & 3 and not self.quality & (4 | 8 | 32) and self.kind <= 1
        whole = production.free_wh <= production.issued_wh <= self.produced <= LIMIT_WH
        return bool(readable) and whole and production.free_wh > 0


class Book:
    """Who owns which meter, who holds and has retired which units: plain dictionaries."""

    def __init__(self) -> None:
        self.owners: dict[bytes, int] = {}
        self.offers: dict[bytes, int] = {}
        self.issued: set[tuple[bytes, int]] = set()
        self.held: dict[tuple[bytes, tuple[bytes, int]], int] = {}
        self.retired: dict[tuple[bytes, tuple[bytes, int]], int] = {}
        self.approved: set[tuple[bytes, bytes]] = set()
        self.roll = bytes(32)

    def claim(self, entries: list[Entry]) -> bool:
        """Mint what is free in consecutive intervals of one meter."""
        meter = entries[0].meter.registered
        wanted = [entry for entry in entries if entry.shown.production.free_wh]
        if meter.direct or not meter.source or meter.role != 1 or not wanted:
            return False
        if not all(entry.adjacent for entry in entries):
            return False
        if any(not entry.sound or entry.key in self.issued for entry in wanted):
            return False
        owner = MEMBERS[self.owners[entries[0].meter.key.meter]].address_bytes
        for entry in wanted:
            self.issued.add(entry.key)
            place = owner, entry.key
            self.held[place] = self.held.get(place, 0) + entry.shown.production.free_wh
        return True

    def take(self, caller: bytes, holder: bytes, key: tuple[bytes, int], amount: int) -> bool:
        """Take units from a holder, if the caller may."""
        if caller != holder and (holder, caller) not in self.approved:
            return False
        if not 0 < amount <= self.held.get((holder, key), 0):
            return False
        self.held[holder, key] -= amount
        return True


class CertificatesAgainstBook(RuleBasedStateMachine):
    """Random meters, quarter hours, claims, sales and retirements, right and wrong."""

    base: Ground | None = None

    @initialize()
    def begin(self) -> None:
        cls = type(self)
        if cls.base is None:
            cls.base = Ground.new()
        self.ground = ground = Ground.new(beside=cls.base, shared=False)
        ground.clock.now += -ground.clock.now % QUARTER
        ground.join(len(MEMBERS))
        self.book, self.entries = Book(), dict[bytes, list[Entry]]()
        self.book.roll = bytes(32)
        for index, member in enumerate(MEMBERS):
            self._chain_roll(b"\x01", index.to_bytes(4), member.address_bytes)
        self.register(0, {})
        self.register(1, {})

    def _chain_roll(self, *parts: bytes) -> None:
        self.book.roll = sha256(self.book.roll + b"".join(parts)).digest()

    @rule(member=st.integers(0, 3), changes=st.sampled_from(KINDS))
    def register(self, member: int, changes: dict[str, object]) -> None:
        if len(self.ground.meters) == 3:
            return
        meter = self.ground.meter(f"roof {len(self.ground.meters)}", member=member, **changes)
        self.ground.register(meter)
        self.book.owners[meter.key.meter] = member
        self.entries[meter.key.meter] = []
        m = meter.registered
        self._chain_roll(
            b"\x02", m.public_key, m.member.to_bytes(4), bytes([m.role]), m.source.to_bytes(4),
            m.rated_w.to_bytes(5), m.first_day.to_bytes(4), m.zone, bytes([m.direct]), m.opening,
        )  # fmt: skip

    @rule(meter=METERS, by=st.integers(0, 3), to=st.integers(0, 4))
    def offer(self, meter: int, by: int, to: int) -> None:
        name = self._meter(meter).key.meter
        expected = self.book.owners[name] == by and to < len(MEMBERS)
        assert expected == _done(lambda: self.ground.ledger.offer_meter(MEMBERS[by], name, to))
        if expected:
            self.book.offers[name] = to
            if to == by:
                del self.book.offers[name]

    @rule(meter=METERS, by=st.integers(0, 3))
    def accept(self, meter: int, by: int) -> None:
        name = self._meter(meter).key.meter
        expected = self.book.offers.get(name) == by
        assert expected == _done(lambda: self.ground.ledger.accept_meter(MEMBERS[by], name))
        if expected:
            self.book.owners[name] = self.book.offers.pop(name)
            self._chain_roll(b"\x03", name, by.to_bytes(4))

    @rule(repeat=st.integers(1, 4))
    def honest_quarters(self, repeat: int) -> None:
        """Quarter hours in which everything is as it should be."""
        for _ in range(repeat):
            self._quarter([(meter, 1000, 1, 0, 1000, 400) for meter in self.ground.meters])

    @rule(data=st.data(), silent=st.integers(0, 5))
    def quarter(self, data: st.DataObject, silent: int) -> None:
        """One meter may be silent, and a meter, or the operator, may say too much."""
        said = []
        for number, meter in enumerate(self.ground.meters):
            if number == silent:
                continue
            produced = data.draw(st.sampled_from(PRODUCED))
            quality, kind = data.draw(st.sampled_from(QUALITIES)), data.draw(st.integers(0, 1))
            issued = produced + data.draw(st.sampled_from([*[0] * 8, -(produced // 2), 1]))
            free = data.draw(st.sampled_from([issued, issued // 3, 0]))
            said.append((meter, produced, quality, kind, issued, free))
        self._quarter(said)

    def _quarter(self, said: list[tuple[Meter, int, int, int, int, int]]) -> None:
        ground = self.ground
        ground.clock.now += QUARTER
        records = [
            meter.next(ground.clock.now, produced, quality=quality, kind=kind)
            for meter, produced, quality, kind, _, _ in said
        ]
        closed = ground.close_now(
            [leaf(record, *entry[4:]) for record, entry in zip(records, said, strict=True)]
        )
        for index, (meter, produced, quality, kind, _, _) in enumerate(said):
            record, last = records[index], meter.last.record
            adjacent = int.from_bytes(last[40:48]) == ground.clock.now - QUARTER
            shown = Shown(last, closed.production(record, index), record.signature)
            entry = Entry(meter, shown, produced, quality, kind, adjacent)
            self.entries[meter.key.meter].append(entry)
            meter.last = record

    @rule(meter=METERS, back=st.integers(0, 12))
    def claim(self, meter: int, back: int) -> None:
        entries = self._entries(meter)
        if not entries:
            return
        entry = entries[-1 - back % len(entries)]
        expected = self.book.claim([entry])
        assert expected == _done(lambda: self.ground.claim(entry.shown))
        event(f"claim {'accepted' if expected else 'refused'}")

    @rule(meter=METERS, back=st.integers(0, 12), length=st.integers(1, 8))
    def claim_run(self, meter: int, back: int, length: int) -> None:
        entries = self._entries(meter)
        if not entries:
            return
        last = len(entries) - back % len(entries)
        run = entries[max(last - length, 0) : last]
        expected = self.book.claim(run)
        assert expected == _done(
            lambda: self.ground.ledger.claim_run(
                BROKER, run[0].shown.previous, [entry.shown.production for entry in run],
                run[-1].shown.signature,
            )
        )  # fmt: skip
        event(f"run of {len(run)} {'accepted' if expected else 'refused'}")

    @rule(
        pick=st.integers(0, 50), part=st.sampled_from(["one", "all", "too much"]),
        by=st.integers(0, 4), to=st.integers(0, 4),
    )  # fmt: skip
    def transfer(self, pick: int, part: str, by: int, to: int) -> None:
        place = self._pick(pick)
        if place is None:
            return
        (holder, key), amount = place, _part(part, self.book.held[place])
        caller, receiver = self._caller(holder, by), HOLDERS[to].address_bytes
        expected = self.book.take(caller.address_bytes, holder, key, amount)
        token = TokenId(*key, QUARTER)
        assert expected == _done(
            lambda: self.ground.ledger.transfer(caller, holder, receiver, token, amount)
        )
        if expected:
            self.book.held[receiver, key] = self.book.held.get((receiver, key), 0) + amount
        event(f"transfer {'accepted' if expected else 'refused'}")

    @rule(
        pick=st.integers(0, 50), part=st.sampled_from(["one", "all", "too much"]),
        by=st.integers(0, 4),
    )  # fmt: skip
    def retire(self, pick: int, part: str, by: int) -> None:
        place = self._pick(pick)
        if place is None:
            return
        (holder, key), amount = place, _part(part, self.book.held[place])
        caller = self._caller(holder, by)
        purpose = Purpose("household", "here", "DE", NOON - 10**7, NOON + 10**9, "own use")
        expected = self.book.take(caller.address_bytes, holder, key, amount)
        token = TokenId(*key, QUARTER)
        assert expected == _done(
            lambda: self.ground.ledger.retire(caller, holder, token, amount, purpose)
        )
        if expected:
            self.book.retired[place] = self.book.retired.get(place, 0) + amount
        event(f"retire {'accepted' if expected else 'refused'}")

    @rule(holder=st.integers(0, 4), approved=st.booleans())
    def approve(self, holder: int, *, approved: bool) -> None:
        who = HOLDERS[holder]
        if who is BROKER:
            return
        self.ground.ledger.approve(who, BROKER.address_bytes, approved=approved)
        pair = who.address_bytes, BROKER.address_bytes
        self.book.approved = (
            self.book.approved | {pair} if approved else self.book.approved - {pair}
        )

    @invariant()
    def roll_is_that_of_the_book(self) -> None:
        assert self.ground.ledger.roll() == self.book.roll

    def teardown(self) -> None:
        if not hasattr(self, "ground"):
            return
        ledger, book = self.ground.ledger, self.book
        for entries in self.entries.values():
            for entry in entries:
                token = TokenId(*entry.key, QUARTER)
                assert ledger.is_issued(token) == (entry.key in book.issued)
                units = [book.held.get((who.address_bytes, entry.key), 0) for who in HOLDERS]
                gone = [book.retired.get((who.address_bytes, entry.key), 0) for who in HOLDERS]
                assert [ledger.units(who.address_bytes, token) for who in HOLDERS] == units
                assert [ledger.retired(who.address_bytes, token) for who in HOLDERS] == gone
                # R1 and R17: what is issued is held or retired, never more and never less.
                issued = entry.shown.production.free_wh if entry.key in book.issued else 0
                assert sum(units) + sum(gone) == issued <= LIMIT_WH
        facts = ledger.facts()
        assert {(claim.meter, claim.start) for claim in facts.claims} == book.issued
        assert sum(r.wh for r in facts.retirements) == sum(book.retired.values())

    def _meter(self, number: int) -> Meter:
        return self.ground.meters[number % len(self.ground.meters)]

    def _entries(self, number: int) -> list[Entry]:
        """A meter's quarter hours; if there are none, one goes by."""
        if not any(self.entries.values()):
            self.honest_quarters(3)
        return self.entries[self._meter(number).key.meter]

    def _pick(self, pick: int) -> tuple[bytes, tuple[bytes, int]] | None:
        places = [place for place, units in self.book.held.items() if units]
        return places[pick % len(places)] if places else None

    @staticmethod
    def _caller(holder: bytes, by: int) -> Account:
        """Mostly the holder itself, at times the broker or a thief."""
        own = next(who for who in HOLDERS if who.address_bytes == holder)
        return {3: BROKER, 4: Ground.stranger}.get(by, own)


def _part(part: str, held: int) -> int:
    return {"one": 1, "all": held, "too much": held + 1}[part]


def _done(action: Callable[[], object]) -> bool:
    try:
        action()
    except TransactionReverted:
        return False
    return True


CertificatesAgainstBook.TestCase.settings = settings(
    max_examples=150 if SOAK else 12,
    stateful_step_count=50 if SOAK else 30,
    deadline=None,
    derandomize=not SOAK,
    suppress_health_check=list(HealthCheck),
)
TestCertificatesAgainstBook = CertificatesAgainstBook.TestCase

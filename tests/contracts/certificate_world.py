"""The world in which certificates are issued and used: a registry, meters, time, and a book.

After each operation the contracts' whole storage must be what the book says, slot by slot; what is
refused leaves it as it was; and whoever reads the events alone knows the same.
"""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar

from eth_abi.abi import encode
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from commonwatt.audit.facts import Act
from commonwatt.chain.abi import contract
from commonwatt.chain.connection import Receipt
from commonwatt.chain.errors import TransactionReverted
from commonwatt.chain.production import TokenId
from contracts.ground import QUARTER, Ground, Meter, Shown, account, leaf
from contracts.helpers import deploy
from contracts.unit_book import Key, UnitBook, slot_of

MEMBERS = [account(f"member {index}") for index in range(4)]
BROKER, FORGER = account("broker"), account("forger")
HOLDERS = [*MEMBERS, BROKER, FORGER]
EVERYBODY = [*HOLDERS, Ground.issuer, Ground.operator]
RATED_W, LIMIT_WH = 5_000, 1562
LIFETIME_S = 40 * QUARTER
POCKET = 40_000
KINDS = ({}, {}, {}, {"direct": True}, {"direct": True}, {"source": 0}, {"role": 2, "source": 0})
QUALITIES = (*[1] * 8, 2, 1 | 128, 4, 1 | 8, 2 | 32, 0)
PRODUCED = (*[1000] * 8, 1, 0, LIMIT_WH, LIMIT_WH + 1)
METERS = st.integers(0, 3)
OWN_CONTRACTS = ("registry", "settlement", "certificate", "token", "exchange", "book")


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
    def key(self) -> Key:
        seal = self.shown.production.seal
        return self.meter.key.meter, int.from_bytes(seal[52:60])

    @property
    def believed(self) -> bool:
        """Whether the record proves what it says (rules R4, R7)."""
        readable = self.quality & 3 and not self.quality & (4 | 8 | 32) and self.kind <= 1
        return bool(readable) and self.produced <= LIMIT_WH

    @property
    def sound(self) -> bool:
        """Whether the statement's free units may be claimed on it (rule R1)."""
        production = self.shown.production
        whole = production.free_wh <= production.issued_wh <= self.produced
        return self.believed and whole and production.free_wh > 0


class World(RuleBasedStateMachine):
    """Meters, owners and time; what is done with certificates is in `certificate_machine`."""

    base: Ground | None = None
    tally: ClassVar[Counter[tuple[str, bool]]] = Counter()
    """How often each operation was done, and refused."""

    def begin(self) -> None:
        cls = type(self)
        if cls.base is None:
            cls.base = Ground.new()
        self.ground = ground = Ground.new(beside=cls.base, shared=False, lifetime_s=LIFETIME_S)
        ground.clock.now += -ground.clock.now % QUARTER
        ground.join(len(MEMBERS))
        connection, at = ground.ledger.connection, ground.ledger.addresses
        self.taker, self.refuser = (
            deploy(connection, FORGER, "holder", encode(["bool"], [takes]))
            for takes in (True, False)
        )
        self.places = [*(who.address_bytes for who in HOLDERS), self.taker, self.refuser]
        self.book = book = UnitBook(LIFETIME_S, at.exchange)
        for who in HOLDERS:
            ground.allow(who, POCKET)
            ground.ledger.approve(who, at.exchange)
            book.money[who.address_bytes] = POCKET
            book.approved.add((who.address_bytes, at.exchange))
        self.entries: dict[bytes, list[Entry]] = {}
        self.owners: dict[bytes, int] = {}
        self.meter_offers: dict[bytes, int] = {}
        self.posted = 0
        self.roll = bytes(32)
        for index, member in enumerate(MEMBERS):
            self.chain_roll(b"\x01", index.to_bytes(4), member.address_bytes)
        self.register(0, {})
        self.register(1, {"direct": True})
        self.register(2, {})

    # The registry

    def chain_roll(self, *parts: bytes) -> None:
        self.roll = sha256(self.roll + b"".join(parts)).digest()

    @rule(member=st.integers(0, 3), changes=st.sampled_from(KINDS))
    def register(self, member: int, changes: dict[str, object]) -> None:
        if len(self.ground.meters) == 4:
            return
        meter = self.ground.meter(f"roof {len(self.ground.meters)}", member=member, **changes)
        self.ground.register(meter)
        self.owners[meter.key.meter] = member
        self.entries[meter.key.meter] = []
        m = meter.registered
        self.chain_roll(
            b"\x02",
            m.public_key,
            m.member.to_bytes(4),
            bytes([m.role]),
            m.source.to_bytes(4),
            m.rated_w.to_bytes(5),
            m.first_day.to_bytes(4),
            m.zone,
            bytes([m.direct]),
            m.opening,
        )

    @rule(meter=METERS, by=st.integers(0, 3), to=st.integers(0, 4))
    def offer_meter(self, meter: int, by: int, to: int) -> None:
        name = self.meter_of(meter).key.meter
        expected = self.owners[name] == by and to < len(MEMBERS)
        self.tried(expected, self.ground.ledger.offer_meter, MEMBERS[by], name, to)
        if expected:
            self.meter_offers[name] = to
            if to == by:
                del self.meter_offers[name]

    @rule(meter=METERS, by=st.integers(0, 3))
    def accept_meter(self, meter: int, by: int) -> None:
        name = self.meter_of(meter).key.meter
        expected = self.meter_offers.get(name) == by
        self.tried(expected, self.ground.ledger.accept_meter, MEMBERS[by], name)
        if expected:
            self.owners[name] = self.meter_offers.pop(name)
            self.chain_roll(b"\x03", name, by.to_bytes(4))

    # Time

    @rule(repeat=st.integers(1, 4))
    def honest_quarters(self, repeat: int) -> None:
        """Quarter hours in which everything is as it should be."""
        for _ in range(repeat):
            self._quarter([(meter, 1000, 1, 0, 1000, 400) for meter in self.ground.meters])

    @rule(data=st.data(), silent=st.integers(0, 6))
    def quarter(self, data: st.DataObject, silent: int) -> None:
        """One meter may be silent, and a meter, or the operator, may say too much."""
        said = []
        for number, meter in enumerate(self.ground.meters):
            if number == silent:
                continue
            produced = data.draw(st.sampled_from(PRODUCED))
            quality, kind = data.draw(st.sampled_from(QUALITIES)), data.draw(st.integers(0, 2))
            issued = produced + data.draw(st.sampled_from([*[0] * 8, -(produced // 2), 1]))
            free = data.draw(st.sampled_from([issued, issued // 3, 0]))
            said.append((meter, produced, quality, kind, issued, free))
        self._quarter(said)

    @rule(quarters=st.sampled_from([*[1] * 6, 4, 12, 45]))
    def nothing_happens(self, quarters: int) -> None:
        """Units expire, offers end, meters are silent."""
        self.ground.clock.now += quarters * QUARTER

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

    # What must hold after each of them

    @invariant()
    def roll_is_that_of_the_book(self) -> None:
        assert self.ground.ledger.roll() == self.roll

    @invariant()
    def both_sides_are_equal_slot_by_slot(self) -> None:
        self.book.require_conserved()
        slots = self._storages()
        assert slots["certificate"] == self.book.certificate_slots()
        assert slots["exchange"] == self.book.exchange_slots()
        money = contract("Euro").storage["balanceOf"]
        for who, amount in self.book.money.items():
            assert slots["token"].get(slot_of(money, who), 0) == amount

    def teardown(self) -> None:
        if hasattr(self, "ground"):
            self._require_readable()
            self._require_rebuilt()

    def _require_readable(self) -> None:
        """What the contract answers is what the book says; a sample, as all slots are equal."""
        ledger, book = self.ground.ledger, self.book
        everything = [entry for entries in self.entries.values() for entry in entries]
        for number, entry in enumerate(everything[::5]):
            token = TokenId(*entry.key, QUARTER)
            assert ledger.is_issued(token) == (entry.key in book.issued)
            who = HOLDERS[number % len(HOLDERS)].address_bytes
            assert ledger.units(who, token) == book.held[who, entry.key]
            assert ledger.retired(who, token) == book.retired[who, entry.key]
        for number in range(1, book.offers + 1):
            offer, sale = ledger.offer_of(number), book.sales.get(number)
            assert (offer is None) == (sale is None)
            assert offer is None or offer.left_wh == book.left(number)

    def _require_rebuilt(self) -> None:
        """An outsider who reads the events knows it all."""
        facts, book = self.ground.ledger.facts(), self.book
        issued = {(c.meter, c.start): c.wh for c in (*facts.claims, *facts.issues)}
        assert issued == +book.issued
        held: Counter[tuple[bytes, Key]] = Counter()
        ended: dict[Act, Counter[Key]] = {act: Counter() for act in Act}
        for m in facts.movements:
            key = m.meter, m.start
            ended[m.act][key] += m.wh
            if m.giver is not None:
                held[m.giver, key] -= m.wh
            if m.taker is not None:
                held[m.taker, key] += m.wh
        assert +held == +book.held
        assert not -held
        retired = ended[Act.RETIRED] - ended[Act.REINSTATED]
        assert sum(retired.values()) == sum(book.retired.values())
        direct = {m.key.meter for m in self.ground.meters if m.registered.direct}
        assert sum(r.wh for r in facts.retirements) == sum(
            wh for (_, key), wh in book.retired.items() if key[0] not in direct
        )
        assert ended[Act.WITHDRAWN] == +book.withdrawn
        assert ended[Act.EXPORTED] - ended[Act.RESTORED] == +book.exported
        assert dict(facts.kept) == book.kept
        assert {r.meter: r.digest for r in facts.records} == {
            meter: step.digest for meter, step in book.steps.items()
        }
        assert set(facts.escrows) == book.escrows
        assert (facts.posts[-1].count if facts.posts else 0) == self.posted

    # Hands

    def tried(
        self, expected: object, action: Callable[..., Receipt], *values: Any, **named: Any
    ) -> None:
        """Do it; it must succeed as expected, and leave nothing behind where it does not."""
        before = self._storages()
        try:
            action(*values, **named)
        except TransactionReverted:
            assert not expected
            assert self._storages() == before
        else:
            assert expected
        self.tally[sys._getframe(1).f_code.co_name, bool(expected)] += 1

    def _storages(self) -> dict[str, dict[bytes, int]]:
        tries = self.ground.chain.producer.world.state._storage_tries
        found = {}
        for name in OWN_CONTRACTS:
            trie = tries.get(getattr(self.ground.ledger.addresses, name))
            found[name] = {bytes(k): int(v) for k, v in trie._data.items()} if trie else {}
        return found

    def meter_of(self, number: int) -> Meter:
        return self.ground.meters[number % len(self.ground.meters)]

    def entries_of(self, number: int) -> list[Entry]:
        """A meter's quarter hours; if there are none, some go by."""
        if not any(self.entries.values()):
            self.honest_quarters(3)
        return self.entries[self.meter_of(number).key.meter]

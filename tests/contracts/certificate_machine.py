"""Everything that can be done with certificates, right and wrong, by everybody.

Producers, neighbours, a broker, a forger, the issuer, the operator, a contract that takes
certificates and one that refuses them.
"""

from collections import Counter
from dataclasses import replace
from hashlib import sha256

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from commonwatt.chain.connection import Account
from commonwatt.chain.production import Purpose, TokenId
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.record import Record, SignedRecord
from contracts.certificate_world import (
    BROKER,
    EVERYBODY,
    FORGER,
    HOLDERS,
    MEMBERS,
    METERS,
    Entry,
    World,
)
from contracts.ground import NOON, QUARTER, Ground
from contracts.unit_book import Key, Step, escrow_of

PICK, MESSAGE = st.integers(0, 60), st.integers(0, 5)
PART = st.sampled_from([*["one", "third", "all"] * 4, "too much", "nothing"])
WHO = st.sampled_from([*["holder"] * 16, *range(len(EVERYBODY))])
ISSUER = st.sampled_from([*["issuer"] * 16, *range(len(EVERYBODY))])
TO = st.sampled_from([*[0, 1, 2, 3, 4, 5, 6] * 2, 7])
DAY = Purpose("household", "here", "DE", NOON - 10**7, NOON + 10**9, "own use")


class CertificatesAgainstBook(World):
    """Issues, sales, retirements and everything else."""

    @initialize()
    def begin(self) -> None:
        super().begin()
        self.start_direct(1)
        self.honest_quarters(4)
        self.claim_run(0, 0, 3)
        for _ in range(3):
            self.issue_direct(1, 0, forged=False)

    # Issuing

    def _claims(self, entries: list[Entry]) -> bool:
        """Whether free units of consecutive intervals may be minted; if so, they are."""
        meter, book = entries[0].meter.registered, self.book
        wanted = [entry for entry in entries if entry.shown.production.free_wh]
        if meter.direct or not meter.source or meter.role != 1 or not wanted:
            return False
        kept = book.kept.get(entries[0].meter.key.meter, 2**64)
        if not all(entry.adjacent for entry in entries):
            return False
        for entry in wanted:
            if not entry.sound or entry.key in book.issued or entry.key[1] >= kept:
                return False
        owner = MEMBERS[self.owners[entries[0].meter.key.meter]].address_bytes
        for entry in wanted:
            book.mint(owner, entry.key, entry.shown.production.free_wh)
        return True

    @rule(meter=METERS, back=st.integers(0, 12))
    def claim(self, meter: int, back: int) -> None:
        entries = self.entries_of(meter)
        if not entries:
            return
        entry = entries[-1 - back % len(entries)]
        expected = self._claims([entry])
        self.tried(expected, self.ground.claim, entry.shown)

    @rule(meter=METERS, back=st.integers(0, 12), length=st.integers(1, 8))
    def claim_run(self, meter: int, back: int, length: int) -> None:
        entries = self.entries_of(meter)
        if not entries:
            return
        last = len(entries) - back % len(entries)
        run = entries[max(last - length, 0) : last]
        expected = self._claims(run)
        sent = (
            BROKER,
            run[0].shown.previous,
            [entry.shown.production for entry in run],
            run[-1].shown.signature,
        )
        self.tried(expected, self.ground.ledger.claim_run, *sent)

    @rule(meter=METERS, index=st.integers(0, 30), forged=st.booleans())
    def claim_with_anothers_signature(self, meter: int, index: int, *, forged: bool) -> None:
        """Of a record of one's own making, or with the signature of another record."""
        entries = self.entries_of(meter)
        if len(entries) < 2:
            return
        shown = entries[index % len(entries)].shown
        signature = entries[index % len(entries) - 1].shown.signature
        if forged:
            signature = MeterKey.from_seed(b"forger").sign(shown.production.record).signature
        shown = replace(shown, signature=signature)
        self.tried(None, self.ground.claim, shown)

    @rule(meter=METERS)
    def start_direct(self, meter: int) -> None:
        chosen = self.meter_of(meter)
        name = chosen.key.meter
        entries = self.entries[name]
        opening = entries[0].shown.previous if entries else chosen.last.record
        expected = chosen.registered.direct and name not in self.book.steps
        self.tried(expected, self.ground.ledger.start_direct, FORGER, opening)
        if expected:
            self._took_down(name, opening, reached=0)

    @rule(
        meter=METERS,
        ahead=st.sampled_from([*[0] * 8, 1, -1, -2]),
        forged=st.sampled_from([*[False] * 6, True]),
    )
    def issue_direct(self, meter: int, ahead: int, *, forged: bool) -> None:
        """The next record, one that was given already, or one too many."""
        chosen = self.meter_of(meter)
        step = self.book.steps.get(chosen.key.meter)
        at = (step.number if step else 0) + ahead
        entries = self.entries_of(meter)
        if not 0 <= at < len(entries):
            return
        entry = entries[at]
        record = SignedRecord(entry.shown.production.record, entry.shown.signature)
        if forged:
            record = MeterKey.from_seed(b"forger").sign(record.record)
        registered = chosen.registered
        generation = registered.source != 0 and registered.role == 1
        expected = step is not None and generation and ahead == 0 and not forged
        if expected and step is not None:
            contiguous = step.end == step.reached == entry.key[1]
            if contiguous and entry.believed and entry.produced:
                owner = MEMBERS[self.owners[chosen.key.meter]].address_bytes
                self.book.mint(owner, entry.key, entry.produced)
            self._took_down(chosen.key.meter, record.record, step.reached)
        self.tried(
            expected, self.ground.ledger.issue_direct, FORGER, record.record, record.signature
        )

    def _took_down(self, meter: bytes, data: bytes, reached: int) -> None:
        record = Record.decode(data)
        self.book.steps[meter] = Step(
            record.sequence,
            record.time_end,
            record.export_mwh,
            max(reached, record.time_end),
            sha256(data).digest(),
        )

    @rule(meter=METERS, by=st.integers(0, 4), late=st.sampled_from([-1, 0, 2, 2]))
    def keep(self, meter: int, by: int, late: int) -> None:
        chosen, caller = self.meter_of(meter), [*MEMBERS, Ground.issuer][by]
        name, start = chosen.key.meter, self.ground.clock.now + late * QUARTER
        expected = (
            (self.owners[name] == by or caller == Ground.issuer)
            and not chosen.registered.direct
            and name not in self.book.kept
            and start > self.ground.last_start
        )
        self.tried(expected, self.ground.ledger.keep, caller, name, start)
        if expected:
            self.book.kept[name] = start

    # Holding

    @rule(pick=PICK, part=PART, by=WHO, to=TO)
    def transfer(self, pick: int, part: str, by: int | str, to: int) -> None:
        holder, key, wh = self._pick(pick)
        amount, caller, receiver = _part(part, wh), self._caller(holder, by), self.places[to]
        args = caller.address_bytes, holder, receiver, key, amount, self.ground.clock.now
        expected = receiver != self.refuser and self.book.move(*args)
        sent = caller, holder, receiver, TokenId(*key, QUARTER), amount
        self.tried(expected, self.ground.ledger.transfer, *sent)

    @rule(picks=st.lists(st.tuples(PICK, PART), min_size=1, max_size=4), by=WHO, to=TO)
    def transfer_many(self, picks: list[tuple[int, str]], by: int | str, to: int) -> None:
        holder, _, _ = self._pick(picks[0][0])
        own = [key for who, key in self.book.held if who == holder] or [self._pick(0)[1]]
        caller, receiver, now = self._caller(holder, by), self.places[to], self.ground.clock.now
        keys = [own[pick % len(own)] for pick, _ in picks]
        units = [
            (key, _part(part, self.book.held[holder, key] // 2))
            for key, (_, part) in zip(keys, picks, strict=True)
        ]
        before = Counter(self.book.held)
        expected = receiver != self.refuser and all(
            self.book.move(caller.address_bytes, holder, receiver, key, amount, now)
            for key, amount in units
        )
        if not expected:
            self.book.held = before
        tokens = [(TokenId(*key, QUARTER), amount) for key, amount in units]
        self.tried(expected, self.ground.ledger.transfer_many, caller, holder, receiver, tokens)

    @rule(pick=PICK, part=PART, by=WHO, spoilt=st.sampled_from([*["no"] * 6, "period", "bytes"]))
    def retire(self, pick: int, part: str, by: int | str, spoilt: str) -> None:
        holder, key, wh = self._pick(pick)
        amount, caller = _part(part, wh), self._caller(holder, by)
        purpose = replace(DAY, period_start=key[1] + 1) if spoilt == "period" else DAY
        data = purpose.encode() + b"x" * (spoilt == "bytes")
        args = caller.address_bytes, holder, key, amount, self.ground.clock.now
        expected = spoilt == "no" and self.book.retire(*args)
        number = TokenId(*key, QUARTER).number
        sent = caller, "certificate", "retire", holder, number, amount, data
        self.tried(expected, self.ground.send, *sent)

    @rule(
        holder=st.integers(0, 5),
        to=st.integers(0, 1),
        approved=st.sampled_from([True, True, False]),
    )
    def approve(self, holder: int, to: int, *, approved: bool) -> None:
        """The exchange, or the broker."""
        who, other = HOLDERS[holder], (self.book.exchange, BROKER.address_bytes)[to]
        pair = who.address_bytes, other
        expected = who.address_bytes != other
        self.tried(expected, self.ground.ledger.approve, who, other, approved=approved)
        if expected:
            self.book.approved -= {pair}
            self.book.approved |= {pair} if approved else set()

    @rule(pick=PICK, part=PART, agent=WHO, number=st.integers(0, 2))
    def reserve(self, pick: int, part: str, agent: int | str, number: int) -> None:
        holder, key, wh = self._pick(pick)
        amount, caller = _part(part, wh), self._caller(holder, agent)
        args = caller.address_bytes, holder, number, key, amount, self.ground.clock.now
        expected = self.book.reserve(*args)
        if expected:
            self.book.reserved[caller.address_bytes, holder, number, key] = None
        sent = caller, holder, number, TokenId(*key, QUARTER), amount
        self.tried(expected, self.ground.ledger.reserve, *sent)

    @precondition(lambda self: self.book.reserved)
    @rule(pick=PICK, part=PART, by=WHO, to=TO, home=st.booleans())
    def release(self, pick: int, part: str, by: int | str, to: int, *, home: bool) -> None:
        """By the agent whose escrow it is, at times by somebody else."""
        places = list(self.book.reserved)
        agent, holder, number, key = places[pick % len(places)]
        caller = self._caller(agent, by)
        receiver = holder if home else self.places[to]
        held = self.book.held[escrow_of(agent, holder, number), key]
        amount, now = _part(part, held), self.ground.clock.now
        expected = receiver != self.refuser and self.book.release(
            caller.address_bytes, holder, number, receiver, key, amount, now
        )
        if not self.book.held[escrow_of(agent, holder, number), key]:
            del self.book.reserved[agent, holder, number, key]
        sent = caller, holder, number, TokenId(*key, QUARTER), amount
        self.tried(expected, self.ground.ledger.release, *sent, receiver=receiver)

    # The issuer, and other registries

    @rule(pick=PICK, part=PART, by=ISSUER)
    def withdraw(self, pick: int, part: str, by: int | str) -> None:
        """From whoever has them: holders, escrows, contracts; expired or not."""
        holder, key, wh = self._pick(pick, everywhere=True)
        amount, caller = _part(part, wh), self._issuer(by)
        expected = caller is Ground.issuer and self.book.withdraw(holder, key, amount)
        token = TokenId(*key, QUARTER)
        self.tried(
            expected, self.ground.ledger.withdraw_units, caller, holder, token, amount, "an error"
        )

    @precondition(lambda self: self.book.retired)
    @rule(pick=PICK, part=PART, by=ISSUER)
    def reinstate(self, pick: int, part: str, by: int | str) -> None:
        places = list(self.book.retired)
        holder, key = places[pick % len(places)]
        amount = _part(part, self.book.retired[holder, key])
        caller = self._issuer(by)
        expected = caller is Ground.issuer and self.book.reinstate(holder, key, amount)
        token = TokenId(*key, QUARTER)
        self.tried(
            expected, self.ground.ledger.reinstate, caller, holder, token, amount, "an error"
        )

    @rule(pick=PICK, part=PART, by=WHO, message=MESSAGE)
    def export(self, pick: int, part: str, by: int | str, message: int) -> None:
        holder, key, wh = self._pick(pick)
        amount, caller, name = _part(part, wh), self._caller(holder, by), bytes([message + 1] * 32)
        args = caller.address_bytes, holder, key, amount, name, self.ground.clock.now
        expected = self.book.export(*args)
        token = TokenId(*key, QUARTER)
        sent = caller, holder, token, amount
        self.tried(expected, self.ground.ledger.export_units, *sent, destination=name, message=name)

    @precondition(lambda self: self.book.messages)
    @rule(message=MESSAGE, to=TO, by=ISSUER, more=st.sampled_from([0, 0, 0, 1]))
    def restore(self, message: int, to: int, by: int | str, more: int) -> None:
        name = list(self.book.messages)[message % len(self.book.messages)]
        receiver, caller = self.places[to], self._issuer(by)
        key, amount = self.book.messages[name] or (self._pick(message)[1], 1)
        allowed = caller is Ground.issuer and receiver != self.refuser
        expected = allowed and self.book.restore(receiver, key, amount + more, name)
        token = TokenId(*key, QUARTER)
        self.tried(
            expected, self.ground.ledger.restore, caller, receiver, token, amount + more, name
        )

    @rule(more=st.integers(0, 2), by=ISSUER)
    def post(self, more: int, by: int | str) -> None:
        caller, count = self._issuer(by), self.posted + more
        expected = caller is Ground.issuer and more > 0
        self.tried(expected, self.ground.ledger.post, caller, count, b"\7" * 32)
        self.posted = count if expected else self.posted

    # Selling

    @rule(
        pick=PICK,
        part=PART,
        price=st.sampled_from([*[1, 7, 50] * 4, 0, 2**64]),
        last=st.sampled_from([*[1, 2, 20] * 4, 0, 2**32]),
    )
    def offer(self, pick: int, part: str, price: int, last: int) -> None:
        holder, key, wh = self._pick(pick)
        seller = next((who for who in HOLDERS if who.address_bytes == holder), FORGER)
        own = seller.address_bytes
        amount, now = _part(part, self.book.held[own, key] or wh), self.ground.clock.now
        end = now + last * QUARTER
        expected = self.book.offer(own, key, amount, price, end, now)
        number = TokenId(*key, QUARTER).number
        self.tried(
            expected, self.ground.send, seller, "exchange", "offer", number, amount, price, end
        )

    @precondition(lambda self: self.book.offers)
    @rule(pick=PICK, part=PART, by=st.integers(0, 5), short=st.sampled_from([*[0] * 7, 1]))
    def buy(self, pick: int, part: str, by: int, short: int) -> None:
        book, buyer = self.book, HOLDERS[by]
        number = self._sale(pick)
        left = book.left(number) if number in book.sales else 1
        price = book.sales[number].price if number in book.sales else 1
        amount = _part(part, left)
        most = max(amount * price - short, 0)
        expected = book.buy(buyer.address_bytes, number, amount, most, self.ground.clock.now)
        self.tried(expected, self.ground.send, buyer, "exchange", "buy", number, amount, most)

    @precondition(lambda self: self.book.offers)
    @rule(pick=PICK, by=st.sampled_from(["seller", "seller", *range(len(EVERYBODY))]))
    def cancel(self, pick: int, by: int | str) -> None:
        number = self._sale(pick)
        sale = self.book.sales.get(number)
        own = sale.seller if sale else HOLDERS[0].address_bytes
        caller = self._caller(own, "holder" if by == "seller" else by)
        expected = self.book.cancel(caller.address_bytes, number, self.ground.clock.now)
        self.tried(expected, self.ground.ledger.cancel_offer, caller, number)

    # Hands

    def _pick(self, pick: int, *, everywhere: bool = False) -> tuple[bytes, Key, int]:
        """Somebody who has units; if nobody has, somebody gets some."""
        known = {who.address_bytes for who in HOLDERS}
        for _ in range(2):
            places = [
                (*place, wh)
                for place, wh in self.book.held.items()
                if wh and (everywhere or place[0] in known)
            ]
            if places:
                # Young units first: the old ones have expired.
                places.sort(key=lambda place: -place[1][1])
                return places[pick % min(len(places), 12)]
            self.honest_quarters(2)
            self.claim_run(0, 0, 2)
            self.issue_direct(1, 0, forged=False)
        return HOLDERS[0].address_bytes, (self.meter_of(0).key.meter, self.ground.clock.now), 1

    def _sale(self, pick: int) -> int:
        """An offer that stands, at times one that does not."""
        standing = list(self.book.sales)
        if not standing or pick % 8 == 7:
            return pick % (self.book.offers + 2)
        return standing[pick % len(standing)]

    @staticmethod
    def _caller(holder: bytes, by: int | str) -> Account:
        if isinstance(by, int):
            return EVERYBODY[by]
        return next((who for who in HOLDERS if who.address_bytes == holder), FORGER)

    @staticmethod
    def _issuer(by: int | str) -> Account:
        return EVERYBODY[by] if isinstance(by, int) else Ground.issuer


def _part(part: str, held: int) -> int:
    return {"one": 1, "third": held // 3, "all": held, "too much": held + 1, "nothing": 0}[part]

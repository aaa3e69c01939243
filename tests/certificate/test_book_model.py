"""The book of certificates against a heap of coins, through whatever anybody may try."""

import os
from collections import Counter
from itertools import pairwise

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from certificate.coins import Coins, Key
from commonwatt.certificate.actions import (
    Accept,
    Action,
    Admit,
    Border,
    Charge,
    Claim,
    Close,
    Consume,
    Correct,
    Discharge,
    Export,
    Hand,
    Issue,
    Put,
    Reinstate,
    Release,
    Replace,
    Reserve,
    Restore,
    Retire,
    Revoke,
    Store,
    Take,
    Together,
    Transfer,
    Withdraw,
)
from commonwatt.certificate.book import Book
from commonwatt.certificate.bundle import FINAL, Bundle, Origin, Status
from commonwatt.certificate.context import Scheme
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.certificate.state import CHARGED, ISSUED, require_conserved
from commonwatt.meter.keys import MeterKey

SOAK = bool(os.environ.get("COMMONWATT_SOAK"))
ISSUER, PRODUCER, NEIGHBOUR, BUYER, OPERATOR, FORGER = (bytes([n] * 20) for n in range(1, 7))
KEYS = {
    key.meter.hex(): key.public_key.hex()
    for key in (MeterKey.from_seed(b"meter %d" % number) for number in range(8))
}
ROOF, TURBINE, BATTERY, CELLAR, *NEW = KEYS
KITCHEN, SHOP = (bytes([160 + n] * 20).hex() for n in range(2))
VOUCHER = "the grid operator"
QUARTER, HOUR, DAY = 900, 3_600, 86_400
NOON = 1_782_043_200
EVENING = NOON + 3 * HOUR
LIFETIME = 20 * DAY
RATED_W = 200
"""At most 62 Wh in a quarter hour: small, so that amounts meet."""

HOLDERS = (PRODUCER, NEIGHBOUR, BUYER)
ANYBODY = (*HOLDERS, ISSUER, OPERATOR, FORGER)
MOSTLY_ISSUER = st.sampled_from((*[ISSUER] * 27, OPERATOR, PRODUCER, FORGER))
ACTORS = st.sampled_from((*[None] * 34, *ANYBODY))
"""None: whoever has the right."""
ACCOUNTS = st.sampled_from(HOLDERS)
METERS = st.sampled_from((ROOF, ROOF, TURBINE, BATTERY, CELLAR, *NEW))
PROOFS = st.sampled_from((*["key", "voucher"] * 9, "both", "none", "another's", "no point"))
GENERATORS = st.sampled_from((*[ROOF, TURBINE] * 9, *NEW, BATTERY, KITCHEN))
BATTERIES = st.sampled_from((*[BATTERY] * 12, CELLAR, *NEW, ROOF))
CONSUMERS = st.sampled_from((KITCHEN, SHOP, KITCHEN, SHOP, BATTERY))
STARTS = st.sampled_from((*range(NOON, EVENING, QUARTER), NOON + 300, NOON - HOUR, NOON + 30 * DAY))
LATE = st.sampled_from((*range(EVENING, EVENING + 2 * HOUR, QUARTER), NOON, NOON + QUARTER))
LENGTHS = st.sampled_from((*[QUARTER] * 16, HOUR, HOUR, 300, 60, 0, 700))
AMOUNTS = st.sampled_from((*range(1, 62, 3), 1, 2, 60, 62, 63, 250, 0, -1))
PARTS = st.sampled_from((*["some", "one", "all"] * 6, "too much", "none"))
PICKS = st.integers(0, 999)
DIGESTS = st.integers(0, 12)
REASONS = st.sampled_from((*["it was wrong"] * 19, ""))


def digest(number: int) -> str:
    return number.to_bytes(32).hex()


class BookAgainstCoins(RuleBasedStateMachine):
    """Random actions of everybody, right and wrong; each is done in both books or in neither."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Book(Scheme(ISSUER, LIFETIME))
        self.state, self.now = self.book.state, EVENING + 3 * HOUR
        self.coins = Coins(ISSUER.hex(), LIFETIME, self._piece)
        self.corrected: list[Correct] = []
        self.records = 100
        self.over: dict[int, Bundle] = {}

    @initialize()
    def begin(self) -> None:
        """A roof and a battery of the producer, a neighbour's turbine, and a kitchen."""
        roof = ("KR", NOON, "", 0, KEYS[ROOF])
        self._do(ISSUER, Admit(ROOF, PRODUCER.hex(), 1, RATED_W, *roof))
        turbine = ("JP", NOON, "", 0, "", VOUCHER)
        self._do(ISSUER, Admit(TURBINE, NEIGHBOUR.hex(), 2, RATED_W, *turbine))
        battery = ("KR", NOON, "", 900, KEYS[BATTERY])
        self._do(ISSUER, Admit(BATTERY, PRODUCER.hex(), 0, RATED_W, *battery))
        self._do(ISSUER, Issue(ROOF, NOON, QUARTER, 60, 10, 45, digest(50)))
        self._do(ISSUER, Issue(TURBINE, NOON, QUARTER, 62, 0, 62, digest(51)))
        self._do(ISSUER, Consume(KITCHEN, NOON, HOUR, 50, "KR", NEIGHBOUR.hex()))
        self._do(ISSUER, Border("JP", "KR", NOON, HOUR, 40))
        self._do(ISSUER, Charge(BATTERY, NOON, HOUR, 50))

    @rule(
        actor=MOSTLY_ISSUER, meter=METERS, owner=ACCOUNTS, permille=st.sampled_from((0, 500)),
        source=st.integers(0, 1), proof=PROOFS, day=st.sampled_from((*["", "2016-06-21"] * 9, "x")),
    )  # fmt: skip
    def admit(self, actor: bytes, meter: str, owner: bytes, permille: int, source: int,
              proof: str, day: str) -> None:  # fmt: skip
        key, voucher = _proof(meter, proof)
        self._do(
            actor,
            Admit(meter, owner.hex(), source, RATED_W, "KR", NOON, "", permille, key, voucher, day),
        )

    @rule(actor=ACTORS, pick=PICKS, to=ACCOUNTS, taker=ACTORS)
    def hand_on(self, actor: bytes | None, pick: int, to: bytes, taker: bytes | None) -> None:
        """An owner offers a device, and whoever it is offered to mostly takes it."""
        meter, device = self._pick(self.state.devices, pick)
        if pick % 24 == 5:
            meter = bytes.fromhex(NEW[0])
        self._do(actor or device.owner, Hand(meter.hex(), to.hex()))
        if taker != OPERATOR:
            self._do(taker or to, Accept(meter.hex()))

    @rule(
        actor=MOSTLY_ISSUER, pick=PICKS, new=st.sampled_from((*NEW, *NEW, *NEW, BATTERY)),
        early=st.sampled_from((*[0] * 6, QUARTER, 5 * HOUR)), proof=PROOFS, reason=REASONS,
        wh=AMOUNTS, offered=st.sampled_from((None, None, BUYER)),
    )  # fmt: skip
    def another_meter(self, actor: bytes, pick: int, new: str, early: int, proof: str,
                      reason: str, wh: int, offered: bytes | None) -> None:  # fmt: skip
        """In the place of one: its debt and what it was charged with are the new one's."""
        _, device = self._pick(self.state.devices, pick)
        meter, start = device.meter.hex(), self._end_of(device.meter) - early
        last = self._last_of(device.meter, start)
        if pick % 2:
            self._oversell(last)
        if offered is not None:
            self._do(device.owner, Hand(meter, offered.hex()))
        key, _ = _proof(new, proof)
        self._do(actor, Replace(meter, new, start, key, reason))
        for offer in (meter, new) if offered is not None else ():
            self._do(offered, Accept(offer))
        self.records += 1
        record = digest(self.records)
        if device.storage_permille:
            self._do(ISSUER, Discharge(new, start, QUARTER, wh, wh, 0, record))
        else:
            self._do(ISSUER, Issue(new, start, QUARTER, wh, 0, wh, record))
            # The old meter's debt is the new one's, whichever of them is corrected.
            self._correct(last, wh)

    @rule(pick=PICKS, seldom=st.sampled_from((*[False] * 11, True)), wh=AMOUNTS)
    def closed_in_debt_and_on_offer(self, pick: int, wh: int, *, seldom: bool) -> None:
        """Not often, for nothing happens to a device after it."""
        _, device = self._pick(self.state.devices, pick)
        if not seldom:
            return
        last = self._last_of(device.meter, NOON)
        self._oversell(last)
        self._do(device.owner, Hand(device.meter.hex(), BUYER.hex()))
        self._do(ISSUER, Close(device.meter.hex(), self._end_of(device.meter)))
        self._do(BUYER, Accept(device.meter.hex()))
        self._correct(last, wh)

    def _oversell(self, origin: Origin) -> None:
        """All of an interval is given away, and then it was nothing."""
        for bundle in [*self.state.parts_of(origin)]:
            self._do(bundle.holder, Transfer(bundle.number, bundle.wh, BUYER.hex()))
        self._correct(origin, 0)

    def _correct(self, origin: Origin, wh: int) -> None:
        found = self.state.issuances.get(origin)
        if found is not None:
            self.records += 1
            record = digest(self.records)
            self._do(ISSUER, Correct(*_key(origin), wh, wh, found.record.hex(), record))

    def _end_of(self, meter: bytes) -> int:
        spans = [self.state.spans.get((kind, meter), ()) for kind in (ISSUED, CHARGED)]
        return max((taken[-1].end for taken in spans if taken), default=NOON)

    def _last_of(self, meter: bytes, start: int) -> Origin:
        spans = self.state.spans.get((ISSUED, meter), ())
        return spans[-1] if spans else Origin(meter, start, QUARTER)

    @rule(pick=PICKS, other=PICKS, parts=st.tuples(PARTS, PARTS), same=st.booleans(),
          kind=st.sampled_from(("transfer", "retire", "reserve", "both")))  # fmt: skip
    def together(self, pick: int, other: int, parts: tuple[str, str], *, same: bool,
                 kind: str) -> None:  # fmt: skip
        """Two bundles of one holder, or of two, or one bundle twice: both or none."""
        first = self._live(pick)
        second = first if same and not other % 5 else self._live(other, first.holder)
        to = (BUYER if first.holder != BUYER else PRODUCER).hex()
        until = self.now + DAY
        kinds: tuple[str, str] = ("transfer", "retire") if kind == "both" else (kind, kind)
        several = []
        for bundle, part, what in zip((first, second), parts, kinds, strict=True):
            number, wh = bundle.number, _part(bundle, part)
            kitchen = self._kitchen(bundle.origin, to, other)
            several.append({
                "transfer": Transfer(number, wh, to),
                "retire": Retire(number, wh, to, "cooking", *kitchen),
                "reserve": Reserve(number, wh, to, until),
            }[what])  # fmt: skip
        self._do(first.holder, Together(tuple(several)))

    def _kitchen(self, origin: Origin, whom: str, pick: int) -> tuple[str, int, int]:
        """A consumption of somebody's that units fit into, if there is one."""
        fitting = [
            _key(found.origin)
            for found in self.state.consumptions.values()
            if found.owner.hex() == whom
            and found.origin.start <= origin.start
            and origin.end <= found.origin.end
        ]
        return fitting[pick % len(fitting)] if fitting and pick % 3 else ("", 0, 0)

    @rule(actor=MOSTLY_ISSUER, meter=METERS, hours=st.sampled_from((1, 2, 7, 30)))
    def close(self, actor: bytes, meter: str, hours: int) -> None:
        self._do(actor, Close(meter, NOON + hours * HOUR))

    @rule(
        actor=MOSTLY_ISSUER, meter=GENERATORS, start=STARTS, duration=LENGTHS, made=AMOUNTS,
        used=st.sampled_from((0, 0, 0, 1, 20, -1)), less=st.sampled_from((0, 0, 0, 1, -1)),
        into=st.lists(st.tuples(BATTERIES, st.sampled_from((1, 5, 20, 60, 0, -1))), max_size=2),
    )  # fmt: skip
    def issue(self, actor: bytes, meter: str, start: int, duration: int, made: int, used: int,
              less: int, into: list[tuple[str, int]]) -> None:  # fmt: skip
        self.records += 1
        # Mostly only what was charged in this interval.
        puts = tuple(
            Put(battery, wh)
            for battery, wh in into
            if wh % 5 or Origin(bytes.fromhex(battery), start, duration)
            in self.state.spans.get((CHARGED, bytes.fromhex(battery)), ())
        )  # fmt: skip
        free = made - used - less - sum(put.wh for put in puts)
        action = Issue(meter, start, duration, made, used, free, digest(self.records), puts)
        self._do(actor, action)

    @rule(start=STARTS, charged=st.integers(1, 62), stored=st.integers(1, 62), made=AMOUNTS,
          late=LATE, twice=st.booleans())  # fmt: skip
    def sun_into_the_battery(self, start: int, charged: int, stored: int, made: int, late: int, *,
                             twice: bool) -> None:  # fmt: skip
        """What the home's battery took in is told first, then what of it came from the roof."""
        for quarter in (start, start + QUARTER):
            self.records += 1
            self._do(ISSUER, Charge(BATTERY, quarter, QUARTER, charged))
            put = min(stored, max(made, 1))
            puts = (Put(BATTERY, put),) * (2 if twice and not charged % 7 else 1)
            action = Issue(ROOF, quarter, QUARTER, made, 0, made - put, digest(self.records), puts)
            self._do(ISSUER, action)
        self.records += 1
        action = Discharge(BATTERY, late, QUARTER, stored, stored, 0, digest(self.records))
        self._do(ISSUER, action)

    @rule(pick=PICKS, to=ACCOUNTS, found=st.tuples(AMOUNTS, AMOUNTS), back=st.booleans())
    def sold_with_its_past(self, pick: int, to: bytes, found: tuple[int, int], *,
                           back: bool) -> None:  # fmt: skip
        """What a correction adds after a sale is the buyer's, and taken from the buyer again."""
        origin, _ = self._pick(self.state.issuances, pick)
        last = self.state.plant_of(self.state.devices[origin.meter])
        self._do(last.owner, Hand(last.meter.hex(), to.hex()))
        if back:
            self._do(last.owner, Hand(last.meter.hex(), last.owner.hex()))
        self._do(to, Accept(last.meter.hex()))
        for made in (62, *found):
            self._correct(origin, made)

    @rule(
        actor=MOSTLY_ISSUER, pick=PICKS, made=AMOUNTS, less=st.sampled_from((*[0, 0, 1] * 5, -1)),
        right=st.sampled_from((*[True] * 15, False)),
    )  # fmt: skip
    def correct(self, actor: bytes, pick: int, made: int, less: int, *, right: bool) -> None:
        """Up, down, and what was corrected before; now and then it refers to another reading."""
        origin, found = self._pick(self.state.issuances, pick)
        self.records += 1
        corrects = found.record.hex() if right else digest(7)
        free = made - min(less, max(made, 0))
        action = Correct(*_key(origin), made, free, corrects, digest(self.records))
        if self._do(actor, action):
            self.corrected.append(action)

    @precondition(lambda self: self.corrected)
    @rule(pick=PICKS, other=st.sampled_from((0, 0, 1)))
    def correct_again(self, pick: int, other: int) -> None:
        """The last correction of an interval changes nothing when repeated, an older is refused."""
        before = repr(self.state)
        said = self.corrected[-1 - pick % len(self.corrected)]
        action = Correct(
            said.meter, said.start, said.duration, said.metered_wh + other, said.free_wh,
            said.corrects, said.record,
        )  # fmt: skip
        self._do(ISSUER, action)
        assert repr(self.state) == before

    @rule(actor=ACTORS, pick=PICKS, part=PARTS, to=ACCOUNTS)
    def transfer(self, actor: bytes | None, pick: int, part: str, to: bytes) -> None:
        bundle = self._live(pick)
        self._do(actor or bundle.holder, Transfer(bundle.number, _part(bundle, part), to.hex()))

    @rule(
        actor=ACTORS, pick=PICKS, part=PARTS, whom=ACCOUNTS,
        ahead=st.sampled_from((*[HOUR, 10 * DAY] * 8, 1, 0, 400 * DAY)),
    )  # fmt: skip
    def reserve(self, actor: bytes | None, pick: int, part: str, whom: bytes, ahead: int) -> None:
        bundle = self._live(pick)
        action = Reserve(bundle.number, _part(bundle, part), whom.hex(), self.now + ahead)
        self._do(actor or bundle.holder, action)

    @rule(actor=ACTORS, pick=PICKS, take=st.booleans())
    def take_or_release(self, actor: bytes | None, pick: int, *, take: bool) -> None:
        bundle = self._some(pick, Status.RESERVED)
        whom = self.state.reservations.get(bundle.number, (BUYER, 0))[0]
        self._do(actor or whom, Take(bundle.number) if take else Release(bundle.number))

    @rule(actor=ACTORS, pick=PICKS, part=PARTS, whom=ACCOUNTS, why=st.sampled_from("abcdefgh "))
    def retire(self, actor: bytes | None, pick: int, part: str, whom: bytes, why: str) -> None:
        bundle = self._live(pick)
        action = Retire(bundle.number, _part(bundle, part), whom.hex(), why.strip())
        self._do(actor or bundle.holder, action)

    @rule(
        actor=ACTORS, pick=PICKS, part=PARTS, use=PICKS, whom=st.sampled_from((*[None] * 15, BUYER))
    )
    def match(
        self, actor: bytes | None, pick: int, part: str, use: int, whom: bytes | None
    ) -> None:
        """For a consumption, mostly one that the units were produced within."""
        bundle = self._live(pick)
        fitting = {
            origin: found
            for origin, found in self.state.consumptions.items()
            if origin.start <= bundle.origin.start and bundle.origin.end <= origin.end
        }
        origin, found = self._pick(fitting if use % 10 else self.state.consumptions, use)
        action = Retire(
            bundle.number, _part(bundle, part), (whom or found.owner).hex(), "cooking",
            origin.meter.hex(), origin.start, origin.duration,
        )  # fmt: skip
        self._do(actor or bundle.holder, action)

    @rule(actor=ACTORS, pick=PICKS)
    def claim(self, actor: bytes | None, pick: int) -> None:
        bundle = self._some(pick, Status.RETIRED)
        retirement = self.state.retirements.get(bundle.number)
        self._do(
            actor or (retirement.beneficiary if retirement else PRODUCER), Claim(bundle.number)
        )

    @rule(
        actor=MOSTLY_ISSUER, meter=CONSUMERS, start=STARTS, duration=LENGTHS, wh=AMOUNTS,
        zone=st.sampled_from(("KR", "JP")), owner=ACCOUNTS,
        covered=st.sampled_from((0, 0, 0, 1, 20, 60, -1)), voucher=st.sampled_from(("", VOUCHER)),
    )  # fmt: skip
    def consume(self, actor: bytes, meter: str, start: int, duration: int, wh: int, zone: str,
                owner: bytes, covered: int, voucher: str) -> None:  # fmt: skip
        self._do(actor, Consume(meter, start, duration, wh, zone, owner.hex(), covered, voucher))

    @rule(actor=MOSTLY_ISSUER, pick=PICKS, reason=REASONS, known=st.sampled_from((*[1] * 15, 0)))
    def revoke(self, actor: bytes, pick: int, reason: str, known: int) -> None:
        origin, _ = self._pick(self.state.consumptions, pick)
        meter = origin.meter.hex() if known else SHOP
        self._do(actor, Revoke(meter, origin.start, origin.duration, reason))

    @rule(
        actor=MOSTLY_ISSUER, zones=st.sampled_from(("KR JP", "JP KR", "KR KR")), pick=PICKS,
        wh=AMOUNTS, length=st.sampled_from((*[None] * 7, HOUR, QUARTER, 77)),
    )  # fmt: skip
    def border(self, actor: bytes, zones: str, pick: int, wh: int, length: int | None) -> None:
        origin, _ = self._pick(self.state.consumptions, pick)
        duration = length or origin.duration
        start = origin.start // duration * duration
        self._do(actor, Border(*zones.split(), start, duration, wh))

    @rule(actor=MOSTLY_ISSUER, pick=PICKS, part=PARTS, reason=REASONS)
    def withdraw(self, actor: bytes, pick: int, part: str, reason: str) -> None:
        bundle = self._live(pick)
        self._do(actor, Withdraw(bundle.number, _part(bundle, part), reason))

    @rule(actor=MOSTLY_ISSUER, pick=PICKS, reason=REASONS)
    def reinstate(self, actor: bytes, pick: int, reason: str) -> None:
        bundle = self._some(pick, Status.RETIRED, Status.CLAIMED)
        self._do(actor, Reinstate(bundle.number, reason))

    @rule(
        actor=ACTORS,
        pick=PICKS,
        part=PARTS,
        message=DIGESTS,
        where=st.sampled_from((*["there"] * 15, "")),
    )
    def export(self, actor: bytes | None, pick: int, part: str, message: int, where: str) -> None:
        bundle = self._live(pick)
        action = Export(bundle.number, _part(bundle, part), where, digest(message))
        self._do(actor or bundle.holder, action)

    @rule(actor=MOSTLY_ISSUER, message=DIGESTS, reason=REASONS)
    def restore(self, actor: bytes, message: int, reason: str) -> None:
        """Mostly what is out, now and then what never was, or is back."""
        out = [name.hex() for name, number in self.state.exports.items() if number is not None]
        known = out[message % len(out)] if out and message % 4 else digest(message)
        self._do(actor, Restore(known, reason))

    @rule(actor=MOSTLY_ISSUER, meter=BATTERIES, start=STARTS, duration=LENGTHS, wh=AMOUNTS)
    def charge(self, actor: bytes, meter: str, start: int, duration: int, wh: int) -> None:
        self._do(actor, Charge(meter, start, duration, wh))

    @precondition(lambda self: self.state.charges)
    @rule(actor=ACTORS, pick=PICKS, part=PARTS, charge=PICKS, known=st.sampled_from((*[1] * 15, 0)))
    def store(self, actor: bytes | None, pick: int, part: str, charge: int, known: int) -> None:
        """Into a charge, mostly one that the units were produced within."""
        bundle = self._live(pick, PRODUCER)
        charges = [found.origin for some in self.state.charges.values() for found in some]
        fitting = [
            origin
            for origin in charges
            if origin.start <= bundle.origin.start and bundle.origin.end <= origin.end
        ]
        some = fitting or charges
        origin = some[charge % len(some)]
        start = origin.start if known else origin.start + HOUR
        action = Store(
            bundle.number, _part(bundle, part), origin.meter.hex(), start, origin.duration
        )
        self._do(actor or bundle.holder, action)

    @rule(
        actor=MOSTLY_ISSUER, meter=BATTERIES, start=LATE, duration=LENGTHS, wh=AMOUNTS,
        home=st.sampled_from((0, 0, 1, 10, 70, -1)), used=st.sampled_from((0, 0, 0, 1, 3, 20, -1)),
    )  # fmt: skip
    def discharge(self, actor: bytes, meter: str, start: int, duration: int, wh: int, home: int,
                  used: int) -> None:  # fmt: skip
        self.records += 1
        # Some of it the home uses itself, some of the rest goes to neighbours.
        given = wh - min(home, max(wh, 0))
        action = Discharge(meter, start, duration, wh, given, used, digest(self.records))
        self._do(actor, action)

    @rule(pick=PICKS, start=STARTS, found=AMOUNTS)
    def sold_and_found_wrong(self, pick: int, start: int, found: int) -> None:
        """What is owed after a sale the next interval pays, and owes it again if it shrinks."""
        bundle = self._live(pick)
        self._do(bundle.holder, Transfer(bundle.number, bundle.wh, BUYER.hex()))
        meter, begun, duration = _key(bundle.origin)
        corrects = self.state.issuances[bundle.origin].record.hex()
        self.records += 2
        new = digest(self.records)
        self._do(ISSUER, Correct(meter, begun, duration, found // 4, found // 4, corrects, new))
        last = digest(self.records - 1)
        self._do(ISSUER, Issue(meter, start, QUARTER, 60, 2, 58, last))
        self.records += 1
        less = digest(self.records)
        self._do(ISSUER, Correct(meter, start, QUARTER, 30, 20, last, less))

    @rule(pick=PICKS, start=LATE, wh=AMOUNTS)
    def sun_for_the_evening(self, pick: int, start: int, wh: int) -> None:
        """What the roof made goes into a charge, and comes out in the evening."""
        bundle = self._live(pick, PRODUCER)
        some = (bundle.wh + 1) // 2
        self._do(PRODUCER, Store(bundle.number, some, BATTERY, NOON, HOUR))
        self.records += 2
        for at, record in ((start, self.records - 1), (start + QUARTER, self.records)):
            given = wh - pick % 3
            self._do(ISSUER, Discharge(BATTERY, at, QUARTER, wh, given, pick % 2, digest(record)))

    @rule(pick=PICKS, zone=st.sampled_from(("KR", "JP")))
    def used_and_undone(self, pick: int, zone: str) -> None:
        """What was matched to a consumption that never was goes back to its holder."""
        bundle = self._live(pick)
        shop = (SHOP, bundle.origin.start // HOUR * HOUR, HOUR)
        self._do(ISSUER, Consume(*shop, 60, zone, BUYER.hex()))
        self._do(ISSUER, Border("KR", "JP", *shop[1:], 30))
        number = len(self.state.bundles) if bundle.wh > 1 else bundle.number
        self._do(bundle.holder, Retire(bundle.number, 1, BUYER.hex(), "light", *shop))
        self._do(BUYER, Claim(number))
        self._do(ISSUER, Revoke(*shop, "the meter was read wrongly"))
        self._do(ISSUER, Reinstate(number, "its consumption was withdrawn"))

    @rule(pick=PICKS, part=st.integers(2, 4), take=st.booleans())
    def promised_and_withdrawn_in_part(self, pick: int, part: int, *, take: bool) -> None:
        bundle = self._live(pick)
        whom = BUYER if bundle.holder != BUYER else PRODUCER
        until = self.now + DAY
        self._do(bundle.holder, Reserve(bundle.number, bundle.wh, whom.hex(), until))
        rest = len(self.state.bundles) + 1
        self._do(ISSUER, Withdraw(bundle.number, bundle.wh // part, "too much was promised"))
        if take:
            self._do(whom, Take(rest))

    @rule(pick=PICKS, early=st.sampled_from((0, 1)))
    def a_last_second(self, pick: int, early: int) -> None:
        """At the second units expire, and the one before."""
        bundle = self._live(pick)
        self.now = max(self.now, bundle.origin.end + LIFETIME - early)
        self._do(bundle.holder, Retire(bundle.number, 1, BUYER.hex(), "light"))

    @rule(seconds=st.sampled_from((0, 1, QUARTER, HOUR, DAY, 5 * DAY)))
    def time_goes_on(self, seconds: int) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from((1, DAY)), pick=PICKS)
    def an_entry_from_before(self, seconds: int, pick: int) -> None:
        bundle, now = self._live(pick), self.now
        self.now = self.coins.now - seconds
        done = self._do(bundle.holder, Transfer(bundle.number, bundle.wh, OPERATOR.hex()))
        assert not done
        self.now = now

    @invariant()
    def both_books_say_the_same_of_every_unit(self) -> None:
        assert {_key(origin) for origin in self.state.issuances} == set(self.coins.issued)
        for origin, issuance in self.state.issuances.items():
            require_conserved(self.state, origin)
            said = self.coins.issued[_key(origin)]
            parts = sorted(self.state.parts_of(origin), key=lambda part: part.first)
            assert all(low.end == high.first for low, high in pairwise(parts))
            coins = [(coin.holder, coin.status) for coin in said.coins]
            assert coins == [
                (part.holder.hex(), part.status.value) for part in parts for _ in range(part.wh)
            ]
            figures = (
                said.metered, said.retired, said.stored, said.free, len(said.own), said.withheld,
                said.owed,
            )  # fmt: skip
            assert figures == (
                issuance.metered_wh, issuance.retired_wh, issuance.stored_wh, issuance.free_wh,
                issuance.own_wh, issuance.withheld_wh, issuance.owed_wh,
            )  # fmt: skip
            firsts = [issuance.numbering(unit).owner.hex() for unit in range(issuance.issued_wh)]
            assert firsts == [coin.first for coin in said.coins]
            assert issuance.record.hex() == said.record
            status = Counter(status for _, status in coins)
            # R24: each Wh drawn came out once, to the grid or for the home itself.
            drawn = Counter(c.drawn_from for c in (*said.coins, *said.own) if c.drawn_from)
            assert drawn == {_key(link.charge): link.wh for link in issuance.links}
            # R1: no more out than was metered and is owed; every unit has one fate.
            assert len(coins) - status["withdrawn"] <= issuance.metered_wh + issuance.owed_wh
            assert sum(status[fate.value] for fate in Status) == issuance.issued_wh

    @invariant()
    def a_devices_debt_is_what_its_intervals_owe_less_what_was_withheld(self) -> None:
        sites: dict[bytes, list[bytes]] = {}
        for meter, device in self.state.devices.items():
            sites.setdefault(self.state.plant_of(device).meter, []).append(meter)
            plant = self.coins.plants[meter.hex()]
            assert plant.closed_from == device.closed_from
            assert (device.key.hex(), device.voucher) == (plant.said.key, plant.said.voucher)
        for last, meters in sites.items():
            mine = [
                found for origin, found in self.state.issuances.items() if origin.meter in meters
            ]
            owed = sum(found.owed_wh for found in mine) - sum(found.withheld_wh for found in mine)
            device, site = self.state.devices[last], self.coins.plants[last.hex()].site
            assert device.debt_wh == owed == site.debt >= 0
            assert all(not self.state.devices[m].debt_wh for m in meters if m != last)
            assert (device.owner.hex(), device.handed_to) == (
                site.owner, bytes.fromhex(site.offered) if site.offered else None
            )  # fmt: skip
            out = sum(
                part.wh
                for found in mine
                for part in self.state.parts_of(found.origin)
                if part.status is not Status.WITHDRAWN
            )
            assert out <= sum(found.found_wh for found in mine) + device.debt_wh

    @invariant()
    def consumption_borders_and_charges_are_used_once(self) -> None:
        for origin, found in self.state.consumptions.items():
            matched = found.covered_wh + self.coins.matched(_key(origin))
            assert found.matched_wh == matched <= found.wh
        rules = sorted(self.state.borders)
        for (*zones, start, duration), (*others, later, _) in pairwise(rules):
            assert zones != others or start + duration <= later
        for border, (capacity, used) in self.state.borders.items():
            assert used == self.coins.crossed(border) <= capacity == self.coins.borders[border]
        for meter, charges in self.state.charges.items():
            permille = self.state.devices[meter].storage_permille
            assert all(low.origin.end <= high.origin.start for low, high in pairwise(charges))
            assert self.state.open_charges.get(meter, []) == [
                place
                for place, found in enumerate(charges)
                if found.stored_wh * permille // 1_000 > found.drawn_wh
            ]
            for found in charges:
                key = _key(found.origin)
                assert found.stored_wh == self.coins.stored(key) <= found.wh
                links = [
                    link.wh
                    for issuance in self.state.issuances.values()
                    for link in issuance.links
                    if link.charge == found.origin
                ]
                assert found.drawn_wh == self.coins.drawn(key) == sum(links)
                assert found.drawn_wh <= found.stored_wh * permille // 1_000
                assert found.stored_wh == sum(
                    self.state.bundles[number].wh
                    for number, charge in self.state.stored.items()
                    if charge == found.origin
                )

    @invariant()
    def what_is_final_stays_as_it_is_and_lists_are_whole(self) -> None:
        bundles = self.state.bundles
        for number, bundle in self.over.items():
            assert bundles[number] == bundle
        self.over = {n: bundle for n, bundle in bundles.items() if bundle.status in FINAL}
        reserved = {n for n, bundle in bundles.items() if bundle.status is Status.RESERVED}
        assert set(self.state.reservations) == reserved
        out = {number for number in self.state.exports.values() if number is not None}
        assert out == {n for n, bundle in bundles.items() if bundle.status is Status.EXPORTED}
        assert {n: holder for holder, held in self.state.held.items() for n in held} == {
            n: bundle.holder for n, bundle in bundles.items()
        }

    def _do(self, actor: bytes, action: Action) -> bool:
        """Both books do it, or neither does and nothing has changed."""
        before = repr((self.state, self.book.entries, self.book.now))
        # The coins come first: what a bundle's number stands for may change with the action.
        expected = self.coins.does(action, actor.hex(), self.now)
        try:
            self.book.act(action, actor, self.now)
        except ActionRefused as refusal:
            done, why = False, str(refusal)
        else:
            done, why = True, "done"
        assert done == expected, why
        if not done:
            assert repr((self.state, self.book.entries, self.book.now)) == before
        event(f"{type(action).__name__} {'done' if expected else 'refused'}")
        if expected and isinstance(action, Issue) and action.stored:
            event("Issue with storage done")
        if expected and isinstance(action, Discharge) and action.given_wh < action.wh:
            event("Discharge with own use done")
        return expected

    def _piece(self, number: int) -> tuple[Key, int, int] | None:
        bundle = self.state.bundles.get(number)
        if bundle is None or bundle.status is Status.SPLIT:
            return None
        return _key(bundle.origin), bundle.first, bundle.end

    def _live(self, pick: int, holder: bytes | None = None) -> Bundle:
        """Mostly something that can still be used, now and then whatever there is."""
        return self._some(pick, Status.ACTIVE, holder=holder)

    def _some(self, pick: int, *statuses: Status, holder: bytes | None = None) -> Bundle:
        every = list(self.state.bundles.values())
        wanted = [
            bundle
            for bundle in every
            if bundle.status in statuses
            and holder in {None, bundle.holder}
            and bundle.origin.end + LIFETIME > self.now
        ]
        some = wanted if wanted and pick % 12 != 5 else every
        return some[-1 - pick % len(some)]

    def _pick(self, found: dict, pick: int) -> tuple:
        """One entry of a table; if it is empty, a consumption that there always is."""
        table = list((found or self.state.consumptions).items())
        return table[pick % len(table)]


def _key(origin: Origin) -> Key:
    return origin.meter.hex(), origin.start, origin.duration


def _proof(meter: str, kind: str) -> tuple[str, str]:
    """A meter's key, or who vouches for it; or what proves nothing."""
    mine = KEYS.get(meter, KEYS[ROOF])
    return {
        "key": (mine, ""), "voucher": ("", VOUCHER), "both": (mine, VOUCHER), "none": ("", ""),
        "another's": (next(key for key in KEYS.values() if key != mine), ""),
        "no point": ("00" * 64, ""),
    }[kind]  # fmt: skip


def _part(bundle: Bundle, part: str) -> int:
    some = (bundle.wh + 1) // 2
    return {"some": some, "one": 1, "all": bundle.wh, "too much": bundle.wh + 1, "none": 0}[part]


BookAgainstCoins.TestCase.settings = settings(
    max_examples=400 if SOAK else 100,
    stateful_step_count=50,
    deadline=None,
    derandomize=not SOAK,
    suppress_health_check=list(HealthCheck),
)
TestBookAgainstCoins = BookAgainstCoins.TestCase

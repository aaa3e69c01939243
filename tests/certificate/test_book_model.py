"""The book of certificates against a heap of coins, through whatever anybody may try."""

import os
from collections import Counter
from itertools import pairwise

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from certificate.coins import Coins, Key
from commonwatt.certificate.actions import (
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
    Issue,
    Reinstate,
    Release,
    Reserve,
    Restore,
    Retire,
    Revoke,
    Store,
    Take,
    Transfer,
    Withdraw,
)
from commonwatt.certificate.book import Book
from commonwatt.certificate.bundle import FINAL, Bundle, Origin, Status
from commonwatt.certificate.context import Scheme
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.certificate.state import require_conserved

SOAK = bool(os.environ.get("COMMONWATT_SOAK"))
ISSUER, PRODUCER, NEIGHBOUR, BUYER, OPERATOR, FORGER = (bytes([n] * 20) for n in range(1, 7))
ROOF, TURBINE, BATTERY, CELLAR, KITCHEN, SHOP = (bytes([160 + n] * 20).hex() for n in range(6))
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
METERS = st.sampled_from((ROOF, ROOF, TURBINE, BATTERY, CELLAR))
GENERATORS = st.sampled_from((*[ROOF, TURBINE] * 9, BATTERY, KITCHEN))
BATTERIES = st.sampled_from((*[BATTERY] * 12, CELLAR, ROOF))
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
        self._do(ISSUER, Admit(ROOF, PRODUCER.hex(), 1, RATED_W, "KR", NOON))
        self._do(ISSUER, Admit(TURBINE, NEIGHBOUR.hex(), 2, RATED_W, "JP", NOON))
        self._do(ISSUER, Admit(BATTERY, PRODUCER.hex(), 0, RATED_W, "KR", NOON, "", 900))
        self._do(ISSUER, Issue(ROOF, NOON, QUARTER, 60, 10, 45, digest(50)))
        self._do(ISSUER, Issue(TURBINE, NOON, QUARTER, 62, 0, 62, digest(51)))
        self._do(ISSUER, Consume(KITCHEN, NOON, HOUR, 50, "KR", NEIGHBOUR.hex()))
        self._do(ISSUER, Border("JP", "KR", NOON, HOUR, 40))
        self._do(ISSUER, Charge(BATTERY, NOON, HOUR, 50))

    @rule(
        actor=MOSTLY_ISSUER, meter=METERS, owner=ACCOUNTS, permille=st.sampled_from((0, 500)),
        source=st.integers(0, 1),
    )  # fmt: skip
    def admit(self, actor: bytes, meter: str, owner: bytes, permille: int, source: int) -> None:
        self._do(actor, Admit(meter, owner.hex(), source, RATED_W, "KR", NOON, "", permille))

    @rule(actor=MOSTLY_ISSUER, meter=METERS, hours=st.sampled_from((1, 2, 7, 30)))
    def close(self, actor: bytes, meter: str, hours: int) -> None:
        self._do(actor, Close(meter, NOON + hours * HOUR))

    @rule(
        actor=MOSTLY_ISSUER, meter=GENERATORS, start=STARTS, duration=LENGTHS, made=AMOUNTS,
        used=st.sampled_from((0, 0, 0, 1, 20, -1)), less=st.sampled_from((0, 0, 0, 1, -1)),
    )  # fmt: skip
    def issue(self, actor: bytes, meter: str, start: int, duration: int, made: int, used: int,
              less: int) -> None:  # fmt: skip
        self.records += 1
        free = made - used - less
        self._do(actor, Issue(meter, start, duration, made, used, free, digest(self.records)))

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
    )  # fmt: skip
    def consume(self, actor: bytes, meter: str, start: int, duration: int, wh: int, zone: str,
                owner: bytes) -> None:  # fmt: skip
        self._do(actor, Consume(meter, start, duration, wh, zone, owner.hex()))

    @rule(actor=MOSTLY_ISSUER, pick=PICKS, reason=REASONS, known=st.sampled_from((*[1] * 15, 0)))
    def revoke(self, actor: bytes, pick: int, reason: str, known: int) -> None:
        origin, _ = self._pick(self.state.consumptions, pick)
        meter = origin.meter.hex() if known else SHOP
        self._do(actor, Revoke(meter, origin.start, origin.duration, reason))

    @rule(
        actor=MOSTLY_ISSUER, zones=st.sampled_from(("KR JP", "JP KR", "KR KR")), pick=PICKS,
        wh=AMOUNTS,
    )  # fmt: skip
    def border(self, actor: bytes, zones: str, pick: int, wh: int) -> None:
        origin, _ = self._pick(self.state.consumptions, pick)
        self._do(actor, Border(*zones.split(), origin.start, origin.duration, wh))

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
    )  # fmt: skip
    def discharge(self, actor: bytes, meter: str, start: int, duration: int, wh: int) -> None:
        self.records += 1
        self._do(actor, Discharge(meter, start, duration, wh, digest(self.records)))

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
            self._do(ISSUER, Discharge(BATTERY, at, QUARTER, wh, digest(record)))

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
            figures = (said.metered, said.retired, said.free, said.withheld, said.owed)
            assert figures == (
                issuance.metered_wh, issuance.retired_wh, issuance.free_wh, issuance.withheld_wh,
                issuance.owed_wh,
            )  # fmt: skip
            assert issuance.record.hex() == said.record
            status = Counter(status for _, status in coins)
            # R1: no more out than was metered and is owed; every unit has one fate.
            assert len(coins) - status["withdrawn"] <= issuance.metered_wh + issuance.owed_wh
            assert sum(status[fate.value] for fate in Status) == issuance.issued_wh

    @invariant()
    def a_devices_debt_is_what_its_intervals_owe_less_what_was_withheld(self) -> None:
        for meter, device in self.state.devices.items():
            mine = [
                found for origin, found in self.state.issuances.items() if origin.meter == meter
            ]
            owed = sum(found.owed_wh for found in mine) - sum(found.withheld_wh for found in mine)
            assert device.debt_wh == owed == self.coins.plants[meter.hex()].debt >= 0
            out = sum(
                part.wh
                for found in mine
                for part in self.state.parts_of(found.origin)
                if part.status is not Status.WITHDRAWN
            )
            assert out <= sum(found.retired_wh + found.free_wh for found in mine) + device.debt_wh

    @invariant()
    def consumption_borders_and_charges_are_used_once(self) -> None:
        for origin, found in self.state.consumptions.items():
            assert found.matched_wh == self.coins.matched(_key(origin)) <= found.wh
        for border, (capacity, used) in self.state.borders.items():
            assert used == self.coins.crossed(border) <= capacity == self.coins.borders[border]
        for meter, charges in self.state.charges.items():
            permille = self.state.devices[meter].storage_permille
            assert all(low.origin.end <= high.origin.start for low, high in pairwise(charges))
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


def _part(bundle: Bundle, part: str) -> int:
    some = (bundle.wh + 1) // 2
    return {"some": some, "one": 1, "all": bundle.wh, "too much": bundle.wh + 1, "none": 0}[part]


BookAgainstCoins.TestCase.settings = settings(
    max_examples=400 if SOAK else 60,
    stateful_step_count=50,
    deadline=None,
    derandomize=not SOAK,
    suppress_health_check=list(HealthCheck),
)
TestBookAgainstCoins = BookAgainstCoins.TestCase

"""What the book takes over is what was stated, and it never refuses any of it."""

from hypothesis import given
from hypothesis import strategies as st

from commonwatt.certificate.actions import Admit, Charge, Consume, Discharge, Issue, Put
from commonwatt.certificate.book import Book
from commonwatt.certificate.bundle import Origin, Status
from commonwatt.certificate.context import Scheme
from commonwatt.certificate.state import require_conserved
from commonwatt.meter.record import Quality
from commonwatt.statement.booked import admissions, devices_of, entries
from effort import effort
from street import ISSUER, LIFETIME_S, Street

PERMILLE = 900


def kept(street: Street, *roofs: int) -> dict[bytes, int]:
    """Generators that are kept in the book; all unless some are named."""
    chosen = roofs or range(len(street.solar))
    return {street.solar[n].key.meter: street.start.start for n in chosen}


class Registry:
    """A book that takes over what a street states."""

    def __init__(self, street: Street, *roofs: int) -> None:
        self.street = street
        self.book = Book(Scheme(ISSUER, LIFETIME_S))
        self.devices = devices_of(street.community, kept(street, *roofs))
        for action in admissions(street.community, self.devices):
            self.book.act(action, ISSUER, street.start.start)

    def close(self, batch) -> list[object]:
        """Close an interval and take it over; returns the entries."""
        statement = self.street.close(batch)
        found = list(
            entries(self.street.community, self.street.last_inputs, statement, self.devices)
        )
        for action in found:
            self.book.act(action, ISSUER, statement.header.start + 960)
        return found


def sunny(**options: int) -> Street:
    usual = {"members": 2, "producers": 1, "batteries": 1, "storage_permille": PERMILLE}
    return Street(**(usual | options))


def test_noon_and_evening_are_entered_in_the_order_that_the_book_needs() -> None:
    registry = Registry(street := sunny())
    roof, store = street.solar[0].key.meter.hex(), street.stores[0].key.meter.hex()
    batch = street.measure([0, 300], [600, 0], made=[1_000], stored=[400])
    start, accounts = street.interval.start, [a.hex() for a in street.community.accounts]
    record = batch[2].digest.hex()
    zone, neighbour = "DE-LU", street.grid[1].key.meter.hex()
    assert registry.close(batch) == [
        Charge(store, start, 900, 400),
        Issue(roof, start, 900, 1_000, 300, 300, record, (Put(store, 400),)),
        Consume(neighbour, start, 900, 300, zone, accounts[1], covered_wh=300),
    ]
    batch = street.measure([0, 500], [200, 0], made=[0], stored=[-260])
    later = start + 900
    assert registry.close(batch) == [
        Discharge(store, later, 900, 260, 200, 200, batch[3].digest.hex()),
        Consume(neighbour, later, 900, 500, zone, accounts[1], covered_wh=200),
    ]
    state = registry.book.state
    issued = state.issuances[Origin(bytes.fromhex(store), later, 900)]
    assert (issued.issued_wh, issued.retired_wh, issued.own_wh) == (200, 200, 60)


def test_admissions_say_what_the_register_says() -> None:
    street = sunny()
    found = list(admissions(street.community, devices_of(street.community, kept(street))))
    roof, store = street.community.registrations[2:]
    owner, start = street.community.accounts[0].hex(), street.start.start
    assert found == [
        Admit(
            roof.meter.hex(), owner, roof.source, 30_000, "DE-LU", start,
            key=roof.public_key.hex(), commissioned="2016-06-21",
        ),
        Admit(
            store.meter.hex(), owner, 0, 30_000, "DE-LU", start, storage_permille=PERMILLE,
            key=store.public_key.hex(), commissioned="2016-06-21",
        ),
    ]  # fmt: skip


def test_a_battery_is_a_device_only_where_all_roofs_of_its_home_are_kept() -> None:
    street = sunny(roofs=2)
    store = street.stores[0].key.meter
    assert store in devices_of(street.community, kept(street))
    assert store not in devices_of(street.community, kept(street, 1))
    unpublished = sunny(storage_permille=0)
    assert list(devices_of(unpublished.community, kept(unpublished))) == [
        unpublished.solar[0].key.meter
    ]


def test_what_came_out_of_a_battery_in_a_long_silence_is_drawn_in_the_book_too() -> None:
    registry = Registry(street := sunny())
    registry.close(street.measure([0, 0], [600, 0], made=[9_000], stored=[8_400]))
    for _ in range(3):
        registry.close(street.measure([0, 0], [0, 0], made=[0], stored=[-4_000])[:3])
    batch = street.measure([0, 0], [0, 0], made=[0], stored=[-4_000])
    start, lump = street.interval.start, batch[3]
    assert registry.close(batch) == [
        Discharge(lump.record[12:32].hex(), start, 900, 16_000, 0, 0, lump.digest.hex())
    ]
    after = registry.close(street.measure([0, 0], [100, 0], made=[0], stored=[-100]))
    issued = registry.book.state.issuances[Origin(lump.record[12:32], start + 900, 900)]
    assert [a.given_wh for a in after if isinstance(a, Discharge)] == [100]
    assert issued.issued_wh == 0


def test_units_of_a_roof_that_claims_tokens_never_enter_the_book() -> None:
    registry = Registry(street := sunny(producers=2, batteries=0, members=2), 1)
    found = registry.close(street.measure([0, 0], [500, 400], made=[500, 400]))
    assert [action.meter for action in found] == [street.solar[1].key.meter.hex()]


def test_what_went_into_a_battery_outside_the_book_is_told_nowhere() -> None:
    registry = Registry(street := sunny(roofs=2), 0)
    found = registry.close(street.measure([0, 0], [0, 0], made=[300, 100], stored=[400]))
    assert found == []


def test_consumption_that_no_sound_record_of_the_interval_shows_is_not_entered() -> None:
    registry = Registry(street := Street(members=3, producers=0))
    batch = street.measure([100, 200, 300], [0, 0, 0])
    [first] = [a for a in registry.close(batch[:1]) if isinstance(a, Consume)]
    assert first.wh == 100
    end = street.interval.end
    guessed = street.grid[0].measure(end, 50_000, quality=Quality.ESTIMATED)
    lump = street.grid[1].measure(end, 70_000)
    assert registry.close([guessed, lump]) == []


amounts = st.one_of(st.just(0), st.integers(0, 40), st.integers(0, 3_000))
intervals = st.lists(
    st.tuples(
        st.lists(amounts, min_size=3, max_size=3),
        st.lists(amounts, min_size=3, max_size=3),
        st.lists(amounts, min_size=4, max_size=4),
        st.lists(st.integers(-3_000, 3_000), min_size=2, max_size=2),
        st.lists(st.integers(0, 8), max_size=2),
    ),
    min_size=1,
    max_size=8,
)
some_roofs = st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True)


@given(intervals, st.integers(1, 1_000), some_roofs)
@effort(2)
def test_the_book_refuses_nothing_of_it_and_comes_to_the_same_units(days, permille, roofs) -> None:
    street = Street(
        members=3, producers=2, roofs=2, batteries=2, storage_permille=permille, balance=10**12
    )
    registry = Registry(street, *roofs)
    state = registry.book.state
    for taken, given_back, made, stored, lost in days:
        batch = street.measure(taken, given_back, made, stored)
        start = street.interval.start
        statement_entries = registry.close([s for n, s in enumerate(batch) if n not in lost])
        for origin in state.issuances:
            require_conserved(state, origin)
        for action in statement_entries:
            if isinstance(action, Discharge):
                origin = Origin(bytes.fromhex(action.meter), start, 900)
                assert state.issuances[origin].retired_wh == action.retired_wh
    _require_same_units(registry)


def _require_same_units(registry: Registry) -> None:
    """The book's free units of each device and interval are those of the last statement."""
    leaves = {}
    for certificate in registry.street.last_statement.certified.certificates:
        if certificate.meter in registry.devices:
            leaves[certificate.meter] = certificate
    start = registry.street.last_statement.header.start
    for meter, certificate in leaves.items():
        issuance = registry.book.state.issuances.get(Origin(meter, start, 900))
        if issuance is None:
            assert certificate.free_wh == certificate.retired_wh == 0
            continue
        active = sum(
            bundle.wh
            for bundle in registry.book.state.parts_of(issuance.origin)
            if bundle.status is Status.ACTIVE
        )
        assert active == certificate.free_wh
        assert issuance.retired_wh == certificate.retired_wh
        assert issuance.record == certificate.proof


def test_records_of_a_home_that_come_late_together_bring_certificates_and_consumption() -> None:
    registry = Registry(street := sunny(batteries=0))
    start, roof = street.interval.start, street.solar[0].key.meter.hex()
    lost = street.measure([0, 300], [600, 0], made=[1_000])
    assert registry.close([]) == []
    more = street.measure([0, 100], [50, 0], made=[80])
    owner, buyer = street.community.accounts[0].hex(), street.community.accounts[1].hex()
    found = registry.close([*lost, *more])
    issued = {a.start: a for a in found if isinstance(a, Issue)}
    record = lost[2].digest.hex()
    assert issued[start] == Issue(roof, start, 900, 1_000, retired_wh=0, free_wh=600, record=record)
    assert issued[start + 900].retired_wh == 50
    used = [(a.start, a.owner, a.wh, a.covered_wh) for a in found if isinstance(a, Consume)]
    assert used == [(start + 900, buyer, 100, 50), (start, buyer, 300, 0)]
    [one, two, three] = street.last_statement.adjustments
    assert sorted((a.member, a.issued_wh) for a in (one, two, three)) == [(0, 0), (0, 600), (1, 0)]
    held = [b.wh for b in registry.book.state.bundles.values() if b.holder.hex() == owner]
    assert 600 in held


def test_late_records_that_do_not_tell_what_left_the_home_bring_no_certificates() -> None:
    def issued(street: Street, late: list, before: list = ()) -> int:
        street.close(before)
        street.close(late)
        return sum(adjustment.issued_wh for adjustment in street.last_statement.adjustments)

    street = sunny(batteries=0)
    whole = street.measure([0, 0], [600, 0], made=[1_000])
    assert issued(street, whole) == 600
    street = sunny(batteries=0)
    grid, _, roof = street.measure([0, 0], [600, 0], made=[1_000])
    assert issued(street, [roof], [grid]) == 0
    street = sunny(batteries=0)
    grid, _, roof = street.measure([0, 0], [600, 0], made=[1_000])
    assert issued(street, [grid], [roof]) == 0
    street = sunny(batteries=0)
    street.grid[0].measure(street.start.start + 1)
    assert issued(street, street.measure([0, 0], [600, 0], made=[1_000])) == 0
    street = sunny(batteries=1)
    assert issued(street, street.measure([0, 0], [600, 0], made=[1_000], stored=[0])) == 0


@given(st.randoms(use_true_random=False))
@effort(0.3)
def test_whatever_comes_late_the_book_takes_over_and_no_unit_is_issued_twice(chance) -> None:
    registry = Registry(street := Street(members=3, producers=2, roofs=1, batteries=0))
    waiting = []
    for index in range(6):
        made = [chance.randrange(2_000), chance.randrange(2_000)]
        given = [chance.randrange(made[0] + 1), chance.randrange(made[1] + 1), 0]
        taken = [chance.randrange(300) for _ in range(3)]
        # A home's gateway is cut off, or one meter alone.
        cut = [chance.choice((0, 0, 1, 2, 9)) for _ in range(3)]
        for signed in street.measure(taken, given, made):
            member = street.community.by_meter[signed.record[12:32]].member
            alone = chance.choice((0, 0, 0, 0, 1))
            waiting.append((index + cut[member] + alone, signed))
        registry.close([signed for due, signed in waiting if due == index])
        for origin in registry.book.state.issuances:
            require_conserved(registry.book.state, origin)
    metered: dict[bytes, int] = {}
    for origin, issuance in registry.book.state.issuances.items():
        metered[origin.meter] = metered.get(origin.meter, 0) + issuance.issued_wh
    for meter in street.solar:
        assert metered.get(meter.key.meter, 0) <= (meter.export_mwh - 1_234_567) // 1_000

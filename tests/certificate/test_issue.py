"""Certificates: issued once for what was made and given, retired once for who bought it."""

import struct
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.certificate.issue import (
    CERTIFICATE_LEAF_BYTES,
    Certificate,
    CertificateLeaf,
    Certified,
    certify,
)
from commonwatt.errors import InvariantBroken
from commonwatt.meter.record import Kind, Quality, SignedRecord
from commonwatt.meter.registration import NO_SOURCE, Role
from commonwatt.settlement.account import Position
from commonwatt.statement.close import Statement, close
from effort import effort
from street import Street

PRODUCER, NEIGHBOUR = 0, 1
amounts = st.one_of(st.just(0), st.integers(0, 40), st.integers(0, 5_000))


def certified(street: Street, batch: list[SignedRecord]) -> Certified:
    return street.close(batch).certified


def one_roof(**options: int) -> Street:
    return Street(members=2, producers=1, **options)


def test_what_the_roof_gave_to_a_neighbour_is_retired_and_the_rest_is_free() -> None:
    street = one_roof()
    found = certified(street, street.measure([0, 300], [1_000, 0], made=[1_400]))
    (certificate,) = found.certificates
    assert certificate.meter == street.solar[0].key.meter
    assert (certificate.issued_wh, certificate.retired_wh, certificate.free_wh) == (1_000, 300, 700)
    assert found.green_wh == (0, 300)


def test_a_certificate_names_the_generators_record() -> None:
    street = one_roof()
    batch = street.measure([0, 0], [1_000, 0], made=[1_000])
    (certificate,) = certified(street, batch).certificates
    assert certificate.proof == batch[2].digest


def test_no_more_is_issued_than_was_made_nor_than_was_given() -> None:
    street = one_roof()
    made_less = certified(street, street.measure([0, 0], [1_000, 0], made=[600]))
    assert [c.issued_wh for c in made_less.certificates] == [600]
    gave_less = certified(street, street.measure([0, 0], [400, 0], made=[600]))
    assert [c.issued_wh for c in gave_less.certificates] == [400]


def test_what_was_taken_in_the_same_interval_is_not_given() -> None:
    street = one_roof()
    found = certified(street, street.measure([250, 0], [1_000, 0], made=[1_000]))
    assert [c.issued_wh for c in found.certificates] == [750]


def test_energy_out_of_a_battery_gets_no_certificate() -> None:
    street = one_roof(batteries=1)
    batch = street.measure([0, 0], [1_000, 0], made=[900], stored=[-400])
    assert [c.issued_wh for c in certified(street, batch).certificates] == [600]
    night = street.measure([0, 500], [800, 0], made=[0], stored=[-800])
    found = certified(street, night)
    assert (found.certificates, found.green_wh) == ((), (0, 0))


def test_charging_a_battery_costs_no_certificate_for_what_was_given() -> None:
    street = one_roof(batteries=1)
    batch = street.measure([0, 0], [500, 0], made=[900], stored=[400])
    assert [c.issued_wh for c in certified(street, batch).certificates] == [500]


def test_while_a_battery_is_silent_nothing_is_issued_to_its_owner() -> None:
    street = Street(members=2, producers=2, batteries=1)
    batch = street.measure([0, 0], [1_000, 700], made=[1_000, 700])
    found = certified(street, batch)
    assert [(c.member, c.issued_wh) for c in found.certificates] == [(1, 700)]


def test_a_battery_that_speaks_again_has_given_all_it_gave_meanwhile() -> None:
    street = one_roof(batteries=1)
    street.close(street.measure([0, 0], [500, 0], made=[500], stored=[-300])[:3])
    batch = street.measure([0, 0], [500, 0], made=[500], stored=[-100])
    assert [c.issued_wh for c in certified(street, batch).certificates] == [100]


def test_a_roof_with_a_gap_gets_none_and_the_next_interval_is_whole_again() -> None:
    street = one_roof()
    street.close(street.measure([0, 0], [0, 0], made=[500])[:2])
    lump = street.measure([0, 0], [900, 0], made=[900])
    assert certified(street, lump).certificates == ()
    after = street.measure([0, 0], [900, 0], made=[900])
    assert [c.issued_wh for c in certified(street, after).certificates] == [900]


def test_a_grid_meter_with_a_gap_gets_none_either() -> None:
    street = one_roof()
    _, *others = street.measure([0, 0], [500, 0], made=[500])
    street.close(others)
    assert certified(street, street.measure([0, 0], [500, 0], made=[500])).certificates == ()


def test_a_silent_grid_meter_gave_nothing_that_could_be_certified() -> None:
    street = one_roof()
    assert certified(street, street.measure([0, 0], [500, 0], made=[500])[1:]).certificates == ()


SOUND = [
    Quality.MEASURED,
    Quality.CALCULATED,
    Quality.MEASURED | Quality.VOUCHED,
    Quality.MEASURED | Quality.CLOCK_NOT_SYNCHRONISED,
    Quality.CALCULATED | Quality.MANUAL,
]
UNSOUND = [
    Quality(0),
    Quality.ESTIMATED,
    Quality.MEASURED | Quality.ESTIMATED,
    Quality.MEASURED | Quality.SUBSTITUTED,
    Quality.CALCULATED | Quality.METER_ERROR,
    Quality.VOUCHED,
    Quality.MANUAL,
]


def roof_says(street: Street, **changes: int) -> list[SignedRecord]:
    batch = street.measure([0, 0], [500, 0])
    return [*batch, street.solar[0].measure(street.interval.end, 0, 500_000, **changes)]


@pytest.mark.parametrize("quality", SOUND, ids=repr)
def test_a_measured_or_calculated_reading_is_certified(quality: Quality) -> None:
    street = one_roof()
    found = certified(street, roof_says(street, quality=quality))
    assert [c.issued_wh for c in found.certificates] == [500]


@pytest.mark.parametrize("quality", UNSOUND, ids=repr)
def test_an_estimated_or_faulty_reading_is_settled_and_not_certified(quality: Quality) -> None:
    street = one_roof()
    statement = street.close(roof_says(street, quality=quality))
    assert statement.certified.certificates == ()
    assert statement.header.exported_wh == 500


@pytest.mark.parametrize(
    ("kind", "issued"), [(Kind.REGISTERS, 1), (Kind.INTERVAL_ONLY, 1), (Kind.SUBSTITUTED, 0)]
)
def test_a_substituted_record_proves_no_production(kind: Kind, issued: int) -> None:
    street = one_roof()
    assert len(certified(street, roof_says(street, kind=kind)).certificates) == issued


@pytest.mark.parametrize("quality", UNSOUND, ids=repr)
def test_what_an_estimated_grid_meter_gave_is_not_certified(quality: Quality) -> None:
    street = one_roof()
    end = street.interval.end
    batch = [
        street.grid[0].measure(end, 0, 500_000, quality=quality),
        street.grid[1].measure(end, 300_000),
        street.solar[0].measure(end, 0, 600_000),
    ]
    statement = street.close(batch)
    assert statement.certified.certificates == ()
    assert statement.header.local_wh == 300


@pytest.mark.parametrize(("made_mwh", "issued"), [(1_562_432, [1_562]), (1_562_433, [])])
def test_no_more_is_issued_than_a_claim_on_the_chain_would_find_possible(
    made_mwh: int, issued: list[int]
) -> None:
    """5 kW give 1,562.5 Wh at most, which a meter may round up to 1,563 and a contract may not."""
    street = one_roof()
    meters = street.community.registrations
    weak = replace(meters[-1], rated_w=5_000)
    street.found(replace(street.community, registrations=(*meters[:-1], weak)))
    end = street.interval.end
    batch = [
        street.grid[0].measure(end, 0, 2_000_000),
        street.solar[0].measure(end, 0, made_mwh),
    ]
    assert [c.issued_wh for c in certified(street, batch).certificates] == issued


@pytest.mark.parametrize("change", [{"direct": True}, {"source": NO_SOURCE}], ids=str)
def test_a_meter_that_certifies_elsewhere_or_has_no_source_gets_none_here(change: dict) -> None:
    street = one_roof()
    meters = street.community.registrations
    changed = (*meters[:-1], replace(meters[-1], **change))
    community = replace(street.community, registrations=changed)
    inputs = street.inputs(street.measure([0, 0], [500, 0], made=[500]))
    statement, _ = close(community, street.constitution, street.state, inputs)
    assert statement.certified.certificates == ()


def test_several_roofs_share_exactly_what_their_house_gave() -> None:
    street = one_roof(roofs=3)
    found = certified(street, street.measure([0, 100], [1_000, 0], made=[700, 0, 500]))
    by_meter = {c.meter: c for c in found.certificates}
    assert len(by_meter) == 2
    first, second = by_meter[street.solar[0].key.meter], by_meter[street.solar[2].key.meter]
    assert (first.issued_wh, second.issued_wh) == (583, 417)
    assert (first.retired_wh, second.retired_wh) == (58, 42)


def test_certificates_stand_in_the_order_of_meters() -> None:
    """Of meters, not of members: each house has roofs at both ends of the list."""
    street = Street(members=3, producers=3, roofs=3)
    found = certified(street, street.measure([0] * 3, [300] * 3, made=[100] * 9))
    meters = [certificate.meter for certificate in found.certificates]
    assert meters == sorted(meters)
    assert len(meters) == 9
    members = [certificate.member for certificate in found.certificates]
    assert members != sorted(members)


flows = st.lists(
    st.tuples(amounts, amounts, amounts, st.integers(-3_000, 3_000)), min_size=4, max_size=4
)


@given(flows, st.lists(amounts, min_size=6, max_size=6), st.lists(st.integers(0, 14), max_size=3))
@effort(1.5)
def test_no_unit_is_there_twice_or_without_energy_behind_it(flows, made, lost) -> None:
    street = Street(members=4, producers=3, roofs=2, batteries=2)
    taken, given_back, _, stored = zip(*flows, strict=True)
    batch = street.measure(taken, given_back, made, stored)
    batch = [signed for index, signed in enumerate(batch) if index not in lost]
    statement = street.close(batch)
    output = {meter.key.meter: wh for meter, wh in zip(street.solar, made, strict=True)}
    issued = [0] * 4
    for certificate in statement.certified.certificates:
        assert certificate.issued_wh == certificate.retired_wh + certificate.free_wh
        assert certificate.retired_wh >= 0
        assert certificate.free_wh >= 0
        assert 0 < certificate.issued_wh <= output[certificate.meter]
        issued[certificate.member] += certificate.issued_wh
    for position in statement.settled.positions:
        member = position.member
        given_on = position.sold_local_wh + position.sold_supplier_wh
        discharged = max(-stored[member], 0) if member < 2 else 0
        assert issued[member] <= max(given_on - discharged, 0)
        assert statement.certified.green_wh[member] <= position.bought_local_wh
    retired = sum(certificate.retired_wh for certificate in statement.certified.certificates)
    assert sum(statement.certified.green_wh) == retired
    header = statement.header
    assert header.issued_wh == header.retired_wh + header.free_wh == sum(issued)
    assert header.retired_wh == retired


@given(st.lists(st.integers(1, 3_000), min_size=2, max_size=4), st.integers(1, 5_000))
def test_several_roofs_are_issued_their_share_to_the_watt_hour(made: list[int], gave: int) -> None:
    street = one_roof(roofs=len(made))
    found = certified(street, street.measure([0, 0], [gave, 0], made=made))
    units = {certificate.meter: certificate.issued_wh for certificate in found.certificates}
    total = min(gave, sum(made))
    assert sum(units.values()) == total
    for roof, wh in zip(street.solar, made, strict=True):
        exact = Fraction(total * wh, sum(made))
        assert abs(units.get(roof.key.meter, 0) - exact) < 1


@given(st.lists(st.integers(0, 900), min_size=3, max_size=3), st.integers(0, 2_000))
def test_green_energy_is_dealt_in_proportion_to_what_was_bought(needs, made) -> None:
    street = Street(members=4, producers=1)
    found = street.close(street.measure([0, *needs], [2_000, 0, 0, 0], made=[made]))
    bought = [position.bought_local_wh for position in found.settled.positions]
    green = found.certified.green_wh
    assert sum(green) == min(made, sum(bought))
    for wh, units in zip(bought, green, strict=True):
        assert units <= wh
        if sum(bought):
            assert abs(units - Fraction(sum(green) * wh, sum(bought))) < 1


def test_a_leaf_is_laid_out_to_the_byte() -> None:
    certificate = Certificate(bytes(range(20)), 5, 1_000, 300, 700, b"d" * 32)
    expected = bytes(range(20)) + struct.pack(">QQQ", 1_000, 300, 700) + b"d" * 32
    assert certificate.encode() == expected
    assert len(expected) == CERTIFICATE_LEAF_BYTES == 76
    assert CertificateLeaf.decode(expected) == (bytes(range(20)), 1_000, 300, 700, b"d" * 32)
    with pytest.raises(struct.error):
        CertificateLeaf.decode(expected[:-1])


@pytest.fixture
def noon() -> tuple[Street, list[SignedRecord]]:
    street = one_roof()
    return street, street.measure([0, 300], [1_000, 0], made=[1_400])


def positions_with(statement: Statement, **changes: int) -> tuple[Position, ...]:
    producer, neighbour = statement.settled.positions
    return replace(producer, **changes), neighbour


def test_issuing_is_not_believed_but_checked(noon) -> None:
    street, batch = noon
    inputs = street.inputs(batch)
    statement = street.close(batch)
    positions = positions_with(statement, exported_wh=900)
    with pytest.raises(InvariantBroken, match="issued within export"):
        certify(inputs.accepted, street.community.by_meter, positions)
    positions = positions_with(statement, sold_local_wh=400, sold_supplier_wh=600)
    with pytest.raises(InvariantBroken, match="green within bought"):
        certify(inputs.accepted, street.community.by_meter, positions)


def test_roles_other_than_generation_are_never_certified(noon) -> None:
    street, batch = noon
    grid = street.grid[0].key.meter
    assert street.community.by_meter[grid].role is Role.GRID
    meters = {certificate.meter for certificate in certified(street, batch).certificates}
    assert meters == {street.solar[0].key.meter}

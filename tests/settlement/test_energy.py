"""Net energy: from what meters counted to what members took and gave."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.acceptance import Accepted
from commonwatt.settlement.energy import MemberEnergy, net_energy
from street import Street


def energies(street: Street, batch) -> list[MemberEnergy]:
    inputs = street.inputs(batch)
    return net_energy(len(street.community.accounts), inputs.accepted, street.community.by_meter)


def test_only_the_grid_meter_says_what_a_member_took_and_gave() -> None:
    street = Street(members=2, producers=1, batteries=1)
    batch = street.measure([100, 30], [40, 0], made=[900], stored=[-300])
    producer, neighbour = energies(street, batch)
    assert (producer.imported_wh, producer.exported_wh) == (100, 40)
    assert (neighbour.imported_wh, neighbour.exported_wh) == (30, 0)
    assert not producer.silent
    assert not neighbour.gap


def test_what_is_taken_and_given_back_in_one_interval_is_own_use() -> None:
    street = Street(members=2, producers=1)
    producer, neighbour = energies(street, street.measure([100, 0], [40, 70]))
    assert (producer.own_wh, producer.need_wh, producer.offer_wh) == (40, 60, 0)
    assert (neighbour.own_wh, neighbour.need_wh, neighbour.offer_wh) == (0, 0, 70)


def test_who_says_nothing_took_nothing_and_is_named_silent() -> None:
    street = Street(members=2, producers=1)
    producer, neighbour = energies(street, street.measure([100, 50], [0, 0])[:1])
    assert not producer.silent
    assert neighbour == MemberEnergy(silent=True)


def test_a_speaking_roof_does_not_make_up_for_a_silent_grid_meter() -> None:
    street = Street(members=1, producers=1)
    (producer,) = energies(street, street.measure([100], [0], made=[50])[1:])
    assert producer.silent


def test_energy_after_a_gap_is_nobodys_to_trade() -> None:
    street = Street(members=1, producers=0)
    street.measure([500], [100])
    street.close([])
    (member,) = energies(street, street.measure([250], [40]))
    assert member.gap
    assert (member.imported_wh, member.exported_wh) == (750, 140)
    assert (member.own_wh, member.need_wh, member.offer_wh) == (0, 0, 0)


amounts = st.integers(0, 5_000)


@given(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=5))
def test_need_own_use_and_offer_add_up(flows: list[tuple[int, int]]) -> None:
    for taken, given_back in flows:
        member = MemberEnergy(taken, given_back)
        assert member.own_wh + member.need_wh == taken
        assert member.own_wh + member.offer_wh == given_back
        assert 0 in (member.need_wh, member.offer_wh)


@pytest.mark.parametrize("order", [1, -1])
def test_several_grid_meters_of_a_member_are_added(order: int) -> None:
    """Seen from the function: the street itself has one each, so a verdict is counted twice."""
    street = Street(members=1, producers=0)
    (verdict,) = street.inputs(street.measure([100], [30])).accepted
    later: Accepted = verdict._replace(gap=True)
    (member,) = net_energy(1, [verdict, later][::order], street.community.by_meter)
    assert (member.imported_wh, member.exported_wh) == (200, 60)
    assert (member.lump_import_wh, member.lump_export_wh) == (100, 30)
    assert (member.own_wh, member.need_wh, member.offer_wh) == (30, 70, 0)

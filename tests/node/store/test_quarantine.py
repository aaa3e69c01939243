"""Refused records wait for the operator; each decision is a line of a log that only grows."""

import pytest

from commonwatt.meter.acceptance import Reason, Refused
from commonwatt.node.store import Decision, Quarantine, Ruling, Store, Undecidable
from commonwatt.node.store.quarantine import PASSING
from node.store.rows import MILL, NOON, QUARTER, STREET, accepted, refused, signed


@pytest.fixture
def quarantine(store: Store) -> Quarantine:
    database = store.database(STREET)
    database.acknowledge(NOON, [], [refused(number, NOON) for number in range(3)])
    database.acknowledge(NOON + QUARTER, [], [refused(3, NOON + QUARTER)])
    return store.quarantine(STREET)


def numbers(page: list) -> list[int]:
    return [found.number for found in page]


def test_what_is_refused_waits_with_its_reason(quarantine: Quarantine) -> None:
    assert numbers(quarantine.waiting()) == [1, 2, 3, 4]
    assert numbers(quarantine.waiting(after=1, limit=2)) == [2, 3]
    first = quarantine.find(1)
    assert first is not None
    assert (first.start, first.signed, first.reason) == (NOON, *refused(0, NOON))
    assert (first.decision, first.readmitted) == (None, None)
    assert quarantine.find(5) is None


def test_a_decision_says_who_when_and_why(quarantine: Quarantine) -> None:
    said = quarantine.decide(2, Ruling.REJECTED, "operator", "the meter was upside down")
    assert isinstance(said, Decision)
    assert (said.refusal, said.ruling, said.by) == (2, Ruling.REJECTED, "operator")
    assert said.remark == "the meter was upside down"
    assert said.at_ms > 1_700_000_000_000
    assert quarantine.decisions() == [said]
    assert numbers(quarantine.waiting()) == [1, 3, 4]
    assert quarantine.released() == []
    assert numbers(quarantine.all()) == [1, 2, 3, 4]
    found = quarantine.find(2)
    assert found is not None
    assert found.decision == said


def test_a_second_thought_is_a_second_line_and_counts(quarantine: Quarantine) -> None:
    first = quarantine.decide(1, Ruling.REJECTED, "operator")
    second = quarantine.decide(1, Ruling.RELEASED, "chair", "photo of the display seen")
    third = quarantine.decide(4, Ruling.RELEASED, "operator")
    assert quarantine.decisions() == [first, second, third]
    assert isinstance(first, Decision)
    assert quarantine.decisions(after=first.number, limit=1) == [second]
    assert numbers(quarantine.released()) == [1, 4]
    assert quarantine.released()[0].decision == second


def test_a_released_record_that_was_accepted_leaves_the_quarantine(
    store: Store, quarantine: Quarantine
) -> None:
    database = store.database(STREET)
    for number in (1, 2):
        quarantine.decide(number, Ruling.RELEASED, "operator")
    database.acknowledge_late(NOON + QUARTER * 2, [accepted(0, NOON)], readmitted=[1])
    database.acknowledge(NOON + QUARTER, [accepted(1, NOON)], [], readmitted=[2])
    assert quarantine.released() == []
    found = [quarantine.find(number) for number in (1, 2)]
    assert [one.readmitted for one in found if one] == [NOON + QUARTER * 2, NOON + QUARTER]
    assert database.late_records(NOON + QUARTER * 2) == [signed(0, NOON)]
    assert quarantine.decide(1, Ruling.REJECTED, "operator") is Undecidable.READMITTED
    assert len(quarantine.decisions()) == 2
    database.verified()


def test_nothing_is_decided_about_what_is_not_there(store: Store, quarantine: Quarantine) -> None:
    assert quarantine.decide(99, Ruling.RELEASED, "operator") is Undecidable.NOT_THERE
    other = store.quarantine(MILL)
    assert other.decide(1, Ruling.RELEASED, "operator") is Undecidable.NOT_THERE
    assert other.all() == other.waiting() == []
    assert quarantine.decisions() == []


def test_what_another_community_decides_under_the_same_numbers_changes_nothing(
    store: Store, quarantine: Quarantine
) -> None:
    said = quarantine.decide(3, Ruling.REJECTED, "operator")
    other, database = store.quarantine(MILL), store.database(MILL)
    database.acknowledge(NOON, [], [refused(number, NOON) for number in range(2)])
    other.decide(1, Ruling.REJECTED, "operator")
    other.decide(2, Ruling.RELEASED, "operator")
    database.acknowledge(NOON, [], [], readmitted=[2])
    assert numbers(quarantine.waiting()) == [1, 2, 4]
    assert quarantine.decisions() == [said]
    assert [found.readmitted for found in quarantine.all()] == [None] * 4


def test_what_an_operator_writes_is_kept_to_the_letter(quarantine: Quarantine) -> None:
    remark = "'); DROP TABLE record; -- \\ \" % %s :name ? 검침 \n"
    said = quarantine.decide(1, Ruling.REJECTED, remark, remark)
    assert quarantine.decisions() == [said]
    assert isinstance(said, Decision)
    assert (said.by, said.remark) == (remark, remark)


@pytest.mark.parametrize("reason", sorted(PASSING, key=lambda reason: reason.name))
def test_what_passes_with_time_waits_for_nobody_and_once_accepted_is_not_decided(
    store: Store, quarantine: Quarantine, reason: Reason
) -> None:
    database = store.database(STREET)
    early = [Refused(signed(number, NOON + QUARTER), reason) for number in (6, 7)]
    database.acknowledge(NOON + QUARTER, [], early)
    assert numbers(quarantine.waiting()) == [1, 2, 3, 4]
    assert numbers(quarantine.all()) == [1, 2, 3, 4, 5, 6]
    database.acknowledge(NOON + QUARTER, [accepted(6, NOON + QUARTER)], [])
    assert quarantine.decide(5, Ruling.RELEASED, "operator") is Undecidable.ACCEPTED
    assert isinstance(quarantine.decide(6, Ruling.RELEASED, "operator"), Decision)
    database.acknowledge_late(NOON + 2 * QUARTER, [accepted(7, NOON + QUARTER)])
    assert quarantine.decide(6, Ruling.REJECTED, "operator") is Undecidable.ACCEPTED
    assert len(quarantine.decisions()) == 1

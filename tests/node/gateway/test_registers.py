"""The register at an interval's end: exact where it was read, never more than was counted."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.driver import IntervalReading, Reading
from commonwatt.meter.record import Quality
from commonwatt.node.gateway.registers import (
    Due,
    Known,
    Passed,
    Registers,
    Taken,
    Why,
    opened,
    take_interval,
    take_registers,
)

NOON = 1_466_510_400
"""2016-06-21T12:00:00Z."""
QUARTER = 900
KWH = 1_000_000


def said(time: int, into: int | None, out: int | None = 0, **more: object) -> Reading:
    return Reading("meter", time, into, out, **more)


def of_interval(start: int, duration: int, into: int, out: int = 0, **more: object):
    return IntervalReading("meter", start, duration, into, out, **more)


def begun(time: int = NOON, into: int = 0, out: int = 0) -> Known:
    at = Registers(time, into, out)
    return opened(at._replace(time=time // QUARTER * QUARTER), at)


def run(known: Known, readings, take=take_registers) -> tuple[Known, list[Due], list[Why]]:
    """Everything that comes of some readings."""
    dues, passed = [], []
    for reading in readings:
        outcome = take(known, reading, QUARTER)
        if isinstance(outcome, Passed):
            passed.append(outcome.why)
            continue
        known = outcome.known
        dues += [outcome.due] if outcome.due else []
    return known, dues, passed


# Registers


def test_a_reading_at_the_very_end_is_measured() -> None:
    _, [due], _ = run(begun(), [said(NOON + 900, 5 * KWH, KWH)])
    assert due == Due(Registers(NOON + 900, 5 * KWH, KWH), Quality.MEASURED)


def test_an_end_between_two_readings_is_calculated_and_rounded_down() -> None:
    _, dues, _ = run(begun(), [said(NOON + 600, 1_000), said(NOON + 1_200, 1_003, 7)])
    assert dues == [Due(Registers(NOON + 900, 1_001, 3), Quality.CALCULATED)]


def test_readings_exactly_one_interval_apart_still_tell_the_end_between_them() -> None:
    _, dues, _ = run(begun(NOON + 1, 0), [said(NOON + 901, 900)])
    assert dues == [Due(Registers(NOON + 900, 899, 0), Quality.CALCULATED)]
    _, dues, _ = run(begun(NOON + 1, 0), [said(NOON + 902, 900)])
    assert dues == []


def test_without_readings_there_is_no_record_and_the_next_carries_the_energy() -> None:
    readings = [said(NOON + 890, 90), said(NOON + 5_000, 500), said(NOON + 5_400, 540)]
    _, dues, _ = run(begun(), readings)
    assert [due.registers for due in dues] == [Registers(NOON + 5_400, 540, 0)]


def test_a_reading_after_a_silence_at_an_end_is_measured() -> None:
    _, dues, _ = run(begun(), [said(NOON + 9_000, 500)])
    assert dues == [Due(Registers(NOON + 9_000, 500, 0), Quality.MEASURED)]


def test_a_register_that_is_not_spoken_of_stays_where_it_was() -> None:
    readings = [said(NOON + 450, 10, None), said(NOON + 450, None, 20), said(NOON + 900, 30, None)]
    _, [due], passed = run(begun(), readings)
    assert due.registers == Registers(NOON + 900, 30, 20)
    assert passed == []


def test_two_messages_of_one_second_add_up_and_make_one_record() -> None:
    readings = [said(NOON + 900, 10, None), said(NOON + 900, None, 20), said(NOON + 1_800, 10, 20)]
    _, dues, _ = run(begun(), readings)
    assert [due.registers for due in dues] == [
        Registers(NOON + 900, 10, 0),
        Registers(NOON + 1_800, 10, 20),
    ]


def test_a_reading_of_before_and_a_register_that_fell_change_nothing() -> None:
    known, _, _ = run(begun(), [said(NOON + 100, 50, 50)])
    for reading, why in (
        (said(NOON + 99, 60), Why.OLD),
        (said(NOON + 200, 49, 60), Why.FELL),
        (said(NOON + 200, 60, 49), Why.FELL),
    ):
        assert take_registers(known, reading, QUARTER) == Passed(why)


def test_more_than_the_rated_power_allows_is_passed_over() -> None:
    # 1 kW for the quarter hour that passed and one more, and a quarter on top: 625 Wh.
    known = begun()
    fits, too_much = said(NOON + 900, 625_000), said(NOON + 900, 625_001)
    assert isinstance(take_registers(known, fits, QUARTER, rated_w=1_000), Taken)
    assert take_registers(known, too_much, QUARTER, rated_w=1_000) == Passed(Why.TOO_MUCH)
    assert isinstance(take_registers(known, too_much, QUARTER), Taken)


def test_what_a_driver_says_of_the_quality_goes_into_the_record() -> None:
    estimated = said(NOON + 600, 10, quality=Quality.ESTIMATED)
    known, _, _ = run(begun(), [estimated])
    exact = take_registers(known, said(NOON + 900, 20, quality=Quality.METER_ERROR), QUARTER)
    between = take_registers(known, said(NOON + 901, 20), QUARTER)
    assert isinstance(exact, Taken)
    assert isinstance(between, Taken)
    assert exact.due is not None
    assert between.due is not None
    assert exact.due.quality == Quality.METER_ERROR
    assert between.due.quality == Quality.ESTIMATED | Quality.CALCULATED


def test_a_driver_cannot_say_who_vouches_or_whether_the_clock_is_right() -> None:
    quality = Quality.MEASURED | Quality.VOUCHED | Quality.CLOCK_NOT_SYNCHRONISED
    _, [due], _ = run(begun(), [said(NOON + 900, 1, quality=quality)])
    assert due.quality == Quality.MEASURED


steps = st.lists(
    st.tuples(st.integers(0, 3_000), st.integers(0, 10**9), st.integers(0, 10**9)), max_size=60
)


@given(steps, st.integers(0, 899), st.sampled_from([60, 300, 900, 1_800, 3_600]))
def test_intervals_add_up_to_the_register_whenever_readings_come(
    moves: list[tuple[int, int, int]], offset: int, interval_s: int
) -> None:
    at = Registers(NOON + offset, 7, 9)
    known = opened(at._replace(time=at.time // interval_s * interval_s), at)
    last, dues = known.recorded, [Due(known.recorded, Quality.MEASURED)]
    first, read = {at.time: at}, {at.time: at}
    for seconds, into, out in moves:
        at = Registers(at.time + seconds, at.import_mwh + into, at.export_mwh + out)
        first.setdefault(at.time, at)  # of several in one second the record has the first
        read[at.time] = at
        outcome = take_registers(known, said(*at), interval_s)
        assert isinstance(outcome, Taken)
        known = outcome.known
        dues += [outcome.due] if outcome.due else []
    assert known.at == at
    ends = [due.registers.time for due in dues]
    assert ends == sorted(set(ends))
    assert all(end % interval_s == 0 for end in ends)
    for (before, _), (now, _) in pairwise(dues):
        assert now.import_mwh >= before.import_mwh
        assert now.export_mwh >= before.export_mwh
    energy = sum(now.import_mwh - before.import_mwh for (before, _), (now, _) in pairwise(dues))
    assert energy == known.recorded.import_mwh - last.import_mwh <= at.import_mwh - last.import_mwh
    for registers, quality in dues[1:]:
        before = max((t for t in read if t <= registers.time), default=None)
        after = min(t for t in read if t >= registers.time)
        assert before is not None
        assert first[before].import_mwh <= registers.import_mwh <= read[after].import_mwh
        if quality == Quality.CALCULATED:
            assert 0 < after - before <= interval_s


@given(st.integers(1, 900), st.integers(0, 899), st.integers(1, 200))
def test_whoever_is_read_often_enough_has_a_record_for_every_interval(
    every_s: int, offset: int, count: int
) -> None:
    known, dues = begun(NOON + offset), []
    for number in range(1, count + 1):
        outcome = take_registers(known, said(NOON + offset + number * every_s, number), QUARTER)
        assert isinstance(outcome, Taken)
        known, dues = outcome.known, dues + ([outcome.due] if outcome.due else [])
    ends = [due.registers.time for due in dues]
    last = (NOON + offset + count * every_s) // QUARTER * QUARTER
    assert ends == list(range(NOON + QUARTER, last + 1, QUARTER))


# Energy of intervals


def test_the_energy_of_intervals_becomes_a_running_sum() -> None:
    readings = [of_interval(NOON + n * 900, 900, 100 + n, n) for n in range(3)]
    _, dues, _ = run(begun(NOON, 1_000), readings, take_interval)
    assert [due.registers for due in dues] == [
        Registers(NOON + 900, 1_100, 0),
        Registers(NOON + 1_800, 1_201, 1),
        Registers(NOON + 2_700, 1_303, 3),
    ]
    assert {due.quality for due in dues} == {Quality.MEASURED}


def test_short_intervals_fill_one_and_the_worst_of_them_is_said() -> None:
    bad = of_interval(NOON + 300, 300, 20, quality=Quality.ESTIMATED)
    readings = [of_interval(NOON, 300, 10), bad, of_interval(NOON + 600, 300, 30)]
    readings += [of_interval(NOON + n * 300, 300, 1) for n in range(3, 6)]
    _, dues, _ = run(begun(), readings, take_interval)
    assert dues == [
        Due(Registers(NOON + 900, 60, 0), Quality.MEASURED | Quality.ESTIMATED),
        Due(Registers(NOON + 1_800, 63, 0), Quality.MEASURED),
    ]


def test_a_long_interval_makes_one_record_at_its_end() -> None:
    _, dues, _ = run(begun(), [of_interval(NOON, 3_600, 400)], take_interval)
    assert dues == [Due(Registers(NOON + 3_600, 400, 0), Quality.MEASURED)]


def test_a_hole_makes_no_record_and_what_is_known_beside_it_is_carried_on() -> None:
    readings = [
        of_interval(NOON, 300, 10),
        # Five minutes are missing.
        of_interval(NOON + 600, 300, 30),
        of_interval(NOON + 900, 900, 100),
    ]
    _, dues, _ = run(begun(), readings, take_interval)
    assert [due.registers for due in dues] == [Registers(NOON + 1_800, 140, 0)]


def test_intervals_that_were_counted_are_not_counted_again() -> None:
    readings = [of_interval(NOON + n * 900, 900, 100) for n in range(4)]
    known, _, _ = run(begun(), readings, take_interval)
    again, dues, passed = run(known, readings, take_interval)
    assert (again, dues, passed) == (known, [], [Why.OLD] * 4)
    overlapping = of_interval(NOON + 3 * 900 + 300, 900, 100)
    assert take_interval(known, overlapping, QUARTER) == Passed(Why.OVERLAPS)


def test_intervals_off_the_grid_are_divided_at_the_end_between() -> None:
    readings = [of_interval(NOON + 450 + n * 900, 900, 901) for n in range(2)]
    _, dues, _ = run(begun(NOON + 450), readings, take_interval)
    # The first end has only half its interval behind it.
    assert dues == [Due(Registers(NOON + 1_800, 901 + 450, 0), Quality.CALCULATED)]


def test_impossible_energy_of_an_interval_is_passed_over() -> None:
    outcome = take_interval(begun(), of_interval(NOON, 900, 10**9), QUARTER, rated_w=1_000)
    assert outcome == Passed(Why.TOO_MUCH)
    huge = of_interval(NOON, 900, 2**63 - 1)
    assert take_interval(begun(NOON, 1), huge, QUARTER) == Passed(Why.TOO_MUCH)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 10**9)), min_size=1, max_size=60),
    st.sampled_from([300, 450, 900, 1_800, 3_600]),
)
def test_the_running_sum_is_the_sum_of_what_was_said(
    pieces: list[tuple[bool, int]], length: int
) -> None:
    known, dues, told = begun(), [], []
    for number, (is_there, energy) in enumerate(pieces):
        if not is_there:
            continue
        outcome = take_interval(known, of_interval(NOON + number * length, length, energy), QUARTER)
        assert isinstance(outcome, Taken)
        known, dues = outcome.known, dues + ([outcome.due] if outcome.due else [])
        told.append((NOON + (number + 1) * length, energy))
    assert known.at.import_mwh == sum(energy for _, energy in told)
    for due in dues:
        end = due.registers.time
        assert due.registers.import_mwh == sum(energy for until, energy in told if until <= end)
        if length <= QUARTER:
            covered = {until for until, _ in told}
            needed = range(end - QUARTER + length, end + 1, length)
            assert covered.issuperset(needed), "a record only for what is known in full"


@pytest.mark.parametrize("take", [take_registers, take_interval])
def test_what_is_known_and_what_is_recorded_never_part_for_good(take) -> None:
    known = begun()
    for number in range(1, 20):
        time = NOON + number * 300
        reading = (
            said(time, number * 10) if take is take_registers else of_interval(time - 300, 300, 10)
        )
        outcome = take(known, reading, QUARTER)
        assert isinstance(outcome, Taken)
        known = outcome.known
        assert known.recorded.time <= known.at.time < known.recorded.time + QUARTER
    assert known.at.import_mwh == 190

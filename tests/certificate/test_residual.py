"""The residual mix: every Wh produced is in it, or behind one unit, and never both."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.little_book import (
    BROKER,
    BUYER,
    DAY,
    HOUR,
    LATER,
    NOON,
    PRODUCER,
    QUARTER,
    SOLAR,
    WIND,
    LittleBook,
    meter,
)
from commonwatt.certificate import actions
from commonwatt.certificate.bundle import LIVE, Status
from commonwatt.certificate.matching import Period
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.certificate.residual import ProductionUnusable, residual
from commonwatt.quantity import Interval
from effort import effort

ROOF, MILL, BATTERY = 1, 2, 3
WHOLE_HOUR, FIRST_QUARTER = Interval(NOON, HOUR), Interval(NOON, QUARTER)
PERIOD = Period(NOON, NOON + HOUR)
EXPIRED = NOON + HOUR + DAY


def a_village() -> LittleBook:
    little = LittleBook(lifetime_s=DAY)
    little.admit(ROOF, PRODUCER)
    little.admit(MILL, PRODUCER, source=WIND)
    return little


def mix(little: LittleBook, production, now: int = LATER, period: Period = PERIOD):
    return residual(little.state, little.book.scheme, production, period, now)


def remains(little: LittleBook, production, now: int = LATER) -> dict[tuple[int, Interval], int]:
    return {(row.source, row.interval): row.wh for row in mix(little, production, now)}


def test_what_was_not_issued_remains_by_source_and_interval() -> None:
    little = a_village()
    little.issue(ROOF, 100)
    little.issue(MILL, 30)
    following = Interval(NOON + QUARTER, QUARTER)
    production = {
        (WIND, FIRST_QUARTER): 50,
        (SOLAR, FIRST_QUARTER): 250,
        (SOLAR, following): 70,
    }
    assert remains(little, production) == {
        (SOLAR, FIRST_QUARTER): 150,
        (SOLAR, following): 70,
        (WIND, FIRST_QUARTER): 20,
    }
    assert list(remains(little, production)) == sorted(production)


def test_an_hours_production_covers_the_certificates_of_its_quarters() -> None:
    little = a_village()
    for at in range(4):
        little.issue(ROOF, 10 + at, NOON + at * QUARTER)
    assert remains(little, {(SOLAR, WHOLE_HOUR): 100}) == {(SOLAR, WHOLE_HOUR): 54}


def test_what_was_retired_is_taken_off_once_at_issue_or_later() -> None:
    little = a_village()
    mine = little.issue(ROOF, 60, retired=40)
    retire = actions.Retire(mine.number, 50, BUYER.hex(), "bread")
    little.do(retire, PRODUCER)
    assert remains(little, {(SOLAR, FIRST_QUARTER): 100}) == {(SOLAR, FIRST_QUARTER): 0}
    after = remains(little, {(SOLAR, FIRST_QUARTER): 100}, now=EXPIRED)
    assert after == {(SOLAR, FIRST_QUARTER): 10}, "only what was not used expires"


def test_what_expires_comes_back_at_its_second_reserved_or_not() -> None:
    little = a_village()
    mine = little.issue(ROOF, 100)
    little.do(actions.Reserve(mine.number, 30, BROKER.hex(), LATER + HOUR), PRODUCER)
    production, end = {(SOLAR, FIRST_QUARTER): 100}, NOON + QUARTER + DAY
    assert remains(little, production, now=end - 1) == {(SOLAR, FIRST_QUARTER): 0}
    assert remains(little, production, now=end) == {(SOLAR, FIRST_QUARTER): 100}


def test_what_was_withdrawn_comes_back_once_and_what_was_exported_does_not() -> None:
    little = a_village()
    mine = little.issue(ROOF, 100)
    little.do(actions.Export(mine.number, 20, "Elsewhere", "ab" * 32), PRODUCER)
    (left,) = [b for b in little.state.parts_of(mine.origin) if b.status is Status.ACTIVE]
    little.do(actions.Withdraw(left.number, 30, "wrong source"))
    production = {(SOLAR, FIRST_QUARTER): 100}
    assert remains(little, production) == {(SOLAR, FIRST_QUARTER): 30}
    assert remains(little, production, now=EXPIRED) == {(SOLAR, FIRST_QUARTER): 80}


def corrected(little: LittleBook, wh: int, start: int = NOON, number: int = ROOF) -> None:
    before = next(
        issuance.record
        for origin, issuance in little.state.issuances.items()
        if (origin.meter, origin.start) == (meter(number), start)
    )
    little.do(
        actions.Correct(meter(number).hex(), start, QUARTER, wh, wh, before.hex(), little.record())
    )


def test_a_correction_in_time_takes_energy_and_units_off_alike() -> None:
    little = a_village()
    little.issue(ROOF, 100)
    corrected(little, 60)
    assert remains(little, {(SOLAR, FIRST_QUARTER): 60}) == {(SOLAR, FIRST_QUARTER): 0}


def test_a_correction_that_comes_too_late_is_short_here_and_made_up_for_later() -> None:
    little = a_village()
    little.give(little.issue(ROOF, 100))
    corrected(little, 60)
    later = Interval(NOON + QUARTER, QUARTER)
    little.issue(ROOF, 50, later.start)
    rows = mix(little, {(SOLAR, FIRST_QUARTER): 60, (SOLAR, later): 50})
    assert [(row.wh, row.owed_wh) for row in rows] == [(-40, 40), (40, 0)]
    expired = mix(little, {(SOLAR, FIRST_QUARTER): 60, (SOLAR, later): 50}, now=EXPIRED)
    assert [row.wh for row in expired] == [60, 50], "never more than was produced"


def test_stored_energy_comes_back_only_as_what_its_discharge_let_expire() -> None:
    little = a_village()
    little.admit(BATTERY, PRODUCER, permille=800)
    made = little.issue(ROOF, 100)
    half = NOON + HOUR // 2
    little.do(actions.Charge(meter(BATTERY).hex(), NOON, QUARTER, 100))
    store = actions.Store(made.number, 100, meter(BATTERY).hex(), NOON, QUARTER)
    little.do(store, PRODUCER)
    little.do(actions.Discharge(meter(BATTERY).hex(), half, QUARTER, 90, 90, 0, little.record()))
    production, evening = {(SOLAR, FIRST_QUARTER): 100}, (0, Interval(half, QUARTER))
    assert remains(little, production) == {evening: 0, (SOLAR, FIRST_QUARTER): 0}
    expired = remains(little, production, now=EXPIRED)
    assert expired == {evening: 80, (SOLAR, FIRST_QUARTER): 0}


def test_what_a_statement_stored_and_the_home_used_comes_back_nowhere() -> None:
    little = a_village()
    little.admit(BATTERY, PRODUCER, permille=800)
    little.do(actions.Charge(meter(BATTERY).hex(), NOON, QUARTER, 60))
    put = (actions.Put(meter(BATTERY).hex(), 60),)
    little.do(actions.Issue(meter(ROOF).hex(), NOON, QUARTER, 100, 10, 30, little.record(), put))
    half = NOON + HOUR // 2
    # 48 of 60 Wh come out green: the home uses 20, 10 go to a neighbour, 18 are free.
    give = actions.Discharge(meter(BATTERY).hex(), half, QUARTER, 48, 28, 10, little.record())
    little.do(give)
    production, evening = {(SOLAR, FIRST_QUARTER): 100}, (0, Interval(half, QUARTER))
    assert remains(little, production) == {evening: 0, (SOLAR, FIRST_QUARTER): 0}
    expired = remains(little, production, now=EXPIRED)
    assert expired == {evening: 18, (SOLAR, FIRST_QUARTER): 30}


def test_certificates_of_other_times_are_left_alone() -> None:
    little = a_village()
    little.issue(ROOF, 100, NOON - QUARTER)
    little.issue(ROOF, 100, NOON + HOUR)
    assert remains(little, {(SOLAR, FIRST_QUARTER): 7}) == {(SOLAR, FIRST_QUARTER): 7}


@pytest.mark.parametrize(
    ("production", "why"),
    [
        ({}, "no production that holds"),
        ({(WIND, FIRST_QUARTER): 100}, "no production that holds"),
        ({(SOLAR, Interval(NOON, 300)): 100}, "no production that holds"),
        ({(SOLAR, Interval(NOON + QUARTER, QUARTER)): 100}, "no production that holds"),
        ({(SOLAR, FIRST_QUARTER): 99}, "give all of it"),
        ({(SOLAR, FIRST_QUARTER): 100, (SOLAR, WHOLE_HOUR): 100}, "each Wh once"),
        ({(SOLAR, FIRST_QUARTER): 100, (WIND, FIRST_QUARTER): -1}, "below zero"),
        ({(SOLAR, FIRST_QUARTER): 100, (0, FIRST_QUARTER): 5}, "storage produces nothing"),
        ({(SOLAR, Interval(NOON + HOUR, HOUR)): 100}, "outside the period"),
    ],
)
def test_production_that_cannot_be_the_certificates_own_is_refused(production, why) -> None:
    little = a_village()
    little.issue(ROOF, 100)
    with pytest.raises(ProductionUnusable, match=why):
        mix(little, production)


# Property


@st.composite
def lives(draw) -> LittleBook:
    """Issues, and whatever may become of units, in any order."""
    little = a_village()
    starts = st.integers(0, 3).map(lambda at: NOON + at * QUARTER)
    amounts = st.integers(1, 40)
    for step in range(draw(st.integers(1, 25))):
        kind = draw(st.sampled_from(["issue", "issue", "correct", "unit", "unit", "unit"]))
        number = draw(st.sampled_from([ROOF, MILL]))
        try:
            if kind == "issue":
                made, retired = draw(amounts), draw(st.integers(0, 10))
                spare = draw(st.integers(0, 10))
                little.issue(
                    number, made, draw(starts), metered=made + retired + spare, retired=retired
                )
            elif kind == "correct":
                start = draw(starts)
                if (meter(number), start, QUARTER) in little.state.issuances:
                    corrected(little, draw(st.integers(0, 60)), start, number)
            elif little.state.bundles:
                bundle = draw(st.sampled_from(sorted(little.state.bundles)))
                action, actor = _use(draw, little, bundle, step)
                little.do(action, actor)
        except ActionRefused:
            pass
    return little


def _use(draw, little: LittleBook, number: int, step: int):
    bundle = little.state.bundles[number]
    wh, holder = draw(st.integers(1, bundle.wh)), bundle.holder
    return draw(
        st.sampled_from(
            [
                (actions.Transfer(number, wh, BUYER.hex()), holder),
                (actions.Retire(number, wh, BUYER.hex(), "bread"), holder),
                (actions.Reserve(number, wh, BROKER.hex(), LATER + HOUR), holder),
                (actions.Withdraw(number, wh, "wrong"), little.book.scheme.issuer),
                (actions.Export(number, wh, "Elsewhere", f"{step:064x}"), holder),
            ]
        )
    )


@given(lives(), st.booleans(), st.booleans(), st.integers(0, 50))
@effort(3)
def test_every_wh_is_in_the_mix_or_behind_one_unit(little, is_late, is_hourly, uncertified) -> None:
    now = EXPIRED if is_late else LATER
    production: dict[tuple[int, Interval], int] = {}
    for origin, issuance in little.state.issuances.items():
        source = little.state.devices[origin.meter].source
        key = source, WHOLE_HOUR if is_hourly else Interval(origin.start, origin.duration)
        production[key] = production.get(key, 0) + issuance.metered_wh
    production = {key: wh + uncertified for key, wh in production.items()}
    behind = dict.fromkeys(production, 0)
    for bundle in little.state.bundles.values():
        dead = {Status.SPLIT, Status.WITHDRAWN} | (LIVE if is_late else set())
        source = little.state.devices[bundle.origin.meter].source
        interval = WHOLE_HOUR if is_hourly else Interval(bundle.origin.start, QUARTER)
        behind[source, interval] += 0 if bundle.status in dead else bundle.wh
    found = remains(little, production, now)
    assert found == {key: production[key] - behind[key] for key in production}

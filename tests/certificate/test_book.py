"""The book of certificates, rules 1 to 12: what comes into it, and who may cause it.

`tools/mutants.py` takes each check of the book out in turn; a test must fail every time.
"""

from dataclasses import replace as altered

import pytest
from msgspec.structs import replace

from certificate.desk import (
    ADMIT,
    ADMIT_BATTERY,
    BATTERY,
    BORDER,
    BUYER,
    CELLAR,
    CHARGE,
    CLOSE,
    CONSUME,
    CORRECT,
    DAY,
    DISCHARGE,
    EVENING,
    EXCHANGE,
    EXPORT,
    FORGER,
    FREE,
    HOUR,
    ISSUE,
    ISSUER,
    LIMIT_WH,
    MATCH,
    NEIGHBOUR,
    NEXT,
    NOON,
    PRODUCER,
    QUARTER,
    RESERVE,
    RESTORE,
    RETIRE,
    REVOKE,
    ROOF,
    STORE,
    TRANSFER,
    TURBINE,
    WITHDRAW,
    Desk,
    digest,
)
from commonwatt.certificate.actions import Action, Close, Reinstate, Together, Transfer
from commonwatt.certificate.bundle import Origin, Status
from commonwatt.certificate.context import WH_MAX
from commonwatt.certificate.devices import SOURCE_MAX
from commonwatt.certificate.state import require_conserved
from commonwatt.errors import InvariantBroken
from commonwatt.meter.registration import RATED_W_MAX, SOLAR_ROOFTOP
from commonwatt.quantity import TIME_MAX

# Rule 1: issued within metered, and every unit somewhere


@pytest.mark.parametrize(("retired", "free"), [(500, 501), (0, 1_001), (1_001, 0)])
def test_never_more_is_issued_than_was_metered(retired: int, free: int) -> None:
    desk = Desk()
    desk.does(ISSUER, ADMIT)
    desk.refuses(ISSUER, replace(ISSUE, retired_wh=retired, free_wh=free), "R1")
    desk.does(ISSUER, replace(ISSUE, retired_wh=500, free_wh=500))


def test_a_correction_leaves_no_more_free_than_was_made(desk: Desk) -> None:
    desk.refuses(ISSUER, replace(CORRECT, metered_wh=700, free_wh=701), "R1")
    desk.refuses(ISSUER, replace(CORRECT, free_wh=-1), "R1")


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        ({"first": 301}, "disjoint"),
        ({"first": 299}, "disjoint"),
        ({"end": 901}, "issued = the sum"),
        ({"end": 899}, "issued = the sum"),
        ({"status": Status.SPLIT}, "issued = the sum"),
    ],
)
def test_a_unit_that_is_twice_or_nowhere_is_found(desk: Desk, wrong: dict, law: str) -> None:
    desk.state.bundles[FREE] = altered(desk.state.bundles[FREE], **wrong)
    with pytest.raises(InvariantBroken, match=law):
        require_conserved(desk.state, Origin(ROOF, NOON, QUARTER))


def test_a_bundle_without_units_is_found(desk: Desk) -> None:
    origin = Origin(ROOF, NOON, QUARTER)
    desk.state.add(origin, 900, 900, PRODUCER, Status.ACTIVE, 1)
    with pytest.raises(InvariantBroken, match="a bundle holds units"):
        require_conserved(desk.state, origin)


@pytest.mark.parametrize(
    "wrong", [{"metered_wh": 899}, {"free_wh": 599}, {"withheld_wh": 1}, {"own_wh": 101}]
)
def test_units_without_energy_are_found(desk: Desk, wrong: dict) -> None:
    origin = Origin(ROOF, NOON, QUARTER)
    desk.state.issuances[origin] = altered(desk.issuance(), **wrong)
    with pytest.raises(InvariantBroken, match="never more"):
        require_conserved(desk.state, origin)


# Rule 2: a unit is a Wh, and has one number


def test_unit_numbers_of_an_interval_never_overlap_and_a_range_is_as_long_as_its_quantity(
    desk: Desk,
) -> None:
    desk.does(PRODUCER, TRANSFER)
    desk.does(NEIGHBOUR, Transfer(2, 50, BUYER.hex()))
    desk.does(PRODUCER, replace(RETIRE, bundle=3, wh=1))
    parts = sorted(
        (part.first, part.end) for part in desk.state.parts_of(Origin(ROOF, NOON, QUARTER))
    )
    assert parts == [(0, 300), (300, 350), (350, 500), (500, 501), (501, 900)]


# Rule 3: once for each interval


@pytest.mark.parametrize(
    ("start", "duration"),
    [
        (NOON, QUARTER),
        (NOON, HOUR),
        (NOON, 60),
        (NOON + 60, 60),
        (NOON + QUARTER - 60, 60),
        (NOON + QUARTER - 300, 300),
    ],
)
@pytest.mark.parametrize("end", ["held", "withdrawn", "retired"])
def test_an_interval_is_issued_once_overlap_included_whatever_became_of_it(
    desk: Desk, start: int, duration: int, end: str
) -> None:
    if end == "withdrawn":
        desk.does(ISSUER, replace(WITHDRAW, wh=600))
    elif end == "retired":
        desk.does(PRODUCER, replace(RETIRE, wh=600))
    again = replace(
        ISSUE, start=start, duration=duration, metered_wh=5, retired_wh=1, free_wh=2,
        record=digest(9),
    )  # fmt: skip
    desk.refuses(ISSUER, again, "R3")
    desk.does(ISSUER, replace(again, start=NOON + QUARTER, duration=QUARTER))
    desk.does(ISSUER, replace(again, start=NOON - HOUR, duration=HOUR))
    desk.refuses(ISSUER, again, "R3")


def test_a_discharge_is_issued_once(battery: Desk) -> None:
    battery.does(PRODUCER, STORE)
    battery.does(ISSUER, DISCHARGE)
    battery.refuses(ISSUER, replace(DISCHARGE, wh=1), "R3")
    battery.refuses(ISSUER, replace(DISCHARGE, duration=HOUR), "R3")


# Rule 4: only of a device, in service


def test_a_meter_that_nobody_admitted_gets_nothing(desk: Desk) -> None:
    for action in (replace(ISSUE, meter=TURBINE.hex()), replace(CORRECT, meter=TURBINE.hex())):
        desk.refuses(ISSUER, action, "R4")
    desk.refuses(ISSUER, replace(CLOSE, meter=TURBINE.hex()), "R4")


@pytest.mark.parametrize("meter", ["", "a0", ROOF.hex().upper(), " " + ROOF.hex(), "xy" * 20])
def test_a_meter_is_written_in_one_way_only(desk: Desk, meter: str) -> None:
    desk.refuses(ISSUER, replace(NEXT, meter=meter), "R4")
    desk.refuses(ISSUER, replace(ADMIT, meter=meter), "R4")
    desk.refuses(ISSUER, replace(EXCHANGE, successor=meter), "R4")
    desk.refuses(ISSUER, replace(CONSUME, meter=meter), "R4")


def test_nothing_is_issued_for_the_time_before_a_device_was_in_service(desk: Desk) -> None:
    first = ADMIT.first_start
    desk.refuses(ISSUER, replace(NEXT, start=first - QUARTER), "R4")
    desk.does(ISSUER, replace(NEXT, start=first))


def test_nothing_is_issued_for_the_time_after_a_device_was_in_service(desk: Desk) -> None:
    desk.does(ISSUER, replace(CLOSE, from_start=NOON + HOUR + QUARTER))
    desk.refuses(ISSUER, replace(NEXT, start=NOON + HOUR + QUARTER), "R4")
    desk.refuses(ISSUER, replace(NEXT, start=NOON + HOUR, duration=HOUR), "R4")
    desk.does(ISSUER, replace(NEXT, start=NOON + HOUR))


def test_a_battery_out_of_service_neither_charges_nor_discharges(desk: Desk) -> None:
    desk.does(ISSUER, replace(ADMIT_BATTERY, first_start=NOON))
    early = NOON - HOUR
    desk.refuses(ISSUER, replace(CHARGE, start=early), "R4")
    desk.refuses(ISSUER, replace(DISCHARGE, start=early), "R4")
    desk.does(ISSUER, Close(BATTERY.hex(), EVENING))
    desk.refuses(ISSUER, replace(CHARGE, start=EVENING), "R4")
    desk.refuses(ISSUER, DISCHARGE, "R4")


# Rule 5: each reading is named by its digest


@pytest.mark.parametrize("record", ["", "ab", digest(171).upper(), digest(1) + "00", "z" * 64])
def test_a_reading_or_message_is_named_by_its_whole_digest(battery: Desk, record: str) -> None:
    battery.refuses(PRODUCER, replace(EXPORT, message=record), "R5")
    battery.refuses(ISSUER, replace(RESTORE, message=record), "R5")
    battery.refuses(ISSUER, replace(NEXT, record=record), "R5")
    battery.refuses(ISSUER, replace(CORRECT, record=record), "R5")
    battery.refuses(ISSUER, replace(CORRECT, corrects=record), "R5")
    battery.refuses(ISSUER, replace(DISCHARGE, record=record), "R5")


def test_an_issue_keeps_the_digest_of_its_reading(desk: Desk) -> None:
    assert desk.issuance().record.hex() == digest(1)


# Rule 6: intervals


@pytest.mark.parametrize(
    ("start", "duration"),
    [
        (NOON + 1, QUARTER),
        (NOON, 0),
        (NOON, -QUARTER),
        (NOON, 30),
        (NOON, 700),
        (NOON, 2 * HOUR),
        (-QUARTER, QUARTER),
        (NOON + DAY - QUARTER, HOUR),
        (NOON + DAY, QUARTER),
        (NOON + DAY, 60),
    ],
)
def test_an_interval_is_on_the_grid_a_minute_to_an_hour_long_and_over(
    battery: Desk, start: int, duration: int
) -> None:
    for action in (NEXT, CORRECT, CONSUME, CHARGE, DISCHARGE):
        battery.refuses(ISSUER, replace(action, start=start, duration=duration), "R6")


def test_an_interval_counts_from_the_second_it_is_over(desk: Desk) -> None:
    desk.does(ISSUER, replace(NEXT, start=desk.now - QUARTER))


# Rule 7: plausible energy


@pytest.mark.parametrize(
    ("metered", "retired", "free"),
    [
        (LIMIT_WH + 1, 0, 1),
        (10**30, 0, 1),
        (1_000, 0, 0),
        (0, 0, 0),
        (-1, 0, 0),
        (1_000, -1, 500),
        (1_000, 500, -1),
    ],
)
def test_what_a_device_cannot_make_is_not_issued_nor_nothing_nor_less(
    desk: Desk, metered: int, retired: int, free: int
) -> None:
    action = replace(NEXT, metered_wh=metered, retired_wh=retired, free_wh=free)
    desk.refuses(ISSUER, action, "R7")


def test_the_most_that_a_device_can_make_is_issued(desk: Desk) -> None:
    (made,) = desk.does(ISSUER, replace(NEXT, metered_wh=LIMIT_WH, retired_wh=0, free_wh=LIMIT_WH))
    assert made.wh == LIMIT_WH


def test_a_correction_is_plausible_too(desk: Desk) -> None:
    desk.refuses(ISSUER, replace(CORRECT, metered_wh=LIMIT_WH + 1), "R7")
    desk.refuses(ISSUER, replace(CORRECT, metered_wh=-1, free_wh=-1), "R7")
    desk.does(ISSUER, replace(CORRECT, metered_wh=LIMIT_WH))


@pytest.mark.parametrize("watts", [0, -1, RATED_W_MAX + 1])
def test_a_device_has_a_rated_power(watts: int) -> None:
    desk = Desk()
    desk.refuses(ISSUER, replace(ADMIT, rated_w=watts), "R7")
    desk.does(ISSUER, replace(ADMIT, rated_w=RATED_W_MAX))


@pytest.mark.parametrize("wh", [0, -1, WH_MAX + 1])
def test_consumption_is_more_than_nothing_and_less_than_the_worlds(desk: Desk, wh: int) -> None:
    desk.refuses(ISSUER, replace(CONSUME, wh=wh), "R7")
    desk.does(ISSUER, replace(CONSUME, wh=WH_MAX))


@pytest.mark.parametrize("second", [-1, TIME_MAX, 10**30])
def test_a_time_is_one_that_an_interval_may_have(second: int) -> None:
    desk = Desk()
    desk.refuses(ISSUER, replace(ADMIT, first_start=second), "R6")
    desk.does(ISSUER, replace(ADMIT, first_start=0))
    desk.refuses(ISSUER, replace(CLOSE, from_start=second), "R6")
    desk.refuses(ISSUER, replace(EXCHANGE, from_start=second), "R6")
    desk.does(ISSUER, replace(CLOSE, from_start=TIME_MAX - 1))


@pytest.mark.parametrize("wh", [0, -1, 6_251])
def test_a_battery_moves_no_more_than_it_can_and_no_less_than_something(
    battery: Desk, wh: int
) -> None:
    battery.refuses(ISSUER, replace(CHARGE, start=NOON + HOUR, wh=wh), "R7")
    battery.refuses(ISSUER, replace(DISCHARGE, duration=HOUR, wh=wh, given_wh=1), "R7")


def test_what_came_out_in_a_gap_is_drawn_whatever_it_was_and_gets_nothing(battery: Desk) -> None:
    battery.does(PRODUCER, STORE)
    gap = replace(DISCHARGE, wh=WH_MAX, given_wh=0)
    battery.refuses(ISSUER, replace(gap, wh=WH_MAX + 1), "R7")
    assert battery.does(ISSUER, gap) == ()
    assert battery.issuance(EVENING, BATTERY).own_wh == 180
    assert battery.does(ISSUER, replace(DISCHARGE, start=EVENING + QUARTER)) == ()


# Rule 8: a device generates or stores


@pytest.mark.parametrize(
    ("source", "permille"), [(0, 0), (SOLAR_ROOFTOP, 900), (-1, 0), (SOURCE_MAX + 1, 0)]
)
def test_a_device_generates_or_stores_and_never_both(source: int, permille: int) -> None:
    action = replace(ADMIT, source=source, storage_permille=permille)
    Desk().refuses(ISSUER, action, "R8")


# Rule 9: late values


def test_a_late_reading_fills_its_gap_once_by_the_issuers_act(desk: Desk) -> None:
    desk.does(ISSUER, replace(NEXT, start=NOON + 2 * QUARTER))
    desk.now += 30 * DAY
    desk.refuses(PRODUCER, NEXT, "R11")
    desk.does(ISSUER, NEXT)
    desk.refuses(ISSUER, NEXT, "R3")


# Rule 10: corrections


def test_a_correction_withdraws_what_the_first_holder_still_has(desk: Desk) -> None:
    (taken,) = desk.does(ISSUER, CORRECT)
    assert (taken.first, taken.end, taken.status) == (800, 900, Status.WITHDRAWN)
    assert desk.units(PRODUCER, Status.ACTIVE) == 500
    assert desk.debt == 0


def test_a_correction_upwards_adds_units_for_the_first_holder(desk: Desk) -> None:
    desk.does(PRODUCER, replace(TRANSFER, wh=600))
    (added,) = desk.does(ISSUER, replace(CORRECT, metered_wh=1_100, free_wh=800))
    assert (added.first, added.end, added.holder) == (900, 1_100, PRODUCER)
    assert desk.units(NEIGHBOUR, Status.ACTIVE) == 600


def test_what_is_gone_already_is_the_devices_debt_and_its_next_issue_pays(desk: Desk) -> None:
    desk.does(PRODUCER, replace(TRANSFER, wh=400))
    desk.does(ISSUER, replace(CORRECT, metered_wh=400, free_wh=100))
    assert desk.units(NEIGHBOUR, Status.ACTIVE) == 400
    assert desk.units(PRODUCER, Status.WITHDRAWN) == 200
    assert (desk.debt, desk.issuance().owed_wh) == (300, 300)
    (used,) = desk.does(ISSUER, replace(NEXT, retired_wh=100, free_wh=100))
    assert used.status is Status.RETIRED
    assert (desk.debt, desk.issuance(NOON + QUARTER).withheld_wh) == (200, 100)
    third = replace(NEXT, start=NOON + 2 * QUARTER, retired_wh=0, free_wh=500)
    (made,) = desk.does(ISSUER, third)
    assert (made.wh, desk.debt) == (300, 0)


def test_retirements_made_in_good_faith_stay(kitchen: Desk) -> None:
    kitchen.does(PRODUCER, MATCH)
    kitchen.does(PRODUCER, replace(RESERVE, bundle=3))
    kitchen.does(ISSUER, replace(CORRECT, metered_wh=100, free_wh=0))
    # The neighbours of the community keep theirs too: 200 Wh more than was made at all.
    assert kitchen.units(PRODUCER, Status.RETIRED) == 500
    assert kitchen.units(PRODUCER, Status.RESERVED) == 200
    assert kitchen.units(PRODUCER, Status.WITHDRAWN) == 200
    assert kitchen.debt == 600


def test_a_correction_said_again_changes_nothing(desk: Desk) -> None:
    desk.does(PRODUCER, replace(TRANSFER, wh=550))
    desk.does(ISSUER, CORRECT)
    before = repr(desk.state)
    assert desk.does(ISSUER, CORRECT) == ()
    assert desk.does(ISSUER, replace(CORRECT, corrects=digest(8))) == ()
    assert repr(desk.state) == before


@pytest.mark.parametrize("change", [{"metered_wh": 901}, {"free_wh": 499}])
def test_the_same_record_never_says_two_things(desk: Desk, change: dict) -> None:
    desk.does(ISSUER, CORRECT)
    desk.refuses(ISSUER, replace(CORRECT, **change), "R10")


def test_a_correction_refers_to_the_last_reading(desk: Desk) -> None:
    desk.refuses(ISSUER, replace(CORRECT, corrects=digest(2)), "R10")
    desk.does(ISSUER, CORRECT)
    second = replace(CORRECT, record=digest(6), free_wh=0)
    desk.refuses(ISSUER, second, "R10")
    desk.does(ISSUER, replace(second, corrects=digest(3)))
    assert desk.issuance().record.hex() == digest(6)


def test_what_was_never_issued_cannot_be_corrected(desk: Desk) -> None:
    desk.refuses(ISSUER, replace(CORRECT, start=NOON + QUARTER), "R10")
    desk.refuses(ISSUER, replace(CORRECT, duration=300), "R10")


def test_down_and_up_again_leaves_debt_and_units_as_they_were(desk: Desk) -> None:
    desk.does(PRODUCER, replace(TRANSFER, wh=500))
    desk.does(ISSUER, replace(CORRECT, free_wh=200))
    assert (desk.debt, desk.issuance().owed_wh) == (300, 300)
    up = replace(CORRECT, corrects=digest(3), record=digest(6), free_wh=600)
    (added,) = desk.does(ISSUER, up)
    assert (added.wh, desk.debt, desk.issuance().owed_wh) == (100, 0, 0)


def test_a_correction_upwards_pays_the_devices_debt_first(desk: Desk) -> None:
    desk.does(ISSUER, replace(NEXT, metered_wh=700, retired_wh=0, free_wh=400))
    desk.does(PRODUCER, replace(TRANSFER, wh=600))
    desk.does(ISSUER, replace(CORRECT, metered_wh=300, free_wh=0))
    assert desk.debt == 600
    up = replace(CORRECT, start=NOON + QUARTER, corrects=digest(2), record=digest(7))
    assert desk.does(ISSUER, replace(up, metered_wh=600, free_wh=600)) == ()
    assert (desk.debt, desk.issuance(NOON + QUARTER).withheld_wh) == (400, 200)
    # What was withheld was never issued: taken back, it is owed again.
    down = replace(up, corrects=digest(7), record=digest(8))
    (taken,) = desk.does(ISSUER, replace(down, metered_wh=300, free_wh=300))
    assert (taken.wh, desk.debt) == (100, 600)


def test_what_the_issuer_has_withdrawn_is_not_owed_besides(desk: Desk) -> None:
    desk.does(ISSUER, replace(WITHDRAW, wh=400))
    assert desk.does(ISSUER, replace(CORRECT, free_wh=250)) == ()
    assert (desk.debt, desk.units(PRODUCER, Status.ACTIVE)) == (0, 200)
    down = replace(CORRECT, corrects=digest(3), record=digest(6), free_wh=100)
    (taken,) = desk.does(ISSUER, down)
    assert (taken.wh, desk.debt, desk.units(PRODUCER, Status.ACTIVE)) == (100, 0, 100)


def test_what_the_issuer_withdraws_is_owed_no_longer(desk: Desk) -> None:
    (sold,) = desk.does(PRODUCER, replace(TRANSFER, wh=500))
    desk.does(ISSUER, replace(CORRECT, free_wh=200))
    assert desk.debt == 300
    desk.does(ISSUER, replace(WITHDRAW, bundle=sold.number, wh=100))
    assert (desk.debt, desk.issuance().owed_wh) == (200, 200)
    desk.does(ISSUER, replace(WITHDRAW, bundle=sold.number + 3, wh=400))
    assert (desk.debt, desk.issuance().owed_wh) == (0, 0)


# Rule 11: the issuer alone causes supply, and takes it back


@pytest.mark.parametrize("actor", [PRODUCER, NEIGHBOUR, FORGER])
@pytest.mark.parametrize(
    "action",
    [
        replace(ADMIT, meter=TURBINE.hex()), CLOSE, NEXT, CORRECT, REVOKE, BORDER, WITHDRAW,
        Reinstate(2, "it was revoked"), RESTORE, DISCHARGE,
        replace(CONSUME, meter=CELLAR.hex()), replace(CHARGE, start=NOON + HOUR), EXCHANGE,
    ],
    ids=lambda action: type(action).__name__.lower(),
)  # fmt: skip
def test_nobody_but_the_issuer_does_the_issuers_acts(
    battery: Desk, action: Action, actor: bytes
) -> None:
    battery.does(ISSUER, CONSUME)
    battery.refuses(actor, action, "R11")


def test_a_book_that_is_filled_together_is_filled_by_the_issuer_alone(desk: Desk) -> None:
    both = Together((NEXT, replace(NEXT, start=NOON + HOUR)))
    for actor in (PRODUCER, FORGER):
        desk.refuses(actor, both, "R11")
    assert len(desk.does(ISSUER, both)) == 4
    assert desk.issuance(NOON + HOUR).by == desk.issuance(NOON + QUARTER).by


# Rule 12: one meter, one device


def test_a_meter_is_one_device_for_ever(desk: Desk) -> None:
    again = replace(ADMIT, owner=NEIGHBOUR.hex())
    desk.refuses(ISSUER, again, "R12")
    desk.does(ISSUER, CLOSE)
    desk.refuses(ISSUER, again, "R12")

"""The book of certificates, rules 24 to 28: batteries, other registries, the order of entries."""

from dataclasses import replace as altered

import pytest
from msgspec.structs import replace

from certificate.desk import (
    ADMIT_BATTERY,
    ADMIT_TURBINE,
    BATTERY,
    CHARGE,
    CONSUME,
    CORRECT,
    DISCHARGE,
    EVENING,
    EXPORT,
    FREE,
    HOUR,
    ISSUE,
    ISSUER,
    NEIGHBOUR,
    NEXT,
    NOON,
    PRODUCER,
    QUARTER,
    RESTORE,
    RETIRED,
    ROOF,
    STORE,
    TRANSFER,
    TURBINE,
    Desk,
    digest,
)
from commonwatt.certificate.actions import Put
from commonwatt.certificate.bundle import Origin, Status
from commonwatt.certificate.state import Link, require_conserved
from commonwatt.certificate.using import REGISTRY_MAX
from commonwatt.errors import InvariantBroken

# Rule 24: storage


@pytest.mark.parametrize("permille", [-1, 1_001])
def test_no_battery_gives_more_than_it_took(permille: int) -> None:
    desk = Desk()
    desk.refuses(ISSUER, replace(ADMIT_BATTERY, storage_permille=permille), "R24")
    desk.does(ISSUER, replace(ADMIT_BATTERY, storage_permille=1_000))


def test_a_charge_is_known_once_and_in_order(battery: Desk) -> None:
    battery.refuses(ISSUER, CHARGE, "R24")
    battery.refuses(ISSUER, replace(CHARGE, start=NOON + QUARTER, duration=QUARTER), "R24")
    battery.refuses(ISSUER, replace(CHARGE, start=NOON - HOUR), "R24")
    battery.does(ISSUER, replace(CHARGE, start=NOON + HOUR))


def test_only_a_battery_is_charged_and_discharged(battery: Desk) -> None:
    roof = ROOF.hex()
    battery.refuses(ISSUER, replace(CHARGE, meter=roof, start=NOON + HOUR), "R24")
    battery.refuses(ISSUER, replace(DISCHARGE, meter=roof), "R24")
    battery.refuses(PRODUCER, replace(STORE, meter=roof), "R24")


def test_one_watt_hour_is_stored_or_consumed_and_never_both(battery: Desk) -> None:
    consumed = replace(CONSUME, meter=BATTERY.hex())
    battery.refuses(ISSUER, consumed, "R24")
    battery.does(ISSUER, replace(consumed, start=NOON + 2 * HOUR))
    battery.refuses(ISSUER, replace(CHARGE, start=NOON + 2 * HOUR, duration=QUARTER), "R24")


@pytest.mark.parametrize(("start", "duration"), [(NOON, QUARTER), (NOON + HOUR, HOUR), (0, HOUR)])
def test_units_go_into_a_charge_that_there_was(battery: Desk, start: int, duration: int) -> None:
    battery.does(ISSUER, replace(CHARGE, start=NOON + 2 * HOUR))
    battery.refuses(PRODUCER, replace(STORE, start=start, duration=duration), "R24")
    late = replace(STORE, start=NOON + 3 * HOUR)
    battery.refuses(PRODUCER, late, "R24")


@pytest.mark.parametrize("start", [NOON - QUARTER, NOON + HOUR])
def test_units_of_another_time_do_not_go_into_a_charge(battery: Desk, start: int) -> None:
    made = battery.does(ISSUER, replace(NEXT, start=start))
    battery.refuses(PRODUCER, replace(STORE, bundle=made[1].number), "R24")


def test_units_of_another_zone_do_not_go_into_a_charge(battery: Desk) -> None:
    battery.does(ISSUER, replace(ADMIT_TURBINE, zone="JP"))
    made = battery.does(ISSUER, replace(ISSUE, meter=TURBINE.hex()))
    battery.refuses(PRODUCER, replace(STORE, bundle=made[1].number), "R24")


def test_no_more_units_go_in_than_was_charged(battery: Desk) -> None:
    battery.refuses(PRODUCER, replace(STORE, wh=501), "R24")
    (stored,) = battery.does(PRODUCER, replace(STORE, wh=300))
    assert stored.status is Status.STORED
    assert battery.state.stored[stored.number] == Origin(BATTERY, NOON, HOUR)
    rest = stored.number + 1
    battery.refuses(PRODUCER, replace(STORE, bundle=rest, wh=201), "R24")
    battery.does(PRODUCER, replace(STORE, bundle=rest, wh=200))
    battery.refuses(PRODUCER, replace(STORE, bundle=rest + 2, wh=1), "R24")


def test_what_comes_out_is_green_as_far_as_it_went_in_less_losses(battery: Desk) -> None:
    battery.does(PRODUCER, replace(STORE, wh=111))
    (made,) = battery.does(ISSUER, DISCHARGE)
    # 900 of a thousand, rounded down, and no more of it a second time.
    assert (made.wh, made.holder, made.origin) == (99, PRODUCER, Origin(BATTERY, EVENING, QUARTER))
    found = battery.issuance(EVENING, BATTERY)
    assert found.links == (Link(Origin(BATTERY, NOON, HOUR), 99),)
    assert battery.does(ISSUER, replace(DISCHARGE, start=EVENING + QUARTER)) == ()


def test_a_discharge_draws_on_the_oldest_charge_first(battery: Desk) -> None:
    battery.does(ISSUER, replace(CHARGE, start=NOON + HOUR))
    (first,) = battery.does(PRODUCER, replace(STORE, wh=100))
    made = battery.does(ISSUER, replace(NEXT, start=NOON + HOUR))
    battery.does(PRODUCER, replace(STORE, bundle=made[1].number, start=NOON + HOUR, wh=100))
    battery.does(ISSUER, replace(DISCHARGE, wh=120, given_wh=120))
    links = battery.issuance(EVENING, BATTERY).links
    oldest, newer = Origin(BATTERY, NOON, HOUR), Origin(BATTERY, NOON + HOUR, HOUR)
    assert links == (Link(oldest, 90), Link(newer, 30))
    assert first.status is Status.STORED


def test_a_discharge_is_not_corrected_alone(battery: Desk) -> None:
    battery.does(PRODUCER, STORE)
    battery.does(ISSUER, DISCHARGE)
    action = replace(CORRECT, meter=BATTERY.hex(), start=EVENING, corrects=digest(4))
    battery.refuses(ISSUER, action, "R24")


# Rule 24: what a statement says went into the battery in the very interval


NOW_CHARGED = replace(CHARGE, start=NOON + HOUR, duration=QUARTER, wh=200)
PUT = replace(
    NEXT, start=NOON + HOUR, retired_wh=300, free_wh=400, stored=(Put(BATTERY.hex(), 150),)
)


@pytest.fixture
def charged(battery: Desk) -> Desk:
    """The battery took in 200 Wh in the quarter hour after its first charge."""
    battery.does(ISSUER, NOW_CHARGED)
    return battery


def test_units_are_retired_then_stored_then_free(charged: Desk) -> None:
    made = charged.does(ISSUER, PUT)
    assert [(b.first, b.end, b.status, b.holder) for b in made] == [
        (0, 300, Status.RETIRED, PRODUCER),
        (300, 450, Status.STORED, PRODUCER),
        (450, 850, Status.ACTIVE, PRODUCER),
    ]
    issuance = charged.issuance(NOON + HOUR)
    assert (issuance.stored_wh, issuance.found_wh, issuance.by) == (150, 850, 5)
    origin = Origin(BATTERY, NOON + HOUR, QUARTER)
    assert charged.state.stored[made[1].number] == origin
    (given,) = charged.does(ISSUER, DISCHARGE)
    assert given.wh == 135
    assert charged.issuance(EVENING, BATTERY).links == (Link(origin, 135),)


def test_what_all_parts_sum_to_was_metered(charged: Desk) -> None:
    charged.refuses(ISSUER, replace(PUT, metered_wh=849), "R1")
    charged.does(ISSUER, replace(PUT, metered_wh=850))


def test_all_of_an_interval_may_go_into_the_battery(charged: Desk) -> None:
    (made,) = charged.does(ISSUER, replace(PUT, retired_wh=0, free_wh=0))
    assert (made.wh, made.status) == (150, Status.STORED)


@pytest.mark.parametrize("wh", [0, -1])
def test_nothing_is_not_put_into_storage(charged: Desk, wh: int) -> None:
    charged.refuses(ISSUER, replace(PUT, stored=(Put(BATTERY.hex(), wh),)), "R7")


def test_only_a_charge_of_the_very_interval_takes_what_a_statement_says(charged: Desk) -> None:
    charged.refuses(ISSUER, replace(PUT, start=NOON + HOUR + QUARTER), "R24")
    # The hour before holds this quarter hour, and is not it.
    charged.refuses(ISSUER, replace(PUT, start=NOON + QUARTER), "R24")
    charged.refuses(ISSUER, replace(PUT, stored=(Put(ROOF.hex(), 1),)), "R24")
    charged.refuses(ISSUER, replace(PUT, stored=(Put(TURBINE.hex(), 1),)), "R4")
    charged.refuses(ISSUER, replace(PUT, stored=(Put("ab", 1),)), "R4")


def test_a_charge_has_room_for_what_it_took_in_however_it_is_put_there(charged: Desk) -> None:
    charged.refuses(ISSUER, replace(PUT, stored=(Put(BATTERY.hex(), 201),)), "R24")
    charged.refuses(ISSUER, replace(PUT, stored=(Put(BATTERY.hex(), 101),) * 2), "R24")
    charged.refuses(ISSUER, replace(PUT, stored=(Put(BATTERY.hex(), 1),) * 2), "R24")
    made = charged.does(ISSUER, PUT)
    into = replace(STORE, bundle=made[2].number, start=NOON + HOUR, duration=QUARTER)
    charged.refuses(PRODUCER, replace(into, wh=51), "R24")
    charged.does(PRODUCER, replace(into, wh=50))


def test_two_batteries_are_filled_in_the_order_given(charged: Desk) -> None:
    second = "b2" * 20
    charged.does(ISSUER, replace(ADMIT_BATTERY, meter=second))
    charged.does(ISSUER, replace(NOW_CHARGED, meter=second))
    puts = (Put(second, 20), Put(BATTERY.hex(), 30))
    made = charged.does(ISSUER, replace(PUT, retired_wh=0, stored=puts))
    assert [(b.first, b.end) for b in made] == [(0, 20), (20, 50), (50, 450)]
    assert charged.state.stored[made[0].number].meter == bytes.fromhex(second)


def test_another_zones_or_owners_battery_takes_nothing(charged: Desk) -> None:
    other = replace(ADMIT_BATTERY, meter="b2" * 20, zone="JP")
    charged.does(ISSUER, other)
    charged.does(ISSUER, replace(NOW_CHARGED, meter=other.meter))
    charged.refuses(ISSUER, replace(PUT, stored=(Put(other.meter, 1),)), "R24")
    theirs = replace(ADMIT_BATTERY, meter="b3" * 20, owner=NEIGHBOUR.hex())
    charged.does(ISSUER, theirs)
    charged.does(ISSUER, replace(NOW_CHARGED, meter=theirs.meter))
    charged.refuses(ISSUER, replace(PUT, stored=(Put(theirs.meter, 1),)), "R13")


def test_a_debt_is_paid_from_what_is_free_and_from_nothing_else(charged: Desk) -> None:
    charged.does(PRODUCER, replace(TRANSFER, wh=600))
    charged.does(ISSUER, replace(CORRECT, free_wh=100))
    made = charged.does(ISSUER, PUT)
    assert [(b.wh, b.status) for b in made] == [(300, Status.RETIRED), (150, Status.STORED)]
    assert (charged.debt, charged.issuance(NOON + HOUR).withheld_wh) == (100, 400)


def test_a_correction_never_takes_back_what_was_stored_at_issue(charged: Desk) -> None:
    charged.does(ISSUER, PUT)
    less = replace(
        CORRECT, start=NOON + HOUR, metered_wh=200, free_wh=200, corrects=digest(2),
        record=digest(9),
    )  # fmt: skip
    charged.does(ISSUER, less)
    assert charged.units(PRODUCER, Status.STORED) == 150
    assert charged.units(PRODUCER, Status.WITHDRAWN) == 400
    assert charged.debt == 250
    # Said again it is the same, and up again the debt is gone first.
    assert charged.does(ISSUER, less) == ()
    more = replace(less, metered_wh=1_000, free_wh=400, corrects=digest(9), record=digest(10))
    (added,) = charged.does(ISSUER, more)
    assert (added.wh, charged.debt) == (400, 0)


# Rule 24: what a discharge gives, and what the home uses itself


@pytest.fixture
def full(battery: Desk) -> Desk:
    """200 Wh with certificates are in the battery: 180 can come out of it green."""
    battery.does(PRODUCER, STORE)
    return battery


def own(desk: Desk, start: int = EVENING) -> tuple[int, int, int]:
    """Of a discharge: issued, used at home with certificates, drawn from charges."""
    found = desk.issuance(start, BATTERY)
    return found.issued_wh, found.own_wh, sum(link.wh for link in found.links)


def test_energy_without_certificates_leaves_the_home_first(full: Desk) -> None:
    # 300 Wh came out, 180 of them green; 120 grey ones left first, then 80 green ones.
    (made,) = full.does(ISSUER, replace(DISCHARGE, given_wh=200))
    assert (made.wh, own(full)) == (80, (80, 100, 180))


def test_what_the_home_used_is_used_once_and_never_issued(full: Desk) -> None:
    assert full.does(ISSUER, replace(DISCHARGE, wh=100, given_wh=0)) == ()
    assert own(full) == (0, 100, 100)
    (made,) = full.does(ISSUER, replace(DISCHARGE, start=EVENING + QUARTER, wh=100, given_wh=100))
    assert made.wh == 80


def test_a_discharge_of_which_only_grey_energy_left_issues_nothing(full: Desk) -> None:
    assert full.does(ISSUER, replace(DISCHARGE, given_wh=120)) == ()
    assert own(full) == (0, 180, 180)
    full.refuses(ISSUER, DISCHARGE, "R3")


def test_what_neighbours_bought_of_a_discharge_is_retired_at_once(full: Desk) -> None:
    made = full.does(ISSUER, replace(DISCHARGE, given_wh=250, retired_wh=100))
    assert [(b.first, b.end, b.status) for b in made] == [
        (0, 100, Status.RETIRED),
        (100, 130, Status.ACTIVE),
    ]
    full.refuses(PRODUCER, replace(TRANSFER, bundle=made[0].number, wh=1), "R17")


@pytest.mark.parametrize("change", [{"given_wh": 301}, {"given_wh": -1}])
def test_no_more_is_given_than_came_out(full: Desk, change: dict) -> None:
    full.refuses(ISSUER, replace(DISCHARGE, **change), "R24")


@pytest.mark.parametrize("retired", [181, -1])
def test_no_more_of_a_discharge_is_retired_than_is_issued(full: Desk, retired: int) -> None:
    full.refuses(ISSUER, replace(DISCHARGE, retired_wh=retired), "R24")
    full.does(ISSUER, replace(DISCHARGE, retired_wh=180))


def test_a_discharge_that_is_refused_has_drawn_nothing(full: Desk) -> None:
    full.refuses(ISSUER, replace(DISCHARGE, record="ab"), "R5")
    (made,) = full.does(ISSUER, DISCHARGE)
    assert made.wh == 180


@pytest.mark.parametrize("wrong", [{"own_wh": 1}, {"own_wh": -1}, {"links": ()}])
def test_a_discharge_that_is_not_what_it_drew_is_found(full: Desk, wrong: dict) -> None:
    full.does(ISSUER, replace(DISCHARGE, given_wh=200))
    origin = Origin(BATTERY, EVENING, QUARTER)
    full.state.issuances[origin] = altered(full.issuance(EVENING, BATTERY), **wrong)
    with pytest.raises(InvariantBroken, match="what it drew"):
        require_conserved(full.state, origin)


def test_an_old_charge_that_is_filled_late_is_drawn_on_again(full: Desk) -> None:
    full.does(ISSUER, replace(CHARGE, start=NOON + HOUR))
    full.does(ISSUER, DISCHARGE)
    assert full.state.open_charges[BATTERY] == []
    full.does(PRODUCER, replace(STORE, bundle=3, wh=200))
    later = replace(DISCHARGE, start=EVENING + QUARTER)
    (made,) = full.does(ISSUER, later)
    assert made.wh == 180
    assert full.state.open_charges[BATTERY] == []


# Rule 25: what was not stored with certificates is never green


def test_a_discharge_without_certificates_in_its_charge_is_never_green(battery: Desk) -> None:
    assert battery.does(ISSUER, DISCHARGE) == ()
    assert battery.units(PRODUCER, Status.ACTIVE, BATTERY) == 0
    battery.refuses(ISSUER, DISCHARGE, "R3")


@pytest.mark.parametrize("start", [NOON - HOUR, NOON, NOON + HOUR - QUARTER])
def test_a_discharge_before_its_charge_was_over_is_not_green(battery: Desk, start: int) -> None:
    battery.does(PRODUCER, STORE)
    assert battery.does(ISSUER, replace(DISCHARGE, start=start)) == ()
    assert len(battery.does(ISSUER, replace(DISCHARGE, start=NOON + HOUR))) == 1


def test_a_battery_generates_nothing(battery: Desk) -> None:
    battery.refuses(ISSUER, replace(NEXT, meter=BATTERY.hex()), "R25")


# Rule 26: other registries


def test_a_message_exports_once(desk: Desk) -> None:
    (out,) = desk.does(PRODUCER, EXPORT)
    assert (out.status, out.wh) == (Status.EXPORTED, 200)
    desk.refuses(PRODUCER, replace(EXPORT, bundle=out.number + 1), "R26")
    desk.does(PRODUCER, replace(EXPORT, bundle=out.number + 1, message=digest(6)))


@pytest.mark.parametrize("registry", ["", " ", "x" * (REGISTRY_MAX + 1)])
def test_an_export_says_where_to(desk: Desk, registry: str) -> None:
    desk.refuses(PRODUCER, replace(EXPORT, registry=registry), "R26")
    desk.does(PRODUCER, replace(EXPORT, registry="x" * REGISTRY_MAX))


def test_exactly_what_a_message_exported_comes_back_once(desk: Desk) -> None:
    (out,) = desk.does(PRODUCER, EXPORT)
    desk.refuses(ISSUER, replace(RESTORE, message=digest(6)), "R26")
    (back,) = desk.does(ISSUER, RESTORE)
    assert (back.number, back.holder, back.status) == (out.number, PRODUCER, Status.ACTIVE)
    desk.refuses(ISSUER, RESTORE, "R26")
    desk.refuses(PRODUCER, replace(EXPORT, bundle=out.number), "R26")


def test_an_old_message_does_not_bring_back_what_a_new_one_sent_out(desk: Desk) -> None:
    (out,) = desk.does(PRODUCER, EXPORT)
    desk.does(ISSUER, RESTORE)
    desk.does(PRODUCER, replace(EXPORT, bundle=out.number, message=digest(6)))
    desk.refuses(ISSUER, RESTORE, "R26")
    desk.does(ISSUER, replace(RESTORE, message=digest(6)))


# Rule 28: one entry after the other


def test_no_entry_is_older_than_the_one_before(desk: Desk) -> None:
    entries = desk.book.entries
    desk.does(PRODUCER, TRANSFER)
    assert (desk.book.entries, desk.book.now) == (entries + 1, desk.now)
    desk.now -= 1
    desk.refuses(PRODUCER, replace(TRANSFER, bundle=3), "R28")
    desk.now += 1
    desk.does(PRODUCER, replace(TRANSFER, bundle=3))


def test_every_bundle_names_the_entry_that_made_it_what_it_is(desk: Desk) -> None:
    entry = desk.book.entries
    (given,) = desk.does(PRODUCER, TRANSFER)
    assert given.by == desk.state.bundles[FREE].by == desk.state.bundles[3].by == entry
    assert desk.state.bundles[RETIRED].by == 1

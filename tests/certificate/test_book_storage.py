"""The book of certificates, rules 24 to 28: batteries, other registries, the order of entries."""

import pytest
from msgspec.structs import replace

from certificate.desk import (
    ADMIT,
    ADMIT_BATTERY,
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
from commonwatt.certificate.bundle import Origin, Status
from commonwatt.certificate.state import Link
from commonwatt.certificate.using import REGISTRY_MAX

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
    battery.does(ISSUER, replace(ADMIT, meter=TURBINE.hex(), zone="JP"))
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
    battery.does(ISSUER, replace(DISCHARGE, wh=120))
    links = battery.issuance(EVENING, BATTERY).links
    oldest, newer = Origin(BATTERY, NOON, HOUR), Origin(BATTERY, NOON + HOUR, HOUR)
    assert links == (Link(oldest, 90), Link(newer, 30))
    assert first.status is Status.STORED


def test_a_discharge_is_not_corrected_alone(battery: Desk) -> None:
    battery.does(PRODUCER, STORE)
    battery.does(ISSUER, DISCHARGE)
    action = replace(CORRECT, meter=BATTERY.hex(), start=EVENING, corrects=digest(4))
    battery.refuses(ISSUER, action, "R24")


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

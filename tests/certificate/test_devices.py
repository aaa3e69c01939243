"""The book of certificates: whose a device is, which meter it has, who says so (R4, R12, R13)."""

import pytest
from msgspec.structs import replace

from certificate.desk import (
    ACCEPT,
    ADMIT,
    ADMIT_BATTERY,
    BATTERY,
    BUYER,
    CHARGE,
    CLOSE,
    CORRECT,
    DAY,
    DISCHARGE,
    EVENING,
    EXCHANGE,
    FORGER,
    FREE,
    HAND,
    HOUR,
    ISSUER,
    NEIGHBOUR,
    NEW,
    NEW_KEY,
    NEXT,
    NOON,
    PRODUCER,
    QUARTER,
    ROOF,
    ROOF_KEY,
    STORE,
    TRANSFER,
    TURBINE,
    TURBINE_KEY,
    VOUCHER,
    WITHDRAW,
    Desk,
    digest,
)
from commonwatt.certificate.actions import Accept, Close, Hand, Put, Replace
from commonwatt.certificate.bundle import Origin, Status
from commonwatt.certificate.context import REASON_MAX
from commonwatt.certificate.devices import VOUCHER_MAX, closed_with_debt
from commonwatt.certificate.state import Link

KEY = ROOF_KEY.public_key.hex()

# Rule 4: who says what the meter says


@pytest.mark.parametrize("change", [{"voucher": VOUCHER}, {"key": ""}])
def test_a_meter_signs_or_somebody_vouches_for_it_and_not_both(change: dict) -> None:
    Desk().refuses(ISSUER, replace(ADMIT, **change), "R4")


@pytest.mark.parametrize(
    "key", ["00" * 64, KEY[:-2], KEY + "00", KEY.upper(), " " + KEY, "xy" * 64, "ab"]
)
def test_a_key_is_a_point_of_the_curve_written_in_one_way(key: str) -> None:
    Desk().refuses(ISSUER, replace(ADMIT, key=key), "R4")


def test_a_meter_is_named_after_its_own_key() -> None:
    desk = Desk()
    desk.refuses(ISSUER, replace(ADMIT, key=TURBINE_KEY.public_key.hex()), "R12")
    desk.refuses(ISSUER, replace(ADMIT, meter=TURBINE.hex()), "R12")
    desk.does(ISSUER, ADMIT)
    assert desk.state.devices[ROOF].key == ROOF_KEY.public_key


@pytest.mark.parametrize("voucher", [" ", "two\nlines", "x" * (VOUCHER_MAX + 1)])
def test_whoever_vouches_has_a_name(voucher: str) -> None:
    desk = Desk()
    desk.refuses(ISSUER, replace(ADMIT_BATTERY, voucher=voucher), "R4")
    desk.does(ISSUER, replace(ADMIT_BATTERY, voucher="x" * VOUCHER_MAX))
    assert desk.state.devices[BATTERY].voucher == "x" * VOUCHER_MAX


@pytest.mark.parametrize(
    "day", ["2016-6-21", "20160621", "2016-W25-2", "2016-02-30", "yesterday", "2016-06-21T00:00"]
)
def test_the_day_a_plant_began_is_an_iso_day_if_it_is_known(day: str) -> None:
    desk = Desk()
    desk.refuses(ISSUER, replace(ADMIT, commissioned=day), "R4")
    desk.does(ISSUER, replace(ADMIT, commissioned="2016-06-21"))
    desk.does(ISSUER, ADMIT_BATTERY)
    days = [device.commissioned for device in desk.state.devices.values()]
    assert days == ["2016-06-21", ""]


# Rule 13: devices change hands by offer and acceptance


def test_a_device_changes_hands_when_whom_it_was_offered_to_accepts(desk: Desk) -> None:
    desk.refuses(NEIGHBOUR, ACCEPT, "R13")
    desk.does(PRODUCER, HAND)
    assert desk.state.devices[ROOF].owner == PRODUCER
    for actor in (PRODUCER, BUYER, ISSUER):
        desk.refuses(actor, ACCEPT, "R13")
    desk.does(NEIGHBOUR, ACCEPT)
    assert desk.state.devices[ROOF].owner == NEIGHBOUR
    desk.refuses(NEIGHBOUR, ACCEPT, "R13")
    desk.refuses(PRODUCER, HAND, "R13")


@pytest.mark.parametrize("actor", [NEIGHBOUR, FORGER, ISSUER])
def test_only_the_owner_offers_a_device(desk: Desk, actor: bytes) -> None:
    desk.refuses(actor, HAND, "R13")
    desk.refuses(actor, replace(HAND, to=actor.hex()), "R13")


def test_an_offer_is_the_last_one_made_or_none_once_it_is_taken_back(desk: Desk) -> None:
    to_oneself = replace(HAND, to=PRODUCER.hex())
    desk.refuses(PRODUCER, to_oneself, "R14")
    desk.does(PRODUCER, HAND)
    desk.does(PRODUCER, replace(HAND, to=BUYER.hex()))
    desk.refuses(NEIGHBOUR, ACCEPT, "R13")
    desk.does(PRODUCER, to_oneself)
    desk.refuses(BUYER, ACCEPT, "R13")
    desk.refuses(PRODUCER, to_oneself, "R14")


def test_what_is_no_device_of_the_book_goes_to_nobody_nor_a_device_to_no_account(
    desk: Desk,
) -> None:
    desk.refuses(PRODUCER, replace(HAND, meter=TURBINE.hex()), "R4")
    desk.refuses(PRODUCER, replace(ACCEPT, meter=TURBINE.hex()), "R4")
    desk.refuses(PRODUCER, replace(HAND, to="00" * 20), "R13")


def test_a_device_out_of_service_stays_where_it_is(desk: Desk) -> None:
    desk.does(PRODUCER, HAND)
    desk.does(ISSUER, CLOSE)
    desk.refuses(NEIGHBOUR, ACCEPT, "R13")
    desk.refuses(PRODUCER, HAND, "R17")


@pytest.fixture
def sold(desk: Desk) -> Desk:
    """The roof is the neighbour's from now on; 600 Wh of before are still the producer's."""
    desk.does(PRODUCER, HAND)
    desk.does(NEIGHBOUR, ACCEPT)
    return desk


def test_what_is_issued_later_is_the_new_owners_and_what_was_issued_is_not(sold: Desk) -> None:
    made = sold.does(ISSUER, NEXT)
    assert {bundle.holder for bundle in made} == {NEIGHBOUR}
    assert sold.units(PRODUCER, Status.ACTIVE) == 600
    assert sold.issuance().owner == PRODUCER


def test_a_correction_upwards_is_the_new_owners(sold: Desk) -> None:
    (added,) = sold.does(ISSUER, replace(CORRECT, metered_wh=1_100, free_wh=750))
    assert (added.wh, added.holder) == (150, NEIGHBOUR)
    numbered = [sold.issuance().numbering(unit) for unit in (0, 899, 900, 1_049)]
    assert [found.owner for found in numbered] == [PRODUCER, PRODUCER, NEIGHBOUR, NEIGHBOUR]
    assert [found.by for found in numbered] == [1, 1, 4, 4]


def test_a_correction_downwards_takes_from_each_what_it_was_first_to_have(sold: Desk) -> None:
    sold.does(ISSUER, replace(CORRECT, metered_wh=1_100, free_wh=750))
    down = replace(CORRECT, corrects=digest(3), record=digest(6), free_wh=500)
    taken = sold.does(ISSUER, down)
    assert [(bundle.holder, bundle.wh) for bundle in taken] == [(NEIGHBOUR, 150), (PRODUCER, 100)]
    assert sold.debt == 0


def test_what_the_owners_gave_each_other_is_gone_and_owed(sold: Desk) -> None:
    sold.does(PRODUCER, replace(TRANSFER, wh=600))
    assert sold.does(ISSUER, CORRECT) == ()
    assert (sold.debt, sold.units(NEIGHBOUR, Status.ACTIVE)) == (100, 600)


def test_a_devices_debt_stays_on_it_whoever_has_it(desk: Desk) -> None:
    desk.does(PRODUCER, replace(TRANSFER, wh=600))
    desk.does(ISSUER, replace(CORRECT, free_wh=100))
    desk.does(PRODUCER, HAND)
    desk.does(NEIGHBOUR, ACCEPT)
    assert desk.debt == 500
    made = desk.does(ISSUER, NEXT)
    assert [(b.status, b.wh) for b in made] == [(Status.RETIRED, 300), (Status.ACTIVE, 100)]
    assert desk.debt == 0


def test_only_who_has_the_battery_when_it_gives_gets_certificates(battery: Desk) -> None:
    battery.does(PRODUCER, STORE)
    battery.does(PRODUCER, Hand(BATTERY.hex(), NEIGHBOUR.hex()))
    battery.does(NEIGHBOUR, Accept(BATTERY.hex()))
    battery.refuses(PRODUCER, replace(STORE, bundle=3, wh=1), "R13")
    (made,) = battery.does(ISSUER, DISCHARGE)
    assert (made.holder, made.wh) == (NEIGHBOUR, 180)


def test_nothing_goes_at_once_into_a_battery_that_was_sold_apart_from_its_roof(
    battery: Desk,
) -> None:
    battery.does(ISSUER, replace(CHARGE, start=NOON + HOUR, duration=QUARTER))
    put = replace(NEXT, start=NOON + HOUR, stored=(Put(BATTERY.hex(), 50),))
    battery.does(PRODUCER, Hand(BATTERY.hex(), NEIGHBOUR.hex()))
    battery.does(NEIGHBOUR, Accept(BATTERY.hex()))
    battery.refuses(ISSUER, put, "R13")
    battery.does(PRODUCER, HAND)
    battery.does(NEIGHBOUR, ACCEPT)
    assert len(battery.does(ISSUER, put)) == 3


# Rule 12: another meter at the same plant


def test_a_new_meter_takes_the_place_of_one_from_a_time_on(desk: Desk) -> None:
    desk.does(ISSUER, EXCHANGE)
    old, new = desk.state.devices[ROOF], desk.state.devices[NEW]
    assert (old.closed_from, old.successor, new.first_start) == (NOON + HOUR, NEW, NOON + HOUR)
    assert (new.key, new.voucher) == (NEW_KEY.public_key, "")
    for name in ("owner", "source", "rated_w", "zone", "support", "storage_permille"):
        assert getattr(new, name) == getattr(old, name)
    desk.refuses(ISSUER, replace(NEXT, start=NOON + HOUR), "R4")
    desk.refuses(ISSUER, replace(NEXT, meter=NEW.hex()), "R4")
    desk.does(ISSUER, NEXT)
    desk.does(ISSUER, replace(NEXT, meter=NEW.hex(), start=NOON + HOUR))


def test_a_plant_has_one_meter_at_a_time_and_each_meter_one_plant(desk: Desk) -> None:
    desk.refuses(ISSUER, replace(EXCHANGE, successor=ROOF.hex(), key=KEY), "R12")
    desk.refuses(ISSUER, replace(EXCHANGE, key=TURBINE_KEY.public_key.hex()), "R12")
    desk.does(ISSUER, EXCHANGE)
    back = Replace(NEW.hex(), ROOF.hex(), NOON + DAY, KEY, "the old one was right after all")
    desk.refuses(ISSUER, back, "R12")
    desk.refuses(ISSUER, ADMIT, "R12")
    for action in (EXCHANGE, CLOSE):
        desk.refuses(ISSUER, action, "R17")
    desk.refuses(PRODUCER, HAND, "R17")


@pytest.mark.parametrize("actor", [PRODUCER, NEIGHBOUR, FORGER])
def test_only_the_issuer_gives_a_plant_another_meter(desk: Desk, actor: bytes) -> None:
    desk.refuses(actor, EXCHANGE, "R11")


@pytest.mark.parametrize("reason", ["", " ", "x" * (REASON_MAX + 1)])
def test_another_meter_is_given_for_a_reason(desk: Desk, reason: str) -> None:
    desk.refuses(ISSUER, replace(EXCHANGE, reason=reason), "R23")


def test_a_new_meter_begins_neither_before_the_plant_nor_before_the_last_interval(
    desk: Desk,
) -> None:
    early = Replace(TURBINE.hex(), NEW.hex(), NOON, EXCHANGE.key, "too early")
    desk.refuses(ISSUER, early, "R4")
    desk.refuses(ISSUER, replace(EXCHANGE, from_start=NOON + QUARTER - 1), "R17")
    desk.does(ISSUER, ADMIT_BATTERY)
    of_battery = replace(EXCHANGE, meter=BATTERY.hex())
    first = ADMIT_BATTERY.first_start
    desk.refuses(ISSUER, replace(of_battery, from_start=first - 1), "R4")
    desk.does(ISSUER, CHARGE)
    desk.refuses(ISSUER, replace(of_battery, from_start=NOON + HOUR - 1), "R17")
    desk.does(ISSUER, replace(of_battery, from_start=NOON + HOUR))


def test_a_new_meter_signs_or_is_vouched_for_like_the_old_one(desk: Desk) -> None:
    desk.refuses(ISSUER, replace(EXCHANGE, key=""), "R4")
    desk.refuses(ISSUER, replace(EXCHANGE, key=NEW_KEY.public_key.hex()[:-2]), "R4")
    desk.does(ISSUER, ADMIT_BATTERY)
    second, third = "b1" * 20, NEW.hex()
    desk.does(ISSUER, Replace(BATTERY.hex(), second, NOON, "", "it fell off the wall"))
    assert desk.state.devices[bytes.fromhex(second)].voucher == VOUCHER
    desk.does(ISSUER, replace(EXCHANGE, meter=second, successor=third))
    new = desk.state.devices[NEW]
    assert (new.voucher, new.key) == ("", NEW_KEY.public_key)


def test_an_offer_ends_with_the_meter_it_was_made_for(desk: Desk) -> None:
    desk.does(PRODUCER, HAND)
    desk.does(ISSUER, EXCHANGE)
    desk.refuses(NEIGHBOUR, ACCEPT, "R13")
    desk.refuses(NEIGHBOUR, Accept(NEW.hex()), "R13")


@pytest.fixture
def exchanged(desk: Desk) -> Desk:
    """600 Wh were sold, 500 of them are owed; then the meter was exchanged."""
    desk.does(PRODUCER, replace(TRANSFER, wh=600))
    desk.does(ISSUER, replace(CORRECT, free_wh=100))
    desk.does(ISSUER, EXCHANGE)
    return desk


def debts(desk: Desk) -> tuple[int, int]:
    return desk.state.devices[ROOF].debt_wh, desk.state.devices[NEW].debt_wh


def test_the_new_meter_pays_the_old_ones_debt(exchanged: Desk) -> None:
    assert debts(exchanged) == (0, 500)
    later = replace(NEXT, meter=NEW.hex(), start=NOON + HOUR, retired_wh=0, free_wh=200)
    assert exchanged.does(ISSUER, later) == ()
    # A late interval of the old meter pays as well.
    (made,) = exchanged.does(ISSUER, replace(NEXT, retired_wh=0, free_wh=400))
    assert (made.wh, debts(exchanged)) == (100, (0, 0))


def test_an_old_meters_correction_counts_for_the_debt_that_moved(exchanged: Desk) -> None:
    up = replace(CORRECT, corrects=digest(3), record=digest(6), free_wh=300)
    assert exchanged.does(ISSUER, up) == ()
    assert (debts(exchanged), exchanged.issuance().owed_wh) == ((0, 300), 300)
    down = replace(CORRECT, corrects=digest(6), record=digest(7), free_wh=0)
    exchanged.does(ISSUER, down)
    assert debts(exchanged) == (0, 600)


def test_what_the_issuer_withdraws_of_an_old_meters_units_is_owed_no_longer(
    exchanged: Desk,
) -> None:
    exchanged.does(ISSUER, replace(WITHDRAW, bundle=FREE, wh=350))
    assert (debts(exchanged), exchanged.issuance().owed_wh) == ((0, 150), 150)


def test_a_plants_units_are_its_owners_whichever_meter_counted_them(desk: Desk) -> None:
    desk.does(ISSUER, EXCHANGE)
    desk.does(PRODUCER, Hand(NEW.hex(), NEIGHBOUR.hex()))
    desk.does(NEIGHBOUR, Accept(NEW.hex()))
    assert {bundle.holder for bundle in desk.does(ISSUER, NEXT)} == {NEIGHBOUR}


BATTERY_EXCHANGE = replace(EXCHANGE, meter=BATTERY.hex())


def test_what_is_in_a_battery_comes_out_through_its_new_meter(battery: Desk) -> None:
    battery.does(PRODUCER, replace(STORE, wh=100))
    battery.does(ISSUER, BATTERY_EXCHANGE)
    # The old meter's charge is still there to be filled, and only once.
    battery.does(PRODUCER, replace(STORE, bundle=3, wh=100))
    (made,) = battery.does(ISSUER, replace(DISCHARGE, meter=NEW.hex()))
    assert (made.wh, made.origin) == (180, Origin(NEW, EVENING, QUARTER))
    links = battery.issuance(EVENING, NEW).links
    assert links == (Link(Origin(BATTERY, NOON, HOUR), 180),)
    assert set(battery.state.charges) == {NEW}
    again = replace(DISCHARGE, meter=NEW.hex(), start=EVENING + QUARTER)
    assert battery.does(ISSUER, again) == ()


def test_what_was_put_in_before_the_exchange_comes_out_after_it(battery: Desk) -> None:
    battery.does(PRODUCER, STORE)
    battery.does(ISSUER, BATTERY_EXCHANGE)
    (made,) = battery.does(ISSUER, replace(DISCHARGE, meter=NEW.hex()))
    assert made.wh == 180


def test_a_batterys_charges_come_in_order_whichever_meter_counts_them(battery: Desk) -> None:
    battery.does(ISSUER, replace(BATTERY_EXCHANGE, from_start=NOON + 2 * HOUR))
    battery.refuses(ISSUER, replace(CHARGE, meter=NEW.hex(), start=NOON + HOUR), "R4")
    battery.does(ISSUER, replace(CHARGE, start=NOON + HOUR))
    battery.does(ISSUER, replace(CHARGE, meter=NEW.hex(), start=NOON + 2 * HOUR))
    wrong = replace(STORE, meter=NEW.hex())
    battery.refuses(PRODUCER, wrong, "R24")
    battery.does(PRODUCER, STORE)


def test_a_late_charge_of_the_old_meter_comes_too_late_after_one_of_the_new(
    battery: Desk,
) -> None:
    battery.does(ISSUER, replace(BATTERY_EXCHANGE, from_start=NOON + 2 * HOUR))
    battery.does(ISSUER, replace(CHARGE, meter=NEW.hex(), start=NOON + 2 * HOUR))
    battery.refuses(ISSUER, replace(CHARGE, start=NOON + HOUR), "R24")


# Rule 10: what nobody pays any more


def test_a_closed_device_in_debt_is_told(desk: Desk) -> None:
    desk.does(PRODUCER, replace(TRANSFER, wh=600))
    desk.does(ISSUER, replace(CORRECT, free_wh=100))
    assert closed_with_debt(desk.state) == ()
    desk.does(ISSUER, CLOSE)
    (found,) = closed_with_debt(desk.state)
    assert (found.meter, found.debt_wh) == (ROOF, 500)
    # A late interval of before still pays.
    desk.does(ISSUER, replace(NEXT, retired_wh=0, free_wh=500))
    assert closed_with_debt(desk.state) == ()


def test_an_old_meter_is_not_told_for_what_its_successor_pays(exchanged: Desk) -> None:
    assert closed_with_debt(exchanged.state) == ()
    exchanged.does(ISSUER, Close(NEW.hex(), NOON + DAY))
    assert [device.meter for device in closed_with_debt(exchanged.state)] == [NEW]

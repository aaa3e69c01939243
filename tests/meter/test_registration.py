"""What a community knows of a meter, and what it refuses to know."""

from dataclasses import replace
from hashlib import sha256

import pytest

from commonwatt.meter.keys import KeyUnusable
from commonwatt.meter.record import SignedRecord
from commonwatt.meter.registration import (
    NO_SOURCE,
    SOLAR_ROOFTOP,
    Registration,
    RegistrationUnusable,
    Role,
)
from street import MIDSUMMER_NOON, SimulatedMeter, Street, registration


@pytest.fixture
def roof() -> Registration:
    meter = SimulatedMeter("a roof", MIDSUMMER_NOON.start)
    return registration(meter, 7, Role.GENERATION, SOLAR_ROOFTOP)


def test_the_roll_absorbs_a_registration_to_the_byte(roof: Registration) -> None:
    entry = (
        b"\x02"
        + roof.public_key
        + (7).to_bytes(4)
        + b"\x01"
        + bytes.fromhex("00010100")
        + (30_000).to_bytes(5)
        + (16_973).to_bytes(4)
        + b"DE-LU".ljust(16, b"\0")
        + b"\0"
        + sha256(roof.opening.record).digest()
    )
    assert roof.roll_entry() == entry
    assert replace(roof, direct=True).roll_entry() == entry[:99] + b"\1" + entry[100:]


def test_the_roll_of_a_street_is_one_hash_after_another() -> None:
    community = Street(members=2, producers=1).community
    roll = bytes(32)
    for index, account in enumerate(community.accounts):
        roll = sha256(roll + b"\x01" + index.to_bytes(4) + account).digest()
    for entry in community.registrations:
        roll = sha256(roll + entry.roll_entry()).digest()
    assert community.roll == roll
    assert Street(members=3, producers=1).community.roll != roll


def test_the_opening_record_is_the_first_of_the_meter(roof: Registration) -> None:
    assert roof.opening_record.sequence == 0
    assert roof.opening_record.meter == roof.meter
    assert roof.opening_record.previous == bytes(32)


@pytest.mark.parametrize(
    "change",
    [
        {"member": -1},
        {"member": 2**32},
        {"source": -1},
        {"source": 2**32},
        {"rated_w": 0},
        {"rated_w": 2**40},
        {"first_day": -1},
        {"first_day": 2**32},
        {"zone": "a-zone-of-17-char"},
        {"zone": "Zürich"},
        {"zone": "DE\0LU"},
        {"opening": SignedRecord(bytes(99), bytes(64))},
        {"opening": SignedRecord(bytes(100), bytes(63))},
    ],
    ids=str,
)
def test_what_no_registry_could_hold_is_refused(roof: Registration, change: dict) -> None:
    with pytest.raises(RegistrationUnusable):
        replace(roof, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"member": 0, "source": 0, "rated_w": 1, "first_day": 0, "zone": ""},
        {"member": 2**32 - 1, "source": 2**32 - 1, "rated_w": 2**40 - 1, "first_day": 2**32 - 1},
        {"zone": "a-zone-of-16-chr"},
    ],
    ids=["least", "most", "longest zone"],
)
def test_what_just_fits_is_registered(roof: Registration, change: dict) -> None:
    assert len(replace(roof, **change).roll_entry()) == 132


def test_a_meter_without_a_key_on_the_curve_is_refused(roof: Registration) -> None:
    with pytest.raises(KeyUnusable):
        replace(roof, public_key=bytes(64))


def test_roles_keep_their_numbers() -> None:
    assert (Role.GRID, Role.GENERATION, Role.STORAGE) == (0, 1, 2)
    assert NO_SOURCE == 0

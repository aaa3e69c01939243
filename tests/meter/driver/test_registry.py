"""The list of drivers that a configuration chooses from."""

import pytest

from commonwatt.errors import InputError
from commonwatt.meter.driver import DRIVERS, Message, Taken, open_driver
from commonwatt.meter.driver.failure import (
    DriverError,
    DriverOptionsUnusable,
    DriverUnknown,
    UnitUnknown,
)
from meter.driver.samples import QUIET, RECEIVED, SAMPLES


def test_every_driver_has_a_sample_and_one_line_about_itself() -> None:
    assert {sample.driver for sample in SAMPLES.values()} == set(DRIVERS)
    for kind in DRIVERS.values():
        assert 20 < len(kind.says) < 100
        assert "\n" not in kind.says


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_gives_readings_and_nothing_is_refused(name: str) -> None:
    taken = SAMPLES[name].taken()
    assert taken.readings
    assert taken.refused == ()


@pytest.mark.parametrize("name", QUIET)
def test_what_only_says_how_to_read_others_gives_no_reading_and_no_error(name: str) -> None:
    assert QUIET[name].taken() == Taken()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_message_that_cannot_be_used_is_told_and_nothing_is_raised(name: str) -> None:
    taken = SAMPLES[name].taken(b"\xff\xfe/{<!\n")
    assert taken.readings == ()
    if name != "p1":
        assert len(taken.refused) == 1
    assert all(isinstance(error, DriverError) for error in taken.refused)


def test_an_unknown_driver_is_refused_with_those_there_are() -> None:
    with pytest.raises(DriverUnknown, match=r"'modem': csv, espi, .*tasmota"):
        open_driver("modem", {})


@pytest.mark.parametrize("name", DRIVERS)
def test_an_option_that_a_driver_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(DriverOptionsUnusable, match=f"driver {name}: .*sped.*; it takes"):
        open_driver(name, {"sped": 9_600})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("p1", {"winter_offset_s": "1h"}),
        ("p1", {"winter_offset_s": 10**6}),
        ("csv", {"interval_s": -1}),
        ("shelly", {"sum_phases": "yes"}),
        ("ocmf", {"public_keys": ["00"]}),
    ],
)
def test_a_value_that_an_option_cannot_have_is_refused(name: str, options: dict) -> None:
    with pytest.raises(DriverOptionsUnusable, match="it takes"):
        open_driver(name, options)


def test_a_unit_is_looked_at_before_the_first_message() -> None:
    for name, more in (("tasmota", {}), ("homeassistant", {"imports": ["a"]})):
        with pytest.raises(UnitUnknown):
            open_driver(name, {"unit": "kW", **more})


def test_every_error_is_an_input_error() -> None:
    assert issubclass(DriverError, InputError)


def test_nothing_is_signed_where_nobody_signed() -> None:
    for name, sample in SAMPLES.items():
        signers = {reading.signed_by is not None for reading in sample.taken().readings}
        assert (signers == {False}) == (name not in {"ocmf", "ocpp signed", "ocpp 1.6"}), name


def test_drivers_do_not_share_what_they_remember() -> None:
    one, other = (open_driver("p1", {}) for _ in range(2))
    whole = SAMPLES["p1"].payload
    assert one.take(Message(whole[:100], RECEIVED)).readings == ()
    assert other.take(Message(whole[100:], RECEIVED)).readings == ()
    assert len(one.take(Message(whole[100:], RECEIVED)).readings) == 1

"""Numbers, units and times as devices write them."""

from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.driver.energy import ENERGY_MWH_MAX, UNITS, read_energy, whole_number
from commonwatt.meter.driver.failure import NumberUnreadable, TimeUnreadable, UnitUnknown
from commonwatt.meter.driver.moment import has_offset, utc_seconds
from commonwatt.meter.driver.obis import Flow, Scope, read_register
from commonwatt.quantity import TIME_MAX, decimal_text, time_text

energies = st.integers(min_value=0, max_value=ENERGY_MWH_MAX)


@given(energies, st.sampled_from(sorted(UNITS)))
def test_an_energy_that_is_written_is_read_back_exactly(energy: int, unit: str) -> None:
    assert read_energy(decimal_text(energy, UNITS[unit]), unit, "a register") == energy


@given(
    st.integers(min_value=0, max_value=10**15),
    st.integers(min_value=0, max_value=20),
    st.integers(min_value=-20, max_value=3),
    st.sampled_from(["Wh", "kWh", "MWh"]),
)
def test_any_decimal_is_rounded_down_to_a_milliwatt_hour(
    digits: int, places: int, exponent: int, unit: str
) -> None:
    exact = Fraction(digits) * Fraction(10) ** (exponent - places + UNITS[unit])
    text = f"{decimal_text(digits, places)}e{exponent}"
    if exact > ENERGY_MWH_MAX:
        with pytest.raises(NumberUnreadable):
            read_energy(text, unit, "a register")
    else:
        assert read_energy(text, unit, "a register") == exact // 1


@pytest.mark.parametrize(
    ("text", "unit", "energy"),
    [
        ("001581.123", "kWh", 1_581_123_000),
        ("       9.038", "kWh", 9_038_000),
        ("0", "MWh", 0),
        ("-0.00", "Wh", 0),
        ("+7.", "Wh", 7_000),
        ("1.5E3", "wh", 1_500_000),
        ("0.30000000000000004", "KWH", 300_000),
        ("0.0000000001", "Wh", 0),
        ("0e999", "MWh", 0),
        ("9e-999", "MWh", 0),
    ],
)
def test_spellings_of_devices(text: str, unit: str, energy: int) -> None:
    assert read_energy(text, unit, "a register") == energy


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1,5",
        "1 500",
        "1_000",
        "NaN",
        "Infinity",
        "0x10",
        ".5",
        "e5",
        "1e",
        "--1",
        "١٢",
        "1" * 61,
        "on",
        "1e1000",
        "unavailable",
    ],
)
def test_what_is_no_number_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(NumberUnreadable, match="no decimal number") as refusal:
        read_energy(text, "kWh", "register 7")
    assert "register 7" in str(refusal.value)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("text", ["-1", "-0.001", "-1e-30"])
def test_energy_below_zero_is_refused(text: str) -> None:
    with pytest.raises(NumberUnreadable, match="below zero"):
        read_energy(text, "kWh", "a register")


@pytest.mark.parametrize("text", ["9e18", "99999999999999999999", "1e999", "9223372036854.775808"])
def test_more_than_any_register_holds_is_refused(text: str) -> None:
    with pytest.raises(NumberUnreadable, match="more than any register"):
        read_energy(text, "kWh", "a register")


@pytest.mark.parametrize("unit", ["", "W", "kW", "mWh", "mwh", "J", "kVArh", "m3", "Wmin", "k Wh"])
def test_other_units_are_refused(unit: str) -> None:
    with pytest.raises(UnitUnknown, match="kWh or MWh"):
        read_energy("1", unit, "a register")


def test_small_whole_numbers() -> None:
    assert whole_number("-3", -3, 3) == -3
    for text in ("", "4", "-4", "3.0", "+3", "٣", "1" * 30):
        assert whole_number(text, -3, 3) is None


@given(
    st.integers(min_value=86_400, max_value=TIME_MAX - 86_401),
    st.integers(min_value=-14 * 60, max_value=14 * 60),
    st.sampled_from(["", ".5", ",000", ".999999999"]),
    st.sampled_from([":", ""]),
)
def test_a_time_that_is_written_with_any_offset_is_read_back(
    seconds: int, minutes: int, part: str, colon: str
) -> None:
    local = datetime.fromtimestamp(seconds, timezone(timedelta(minutes=minutes)))
    text = local.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + part + local.strftime("%z")
    text = text[:-2] + colon + text[-2:]
    assert utc_seconds(text, "TM") == seconds
    assert has_offset(text, "TM")
    assert utc_seconds(time_text(seconds), "TM") == seconds


def test_the_hour_that_comes_twice_in_autumn_is_two_hours() -> None:
    summer = utc_seconds("2024-10-27T02:30:00+0200", "TM")
    winter = utc_seconds("2024-10-27T02:30:00+0100", "TM")
    assert winter - summer == 3_600
    assert summer == datetime(2024, 10, 27, 0, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("text", ["2024-01-15T12:00:00", "2024-01-15 12:00"])
def test_a_time_without_offset_is_refused_with_advice(text: str) -> None:
    assert not has_offset(text, "TM")
    with pytest.raises(TimeUnreadable, match=r"offset from UTC.*\+02:00"):
        utc_seconds(text, "TM")


@pytest.mark.parametrize(
    "text",
    ["", "now", "2024-13-01T00:00:00Z", "2024-02-30T00:00:00Z", "2024-01-15T24:00:00Z",
     "2024-01-15T12:00:60Z", "24-01-15T12:00:00Z", "2024-01-15", "2024-W03-1T12:00:00Z",
     "2024-01-15T12:00:00+99:00", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01",
     "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "2024-01-15T12:00:00Zulu"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(TimeUnreadable):
        utc_seconds(text, "TM")


@pytest.mark.parametrize(
    ("code", "flow", "tariff", "scope"),
    [
        ("1-0:1.8.0", Flow.IMPORT, 0, Scope.LIFETIME),
        ("1-0:2.8.0*255", Flow.EXPORT, 0, Scope.LIFETIME),
        ("1-b:1.8.e", Flow.IMPORT, 0, Scope.LIFETIME),
        ("01-00:01.08.00.FF", Flow.IMPORT, 0, Scope.LIFETIME),
        ("01-00:02.08.01*ff", Flow.EXPORT, 1, Scope.LIFETIME),
        ("1.8.2", Flow.IMPORT, 2, Scope.LIFETIME),
        ("1-0:1.8.0*198", Flow.IMPORT, 0, Scope.SESSION),
        ("01-00:B0.08.00*FF", Flow.IMPORT, 0, Scope.LIFETIME),
        ("01-00:b3.08.00*FF", Flow.IMPORT, 0, Scope.SESSION),
        ("01-00:C1.08.00", Flow.EXPORT, 0, Scope.LIFETIME),
        ("01-00:C2.08.00*FF", Flow.EXPORT, 0, Scope.SESSION),
    ],
)
def test_codes_of_active_energy(code: str, flow: Flow, tariff: int, scope: Scope) -> None:
    register = read_register(code)
    assert register is not None
    assert (register.flow, register.tariff, register.scope) == (flow, tariff, scope)


@pytest.mark.parametrize(
    "code",
    [
        "",
        "1-0:1.7.0",
        "1-0:1.9.0",
        "1-0:3.8.0",
        "1-0:21.8.0",
        "01-00:00.08.06.FF",
        "01-00:98.08.00.FF",
        "01-00:B4.08.00*FF",
        "7-0:1.8.0",
        "1-0:1.8",
        "1-0:1.8.XY",
        "1" * 50,
    ],
)
def test_codes_of_other_quantities_name_no_register(code: str) -> None:
    assert read_register(code) is None

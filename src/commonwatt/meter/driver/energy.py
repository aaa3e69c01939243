"""Energy as devices write it: decimal text and a unit, read into whole milliwatt-hours.

No float is ever made of it. What is finer than one mWh is cut off (rule R2: rounded down), which
leaves no trace in differences of registers, because every reading is cut in the same way.
"""

import re

from commonwatt.meter.driver.failure import NumberUnreadable, UnitUnknown, shown

ENERGY_MWH_MAX = 2**63 - 1
"""No register or interval above this, 9,000 TWh; it fits a database's whole number."""
NUMBER_TEXT_MAX = 60
UNITS = {
    "Wh": 3,
    "wh": 3,
    "WH": 3,
    "kWh": 6,
    "kwh": 6,
    "KWh": 6,
    "Kwh": 6,
    "KWH": 6,
    "kWH": 6,
    "MWh": 9,
    "MWH": 9,
}
"""Power of ten from a unit to mWh. `mWh` is not among them: too often it means MWh."""
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"([+-]?)([0-9]{1,40})(?:\.([0-9]{0,40}))?(?:[eE]([+-]?[0-9]{1,3}))?")


def unit_power(unit: str, what: str) -> int:
    """The power of ten from `unit` to mWh.

    Raises:
        UnitUnknown: not Wh, kWh or MWh.

    >>> unit_power("kWh", "a register")
    6
    """
    power = UNITS.get(unit)
    if power is None:
        raise UnitUnknown(f"{what} is in {shown(unit)}: have it sent in Wh, kWh or MWh")
    return power


def read_energy(text: str, unit: str, what: str) -> int:
    """Whole mWh, rounded down, of a decimal number in a unit (rule R2).

    Args:
        text: such as `001581.123`; spaces around it do not matter.
        unit: one of `UNITS`.
        what: names the value in an error.

    Raises:
        NumberUnreadable: no decimal number, below zero, or above `ENERGY_MWH_MAX`.
        UnitUnknown: not Wh, kWh or MWh.

    >>> read_energy("0.2596", "kWh", "RV")
    259600
    """
    return scaled_energy(text, unit_power(unit, what), what)


def scaled_energy(text: str, power: int, what: str) -> int:
    """Whole mWh, rounded down, of a decimal number times 10**power mWh (rule R2).

    >>> scaled_energy("1.2345", 3, "a register")
    1234
    """
    found = _NUMBER.fullmatch(text.strip(" ")) if len(text) <= NUMBER_TEXT_MAX else None
    if found is None:
        raise NumberUnreadable(f"{what}: {shown(text)} is no decimal number like 1234.567")
    sign, whole, part, exponent = found.groups(default="")
    digits = int(whole + part)
    shift = int(exponent or 0) - len(part) + power
    if digits and sign == "-":
        raise NumberUnreadable(f"{what}: {shown(text)} is below zero: energy only counts up")
    energy = digits * _ten_to(shift) if shift >= 0 else digits // _ten_to(-shift)
    if energy > ENERGY_MWH_MAX:
        raise NumberUnreadable(
            f"{what}: {shown(text)} is more than any register holds: check value and unit"
        )
    return energy


def whole_number(text: str, least: int, most: int) -> int | None:
    """The whole number from `least` to `most` that a text is, or None.

    >>> whole_number("-3", -10, 10), whole_number("3.0", 0, 10)
    (-3, None)
    """
    if _WHOLE.fullmatch(text) is None:
        return None
    number = int(text)
    return number if least <= number <= most else None


def _ten_to(power: int) -> int:
    # A text has fewer digits than that: beyond it all is too large or nothing is left, and an
    # exponent of a few characters must not fill the memory.
    return int(10 ** min(power, 2 * NUMBER_TEXT_MAX))

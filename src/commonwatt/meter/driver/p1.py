"""P1 telegrams of smart meters: DSMR 2.2 to 5 (Netherlands), eMUCs (Belgium) and their kin.

EasyMeter's D0 output (Germany), which is written in the same way, is read, too.

A telegram is text from `/` to `!`, since version 4 followed by a CRC16 of all of it. Registers
are those of all tariffs, 1.8.0 and 2.8.0, or else the sum of the single tariffs. Nothing is
signed: whoever reads the port vouches.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from commonwatt.meter.driver.energy import read_energy
from commonwatt.meter.driver.failure import (
    ChecksumWrong,
    FormatUnreadable,
    MessageCut,
    NumberUnreadable,
    ReadingsContradict,
    RegisterMissing,
    TimeUnreadable,
    shown,
)
from commonwatt.meter.driver.moment import from_local
from commonwatt.meter.driver.reading import Reading
from commonwatt.meter.driver.text import too_large
from commonwatt.quantity import SECONDS_PER_HOUR

TELEGRAM_BYTES_MAX = 16 * 1_024
"""The longest telegrams, with text messages and a year of peaks, have some 4 KB."""
CRC_SINCE = 40
"""Version 4.0 brought the check sum."""
CENTRAL_EUROPE_S = SECONDS_PER_HOUR
"""Winter time of the Netherlands, Belgium, Luxembourg, Sweden and most others, ahead of UTC."""
_LINE = re.compile(
    r"([0-9]{1,3}-[0-9]{1,3}:[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})(?:\*255)?((?:\([^()]*\))+)"
)
_ENERGY = re.compile(r"1-[0-9]{1,3}:([12])\.8\.([0-9]{1,2})")
_VALUE = re.compile(r"\(([^()*]*)\*([^()*]*)\)")
_UNCHECKED = re.compile(r"[0-9]{5}\.[0-9]{3}|[0-9]{8}\.[0-9]{7}")
"""How DSMR 2.2 and 3.0 and EasyMeter write a register: the width is all that shows a lost digit."""
_STAMP = re.compile(r"\(([0-9]{12})([SW])\)")
_VERSION = re.compile(r"\(([0-9]{1,6})\)")
_VERSION_DUTCH, _VERSION_BELGIAN = "1-3:0.2.8", "0-0:96.1.4"
_CLOCK = "0-0:1.0.0"
_EQUIPMENT = ("0-0:96.1.1", "0-0:96.1.0", "0-0:42.0.0", "0-0:96.1.255")
_POLYNOMIAL = 0xA001


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _crc_table()


def crc16(data: bytes) -> int:
    """CRC16 as P1 counts it: x^16 + x^15 + x^2 + 1, least significant bit first, from 0.

    >>> f"{crc16(b'123456789'):04X}"
    'BB3D'
    """
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


@dataclass(frozen=True, slots=True)
class Telegram:
    """A whole telegram, its check sum looked at."""

    identification: str
    """What follows the `/`: maker, type."""
    lines: Mapping[str, str]
    """Values in brackets by OBIS code."""
    checked: bool
    """Whether it had a check sum; those before version 4 have none."""


def read_telegram(data: bytes) -> Telegram:
    """Read one telegram from its `/` to the end of the line of its `!`.

    Raises:
        MessageTooLarge: more than `TELEGRAM_BYTES_MAX`.
        MessageCut: no end, or no check sum where the version has one.
        ChecksumWrong: it was damaged on the way.
        FormatUnreadable: not a P1 telegram.
        ReadingsContradict: one register twice.
    """
    if len(data) > TELEGRAM_BYTES_MAX:
        raise too_large("a P1 telegram", len(data), TELEGRAM_BYTES_MAX)
    if not data.startswith(b"/"):
        raise FormatUnreadable(f"{shown(data[:20])} begins no P1 telegram: it begins with '/'")
    body, mark, rest = data.partition(b"!")
    if not mark:
        raise MessageCut("a P1 telegram without its '!': read the line to its end")
    given = rest.strip()
    if given:
        _require_crc(body + mark, given)
    try:
        head, *rows = body.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise ChecksumWrong(
            "a P1 telegram with bytes that are no letters: check the cable and the line's speed"
        ) from None
    telegram = Telegram(head[1:].strip(), _lines(rows), checked=bool(given))
    if not given and _has_version_4(telegram):
        raise MessageCut("a P1 telegram without its check sum: read the line to its end")
    return telegram


def read_p1(data: bytes, received: int, winter_offset_s: int = CENTRAL_EUROPE_S) -> Reading:
    """The registers in one telegram.

    Args:
        data: from `/` to the check sum.
        received: UTC seconds, the time of telegrams before version 4, which have none.
        winter_offset_s: how far the meter's winter time is ahead of UTC; summer is an hour more.

    Raises:
        RegisterMissing: no 1.8.x and 2.8.x, or, without check sum, only one of two tariffs.
        TimeUnreadable: a time that does not say whether it is summer or winter time.
        NumberUnreadable, UnitUnknown, SourceUnusable: in its lines.
        MessageTooLarge, MessageCut, ChecksumWrong, FormatUnreadable, ReadingsContradict: see
            `read_telegram`.
    """
    telegram = read_telegram(data)
    registers: dict[str, dict[int, int]] = {"1": {}, "2": {}}
    for code, values in telegram.lines.items():
        found = _ENERGY.fullmatch(code)
        if found:
            energy = _energy(code, values, checked=telegram.checked)
            registers[found.group(1)][int(found.group(2))] = energy
    return Reading(
        source=_equipment(telegram),
        time=_time(telegram, received, winter_offset_s),
        import_mwh=_total(registers["1"], telegram, "1-0:1.8.0"),
        export_mwh=_total(registers["2"], telegram, "1-0:2.8.0"),
    )


def _require_crc(covered: bytes, given: bytes) -> None:
    expected = f"{crc16(covered):04X}"
    if given.decode("ascii", "replace").upper() != expected:
        raise ChecksumWrong(
            f"check sum {shown(given.decode('ascii', 'replace'))} of a P1 telegram, "
            f"{expected} computed: it was damaged or changed; wait for the next"
        )


def _lines(rows: list[str]) -> dict[str, str]:
    lines: dict[str, str] = {}
    for row in rows:
        found = _LINE.fullmatch(row.strip())
        if found is None:
            continue  # a value on a line of its own, as DSMR 2.2 writes gas, or an empty line
        code, values = found.groups()
        if code in lines and _ENERGY.fullmatch(code) and lines[code] != values:
            raise ReadingsContradict(
                f"{code} stands twice in a P1 telegram, as {shown(lines[code])} and "
                f"{shown(values)}: wait for the next"
            )
        lines.setdefault(code, values)
    return lines


def _has_version_4(telegram: Telegram) -> bool:
    if _VERSION_BELGIAN in telegram.lines:
        return True
    found = _VERSION.fullmatch(telegram.lines.get(_VERSION_DUTCH, ""))
    return found is not None and int(found.group(1)) >= CRC_SINCE


def _energy(code: str, values: str, *, checked: bool) -> int:
    found = _VALUE.fullmatch(values)
    if found is None:
        raise NumberUnreadable(f"{code} {shown(values)} is no value with its unit")
    if not checked and not _UNCHECKED.fullmatch(found.group(1)):
        raise NumberUnreadable(
            f"{code} {shown(values)}: without a check sum 5 digits and 3 decimals are expected, "
            "or 8 and 7, so some may be lost here; wait for the next telegram"
        )
    return read_energy(found.group(1), found.group(2), code)


def _total(registers: Mapping[int, int], telegram: Telegram, code: str) -> int | None:
    """All tariffs together; where no check sum protects the lines, both tariffs must be there."""
    if 0 in registers:
        return registers[0]
    if not registers:
        if not any(_ENERGY.fullmatch(line) for line in telegram.lines):
            raise RegisterMissing(
                "a P1 telegram without 1-0:1.8.x and 1-0:2.8.x: is it an electricity meter?"
            )
        return None
    if not telegram.checked and not {1, 2} <= registers.keys():
        raise RegisterMissing(
            f"of the tariffs of {code} one is missing in a telegram without check sum: "
            "wait for the next"
        )
    return sum(registers.values())


def _time(telegram: Telegram, received: int, winter_offset_s: int) -> int:
    values = telegram.lines.get(_CLOCK)
    if values is None:
        return received
    found = _STAMP.fullmatch(values)
    if found is None:
        raise TimeUnreadable(
            f"{_CLOCK} {shown(values)} does not say S for summer or W for winter time"
        )
    digits, season = found.groups()
    year, month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(0, 12, 2))
    try:
        local = datetime(2000 + year, month, day, hour, minute, second)  # noqa: DTZ001 - local
    except ValueError:
        raise TimeUnreadable(f"{_CLOCK} {shown(values)} is no day or time there is") from None
    offset = winter_offset_s + (SECONDS_PER_HOUR if season == "S" else 0)
    return from_local(local, offset, values, _CLOCK)


def _equipment(telegram: Telegram) -> str:
    """The meter's number: letters written as hex digits are read as letters."""
    for code in _EQUIPMENT:
        text = telegram.lines.get(code, "")[1:-1].strip()
        if text:
            return _letters(text)
    return telegram.identification


def _letters(text: str) -> str:
    try:
        decoded = bytes.fromhex(text).decode("ascii").strip()
    except ValueError:
        return text
    return decoded if decoded and decoded.isprintable() else text

"""Times as devices write them: only such that name their offset become UTC seconds."""

import re
from datetime import UTC, datetime, timedelta

from commonwatt.meter.driver.failure import TimeUnreadable, shown
from commonwatt.quantity import TIME_MAX

OFFSET_SECONDS_MAX = 15 * 3_600
"""No place on earth is further from UTC."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:[.,][0-9]{1,9})?"
    r" ?(?:(Z|z)|([+-])([0-9]{2}):?([0-9]{2}))?"
)


def utc_seconds(text: str, what: str) -> int:
    """UTC seconds of an ISO 8601 time that names its offset; fractions are cut off.

    Raises:
        TimeUnreadable: other texts, no offset, or a time before 1970 or in some thousand years.

    >>> utc_seconds("2018-07-24T13:22:04,000+0200", "TM")
    1532431324
    """
    local, offset = _parts(text, what)
    if offset is None:
        raise TimeUnreadable(
            f"{what}: {shown(text)} does not say its offset from UTC: "
            "write Z or an offset like +02:00 behind it"
        )
    return from_local(local, offset, text, what)


def has_offset(text: str, what: str) -> bool:
    """Whether an ISO 8601 time names its offset; raises `TimeUnreadable` for other texts."""
    return _parts(text, what)[1] is not None


def _parts(text: str, what: str) -> tuple[datetime, int | None]:
    found = _ISO.fullmatch(text)
    if found is None:
        raise TimeUnreadable(f"{what}: {shown(text)} is no time: write 2016-06-21T12:00:00Z")
    day, clock, zulu, sign, hours, minutes = found.groups()
    try:
        local = datetime.fromisoformat(f"{day}T{clock}")
    except ValueError:
        raise TimeUnreadable(f"{what}: {shown(text)} is no day or time there is") from None
    if zulu:
        return local, 0
    if sign is None:
        return local, None
    seconds = int(hours) * 3_600 + int(minutes) * 60
    return local, -seconds if sign == "-" else seconds


def from_local(local: datetime, offset: int, text: str, what: str) -> int:
    """UTC seconds of a time without zone that is `offset` seconds ahead of UTC."""
    seconds = (local.replace(tzinfo=UTC) - _EPOCH) // _SECOND - offset
    if abs(offset) > OFFSET_SECONDS_MAX:
        raise TimeUnreadable(f"{what}: {shown(text)} is further from UTC than any place")
    return in_range(seconds, what)


def in_range(seconds: int, what: str) -> int:
    """The seconds, if they lie between 1970 and the latest time that is read."""
    if not 0 <= seconds < TIME_MAX:
        raise TimeUnreadable(
            f"{what}: {seconds} s after 1970 is no time read here: check the clock"
        )
    return seconds

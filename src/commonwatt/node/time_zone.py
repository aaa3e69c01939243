"""Time zones by name, read from the machine's files."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from commonwatt.certificate.score import Calendar
from commonwatt.errors import InputError


class TimeZoneUnknown(InputError):
    """A name no time zone has."""


def calendar_of(name: str) -> Calendar:
    """The calendar of an IANA time zone, like Europe/Berlin; raises `TimeZoneUnknown`."""
    try:
        return Calendar(name, ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise TimeZoneUnknown(
            f"{name!r:.60} is no time zone: use an IANA name like Europe/Berlin or UTC"
        ) from None

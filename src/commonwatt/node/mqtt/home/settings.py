"""`home-assistant.toml` in a community's folder: which members' figures go to Home Assistant."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec

from commonwatt.errors import InputError
from commonwatt.node.mqtt.home.sensors import SENSORS
from commonwatt.node.mqtt.topics import ROOT, member_prefix
from commonwatt.node.time_zone import TimeZoneUnknown, calendar_of
from commonwatt.node.toml_file import read_toml

HOME_FILE = "home-assistant.toml"
FILE_BYTES_MAX = 1_000_000
TEXT_MAX = 200
_PREFIX = re.compile(r"[^/+#$\x00-\x1f\x7f][^+#\x00-\x1f\x7f]*[^/+#\x00-\x1f\x7f]|[A-Za-z0-9]")


class HomeSettingsUnusable(InputError):
    """Settings for Home Assistant that cannot be read, or that name what is not there."""


class MemberHome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One member's sensors."""

    member: Annotated[int, msgspec.Meta(ge=0)]
    """Its number in the community, from 0."""
    name: str = ""
    """Of the device in Home Assistant; "Energy community NAME" unless given."""
    prefix: str = ""
    """Above its topics; `commonwatt/NAME/members/MEMBER` unless given."""
    sensors: tuple[str, ...] = tuple(SENSORS)
    """Which; all unless given."""

    def prefix_in(self, community: str) -> str:
        """Above its topics."""
        return self.prefix or member_prefix(community, self.member)

    def name_in(self, community: str) -> str:
        """Of the device."""
        return self.name or f"Energy community {community}"


class HomeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of a community's."""

    zone: str = "UTC"
    """IANA name of the time zone in which "today" begins at midnight."""
    discovery_prefix: str = "homeassistant"
    """As set in Home Assistant."""
    members: tuple[MemberHome, ...] = ()


def read_home_settings(folder: Path) -> HomeSettings | None:
    """The settings in a community's folder; None where there are none.

    Raises:
        HomeSettingsUnusable: naming the file, the entry, and what to write instead.
    """
    path = folder / HOME_FILE
    if not path.exists():
        return None
    return read_toml(
        path,
        HomeSettings,
        HomeSettingsUnusable,
        most_bytes=FILE_BYTES_MAX,
        advice="see docs/home-assistant.md",
    )


def require_usable(settings: HomeSettings, community: str, members: int) -> None:
    """Check settings against the community they are for.

    Args:
        settings: to be checked.
        community: its name.
        members: how many it has.

    Raises:
        HomeSettingsUnusable: the first entry that cannot be meant.
    """
    try:
        calendar_of(settings.zone)
    except TimeZoneUnknown as error:
        raise HomeSettingsUnusable(f"zone: {error}") from None
    _require_topic("discovery_prefix", settings.discovery_prefix)
    seen: set[int] = set()
    for home in settings.members:
        where = f"member {home.member}"
        if home.member >= members:
            raise HomeSettingsUnusable(
                f"{where}: the community has {members} members, counted from 0"
            )
        if home.member in seen:
            raise HomeSettingsUnusable(f"{where}: is there twice; take one of the two out")
        seen.add(home.member)
        _require_own_place(home, community, where)
        _require_sensors(home, where)
    _require_apart(settings, community)


def _require_apart(settings: HomeSettings, community: str) -> None:
    """Whoever may read all below one prefix must not find another member's figures there."""
    places = [(home.prefix_in(community) + "/", home.member) for home in settings.members]
    # Sorted, what lies below a prefix comes right behind it.
    for (above, _), (prefix, member) in pairwise(
        sorted([*places, (settings.discovery_prefix + "/", -1)])
    ):
        if prefix.startswith(above):
            raise HomeSettingsUnusable(
                f"member {member}: prefix {prefix[:-1]!r:.80} is at or below {above[:-1]!r:.80}, "
                "which is somebody else's; choose another"
                if member >= 0
                else f"discovery_prefix {prefix[:-1]!r:.80} is below a member's prefix; change one"
            )


def _require_sensors(home: MemberHome, where: str) -> None:
    unknown = next((name for name in home.sensors if name not in SENSORS), None)
    if unknown is not None:
        raise HomeSettingsUnusable(f"{where}: sensor {unknown!r:.40}: use {', '.join(SENSORS)}")
    if len(home.name) > TEXT_MAX or not home.name.isprintable():
        raise HomeSettingsUnusable(f"{where}: name: use at most {TEXT_MAX} printable characters")


def _require_own_place(home: MemberHome, community: str, where: str) -> None:
    """A prefix is a topic, and not where records, answers or another member's figures are."""
    prefix = home.prefix_in(community)
    _require_topic(f"{where}: prefix", prefix)
    if prefix.startswith(f"{ROOT}/") and prefix != member_prefix(community, home.member):
        raise HomeSettingsUnusable(
            f"{where}: prefix {prefix!r:.80}: below {ROOT}/ only "
            f"{member_prefix(community, home.member)} is its own; choose another beginning"
        )


def _require_topic(what: str, topic: str) -> None:
    if not _PREFIX.fullmatch(topic) or len(topic.encode()) > TEXT_MAX or " " in topic:
        raise HomeSettingsUnusable(
            f"{what} {topic!r:.80}: use a topic like home/energy, at most {TEXT_MAX} bytes, "
            "without blanks, + and #, and without / or $ at its beginning"
        )

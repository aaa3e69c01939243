"""`home-assistant.toml`: what a member writes and cannot mean is told, with what to write."""

from pathlib import Path

import pytest

from commonwatt.node.mqtt.home.sensors import SENSORS
from commonwatt.node.mqtt.home.settings import (
    HOME_FILE,
    HomeSettings,
    HomeSettingsUnusable,
    read_home_settings,
    require_usable,
)

FULL = """
zone = "Europe/Berlin"
discovery_prefix = "homeassistant"

[[members]]
member = 1

[[members]]
member = 2
name = "Our home"
prefix = "our/home"
sensors = ["import", "bill_today"]
"""


def read(folder: Path, text: str) -> HomeSettings | None:
    (folder / HOME_FILE).write_text(text)
    return read_home_settings(folder)


def test_a_file_is_read_and_defaults_are_all_sensors_below_the_members_own_topic(
    tmp_path: Path,
) -> None:
    settings = read(tmp_path, FULL)
    assert settings is not None
    require_usable(settings, "street", 3)
    first, second = settings.members
    assert first.prefix_in("street") == "commonwatt/street/members/001"
    assert first.sensors == tuple(SENSORS)
    assert (second.prefix_in("street"), second.sensors) == ("our/home", ("import", "bill_today"))


def test_without_a_file_nobody_wants_it(tmp_path: Path) -> None:
    assert read_home_settings(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("members = 1", "members"),
        ("[[members]]\nmember = -1", "member"),
        ("[[members]]\nmembre = 1", "membre"),
        ("zone = ", "not TOML"),
        ("\x00", "not TOML"),
        ("# " + "x" * 1_000_000, "shorten it"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_entry(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(HomeSettingsUnusable, match=said) as refusal:
        read(tmp_path, text)
    assert HOME_FILE in str(refusal.value)


def test_a_folder_in_the_files_place_is_told(tmp_path: Path) -> None:
    (tmp_path / HOME_FILE).mkdir()
    with pytest.raises(HomeSettingsUnusable, match="cannot be read"):
        read_home_settings(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('zone = "Mars/Olympus"', "zone: 'Mars/Olympus' is no time zone"),
        ('discovery_prefix = "home/#"', "discovery_prefix"),
        ('discovery_prefix = ""', "discovery_prefix"),
        ("[[members]]\nmember = 3", "member 3: the community has 3 members"),
        ("[[members]]\nmember = 1\n[[members]]\nmember = 1", "member 1: is there twice"),
        ('[[members]]\nmember = 1\nprefix = "/a"', "member 1: prefix '/a'"),
        ('[[members]]\nmember = 1\nprefix = "a/"', "prefix"),
        ('[[members]]\nmember = 1\nprefix = "a+b"', "prefix"),
        ('[[members]]\nmember = 1\nprefix = "$SYS"', "prefix"),
        ('[[members]]\nmember = 1\nprefix = "a b"', "prefix"),
        ('[[members]]\nmember = 1\nprefix = "a\\u0000b"', "prefix"),
        ('[[members]]\nmember = 1\nprefix = "commonwatt/street/records"', "its own"),
        ('[[members]]\nmember = 1\nprefix = "commonwatt/street/members/002"', "its own"),
        (
            '[[members]]\nmember = 1\nprefix = "a"\n[[members]]\nmember = 2\nprefix = "a"',
            "member 2: prefix 'a' is at or below 'a'",
        ),
        (
            '[[members]]\nmember = 2\nprefix = "a"\n[[members]]\nmember = 1\nprefix = "a/b"',
            "member 1: prefix 'a/b' is at or below 'a'",
        ),
        ('[[members]]\nmember = 2\nprefix = "homeassistant/x"', "below 'homeassistant'"),
        ('discovery_prefix = "a/b"\n[[members]]\nmember = 2\nprefix = "a"', "discovery_prefix"),
        ('[[members]]\nmember = 1\nsensors = ["power"]', "sensor 'power': use import, export"),
        ('[[members]]\nmember = 1\nname = "a\\nb"', "name"),
    ],
)
def test_what_nobody_can_mean_is_refused_with_what_to_write(
    tmp_path: Path, text: str, said: str
) -> None:
    settings = read(tmp_path, text)
    assert settings is not None
    with pytest.raises(HomeSettingsUnusable, match=said):
        require_usable(settings, "street", 3)

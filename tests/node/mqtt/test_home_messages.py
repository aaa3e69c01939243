"""What announces a member's sensors is what Home Assistant documents."""

import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from commonwatt.node.mqtt.home.messages import announcements, state_topic
from commonwatt.node.mqtt.home.sensors import SENSORS
from commonwatt.node.mqtt.home.settings import HomeSettings, MemberHome, require_usable
from node.mqtt.home_assistant import flaws
from street import Street

STREET = Street()
DOCS = Path(__file__).parents[3] / "docs" / "home-assistant.md"


def announced(*homes: MemberHome, **settings: str) -> dict[str, dict]:
    found = announcements("street", STREET.community, HomeSettings(members=homes, **settings))
    return {topic: json.loads(text) for topic, text in found.items()}


def test_every_announcement_is_as_documented() -> None:
    found = announced(MemberHome(member=0), MemberHome(member=2, name="Zuhause", prefix="my/home"))
    assert len(found) == 2 * len(SENSORS)
    for topic, config in found.items():
        assert flaws(topic, config) == []
    ids = [config["unique_id"] for config in found.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("key", "device_class", "state_class", "unit"),
    [
        ("import", "energy", "total_increasing", "kWh"),
        ("export", "energy", "total_increasing", "kWh"),
        ("from_neighbours", "energy", "total_increasing", "kWh"),
        ("to_neighbours", "energy", "total_increasing", "kWh"),
        ("price_now", None, "measurement", "EUR/kWh"),
        ("price_next", None, None, "EUR/kWh"),
        ("earned_today", "monetary", "total", "EUR"),
        ("bill_today", "monetary", "total", "EUR"),
        ("green_share", None, "measurement", "%"),
        ("hourly_score", None, "measurement", "%"),
    ],
)
def test_each_sensor_has_the_class_that_home_assistant_counts_it_by(
    key: str, device_class: str | None, state_class: str | None, unit: str
) -> None:
    [config] = announced(MemberHome(member=1, sensors=(key,))).values()
    assert (config.get("device_class"), config.get("state_class")) == (device_class, state_class)
    assert config["unit_of_measurement"] == unit
    assert ("last_reset_value_template" in config) == (device_class == "monetary")


def test_a_member_is_one_device_and_its_sensors_share_one_state() -> None:
    found = announced(MemberHome(member=1), MemberHome(member=2)).values()
    devices = {json.dumps(config["device"], sort_keys=True) for config in found}
    assert len(devices) == 2
    states = {(c["device"]["identifiers"][0][-3:], c["state_topic"]) for c in found}
    assert states == {
        ("001", "commonwatt/street/members/001/state"),
        ("002", "commonwatt/street/members/002/state"),
    }


def test_prefixes_and_names_are_the_members_own_choice() -> None:
    home = MemberHome(member=1, name="하늘집", prefix="haneul/energy", sensors=("import",))
    [(topic, config)] = announced(home, discovery_prefix="ha").items()
    assert topic == "ha/sensor/commonwatt_street_001/import/config"
    assert config["device"]["name"] == "하늘집"
    assert config["state_topic"] == state_topic(home, "street") == "haneul/energy/state"


def test_another_founding_under_the_same_name_has_other_sensors() -> None:
    other = Street()
    other.community.__dict__.pop("roll", None)
    chain = other.community.chain
    object.__setattr__(other.community, "chain", type(chain)(1, *([b"Z" * 20] * 6)))
    settings = HomeSettings(members=(MemberHome(member=0, sensors=("import",)),))
    [before] = announcements("street", STREET.community, settings).values()
    [after] = announcements("street", other.community, settings).values()
    assert json.loads(before)["unique_id"] != json.loads(after)["unique_id"]


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        ({"state_class": "total_increasing", "device_class": "monetary"}, "impossible"),
        ({"state_class": "measurement"}, "impossible"),
        ({"unit_of_measurement": "kwh"}, "not valid"),
        ({"last_reset_value_template": "{{ value_json.day_began }}"}, "must be total"),
        ({"state_topic": ""}, "required"),
        ({"device": {"name": "nobody"}}, "identifiers"),
        ({"colour": "green"}, "not documented"),
        ({"suggested_display_precision": 1.5}, "float"),
        ({"origin": {"sw_version": "1"}}, "name is required"),
    ],
)
def test_the_check_itself_finds_what_is_not_as_documented(change: dict, flaw: str) -> None:
    [(topic, config)] = announced(MemberHome(member=0, sensors=("import",))).items()
    assert flaw in "; ".join(flaws(topic, config | change))


def test_every_sensor_is_explained_in_the_documentation_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", DOCS.read_text(), re.MULTILINE)
    explained = {key: name.strip() for key, name in rows if key in SENSORS}
    assert explained == {key: sensor.name for key, sensor in SENSORS.items()}


def test_every_setting_is_explained_and_the_example_can_be_read() -> None:
    page = DOCS.read_text(encoding="utf-8")
    chapter = page.partition("## Setting it up")[2].partition("\n## ")[0]
    explained = set(re.findall(r"^\| `(\w+)` \|", chapter, re.MULTILINE))
    names = {f.name for part in (HomeSettings, MemberHome) for f in msgspec.structs.fields(part)}
    assert explained == names - {"members"}
    [example] = re.findall(r"```toml\n(.*?)```", chapter, re.DOTALL)
    require_usable(msgspec.convert(tomllib.loads(example), HomeSettings), "street", 6)

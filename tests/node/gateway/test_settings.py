"""`gateway.toml`: what is written is read again, and what is wrong is named."""

import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.errors import InputError
from commonwatt.node.errors import FolderUnusable
from commonwatt.node.gateway.errors import GatewaySettingsUnusable
from commonwatt.node.gateway.feed import feeds_of
from commonwatt.node.gateway.settings import (
    GatewaySettings,
    MeterSettings,
    read_settings,
    settings_text,
    write_settings,
)

METER = MeterSettings(
    name="home", role="grid", source="p1", at="tcp://adapter:2001", devices=("E0031",)
)
SETTINGS = GatewaySettings(
    community="street", to="http://localhost:8080", ledger="00112233445566aa", meters=(METER,)
)
FULL = msgspec.structs.replace(
    METER,
    name="roof",
    role="generation",
    source="csv",
    at="/somewhere",
    counts="intervals",
    topics=("a/+/b", 'with "quotes" and \\'),
    reversed=True,
    rated_w=5_000,
    speed=9_600,
    bits="7E1",
    options={"columns": {"time": "Zeit ä", "a b": "c"}, "interval_s": 900, "names": ("x",)},
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(
        SETTINGS, meters=(METER, FULL), spool_records_max=7, retry_s_max=0.5, interval_s=300
    )
    write_settings(tmp_path, settings)
    assert read_settings(tmp_path) == settings
    assert (tmp_path / "gateway.toml").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["gateway.toml"]


@given(st.text(max_size=30), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_any_text_survives_the_file(text: str, table: dict[str, str]) -> None:
    meter = msgspec.structs.replace(
        METER, devices=(text,), at=text, options={"x": text, "table": table}
    )
    settings = msgspec.structs.replace(SETTINGS, meters=(meter,))
    again = msgspec.convert(tomllib.loads(settings_text(settings)), GatewaySettings)
    assert again == settings


def test_what_is_as_usual_is_left_out() -> None:
    lines = settings_text(SETTINGS).splitlines()
    assert [line.partition(" =")[0] for line in lines] == [
        "community", "to", "ledger", "", "[[meters]]", "name", "role", "source", "at", "devices",
    ]  # fmt: skip


WRONG = {
    "not TOML": ("community = ", "not TOML"),
    "not text": ("community = '\udcff'", "not TOML"),
    "a word too many": (settings_text(SETTINGS) + "colour = 1\n", "colour"),
    "no community": (settings_text(SETTINGS).partition("\n")[2], "community"),
    "a name with a slash": (settings_text(SETTINGS).replace("street", "a/b"), "a/b"),
    "a short ledger": (settings_text(SETTINGS).replace("00112233445566aa", "00"), "16 hex"),
    "a long interval": ("interval_s = 7200\n" + settings_text(SETTINGS), "7200"),
    "a role of its own": (settings_text(SETTINGS).replace('"grid"', '"car"'), "role"),
    "a meter without a device": (settings_text(SETTINGS).replace('["E0031"]', "[]"), "devices"),
    "a meter's name with a path": (settings_text(SETTINGS).replace('"home"', '"../x"'), "../x"),
    "a spool of nothing": ("spool_records_max = 0\n" + settings_text(SETTINGS), "spool_records"),
    "a wait of nothing": ("retry_s_max = 0\n" + settings_text(SETTINGS), "retry_s_max"),
    "a meter twice": (
        settings_text(SETTINGS) + "[[meters]]" + settings_text(SETTINGS).partition("[[meters]]")[2],
        "twice",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_wrong_settings_are_named_in_one_line(tmp_path: Path, fault: str) -> None:
    text, word = WRONG[fault]
    (tmp_path / "gateway.toml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(GatewaySettingsUnusable, match=r"gateway\.toml") as refusal:
        read_settings(tmp_path)
    assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_no_settings_and_too_large_ones_are_told(tmp_path: Path) -> None:
    with pytest.raises(GatewaySettingsUnusable, match="gateway init"):
        read_settings(tmp_path)
    (tmp_path / "gateway.toml").write_text("#" * 1_000_001)
    with pytest.raises(GatewaySettingsUnusable, match="larger"):
        read_settings(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(FolderUnusable, match="nowhere"):
        write_settings(tmp_path / "nowhere", SETTINGS)


def change(**fields: object) -> MeterSettings:
    return msgspec.structs.replace(METER, **fields)


def test_meters_that_are_read_in_the_same_way_share_a_feed() -> None:
    broker = "mqtt://localhost"
    meters = [
        change(name="a", source="shelly", at=broker, devices=("x",)),
        change(name="b", source="shelly", at=broker, devices=("y",)),
        change(name="c", source="tasmota", at=broker, devices=("x",)),
    ]
    feeds = feeds_of(meters)
    assert [[meter.name for meter in feed.meters] for feed in feeds] == [["a", "b"], ["c"]]
    assert "shellies/#" in feeds[0].topics
    assert len({feed.identity for feed in feeds}) == 2


@pytest.mark.parametrize(
    ("meters", "word"),
    [
        ([change(), change(name="other")], "two meters"),
        ([change(source="abacus")], "abacus"),
        ([change(options={"colour": "red"})], "colour"),
        ([change(at="tcp://adapter")], "tcp://HOST:PORT"),
        ([change(at="ftp://adapter")], "ftp"),
        ([change(at="mqtt://broker/path", source="shelly")], "mqtt://HOST"),
        ([change(at="tcp://broker:1883", source="shelly")], "speaks through a broker"),
        ([change(at="mqtt://broker")], "topics"),
        ([change(at="/nowhere/at/all")], "/nowhere"),
        ([change(at="/dev/ttyNOTHERE", speed=12_345)], "12345"),
        ([change(source="homeassistant", at="mqtt://broker")], "entities"),
    ],
)
def test_a_place_or_driver_that_is_none_is_named(meters: list[MeterSettings], word: str) -> None:
    with pytest.raises(InputError, match=word):
        feeds_of(meters)


def test_an_address_with_a_password_is_never_repeated() -> None:
    meters = [change(at="mqtt://user:tulip@broker/path", source="shelly")]
    with pytest.raises(InputError) as refusal:
        feeds_of(meters)
    assert "tulip" not in str(refusal.value)
    [feed] = feeds_of([change(at="mqtt://user:tulip@broker", source="shelly")])
    assert "tulip" not in feed.name + repr(feed.place)

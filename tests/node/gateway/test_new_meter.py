"""A meter's beginning: key, opening record, and what its operator needs."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from paho.mqtt import publish

from commonwatt.errors import InputError
from commonwatt.meter.keys import meter_id, verify
from commonwatt.meter.record import Kind, Quality, Record, SignedRecord
from commonwatt.node.gateway.errors import (
    AddressUnusable,
    GatewayBusy,
    GatewaySettingsUnusable,
    NodeUnusable,
    SourceSilent,
    VouchingKeyUnusable,
)
from commonwatt.node.gateway.first_reading import NewMeter
from commonwatt.node.gateway.gateway import FolderLock, Gateway
from commonwatt.node.gateway.new_meter import Begun, begin_meter, driver_options, settings_for
from commonwatt.node.gateway.settings import GatewaySettings, MeterSettings, read_settings
from commonwatt.node.gateway.spool import Spool
from mosquitto import Broker, running_mosquitto
from node.gateway.p1_device import NOON, P1Device
from node.gateway.stub_node import COMMUNITY, LEDGER, StubNode, over_http

SETTINGS = GatewaySettings(community=COMMUNITY, to="http://localhost:1", ledger=LEDGER.hex())
KWH = 1_000_000


def new(source: str, at: object, name: str = "home", **more: object) -> NewMeter:
    own = {key: more.pop(key) for key in list(more) if key in NewMeter.__dataclass_fields__}
    fields = {"name": name, "role": "grid", "source": source, "at": str(at), "devices": (), **more}
    return replace(NewMeter(msgspec.convert(fields, MeterSettings), wait_s=5.0), **own)


def begin(folder: Path, one: NewMeter, password: str | None = None) -> Begun:
    settings = SETTINGS
    if (folder / "gateway.toml").exists():
        settings = read_settings(folder)
    return asyncio.run(begin_meter(folder, settings, one, password))


def csv(folder: Path, *rows: str, name: str = "a.csv", head: str = "time,source") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join([head + ",import_wh,export_wh", *rows]) + "\n")
    return folder


def test_a_file_tells_device_and_registers(tmp_path: Path) -> None:
    files = csv(tmp_path / "in", "2016-06-21T12:07:00Z,m1,1000,5", "2016-06-21T12:20:00Z,m1,1100,5")
    begun = begin(tmp_path / "gw", new("csv", files))
    entry = begun.registration
    signed = SignedRecord(bytes.fromhex(entry.opening), bytes.fromhex(entry.signature))
    record = Record.decode(signed.record)
    assert verify(bytes.fromhex(entry.public_key), signed)
    assert record.meter == meter_id(bytes.fromhex(entry.public_key)) == begun.meter_id
    assert (record.sequence, record.time_end) == (0, NOON), "the end before it was read"
    assert (record.import_mwh, record.export_mwh) == (KWH, 5_000)
    assert record.quality == Quality.MEASURED | Quality.VOUCHED
    assert (record.kind, record.ledger, record.duration) == (Kind.REGISTERS, LEDGER, 900)
    assert msgspec.to_builtins(entry).keys() == {"public_key", "role", "opening", "signature"}
    [meter] = read_settings(tmp_path / "gw").meters
    assert (meter.devices, meter.counts) == (("m1",), "registers")
    assert (tmp_path / "gw" / "home.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "gw").stat().st_mode & 0o777 == 0o700


def test_since_leaves_out_what_was_before(tmp_path: Path) -> None:
    files = csv(tmp_path / "in", "2016-06-21T12:07:00Z,m1,1000,5", "2016-06-21T12:20:00Z,m1,1100,5")
    begun = begin(tmp_path / "gw", new("csv", files, since=NOON + 600))
    assert (begun.opening.time_end, begun.opening.import_mwh) == (NOON + 900, 1_100_000)


def test_intervals_begin_a_running_sum_where_somebody_says(tmp_path: Path) -> None:
    rows = ("2016-06-21T12:05:00Z,m1,300,10,0", "2016-06-21T12:10:00Z,m1,300,10,0")
    files = csv(tmp_path / "in", *rows, head="start,source,duration_s")
    begun = begin(tmp_path / "gw", new("csv", files, import_mwh=7 * KWH))
    assert begun.meter.counts == "intervals"
    assert (begun.opening.kind, begun.opening.time_end) == (Kind.INTERVAL_ONLY, NOON)
    assert (begun.opening.import_mwh, begun.opening.export_mwh) == (7 * KWH, 0)


def test_several_devices_in_a_file_have_to_be_told_apart(tmp_path: Path) -> None:
    files = csv(tmp_path / "in", "2016-06-21T12:00:00Z,m1,1,1", "2016-06-21T12:00:00Z,m2,2,2")
    with pytest.raises(GatewaySettingsUnusable, match=r"--device: 'm1', 'm2'"):
        begin(tmp_path / "gw", new("csv", files))
    for name in ("m1", "m2"):
        begin(tmp_path / "gw", new("csv", files, name=name, devices=(name,)))
    meters = read_settings(tmp_path / "gw").meters
    assert [meter.devices for meter in meters] == [("m1",), ("m2",)]
    with pytest.raises(GatewaySettingsUnusable, match="two meters"):
        begin(tmp_path / "gw", new("csv", files, name="again", devices=("m2",)))


def test_a_p1_port_is_listened_to(tmp_path: Path) -> None:
    device = P1Device()
    with device.on_socket() as at:
        begun = begin(tmp_path, new("p1", at))
    assert begun.meter.devices == ("E0031",)
    # The first whole telegram is the second: five minutes each.
    assert begun.opening.import_mwh == device.import_mwh(NOON + 600)
    assert begun.opening.time_end == NOON


def test_nobody_is_asked_where_everything_is_given(tmp_path: Path) -> None:
    given = {"import_mwh": 3 * KWH, "export_mwh": 0, "since": NOON + 100, "devices": ("E1",)}
    begun = begin(tmp_path, new("p1", "tcp://127.0.0.1:9", **given))
    assert (begun.opening.time_end, begun.opening.import_mwh) == (NOON, 3 * KWH)


def test_a_device_that_says_nothing_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceSilent, match="--import-kwh"):
        begin(tmp_path, new("p1", "tcp://127.0.0.1:9", wait_s=0.1))
    empty = csv(tmp_path / "in")
    (empty / "a.csv").unlink()
    with pytest.raises(SourceSilent, match="no reading came"):
        begin(tmp_path, new("csv", empty))
    assert not (tmp_path / "gateway.toml").exists()
    assert not (tmp_path / "home.pem").exists()


def test_a_register_that_is_missing_has_to_be_given_and_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").write_text("time,source,import_wh\n2016-06-21T12:00:00Z,m1,1\n")
    with pytest.raises(SourceSilent, match="--export-kwh"):
        begin(tmp_path / "gw", new("csv", folder))
    with pytest.raises(GatewaySettingsUnusable, match="leave --import-kwh away"):
        begin(tmp_path / "gw", new("csv", folder, import_mwh=1, export_mwh=0))
    assert begin(tmp_path / "gw", new("csv", folder, export_mwh=9)).opening.export_mwh == 9


def test_a_reversed_device_is_turned_at_the_beginning_too(tmp_path: Path) -> None:
    files = csv(tmp_path / "in", "2016-06-21T12:00:00Z,m1,1000,5")
    begun = begin(tmp_path / "gw", new("csv", files, reversed=True, role="generation"))
    assert (begun.opening.import_mwh, begun.opening.export_mwh) == (5_000, KWH)
    assert begun.registration.role == "generation"


@pytest.mark.parametrize("dies_at", ["open_meter", "write_settings"])
def test_whoever_was_interrupted_goes_on_and_signs_no_second_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    files, folder = csv(tmp_path / "in", "2016-06-21T12:00:00Z,m1,1000,5"), tmp_path / "gw"

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        if dies_at == "open_meter":
            broken.setattr(Spool, "open_meter", dies)
        else:
            broken.setattr("commonwatt.node.gateway.new_meter.write_settings", dies)
        with pytest.raises(KeyboardInterrupt):
            begin(folder, new("csv", files))
    key = (folder / "home.pem").read_bytes()
    # Meanwhile the register has moved on.
    files = csv(tmp_path / "in", "2016-06-21T13:00:00Z,m1,2000,5")
    begun = begin(folder, new("csv", files))
    assert (folder / "home.pem").read_bytes() == key
    assert begun.opening.import_mwh == (2 * KWH if dies_at == "open_meter" else KWH)
    gateway = Gateway(folder)
    [opening] = gateway.spool.openings().values()
    assert opening.signed.record.hex() == begun.registration.opening
    gateway.close()


def test_a_name_is_taken_once_and_a_key_is_never_written_over(tmp_path: Path) -> None:
    files, folder = csv(tmp_path / "in", "2016-06-21T12:00:00Z,m1,1000,5"), tmp_path / "gw"
    begin(folder, new("csv", files))
    key = (folder / "home.pem").read_bytes()
    with pytest.raises(GatewaySettingsUnusable, match="--name"):
        begin(folder, new("csv", files))
    (folder / "other.pem").write_text("somebody's own")
    csv(files, "2016-06-21T12:00:00Z,m2,1000,5", name="b.csv")
    with pytest.raises(VouchingKeyUnusable):
        begin(folder, new("csv", files, name="other", devices=("m2",)))
    assert (folder / "home.pem").read_bytes() == key
    assert (folder / "other.pem").read_text() == "somebody's own"


def test_a_folder_where_a_gateway_runs_is_left_alone(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(GatewayBusy):
        begin(tmp_path, new("p1", "tcp://127.0.0.1:9"))
    lock.close()
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(InputError, match="file"):
        begin(file, new("p1", "tcp://127.0.0.1:9"))


def test_a_password_encrypts_the_key(tmp_path: Path) -> None:
    files, folder = csv(tmp_path / "in", "2016-06-21T12:00:00Z,m1,1000,5"), tmp_path / "gw"
    begin(folder, new("csv", files), "tulip")
    assert "ENCRYPTED" in (folder / "home.pem").read_text()
    with pytest.raises(VouchingKeyUnusable, match="COMMONWATT_PASSWORD"):
        Gateway(folder)
    Gateway(folder, "tulip").close()


# Through a broker


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with running_mosquitto() as broker:
        yield broker


@contextmanager
def said_again_and_again(broker: Broker, *messages: tuple[str, object]) -> Iterator[None]:
    stopping = threading.Event()

    def say() -> None:
        while not stopping.wait(0.05):
            publish.multiple([(t, json.dumps(p), 0, False) for t, p in messages], port=broker.port)

    thread = threading.Thread(target=say)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def status(total: int) -> dict[str, object]:
    return {"id": 0, "total_act": total, "total_act_ret": 7.5}


def test_the_only_shelly_that_speaks_is_meant_and_several_are_told_apart(
    tmp_path: Path, broker: Broker
) -> None:
    one, other = ("shelly-a/status/emdata:0", status(50)), ("shelly-b/status/emdata:0", status(60))
    with said_again_and_again(broker, one):
        begun = begin(tmp_path, new("shelly", broker.url, wait_s=0.5))
        assert begun.meter.devices == ("shelly-a/emdata:0",)
        assert (begun.opening.import_mwh, begun.opening.export_mwh) == (50_000, 7_500)
    with said_again_and_again(broker, one, other):
        with pytest.raises(GatewaySettingsUnusable, match="'shelly-b/emdata:0'"):
            begin(tmp_path, new("shelly", broker.url, name="b", wait_s=0.5))
        named = new("shelly", broker.url, name="b", devices=("shelly-b/emdata:0",))
        assert begin(tmp_path, named).opening.import_mwh == 60_000


def test_registers_in_messages_of_their_own_are_put_together(
    tmp_path: Path, broker: Broker
) -> None:
    base = "shellies/em-1/emeter/0/"
    with said_again_and_again(broker, (base + "total", 12.5), (base + "total_returned", 3)):
        begun = begin(tmp_path, new("shelly", broker.url, wait_s=0.5))
    assert begun.meter.devices == ("em-1/emeter/0",)
    assert (begun.opening.import_mwh, begun.opening.export_mwh) == (12_500, 3_000)


def test_entities_of_home_assistant_are_the_devices(tmp_path: Path, broker: Broker) -> None:
    options = driver_options(
        "homeassistant", {"imports": "sensor.taken", "exports": "sensor.given", "unit": "kWh"}
    )
    base = "homeassistant/sensor/"
    with said_again_and_again(broker, (base + "taken/state", 4), (base + "given/state", 2)):
        begun = begin(tmp_path, new("homeassistant", broker.url, options=options))
    assert begun.meter.devices == ("sensor.taken", "sensor.given")
    assert (begun.opening.import_mwh, begun.opening.export_mwh) == (4 * KWH, 2 * KWH)
    assert read_settings(tmp_path).meters[0].options == options


# Options and settings


def test_options_of_a_driver_are_read_by_its_own_types() -> None:
    assert driver_options("p1", {"winter_offset_s": "0"}) == {"winter_offset_s": 0}
    assert driver_options("shelly", {"sum_phases": "true"}) == {"sum_phases": True}
    assert driver_options("ocmf", {"public_keys": "A:00,B:11"}) == {
        "public_keys": {"A": "00", "B": "11"}
    }
    for name, options in (
        ("abacus", {}),
        ("p1", {"colour": "red"}),
        ("p1", {"winter_offset_s": "soon"}),
        ("ocmf", {"public_keys": "A"}),
    ):
        with pytest.raises(InputError):
            driver_options(name, options)


def settings(folder: Path, **given: object) -> GatewaySettings:
    fields = dict.fromkeys(("community", "to", "node", "ledger", "interval_s"))
    return asyncio.run(settings_for(folder, **{**fields, **given}))


def test_the_node_is_asked_for_ledger_and_interval(tmp_path: Path) -> None:
    node = StubNode(tmp_path / "log", interval_s=300)
    with over_http(node) as (url, _):
        asked = settings(tmp_path, community=COMMUNITY, to=url)
        assert (asked.ledger, asked.interval_s) == (LEDGER.hex(), 300)
        through = settings(tmp_path, community=COMMUNITY, to="mqtt://broker", node=url)
        assert (through.to, through.ledger) == ("mqtt://broker", LEDGER.hex())
        with pytest.raises(NodeUnusable, match="no such community"):
            settings(tmp_path, community="elsewhere", to=url)
    with pytest.raises(NodeUnusable, match="no answer"):
        settings(tmp_path, community=COMMUNITY, to=url)
    node.close()


def test_what_a_new_gateway_needs_is_told(tmp_path: Path) -> None:
    with pytest.raises(GatewaySettingsUnusable, match="--community"):
        settings(tmp_path, to="http://node")
    with pytest.raises(GatewaySettingsUnusable, match="--ledger"):
        settings(tmp_path, community=COMMUNITY, to="mqtt://broker")
    with pytest.raises(AddressUnusable):
        settings(tmp_path, community=COMMUNITY, to="node:80", ledger=LEDGER.hex())
    with pytest.raises(GatewaySettingsUnusable, match="16 hex"):
        settings(tmp_path, community=COMMUNITY, to="http://node", ledger="12")
    given = settings(
        tmp_path, community=COMMUNITY, to="http://node", ledger=LEDGER.hex(), interval_s=60
    )
    assert given.interval_s == 60


def test_a_gateway_that_is_there_keeps_its_settings(tmp_path: Path) -> None:
    files, folder = csv(tmp_path / "in", "2016-06-21T12:00:00Z,m1,1000,5"), tmp_path / "gw"
    begin(folder, new("csv", files))
    assert settings(folder) == read_settings(folder)
    with pytest.raises(GatewaySettingsUnusable, match=COMMUNITY):
        settings(folder, community="other")

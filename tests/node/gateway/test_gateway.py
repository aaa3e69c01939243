"""A whole gateway in this process: from the device to the node, and with everything breaking."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from paho.mqtt import publish
from structlog.testing import capture_logs

from commonwatt.meter.driver import AnyReading
from commonwatt.meter.record import Quality, Record
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.gateway.errors import GatewayBusy, GatewaySettingsUnusable, NodeUnusable
from commonwatt.node.gateway.feed import Feed
from commonwatt.node.gateway.first_reading import NewMeter
from commonwatt.node.gateway.gateway import Gateway
from commonwatt.node.gateway.new_meter import Begun, begin_meter
from commonwatt.node.gateway.settings import (
    GatewaySettings,
    MeterSettings,
    read_settings,
    write_settings,
)
from commonwatt.quantity import time_text
from mosquitto import running_mosquitto
from node.gateway.p1_device import NOON, P1Device
from node.gateway.stub_node import (
    COMMUNITY,
    LEDGER,
    StubNode,
    assert_once_and_in_order,
    over_http,
)

MIDNIGHT, QUARTER = NOON - 43_200, 900
HEAD = "time,source,import_wh,export_wh"


def found_gateway(
    folder: Path, to: str, source: str, at: object, node: StubNode, **more: object
) -> Begun:
    """A gateway with one meter, registered at the node."""
    given = {key: more.pop(key) for key in list(more) if key in NewMeter.__dataclass_fields__}
    fields = {"name": "home", "role": "grid", "source": source, "at": str(at), "devices": ()}
    new = NewMeter(msgspec.convert({**fields, **more}, MeterSettings), **given)
    settings = GatewaySettings(community=COMMUNITY, to=to, ledger=LEDGER.hex(), retry_s_max=0.05)
    begun = asyncio.run(begin_meter(folder, settings, new))
    node.register(msgspec.to_builtins(begun.registration))
    return begun


def run(gateway: Gateway, until: Callable[[], bool], limit_s: float = 30.0) -> None:
    """Run until that holds."""

    async def work() -> None:
        running = asyncio.create_task(gateway.run())
        async with asyncio.timeout(limit_s):
            while not until():
                await asyncio.sleep(0.005)
                assert not running.done() or running.result()
            running.cancel()
            await asyncio.wait({running})

    try:
        asyncio.run(work())
    finally:
        gateway.close()


class WallClock:
    """A clock that tests set."""

    def __init__(self, wall: int) -> None:
        self.now, self.passed = wall, 0.0

    def wall(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.passed

    def go_on(self, seconds: int) -> None:
        self.now += seconds
        self.passed += seconds


def test_what_a_p1_port_counts_is_at_the_node(tmp_path: Path) -> None:
    node, device = StubNode(tmp_path / "log"), P1Device(every_s=0.002)
    with device.on_socket() as at, over_http(node) as (url, _):
        begun = found_gateway(tmp_path / "gw", url, "p1", at, node)
        run(Gateway(tmp_path / "gw"), lambda: len(node.records[begun.meter_id]) >= 96)
    records = node.records[begun.meter_id]
    assert_once_and_in_order(records, opening=begun.opening)
    assert all(record.quality & Quality.VOUCHED for record in records)
    for record in records:
        if record.quality & Quality.MEASURED:
            assert record.import_mwh == device.import_mwh(record.time_end)
    assert node.verdicts == {"accepted": len(records)}
    node.close()


def test_a_week_without_network_is_caught_up_with(tmp_path: Path) -> None:
    node, device = StubNode(tmp_path / "log"), P1Device(every_s=0.001, step_s=QUARTER)
    with device.on_socket() as at, over_http(node) as (url, weather):
        begun = found_gateway(tmp_path / "gw", url, "p1", at, node)
        weather.mood = "503"
        device.until = begun.opening.time_end + 7 * 86_400
        gateway = Gateway(tmp_path / "gw")

        def has_it_all() -> bool:
            last = gateway.signer._states[begun.meter_id].last_record
            return last.time_end == device.until

        run(gateway, has_it_all)
        assert node.records[begun.meter_id] == []
        weather.mood = "fine"
        # Another process, as after a power cut.
        again = Gateway(tmp_path / "gw")
        run(again, lambda: again.spool.count == 0)
    records = node.records[begun.meter_id]
    assert_once_and_in_order(records, opening=begun.opening)
    assert len(records) > 6 * 96
    assert records[-1].time_end == device.until
    assert records[-1].import_mwh == device.import_mwh(device.until)
    node.close()


def test_files_dropped_into_a_folder_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commonwatt.node.gateway.gateway.POLL_S", 0.01)
    node, inbox = StubNode(tmp_path / "log"), tmp_path / "in"
    inbox.mkdir()

    def drop(name: str, first: int, count: int) -> None:
        rows = [f"{stamp(first + n)},m1,{1_000 + (first + n) * 10},0" for n in range(count)]
        (inbox / f"{name}.part").write_text("\n".join([HEAD, *rows]) + "\n")
        (inbox / f"{name}.part").rename(inbox / name)

    drop("a.csv", 0, 10)
    with over_http(node) as (url, _):
        begun = found_gateway(tmp_path / "gw", url, "csv", inbox, node)
        records = node.records[begun.meter_id]
        with capture_logs() as logs:
            steps = iter([9, 19, 29])

            def until() -> bool:
                nonlocal wanted
                if len(records) < wanted:
                    return False
                if wanted == 29:
                    return True
                drop(f"{wanted}.csv", wanted, 11)  # the last row of the one before, too
                wanted = next(steps)
                return False

            wanted = next(steps)
            run(Gateway(tmp_path / "gw"), until)
            again = Gateway(tmp_path / "gw")
            run(again, lambda: again._feeds[0].driver is not None)
    assert [log["file"] for log in logs if log["event"] == "file_read"] == [
        "a.csv", "9.csv", "19.csv",
    ]  # fmt: skip
    assert_once_and_in_order(records, opening=begun.opening)
    assert len(records) == 29
    node.close()


def stamp(number: int) -> str:
    return time_text(MIDNIGHT + number * QUARTER)


def test_a_file_larger_than_the_spool_goes_through_it_in_parts(tmp_path: Path) -> None:
    node, inbox = StubNode(tmp_path / "log"), tmp_path / "in"
    inbox.mkdir()
    rows = [f"{stamp(n)},m1,{n * 10},0" for n in range(500)]
    (inbox / "a.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    with over_http(node) as (url, weather):
        begun = found_gateway(tmp_path / "gw", url, "csv", inbox, node)
        settings = msgspec.structs.replace(read_settings(tmp_path / "gw"), spool_records_max=100)
        write_settings(tmp_path / "gw", settings)
        gateway = Gateway(tmp_path / "gw")
        assert asyncio.run(gateway.run_once()) == 0
        gateway.close()
        assert weather.requests >= 5
    assert len(node.records[begun.meter_id]) == 499
    node.close()


def test_a_node_that_is_away_ends_a_single_run_and_the_next_goes_on(tmp_path: Path) -> None:
    node, inbox = StubNode(tmp_path / "log"), tmp_path / "in"
    inbox.mkdir()
    rows = [f"{stamp(n)},m1,{n * 10},0" for n in range(20)]
    (inbox / "a.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    with over_http(node) as (url, weather):
        begun = found_gateway(tmp_path / "gw", url, "csv", inbox, node)
        weather.mood = "cut"
        gateway = Gateway(tmp_path / "gw")
        with pytest.raises(NodeUnusable, match="19 records wait"):
            asyncio.run(gateway.run_once())
        gateway.close()
        weather.mood = "fine"
        gateway = Gateway(tmp_path / "gw")
        assert asyncio.run(gateway.run_once()) == 0
        gateway.close()
    assert_once_and_in_order(node.records[begun.meter_id], opening=begun.opening)
    assert len(node.records[begun.meter_id]) == 19
    node.close()


def test_a_shelly_is_read_by_the_gateways_own_clock_which_may_be_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, clock = StubNode(tmp_path / "log"), WallClock(NOON)
    topic = "shelly-1/status/emdata:0"
    with running_mosquitto() as broker, over_http(node) as (url, _):
        given = {"import_mwh": 0, "export_mwh": 0, "since": NOON}
        begun = found_gateway(
            tmp_path / "gw", url, "shelly", broker.url, node,
            devices=("shelly-1/emdata:0",), **given,
        )  # fmt: skip
        gateway = Gateway(tmp_path / "gw", clock=clock)
        records = node.records[begun.meter_id]
        take, taken, sent = gateway._take, [-1], 0

        def taking(feed: Feed, readings: tuple[AnyReading, ...]) -> None:
            take(feed, readings)
            taken.extend(reading.import_mwh // 10_000 for reading in readings)

        monkeypatch.setattr(gateway, "_take", taking)

        def until() -> bool:
            # A message a minute; after two hours the clock is set back by one.
            nonlocal sent
            if taken[-1] == sent:
                clock.go_on(60)
                sent += 1
                if sent == 120:
                    clock.now -= 3_600
            if sent == 0 or taken[-1] == sent - 1:
                status = b'{"id": 0, "total_act": %d, "total_act_ret": 0}' % (10 * sent)
                publish.single(topic, status, qos=1, port=broker.port)
            return len(records) >= 12

        run(gateway, until)
    assert_once_and_in_order(records, opening=begun.opening)
    flagged = [bool(r.quality & Quality.CLOCK_NOT_SYNCHRONISED) for r in records]
    assert flagged.index(True) == 7
    assert flagged.count(True) == 1, "the one that carries the hour's energy twice over"
    node.close()


def test_a_full_disk_is_said_and_what_was_counted_meanwhile_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, device = StubNode(tmp_path / "log"), P1Device(every_s=0.002)
    with device.on_socket() as at, over_http(node) as (url, _):
        begun = found_gateway(tmp_path / "gw", url, "p1", at, node)
        gateway = Gateway(tmp_path / "gw")
        keep, answer, full = gateway.spool.keep, gateway.spool.answer, [False]
        records = node.records[begun.meter_id]

        def fails(write: Callable[..., None]) -> Callable[..., None]:
            def tried(*words: object) -> None:
                if full[0]:
                    raise DatabaseUnusable("spool.sqlite", "database or disk is full")
                write(*words)

            return tried

        monkeypatch.setattr(gateway.spool, "keep", fails(keep))
        monkeypatch.setattr(gateway.spool, "answer", fails(answer))
        seen: list[int] = []

        def until() -> bool:
            if not seen and len(records) >= 5:
                full[0] = True
                seen.append(device.time)
            if full[0] and device.time > seen[0] + 20 * QUARTER:
                full[0] = False
            return bool(seen) and not full[0] and len(records) >= 12

        with capture_logs() as logs:
            run(gateway, until)
    assert "spool_unusable" in {log["event"] for log in logs}
    assert_once_and_in_order(records, opening=begun.opening)
    for record in records:
        if record.quality & Quality.MEASURED:
            assert record.import_mwh == device.import_mwh(record.time_end)
    node.close()


def test_two_gateways_in_one_folder_are_one_too_many(tmp_path: Path) -> None:
    node, device = StubNode(tmp_path / "log"), P1Device()
    with device.on_socket() as at:
        found_gateway(tmp_path / "gw", "http://127.0.0.1:9", "p1", at, node)
        gateway = Gateway(tmp_path / "gw")
        with pytest.raises(GatewayBusy, match="another gateway"):
            Gateway(tmp_path / "gw")
        gateway.close()
        Gateway(tmp_path / "gw").close()
    node.close()


def test_settings_that_left_their_meters_behind_are_told(tmp_path: Path) -> None:
    node, device = StubNode(tmp_path / "log"), P1Device()
    folder = tmp_path / "gw"
    with device.on_socket() as at:
        found_gateway(folder, "http://127.0.0.1:9", "p1", at, node)
    settings = read_settings(folder)
    for change, word in (
        ({"ledger": "ff" * 8}, "began on ledger"),
        ({"interval_s": 300}, "intervals of 900 s"),
        ({"meters": ()}, "no meters"),
    ):
        write_settings(folder, msgspec.structs.replace(settings, **change))
        with pytest.raises(GatewaySettingsUnusable, match=word):
            Gateway(folder)
    write_settings(folder, settings)
    (folder / "spool.sqlite").unlink()
    with pytest.raises(GatewaySettingsUnusable, match="no opening record"):
        Gateway(folder)
    node.close()


def test_a_single_run_is_for_files(tmp_path: Path) -> None:
    node, device = StubNode(tmp_path / "log"), P1Device()
    with device.on_socket() as at:
        found_gateway(tmp_path / "gw", "http://127.0.0.1:9", "p1", at, node)
        gateway = Gateway(tmp_path / "gw")
        with pytest.raises(GatewaySettingsUnusable, match="--once"):
            asyncio.run(gateway.run_once())
        gateway.close()
    node.close()


def test_what_a_device_garbles_is_said_once_until_it_is_right_again(tmp_path: Path) -> None:
    node, inbox = StubNode(tmp_path / "log"), tmp_path / "in"
    inbox.mkdir()
    (inbox / "a.csv").write_text(f"{HEAD}\n2016-06-21T12:00:00Z,m1,1,1\n")
    found_gateway(tmp_path / "gw", "http://127.0.0.1:9", "csv", inbox, node)
    for name in ("b", "c"):
        (inbox / f"{name}.csv").write_text(f"{HEAD}\nyesterday,m1,1,1\n")
    gateway = Gateway(tmp_path / "gw")
    with capture_logs() as logs:
        asyncio.run(gateway.run_once())
    gateway.close()
    said = [log for log in logs if log["event"] == "message_unreadable"]
    assert len(said) == 1
    assert "yesterday" in said[0]["why"]
    assert Record.decode(gateway.signer._states.popitem()[1].last).sequence == 0
    node.close()

"""A meter whose device was exchanged: its registers go on, and one record says it."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from commonwatt.meter.driver import Reading
from commonwatt.meter.record import Kind, Quality
from commonwatt.node.gateway import restate
from commonwatt.node.gateway.errors import ExchangeUnusable, GatewayBusy, GatewaySettingsUnusable
from commonwatt.node.gateway.gateway import FolderLock
from commonwatt.node.gateway.key_file import write_key
from commonwatt.node.gateway.registers import Exchange
from commonwatt.node.gateway.restate import Shown, exchange_meter
from commonwatt.node.gateway.settings import GatewaySettings, read_settings, write_settings
from node.gateway.bench_of_meters import KWH, NOON, QUARTER, Bench, meter
from node.gateway.stub_node import COMMUNITY, LEDGER

FINAL = Shown(KWH + 50_000, KWH)
"""50 Wh above the opening."""
START = Shown(7_000, 2_000)
THEN = NOON + 5 * QUARTER + 60


def bench(folder: Path, **more: object) -> Bench:
    """A gateway's folder with one meter that was read until 12:15."""
    one = meter("home", **more)
    found = Bench(folder, one)
    write_settings(
        folder,
        GatewaySettings(
            community=COMMUNITY,
            to="http://127.0.0.1:9",
            ledger=LEDGER.hex(),
            meters=(one.settings,),
        ),
    )
    write_key(folder / "home.pem", one.key, None)
    return found


def exchange(folder: Path, final: Shown = FINAL, start: Shown = START, **more: object) -> Exchange:
    return exchange_meter(folder, "home", **{"final": final, "start": start, "time": THEN, **more})


def again(folder: Path, **more: object) -> Bench:
    """The gateway started again, as after a kill."""
    return Bench(folder, meter("home", **more))


def read(one: Bench, time: int, into: int, out: int = START.export_mwh) -> int:
    """What the new device says."""
    one.signer.look_at_clock(time, float(time))
    [key] = [m.key.meter for m in one.meters]
    return one.signer.take({"home": key}, [Reading("home", time, into, out)])


def test_registers_go_on_and_exactly_one_record_says_that_the_device_was_exchanged(
    tmp_path: Path,
) -> None:
    one = bench(tmp_path)
    one.fill(4)
    one.close()
    exchange(tmp_path)
    one = again(tmp_path)
    for number in (6, 7):
        assert read(one, NOON + number * QUARTER, 7_000 + (number - 5) * 3_000) == 1
        one.close()
        one = again(tmp_path)  # killed after each record
    *_, last, exchanged, after = one.records()
    assert (exchanged.kind, after.kind) == (Kind.METER_EXCHANGE, Kind.REGISTERS)
    assert (exchanged.import_mwh, exchanged.export_mwh) == (KWH + 53_000, KWH)
    assert after.import_mwh == KWH + 56_000
    assert exchanged.sequence == last.sequence + 1
    assert exchanged.quality == Quality.MEASURED | Quality.VOUCHED
    one.close()


def test_it_stays_due_until_a_record_is_signed_however_often_the_gateway_is_killed(
    tmp_path: Path,
) -> None:
    one = bench(tmp_path)
    one.fill(4)
    one.close()
    exchange(tmp_path)
    for second in (0, 10, 20):
        one = again(tmp_path)
        read(one, NOON + 6 * QUARTER - 100 + second, 8_000)
        one.signer.keep()
        one.close()
    one = again(tmp_path)
    assert read(one, NOON + 6 * QUARTER, 9_000) == 1
    assert one.records()[-1].kind == Kind.METER_EXCHANGE
    one.close()


def test_said_twice_it_changes_nothing_and_a_slip_can_be_put_right_until_it_is_signed(
    tmp_path: Path,
) -> None:
    bench(tmp_path).close()
    slip = exchange(tmp_path, start=Shown(1_000, 2_000))
    made = exchange(tmp_path)
    assert made.offset.import_mwh == slip.offset.import_mwh - 6_000
    assert exchange(tmp_path, time=THEN + 50) == made
    one = again(tmp_path)
    read(one, NOON + 6 * QUARTER, 9_000)
    one.close()
    assert exchange(tmp_path) == made, "also after its record"
    one = again(tmp_path)
    read(one, NOON + 7 * QUARTER, 10_000)
    assert [record.kind for record in one.records()] == [Kind.METER_EXCHANGE, Kind.REGISTERS]
    assert one.records()[-1].import_mwh == KWH + 53_000
    one.close()


def test_a_second_exchange_comes_on_top_of_the_first(tmp_path: Path) -> None:
    bench(tmp_path).close()
    exchange(tmp_path)
    one = again(tmp_path)
    read(one, NOON + 6 * QUARTER, 9_000)
    one.close()
    exchange(tmp_path, Shown(9_500, 2_000), Shown(900_000_000, 0), time=NOON + 6 * QUARTER + 30)
    one = again(tmp_path)
    assert one.signer._states[one.meters[0].key.meter].offset.import_mwh < 0, "a used device"
    read(one, NOON + 7 * QUARTER, 900_000_100, 4)
    last = one.records()[-1]
    assert (last.kind, last.import_mwh, last.export_mwh) == (
        Kind.METER_EXCHANGE,
        KWH + 52_600,
        KWH + 4,
    )
    one.close()


def test_a_reading_of_the_old_device_that_comes_late_is_passed_over_and_said(
    tmp_path: Path,
) -> None:
    one = bench(tmp_path)
    one.fill(4)
    one.close()
    exchange(tmp_path)
    one = again(tmp_path)
    with capture_logs() as logs:
        assert read(one, NOON + 5 * QUARTER, KWH + 49_000, KWH) == 0
    assert "before the exchange" in logs[0]["why"]
    assert read(one, NOON + 6 * QUARTER, 9_000) == 1
    assert one.records()[-1].import_mwh == KWH + 52_000
    one.close()


def test_a_reversed_meter_is_exchanged_by_what_its_display_says(tmp_path: Path) -> None:
    bench(tmp_path, reversed=True).close()
    exchange(tmp_path, Shown(KWH + 10, KWH + 20), Shown(1, 2))
    one = again(tmp_path, reversed=True)
    read(one, NOON + 6 * QUARTER, 5, 7)
    last = one.records()[-1]
    assert (last.import_mwh, last.export_mwh) == (KWH + 25, KWH + 14)
    one.close()


def test_the_new_device_may_have_a_name_of_its_own(tmp_path: Path) -> None:
    bench(tmp_path).close()
    exchange(tmp_path, devices=("E0099",))
    assert read_settings(tmp_path).meters[0].devices == ("E0099",)


def test_whoever_is_killed_before_the_new_name_is_written_says_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench(tmp_path).close()

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(restate, "write_settings", dies)
        with pytest.raises(KeyboardInterrupt):
            exchange(tmp_path, devices=("E0099",))
    exchange(tmp_path, devices=("E0099",))
    assert read_settings(tmp_path).meters[0].devices == ("E0099",)
    one = again(tmp_path)
    assert len(one.spool.exchanges(one.meters[0].key.meter)) == 1
    one.close()


def test_final_readings_below_what_was_read_are_refused_with_both(tmp_path: Path) -> None:
    one = bench(tmp_path)
    one.fill(6)
    one.close()
    with pytest.raises(ExchangeUnusable, match=r"final import of 1\.050000 .* 1\.060000 kWh that"):
        exchange(tmp_path, time=NOON + 6 * QUARTER)
    with pytest.raises(ExchangeUnusable, match=r"final export of 0\.900000 kWh"):
        exchange(tmp_path, Shown(2 * KWH, 900_000), time=NOON + 6 * QUARTER)
    one = again(tmp_path)
    assert one.spool.exchanges(one.meters[0].key.meter) == []
    one.close()


def test_an_exchange_before_what_counts_already_is_refused_with_both_times(tmp_path: Path) -> None:
    one = bench(tmp_path)
    one.fill(6)
    one.close()
    final = Shown(KWH + 70_000, KWH)
    with pytest.raises(ExchangeUnusable, match=r"of 2016-06-21T13:16:00Z, but .*T13:30:00Z counts"):
        exchange(tmp_path, final)
    made = exchange(tmp_path, final, time=NOON + 6 * QUARTER)
    one = again(tmp_path)
    read(one, made.offset.time + 60, 7_500)
    one.signer.keep()
    one.close()
    slip = Shown(KWH + 71_000, KWH)
    again_said = exchange(tmp_path, slip, time=made.offset.time)
    assert again_said.offset.import_mwh == made.offset.import_mwh + 1_000, "not signed yet"


def test_registers_beyond_what_a_record_is_given_are_refused(tmp_path: Path) -> None:
    bench(tmp_path).close()
    exchange(tmp_path, Shown(2**63 - 1, KWH), Shown(0, 0))
    one = again(tmp_path)
    read(one, NOON + 6 * QUARTER, 0, 0)
    one.close()
    with pytest.raises(ExchangeUnusable, match="more than a record is given"):
        exchange(tmp_path, Shown(5, 5), Shown(1, 1), time=NOON + 6 * QUARTER)


def test_what_cannot_be_exchanged_is_named(tmp_path: Path) -> None:
    bench(tmp_path, counts="intervals").close()
    with pytest.raises(ExchangeUnusable, match="no registers, so an exchange needs no offset"):
        exchange(tmp_path)
    with pytest.raises(GatewaySettingsUnusable, match="name one of its own: home"):
        exchange_meter(tmp_path, "shed", final=FINAL, start=START, time=THEN)


def test_while_the_gateway_runs_it_is_refused(tmp_path: Path) -> None:
    bench(tmp_path).close()
    lock = FolderLock(tmp_path)
    try:
        with pytest.raises(GatewayBusy, match="its gateway runs; stop it, say the exchange again"):
            exchange(tmp_path)
        with pytest.raises(GatewaySettingsUnusable, match="name one of its own: home"):
            exchange_meter(tmp_path, "shed", final=FINAL, start=START, time=THEN)
    finally:
        lock.close()


def test_a_register_that_fell_is_said_with_what_to_do(tmp_path: Path) -> None:
    one = bench(tmp_path)
    one.fill(4)
    with capture_logs() as logs:
        one.read(NOON + 5 * QUARTER, 10)
    assert "commonwatt gateway exchange FOLDER home" in logs[0]["do"]
    one.close()

"""`commonwatt gateway correct` and `exchange`, as a person calls them."""

from pathlib import Path

import pytest

from commandline import commonwatt
from commonwatt.meter.record import Kind, Quality
from commonwatt.quantity import time_text
from in_process import here
from node.gateway.bench_of_meters import NOON, QUARTER
from node.gateway.stub_node import COMMUNITY, LEDGER, StubNode, over_http
from node.gateway.test_exchange import bench

REGISTERS = (
    "--final-import-kwh", "1.05", "--final-export-kwh", "0",
    "--start-import-kwh", "0.5", "--start-export-kwh", "0",
)  # fmt: skip


def drop(inbox: Path, name: str, *rows: tuple[int, str, int]) -> None:
    lines = [f"{time_text(NOON + number * QUARTER)},{device},{wh},0" for number, device, wh in rows]
    (inbox / name).write_text("\n".join(["time,source,import_wh,export_wh", *lines]) + "\n")


def test_a_record_is_corrected_and_a_device_exchanged(tmp_path: Path) -> None:
    node, inbox, folder = StubNode(tmp_path / "log"), tmp_path / "in", tmp_path / "gw"
    inbox.mkdir()
    drop(inbox, "a.csv", *((number, "old", 1_000 + 10 * number) for number in range(5)))
    with over_http(node) as (url, _):
        begun = commonwatt(
            "gateway", "init", folder, "--source", "csv", "--at", inbox, "--community", COMMUNITY,
            "--to", url, "--ledger", LEDGER.hex(), "--name", "home",
        )  # fmt: skip
        assert begun.code == 0, begun.err
        meter = node.register(begun.json)
        assert commonwatt("gateway", "run", folder, "--once").code == 0
        corrected = commonwatt(
            "gateway", "correct", folder, "home", "--end", "2016-06-21T12:30Z",
            "--import-kwh", "1.025", "--export-kwh", "0",
        )  # fmt: skip
        assert corrected.code == 0, corrected.err
        assert "record 2 until 2016-06-21T12:30:00Z is corrected to 1.025000 kWh" in corrected.out
        assert "goes again after at most 300 s" in corrected.out
        shown = commonwatt("gateway", "show", folder)
        assert "1 of them corrections: sent once the gateway runs, then every 300 s" in shown.out
        exchanged = commonwatt(
            "gateway", "exchange", folder, "home", *REGISTERS, "--at", "2016-06-21T13:05Z",
            "--device", "new",
        )  # fmt: skip
        assert exchanged.code == 0, exchanged.err
        assert "0.550000 kWh in, 0.000000 kWh out" in exchanged.out
        assert "refuses record 5 as OVER_CAPACITY; its operator can release it" in exchanged.out
        drop(inbox, "b.csv", (5, "new", 505), (6, "new", 515))
        done = commonwatt("gateway", "run", folder, "--once")
        assert done.code == 0, done.err
        assert "correction_taken" in done.err
        shown = commonwatt("gateway", "show", folder)
        assert "0.550000 kWh in, 0.000000 kWh out of this are added" in shown.out
    newest = node.newest(meter)
    assert [record.sequence for record in newest] == [1, 2, 3, 4, 5, 6]
    assert [record.import_mwh // 1_000 for record in newest] == [1010, 1025, 1030, 1040, 1055, 1065]
    assert newest[1].kind == Kind.CORRECTION
    assert newest[1].quality == Quality.MANUAL | Quality.VOUCHED
    assert [record.kind for record in newest[4:]] == [Kind.METER_EXCHANGE, Kind.REGISTERS]
    node.close()


@pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens:UserWarning")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("exchange", "{}", "home", *REGISTERS, "--at", "2999-01-01T00:00Z"), "still to come"),
        (("exchange", "{}", "shed", *REGISTERS), "name one of its own: home"),
        (("exchange", "{}", "home", *REGISTERS[:-1], "-1"), "--start-export-kwh"),
        (
            ("correct", "{}", "home", "--end", "noon", "--import-kwh", "1", "--export-kwh", "1"),
            "noon",
        ),
        (
            ("correct", "{}", "home", "--end", "2016-06-21T12:15Z", "--import-kwh", "x",
             "--export-kwh", "1"),
            "--import-kwh",
        ),
        (
            ("correct", "{}", "home", "--end", "2016-06-21T12:15Z", "--import-kwh", "1",
             "--export-kwh", "1"),
            "let it run first",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_restated_is_said_in_one_line(
    tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    bench(tmp_path).close()
    answer = here("gateway", *(word.format(tmp_path) for word in words))
    assert answer.code == 2
    assert len(answer.err.strip().splitlines()) == 1, answer.err
    assert expected in answer.err

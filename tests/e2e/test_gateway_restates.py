"""A wrong reading and an exchanged device, from the gateway's commands to the audit."""

import json
import time
from pathlib import Path

from commandline import commonwatt
from commonwatt.meter.record import Kind, Record
from commonwatt.quantity import time_text
from e2e.test_faults_network import QUARTER, Gateway, told
from network import Proxy
from served import Node, serving

QUARTERS = 12


def test_a_correction_and_an_exchanged_device_reach_the_audit(tmp_path: Path) -> None:
    begun = (int(time.time()) // QUARTER - QUARTERS) * QUARTER
    node = Node(
        tmp_path / "node", "--name", "lane", "--members", 2, "--first-start", time_text(begun)
    )
    with Proxy.to(node.port) as network:
        gateway = Gateway(tmp_path / "gateway", node, network, begun)
        folder = tmp_path / "gateway" / "gw"
        with serving(node):
            with gateway.running():
                gateway.drop(1, 5)
                gateway.await_closed(4)
                # The roof's meter said 1.2 kWh; its display said less.
                told(
                    "gateway", "correct", folder, "roof", "--end", time_text(begun + 2 * QUARTER),
                    "--import-kwh", "1.15", "--export-kwh", "0",
                )  # fmt: skip
                gateway.drop(5, 9)
                gateway.await_closed(8)
                gateway.await_waiting(0)
            told(
                "gateway", "exchange", folder, "cellar",
                "--final-import-kwh", "1.8", "--final-export-kwh", "0.4",
                "--start-import-kwh", "0", "--start-export-kwh", "0",
                "--at", time_text(begun + 8 * QUARTER + 60),
            )  # fmt: skip
            with gateway.running():
                gateway.drop(9, QUARTERS + 1, new_at=8)
                gateway.await_closed(QUARTERS)
                gateway.await_waiting(0)
    found = commonwatt("audit", node.published, "--certificates", "--json")
    assert found.code == 0, found.out
    assert (found.json["records"], found.json["refused"]) == (2 * QUARTERS + 1, 0)
    records = counted(node.published)
    [corrected] = [one for one in records if one.kind == Kind.CORRECTION]
    assert (corrected.sequence, corrected.import_mwh) == (2, 1_150_000)
    [exchanged] = [one for one in records if one.kind == Kind.METER_EXCHANGE]
    assert (exchanged.sequence, exchanged.import_mwh, exchanged.export_mwh) == (
        9,
        1_900_000,
        450_000,
    )
    last = max((one for one in records if one.meter == exchanged.meter), key=lambda r: r.sequence)
    assert (last.import_mwh, last.export_mwh) == (2_200_000, 600_000)


def counted(published: Path) -> list[Record]:
    """Every record that counted, corrections among them."""
    return [
        Record.decode(bytes.fromhex(line["record"]))
        for path in sorted(published.glob("audit/*.inputs.jsonl"))
        for line in map(json.loads, path.read_text().splitlines())
        if "record" in line
    ]

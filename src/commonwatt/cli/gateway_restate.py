"""What `commonwatt gateway exchange` and `commonwatt gateway correct` do."""

import shlex
from pathlib import Path

from commonwatt.cli.gateway_run import kwh, meter_password
from commonwatt.meter.driver.energy import read_energy
from commonwatt.node.gateway.errors import ExchangeUnusable
from commonwatt.node.gateway.restate import Shown, correct_record, exchange_meter
from commonwatt.node.gateway.settings import read_settings
from commonwatt.node.gateway.sources import utc_now
from commonwatt.quantity import parse_time, time_text


def run_exchange(
    folder: Path,
    meter: str,
    *,
    final: tuple[str, str],
    start: tuple[str, str],
    at: str | None,
    devices: tuple[str, ...],
) -> int:
    """Let a meter's registers go on with another device."""
    now = utc_now()
    time = now if at is None else parse_time(at)
    if time > now:
        raise ExchangeUnusable(
            f"--at {time_text(time)}: is still to come; say it once the device was exchanged"
        )
    made = exchange_meter(
        folder,
        meter,
        final=_shown(final, "--final"),
        start=_shown(start, "--start"),
        time=time,
        devices=devices,
    )
    offset = made.offset
    print(f"meter {meter}: exchanged at {time_text(offset.time)}")
    print(
        f"added to what its device says: {kwh(offset.import_mwh)} in, {kwh(offset.export_mwh)} out"
    )
    print(f"record {offset.sequence} says that it was exchanged")
    print(
        "if more was counted until its final readings than the rated power allows, the node "
        f"refuses record {offset.sequence} as OVER_CAPACITY; its operator can release it"
    )
    print(f"go on with: commonwatt gateway run {shlex.quote(str(folder))}")
    return 0


def run_correct(folder: Path, meter: str, *, end: str, shown: tuple[str, str]) -> int:
    """Sign what an earlier record should have said."""
    retry_s = read_settings(folder).correction_retry_s
    record = correct_record(
        folder,
        meter,
        end=parse_time(end),
        shown=_shown(shown, "-"),
        password=meter_password(),
    )
    print(
        f"meter {meter}: record {record.sequence} until {time_text(record.time_end)} is corrected "
        f"to {kwh(record.import_mwh)} in, {kwh(record.export_mwh)} out"
    )
    print(
        "it waits for the node; a gateway that runs sends it with the next records, or in a minute"
    )
    print(f"if the node has not closed that interval, it goes again after at most {retry_s:g} s")
    return 0


def _shown(texts: tuple[str, str], option: str) -> Shown:
    into, out = texts
    return Shown(
        read_energy(into, "kWh", f"{option}-import-kwh"),
        read_energy(out, "kWh", f"{option}-export-kwh"),
    )

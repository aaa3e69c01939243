"""What `commonwatt gateway` does."""

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from commonwatt.meter.driver.energy import read_energy
from commonwatt.node.gateway.errors import GatewaySettingsUnusable
from commonwatt.node.gateway.first_reading import NewMeter
from commonwatt.node.gateway.gateway import Gateway
from commonwatt.node.gateway.key_file import PASSWORD_FILE_NAME, PASSWORD_NAME
from commonwatt.node.gateway.new_meter import (
    Begun,
    begin_meter,
    driver_options,
    settings_for,
)
from commonwatt.node.gateway.overview import overview_of
from commonwatt.node.gateway.settings import (
    SPOOL_FILE,
    MeterSettings,
    read_settings,
)
from commonwatt.node.gateway.spool import Spool
from commonwatt.quantity import decimal_text, parse_time, time_text

MWH_PER_KWH_PLACES = 6
REFUSED_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class InitOptions:
    """What `commonwatt gateway init` was told."""

    source: str
    at: str
    community: str | None
    to: str | None
    node: str | None
    ledger: str | None
    interval: int | None
    name: str | None
    role: Literal["grid", "generation", "storage"]
    devices: tuple[str, ...]
    topics: tuple[str, ...]
    options: tuple[str, ...]
    import_kwh: str | None
    export_kwh: str | None
    since: str | None
    is_reversed: bool
    rated_w: int | None
    speed: int
    bits: Literal["8N1", "7E1"]
    wait_s: float


def run_init(folder: Path, options: InitOptions) -> int:
    """Add a meter; what its operator needs goes to standard output."""
    _log_to_stderr()
    new = _new_meter(options)

    async def work() -> Begun:
        settings = await settings_for(
            folder,
            community=options.community,
            to=options.to,
            node=options.node,
            ledger=options.ledger,
            interval_s=options.interval,
        )
        return await begin_meter(folder, settings, new, meter_password())

    begun = asyncio.run(work())
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(begun.registration)).decode() + "\n")
    sys.stdout.flush()
    opening = begun.opening
    stands = f"{kwh(opening.import_mwh)} in, {kwh(opening.export_mwh)} out"
    lines = (
        f"meter {begun.meter.name}: {begun.meter_id.hex()}",
        f"device {', '.join(begun.meter.devices)} counts {begun.meter.counts}",
        f"from {time_text(opening.time_end)}: {stands}",
        "give what was printed to the community's operator, who adds it to a member with",
        "commonwatt init NODE --meter FILE --member 0 --rated-w 17250",
        f"once the node serves: commonwatt gateway run {shlex.quote(str(folder))}",
    )
    print("\n".join(lines), file=sys.stderr)
    return 0


def _new_meter(options: InitOptions) -> NewMeter:
    texts: dict[str, str] = {}
    for text in options.options:
        key, equals, value = text.partition("=")
        if not equals:
            raise GatewaySettingsUnusable(f"--option {text!r:.80}: write NAME=VALUE")
        texts[key] = value
    if not 0 < options.wait_s <= 86_400:  # noqa: PLR2004 - a day
        raise GatewaySettingsUnusable(f"--wait {options.wait_s}: use more than 0 to 86400 seconds")
    fields = {
        "name": options.name or options.source,
        "role": options.role,
        "source": options.source,
        "at": options.at if "://" in options.at else str(Path(options.at).absolute()),
        "devices": options.devices,
        "topics": options.topics,
        "reversed": options.is_reversed,
        "rated_w": options.rated_w,
        "speed": options.speed,
        "bits": options.bits,
        "options": driver_options(options.source, texts),
    }
    try:
        settings = msgspec.convert(fields, MeterSettings)
    except msgspec.ValidationError as error:
        raise GatewaySettingsUnusable(" ".join(str(error).split())) from None
    return NewMeter(
        settings=settings,
        import_mwh=_mwh(options.import_kwh, "--import-kwh"),
        export_mwh=_mwh(options.export_kwh, "--export-kwh"),
        since=None if options.since is None else parse_time(options.since),
        wait_s=options.wait_s,
    )


def _mwh(text: str | None, name: str) -> int | None:
    return None if text is None else read_energy(text, "kWh", name)


def kwh(mwh: int) -> str:
    """Energy for people."""
    return f"{decimal_text(mwh, MWH_PER_KWH_PLACES)} kWh"


def run_gateway(folder: Path, *, once: bool) -> int:
    """Run until stopped, or with `once` until everything is sent."""
    _log_to_stderr()
    return asyncio.run(_until_stopped(_work(folder, once=once)))


async def _work(folder: Path, *, once: bool) -> None:
    gateway = Gateway(folder, meter_password())
    try:
        if once:
            await gateway.run_once()
        else:
            await gateway.run()
    finally:
        gateway.close()


async def _until_stopped(work: Coroutine[None, None, None]) -> int:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
    return 0


def run_show(folder: Path, *, as_json: bool) -> int:
    """What a gateway has, read beside it while it runs."""
    settings = read_settings(folder)
    spool = Spool(folder / SPOOL_FILE, settings.spool_records_max)
    try:
        found = overview_of(settings, spool)
    finally:
        spool.close()
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
        return 0
    print(f"community   {found.community}, to {found.to}")
    print(f"waiting     {found.waiting} of at most {found.spool_records_max} records")
    for meter in found.meters:
        print(f"meter       {meter.name} ({meter.registration.role}) {meter.meter}")
        print(
            f"  last      record {meter.sequence} until {meter.time_end}: "
            f"{kwh(meter.import_mwh)} in, {kwh(meter.export_mwh)} out; {meter.waiting} wait"
        )
        if meter.added_import_mwh or meter.added_export_mwh:
            print(
                f"  exchanged {kwh(meter.added_import_mwh)} in, {kwh(meter.added_export_mwh)} out "
                "of this are added to what its device's display says; gateway correct takes the "
                "display's"
            )
        if meter.corrections:
            print(
                f"  waiting   {meter.corrections} of them corrections: sent once the gateway runs, "
                f"then every {found.correction_retry_s:g} s until the node has closed the interval"
            )
    for refused in found.refused[-REFUSED_SHOWN_MAX:]:
        print(f"refused     {refused.reason}: record {refused.sequence} of {refused.meter}")
    return 0


def meter_password() -> str | None:
    """The same as the node's keys are encrypted with; None where the environment names none."""
    if not os.environ.get(PASSWORD_NAME) and not os.environ.get(PASSWORD_FILE_NAME):
        return None
    from commonwatt.node.keystore import password_for  # noqa: PLC0415 - heavy

    return password_for(Path("a meter's key")) or None


def _log_to_stderr() -> None:
    """One line an event: for people on a terminal, as JSON elsewhere."""
    is_terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )

"""`commonwatt gateway`: the commands; what they do is loaded by the one that is called."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

gateway_app = App(name="gateway", help="Sign for meters that cannot, and send their records.")

Flag = Annotated[bool, Parameter(negative="")]
Several = Annotated[tuple[str, ...], Parameter(negative="")]


@gateway_app.command
def init(
    folder: Path,
    /,
    *,
    source: str,
    at: str,
    community: str | None = None,
    to: str | None = None,
    node: str | None = None,
    ledger: str | None = None,
    interval: int | None = None,
    name: str | None = None,
    role: Literal["grid", "generation", "storage"] = "grid",
    device: Several = (),
    topic: Several = (),
    option: Several = (),
    import_kwh: str | None = None,
    export_kwh: str | None = None,
    since: str | None = None,
    reversed: Flag = False,  # noqa: A002 - its name on the command line
    rated_w: int | None = None,
    speed: int = 115_200,
    bits: Literal["8N1", "7E1"] = "8N1",
    wait: float = 60.0,
) -> int:
    """Add a meter that cannot sign: make its key, and print what its operator has to register.

    With the first meter the gateway itself is made. Set COMMONWATT_PASSWORD to encrypt the keys.

    Args:
        folder: The gateway's directory.
        source: What understands the device: p1, shelly, tasmota, homeassistant, csv, nem12, espi,
            ocmf or ocpp.
        at: Where it is read: a serial device, tcp://HOST:PORT, mqtt://HOST:PORT, a file or folder.
        community: Its name; needed for the first meter.
        to: The node, as http://HOST:PORT, or its broker, as mqtt://HOST:PORT; needed for the first
            meter.
        node: The node's http address, to ask for the ledger; the one of --to unless given.
        ledger: The ledger's id, 16 hex digits, so that no node has to be asked.
        interval: Length of the community's intervals in seconds, with --ledger; 900 unless given.
        name: The meter's name in this gateway; the source's unless given.
        role: What the meter stands at.
        device: What the device calls itself; the only one that speaks unless given.
        topic: MQTT topic to listen to; the usual ones of the source unless given.
        option: What the driver has to know besides, as NAME=VALUE.
        import_kwh: Register 1.8.0 in kWh, for a device that does not say it.
        export_kwh: Register 2.8.0 in kWh, for a device that does not say it.
        since: What was read before does not count, as 2016-06-21T12:00:00Z.
        reversed: The device counts as energy in what is energy out here.
        rated_w: Rated power in W; readings beyond it are passed over.
        speed: Baud of a serial line.
        bits: Data bits, parity and stop bits of a serial line; 7E1 before DSMR 4.
        wait: How many seconds to wait for the device to speak.
    """
    from commonwatt.cli.gateway_run import InitOptions, run_init  # noqa: PLC0415 - heavy

    return run_init(
        folder,
        InitOptions(
            source=source,
            at=at,
            community=community,
            to=to,
            node=node,
            ledger=ledger,
            interval=interval,
            name=name,
            role=role,
            devices=device,
            topics=topic,
            options=option,
            import_kwh=import_kwh,
            export_kwh=export_kwh,
            since=since,
            is_reversed=reversed,
            rated_w=rated_w,
            speed=speed,
            bits=bits,
            wait_s=wait,
        ),
    )


@gateway_app.command
def run(folder: Path, /, *, once: Flag = False) -> int:
    """Read the meters, sign for them, and send the records, until Ctrl-C or SIGTERM.

    Args:
        folder: The gateway's directory.
        once: Read the files that are there, send everything, and end.
    """
    from commonwatt.cli.gateway_run import run_gateway  # noqa: PLC0415 - heavy

    return run_gateway(folder, once=once)


@gateway_app.command
def exchange(
    folder: Path,
    meter: str,
    /,
    *,
    final_import_kwh: str,
    final_export_kwh: str,
    start_import_kwh: str,
    start_export_kwh: str,
    at: str | None = None,
    device: Several = (),
) -> int:
    """Let a meter's registers go on after its device was exchanged; stop the gateway first.

    Args:
        folder: The gateway's directory.
        meter: The meter's name in this gateway.
        final_import_kwh: What the old device said at last in register 1.8.0, in kWh.
        final_export_kwh: What the old device said at last in register 2.8.0, in kWh.
        start_import_kwh: What the new device said at first in register 1.8.0, in kWh.
        start_export_kwh: What the new device said at first in register 2.8.0, in kWh.
        at: When it was exchanged, as 2016-06-21T12:00:00Z; now unless given.
        device: What the new device calls itself; the same as the old one unless given.
    """
    from commonwatt.cli.gateway_restate import run_exchange  # noqa: PLC0415 - heavy

    return run_exchange(
        folder,
        meter,
        final=(final_import_kwh, final_export_kwh),
        start=(start_import_kwh, start_export_kwh),
        at=at,
        devices=device,
    )


@gateway_app.command
def correct(folder: Path, meter: str, /, *, end: str, import_kwh: str, export_kwh: str) -> int:
    """Correct a record that the node has: sign what the device's registers truly were.

    Args:
        folder: The gateway's directory; the gateway may run meanwhile.
        meter: The meter's name in this gateway.
        end: End of the record's interval, as 2016-06-21T12:00:00Z.
        import_kwh: What register 1.8.0 of the device truly was then, in kWh.
        export_kwh: What register 2.8.0 of the device truly was then, in kWh.
    """
    from commonwatt.cli.gateway_restate import run_correct  # noqa: PLC0415 - heavy

    return run_correct(folder, meter, end=end, shown=(import_kwh, export_kwh))


@gateway_app.command
def show(folder: Path, /, *, json: Flag = False) -> int:
    """Show a gateway's meters, what waits for the node, and what the node refused.

    Args:
        folder: The gateway's directory.
        json: Print one JSON object, with what the operator has to register.
    """
    from commonwatt.cli.gateway_run import run_show  # noqa: PLC0415 - heavy

    return run_show(folder, as_json=json)

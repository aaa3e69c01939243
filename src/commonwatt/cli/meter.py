"""`commonwatt meter`: keys and records by hand, for trying things out and for installers."""

import asyncio
import math
import os
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import msgspec

from commonwatt.errors import InputError
from commonwatt.meter.keys import PUBLIC_KEY_BYTES, KeyUnusable, MeterKey, meter_id, verify
from commonwatt.meter.record import (
    LEDGER_BYTES,
    RECORD_VERSION,
    Kind,
    Quality,
    Record,
    SignedRecord,
)
from commonwatt.quantity import BadInterval, parse_time, time_text

REGISTER_MAX = 2**64 - 1
EXIT_INTERRUPTED = 130


class MeterInputUnusable(InputError):
    """A key file, record or number that cannot be used."""


class SignedText(msgspec.Struct, frozen=True):
    """A signed record as the command line writes it; bytes as hex digits."""

    public_key: str
    record: str
    signature: str


@dataclass(frozen=True, slots=True)
class SignOptions:
    """What `commonwatt meter sign` was told."""

    key: Path
    ledger: str
    sequence: int
    time_end: str
    import_mwh: int
    export_mwh: int
    duration: int
    previous: str


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """What `commonwatt meter simulate` was told."""

    scenario: str
    start: str | None
    days: int
    speed: float
    to: str
    node: str | None
    community: str
    state: Path | None


def run_keygen(file: Path) -> int:
    """Write a new key; never over an old one."""
    key = MeterKey.generate()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(f"{key.scalar:064x}\n")
    except FileExistsError:
        raise MeterInputUnusable(f"{file}: is there already; a key is never overwritten") from None
    except OSError as error:
        raise MeterInputUnusable(f"{file}: cannot be written ({error.strerror})") from None
    print(f"meter       {key.meter.hex()}")
    print(f"public key  {key.public_key.hex()}")
    print(f"private key {file} (keep it secret)")
    return 0


def run_sign(options: SignOptions) -> int:
    """Sign one record and print it."""
    key = _read_key(options.key)
    record = Record(
        version=RECORD_VERSION,
        kind=Kind.REGISTERS,
        quality=Quality.MEASURED,
        ledger=_hex(options.ledger, LEDGER_BYTES, "--ledger"),
        meter=key.meter,
        sequence=_register(options.sequence, "--sequence"),
        time_end=_register(parse_time(options.time_end), "--time-end"),
        duration=_register(options.duration, "--duration", 2**32 - 1),
        import_mwh=_register(options.import_mwh, "--import-mwh"),
        export_mwh=_register(options.export_mwh, "--export-mwh"),
        previous=_hex(options.previous, 32, "--previous"),
    )
    if not record.duration or record.time_end % record.duration:
        raise BadInterval(
            f"--time-end {options.time_end} is not on the grid of {record.duration} s intervals"
        )
    signed = key.sign(record.encode())
    text = SignedText(key.public_key.hex(), signed.record.hex(), signed.signature.hex())
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(text)).decode() + "\n")
    print(f"digest {signed.digest.hex()}: --previous of the next record", file=sys.stderr)
    return 0


def run_verify(file: Path, public_key: str | None) -> int:
    """Check a signed record; 0 for genuine, 1 for not."""
    try:
        text = msgspec.json.decode(file.read_bytes(), type=SignedText)
    except OSError as error:
        raise MeterInputUnusable(f"{file}: cannot be read ({error.strerror})") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MeterInputUnusable(f"{file}: not a signed record ({error})") from None
    key = _hex(public_key or text.public_key, PUBLIC_KEY_BYTES, "public key")
    try:
        signed = SignedRecord(bytes.fromhex(text.record), bytes.fromhex(text.signature))
    except ValueError:
        raise MeterInputUnusable(f"{file}: not written in hex digits") from None
    record = Record.decode(signed.record)
    if not verify(key, signed):
        print("false: the signature is not this key's over this record")
        return 1
    if record.meter != meter_id(key):
        print(f"false: the record names meter {record.meter.hex()}, the key is another's")
        return 1
    print(f"true: signed by meter {record.meter.hex()}")
    print(f"  ledger    {record.ledger.hex()}")
    print(f"  sequence  {record.sequence}")
    print(f"  until     {_time(record.time_end)}, {record.duration} s")
    print(f"  import    {record.import_mwh} mWh")
    print(f"  export    {record.export_mwh} mWh")
    names = [flag.name.lower() for flag in Quality(record.quality) if flag.name]
    print(f"  quality   {', '.join(names) or 'nothing said'}")
    return 0


def run_simulate(options: SimulateOptions) -> int:
    """Send a scenario's records; 0 if the node took all of them, 1 if it refused some."""
    # Heavy, and of no use to the other commands.
    from commonwatt.microgrid import load_scenario  # noqa: PLC0415
    from commonwatt.node.gateway.http_link import (  # noqa: PLC0415
        HttpLink,
        HttpNode,
        NodeAddress,
        ask_community,
    )
    from commonwatt.node.gateway.mqtt_link import MqttLink  # noqa: PLC0415
    from commonwatt.node.gateway.simulation import Simulation  # noqa: PLC0415
    from commonwatt.node.mqtt.client import BrokerAddress  # noqa: PLC0415

    if not (math.isfinite(options.speed) and options.speed >= 0):
        raise MeterInputUnusable(f"--speed {options.speed}: use 0 or more")
    try:
        start = None if options.start is None else date.fromisoformat(options.start)
    except ValueError:
        raise MeterInputUnusable(
            f"--start {options.start!r}: write a day like 2016-06-21"
        ) from None
    is_broker = options.to.startswith(("mqtt:", "mqtts:"))
    if is_broker and options.node is None:
        raise MeterInputUnusable(
            "a broker does not know the ledger: name the node's http address with --node"
        )
    neighbourhood = load_scenario(options.scenario, start=start, days=options.days)
    node = NodeAddress.parse(options.node or options.to)

    async def work() -> Simulation:
        facts = await ask_community(node, options.community)
        link: HttpLink | MqttLink
        if is_broker:
            link = MqttLink(BrokerAddress.parse(options.to), options.community, facts.meters)
        else:
            link = HttpLink(HttpNode(NodeAddress.parse(options.to)), options.community)
        simulation = Simulation(
            neighbourhood,
            facts,
            link,
            speed=options.speed,
            state_file=options.state,
            told=_tell_progress,
        )
        await simulation.run()
        return simulation

    try:
        done = asyncio.run(work())
    except KeyboardInterrupt:
        words = "go on with the same command" if options.state else "--state FILE remembers how far"
        print(f"commonwatt: interrupted; {words}", file=sys.stderr)
        return EXIT_INTERRUPTED
    finally:
        _tell_progress(0, 0)
    tally = done.tally
    refused = sum(tally.refused.values())
    print(f"meters      {done.meters}")
    print(f"intervals   {done.done} of {neighbourhood.intervals}")
    print(f"accepted    {tally.accepted}")
    print(f"duplicates  {tally.duplicates}")
    print(f"refused     {refused}")
    for reason, count in sorted(tally.refused.items()):
        print(f"  {count} {reason}")
    return 1 if refused else 0


def _tell_progress(done: int, total: int) -> None:
    """One line on a terminal, written over; taken away at the end."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[Ksent intervals {done} of {total}" if total else "\r\033[K")
        sys.stderr.flush()


def _time(seconds: int) -> str:
    return time_text(seconds) if seconds < 2**37 else f"{seconds} s"


def _read_key(path: Path) -> MeterKey:
    try:
        return MeterKey(int(path.read_text(encoding="ascii").strip(), 16))
    except OSError as error:
        raise MeterInputUnusable(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyUnusable):
        raise MeterInputUnusable(
            f"{path}: not a meter's key; make one with commonwatt meter keygen"
        ) from None


def _hex(text: str, size: int, what: str) -> bytes:
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        value = b""
    if len(value) != size:
        raise MeterInputUnusable(f"{what} {text!r}: write {2 * size} hex digits")
    return value


def _register(value: int, what: str, limit: int = REGISTER_MAX) -> int:
    if not 0 <= value <= limit:
        raise MeterInputUnusable(f"{what} {value}: use 0 to {limit}")
    return value

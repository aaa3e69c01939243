"""A gateway's parts put together in a folder: meters, spool, signer. No process, no network."""

from collections.abc import Callable
from pathlib import Path

from commonwatt.meter.driver import Reading
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.record import Kind, Record, SignedRecord
from commonwatt.node.gateway.registers import Registers, opened
from commonwatt.node.gateway.settings import MeterSettings
from commonwatt.node.gateway.signing import Signer, VouchedMeter, opening_record
from commonwatt.node.gateway.spool import Opening, Spool
from node.gateway.stub_node import LEDGER

NOON = 1_466_510_400
"""2016-06-21T12:00:00Z."""
QUARTER = 900
KWH = 1_000_000


def meter(name: str = "home", **settings: object) -> VouchedMeter:
    """A meter whose device calls itself as it does, with a key that is the same on every run."""
    said = {"name": name, "role": "grid", "source": "p1", "at": "tcp://localhost:1", **settings}
    key = MeterKey.from_seed(f"gateway/{name}".encode())
    return VouchedMeter(MeterSettings(**{"devices": (name,), **said}), key)


def begin(spool: Spool, *meters: VouchedMeter, at: int = NOON) -> dict[bytes, SignedRecord]:
    """Give meters their opening records, all registers at 1 kWh."""
    found = {}
    for one in meters:
        registers = Registers(at, KWH, KWH)
        record = opening_record(
            LEDGER, one.key.meter, registers, kind=Kind.REGISTERS, interval_s=QUARTER
        )
        signed = one.key.sign(record.encode())
        opening = Opening(one.settings.name, one.key.public_key, signed)
        spool.open_meter(opening, opened(registers, registers))
        found[one.key.meter] = signed
    return found


def registration(one: VouchedMeter, opening: SignedRecord) -> dict[str, str]:
    """As `commonwatt gateway init` prints it."""
    return {
        "public_key": one.key.public_key.hex(),
        "role": one.settings.role,
        "opening": opening.record.hex(),
        "signature": opening.signature.hex(),
    }


class Bench:
    """Meters at work in a folder."""

    def __init__(
        self,
        folder: Path,
        *meters: VouchedMeter,
        records_max: int = 10_000,
        signed: Callable[[], None] = lambda: None,
    ) -> None:
        """Open or go on with the folder's spool."""
        self.meters = meters or (meter(),)
        self.spool = Spool(folder / "spool.sqlite", records_max)
        self.openings = begin(self.spool, *self.meters)
        self.signer = Signer(self.meters, self.spool, QUARTER, signed)

    def close(self) -> None:
        """Let go of the spool, as a process does that ends."""
        self.spool.close()

    def read(self, time: int, wh: int, *, name: str = "home", clock: int | None = None) -> int:
        """A reading, `wh` Wh above the opening; returns how many records it made."""
        wall = time if clock is None else clock
        self.signer.look_at_clock(wall, float(wall))
        one = next(m for m in self.meters if name in m.settings.devices)
        reading = Reading(name, time, KWH + wh * 1_000, KWH)
        return self.signer.take({name: one.key.meter}, [reading])

    def fill(self, intervals: int, *, first: int = 1, name: str = "home") -> None:
        """A reading at each of some ends, all at once; 10 Wh in each interval."""
        numbers = range(first, first + intervals)
        wall = NOON + numbers[-1] * QUARTER
        self.signer.look_at_clock(wall, float(wall))
        one = next(m for m in self.meters if name in m.settings.devices)
        readings = [
            Reading(name, NOON + number * QUARTER, KWH + number * 10_000, KWH) for number in numbers
        ]
        self.signer.take({name: one.key.meter}, readings)

    def records(self) -> list[Record]:
        """All that waits, decoded."""
        return [Record.decode(signed.record) for signed in self.spool.waiting(10**6)]

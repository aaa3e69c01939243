"""Simulated meters for a neighbourhood: keys from a seed, registers, one record an interval."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from commonwatt.meter.keys import MeterKey
from commonwatt.meter.record import (
    NO_PREVIOUS,
    RECORD_VERSION,
    Kind,
    Quality,
    Record,
    SignedRecord,
)
from commonwatt.meter.registration import NO_SOURCE, SOLAR_ROOFTOP, Registration, Role
from commonwatt.microgrid import SCENARIOS, Home, Neighbourhood, flows_of
from commonwatt.quantity import SECONDS_PER_DAY

OPENING_MWH_MAX = 40_000_000_000
"""Meters in the field do not start at zero: up to 40 MWh stand on a register."""
SCENARIO_ZONE, ZONE_UNKNOWN = "DE-LU", "UNKNOWN"
"""Bidding zones: the shipped neighbourhoods are German, a file does not say where it is from."""


@dataclass(slots=True)
class _Device:
    """One simulated meter: what it is, and where it has got to."""

    key: MeterKey
    member: int
    role: Role
    source: int
    rated_w: int
    import_mwh: int
    export_mwh: int
    takes_mwh: tuple[int, ...]
    gives_mwh: tuple[int, ...]
    sequence: int = 0
    previous: bytes = NO_PREVIOUS


class Fleet:
    """All meters of a neighbourhood."""

    def __init__(self, neighbourhood: Neighbourhood, ledger: bytes) -> None:
        """Make the meters of every home, the same ones for the same neighbourhood.

        Args:
            neighbourhood: homes with their energy per interval.
            ledger: the 8 bytes their records name.
        """
        self._start, self._interval_s = neighbourhood.start, neighbourhood.interval_s
        self._ledger = ledger
        self._zone = SCENARIO_ZONE if neighbourhood.name in SCENARIOS else ZONE_UNKNOWN
        self._done = 0
        devices = [
            device
            for member, home in enumerate(neighbourhood.homes)
            for device in _devices(neighbourhood, member, home)
        ]
        # Generators last: they are registered by the issuer, the others by the operator.
        self._devices = sorted(devices, key=lambda device: device.role is Role.GENERATION)
        self.registrations = tuple(self._register(device) for device in self._devices)

    def _register(self, device: _Device) -> Registration:
        opening = device.key.sign(self._next_record(device, self._start, 0, 0))
        return Registration(
            public_key=device.key.public_key,
            member=device.member,
            role=device.role,
            source=device.source,
            rated_w=device.rated_w,
            first_day=self._start // SECONDS_PER_DAY,
            zone=self._zone,
            direct=False,
            opening=opening,
        )

    def skip_to(self, interval: int) -> None:
        """Move registers and chains on to the interval with this number, without signing."""
        while self._done < interval:
            for _ in self._records():
                pass

    def sign(self, shuffled_by: int | None = None) -> list[SignedRecord]:
        """Every meter's signed record of the next interval.

        Args:
            shuffled_by: a seed to bring the batch into another order; None leaves it.
        """
        batch = [device.key.sign(record) for device, record in self._records()]
        if shuffled_by is not None:
            random.Random(shuffled_by).shuffle(batch)  # noqa: S311 - an order, not a secret
        return batch

    def _records(self) -> Iterator[tuple[_Device, bytes]]:
        index = self._done
        self._done += 1
        end = self._start + self._done * self._interval_s
        for device in self._devices:
            taken, given = device.takes_mwh[index], device.gives_mwh[index]
            yield device, self._next_record(device, end, taken, given)

    def _next_record(self, device: _Device, time_end: int, taken: int, given: int) -> bytes:
        device.import_mwh += taken
        device.export_mwh += given
        record = Record(
            version=RECORD_VERSION,
            kind=Kind.REGISTERS,
            quality=Quality.MEASURED,
            ledger=self._ledger,
            meter=device.key.meter,
            sequence=device.sequence,
            time_end=time_end,
            duration=self._interval_s,
            import_mwh=device.import_mwh,
            export_mwh=device.export_mwh,
            previous=device.previous,
        ).encode()
        device.sequence += 1
        device.previous = sha256(record).digest()
        return record


def _devices(neighbourhood: Neighbourhood, member: int, home: Home) -> Iterator[_Device]:
    flows = flows_of(neighbourhood, home)
    nothing = (0,) * neighbourhood.intervals

    def device(
        role: Role, source: int, rated_w: int, takes: tuple[int, ...], gives: tuple[int, ...]
    ) -> _Device:
        seed = f"{neighbourhood.name}/{member}/{role.name}".encode()
        standing = int.from_bytes(sha256(b"register/" + seed).digest())
        return _Device(
            key=MeterKey.from_seed(b"meter/" + seed),
            member=member,
            role=role,
            source=source,
            rated_w=rated_w,
            import_mwh=standing % OPENING_MWH_MAX,
            export_mwh=(standing >> 64) % OPENING_MWH_MAX,
            takes_mwh=takes,
            gives_mwh=gives,
        )

    taken, given = tuple(flows.import_mwh.tolist()), tuple(flows.export_mwh.tolist())
    yield device(Role.GRID, NO_SOURCE, home.connection_w, taken, given)
    if home.battery is not None:
        rated_w = max(home.battery.charge_w, home.battery.discharge_w)
        charged = tuple(flows.charge_mwh.tolist())
        discharged = tuple(flows.discharge_mwh.tolist())
        yield device(Role.STORAGE, NO_SOURCE, rated_w, charged, discharged)
    if home.pv_mwh is not None:
        made = tuple(flows.pv_mwh.tolist())
        yield device(Role.GENERATION, SOLAR_ROOFTOP, home.pv_peak_w, nothing, made)

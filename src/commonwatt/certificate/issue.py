"""Issuing and retiring within one interval of one community."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import NamedTuple

from commonwatt.certificate.home import Battery, Home, Lot, Lots, Storage, Store, is_sound
from commonwatt.certificate.owed import Owed, withhold
from commonwatt.errors import require
from commonwatt.meter.acceptance import Accepted, Late, within_capacity
from commonwatt.meter.record import METER_BYTES
from commonwatt.meter.registration import NO_SOURCE, Registration, Role
from commonwatt.quantity import MWH_PER_WH, split_exactly
from commonwatt.settlement.account import Position

_LEAF = Struct(f">{METER_BYTES}sQQQ32s")
CERTIFICATE_LEAF_BYTES = _LEAF.size


@dataclass(frozen=True, slots=True)
class Certificate:
    """What one generator or battery was issued for one interval."""

    meter: bytes
    member: int
    """The producer's index; not part of the leaf."""
    issued_wh: int
    retired_wh: int
    """Retired at once for the neighbours who bought it."""
    free_wh: int
    """Left with the producer."""
    proof: bytes
    """SHA-256 of the meter's record of the interval."""
    put: tuple[tuple[bytes, int], ...] = ()
    """Put into the home's batteries at once: storage meter and Wh; not part of the leaf."""

    @property
    def stored_wh(self) -> int:
        """Put into batteries."""
        return sum(wh for _, wh in self.put)

    def encode(self) -> bytes:
        """The 76-byte leaf."""
        retired = self.retired_wh + self.stored_wh
        return _LEAF.pack(self.meter, self.issued_wh, retired, self.free_wh, self.proof)


class CertificateLeaf(NamedTuple):
    """A certificate as its leaf tells it."""

    meter: bytes
    issued_wh: int
    retired_wh: int
    """Retired at once, for neighbours or into batteries (R24)."""
    free_wh: int
    proof: bytes

    @classmethod
    def decode(cls, leaf: bytes) -> "CertificateLeaf":
        """Read a 76-byte leaf; raises `struct.error` for another length."""
        return cls._make(_LEAF.unpack(leaf))


@dataclass(frozen=True, slots=True)
class Certified:
    """One interval's certificates, and for whom units were retired."""

    certificates: tuple[Certificate, ...]
    """By meter id; one for each generator or battery that was issued something."""
    green_wh: tuple[int, ...]
    """By member: Wh retired for it, never more than it bought from neighbours."""
    batteries: tuple[Battery, ...] = ()
    """By meter id: what each battery that spoke did."""
    lots: Lots = field(default_factory=dict)
    """What the batteries may give with certificates from now on."""
    owed: Owed = field(default_factory=dict)
    """What members owe in certificates from now on."""


_NO_STORAGE = Storage()
_NOTHING_OWED: Owed = {}


def certify(
    accepted: Iterable[Accepted],
    registrations: Mapping[bytes, Registration],
    positions: Sequence[Position],
    storage: Storage = _NO_STORAGE,
    owed: Owed = _NOTHING_OWED,
) -> Certified:
    """Issue certificates for generation that left a home or went into its battery (R1, R8).

    Issued per producer: the smaller of what its generators made and what its grid meter exported,
    where energy out of its battery counts as exported first. Only from measured or calculated
    records of generator and grid meter, without a gap (R4), and only what the generator's rated
    power allows in whole Wh, as the contract counts (R7). While one of a producer's batteries is
    silent it is issued nothing, since what left the battery is unknown (R25). Where a producer has
    several generators, each is issued its share of what all made.

    What the generators made and its batteries took in is issued, too, and put into these at once
    (R24); what had gone in so comes out with certificates of its own, less losses, first in, first
    out. Energy without certificates counts as leaving first.

    What a member owes since a correction is paid first with what would stay free of its generators'
    certificates (R10).

    Retired: what the producer sold to neighbours, as far as it was issued for what left; the whole
    is dealt to buyers in proportion to what they bought locally (R16).

    Args:
        accepted: the interval's records, at most one per meter.
        registrations: by meter id.
        positions: each member's settled energy.
        storage: what is in the batteries, and the efficiency that was published for them.
        owed: what members owe, in Wh.
    """
    homes = _homes(accepted, registrations)
    lots: dict[bytes, tuple[Lot, ...]] = dict(storage.lots)
    certificates: list[Certificate] = []
    batteries: list[Battery] = []
    debts = dict(owed)
    for member, home in homes.items():
        position = positions[member]
        home.is_known = home.is_known and not (position.gap or position.silent)
        given = position.sold_local_wh + position.sold_supplier_wh
        roofs, stores = home.conclude(given, position.imported_wh, storage, lots)
        batteries += stores
        left = [roof.given_wh for roof in roofs] + [store.green_wh for store in stores]
        retired = min(sum(left), position.sold_local_wh)
        puts = [roof.put_wh for roof in roofs] + [()] * len(stores)
        sold = split_exactly(retired, left)
        free = [units - gone for units, gone in zip(left, sold, strict=True)]
        free[: len(roofs)] = withhold(debts, member, free[: len(roofs)])
        for verdict, gone, rest, put in zip(home.verdicts, sold, free, puts, strict=True):
            issued = gone + rest + sum(wh for _, wh in put)
            if issued:
                meter, proof = verdict.record.meter, verdict.digest
                certificates.append(Certificate(meter, member, issued, gone, rest, proof, put))
    certificates.sort(key=lambda certificate: certificate.meter)
    batteries.sort(key=lambda battery: battery.verdict.record.meter)
    green = split_exactly(
        sum(certificate.retired_wh for certificate in certificates),
        [position.bought_local_wh for position in positions],
    )
    certified = Certified(tuple(certificates), tuple(green), tuple(batteries), lots, debts)
    _require_sound(certified, homes, positions, storage)
    less = all(wh <= owed.get(member, 0) for member, wh in debts.items())
    require("nobody owes more for being issued", less)
    return certified


def _homes(
    accepted: Iterable[Accepted], registrations: Mapping[bytes, Registration]
) -> dict[int, Home]:
    """What each member's meters said that certificates depend on, by member."""
    homes: dict[int, Home] = {}
    silent = {meter: r.member for meter, r in registrations.items() if r.role is Role.STORAGE}
    for verdict in accepted:
        registration = registrations[verdict.record.meter]
        home = homes.setdefault(registration.member, Home())
        if registration.role is Role.STORAGE:
            home.stores.append(Store(verdict, _is_certain(verdict, registration)))
            silent.pop(verdict.record.meter)
        elif registration.role is Role.GRID:
            home.is_known = home.is_known and is_sound(verdict.record)
        elif is_certifiable(verdict, registration):
            home.roofs.append(verdict)
    for member in silent.values():
        homes.setdefault(member, Home()).is_known = False
    return {member: home for member, home in homes.items() if home.roofs or home.stores}


def is_certifiable(verdict: Accepted | Late, registration: Registration) -> bool:
    """Whether a record is one of generation that certificates may come from (R4, R7)."""
    return (
        registration.role is Role.GENERATION
        and registration.source != NO_SOURCE
        and not registration.direct
        and _is_certain(verdict, registration)
    )


def _is_certain(verdict: Accepted | Late, registration: Registration) -> bool:
    """R4, R7: a sound record of this interval alone, of no more Wh than the device can move."""
    energy_mwh = max(verdict.import_wh, verdict.export_wh) * MWH_PER_WH
    return (
        not verdict.gap
        and is_sound(verdict.record)
        and within_capacity(energy_mwh, registration.rated_w, verdict.record.duration)
    )


def _require_sound(
    certified: Certified, homes: Mapping[int, Home], positions: Sequence[Position], storage: Storage
) -> None:
    """Raise `InvariantBroken` unless no unit is there twice or without energy behind it."""
    output = {v.record.meter: v.export_wh for home in homes.values() for v in home.verdicts}
    by_member: dict[int, int] = {}
    put: dict[bytes, int] = {}
    for c in certified.certificates:
        whole = c.issued_wh == c.retired_wh + c.stored_wh + c.free_wh
        require("issued = retired + stored + free", whole, meter=c.meter)
        require("free is not below zero", c.free_wh >= 0, meter=c.meter)
        require(
            "issued within what the meter counted", c.issued_wh <= output[c.meter], meter=c.meter
        )
        left = c.issued_wh - c.stored_wh
        by_member[c.member] = by_member.get(c.member, 0) + left
        for store, wh in c.put:
            put[store] = put.get(store, 0) + wh
    for member, issued in by_member.items():
        require("issued within export", issued <= positions[member].exported_wh, member=member)
    retired = sum(certificate.retired_wh for certificate in certified.certificates)
    require("each unit retired for one", sum(certified.green_wh) == retired, retired=retired)
    for green, position in zip(certified.green_wh, positions, strict=True):
        require("green within bought", green <= position.bought_local_wh, member=position.member)
    for battery in certified.batteries:
        meter = battery.verdict.record.meter
        stored, before = put.pop(meter, 0), sum(lot.wh for lot in storage.lots.get(meter, ()))
        after = sum(lot.wh for lot in certified.lots.get(meter, ()))
        within = stored <= battery.charged_wh
        require("put in within what was charged", within, meter=meter)
        covered = battery.green_wh + after <= before + stored
        require("never more out of a battery than went in", covered, meter=meter)
    require("put into batteries that spoke", not put, meters=len(put))

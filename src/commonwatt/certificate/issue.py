"""Issuing and retiring within one interval of one community."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from commonwatt.errors import require
from commonwatt.meter.acceptance import Accepted, within_capacity
from commonwatt.meter.record import (
    CERTIFIABLE,
    CERTIFIABLE_KINDS,
    METER_BYTES,
    NOT_CERTIFIABLE,
    Record,
)
from commonwatt.meter.registration import NO_SOURCE, Registration, Role
from commonwatt.quantity import MWH_PER_WH, split_exactly
from commonwatt.settlement.account import Position

_LEAF = Struct(f">{METER_BYTES}sQQQ32s")
CERTIFICATE_LEAF_BYTES = _LEAF.size


@dataclass(frozen=True, slots=True)
class Certificate:
    """What one generator was issued for one interval."""

    meter: bytes
    member: int
    """The producer's index; not part of the leaf."""
    issued_wh: int
    retired_wh: int
    """Retired at once for the neighbours who bought it."""
    free_wh: int
    """Left with the producer."""
    proof: bytes
    """SHA-256 of the generator's record of the interval."""

    def encode(self) -> bytes:
        """The 76-byte leaf."""
        return _LEAF.pack(self.meter, self.issued_wh, self.retired_wh, self.free_wh, self.proof)


class CertificateLeaf(NamedTuple):
    """A certificate as its leaf tells it."""

    meter: bytes
    issued_wh: int
    retired_wh: int
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
    """By meter id; one for each generator that was issued something."""
    green_wh: tuple[int, ...]
    """By member: Wh retired for it, never more than it bought from neighbours."""


def certify(
    accepted: Iterable[Accepted],
    registrations: Mapping[bytes, Registration],
    positions: Sequence[Position],
) -> Certified:
    """Issue certificates for exported generation and retire what neighbours bought.

    Issued per producer: the smaller of what its generators made and what its grid meter exported,
    where energy out of its battery counts as exported first and gets none (rules R1, R8). Only
    from measured or calculated records of generator and grid meter, without a gap (R4), and only
    what the generator's rated power allows in whole Wh, as the contract counts (R7). While one of
    a producer's batteries is silent it is issued nothing, since what left the battery is unknown
    (R25). Where a producer has several generators, each is issued its share of what all made.
    Retired: what the producer sold to neighbours, as far as it was issued; the whole is dealt to
    buyers in proportion to what they bought locally (R16).
    """
    made: dict[int, list[Accepted]] = {}
    stored_out = [0] * len(positions)
    unsound: set[int] = set()
    silent = {meter: r.member for meter, r in registrations.items() if r.role is Role.STORAGE}
    for verdict in accepted:
        registration = registrations[verdict.record.meter]
        if registration.role is Role.STORAGE:
            stored_out[registration.member] += verdict.export_wh
            silent.pop(verdict.record.meter)
        elif registration.role is Role.GRID:
            if not _is_sound(verdict.record):
                unsound.add(registration.member)
        elif _certifiable(verdict, registration):
            made.setdefault(registration.member, []).append(verdict)

    unknown = unsound.union(silent.values())
    certificates: list[Certificate] = []
    for member, generators in made.items():
        position = positions[member]
        outputs = [verdict.export_wh for verdict in generators]
        given = position.sold_local_wh + position.sold_supplier_wh
        known = not position.gap and member not in unknown
        exported = max(given - stored_out[member], 0) if known else 0
        issued = min(sum(outputs), exported)
        retired = min(issued, position.sold_local_wh)
        issues = split_exactly(issued, outputs)
        retirements = split_exactly(retired, issues)
        certificates.extend(
            Certificate(v.record.meter, member, units, gone, units - gone, v.digest)
            for v, units, gone in zip(generators, issues, retirements, strict=True)
            if units
        )
    certificates.sort(key=lambda certificate: certificate.meter)
    green = split_exactly(
        sum(certificate.retired_wh for certificate in certificates),
        [position.bought_local_wh for position in positions],
    )
    certified = Certified(tuple(certificates), tuple(green))
    _require_sound(certified, made, positions)
    return certified


def _certifiable(verdict: Accepted, registration: Registration) -> bool:
    energy_mwh = verdict.export_wh * MWH_PER_WH
    return (
        registration.role is Role.GENERATION
        and registration.source != NO_SOURCE
        and not registration.direct
        and not verdict.gap
        and _is_sound(verdict.record)
        and within_capacity(energy_mwh, registration.rated_w, verdict.record.duration)
    )


def _is_sound(record: Record) -> bool:
    """Measured or calculated, and nothing said against it; `Certificate.vy` asks the same."""
    return (
        record.kind in CERTIFIABLE_KINDS
        and bool(record.quality & CERTIFIABLE)
        and not record.quality & NOT_CERTIFIABLE
    )


def _require_sound(
    certified: Certified, made: Mapping[int, Sequence[Accepted]], positions: Sequence[Position]
) -> None:
    """Raise `InvariantBroken` unless no unit is there twice or without energy behind it."""
    output = {v.record.meter: v.export_wh for verdicts in made.values() for v in verdicts}
    by_member: dict[int, int] = {}
    for c in certified.certificates:
        require("issued = retired + free", c.issued_wh == c.retired_wh + c.free_wh, meter=c.meter)
        require("free is not below zero", c.free_wh >= 0, meter=c.meter)
        require("issued within what the meter made", c.issued_wh <= output[c.meter], meter=c.meter)
        by_member[c.member] = by_member.get(c.member, 0) + c.issued_wh
    for member, issued in by_member.items():
        require("issued within export", issued <= positions[member].exported_wh, member=member)
    retired = sum(certificate.retired_wh for certificate in certified.certificates)
    require("each unit retired for one", sum(certified.green_wh) == retired, retired=retired)
    for green, position in zip(certified.green_wh, positions, strict=True):
        require("green within bought", green <= position.bought_local_wh, member=position.member)

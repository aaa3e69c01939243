"""Whether a record may be counted: every rule, in order, each with an answer of its own.

A record is judged against the meter's registration and its last accepted record. What may happen
is a returned value: `Accepted`, `Duplicate`, or `Refused` with a `Reason`; nothing is dropped
silently. A gap never blocks a meter: a record after lost ones is accepted and marked, so that its
energy is settled with the supplier and no certificate comes from it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from commonwatt.meter.keys import low_s, verify
from commonwatt.meter.record import (
    RECORD_BYTES,
    RECORD_VERSION,
    Kind,
    Record,
    SignedRecord,
)
from commonwatt.meter.registration import Registration
from commonwatt.quantity import MWH_PER_WH, SECONDS_PER_HOUR, Interval

CAPACITY_MARGIN = (5, 4)
"""Energy up to 5/4 of rated power x time is believed; the same fraction as in `Certificate.vy`."""
ACCEPTED_KINDS = frozenset({Kind.REGISTERS, Kind.INTERVAL_ONLY, Kind.SUBSTITUTED})


class Reason(Enum):
    """Why a record is not counted, and what its sender can do."""

    UNREADABLE = "not 100 bytes of record and 64 of signature"
    VERSION_UNKNOWN = "written in a version of the record this community does not read"
    KIND_UNSUPPORTED = "a correction or an exchange is entered by the operator, not by the meter"
    METER_UNKNOWN = "no such meter is registered in this community"
    SIGNATURE_WRONG = "the signature is not the registered key's over these bytes"
    LEDGER_WRONG = "signed for another ledger"
    SEQUENCE_USED = "another record has this sequence number or a later one"
    PREVIOUS_WRONG = "does not follow the meter's last record"
    LENGTH_WRONG = "not an interval of this community's length"
    OFF_GRID = "ends off the interval grid"
    BACKDATED = "ends no later than the meter's last record"
    IN_THE_FUTURE = "ends after now; check the meter's clock"
    TOO_LATE = "its interval is closed"
    REGISTER_FELL = "a register is lower than before; was the meter exchanged?"
    OVER_CAPACITY = "more energy than the rated power allows in the time"


class Standing(NamedTuple):
    """A meter's last accepted record."""

    record: Record
    digest: bytes


class Accepted(NamedTuple):
    """The record counts."""

    signed: SignedRecord
    """With the low form of its signature."""
    record: Record
    digest: bytes
    import_wh: int
    """Whole Wh since the last accepted record."""
    export_wh: int
    gap: bool
    """Records or time are missing in between: the energy is not of this interval alone."""


class Duplicate(NamedTuple):
    """The very record that was accepted before, in whichever form of its signature."""

    signed: SignedRecord


class Refused(NamedTuple):
    """The record does not count; it goes to quarantine."""

    signed: SignedRecord
    reason: Reason


Verdict: TypeAlias = Accepted | Duplicate | Refused


@dataclass(frozen=True, slots=True)
class Gate:
    """What the community asks of the records of one interval."""

    ledger: bytes
    interval: Interval
    now: int
    """UTC seconds at which the records are judged."""


def opening_standing(registration: Registration) -> Standing:
    """Where a meter stands before its first record."""
    return Standing(registration.opening_record, registration.opening.digest)


def judge(
    signed: SignedRecord, registration: Registration | None, last: Standing | None, gate: Gate
) -> Verdict:
    """Judge one record against its meter's registration and last accepted record.

    The cheap checks come first, the signature before anything that believes the content, and the
    replay of an accepted record is told apart from a second record under the same number.
    """
    unreadable = _unreadable(signed)
    if unreadable:
        return Refused(signed, unreadable)
    if registration is None or last is None:
        return Refused(signed, Reason.METER_UNKNOWN)
    if not verify(registration.public_key, signed):
        return Refused(signed, Reason.SIGNATURE_WRONG)
    record, digest = Record.decode(signed.record), signed.digest
    if digest == last.digest:
        return Duplicate(signed)
    reason = _first_reason(record, registration, last, gate)
    if reason:
        return Refused(signed, reason)
    contiguous = (
        record.sequence == last.record.sequence + 1
        and record.time_end - record.duration == last.record.time_end
    )
    return Accepted(
        signed=SignedRecord(signed.record, low_s(signed.signature)),
        record=record,
        digest=digest,
        import_wh=record.import_mwh // MWH_PER_WH - last.record.import_mwh // MWH_PER_WH,
        export_wh=record.export_mwh // MWH_PER_WH - last.record.export_mwh // MWH_PER_WH,
        gap=not contiguous,
    )


def _unreadable(signed: SignedRecord) -> Reason | None:
    if len(signed.record) != RECORD_BYTES:
        return Reason.UNREADABLE
    return None if signed.record[0] == RECORD_VERSION else Reason.VERSION_UNKNOWN


def _first_reason(
    record: Record, registration: Registration, last: Standing, gate: Gate
) -> Reason | None:
    """The first rule that a well-signed record breaks, or None."""
    checks = (
        (record.ledger == gate.ledger, Reason.LEDGER_WRONG),
        (record.kind in ACCEPTED_KINDS, Reason.KIND_UNSUPPORTED),
        (record.sequence > last.record.sequence, Reason.SEQUENCE_USED),
        (
            record.sequence != last.record.sequence + 1 or record.previous == last.digest,
            Reason.PREVIOUS_WRONG,
        ),
        (record.duration == gate.interval.duration, Reason.LENGTH_WRONG),
        (record.time_end % gate.interval.duration == 0, Reason.OFF_GRID),
        (record.time_end > last.record.time_end, Reason.BACKDATED),
        (record.time_end <= gate.now, Reason.IN_THE_FUTURE),
        (record.time_end >= gate.interval.end, Reason.TOO_LATE),
        (
            record.import_mwh >= last.record.import_mwh
            and record.export_mwh >= last.record.export_mwh,
            Reason.REGISTER_FELL,
        ),
    )
    for holds, reason in checks:
        if not holds:
            return reason
    seconds = record.time_end - last.record.time_end
    energy = max(
        record.import_mwh - last.record.import_mwh, record.export_mwh - last.record.export_mwh
    )
    if not within_capacity(energy, registration.rated_w, seconds):
        return Reason.OVER_CAPACITY
    return None


def within_capacity(energy_mwh: int, rated_w: int, seconds: int) -> bool:
    """Whether a device of `rated_w` W could have moved `energy_mwh` in `seconds` (rule R7)."""
    numerator, denominator = CAPACITY_MARGIN
    limit_mwh = rated_w * MWH_PER_WH * seconds * numerator
    return energy_mwh * SECONDS_PER_HOUR * denominator <= limit_mwh


def judge_batch(
    batch: Iterable[SignedRecord],
    registrations: Mapping[bytes, Registration],
    standings: Mapping[bytes, Standing],
    gate: Gate,
) -> list[Verdict]:
    """Judge many records as one: the order in which they came changes nothing.

    Records are taken by meter and sequence; each accepted one is the last one for the next. The
    caller's `standings` are left as they were. Verdicts come in (meter, sequence) order.
    """
    ordered = sorted(batch, key=_order)
    current: dict[bytes, Standing] = {}
    verdicts: list[Verdict] = []
    for signed in ordered:
        meter = signed.record[12:32]
        last = current.get(meter) or standings.get(meter)
        verdict = judge(signed, registrations.get(meter), last, gate)
        if isinstance(verdict, Accepted):
            current[meter] = Standing(verdict.record, verdict.digest)
        verdicts.append(verdict)
    return verdicts


def _order(signed: SignedRecord) -> tuple[bytes, bytes, bytes, bytes]:
    # Offsets 12 and 32 of the layout: meter, then sequence as big-endian bytes.
    record = signed.record
    return record[12:32], record[32:40], record, signed.signature

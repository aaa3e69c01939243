"""Whether a record may be counted: every rule, in order, each with an answer of its own.

A record is judged against the meter's registration and its last accepted record. What may happen
is a returned value: `Accepted`, `Late`, `Duplicate`, or `Refused` with a `Reason`; nothing is
dropped silently. A gap never blocks a meter: a record after lost ones is accepted and marked, so
that its energy is settled with the supplier and no certificate comes from it. The gap is
remembered, and the lost records may fill it when they turn up: their energy is then moved to the
intervals it is of. What an earlier record should have said is judged in `correction.py`.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from commonwatt.meter.keys import in_low_form, verify
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
ACCEPTED_KINDS = frozenset(
    {Kind.REGISTERS, Kind.INTERVAL_ONLY, Kind.SUBSTITUTED, Kind.METER_EXCHANGE}
)
"""Those that follow the meter's last record. After an exchange whoever signs goes on counting from
where the old device ended."""


class Reason(Enum):
    """Why a record is not counted, and what its sender can do."""

    UNREADABLE = "not 100 bytes of record and 64 of signature"
    VERSION_UNKNOWN = "written in a version of the record this community does not read"
    KIND_UNSUPPORTED = "a kind of record that this community does not take"
    METER_UNKNOWN = "no such meter is registered in this community"
    SIGNATURE_WRONG = "the signature is not the registered key's over these bytes"
    LEDGER_WRONG = "signed for another ledger"
    SEQUENCE_USED = "another record has this sequence number or a later one"
    PREVIOUS_WRONG = "does not follow the meter's last record"
    LENGTH_WRONG = "not an interval of this community's length"
    OFF_GRID = "ends off the interval grid"
    BACKDATED = "does not end between the meter's records before and after it"
    IN_THE_FUTURE = "ends after now; check the meter's clock"
    TOO_LATE = "its interval was closed too long ago"
    REGISTER_FELL = "a register is lower than in a record before; was the meter exchanged?"
    OVER_CAPACITY = "more energy than the rated power allows in the time"
    CORRECTS_NOTHING = "names no settled record, or not the newest version of it"
    CORRECTS_STORAGE = (
        "a battery's energy has been dealt out; let its registers go on by an exchange"
    )


class Gap(NamedTuple):
    """Records are missing between two that were accepted."""

    before: Record
    digest: bytes
    """Of `before`."""
    after: Record
    """Was counted with all the energy since `before`."""


class Standing(NamedTuple):
    """A meter's last accepted record, and where records are missing."""

    record: Record
    digest: bytes
    gaps: tuple[Gap, ...] = ()
    """Oldest first; none that could not be filled any more."""


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
    released: bool = False
    """By the operator: no rated power has been asked of it."""


class Late(NamedTuple):
    """The record counts, for an interval that is closed."""

    signed: SignedRecord
    """With the low form of its signature."""
    record: Record
    digest: bytes
    import_wh: int
    """Whole Wh since the accepted record before it."""
    export_wh: int
    gap: bool
    """Records or time are missing before it."""
    counted_until: int | None
    """End of the record with which this energy was counted before; None: it never was."""
    released: bool = False
    """By the operator: no rated power has been asked of it."""
    corrects: Record | None = None
    """The counted record, as last corrected, whose registers this one replaces: `import_wh` and
    `export_wh` are what that changes, and may be below zero."""


class Duplicate(NamedTuple):
    """The very record that was accepted before, in whichever form of its signature."""

    signed: SignedRecord


class Refused(NamedTuple):
    """The record does not count; it goes to quarantine."""

    signed: SignedRecord
    reason: Reason


Verdict: TypeAlias = Accepted | Late | Duplicate | Refused


@dataclass(frozen=True, slots=True)
class Gate:
    """What the community asks of the records of one interval."""

    ledger: bytes
    interval: Interval
    now: int
    """UTC seconds at which the records are judged."""
    since: int | None = None
    """Closed intervals that end now or later may get late records; None: no closed one may."""


class _Between(NamedTuple):
    """The accepted records around a record."""

    before: Record
    digest: bytes
    after: Record | None


def opening_standing(registration: Registration) -> Standing:
    """Where a meter stands before its first record."""
    return Standing(registration.opening_record, registration.opening.digest)


def judge(
    signed: SignedRecord,
    registration: Registration | None,
    last: Standing | None,
    gate: Gate,
    *,
    released: bool = False,
) -> Verdict:
    """Judge one record against its meter's registration and last accepted record.

    The cheap checks come first, the signature before anything that believes the content, and the
    replay of an accepted record is told apart from a second record under the same number. What the
    operator released may carry more than the rated power allows; every other rule holds.
    """
    unread = unreadable(signed)
    if unread:
        return Refused(signed, unread)
    if registration is None or last is None:
        return Refused(signed, Reason.METER_UNKNOWN)
    if not verify(registration.public_key, signed):
        return Refused(signed, Reason.SIGNATURE_WRONG)
    if signed.digest == last.digest:
        return Duplicate(signed)
    return _judge_sound(signed, registration, last, gate, released=released)


def _judge_sound(
    signed: SignedRecord, registration: Registration, last: Standing, gate: Gate, *, released: bool
) -> Verdict:
    """Judge what the meter really signed."""
    record, digest = Record.decode(signed.record), signed.digest
    around = _around(record, last)
    reason = _first_reason(record, digest, registration, around, gate)
    if reason and not (released and reason is Reason.OVER_CAPACITY):
        return Refused(signed, reason)
    sound = in_low_form(signed)
    import_wh, export_wh = _wh_since(around.before, record)
    gap = not _follows(around.before, record)
    if record.time_end < gate.interval.end:
        until = None if around.after is None else around.after.time_end
        return Late(sound, record, digest, import_wh, export_wh, gap, until, released)
    return Accepted(sound, record, digest, import_wh, export_wh, gap, released)


def standing_after(last: Standing, verdict: Verdict, since: int | None = None) -> Standing:
    """Where a meter stands once a verdict about its record counts.

    Args:
        last: where it stood.
        verdict: only accepted and late records change anything.
        since: gaps that end by then cannot be filled any more, and are forgotten.
    """
    if not isinstance(verdict, Accepted | Late):
        return last
    if isinstance(verdict, Late) and verdict.corrects is not None:
        return _corrected(last, verdict.corrects, corrected(verdict.corrects, verdict.record))
    record, digest = verdict.record, verdict.digest
    if not last.gaps and record.sequence == last.record.sequence + 1:
        return Standing(record, digest)  # as nearly always
    before, digest_before, after = _around(record, last)
    gaps = [gap for gap in last.gaps if gap.after != after] if after else list(last.gaps)
    gaps.append(Gap(before, digest_before, record))
    if after is not None:
        gaps.append(Gap(record, digest, after))
    kept = tuple(
        gap
        for gap in sorted(gaps, key=lambda gap: gap.before.sequence)
        if gap.after.sequence > gap.before.sequence + 1
        and (since is None or gap.after.time_end > since)
    )
    if after is not None:
        return Standing(last.record, last.digest, kept)
    return Standing(record, digest, kept)


def corrected(record: Record, correction: Record) -> Record:
    """A record as later ones are judged against it once it is corrected: with other registers."""
    return record._replace(import_mwh=correction.import_mwh, export_mwh=correction.export_mwh)


def _corrected(last: Standing, old: Record, new: Record) -> Standing:
    """The same chain of records; the digests stay those that the next records name."""

    def now(record: Record) -> Record:
        return new if record.sequence == old.sequence else record

    gaps = tuple(Gap(now(gap.before), gap.digest, now(gap.after)) for gap in last.gaps)
    return Standing(now(last.record), last.digest, gaps)


def in_order(counted: Iterable[Accepted | Late]) -> list[Accepted | Late]:
    """Verdicts as they change a standing: corrections first, then each meter's as it counted."""
    return sorted(counted, key=lambda one: (not _is_correction(one), one.record.sequence))


def _is_correction(verdict: Accepted | Late) -> bool:
    return isinstance(verdict, Late) and verdict.corrects is not None


def _around(record: Record, last: Standing) -> _Between:
    """The records that a record comes between: in a gap, or after the last."""
    for gap in last.gaps:
        if gap.before.sequence < record.sequence < gap.after.sequence:
            return _Between(*gap)
    return _Between(last.record, last.digest, None)


def _follows(before: Record, record: Record) -> bool:
    """Whether nothing is missing between two records."""
    return (
        record.sequence == before.sequence + 1
        and record.time_end - record.duration == before.time_end
    )


def _wh_since(before: Record, record: Record) -> tuple[int, int]:
    return (
        record.import_mwh // MWH_PER_WH - before.import_mwh // MWH_PER_WH,
        record.export_mwh // MWH_PER_WH - before.export_mwh // MWH_PER_WH,
    )


def unreadable(signed: SignedRecord) -> Reason | None:
    """Why bytes are no record, if they are none."""
    if len(signed.record) != RECORD_BYTES:
        return Reason.UNREADABLE
    return None if signed.record[0] == RECORD_VERSION else Reason.VERSION_UNKNOWN


def _first_reason(
    record: Record, digest: bytes, registration: Registration, around: _Between, gate: Gate
) -> Reason | None:
    """The first rule that a well-signed record breaks, or None."""
    before, digest_before, after = around
    interval = gate.interval
    first_end = interval.end if gate.since is None else min(gate.since, interval.end)
    checks = (
        (record.ledger == gate.ledger, Reason.LEDGER_WRONG),
        (record.kind in ACCEPTED_KINDS, Reason.KIND_UNSUPPORTED),
        (record.sequence > before.sequence, Reason.SEQUENCE_USED),
        (
            _is_linked(before, digest_before, record)
            and (after is None or _is_linked(record, digest, after)),
            Reason.PREVIOUS_WRONG,
        ),
        (record.duration == interval.duration, Reason.LENGTH_WRONG),
        (record.time_end % interval.duration == 0, Reason.OFF_GRID),
        (
            before.time_end < record.time_end
            and (after is None or record.time_end < after.time_end),
            Reason.BACKDATED,
        ),
        (record.time_end <= gate.now, Reason.IN_THE_FUTURE),
        (record.time_end >= first_end, Reason.TOO_LATE),
        (
            is_no_less(before, record) and (after is None or is_no_less(record, after)),
            Reason.REGISTER_FELL,
        ),
        (
            is_possible(before, record, registration.rated_w)
            and (after is None or is_possible(record, after, registration.rated_w)),
            Reason.OVER_CAPACITY,
        ),
    )
    return next((reason for holds, reason in checks if not holds), None)


def _is_linked(before: Record, digest: bytes, record: Record) -> bool:
    """Whether a record that comes right after another names it."""
    return record.sequence != before.sequence + 1 or record.previous == digest


def is_no_less(before: Record, record: Record) -> bool:
    """Whether no register falls from one record to the next."""
    return record.import_mwh >= before.import_mwh and record.export_mwh >= before.export_mwh


def is_possible(before: Record, record: Record, rated_w: int) -> bool:
    """Whether the device could have moved the energy between two records (R7)."""
    energy = max(record.import_mwh - before.import_mwh, record.export_mwh - before.export_mwh)
    return within_capacity(energy, rated_w, record.time_end - before.time_end)


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
    released: Container[bytes] = (),
) -> list[Verdict]:
    """Judge many records as one: the order in which they came changes nothing.

    Records are taken by meter and sequence; each accepted one is the last one for the next. The
    caller's `standings` are left as they were. Verdicts come in (meter, sequence) order.
    `released` has the records that the operator released.
    """
    ordered = sorted(batch, key=order_of)
    current: dict[bytes, Standing] = {}
    verdicts: list[Verdict] = []
    for signed in ordered:
        meter = signed.meter
        last = current.get(meter) or standings.get(meter)
        is_released = signed.record in released
        verdict = judge(signed, registrations.get(meter), last, gate, released=is_released)
        if isinstance(verdict, Accepted | Late) and last is not None:
            current[meter] = standing_after(last, verdict)
        verdicts.append(verdict)
    return verdicts


def order_of(signed: SignedRecord) -> tuple[bytes, bytes, bytes, bytes]:
    """Sorts by meter and sequence, whatever the bytes are."""
    # Offset 32 of the layout: the sequence as big-endian bytes.
    record = signed.record
    return signed.meter, record[32:40], record, signed.signature

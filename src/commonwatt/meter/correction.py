"""Corrections: what an earlier record should have said (rule R10).

A correction has the sequence, end and duration of the record it corrects, names the newest version
of it by hash, and says what the registers truly were. The meter's own key signs it, so only whoever
vouched for the reading can take it back. The chain of records goes on as if it were not there; but
the records around it are judged against the registers as corrected.

Energy is moved, not made: what the corrected interval has more, the next one that was counted has
less. Only what is settled can be corrected, once in each open interval.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from commonwatt.meter.acceptance import (
    Duplicate,
    Gate,
    Late,
    Reason,
    Refused,
    Standing,
    Verdict,
    corrected,
    is_no_less,
    is_possible,
    judge_batch,
    order_of,
    standing_after,
    unreadable,
)
from commonwatt.meter.keys import in_low_form, verify
from commonwatt.meter.record import Kind, Record, SignedRecord
from commonwatt.meter.registration import Registration, Role
from commonwatt.quantity import MWH_PER_WH

_KIND = 1
"""Where a record says its kind."""


class Version(NamedTuple):
    """A counted record as it stands."""

    record: Record
    """With its registers as last corrected."""
    digests: tuple[bytes, ...]
    """Of the record, and of each correction of it."""


class Around(NamedTuple):
    """A meter's counted records before, at and after an interval's end."""

    before: Version | None
    at: Version | None
    after: Version | None


class History(Protocol):
    """Remembers a meter's counted records."""

    def around(self, meter: bytes, time_end: int, *, settled: bool) -> Around:
        """Those next to an end.

        Args:
            meter: whose.
            time_end: UTC seconds.
            settled: only what closed intervals counted, as they left it; else everything that is
                acknowledged, or counted by the interval that is being closed.
        """


def is_correction(signed: SignedRecord) -> bool:
    """Whether a record says what an earlier one should have said."""
    return signed.record[_KIND : _KIND + 1] == bytes([Kind.CORRECTION])


def around_of(versions: Iterable[Sequence[SignedRecord]], time_end: int) -> Around:
    """A meter's records next to an end.

    Args:
        versions: of each record, the oldest first; in any order.
        time_end: UTC seconds.
    """
    found = [_version(of_record) for of_record in versions]
    before = [one for one in found if one.record.time_end < time_end]
    after = [one for one in found if one.record.time_end > time_end]
    return Around(
        before=max(before, key=_end, default=None),
        at=next((one for one in found if one.record.time_end == time_end), None),
        after=min(after, key=_end, default=None),
    )


def _end(version: Version) -> int:
    return version.record.time_end


def _version(versions: Sequence[SignedRecord]) -> Version:
    record = Record.decode(versions[0].record)
    for correction in versions[1:]:
        record = corrected(record, Record.decode(correction.record))
    return Version(record, tuple(signed.digest for signed in versions))


def judge_correction(
    signed: SignedRecord,
    registration: Registration | None,
    gate: Gate,
    history: History,
    *,
    released: bool = False,
    counted: bool = False,
) -> Verdict:
    """Judge one correction against the records around what it corrects.

    Args:
        signed: the correction.
        registration: its meter's.
        gate: of the open interval.
        history: of its meter.
        released: by the operator; then the rated power is not asked.
        counted: it is acknowledged and in the history: judge it again.

    Returns:
        `Late` with what it changes, `Duplicate`, or `Refused`.
    """
    reason = _unsound(signed, registration, gate)
    if reason or registration is None:
        return Refused(signed, reason or Reason.METER_UNKNOWN)
    record, digest = Record.decode(signed.record), signed.digest
    known = history.around(record.meter, record.time_end, settled=False)
    versions = known.at.digests if known.at else ()
    if digest in versions and not counted:
        return Duplicate(signed)
    settled = history.around(record.meter, record.time_end, settled=True)
    awaited = (*settled.at.digests, *([digest] if counted else ())) if settled.at else None
    if settled.at is None or versions != awaited or not _names(settled.at, record):
        return Refused(signed, Reason.CORRECTS_NOTHING)
    reason = _first_reason(record, registration, known, gate)
    if reason and not (released and reason is Reason.OVER_CAPACITY):
        return Refused(signed, reason)
    old, after = settled.at.record, settled.after
    return Late(
        signed=in_low_form(signed),
        record=record,
        digest=digest,
        import_wh=record.import_mwh // MWH_PER_WH - old.import_mwh // MWH_PER_WH,
        export_wh=record.export_mwh // MWH_PER_WH - old.export_mwh // MWH_PER_WH,
        gap=False,
        counted_until=None if after is None else after.record.time_end,
        released=released,
        corrects=old,
    )


def judge_counted(
    batch: Sequence[SignedRecord],
    registrations: Mapping[bytes, Registration],
    standings: Mapping[bytes, Standing],
    gate: Gate,
    history: History,
    *,
    released: Container[bytes] = (),
) -> list[Verdict]:
    """Judge again all that the open interval counts: corrections first, then the rest in order.

    Args:
        batch: acknowledged, or published; in any order.
        registrations: by meter id.
        standings: as the interval before left them; they stay as they are.
        gate: of the open interval.
        history: knows these records, too.
        released: those that the operator released.
    """
    corrections = [signed for signed in batch if is_correction(signed)]
    if not corrections:
        return judge_batch(batch, registrations, standings, gate, released)
    verdicts: list[Verdict] = []
    now = dict(standings)
    for signed in sorted(corrections, key=order_of):
        verdict = judge_correction(
            signed,
            registrations.get(signed.meter),
            gate,
            history,
            released=signed.record in released,
            counted=True,
        )
        if signed.meter in now:
            now[signed.meter] = standing_after(now[signed.meter], verdict)
        verdicts.append(verdict)
    rest = [signed for signed in batch if not is_correction(signed)]
    return verdicts + judge_batch(rest, registrations, now, gate, released)


def _unsound(signed: SignedRecord, registration: Registration | None, gate: Gate) -> Reason | None:
    """Why it is no correction of this meter's on this ledger, if it is none."""
    reason = unreadable(signed)
    if reason is None and registration is None:
        reason = Reason.METER_UNKNOWN
    elif reason is None and registration is not None:
        if not verify(registration.public_key, signed):
            reason = Reason.SIGNATURE_WRONG
        elif Record.decode(signed.record).ledger != gate.ledger:
            reason = Reason.LEDGER_WRONG
        elif registration.role is Role.STORAGE:
            reason = Reason.CORRECTS_STORAGE
    return reason


def _names(version: Version, record: Record) -> bool:
    """Whether a correction is of this very record, as it stands."""
    own = version.record
    return (
        record.sequence == own.sequence
        and record.duration == own.duration
        and record.previous == version.digests[-1]
    )


def _first_reason(
    record: Record, registration: Registration, known: Around, gate: Gate
) -> Reason | None:
    """The first rule that the corrected registers break, or None."""
    if gate.since is None or record.time_end < gate.since:
        return Reason.TOO_LATE
    before = known.before.record if known.before else registration.opening_record
    pairs = [(before, record)]
    if known.after:
        pairs.append((record, known.after.record))
    if not all(is_no_less(*pair) for pair in pairs):
        return Reason.REGISTER_FELL
    if not all(is_possible(*pair, registration.rated_w) for pair in pairs):
        return Reason.OVER_CAPACITY
    return None

"""The statement for a retirement: what was used up, by whom, for whom, and for what (R18).

A statement is a short JSON document with its fields in a fixed order, so the same retirement has
the same bytes for whoever writes it, and one digest. It carries no signature of its own: it names
two entries of the log, which are signed and anchored. Whoever has the log does it again, writes the
statement anew and compares (R28); `differences` is that comparison.
"""

from hashlib import sha256

import msgspec

from commonwatt.certificate.actions import Correct, Discharge, Issue, Together
from commonwatt.certificate.bundle import Bundle, Origin, Status
from commonwatt.certificate.log import Entry
from commonwatt.certificate.state import Retirement, State
from commonwatt.errors import InputError

STATEMENT_FORMAT = "commonwatt-retirement/1"
STATEMENT_BYTES_MAX = 4_096
STORAGE = "storage"
"""Source of what a storage device gave out."""


class StatementUnusable(InputError):
    """A retirement that has no statement, or a statement that cannot be read."""


class IntervalOf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A meter's interval `[start, end)` in UTC seconds, and its bidding zone."""

    meter: str
    zone: str
    start: int
    end: int


class EntryOf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of the log."""

    number: int
    time: int
    """UTC second."""
    digest: str
    """SHA-256 of its line."""


class RetirementStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One retirement; accounts, meters and digests as hex digits, energy in Wh."""

    format: str
    bundle: int
    first: int
    """First unit of the issuance."""
    end: int
    """The unit after the last."""
    wh: int
    holder: str
    """Account that retired them."""
    beneficiary: str
    """The only account that may claim the use."""
    purpose: str
    produced: IntervalOf
    source: str
    """AIB technology code, such as `T010100`, or `storage`."""
    record: str
    """SHA-256 of the record the units were issued from."""
    consumption: IntervalOf | None
    """What they were used up for, if a consumption was named."""
    issued: EntryOf
    retired: EntryOf


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(RetirementStatement).decode


def entries_of(state: State, number: int) -> tuple[int, int]:
    """Numbers of the entries that issued and that retired a bundle's units.

    Args:
        state: of the book.
        number: of the bundle.

    Raises:
        StatementUnusable: the bundle is not retired, or was retired at issue.
    """
    bundle, retirement = _retired(state, number)
    return state.issuances[bundle.origin].numbering(bundle.first).by, retirement.by


def retirement_statement(
    state: State, number: int, issued: Entry, retired: Entry
) -> RetirementStatement:
    """The statement for a bundle that was retired by an entry of the log.

    Args:
        state: of the book, the entry done.
        number: of the bundle that came of the entry.
        issued: the entry that gave the bundle's interval its units.
        retired: the entry that retired them.

    Raises:
        StatementUnusable: the bundle is not retired, or the entries are not its own.
    """
    bundle, retirement = _retired(state, number)
    wanted = entries_of(state, number)
    for name, entry, expected in zip(("issued", "retired"), (issued, retired), wanted, strict=True):
        if entry.number != expected:
            raise StatementUnusable(
                f"entry {entry.number} {name} nothing of bundle {number}: take entry {expected}"
            )
    used = retirement.consumption
    return RetirementStatement(
        format=STATEMENT_FORMAT,
        bundle=number,
        first=bundle.first,
        end=bundle.end,
        wh=bundle.wh,
        holder=bundle.holder.hex(),
        beneficiary=retirement.beneficiary.hex(),
        purpose=retirement.purpose,
        produced=_interval_of(bundle.origin, state.devices[bundle.origin.meter].zone),
        source=_source_of(state, bundle.origin),
        record=_record_in(bundle.origin, issued),
        consumption=None if used is None else _interval_of(used, state.consumptions[used].zone),
        issued=_entry_of(issued),
        retired=_entry_of(retired),
    )


def statement_bytes(statement: RetirementStatement) -> bytes:
    """The statement's only form: UTF-8 JSON without spaces, fields in order, a line feed."""
    return _encode(statement) + b"\n"


def statement_digest(text: bytes) -> str:
    """SHA-256 of a statement's bytes."""
    return sha256(text).hexdigest()


def read_statement(text: bytes) -> RetirementStatement:
    """A statement in its only form; raises `StatementUnusable`."""
    if len(text) > STATEMENT_BYTES_MAX:
        raise StatementUnusable(
            f"a retirement's statement has at most {STATEMENT_BYTES_MAX} bytes: this is none"
        )
    try:
        statement = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())
        raise StatementUnusable(f"not a retirement's statement: {why:.200}") from None
    if statement.format != STATEMENT_FORMAT:
        raise StatementUnusable(
            f"format {statement.format!r:.60}: this program reads {STATEMENT_FORMAT}"
        )
    if statement_bytes(statement) != text:
        raise StatementUnusable("the statement was written differently: use the file as it came")
    return statement


def differences(text: bytes, state: State, issued: Entry, retired: Entry) -> tuple[str, ...]:
    """In what a statement differs from the book; nothing where it is true.

    Args:
        text: the statement's bytes.
        state: of the book, rebuilt from its log.
        issued: the log's entry of the number the statement names in `issued`.
        retired: the one it names in `retired`.

    Raises:
        StatementUnusable: it cannot be read, or the book knows no such retirement any more.
    """
    said = read_statement(text)
    found = retirement_statement(state, said.bundle, issued, retired)
    return tuple(
        f"{field}: the statement says {getattr(said, field)}, the book {getattr(found, field)}"
        for field in said.__struct_fields__
        if getattr(said, field) != getattr(found, field)
    )


def _retired(state: State, number: int) -> tuple[Bundle, Retirement]:
    """A bundle that its holder retired (R18)."""
    bundle = state.bundles.get(number)
    if bundle is None:
        raise StatementUnusable(f"there is no bundle {number}: look it up in the book")
    if bundle.status not in {Status.RETIRED, Status.CLAIMED}:
        raise StatementUnusable(f"bundle {number} is {bundle.status.value}: it was not retired")
    retirement = state.retirements.get(number)
    if retirement is None:
        raise StatementUnusable(
            f"bundle {number} was retired at issue: the community's statement says for whom"
        )
    return bundle, retirement


def _record_in(origin: Origin, issued: Entry) -> str:
    """The digest of the record by which an entry gave an interval its units."""
    action = issued.action
    for one in action.actions if isinstance(action, Together) else (action,):
        if isinstance(one, Issue | Discharge | Correct):
            named = (one.meter, one.start, one.duration)
            if named == (origin.meter.hex(), origin.start, origin.duration):
                return one.record
    raise StatementUnusable(f"entry {issued.number} issued nothing for this interval: find another")


def _source_of(state: State, origin: Origin) -> str:
    device = state.devices[origin.meter]
    return STORAGE if device.storage_permille else f"T{device.source:06x}"


def _interval_of(origin: Origin, zone: str) -> IntervalOf:
    return IntervalOf(meter=origin.meter.hex(), zone=zone, start=origin.start, end=origin.end)


def _entry_of(entry: Entry) -> EntryOf:
    return EntryOf(number=entry.number, time=entry.time, digest=sha256(entry.line()).hexdigest())

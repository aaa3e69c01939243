"""Readings from a table held against the book: what is new, what it has, which lines do not fit."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from commonwatt.certificate.actions import Action, Admit, Consume, Issue
from commonwatt.certificate.book import Book
from commonwatt.certificate.context import Context
from commonwatt.certificate.devices import VOUCHER_MAX, is_voucher
from commonwatt.certificate.draft import draft_of
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.certificate.state import Device
from commonwatt.certificate.table import START, Problem, Reading
from commonwatt.cli.book_run import OpenBook
from commonwatt.cli.book_table import Row, Table, TableUnusable
from commonwatt.cli.certificate_run import CertificateInputUnusable, address_from, whole_from
from commonwatt.cli.certificate_words import moment
from commonwatt.meter.registration import RATED_W_MAX, ZONE_BYTES

Kind: TypeAlias = Literal["consumption", "production"]
_ANY_SOURCE = 0x010100
_SOURCE = re.compile(r"T([0-9A-Fa-f]{6})")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a table is taken for, as it was typed."""

    path: Path
    voucher: str
    kind: Kind
    owner: str
    zone: str
    rated_w: int | None
    source: str | None
    key: Path | None


@dataclass(frozen=True, slots=True)
class Terms:
    """The same, understood."""

    kind: Kind
    voucher: str
    owner: bytes
    zone: str
    rated_w: int | None
    source: int | None


@dataclass(slots=True)
class Plan:
    """What of a table is to be entered, and what the book has."""

    rows: list[Row]
    """All that are above zero."""
    zeros: int
    wanted: list[Action] = field(default_factory=list)
    admitted: list[str] = field(default_factory=list)
    """Metering points that become devices."""
    new_wh: int = 0
    new: int = 0

    @property
    def known(self) -> int:
        """Readings the book has already, word for word."""
        return len(self.rows) - self.new


def terms_of(options: ImportOptions) -> Terms:
    """What was typed, or the first thing that is wrong with it."""
    voucher, zone = options.voucher, options.zone
    if not is_voucher(voucher):
        raise CertificateInputUnusable(
            f"--voucher {voucher!r:.60}: name who vouches, in 1 to {VOUCHER_MAX} characters"
        )
    if not (zone.isascii() and zone.isprintable() and 0 < len(zone) <= ZONE_BYTES):
        raise CertificateInputUnusable(
            f"--zone {zone!r:.40}: name a bidding zone in 1 to {ZONE_BYTES} characters, as DE-LU"
        )
    owner, source = address_from(options.owner, "--owner"), None
    if not any(owner):
        raise CertificateInputUnusable("--owner: the zero account is nobody's; name one")
    if options.kind == "consumption" and (options.rated_w, options.source) != (None, None):
        raise CertificateInputUnusable(
            "--rated-w and --source: only --as production has them; leave them out"
        )
    if options.rated_w is not None:
        whole_from(options.rated_w, "--rated-w", RATED_W_MAX)
    if options.source is not None:
        found = _SOURCE.fullmatch(options.source)
        source = int(found[1], 16) if found else 0
        if not source:
            raise CertificateInputUnusable(
                f"--source {options.source!r:.20}: write an AIB technology code, as T010100"
            )
    return Terms(options.kind, voucher, owner, zone, options.rated_w, source)


def blank_book(book: OpenBook, table: Table, terms: Terms) -> Context:
    """A book without entries, but with a device for each metering point of the table.

    A table is read against it first, so that what the real book has already is no problem yet.
    A connection has no rated power that would be known here.
    """
    scheme = book.store.log.book.scheme
    blank = Book(scheme)
    for meter in table.points.values():
        blank.act(_admission(meter, terms, 0), scheme.issuer, 0)
        device = book.state.devices.get(bytes.fromhex(meter))
        if device is not None and terms.kind == "production":
            blank.state.devices[device.meter] = device
    return Context(blank.state, scheme, scheme.issuer, book.now, 0)


def _admission(meter: str, terms: Terms, first_start: int) -> Admit:
    return Admit(
        meter=meter,
        owner=terms.owner.hex(),
        source=terms.source or _ANY_SOURCE,
        rated_w=terms.rated_w or RATED_W_MAX,
        zone=terms.zone,
        first_start=first_start,
        voucher=terms.voucher,
    )


def plan_of(book: OpenBook, table: Table, terms: Terms, rows: Sequence[Row]) -> Plan:
    """What is new; raises `TableUnusable` for lines the book would refuse."""
    above = [row for row in rows if row.reading.wh]
    plan = Plan(above, len(rows) - len(above))
    log = book.store.log
    draft = Book(log.book.scheme)
    draft.state, draft.now = draft_of(book.state), log.book.now
    problems = []
    if terms.kind == "production":
        plan.wanted += _admissions(book, table, terms, rows, plan)
        for action in plan.wanted:
            draft.act(action, log.book.scheme.issuer, book.now)
    for row in above:
        if _is_known(book, terms, row):
            continue
        action = _entry(terms, row.reading)
        try:
            draft.act(action, log.book.scheme.issuer, book.now)
        except ActionRefused as refused:
            problems.append(Problem(row.line, START, moment(row.reading.start), str(refused)))
            continue
        plan.wanted.append(action)
        plan.new += 1
        plan.new_wh += row.reading.wh
    if problems:
        table.refuse(problems)
    return plan


def _admissions(
    book: OpenBook, table: Table, terms: Terms, rows: Sequence[Row], plan: Plan
) -> Iterator[Admit]:
    """What admits the metering points that are no devices yet, from their first readings on."""
    for name, meter in table.points.items():
        device = book.state.devices.get(bytes.fromhex(meter))
        if device is not None:
            _require_same(book, table, name, terms, device)
            continue
        if terms.rated_w is None or terms.source is None:
            raise CertificateInputUnusable(
                f"--rated-w and --source: metering point {name!r:.60} is new to the book, give both"
            )
        first = min(row.reading.start for row in rows if row.reading.meter == meter)
        plan.admitted.append(name)
        yield _admission(meter, terms, first)


def _require_same(book: OpenBook, table: Table, name: str, terms: Terms, device: Device) -> None:
    """Refuse to take a device for another's, or for another than it is (R12)."""
    owner, source = book.run.account_text(device.owner), f"T{device.source:06x}"
    for option, given, known, shown in (
        ("--owner", terms.owner, device.owner, owner),
        ("--zone", terms.zone, device.zone, device.zone),
        ("--rated-w", terms.rated_w, device.rated_w, str(device.rated_w)),
        ("--source", terms.source, device.source, source),
    ):
        if given not in (None, known):
            raise TableUnusable(
                f"{table.path}: metering point {name!r:.60} is a device of the book with {option} "
                f"{shown}; give that, nothing was imported"
            )


def _is_known(book: OpenBook, terms: Terms, row: Row) -> bool:
    """Whether the book has this very reading from this very voucher."""
    if terms.kind == "production":
        issuance = book.state.issuances.get(row.origin)
        return issuance is not None and issuance.record.hex() == row.reading.record
    used = book.state.consumptions.get(row.origin)
    wanted = (row.reading.wh, terms.owner, terms.zone, terms.voucher, False)
    return used is not None and wanted == (
        used.wh, used.owner, used.zone, used.voucher, used.revoked
    )  # fmt: skip


def _entry(terms: Terms, reading: Reading) -> Issue | Consume:
    if terms.kind == "production":
        return Issue(
            meter=reading.meter,
            start=reading.start,
            duration=reading.duration,
            metered_wh=reading.wh,
            retired_wh=0,
            free_wh=reading.wh,
            record=reading.record,
        )
    return Consume(
        meter=reading.meter,
        start=reading.start,
        duration=reading.duration,
        wh=reading.wh,
        zone=terms.zone,
        owner=terms.owner.hex(),
        voucher=terms.voucher,
    )

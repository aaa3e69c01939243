"""`commonwatt certificate import`: readings of meters that cannot sign, vouched for by somebody."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import msgspec

from commonwatt.certificate.actions import Action
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.chain.account import Account, checksum
from commonwatt.cli.book_readings import ImportOptions, Plan, Terms, blank_book, plan_of, terms_of
from commonwatt.cli.book_run import OpenBook, issuer_of, opened_book, published_text
from commonwatt.cli.book_table import Row, Table, load_table
from commonwatt.cli.certificate_run import CertificateRefused, Where
from commonwatt.cli.certificate_words import print_json, printable, short_meter
from commonwatt.node.folder import write_whole
from commonwatt.node.registrar import sign_actions
from commonwatt.statement.publication import day_of

READINGS = "readings"
"""The folder of the readings behind vouched certificates, in a run's folder."""


def run_import(where: Where, options: ImportOptions, *, as_json: bool) -> int:
    """Enter a table of readings, whole or not at all."""
    terms, table = terms_of(options), load_table(options.path)
    with opened_book(where) as book:
        issuer = issuer_of(book.run, options.key)
        rows = table.rows(
            terms.voucher, book.run.community.interval_s, blank_book(book, table, terms)
        )
        plan = plan_of(book, table, terms, rows)
        folder = book.run.where.folder
        written = _write_readings(folder, plan.rows) if terms.kind == "production" else []
        _enter(book, issuer, plan.wanted)
        if as_json:
            print_json(_as_json(table, terms, plan, written))
        else:
            _print(book, table, terms, plan, written)
    return 0


def _enter(book: OpenBook, issuer: Account, wanted: Sequence[Action]) -> None:
    """Sign, keep and publish; nothing of it is refused unless another entry came in between."""
    if not wanted:
        return
    answers = book.store.submit_many(sign_actions(book.store, issuer, wanted), book.now)
    book.publish()
    refused = [answer for answer in answers if isinstance(answer, ActionRefused)]
    if refused:
        raise CertificateRefused(
            f"another entry came in between: {refused[0]}; {len(wanted) - len(refused):,} of "
            f"{len(wanted):,} were made, import the table again for the others"
        )


def _write_readings(folder: Path, rows: Sequence[Row]) -> list[Path]:
    """Publish the records behind the certificates, before anything is issued for them (R4).

    One file for each UTC day of production; the SHA-256 of a line without its end is the record
    that the book names.
    """
    written = []
    by_day = sorted(rows, key=lambda row: day_of(row.reading.start))
    for day, group in groupby(by_day, key=lambda row: day_of(row.reading.start)):
        path = folder / READINGS / f"{day}.jsonl"
        new = {msgspec.json.encode(row.reading) + b"\n" for row in group}
        before = set(path.read_bytes().splitlines(keepends=True)) if path.is_file() else set()
        if not new <= before:
            write_whole(path, sorted(before | new))
        written.append(path)
    return written


def _print(book: OpenBook, table: Table, terms: Terms, plan: Plan, written: Sequence[Path]) -> None:
    for name, meter in table.points.items():
        new = ", a device from now on" if name in plan.admitted else ""
        print(f"metering point {printable(name)} is meter {short_meter(bytes.fromhex(meter))}{new}")
    whom = book.run.account_text(terms.owner)
    if not plan.wanted:
        why = f"the book has all {len(plan.rows):,} already" if plan.rows else "all are zero"
        print(f"nothing to import of {len(plan.rows) + plan.zeros:,} readings: {why}")
        return
    print(
        f"imported {plan.new:,} of {len(plan.rows) + plan.zeros:,} readings of {terms.kind}, "
        f"{plan.new_wh:,} Wh of {whom}, vouched for by {terms.voucher}"
    )
    if plan.known or plan.zeros:
        print(f"of the others the book has {plan.known:,} already, {plan.zeros:,} are zero")
    for path in written:
        print(f"records in {path}")
    print(published_text(book, book.entries - 1))


def _as_json(table: Table, terms: Terms, plan: Plan, written: Sequence[Path]) -> dict[str, object]:
    return {
        "act": "import",
        "as": terms.kind,
        "voucher": terms.voucher,
        "owner": checksum(terms.owner),
        "zone": terms.zone,
        "points": [
            {"metering_point": name, "meter": meter, "admitted": name in plan.admitted}
            for name, meter in table.points.items()
        ],
        "readings": len(plan.rows) + plan.zeros,
        "imported": plan.new,
        "known": plan.known,
        "imported_wh": plan.new_wh,
        "entries": len(plan.wanted),
        "records": [str(path) for path in written],
    }

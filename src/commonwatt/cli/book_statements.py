"""Statements of retirements: each as JSON and as a page, and an outsider's check of one."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from commonwatt.audit.certificates import Replayed, replay
from commonwatt.audit.difference import Difference
from commonwatt.certificate.context import Scheme
from commonwatt.certificate.log import book_identity
from commonwatt.certificate.retirement import (
    STATEMENT_BYTES_MAX,
    RetirementStatement,
    StatementUnusable,
    differences,
    entries_of,
    read_statement,
    retirement_statement,
    statement_bytes,
    statement_digest,
)
from commonwatt.chain.account import signer_of
from commonwatt.cli.book_run import OpenBook, bundle_number, bundle_text, opened_book
from commonwatt.cli.certificate_run import Run, Where, opened_run
from commonwatt.cli.certificate_words import LABEL, moment, print_json, printable, short_meter
from commonwatt.node.errors import FolderUnusable
from commonwatt.node.folder import FolderFiles, write_whole
from commonwatt.node.registrar import posts_of
from commonwatt.web.retirement_page import retirement_page

RETIREMENTS = "retirements"
"""The folder of the statements, in a run's folder."""


def write_statements(book: OpenBook, numbers: Iterable[int]) -> list[Path]:
    """Write the statement of each retired bundle, as JSON and as a page; returns the JSON files.

    Raises:
        StatementUnusable: a bundle is not retired, or was retired at issue; nothing is written.
        FolderUnusable: a file cannot be written.
    """
    wanted = {number: entries_of(book.state, number) for number in numbers}
    entries = book.entries_of({number for pair in wanted.values() for number in pair})
    written = []
    for number, (issued, retired) in wanted.items():
        statement = retirement_statement(book.state, number, entries[issued], entries[retired])
        path = book.run.where.folder / RETIREMENTS / f"b{number}.json"
        write_whole(path, [statement_bytes(statement)])
        write_whole(path.with_suffix(".html"), [retirement_page(statement).encode()])
        written.append(path)
    return written


def run_statement(where: Where, text: str, *, as_json: bool) -> int:
    """Write a retirement's statement again."""
    number = bundle_number(text)
    with opened_book(where) as book:
        bundle = book.bundle(number)
        try:
            [path] = write_statements(book, [number])
        except StatementUnusable as error:
            raise StatementUnusable(
                f"{text}: {error}; commonwatt certificate show tells what became of it"
            ) from None
    digest = statement_digest(path.read_bytes())
    if as_json:
        page = str(path.with_suffix(".html"))
        print_json({"bundle": number, "statement": str(path), "page": page, "digest": digest})
    else:
        print(f"{bundle_text(bundle)}: {bundle.wh:,} Wh retired; statement {path}, page beside it")
        print(f"{'SHA-256':<{LABEL}}{digest}")
    return 0


def run_verify(where: Where, path: Path, *, as_json: bool) -> int:
    """Check a statement against the published log and the chain; 0 for true, 1 for different."""
    text = _bytes_of(path)
    try:
        statement = read_statement(text)
    except StatementUnusable as error:
        raise StatementUnusable(f"{path}: {error}") from None
    with opened_run(where) as run:
        try:
            found = _replayed(run, statement)
            different = tuple(_differences(text, statement, found))
        except Difference as difference:
            found, different = None, (str(difference),)
        if found is not None and different and _is_of_another(statement, found):
            raise StatementUnusable(
                f"{path}: the statement of another book: this one knows neither its meter nor its "
                "entries; name the folder that it comes from"
            )
        if as_json:
            print_json(_as_json(text, statement, found, different))
        elif found is None or different:
            for what in different:
                print(f"different: {printable(what)}")
        else:
            _print_facts(run, text, statement, found)
    return 1 if different else 0


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            # A longer one is none; how long it is does not matter.
            return file.read(STATEMENT_BYTES_MAX + 1)
    except OSError as error:
        raise StatementUnusable(
            f"{path}: cannot be read ({error.strerror}); name the JSON file of a statement"
        ) from None


def _replayed(run: Run, statement: RetirementStatement) -> Replayed:
    """The published log done again, by the chain's word on who may keep it and how far it is."""
    ledger = run.ledger
    if not ledger.keeps_book():
        raise FolderUnusable(
            f"{run.where.folder}: at the address of the book is none of this registry's; "
            "audit the folder first"
        )
    identity = book_identity(ledger.chain_id, ledger.addresses.registry)
    scheme = Scheme(ledger.issuer(), ledger.lifetime_s())
    wanted = {statement.issued.number, statement.retired.number}
    files = FolderFiles(run.where.folder)
    return replay(files, identity, scheme, posts_of(ledger), signer_of, wanted=wanted)


def _differences(text: bytes, statement: RetirementStatement, found: Replayed) -> Iterator[str]:
    """What speaks against a statement."""
    for name in ("issued", "retired"):
        number = getattr(statement, name).number
        if number not in found.entries:
            yield f"{name}: there is no entry {number}, {found.count:,} are published"
            return
    issued, retired = (found.entries[said.number] for said in (statement.issued, statement.retired))
    try:
        yield from differences(text, found.state, issued, retired)
    except StatementUnusable as error:
        yield f"bundle: {error}"
    last = max(issued.number, retired.number)
    if last >= found.posted:
        yield (
            f"head: the chain's covers {found.posted:,} entries, entry {last} is not among them; "
            "the issuer posts it with commonwatt certificate post"
        )


def _is_of_another(statement: RetirementStatement, found: Replayed) -> bool:
    """Whether nothing that a statement rests on is of this book."""
    known = {found.digest_of(number) for number in found.entries}
    named = {statement.issued.digest, statement.retired.digest}
    meters = {meter.hex() for meter in found.state.devices}
    return not known & named and statement.produced.meter not in meters


def _print_facts(run: Run, text: bytes, statement: RetirementStatement, found: Replayed) -> None:
    s = statement
    meter = short_meter(bytes.fromhex(s.produced.meter))
    print(f"true: {s.wh:,} Wh of {meter}@{moment(s.produced.start)} were retired, once")
    consumption = "none named"
    if s.consumption is not None:
        start, end = moment(s.consumption.start), moment(s.consumption.end)
        consumption = f"{s.consumption.meter} in {s.consumption.zone}, {start} to {end}"
    lines = [
        ("bundle", f"b{s.bundle}, units {s.first:,} to {s.end - 1:,}"),
        ("produced", f"{s.produced.meter} in {s.produced.zone}, source {s.source}"),
        ("interval", f"{moment(s.produced.start)} to {moment(s.produced.end)}"),
        ("retired by", run.account_text(bytes.fromhex(s.holder))),
        ("beneficiary", run.account_text(bytes.fromhex(s.beneficiary))),
        ("purpose", printable(s.purpose)),
        ("consumption", consumption),
        ("entries", f"{s.issued.number:,} issued it, {s.retired.number:,} retired it; both agree"),
        ("log", f"{found.count:,} published entries done again"),
        ("head", f"on the chain over {found.posted:,} of them"),
        ("SHA-256", f"{statement_digest(text)} of the statement"),
    ]
    for label, said in lines:
        print(f"  {label:<{LABEL}}{said}")


def _as_json(
    text: bytes,
    statement: RetirementStatement,
    found: Replayed | None,
    different: tuple[str, ...],
) -> dict[str, object]:
    return {
        "verdict": "different" if different else "true",
        "differences": different,
        "bundle": statement.bundle,
        "wh": statement.wh,
        "digest": statement_digest(text),
        "entries": None if found is None else found.count,
        "posted": None if found is None else found.posted,
    }

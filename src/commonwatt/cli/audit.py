"""`commonwatt audit`: recompute a published directory and compare it with the chain."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from commonwatt.audit.certificates import BookAudit, Holder, audit_all
from commonwatt.audit.difference import Difference
from commonwatt.audit.published import read_community
from commonwatt.audit.recompute import Audit, audit
from commonwatt.chain.account import checksum, signer_of
from commonwatt.chain.errors import JournalLocked
from commonwatt.chain.ledger import Ledger
from commonwatt.errors import InputError
from commonwatt.node.errors import FolderUnusable
from commonwatt.node.folder import FolderFiles
from commonwatt.node.wiring import opened_ledger
from commonwatt.quantity import decimal_text, parse_time
from commonwatt.statement.community import ChainAddress

NODE_FILE = "node.toml"
"""Tells a node's folder from a run's."""


class AnchorMissing(InputError):
    """The chain has not closed such an interval."""


def run_anchor(folder: Path, at: str, url: str | None) -> int:
    """Print the anchor that the chain has for an interval."""
    start = parse_time(at)
    try:
        chain = read_community(FolderFiles(folder)).chain
    except Difference as difference:
        raise AnchorMissing(f"{folder}: {difference}; which chain is it on?") from None
    with _ledger_of(folder, url, chain) as ledger:
        anchor = ledger.anchor(start) if start >= 0 else None
    if anchor is None:
        raise AnchorMissing(f"{at}: the chain closed no interval that starts then")
    print(anchor.hex())
    return 0


def _require_published(folder: Path) -> None:
    """Raise `FolderUnusable` for a node's folder, and for one in it with nothing published."""
    if (folder / NODE_FILE).is_file():
        raise FolderUnusable(f"{folder}: is a node's; name a community in it, as {folder}/NAME")
    if _is_in_node(folder) and not (folder / "public" / "community.json").exists():
        raise FolderUnusable(
            f"{folder}: nothing is published yet; a node publishes once a day and when it stops, "
            "so stop it with Ctrl-C and look again"
        )


def _is_in_node(folder: Path) -> bool:
    """Whether it is a community's, which a node keeps."""
    return (folder.parent / NODE_FILE).is_file() and (folder / "node").is_dir()


@contextmanager
def _ledger_of(folder: Path, url: str | None, chain: ChainAddress) -> Iterator[Ledger]:
    """As `opened_ledger`; a node that has the embedded chain open is to be stopped first."""
    try:
        with opened_ledger(folder, url, chain) as ledger:
            yield ledger
    except JournalLocked:
        if not _is_in_node(folder):
            raise
        raise FolderUnusable(
            f"{folder}: its chain is open in the node that runs; stop it with Ctrl-C and look again"
        ) from None


def run_audit(folder: Path, url: str | None, *, certificates: bool, as_json: bool) -> int:
    """Print the verdict; returns 0 if all agrees, 1 at the first difference."""
    _require_published(folder)
    files = FolderFiles(folder)
    book: BookAudit | None = None
    try:
        with _ledger_of(folder, url, read_community(files).chain) as ledger:
            facts = ledger.facts()
        if certificates:
            found, book = audit_all(files, facts, signer_of)
        else:
            found = audit(files, facts)
    except Difference as difference:
        found = Audit(difference=str(difference), place=difference.place)
    if as_json:
        answer: dict[str, object] = {
            "audit": found.verdict,
            "place": found.place,
            "intervals": found.intervals,
            "records": found.records,
            "refused": found.refused,
            "root": found.last_anchor.hex(),
        }
        if book is not None:
            answer["certificates"] = _book_json(book)
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    elif found.difference is None:
        print(
            f"ok: {found.intervals} intervals and {found.records} records recomputed; "
            "files, anchors, lanes and tokens agree"
        )
        print(f"last anchor {found.last_anchor.hex()}")
        if book is not None:
            _print_book(book)
        else:
            print("the book of certificates was not looked at: add --certificates")
    else:
        print(f"different: {found.difference}")
    return 0 if found.difference is None else 1


def _book_json(book: BookAudit) -> dict[str, object]:
    return {
        "entries": book.entries,
        "posted": book.posted,
        "head": book.head.hex(),
        "devices": book.devices,
        "issued_wh": book.issued_wh,
        "units_wh": dict(sorted(book.units.items())),
        "tokens_wh": book.tokens_wh,
        "retirements": book.retirements,
        "vouched": book.vouched,
        "accounts": [
            {
                "account": checksum(account),
                "units_wh": dict(sorted(holder.units.items())),
                "consumed_wh": holder.consumed_wh,
                "matched_wh": holder.matched_wh,
            }
            for account, holder in sorted(book.holders.items())
        ],
    }


def _print_book(book: BookAudit) -> None:
    """What the book came to, for a person."""
    print()
    print(
        f"certificates: {book.entries:,} entries of the book done again, {book.posted:,} of them "
        f"under a head on the chain; {book.vouched:,} rest on somebody's word"
    )
    print(f"head {book.head.hex()}")
    sums = ", ".join(f"{name} {wh:,}" for name, wh in sorted(book.units.items()))
    print(f"{book.issued_wh:,} Wh issued to {book.devices} devices: {sums or 'none'}")
    print(f"{book.tokens_wh:,} Wh issued as tokens; {book.retirements:,} retirements by holders")
    print()
    names = sorted({name for holder in book.holders.values() for name in holder.units})
    heads = ("account", *names, "used Wh", "matched Wh", "hourly score")
    rows = [
        (
            checksum(account),
            *(f"{holder.units[name]:,}" for name in names),
            f"{holder.consumed_wh:,}",
            f"{holder.matched_wh:,}",
            _score(holder),
        )
        for account, holder in sorted(book.holders.items())
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        first, *rest = (
            cell.ljust(w) if n == 0 else cell.rjust(w)
            for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join((first, *rest)).rstrip())


def _score(holder: Holder) -> str:
    """Matched of used by the hour, in percent, cut off after one place."""
    if not holder.consumed_wh:
        return ""
    return f"{decimal_text(holder.matched_wh * 1_000 // holder.consumed_wh, 1)} %"

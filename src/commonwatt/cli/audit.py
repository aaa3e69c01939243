"""`commonwatt audit`: recompute a published directory and compare it with the chain."""

import sys
from pathlib import Path

import msgspec

from commonwatt.audit.difference import Difference
from commonwatt.audit.published import read_community
from commonwatt.audit.recompute import Audit, audit
from commonwatt.errors import InputError
from commonwatt.node.folder import FolderFiles
from commonwatt.node.wiring import opened_ledger
from commonwatt.quantity import parse_time


class AnchorMissing(InputError):
    """The chain has not closed such an interval."""


def run_anchor(folder: Path, at: str, url: str | None) -> int:
    """Print the anchor that the chain has for an interval."""
    start = parse_time(at)
    try:
        chain = read_community(FolderFiles(folder)).chain
    except Difference as difference:
        raise AnchorMissing(f"{folder}: {difference}; which chain is it on?") from None
    with opened_ledger(folder, url, chain) as ledger:
        anchor = ledger.anchor(start) if start >= 0 else None
    if anchor is None:
        raise AnchorMissing(f"{at}: the chain closed no interval that starts then")
    print(anchor.hex())
    return 0


def run_audit(folder: Path, url: str | None, *, as_json: bool) -> int:
    """Print the verdict; returns 0 if all agrees, 1 at the first difference."""
    files = FolderFiles(folder)
    try:
        with opened_ledger(folder, url, read_community(files).chain) as ledger:
            facts = ledger.facts()
        found = audit(files, facts)
    except Difference as difference:
        found = Audit(difference=str(difference), place=difference.place)
    if as_json:
        answer = {
            "audit": found.verdict,
            "place": found.place,
            "intervals": found.intervals,
            "records": found.records,
            "refused": found.refused,
            "root": found.last_anchor.hex(),
        }
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    elif found.difference is None:
        print(
            f"ok: {found.intervals} intervals and {found.records} records recomputed; "
            "files, anchors, lanes and tokens agree"
        )
        print(f"last anchor {found.last_anchor.hex()}")
    else:
        print(f"different: {found.difference}")
    return 0 if found.difference is None else 1

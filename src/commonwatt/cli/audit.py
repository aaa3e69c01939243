"""`commonwatt audit`: recompute a published directory and compare it with the chain."""

import sys
from pathlib import Path

import msgspec

from commonwatt.audit.difference import Difference
from commonwatt.audit.published import read_community
from commonwatt.audit.recompute import Audit, audit
from commonwatt.chain.ledger import Addresses
from commonwatt.node.folder import FolderFiles
from commonwatt.node.wiring import chain_facts


def run_audit(folder: Path, url: str | None, *, as_json: bool) -> int:
    """Print the verdict; returns 0 if all agrees, 1 at the first difference."""
    files = FolderFiles(folder)
    try:
        chain = read_community(files).chain
        addresses = Addresses(chain.registry, chain.settlement, chain.certificate, chain.token)
        facts = chain_facts(folder, url, addresses, chain.chain_id)
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

"""A child: the audit of a run's folder inside this process, without what loading costs.

Prints the CPU seconds as JSON.
"""

import sys
import time
from pathlib import Path

import msgspec

from commonwatt.audit.published import read_community
from commonwatt.audit.recompute import audit
from commonwatt.chain.abi import CONTRACTS, contract, encode
from commonwatt.chain.connection import Connection
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.node.folder import FolderFiles
from commonwatt.node.wiring import opened_ledger


def main(folder: Path) -> float:
    """CPU seconds of one audit.

    Raises:
        RuntimeError: the audit found a difference.
    """
    _load()
    started = time.process_time()
    files = FolderFiles(folder)
    at = read_community(files).chain
    with opened_ledger(folder, None, at) as ledger:
        facts = ledger.facts()
    found = audit(files, facts)
    seconds = time.process_time() - started
    if found.difference is not None:
        raise RuntimeError(found.verdict)
    return seconds


def _load() -> None:
    """Everything that is imported or read when it is first needed."""
    for name in CONTRACTS:
        contract(name)
    encode(("uint256",), (0,))
    with EmbeddedChain() as chain:
        Connection.embedded(chain).block_number()


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(main(Path(sys.argv[1]))))

"""A child: go on closing a run's intervals and be killed at the worst moment.

The worst is just before the snapshot is brought forward, when a restart has the most to execute
again. The last line printed is the number of the latest acknowledged block.
"""

import os
import signal
import sys
from pathlib import Path

from bench.community import Closer
from commonwatt.audit.published import read_community
from commonwatt.chain.connection import Connection
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.embedded.chain import CHECKPOINT_EVERY_BLOCKS
from commonwatt.chain.ledger import Addresses, Ledger
from commonwatt.node.folder import FolderFiles
from commonwatt.node.wiring import CHAIN_FILE, NODE_FOLDER, demonstration_account


def main(folder: Path) -> None:
    """Never returns."""
    at = read_community(FolderFiles(folder)).chain
    connection = Connection.embedded(EmbeddedChain(folder / NODE_FOLDER / CHAIN_FILE))
    ledger = Ledger(
        connection,
        Addresses(at.registry, at.settlement, at.certificate, at.token, at.exchange, at.book),
    )
    closer = Closer(ledger, demonstration_account("operator"))
    number = connection.block_number()
    # The clean close before left a snapshot where it was: first to the next regular one.
    last = (number // CHECKPOINT_EVERY_BLOCKS + 2) * CHECKPOINT_EVERY_BLOCKS - 1
    while number < last:
        closer.close()
        number = connection.block_number()
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

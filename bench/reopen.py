"""A child: open a journal, ask for the latest block's number, end.

Prints the number and the CPU seconds of this process until then, its start and all imports
included, as JSON.
"""

import os
import resource
import sys
from pathlib import Path

import msgspec

from commonwatt.chain.connection import Connection
from commonwatt.chain.embedded import EmbeddedChain


def main(path: Path) -> tuple[int, float]:
    """Block number and CPU seconds."""
    number = Connection.embedded(EmbeddedChain(path)).block_number()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return number, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(main(Path(sys.argv[1]))))
    sys.stdout.flush()
    os._exit(0)  # the journal stays as it was found, so that it can be opened again

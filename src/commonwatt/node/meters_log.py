"""The meters' own memory of what a node acknowledged, kept apart from the node's database.

A meter remembers its last acknowledged record; simulated ones share a file, one line an interval.
After a crash it shows whether the node still has everything that it said it had.
"""

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from commonwatt.errors import require
from commonwatt.meter.record import SignedRecord
from commonwatt.node.store import Database
from commonwatt.quantity import time_text

DIGEST_HEX_DIGITS = 64


class MetersLog:
    """Lines of interval end, number of records, and one digest over them."""

    def __init__(self, path: Path) -> None:
        """Go on with the file, or begin it with the first line."""
        self._path = path

    def append(self, time_end: int, records: Sequence[SignedRecord]) -> None:
        """Remember what was acknowledged of an interval; on the disk on return."""
        with self._path.open("ab") as file:
            file.write(f"{time_end} {len(records)} {_digest(records)}\n".encode())
            file.flush()
            os.fsync(file.fileno())

    def require_kept(self, database: Database) -> None:
        """Raise `InvariantBroken` unless the database has all that was acknowledged."""
        if not self._path.exists():
            return
        for line in self._path.read_bytes().splitlines():
            parts = line.decode(errors="replace").split()
            if [len(part) for part in parts[2:]] != [DIGEST_HEX_DIGITS]:
                continue  # cut by a crash: nothing was said to be acknowledged
            records = database.records(int(parts[0]))
            same = (str(len(records)), _digest(records)) == (parts[1], parts[2])
            require("nothing acknowledged is lost", same, until=time_text(int(parts[0])))


def _digest(records: Sequence[SignedRecord]) -> str:
    return sha256(b"".join(sorted(signed.record for signed in records))).hexdigest()

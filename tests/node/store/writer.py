"""Acknowledges until it is killed, and says so: a line per batch, once it is kept.

Run as `python writer.py URL`; each line is the end of an interval whose records are all kept.
"""

import sys

from commonwatt.node.store import Store
from node.store.rows import NOON, QUARTER, STREET, batch, refused

RECORDS = 40


def main(url: str) -> None:
    store = Store(url)
    database = store.database(STREET)
    ends = database.time_ends(0)
    end = ends[-1] if ends else NOON
    while True:
        end += QUARTER
        database.acknowledge(end - QUARTER, batch(end, RECORDS), [refused(99, end)])
        sys.stdout.write(f"{end}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])

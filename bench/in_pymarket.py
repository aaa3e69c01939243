"""Run by the Python of pymarket's own environment: one of its mechanisms on one book.

`in_pymarket MECHANISM BOOK.json` prints the milliseconds it took from accepted bids to its table of
transactions, and the gain it found, as JSON; or why it found none. Standard library and pymarket
only: nothing of this project is installed there.
"""

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

CPU_SECONDS_MAX = 60
BYTES_MAX = 8 * 2**30
SEED = 1
MS_PER_S = 1_000


class Unfinished(Exception):
    """It has had its time."""


def main(mechanism: str, book: dict[str, list[list[int]]]) -> dict[str, Any]:
    """Accept all bids, run, and value what was traded by the limits."""
    # numpy reads this when it is imported; a thread per core would need address space for each.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    _limit(resource.RLIMIT_AS, BYTES_MAX)
    import numpy as np  # noqa: PLC0415 - after the limits
    import pymarket  # noqa: PLC0415 - after the limits

    market = pymarket.Market()
    limit_of = {}
    for side, sign in (("buy", 1), ("sell", -1)):
        for participant, wh, limit in book[side]:
            limit_of[market.accept_bid(wh, limit, participant, sign > 0)] = sign * limit
    chances = {} if mechanism == "huang" else {"r": np.random.RandomState(SEED)}
    signal.signal(signal.SIGXCPU, _stop)
    started = time.process_time()
    _limit(resource.RLIMIT_CPU, int(started) + CPU_SECONDS_MAX)
    transactions, _ = market.run(mechanism, **chances)
    table = transactions.get_df()
    taken = MS_PER_S * (time.process_time() - started)
    traded = zip(table.bid.tolist(), table.quantity.tolist(), strict=True)
    return {"ms": taken, "gain": float(sum(limit_of[bid] * wh for bid, wh in traded))}


def _limit(which: int, most: int) -> None:
    resource.setrlimit(which, (most, resource.getrlimit(which)[1]))


def _stop(*_: object) -> NoReturn:
    raise Unfinished


def _told(mechanism: str, book: str) -> dict[str, Any]:
    try:
        return main(mechanism, json.loads(Path(book).read_bytes()))
    except Unfinished:
        return {"failure": f"not finished after {CPU_SECONDS_MAX} CPU seconds"}
    except NotImplementedError:
        return {"failure": "it takes no book with two bids of one user at one price"}
    except Exception as error:  # noqa: BLE001 - whatever stops it is what is to be told
        return {"failure": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_told(*sys.argv[1:])))

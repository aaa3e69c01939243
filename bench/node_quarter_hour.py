"""A quarter hour of 100,000 meters: taken in, closed and anchored by one machine with two cores.

`python -m bench.node_quarter_hour FOLDER` keeps the town in FOLDER, so that it is founded only
once; founding a hundred communities takes longer than everything else in `bench` together.
"""

import shutil
import sys
import time
from pathlib import Path

import msgspec

from bench.figure import Figure, Section
from bench.node_load import make, require, send
from bench.node_process import free_port, serving
from bench.node_town import INTERVAL_S, batch_files

COMMUNITIES, HOMES, ROOFS = 100, 900, 100
SENDERS = 2
SECONDS_MAX, MEGABYTES_MAX = 90.0, 2_000.0
SETTLED_S = 600.0


def measure(folder: Path, *, workers: int) -> list[Section]:
    """Take in one interval of every community, and wait until the last one is paid.

    Args:
        folder: holds the town, or is to hold it.
        workers: processes of the node.
    """
    town = folder / "town"
    if not town.exists():
        folder.mkdir(exist_ok=True)
        make(town, free_port(), (COMMUNITIES, HOMES, ROOFS, 1))
    run = folder / f"run-{workers}"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(town, run)
    port = free_port()
    settings = run / "node.toml"
    listen = [line for line in settings.read_text().splitlines() if line.startswith("listen")]
    settings.write_text(settings.read_text().replace(listen[0], f'listen = "127.0.0.1:{port}"'))
    with serving(run, port, COMMUNITIES, workers) as node:
        opening, cpu = node.communities()[0]["open_interval"], node.cpu_seconds
        work = [
            [(number, file) for number in share for file in batch_files(run, number, 0)]
            for first in range(SENDERS)
            for share in [range(first, COMMUNITIES, SENDERS)]
        ]
        sent = send(node, work)
        node.await_paid(opening + INTERVAL_S, SETTLED_S)
        ended = time.monotonic()
        cpu, peak = node.cpu_seconds - cpu, node.peak_mb
    accepted = sum(one.accepted for one in sent)
    require(accepted == COMMUNITIES * (HOMES + ROOFS), f"{accepted} records were accepted")
    began = min(one.began for one in sent)
    figures = (
        Figure(
            name="quarter_hour_taken_seconds",
            what="taken in",
            unit="s",
            runs=(max(one.ended for one in sent) - began,),
            digits=1,
        ),
        Figure(
            name="quarter_hour_seconds",
            what="taken in, closed, anchored and paid",
            unit="s",
            runs=(ended - began,),
            target=SECONDS_MAX,
            cpu_seconds=cpu,
            digits=1,
        ),
        Figure(
            name="quarter_hour_peak_mb",
            what="memory at most",
            unit="MB",
            runs=(peak,),
            target=MEGABYTES_MAX,
            digits=0,
        ),
    )
    meters = COMMUNITIES * (HOMES + ROOFS)
    title = f"a quarter hour of {meters:,} meters in {COMMUNITIES} communities, {workers} workers"
    return [Section(title, figures)]


if __name__ == "__main__":
    found = measure(Path(sys.argv[1]), workers=int(sys.argv[2]) if len(sys.argv) > 2 else 2)  # noqa: PLR2004
    sys.stdout.buffer.write(msgspec.json.encode(found))

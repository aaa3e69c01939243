"""`commonwatt serve --workers`: a process for each share of a node's communities.

The processes are nodes of their own that share a database; this one only begins and ends them.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from commonwatt.node.service.logs import Level
from commonwatt.node.service.settings import read_node_file
from commonwatt.node.service.share import require_enough

LOOK_S, STOP_S = 0.2, 60.0


def run_workers(folder: Path, level: Level, *, as_json: bool, workers: int) -> int:
    """Keep all workers until told to stop.

    Where one ends by itself, the others are ended too: whoever keeps the service running, such as
    systemd, then starts all of it again.

    Args:
        folder: the node's.
        level: what is worth a line in the logs.
        as_json: whether the lines of the logs are JSON.
        workers: how many.

    Returns:
        The exit code: 0 after a signal, else that of the worker that ended.

    Raises:
        NodeFileUnusable: there are no settings.
        ShareUnusable: there are fewer communities, or ports, than workers.
    """
    settings = read_node_file(folder)
    require_enough(workers, len(settings.communities), settings.listen)
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    words = [sys.executable, "-m", "commonwatt.cli.main", "serve", str(folder)]
    words += ["--log-level", level, "--workers", str(workers), *(["--log-json"] * as_json)]
    processes = []
    try:
        # In a group of its own: Ctrl-C is ours to pass on.
        processes = [
            subprocess.Popen([*words, "--worker", str(worker)], start_new_session=True)  # noqa: S603
            for worker in range(workers)
        ]
        while not stopping.wait(LOOK_S):
            ended = [process for process in processes if process.poll() is not None]
            if ended:
                return max(ended[0].returncode, 1)
    finally:
        _end(processes)
    return 0


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

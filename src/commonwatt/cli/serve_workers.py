"""`commonwatt serve --workers`: a process for each share of a node's communities.

The processes are nodes of their own that share a database; this one only begins and ends them.
"""

import signal
from contextlib import ExitStack
from pathlib import Path
from threading import Event

from commonwatt.cli.children import begin, end
from commonwatt.node.service.logs import Level
from commonwatt.node.service.settings import address_in, read_node_file
from commonwatt.node.service.share import require_enough
from commonwatt.node.service.sole import alone_in
from commonwatt.web.listening import bound

LOOK_S = 0.2


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
        NodeBusy: another process serves the directory.
        CannotListen: a worker's port is taken.
    """
    settings = read_node_file(folder)
    require_enough(workers, len(settings.communities), settings.listen)
    with alone_in(folder):
        _require_ports(settings.listen, workers)
        return _kept(folder, level, as_json=as_json, workers=workers)


def _require_ports(listen: str, workers: int) -> None:
    """Raise `CannotListen` unless all can be had: one worker's would stop the others half-way."""
    host, port = address_in(listen)
    with ExitStack() as stack:
        for worker in range(workers):
            stack.enter_context(bound(host, port + worker))


def _kept(folder: Path, level: Level, *, as_json: bool, workers: int) -> int:
    """The workers at work, until told to stop or one has ended."""
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    words: list[object] = ["serve", folder, "--log-level", level, "--workers", workers]
    words += ["--log-json"] * as_json
    processes = []
    try:
        processes = [begin(*words, "--worker", worker) for worker in range(workers)]
        while not stopping.wait(LOOK_S):
            ended = [process for process in processes if process.poll() is not None]
            if ended:
                return max(ended[0].returncode, 1)
    finally:
        end(processes)
    return 0

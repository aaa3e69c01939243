"""`commonwatt chain serve`: a run's embedded chain over HTTP, until it is told to end."""

import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.serve import RpcServer
from commonwatt.node.errors import FolderUnusable
from commonwatt.node.plan import PLAN_FILE
from commonwatt.node.wiring import CHAIN_FILE, NODE_FOLDER


def run_serve(folder: Path, host: str, port: int, origin: str | None) -> int:
    """Serve until SIGINT or SIGTERM; returns 0.

    Raises:
        FolderUnusable: there is no embedded chain in the folder.
        JournalLocked: another process has it open.
        ChainError: it cannot listen at that host and port.
    """
    path = folder / NODE_FOLDER / CHAIN_FILE
    if not path.is_file():
        raise FolderUnusable(
            f"{folder}: no embedded chain in it; name the folder of a run that was made without "
            "--chain"
        )
    # A demonstration's days are long past: its chain's time stays where its last block left it.
    clock = (lambda: 0) if (folder / PLAN_FILE).is_file() else _today
    with _told_to_end() as wait, EmbeddedChain(path, clock=clock) as chain:
        server = RpcServer(chain, host, port, origin=origin)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            print(f"{folder}: chain {chain.chain_id}, {chain.head.number} blocks, at {server.url}")
            print("end it with Ctrl-C", flush=True)
            wait()
        finally:
            server.stop()
    print(f"ended after block {chain.head.number}", file=sys.stderr)
    return 0


def _today() -> int:
    return int(time.time())


@contextmanager
def _told_to_end() -> Iterator[Callable[[], object]]:
    """Gives a function that waits for SIGINT or SIGTERM, wherever they interrupt us."""
    reader, writer = socket.socketpair()
    writer.settimeout(0)  # as the signals' side must be
    ends = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(each, lambda *_: None) for each in ends]
    # Python writes each signal's number here, from whatever thread it meets.
    woken = signal.set_wakeup_fd(writer.fileno())
    try:
        yield lambda: reader.recv(1)
    finally:
        signal.set_wakeup_fd(woken)
        for each, handler in zip(ends, before, strict=True):
            signal.signal(each, handler)
        reader.close()
        writer.close()

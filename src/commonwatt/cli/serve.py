"""`commonwatt serve`: keep a node's communities until told to stop."""

import gc
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from threading import Event

from commonwatt.chain.errors import ChainError
from commonwatt.node.service.hosted import Hosted
from commonwatt.node.service.logs import Level, configure_logs
from commonwatt.node.service.service import Service
from commonwatt.node.service.settings import address_in
from commonwatt.node.service.share import WHOLE, Share
from commonwatt.node.service.sole import alone_in
from commonwatt.quantity import time_text
from commonwatt.web.api import read_api_settings
from commonwatt.web.listening import bound
from commonwatt.web.serving import served

LOOK_S = 1.0


def run_serve(folder: Path, level: Level, *, as_json: bool, share: Share = WHOLE) -> int:
    """Open everything, answer and close intervals, and put it all down again at a signal.

    Args:
        folder: the node's.
        level: what is worth a line in the log.
        as_json: whether the lines of the log are JSON.
        share: which communities, for a worker process.
    """
    configure_logs(level, as_json=as_json)
    parent = os.getppid()
    service = Service(folder, share)
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    host, port = address_in(service.settings.listen)
    port += share.worker
    # What can be refused is refused here: nothing is founded then, and no lease taken. Workers
    # have the directory from the process that began them.
    read_api_settings(folder)
    with (
        alone_in(folder) if share == WHOLE else nullcontext(),
        bound(host, port) as sockets,
    ):
        service.open()
        try:
            with served(service, host, port, sockets):
                service.start()
                # What is there now stays: looking through it for garbage cost a tenth of the
                # intake.
                gc.collect()
                gc.freeze()
                for name, hosted in service.communities.items():
                    print(f"{name}: {_in_words(hosted)}", flush=True)
                print(f"listening on http://{host}:{port}", flush=True)
                return _kept(service, stopping, None if share == WHOLE else parent)
        except ChainError as error:
            print(f"commonwatt: {error}", file=sys.stderr)
            return 2
        finally:
            service.close()


def _kept(service: Service, stopping: Event, parent: int | None) -> int:
    """Wait until told to stop, or a keeper ends; returns the exit code.

    A worker whose parent was killed ends: whoever starts the node again starts all of it.
    """
    while not stopping.wait(LOOK_S) and parent in {None, os.getppid()}:
        ended = [keeper for keeper in service.keepers.values() if not keeper.is_alive]
        if ended:
            print(f"commonwatt: a keeper has ended: {ended[0].failure}", file=sys.stderr)
            return 1
    return 0


def _in_words(hosted: Hosted) -> str:
    """A community in one line."""
    community = hosted.community
    return (
        f"{len(community.accounts)} members, {len(community.registrations)} meters, "
        f"ledger {community.chain.ledger.hex()}, "
        f"open interval {time_text(hosted.status().open_start)}"
    )

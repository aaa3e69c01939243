"""One `commonwatt serve` at a time in a node's directory."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commonwatt.errors import InputError


class NodeBusy(InputError):
    """Another process serves the same directory."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Have a node's directory to oneself while inside; a process that dies lets go of it.

    It comes before any lease: a lease goes to the latest process of a name, so a second one would
    take the communities of the first and then fail over its chain.

    Args:
        folder: of the node.

    Raises:
        NodeBusy: another process is inside.
    """
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Some network disks know no locks of directories; the address is taken there still.
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                raise NodeBusy(
                    f"{folder}: another commonwatt serve works here and goes on; stop that one "
                    "first, with Ctrl-C or SIGTERM"
                ) from None
        yield
    finally:
        os.close(held)

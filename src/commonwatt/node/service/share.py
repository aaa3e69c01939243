"""Which of a node's communities one of its worker processes works for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from commonwatt.errors import InputError
from commonwatt.node.service.settings import address_in

T = TypeVar("T")

WORKERS_MAX, PORT_MAX = 64, 65_535


class ShareUnusable(InputError):
    """A worker that there is not, or more of them than there are communities."""


@dataclass(frozen=True, slots=True)
class Share:
    """Every so-many-th community, in the order in which `node.toml` names them.

    What is added at the end changes nobody's share, so workers need not talk about it.

    >>> Share(1, 3).own(["a", "b", "c", "d", "e"])
    ['b', 'e']
    """

    worker: int = 0
    """From 0 on."""
    workers: int = 1

    def own(self, every: Sequence[T]) -> list[T]:
        """Its own of them."""
        return list(every[self.worker :: self.workers])

    def name_of(self, node: str) -> str:
        """The worker's own name, among all that share a database.

        >>> Share().name_of("node"), Share(1, 2).name_of("node")
        ('node', 'node/1')
        """
        return node if self.workers == 1 else f"{node}/{self.worker}"


WHOLE = Share()
"""All of them: a node without workers."""


def require_enough(workers: int, communities: int, listen: str) -> None:
    """Raise `ShareUnusable` unless each worker has a community and a port of its own.

    Args:
        workers: how many.
        communities: how many the node has.
        listen: HOST:PORT of the first worker.
    """
    if workers > max(communities, 1):
        raise ShareUnusable(
            f"--workers {workers}: {communities} communities; each worker needs one of its own"
        )
    _, port = address_in(listen)
    if workers > 1 and not 0 < port <= PORT_MAX + 1 - workers:
        raise ShareUnusable(
            f"--workers {workers}: listen {listen!r:.80}: each needs a port of its own, from this "
            "one on"
        )


def share_of(worker: int, workers: int) -> Share:
    """A worker's share; raises `ShareUnusable` where there is no such worker."""
    if not 1 <= workers <= WORKERS_MAX:
        raise ShareUnusable(f"--workers {workers}: use 1 to {WORKERS_MAX}")
    if not 0 <= worker < workers:
        raise ShareUnusable(f"--worker {worker}: of {workers} the last is {workers - 1}")
    return Share(worker, workers)

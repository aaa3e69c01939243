"""How long to wait before trying again: twice as long each time, up to a limit."""

import random

FIRST_S = 1.0
RETRY_S_MAX = 300.0
"""Nobody who comes back is left waiting longer than this, unless the settings say otherwise."""


class Backoff:
    """Waiting times for one thing that fails now and then."""

    __slots__ = ("_first_s", "_limit_s", "_next_s")

    def __init__(self, limit_s: float = RETRY_S_MAX, first_s: float = FIRST_S) -> None:
        """Begin with `first_s` seconds, never wait longer than `limit_s`."""
        self._limit_s = limit_s
        self._first_s = self._next_s = min(first_s, limit_s)

    def after_failure(self) -> float:
        """Seconds to wait now: of the step reached, a part between half and all of it.

        The part is by chance, so that a street's gateways do not all come back at once.
        """
        step = self._next_s
        self._next_s = min(2 * step, self._limit_s)
        return step * random.uniform(0.5, 1.0)  # noqa: S311 - a waiting time, not a secret

    def after_success(self) -> None:
        """Begin again with the shortest."""
        self._next_s = self._first_s

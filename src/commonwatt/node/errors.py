"""What can go wrong around a node."""

from commonwatt.chain.errors import ChainError
from commonwatt.errors import InputError
from commonwatt.quantity import time_text


class FolderUnusable(InputError):
    """A directory that cannot be used for a run."""


class DatabaseUnusable(InputError):
    """The node's database cannot be opened or written."""

    def __init__(
        self, name: object, why: object, *, step: str | None = None, in_doubt: bool = False
    ) -> None:
        """Name the database, the reason it gave, and the next step.

        Args:
            name: the file, or the server without its password.
            why: the reason.
            step: what to do next, where it is not to make room or to give permission.
            in_doubt: whether the last write may have been kept although nobody heard so.
        """
        reason = " ".join(str(why).split())
        step = step or "free some space or check the permissions and run again with --resume"
        super().__init__(
            f"{name}: cannot use this database ({reason}); nothing was half-written, {step}"
        )
        self.name, self.in_doubt = name, in_doubt


class RunUnusable(InputError):
    """A directory without a run that could go on."""


class LanesRestless(InputError):
    """Members pay in and out faster than an interval can be stated and paid."""

    def __init__(self, start: str, statements: int) -> None:
        """Name the interval and how often it was stated."""
        super().__init__(
            f"interval {start}: stated {statements} times, and each time somebody paid in or out "
            "before it could be paid; nothing is lost, run again with --resume"
        )


class ChainSetBack(ChainError):
    """The chain lacks intervals that it had closed."""

    def __init__(self, first: int, start: int) -> None:
        """Name the first interval it lacks and the one that should have been next.

        Args:
            first: start of the first one missing; 0 if it has none at all.
            start: of the one that was to be closed.
        """
        missing = f"from {time_text(first)} on" if first else "of all intervals"
        super().__init__(
            f"the chain was set back: it lacks the closes {missing}, which it had confirmed, so "
            f"{time_text(start)} cannot follow; the missing ones are sent again in order. If this "
            "comes again, is chain.url a node that lags behind, or one restored from a backup?"
        )
        self.first, self.start = first, start


class FlowsMissing(ChainError):
    """The chain lacks deposits or withdrawals that a statement has seen."""

    def __init__(self, start: int, *, seen: int, there: int) -> None:
        """Name the interval, how many its statement has seen and how many there are."""
        super().__init__(
            f"the chain was set back: {there} deposits and withdrawals are there, the statement "
            f"of {time_text(start)} has seen {seen}; nothing is paid until they are there again "
            "in the same order: have whoever made them send them again, or restore the chain"
        )
        self.start, self.seen, self.there = start, seen, there

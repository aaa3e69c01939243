"""What can go wrong around a node."""

from commonwatt.errors import InputError


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

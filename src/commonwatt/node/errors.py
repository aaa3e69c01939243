"""What can go wrong around a node."""

from pathlib import Path

from commonwatt.errors import InputError


class FolderUnusable(InputError):
    """A directory that cannot be used for a run."""


class DatabaseUnusable(InputError):
    """The node's database cannot be opened or written."""

    def __init__(self, path: Path, why: object) -> None:
        """Name the file and the reason the database gave."""
        super().__init__(
            f"{path}: cannot use this database ({why}); nothing was half-written, free some space "
            "or check the permissions and run again with --resume"
        )
        self.path = path


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

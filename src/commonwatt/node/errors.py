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

"""What a check has found: that something is well, or what is wrong and what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import time as system_time

from commonwatt.node.service.members import CommunityFile
from commonwatt.node.service.outlook import DatabasePeek
from commonwatt.node.service.service import Service
from commonwatt.node.service.settings import NodeSettings


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    check: str
    """What was looked at."""
    says: str
    """How it is."""
    do: str = ""
    """What to do; nothing where all is well."""
    community: str = ""
    """Whose it is, where it is one community's."""

    @property
    def is_well(self) -> bool:
        """Whether nothing needs to be done."""
        return not self.do


class Patient:
    """A node's directory and all that its checks need to know; nothing in it is changed."""

    def __init__(self, folder: Path, now: Callable[[], float] = system_time) -> None:
        """Read the settings.

        Args:
            folder: with `node.toml`.
            now: UTC seconds.

        Raises:
            NodeFileUnusable, CommunityFileUnusable, ServiceUnusable, DatabaseUnusable: naming
                what to mend.
        """
        service = Service(folder)  # reads the files as the node does, and opens nothing
        self.folder, self.now = folder, now
        self.settings: NodeSettings = service.settings
        self.data = service.data
        """Where the communities are."""
        self.files: list[CommunityFile] = service.files
        self.names = frozenset(service.names)
        self.database = DatabasePeek(folder, service.settings)
        self.is_test_bed = service.settings.clock == "records"

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()


def counted(number: int, what: str) -> str:
    """So many of something, in words.

    >>> counted(1, "meter"), counted(31_000, "record")
    ('1 meter', '31,000 records')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def listed(items: list[int], most: int = 10) -> str:
    """Numbers as text, not all of very many.

    >>> listed([1, 2, 3], most=2)
    '1, 2 and 1 more'
    """
    text = ", ".join(map(str, items[:most]))
    return text if len(items) <= most else f"{text} and {len(items) - most} more"

"""What can be wrong with the input of a neighbourhood.

::

    InputError
      MicrogridError
        ScenarioUnknown        no neighbourhood of that name ships with the program
        SpanUnavailable        the days asked for are not in the data
        HomesFileUnusable      the file cannot be opened or read as text
        HomesFileWrong         a line, a column or the times of a file of homes are wrong
"""

from collections.abc import Iterable
from pathlib import Path

from commonwatt.errors import InputError

SHOWN_CHARACTERS_MAX = 40
"""A value from a file is shown up to this length: a message stays one line."""


class MicrogridError(InputError):
    """The input of a neighbourhood cannot be used."""


class ScenarioUnknown(MicrogridError):
    """No neighbourhood of that name ships with the program."""

    def __init__(self, name: str, *, known: Iterable[str]) -> None:
        """List the known ones."""
        self.name, self.known = name, tuple(known)
        super().__init__(
            f"there is no scenario {shown(name)}: choose one of {', '.join(self.known)},"
            " or give a CSV file of your own homes"
        )


class SpanUnavailable(MicrogridError):
    """The days asked for are not in the data."""


class HomesFileUnusable(MicrogridError):
    """The file cannot be opened or read as text."""

    def __init__(self, path: Path, *, problem: str) -> None:
        """Name the file, and say what is wrong with it and what to do."""
        self.path, self.problem = path, problem
        super().__init__(f"{path}: {problem}")


class HomesFileWrong(MicrogridError):
    """A line, a column or the times of a file of homes are wrong."""

    def __init__(
        self,
        path: Path,
        *,
        problem: str,
        line: int | None = None,
        column: str | None = None,
        value: str | None = None,
    ) -> None:
        """Name the file, the line (from 1), the column and the value; `problem` says what to do."""
        self.path, self.line, self.column, self.value = path, line, column, value
        place = f"{path}"
        if line is not None:
            place += f", line {line}"
        if column is not None:
            place += f", column {column}"
        if value is not None:
            place += f", value {shown(value)}"
        super().__init__(f"{place}: {problem}")


def shown(value: str) -> str:
    """A value from outside as it appears in a message: quoted, on one line, cut when long.

    >>> shown("1,5")
    "'1,5'"
    """
    cut = value if len(value) <= SHOWN_CHARACTERS_MAX else value[:SHOWN_CHARACTERS_MAX] + "..."
    return ascii(cut) if not cut.isprintable() else repr(cut)

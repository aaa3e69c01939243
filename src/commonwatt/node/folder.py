"""Files on the disk: written whole or not at all, read line by line."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from commonwatt.node.errors import FolderUnusable
from commonwatt.statement.publication import Line, day_of

PUBLISHED = ("public", "members", "audit")
PART_SUFFIX = ".part"
"""Of a file that is being written."""


def write_whole(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file so that it is there complete or as it was before.

    Raises:
        FolderUnusable: if it cannot be written; what was there before still is.
    """
    part = path.with_name(path.name + PART_SUFFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise FolderUnusable(
            f"{path}: cannot be written ({error.strerror}); free some space or choose another "
            "directory, then run again with --resume"
        ) from None


class Publisher:
    """Collects a day's published lines and writes each file once the day is complete."""

    def __init__(self, folder: Path) -> None:
        """Publish below `folder`."""
        self._folder = folder
        self._day = ""
        self._files: dict[str, list[bytes]] = {}

    def publish_whole(self, path: str, content: bytes) -> None:
        """Write one file at once."""
        write_whole(self._folder / path, [content])

    def add(self, start: int, lines: Iterable[Line]) -> None:
        """Take in the lines of the interval at `start`; a new day writes out the one before."""
        if day_of(start) != self._day:
            self.flush()
            self._files, self._day = {}, day_of(start)
        for line in lines:
            self._files.setdefault(line.path, []).append(line.text + b"\n")

    def flush(self) -> None:
        """Write the files of the day so far; the same day can be written again later."""
        for path, lines in list(self._files.items()):
            write_whole(self._folder / path, list(lines))

    def lines(self, path: str) -> list[bytes]:
        """What was published under a path, the open day's included; empty where there is nothing.

        Args:
            path: one that `statement.publication` names.
        """
        open_day = self._files.get(path)
        if open_day is not None:
            return list(open_day)
        file = self._folder / path
        return file.read_bytes().splitlines(keepends=True) if file.is_file() else []


class FolderFiles:
    """The published files below a directory, as an audit reads them."""

    def __init__(self, folder: Path) -> None:
        """Read below `folder`; raises `FolderUnusable` where that is no directory."""
        if not folder.is_dir():
            raise FolderUnusable(f"{folder}: no such directory; name the directory of a run")
        self._folder = folder

    def paths(self) -> frozenset[str]:
        """Every published file, with forward slashes."""
        found = (path for top in PUBLISHED for path in (self._folder / top).rglob("*"))
        return frozenset(
            path.relative_to(self._folder).as_posix() for path in found if not path.is_dir()
        )

    def lines(self, path: str) -> Iterator[bytes]:
        """A file's lines, each with its line feed."""
        try:
            with (self._folder / path).open("rb") as file:
                yield from file
        except OSError as error:
            raise FolderUnusable(f"{path}: cannot be read ({error.strerror})") from None

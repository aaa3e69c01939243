"""Files on the disk: written whole or not at all, read line by line."""

import os
from array import array
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from tempfile import mkstemp
from weakref import finalize

from commonwatt.errors import require
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
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> FolderUnusable:
    return FolderUnusable(
        f"{path}: cannot be written ({error.strerror}); free some space or choose another "
        "directory, then run again with --resume"
    )


class _OpenDay:
    """A day's lines by file, in one nameless file on the disk: a town's are too many for memory.

    After a crash they are gone, and whoever recalls the day adds them again. Any thread may read.
    """

    def __init__(self, folder: Path) -> None:
        """Begin with no lines, on the disk of `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._descriptor, name = mkstemp(PART_SUFFIX, dir=folder)
        finalize(self, os.close, self._descriptor)
        Path(name).unlink()
        self._end = 0
        self._places: dict[str, array[int]] = {}
        """By file where its lines are: offset and length, again and again."""

    def add(self, path: str, chunk: bytes) -> None:
        """Add lines to a file."""
        done = 0
        while done < len(chunk):
            done += os.pwrite(self._descriptor, chunk[done:], self._end + done)
        self._places.setdefault(path, array("q")).extend((self._end, len(chunk)))
        self._end += len(chunk)

    @property
    def paths(self) -> list[str]:
        """The files, those for everybody last."""
        return sorted(self._places, key=lambda path: path.startswith("public/"))

    def chunks(self, path: str) -> Iterator[bytes]:
        """A file's lines, many at a time."""
        places = iter(self._places.get(path, ())[:])
        for offset, length in zip(places, places, strict=True):
            found = os.pread(self._descriptor, length, offset)
            require("the open day's lines are there", len(found) == length, path=path)
            yield found


class Publisher:
    """Collects a day's published lines and writes each file once the day is complete."""

    def __init__(self, folder: Path) -> None:
        """Publish below `folder`."""
        self._folder = folder
        self._day = ""
        self._open: _OpenDay | None = None

    def publish_whole(self, path: str, content: bytes) -> None:
        """Write one file at once."""
        write_whole(self._folder / path, [content])

    def add(self, start: int, lines: Iterable[Line]) -> None:
        """Take in the lines of the interval at `start`; a new day writes out the one before.

        Raises:
            FolderUnusable: they cannot be kept; nothing that was there before is lost.
        """
        try:
            if self._open is None or day_of(start) != self._day:
                self.flush()
                self._open, self._day = _OpenDay(self._folder), day_of(start)
            for path, group in groupby(lines, key=lambda line: line.path):
                self._open.add(path, b"".join(line.text + b"\n" for line in group))
        except OSError as error:
            raise _unwritable(self._folder, error) from None

    def flush(self) -> None:
        """Write the files of the day so far; the same day can be written again later."""
        if self._open is None:
            return
        # The public one last: where it has every interval, so have the others.
        for path in self._open.paths:
            write_whole(self._folder / path, self._open.chunks(path))

    def lines(self, path: str) -> list[bytes]:
        """What was published under a path, the open day's included; empty where there is nothing.

        Args:
            path: one that `statement.publication` names.
        """
        found = b"" if self._open is None else b"".join(self._open.chunks(path))
        if found:
            return found.splitlines(keepends=True)
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

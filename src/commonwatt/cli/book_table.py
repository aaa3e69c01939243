"""A CSV table of readings as a file: its metering points, its readings by line, what is wrong."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

from commonwatt.certificate.bundle import Origin
from commonwatt.certificate.context import METER_BYTES, Context
from commonwatt.certificate.table import POINT, NotImported, Problem, Reading, read_table
from commonwatt.errors import InputError

LINES_NAMED_MAX = 10
"""Of the lines that are wrong besides the first, so many are named."""


class TableUnusable(InputError):
    """A table of readings that cannot be read, or that the book would not take whole."""


@dataclass(frozen=True, slots=True)
class Row:
    """One reading, and on which line it stands."""

    line: int
    reading: Reading

    @property
    def origin(self) -> Origin:
        """Its meter and interval."""
        return Origin(bytes.fromhex(self.reading.meter), self.reading.start, self.reading.duration)


@dataclass(frozen=True, slots=True)
class Table:
    """A file's lines, before anybody knows whether they hold readings."""

    path: Path
    lines: Sequence[str]
    numbers: Sequence[int]
    """Of the lines below the columns' names that are not empty."""
    points: dict[str, str]
    """Per metering point the hex digits of its meter, in order of appearance."""

    def rows(self, voucher: str, duration: int, context: Context) -> list[Row]:
        """All readings.

        Args:
            voucher: who vouches for them.
            duration: of an interval in seconds, where the table has no column of it.
            context: of a book with a device for each metering point, and the time now.

        Raises:
            TableUnusable: with the first line that is wrong, and the numbers of others.
        """
        found = read_table(self.lines, self.points, voucher, duration, context)
        if isinstance(found, NotImported):
            self.refuse(found.problems)
        pairs = zip(self.numbers, found.readings, strict=True)
        return [Row(line, reading) for line, reading in pairs]

    def refuse(self, problems: Sequence[Problem]) -> NoReturn:
        """Raise `TableUnusable` for what is wrong."""
        first, *others = problems
        more = ""
        if others:
            lines = [str(problem.line) for problem in others[:LINES_NAMED_MAX]]
            dots = ", ..." if len(others) > LINES_NAMED_MAX else ""
            many = f"{len(others)} more problems" if len(others) > 1 else "one more problem"
            more = f"; {many}, line {', '.join(lines)}{dots}"
        raise TableUnusable(f"{self.path}, {first}; nothing was imported{more}")


def load_table(path: Path) -> Table:
    """A file of readings; raises `TableUnusable` where it cannot be read as text."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = file.readlines()
    except OSError as error:
        raise TableUnusable(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise TableUnusable(f"{path}: not text in UTF-8; save it as CSV in UTF-8") from None
    # What is no CSV ends this pass early; reading the table itself says where and why.
    rows: list[tuple[int, list[str]]] = []
    with suppress(csv.Error):
        rows.extend(_rows(lines))
    head = rows[0][1] if rows else []
    place = head.index(POINT) if POINT in head else len(head)
    names = dict.fromkeys(cells[place] for _, cells in rows[1:] if place < len(cells))
    points = {name: meter_of_point(name).hex() for name in names if name}
    return Table(path, lines, [number for number, _ in rows[1:]], points)


def meter_of_point(name: str) -> bytes:
    """The meter of a metering point that cannot sign: 20 bytes that its name alone leads to (R12).

    >>> meter_of_point("shop").hex()
    'ecfb67090e2a4bd04959dd80cdb6dba99311215f'
    """
    return sha256(b"metering point " + name.encode()).digest()[:METER_BYTES]


def _rows(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, each with the number of its line, as `read_table` reads them."""
    first = lines[0].removeprefix("\ufeff") if lines else ""
    rows = csv.reader([first, *lines[1:]], delimiter=";" if ";" in first else ",", strict=True)
    for row in rows:
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield rows.line_num, cells

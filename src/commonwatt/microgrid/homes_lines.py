"""Reads the lines of a CSV file of homes, and turns single cells into whole numbers.

The file has a header and four columns, in any order::

    home,interval_start,load_kwh,pv_kwh
    7,2016-08-01T07:00:00Z,2.2758,0.0

`interval_start` names its offset from UTC; energies are decimal numbers of kWh with a point.
A file whose name ends in `.gz` is unpacked while it is read, a line at a time.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal
from operator import itemgetter
from pathlib import Path
from typing import IO, TextIO, TypeAlias

from commonwatt.microgrid.errors import HomesFileUnusable, HomesFileWrong

COLUMNS = ("home", "interval_start", "load_kwh", "pv_kwh")

ROWS_MAX = 5_000_000
"""A year of quarter hours of 142 homes."""
LINE_CHARACTERS_MAX = 1_000
HOME_CHARACTERS_MAX = 64
NUMBER_CHARACTERS_MAX = 40
KWH_MAX = 100_000
"""In one interval: far above any home, far below what 64 bits of milliwatt-hours hold."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_MAX = 2_199
GZIP_MAGIC = b"\x1f\x8b"
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
EXACT = Context(prec=100, rounding=ROUND_FLOOR)
"""Room for every digit of `NUMBER_CHARACTERS_MAX`: shifting the point rounds nothing."""
MWH_PER_KWH_DIGITS = 6

Row: TypeAlias = tuple[int, str, str, str, str]
"""Line number from 1, then the text of home, interval_start, load_kwh and pv_kwh."""


def rows_of(path: Path) -> Iterator[Row]:
    """The rows below the header, in the file's order; blank lines are skipped.

    Raises:
        HomesFileUnusable: it cannot be opened, unpacked or decoded.
        HomesFileWrong: the header or the shape of a row is wrong, or a limit is passed.

    """
    line = 0
    try:
        with _opened(path) as text:
            reader = csv.reader(_limited_lines(path, text))
            pick = _columns_of(path, next(reader, None))
            width = len(COLUMNS)
            rows = 0
            for cells in reader:
                line = reader.line_num
                if len(cells) != width:
                    if not cells:
                        continue
                    problem = f"has {len(cells)} columns instead of {width}: write {_example()}"
                    raise HomesFileWrong(path, line=line, problem=problem)
                rows += 1
                if rows > ROWS_MAX:
                    problem = f"has more than {ROWS_MAX:,} rows: split it by home or by time"
                    raise HomesFileWrong(path, line=line, problem=problem)
                home, time, load, pv = pick(cells)
                yield line, home, time, load, pv
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        problem = f"cannot be unpacked ({error}): it is cut short or not gzip; write it again"
        raise HomesFileUnusable(path, problem=problem) from None
    except UnicodeDecodeError:
        problem = f"is not UTF-8 text after line {line}: save it as CSV in UTF-8"
        raise HomesFileUnusable(path, problem=problem) from None
    except csv.Error as error:
        problem = f"is not CSV ({error}): look for a quote that is never closed"
        raise HomesFileWrong(path, line=line + 1, problem=problem) from None
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise HomesFileUnusable(path, problem=problem) from None


def time_of(path: Path, line: int, text: str) -> int:
    """UTC seconds of an `interval_start`.

    Raises:
        HomesFileWrong: not a time, without an offset, before 1970, or with parts of a second.

    """

    def wrong(problem: str) -> HomesFileWrong:
        return HomesFileWrong(path, line=line, column=COLUMNS[1], value=text, problem=problem)

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise wrong("is not a time: write it like 2016-06-21T12:00:00Z") from None
    if moment.tzinfo is None:
        raise wrong(
            "has no offset from UTC: add Z or an offset like +02:00"
            " (local time without one is ambiguous when the clocks change)"
        )
    since = moment - EPOCH
    if since < timedelta(0):
        raise wrong("is before 1970: check the year")
    if moment.year > YEAR_MAX:
        raise wrong(f"is after {YEAR_MAX}: check the year")
    if since.microseconds:
        raise wrong("has parts of a second: intervals start on whole minutes")
    return since.days * 86_400 + since.seconds


def energy_of(path: Path, line: int, column: str, text: str) -> int:
    """Milliwatt-hours of a decimal number of kWh; what is below one is left off.

    Raises:
        HomesFileWrong: not a decimal number, negative or absurdly large.

    """

    def wrong(problem: str) -> HomesFileWrong:
        return HomesFileWrong(path, line=line, column=column, value=text, problem=problem)

    if not text.strip():
        raise wrong("is empty: write 0 if there was none")
    if len(text) > NUMBER_CHARACTERS_MAX or NUMBER.fullmatch(text) is None:
        raise wrong("is not a decimal number of kWh: write it like 0.25")
    kwh = Decimal(text)
    if kwh < 0:
        raise wrong("is negative: load and PV are each counted from 0 up")
    if kwh > KWH_MAX:
        raise wrong(f"is above {KWH_MAX:,} kWh in one interval: check the unit")
    return int(kwh.scaleb(MWH_PER_KWH_DIGITS, context=EXACT))


def _opened(path: Path) -> IO[str]:
    """The file as text, unpacked if its name ends in .gz."""
    if not path.exists():
        raise HomesFileUnusable(path, problem="there is no such file: check the path")
    if not path.is_file():
        raise HomesFileUnusable(path, problem="is not a file: give a .csv or .csv.gz file")
    with path.open("rb") as raw:
        packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    named_packed = path.name.lower().endswith(".gz")
    if packed and not named_packed:
        raise HomesFileUnusable(path, problem="is packed with gzip: name it .csv.gz")
    if named_packed and not packed:
        problem = "is named .gz but is not gzip: rename it to .csv or pack it with gzip"
        raise HomesFileUnusable(path, problem=problem)
    if packed:
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open("r", encoding="utf-8-sig", newline="")


def _limited_lines(path: Path, text: TextIO | IO[str]) -> Iterator[str]:
    """The lines, none of them longer than the limit, so that no line can fill the memory."""
    number = 0
    while line := text.readline(LINE_CHARACTERS_MAX + 1):
        number += 1
        if len(line) > LINE_CHARACTERS_MAX:
            problem = f"is longer than {LINE_CHARACTERS_MAX:,} characters: write {_example()}"
            raise HomesFileWrong(path, line=number, problem=problem)
        yield line


def _columns_of(path: Path, header: list[str] | None) -> Callable[[list[str]], tuple[str, ...]]:
    """How to bring a row's cells into the order of `COLUMNS`."""
    if header is None:
        problem = f"is empty: write a header {','.join(COLUMNS)} and one row per home and interval"
        raise HomesFileWrong(path, problem=problem)
    names = [name.strip().lower() for name in header]
    if sorted(names) != sorted(COLUMNS):
        problem = f"the columns must be {','.join(COLUMNS)}: correct the header"
        raise HomesFileWrong(path, line=1, value=",".join(header), problem=problem)
    return itemgetter(*(names.index(column) for column in COLUMNS))


def _example() -> str:
    return "home,interval_start,load_kwh,pv_kwh in each row"

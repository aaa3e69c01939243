"""What the certificate commands print: names that can be typed again, tables, JSON."""

import sys
from collections.abc import Mapping, Sequence

import msgspec

from commonwatt.chain.production import TokenId
from commonwatt.cli.certificate_run import Run
from commonwatt.quantity import TIME_MAX, time_text

LABEL = 13
"""Width of a label before what it labels."""
SHORT_DIGITS = 8
"""Of a meter's 40 hex digits, as people read it."""


def short(token: TokenId) -> str:
    """A certificate as people read it; can be typed, too."""
    return f"{short_meter(token.meter)}@{moment(token.start)}"


def short_meter(meter: bytes) -> str:
    """A meter as people read it."""
    return meter.hex()[:SHORT_DIGITS]


def id_text(token: TokenId) -> str:
    """A certificate's id as JSON has it."""
    return f"0x{token.number:064x}"


def printable(text: str) -> str:
    """A text that somebody else wrote, without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def print_json(answer: Mapping[str, object]) -> None:
    """One JSON object on one line."""
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")


def moment(seconds: int) -> str:
    """A time as text; one that no calendar has as a number."""
    return time_text(seconds) if 0 <= seconds < TIME_MAX else str(seconds)


def price_text(run: Run, price: int) -> str:
    """A price as people read it."""
    currency = run.community.currency
    return f"{currency.price_text(price)} {currency.code} per kWh"


def print_table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, right: range) -> None:
    """Columns side by side; those at `right` hold numbers."""
    widths = [max(map(len, cells)) for cells in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        print_row(row, widths, right=right)


def print_row(row: Sequence[str], widths: Sequence[int], *, right: range) -> None:
    """One line of a table whose columns are this wide."""
    cells = (
        cell.rjust(width) if place in right else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    print("  ".join(cells).rstrip())

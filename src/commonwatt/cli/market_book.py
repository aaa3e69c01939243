"""`commonwatt market clear` and `show`: an order book in a file, cleared and drawn."""

import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from commonwatt.errors import InputError
from commonwatt.market.book_answer import ClearedBook, answer_of, clear_book, trade_lines
from commonwatt.market.book_file import FILE_BYTES_MAX, read_book
from commonwatt.quantity import decimal_text

LINES_MAX = 40
"""A person reads no more of a table; `--json` has all."""
LABEL = 10
KWH_PLACES = 3


class BookFileUnreadable(InputError):
    """A file that holds no order book that can be cleared, or one that cannot be written."""


def run_clear(file: Path, *, as_json: bool) -> int:
    """Clear the book in a file and print what came of it."""
    cleared = _cleared(file)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(answer_of(cleared)) + b"\n")
        sys.stdout.flush()
    else:
        _print(cleared)
    return 0


def run_show(file: Path, svg: Path) -> int:
    """Draw the curves of the book in a file, cleared, into another."""
    from commonwatt.web.curves import curves  # noqa: PLC0415 - only this command draws

    drawing = curves(_cleared(file))
    try:
        if svg.exists() and svg.samefile(file):
            raise BookFileUnreadable(f"{svg}: is the book itself; name another file with --svg")
        svg.write_text(drawing, encoding="utf-8")
    except OSError as error:
        raise BookFileUnreadable(f"{svg}: cannot be written ({error.strerror})") from None
    print(f"wrote {svg}")
    return 0


def _cleared(file: Path) -> ClearedBook:
    try:
        with file.open("rb") as opened:
            text = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise BookFileUnreadable(f"{file}: cannot be read ({error.strerror})") from None
    try:
        return clear_book(read_book(text))
    except InputError as error:
        raise BookFileUnreadable(f"{file}: {error}") from None


def _print(cleared: ClearedBook) -> None:
    """The result for a person."""
    code = cleared.file.currency.code
    for label, text in _summary(cleared):
        print(f"{label:<{LABEL}}{text}")
    trades = [
        (line.buy, line.sell, _kwh(line.energy_wh), line.price, line.amount)
        for line in trade_lines(cleared, LINES_MAX)
    ]
    heads = ("buy", "sell", "kWh", f"{code} per kWh", code)
    _print_table(heads, trades, len(cleared.trades.wh), named=2)
    still_open = list(cleared.open_orders())
    rows = [(order, side, _kwh(wh)) for order, side, wh in islice(still_open, LINES_MAX)]
    _print_table(("open", "side", "kWh"), rows, len(still_open), named=2)


def _summary(cleared: ClearedBook) -> Iterable[tuple[str, str]]:
    currency, rule = cleared.file.currency, cleared.file.rule
    if cleared.price_rule is not None:
        rule += f", price rule {cleared.price_rule}"
    if cleared.split is not None:
        rule += f", split {cleared.split}"
    if cleared.allow_self_trade:
        rule += ", own trades allowed"
    yield "rule", rule
    count = len(cleared.trades.wh)
    if not count:
        yield "traded", "nothing: no buy order meets a sell order it could trade with"
        return

    def price(units: int) -> str:
        return f"{currency.price_text(units)} {currency.code} per kWh"

    down = ", rounded down to a whole unit" if cleared.rounded_down else ""
    if cleared.buy_price is None or cleared.sell_price is None:
        yield "price", f"each trade has its own{down}"
    elif cleared.buy_price == cleared.sell_price:
        apart = "; preferred trades have their own" if cleared.preferred else ""
        yield "price", f"{price(cleared.buy_price)}{down}{apart}"
    else:
        prices = price(cleared.buy_price), price(cleared.sell_price)
        yield "price", "buyers pay {}, sellers get {}".format(*prices)
        surplus = f"{currency.amount_text(cleared.surplus)} {currency.code}"
        yield "surplus", f"{surplus} that buyers pay and no seller gets"
    preferred = f", {cleared.preferred} of them preferred" if cleared.preferred else ""
    trades = "1 trade" if count == 1 else f"{count:,} trades"
    yield "traded", f"{_kwh(cleared.volume_wh)} kWh in {trades}{preferred}"
    unpriced = cleared.file.unpriced[cleared.trades.buy].any()
    but = ", without buy orders that name no price" if unpriced else ""
    yield "gain", f"{currency.amount_text(cleared.gain)} {currency.code}{but}"


def _print_table(
    heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], count: int, *, named: int
) -> None:
    """A table below an empty line; the first `named` columns are texts, the others numbers."""
    if not rows:
        return
    widths = [max(map(len, cells)) for cells in zip(heads, *rows, strict=True)]
    print()
    for row in (heads, *rows):
        cells = (
            cell.ljust(width) if place < named else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())
    if count > len(rows):
        print(f"... and {count - len(rows):,} more, all with --json")


def _kwh(wh: int) -> str:
    return decimal_text(wh, KWH_PLACES)

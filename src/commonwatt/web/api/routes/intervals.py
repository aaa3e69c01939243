"""Closed intervals: their headers, sums and prices, for everybody."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from commonwatt.node.service.hosted import Hosted
from commonwatt.quantity import SECONDS_PER_DAY
from commonwatt.statement.header import Header
from commonwatt.statement.publication import HeaderLine, day_of
from commonwatt.web.api import shapes
from commonwatt.web.api.parameters import cursor_of, cursor_text, day_named
from commonwatt.web.api.route import FOREVER, FRESH, Answer, Call, Page, unknown

_read = msgspec.json.Decoder(HeaderLine).decode


class Published(NamedTuple):
    """A published line and the header in it."""

    line: HeaderLine
    header: Header


def last_day(call: Call) -> str:
    """The UTC day of the last closed interval; that of the first one while none is closed."""
    community = call.hosted.community
    open_start = call.api.status(call.hosted).open_start
    return day_of(max(open_start - community.interval_s, community.first_start))


def day_asked(call: Call) -> str:
    """The day a query names, or the last one."""
    day: str | None = call.query.day
    return last_day(call) if day is None else day_named(day)


def lines_of_day(hosted: Hosted, day: str) -> Sequence[bytes]:
    """The published lines of a day."""
    return hosted.lines(f"public/{day}.jsonl")


def headers_of(hosted: Hosted, day: str) -> Iterator[Published]:
    """A day's intervals that are on the chain, in order."""
    for text in lines_of_day(hosted, day):
        line = _read(text)
        yield Published(line, Header.decode(bytes.fromhex(line.header)))


def intervals(call: Call) -> Page:
    """A day's intervals."""
    found, more, cache = _page(call)
    return Page(
        [interval_of(one, call.hosted) for one in found], shapes.ClosedInterval, more, cache
    )


def prices(call: Call) -> Page:
    """What energy cost in each interval of a day."""
    found, more, cache = _page(call)
    return Page([_prices(one, call.hosted) for one in found], shapes.PricesOf, more, cache)


def interval(call: Call) -> Answer:
    """One interval, by its start."""
    start: int = call.path["start"]
    community = call.hosted.community
    open_start = call.api.status(call.hosted).open_start
    if community.first_start <= start < open_start:
        for found in headers_of(call.hosted, day_of(start)):
            if found.line.start == start:
                return Answer(interval_of(found, call.hosted), cache=FOREVER)
    raise unknown(f"start {start}: no interval that starts then is closed and on the chain")


def _page(call: Call) -> tuple[list[Published], str | None, str]:
    """A page of a day, the cursor of the next, and for how long it stays as it is."""
    hosted, day = call.hosted, day_asked(call)
    cursor = cursor_of(call.query.cursor, 1)
    texts = lines_of_day(hosted, day)
    is_whole = len(texts) == SECONDS_PER_DAY // hosted.community.interval_s
    first = 0
    if cursor is not None:
        first = next(
            (n for n, text in enumerate(texts) if _read(text).start > cursor[0]), len(texts)
        )
    page = [_read(text) for text in texts[first : first + call.query.limit]]
    more = first + len(page) < len(texts)
    found = [Published(line, Header.decode(bytes.fromhex(line.header))) for line in page]
    named = call.query.day is not None
    return (
        found,
        cursor_text(page[-1].start) if more and page else None,
        FOREVER if is_whole and named else FRESH,
    )


def interval_of(found: Published, hosted: Hosted) -> shapes.ClosedInterval:
    """An interval as it is told."""
    line, header = found
    price = hosted.community.currency.price_text
    return shapes.ClosedInterval(
        start=header.start,
        end=header.start + header.duration,
        anchor=line.anchor,
        transaction=line.transaction,
        retail=price(header.retail),
        feed_in=price(header.feed_in),
        fee_local=price(header.fee_local),
        fee_supplier=price(header.fee_supplier),
        local_price=price(header.local_price) if header.local_wh else None,
        imported_wh=header.imported_wh,
        exported_wh=header.exported_wh,
        local_wh=header.local_wh,
        issued_wh=header.issued_wh,
        retired_wh=header.retired_wh,
        free_wh=header.free_wh,
        records=header.records.size,
        trades=header.trades.size,
        certificates=header.certificates.size,
        header=line.header,
    )


def _prices(found: Published, hosted: Hosted) -> shapes.PricesOf:
    whole = interval_of(found, hosted)
    return shapes.PricesOf(
        start=whole.start,
        end=whole.end,
        retail=whole.retail,
        feed_in=whole.feed_in,
        fee_local=whole.fee_local,
        fee_supplier=whole.fee_supplier,
        local_price=whole.local_price,
    )

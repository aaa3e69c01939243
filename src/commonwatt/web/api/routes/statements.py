"""The files of an audit: everything a close needs, day by day."""

from collections.abc import Mapping

from commonwatt.quantity import SECONDS_PER_DAY, time_text
from commonwatt.statement.publication import (
    book_path,
    day_of,
    market_bytes,
    register_bytes,
)
from commonwatt.web.api import shapes
from commonwatt.web.api.parameters import cursor_of, cursor_text
from commonwatt.web.api.route import PRIVATE, Answer, Call, Chunks, Page, unknown

_PARTS: Mapping[str, str] = {
    "inputs": "audit/{day}.inputs.jsonl",
    "leaves": "audit/{day}.leaves.jsonl",
}
PARTS = (*_PARTS, "certificates")


def days(call: Call) -> Page:
    """The days of which there are statements, the first one first."""
    hosted, limit = call.hosted, call.query.limit
    community = hosted.community
    cursor = cursor_of(call.query.cursor, 1)
    first = community.first_start // SECONDS_PER_DAY
    open_start = call.api.status(hosted).open_start
    is_begun = open_start > community.first_start
    end = -(-open_start // SECONDS_PER_DAY) if is_begun else first
    start = first if cursor is None else max(first, cursor[0] + 1)
    page = range(start, min(start + limit, end))
    items = [
        shapes.StatementDay(day=time_text(day * SECONDS_PER_DAY)[:10], parts=PARTS)  # type: ignore[arg-type]
        for day in page
    ]
    more = cursor_text(page[-1]) if page and page[-1] + 1 < end else None
    return Page(items, shapes.StatementDay, more, PRIVATE)


def part(call: Call) -> Chunks:
    """One file of a day, as it is published."""
    day, name = call.path["day"], call.path["part"]
    if name not in PARTS:
        raise unknown(f"part {name!r}: use one of {', '.join(PARTS)}")
    path = book_path(day) if name == "certificates" else _PARTS[name].format(day=day)
    lines = call.hosted.lines(path)
    if not lines:
        first = day_of(call.hosted.community.first_start)
        raise unknown(f"day {day}: nothing is published; the community began on {first}")
    return Chunks(lines)


def register(call: Call) -> Chunks:
    """Every meter's registration and opening record."""
    return Chunks(register_bytes(call.hosted.community.registrations).splitlines(keepends=True))


def market(call: Call) -> Answer:
    """The market's settings, byte for byte as their hash is in the constitution."""
    return Answer(market_bytes(call.hosted.community.market), cache=PRIVATE)

"""From an answer to bytes: JSON or CSV as asked for, with an ETag, compressed where it pays."""

import csv
import gzip
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import StringIO
from urllib.parse import parse_qsl, urlencode

import msgspec

from commonwatt.web.api.problem import PROBLEM_JSON, Problem
from commonwatt.web.api.route import CSV, JSON, Answer, Call, Chunks, Page, Prepared

PACKED_FROM_BYTES = 1_024
"""Shorter answers are not worth compressing."""
PACK_LEVEL = 5
NOT_MODIFIED = 304
_QVALUE = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer as it is sent."""

    status: int
    headers: dict[str, str]
    body: bytes


def accepted(header: str | None, offered: Sequence[str]) -> str:
    """The first of the offered types that is accepted most (RFC 9110, 12.5.1).

    Raises:
        Problem: `form-unknown`, if none is.
    """
    if not header:
        return offered[0]
    weights = [_weight(header, media) for media in offered]
    best = max(weights)
    if best <= 0:
        # Problems and files are told apart from lists by their types, not by what is wanted.
        raise Problem("form-unknown", f"Accept {header!r:.100}: this is {' or '.join(offered)}")
    return offered[weights.index(best)]


def _weight(header: str, media: str) -> float:
    found, exactness = 0.0, -1
    for entry in header.split(",")[:50]:
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        major = media.partition("/")[0]
        rank = {media: 2, f"{major}/*": 1, "*/*": 0}.get(name, -1)
        if rank > exactness:
            found, exactness = _quality(parameters), rank
    return found


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            return float(value) if _QVALUE.fullmatch(value) else 0.0
    return 1.0


def takes_gzip(header: str | None) -> bool:
    """Whether a compressed answer is welcome."""
    return header is not None and any(
        name in {"gzip", "*"} and _quality(rest) > 0
        for name, *rest in (
            [part.strip().lower() for part in entry.split(";")] for entry in header.split(",")[:50]
        )
    )


def render(call: Call, answer: Answer | Page | Prepared, media: str) -> Rendered:
    """The answer in a form that the asker accepts."""
    if isinstance(answer, Answer) and answer.content is None:
        return Rendered(answer.status, {"cache-control": answer.cache, **answer.headers}, b"")
    status, headers = 200, {"content-type": media, "cache-control": answer.cache}
    packed: bytes | None = None
    match answer:
        case Prepared():
            body, packed = answer.body, answer.packed
        case Page():
            body = _table(answer) if media == CSV else _list(answer)
            if media == CSV:
                headers["content-type"] = "text/csv; charset=utf-8; header=present"
            if answer.next is not None:
                headers["link"] = f'<{_next_target(call.target, answer.next)}>; rel="next"'
        case Answer():
            status = answer.status
            headers["content-type"] = answer.media
            headers |= dict(answer.headers)
            content = answer.content
            body = content if isinstance(content, bytes) else _encode(content)
    return _finish(call, Rendered(status, headers, body), packed)


def _finish(call: Call, rendered: Rendered, packed: bytes | None) -> Rendered:
    headers, body = rendered.headers, rendered.body
    headers["vary"] = "accept, accept-encoding, authorization"
    if headers["cache-control"] != "no-store" and rendered.status == 200:  # noqa: PLR2004
        # Weak: the compressed and the plain answer are the same document.
        headers.setdefault("etag", f'W/"{sha256(body).hexdigest()[:32]}"')
        if _matches(call.headers.get("if-none-match"), headers["etag"]):
            kept = {name: headers[name] for name in ("etag", "cache-control", "vary")}
            return Rendered(NOT_MODIFIED, kept, b"")
    if len(body) >= PACKED_FROM_BYTES and takes_gzip(call.headers.get("accept-encoding")):
        # The time within would make two equal answers differ.
        body = gzip.compress(body, PACK_LEVEL, mtime=0) if packed is None else packed
        headers["content-encoding"] = "gzip"
    return Rendered(rendered.status, headers, body)


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    return header.strip() == "*" or etag in (part.strip() for part in header.split(","))


def _list(page: Page) -> bytes:
    return _encode({"items": page.items, "next": page.next})


def _table(page: Page) -> bytes:
    """RFC 4180, with a header line; what is not a plain value stands there as JSON."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    names = page.kind.__struct_fields__
    writer.writerow(names)
    writer.writerows([_cell(getattr(item, name)) for name in names] for item in page.items)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        # A text must not become a formula where somebody opens the table.
        is_number = value[1:].replace(".", "", 1).isdigit()
        return f"'{value}" if value.startswith(_FORMULA) and not is_number else value
    return _encode(value).decode()


def _next_target(target: str, cursor: str) -> str:
    path, _, query = target.partition("?")
    kept = [(name, text) for name, text in parse_qsl(query) if name != "cursor"]
    return f"{path}?{urlencode([*kept, ('cursor', cursor)])}"


def prepared(content: object) -> Prepared:
    """A document that is asked for often; bytes are taken as they are."""
    body = content if isinstance(content, bytes) else _encode(content)
    return Prepared(body, gzip.compress(body, PACK_LEVEL, mtime=0))


def of_problem(problem: Problem) -> Rendered:
    """A problem as it is sent."""
    headers = {"content-type": PROBLEM_JSON, "cache-control": "no-store", **problem.headers}
    return Rendered(problem.status, headers, problem.document())


def pieces(chunks: Chunks, size: int = 65_536) -> Iterable[bytes]:
    """A file's lines in pieces of about `size` bytes."""
    held: list[bytes] = []
    held_bytes = 0
    for line in chunks.lines:
        held.append(line)
        held_bytes += len(line)
        if held_bytes >= size:
            yield b"".join(held)
            held, held_bytes = [], 0
    if held:
        yield b"".join(held)


__all__ = ["CSV", "JSON", "Rendered", "accepted", "of_problem", "pieces", "prepared", "render"]

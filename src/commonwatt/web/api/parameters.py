"""Parameters in paths and queries, and cursors: texts that are one thing or nothing."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, TypeVar

import msgspec
from starlette.datastructures import QueryParams

from commonwatt.certificate.context import account_of
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.quantity import SECONDS_PER_DAY, parse_time
from commonwatt.web.api.problem import Problem

_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_HEX = re.compile(r"[0-9a-f]{40}")
_CURSOR = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")
_WORD = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_T = TypeVar("_T", bound=msgspec.Struct)
DAY_CHARACTERS = len("2016-06-21")
DAY_FIRST, DAY_LAST = date(1970, 1, 1), date(6000, 1, 1)


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError
    return int(text)


def _twenty_bytes(text: str) -> bytes:
    if not _HEX.fullmatch(text):
        raise ValueError
    return bytes.fromhex(text)


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ValueError
    return text


def _day(text: str) -> str:
    # `fromisoformat` knows other forms, too.
    is_form = len(text) == DAY_CHARACTERS and text.isascii()
    if not is_form or not DAY_FIRST <= date.fromisoformat(text) < DAY_LAST:
        raise ValueError
    return text


PATH: Mapping[str, tuple[Callable[[str], Any], dict[str, Any]]] = {
    "name": (_word, {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"}),
    "kind": (_word, {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"}),
    "part": (_word, {"type": "string", "enum": ["inputs", "leaves", "certificates"]}),
    "member": (_number, {"type": "integer", "minimum": 0}),
    "number": (_number, {"type": "integer", "minimum": 0}),
    "start": (_number, {"type": "integer", "minimum": 0, "description": "UTC second."}),
    "meter": (_twenty_bytes, {"type": "string", "pattern": "^[0-9a-f]{40}$"}),
    "account": (_twenty_bytes, {"type": "string", "pattern": "^[0-9a-f]{40}$"}),
    "day": (_day, {"type": "string", "format": "date", "description": "A UTC day."}),
}
"""Every name of a parameter in a path: how it is read, and its schema."""


def path_of(found: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of a path; raises `Problem` for what names nothing."""
    read: dict[str, Any] = {}
    for name, text in found.items():
        try:
            read[name] = PATH[name][0](text)
        except ValueError:
            raise Problem("unknown", f"{name} {text!r:.80}: there is none") from None
    return read


def query_of(sent: QueryParams, kind: type[_T]) -> _T:
    """What is asked for; raises `Problem` naming what cannot be."""
    given: dict[str, str] = {}
    for name, text in sent.multi_items():
        if name in given:
            raise Problem("input-unusable", f"{name!r:.60}: asked for twice")
        given[name] = text
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem("input-unusable", f"query: {error!s:.300}") from None


def day_named(text: str) -> str:
    """A day in a query; raises `Problem`."""
    try:
        return _day(text)
    except ValueError:
        raise Problem("input-unusable", f"day {text!r:.40}: write it as 2016-06-21") from None


def account_named(text: str) -> bytes:
    """An account in a query or document; raises `Problem`."""
    try:
        return account_of(text)
    except ActionRefused as refused:
        raise Problem("input-unusable", refused.why) from None


def cursor_of(text: str | None, places: int) -> tuple[int, ...] | None:
    """Where a page begins; None for the first one; raises `Problem` for what is no cursor."""
    if text is None:
        return None
    if not _CURSOR.fullmatch(text) or text.count(".") != places - 1:
        raise Problem("input-unusable", f"cursor {text!r:.60}: send `next` of the page before")
    return tuple(int(part) for part in text.split("."))


def cursor_text(*places: int) -> str:
    """A cursor for the page after."""
    return ".".join(map(str, places))


def day_span(day: str) -> tuple[int, int]:
    """First UTC second of a day, and of the next."""
    start = parse_time(f"{day}T00:00:00Z")
    return start, start + SECONDS_PER_DAY

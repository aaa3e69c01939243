"""JSON from devices: numbers as they are written, no key twice, bounded in size and depth."""

import json
import re
from collections import Counter
from collections.abc import Mapping

from commonwatt.errors import CommonwattError
from commonwatt.meter.driver.failure import FormatUnreadable, MessageTooLarge, shown
from commonwatt.meter.driver.text import read_text, too_large

DEPTH_MAX = 32
"""No message that is read nests deeper."""
_MARKS = re.compile(r'"(?:[^"\\]+|\\.)*+"?|[\[\]{}]', re.DOTALL)


class Number(str):
    """A number's text, digit by digit as it was sent."""

    __slots__ = ()


def read_json(payload: bytes | str, bytes_max: int, what: str) -> object:
    """Objects as dicts, arrays as lists, numbers as `Number`, texts as `str`.

    Args:
        payload: UTF-8, with or without a byte order mark.
        bytes_max: the caller's limit.
        what: names the document in an error.

    Raises:
        MessageTooLarge: more bytes than that, or nested deeper than `DEPTH_MAX`.
        FormatUnreadable: not JSON, or an object with a key twice.
    """
    text = payload if isinstance(payload, str) else read_text(payload, bytes_max, what)
    if len(text) > bytes_max:
        raise too_large(what, len(text), bytes_max)
    _require_shallow(text, what)
    try:
        value: object = json.loads(
            text,
            parse_float=Number,
            parse_int=Number,
            parse_constant=_no_constant,
            object_pairs_hook=_object,
        )
    except ValueError as error:
        raise FormatUnreadable(f"{what} is no JSON: {error}") from None
    except _Twice as error:
        raise FormatUnreadable(f"{what} says {shown(error)} twice in one object") from None
    return value


def as_object(value: object, what: str) -> Mapping[str, object]:
    """The value, if it is a JSON object."""
    if not isinstance(value, dict):
        raise FormatUnreadable(f"{what} is no JSON object")
    return value


def as_list(value: object, what: str) -> list[object]:
    """The value, if it is a JSON array."""
    if not isinstance(value, list):
        raise FormatUnreadable(f"{what} is no JSON array")
    return value


def as_text(value: object, what: str) -> str:
    """The value, if it is a JSON text."""
    if not isinstance(value, str) or isinstance(value, Number):
        raise FormatUnreadable(f"{what} is no text")
    return value


def as_number(value: object, what: str) -> str:
    """The digits of a number, or of a text that stands for one, as some devices send."""
    if not isinstance(value, str):
        raise FormatUnreadable(f"{what} is no number")
    return value


def text_or(fields: Mapping[str, object], name: str, default: str = "") -> str:
    """A field's text, or `default` where it is missing or null."""
    value = fields.get(name)
    return default if value is None else as_text(value, name)


class _Twice(CommonwattError):
    """A key that an object has twice."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        counted = Counter(name for name, _ in pairs)
        raise _Twice(counted.most_common(1)[0][0])
    return fields


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number")


def _require_shallow(text: str, what: str) -> None:
    # The decoder calls itself for each level: depth is checked before it is entered.
    if text.count("[") + text.count("{") <= DEPTH_MAX:
        return
    depth = 0
    for mark in _MARKS.finditer(text):
        sign = mark.group()
        if sign in "[{":
            depth += 1
        elif sign in "]}":
            depth -= 1
        if depth > DEPTH_MAX:
            raise MessageTooLarge(f"{what} nests more than {DEPTH_MAX} levels deep: flatten it")

"""Bodies that are documents: read once, strictly, with an error that names the place."""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import inspect

from commonwatt.web.api.problem import Problem

_T = TypeVar("_T")
_PLACE = re.compile(r"`\$\.([a-z_.]+)`$")
"""Where the decoder says an error is; entries of lists are left to themselves."""


def read_document(decode: Callable[[bytes], _T], body: bytes, kind: str = "input-unusable") -> _T:
    """A document out of a body.

    Raises:
        Problem: of this kind, if the body is not one.
    """
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        raise Problem(kind, f"body: {error!s:.300}{_instead(decode, str(error))}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(kind, f"body: {error!s:.300}") from None
    except RecursionError:
        raise Problem(kind, "body: nested too deeply") from None


def _instead(decode: Callable[[bytes], object], message: str) -> str:
    """What may stand at the place that an error names: its words, or an example; empty: unknown."""
    place = _PLACE.search(message)
    decoder = getattr(decode, "__self__", None)
    if place is None or not isinstance(decoder, msgspec.json.Decoder):
        return ""
    found: inspect.Type | None = inspect.type_info(decoder.type)
    for name in place[1].split("."):
        if not isinstance(found, inspect.StructType):
            return ""
        # An unknown field may be called like a place.
        found = next((field.type for field in found.fields if field.encode_name == name), None)
    examples: tuple[str, ...] = ()
    if isinstance(found, inspect.Metadata):
        examples = tuple((found.extra_json_schema or {}).get("examples", ()))
        found = found.type
    if isinstance(found, inspect.LiteralType):
        return f"; write {' or '.join(str(value) for value in found.values)}"
    return f"; write it like {examples[0]}" if examples else ""

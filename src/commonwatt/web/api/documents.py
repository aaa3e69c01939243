"""Bodies that are documents: read once, strictly, with an error that names the place."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from commonwatt.web.api.problem import Problem

_T = TypeVar("_T")


def read_document(decode: Callable[[bytes], _T], body: bytes, kind: str = "input-unusable") -> _T:
    """A document out of a body.

    Raises:
        Problem: of this kind, if the body is not one.
    """
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(kind, f"body: {error!s:.300}") from None
    except RecursionError:
        raise Problem(kind, "body: nested too deeply") from None

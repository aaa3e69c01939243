"""Changes that are made only if the document is still as their sender saw it (RFC 9110, 13.1.1)."""

from collections.abc import Mapping
from hashlib import sha256

import msgspec

from commonwatt.web.api.problem import Problem

IF_MATCH = "if-match"
_encode = msgspec.json.Encoder().encode


def tag_of(document: msgspec.Struct) -> str:
    """The ETag of a document that can be changed: a strong one, as If-Match needs it."""
    return f'"{sha256(_encode(document)).hexdigest()[:32]}"'


def is_conditional(headers: Mapping[str, str]) -> bool:
    """Whether a change depends on what its sender saw."""
    return headers.get(IF_MATCH, "*").strip() != "*"


def require_as_seen(headers: Mapping[str, str], document: msgspec.Struct) -> None:
    """Raise `Problem` if a document is not what the sender of a change saw."""
    if not is_conditional(headers):
        return
    seen = headers[IF_MATCH]
    # A proxy that compresses makes tags weak; they are of the same contents all the same.
    tags = {part.strip().removeprefix("W/") for part in seen.split(",")}
    if tag_of(document) not in tags:
        raise Problem("changed", f"If-Match {seen!r:.100}: it is {tag_of(document)} now")

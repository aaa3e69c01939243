"""The one thing an audit looks for: the first place where published and recomputed differ."""

from dataclasses import fields

from commonwatt.statement.header import Header

BYTES_SHOWN = 12


class Difference(Exception):
    """Published or anchored is something else than what follows from the records."""

    def __init__(self, place: str, what: str) -> None:
        """Name the interval and leaf, and what is different there."""
        super().__init__(f"{place}: {what}")
        self.place, self.what = place, what


def header_difference(published: Header, recomputed: Header) -> str:
    """The first field in which two headers differ, in words."""
    for field in fields(Header):
        said, found = getattr(published, field.name), getattr(recomputed, field.name)
        if said != found:
            return f"{field.name} is published as {_shown(said)}, recomputed as {_shown(found)}"
    return "the header is written differently"


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()[: 2 * BYTES_SHOWN] + "…"
    if isinstance(value, tuple):
        return "(" + ", ".join(_shown(part) for part in value) + ")"
    return str(value)

"""The Atom feed of a Green Button file, taken apart: only what readings need, nothing resolved.

A document type is refused, so no entity can be declared; depth, text and size are bounded.
"""

from dataclasses import dataclass, field
from xml.parsers import expat  # a document type, where entities come from, is refused below

from commonwatt.meter.driver.failure import (
    DriverError,
    FormatUnreadable,
    MessageCut,
    MessageTooLarge,
    shown,
)
from commonwatt.meter.driver.text import too_large

ESPI_BYTES_MAX = 32 * 1_024 * 1_024
"""Two years of quarter hours have some 25 MB in this notation."""
PARTS_MAX = 600_000
"""Entries, links, blocks, intervals and their qualities that are kept."""
DEPTH_MAX = 64
TEXT_MAX = 4_096
"""Characters of one field that is read."""
_ESPI, _ATOM = "http://naesb.org/espi ", "http://www.w3.org/2005/Atom "
_CUT = frozenset(
    {"no element found", "unclosed token", "unclosed CDATA section", "partial character"}
)


@dataclass(slots=True)
class ReadingType:
    """What the values of a meter reading are."""

    fields: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Interval:
    """One IntervalReading, its fields still text."""

    fields: dict[str, str] = field(default_factory=dict)
    qualities: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Block:
    """One IntervalBlock."""

    fields: dict[str, str] = field(default_factory=dict)
    intervals: list[Interval] = field(default_factory=list)


@dataclass(slots=True)
class Entry:
    """One entry of the feed: its links and what it holds."""

    links: list[tuple[str, str]] = field(default_factory=list)
    """Relation and path."""
    kind: str = ""
    reading_type: ReadingType | None = None
    blocks: list[Block] = field(default_factory=list)

    def link(self, relation: str) -> str:
        """The path of the first link of this relation; empty if there is none."""
        return next((path for name, path in self.links if name == relation), "")


_KINDS = ("UsagePoint", "MeterReading", "ReadingType", "IntervalBlock")
_TYPE_FIELDS = frozenset(
    {"uom", "powerOfTenMultiplier", "flowDirection", "commodity", "accumulationBehaviour",
     "intervalLength", "defaultQuality"}
)  # fmt: skip


def read_feed(payload: bytes) -> tuple[Entry, ...]:
    """The entries of a feed.

    Raises:
        MessageTooLarge: more than `ESPI_BYTES_MAX`, nested too deep, or a field too long.
        MessageCut: the end is missing.
        FormatUnreadable: no XML, with a document type, or a field twice.
    """
    if len(payload) > ESPI_BYTES_MAX:
        raise too_large("a Green Button file", len(payload), ESPI_BYTES_MAX)
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(payload, True)  # noqa: FBT003 - the last piece
    except expat.ExpatError as error:
        told = expat.ErrorString(error.code)
        place = f"line {error.lineno}"
        if told in _CUT:
            raise MessageCut(f"the Green Button file ends at {place}: get it whole") from None
        raise FormatUnreadable(f"{place} of the Green Button file is no XML: {told}") from None
    except (LookupError, ValueError) as error:
        raise FormatUnreadable(f"the Green Button file is no XML: {shown(error)}") from None
    return tuple(reader.entries)


class _Reader:
    """Follows the elements; keeps the text of those fields that count."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._path: list[str] = []
        self._text: list[str] | None = None
        self._size, self._kept = 0, 0

    def doctype(self, *_: object) -> None:
        raise _stop(
            "a document type in a Green Button file: none is allowed, as it could hide text"
        )

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._path) >= DEPTH_MAX:
            raise MessageTooLarge(
                f"a Green Button file nested more than {DEPTH_MAX} deep: flatten it"
            )
        short = name.removeprefix(_ESPI) if name.startswith(_ESPI) else name.removeprefix(_ATOM)
        self._path.append(short)
        self._text, self._size = [], 0
        if short == "entry":
            self._keep()
            self.entries.append(Entry())
        if not self.entries:
            return
        entry = self.entries[-1]
        if short == "link" and self._path[-2:-1] == ["entry"]:
            self._keep()
            entry.links.append((attributes.get("rel", ""), _path_of(attributes.get("href", ""))))
        elif short in _KINDS and self._path[-2:-1] == ["content"]:
            entry.kind = short
            if short == "ReadingType":
                entry.reading_type = ReadingType()
            elif short == "IntervalBlock":
                self._keep()
                entry.blocks.append(Block())
        elif short == "IntervalReading" and entry.blocks:
            self._keep()
            entry.blocks[-1].intervals.append(Interval())

    def _keep(self) -> None:
        self._kept += 1
        if self._kept > PARTS_MAX:
            raise MessageTooLarge(
                f"a Green Button file with more than {PARTS_MAX} parts: divide it"
            )

    def text(self, data: str) -> None:
        if self._text is not None:
            self._size += len(data)
            if self._size > TEXT_MAX and self._wanted() is not None:
                raise MessageTooLarge(
                    f"{self._path[-1]} has more than {TEXT_MAX} characters: it is a number"
                )
            if self._size <= TEXT_MAX:
                self._text.append(data)

    def end(self, _: str) -> None:
        fields = self._wanted()
        name = self._path.pop()
        if fields is not None and self._text is not None:
            value = "".join(self._text).strip()
            if isinstance(fields, list):
                self._keep()
                fields.append(value)
            elif fields.setdefault(name, value) != value:
                raise _stop(f"{name} stands twice with two values")
        self._text = None

    def _wanted(self) -> dict[str, str] | list[str] | None:
        """Where the text of the current element belongs, if anywhere."""
        entry = self.entries[-1] if self.entries else Entry()
        block = entry.blocks[-1] if entry.blocks else Block()
        interval = block.intervals[-1] if block.intervals else None
        match self._path[-2:]:
            case ["ReadingType", name] if entry.reading_type and name in _TYPE_FIELDS:
                return entry.reading_type.fields
            case ["interval", "start" | "duration"]:
                return block.fields
            case ["timePeriod", "start" | "duration"] | ["IntervalReading", "value"] if interval:
                return interval.fields
            case ["ReadingQuality", "quality"] if interval:
                return interval.qualities
            case _:
                return None


def _path_of(href: str) -> str:
    """The path of a link, without scheme, host and last slash, as feeds write both kinds."""
    _, separator, rest = href.partition("://")
    path = "/" + rest.partition("/")[2] if separator else href
    return path.rstrip("/")


def _stop(what: str) -> DriverError:
    return FormatUnreadable(f"{what}: get the file anew from the utility")

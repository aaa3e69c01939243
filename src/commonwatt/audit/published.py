"""Reading what was published, one day and one interval at a time."""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import msgspec

from commonwatt.audit.difference import Difference
from commonwatt.errors import InputError
from commonwatt.market.settings import MarketSettings
from commonwatt.meter.record import SignedRecord
from commonwatt.statement.community import Community
from commonwatt.statement.publication import (
    CONSTITUTION_FORMAT,
    CONSTITUTION_PATH,
    MARKET_PATH,
    REGISTER_PATH,
    Constitution,
    IntervalLine,
    RecordLine,
    RefusedLine,
    RegisterLine,
    community_of,
    constitution_bytes,
    market_bytes,
    register_bytes,
)

_T = TypeVar("_T")


class Files(Protocol):
    """The published directory, wherever it is kept."""

    def paths(self) -> frozenset[str]:
        """Every file below `public`, `members` and `audit`, with forward slashes."""

    def lines(self, path: str) -> Iterator[bytes]:
        """The file's lines, each with its line feed."""


class NothingPublished(InputError):
    """There is nothing to audit."""


def decode(kind: type[_T], text: bytes, place: str) -> _T:
    """One line as the struct it should be; an unreadable one is a difference."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Difference(place, f"not readable: {error}") from None


def read_community(files: Files) -> Community:
    """The constitution, the register and the market settings, each written again and compared.

    Raises:
        NothingPublished: where one of the files is missing.
        Difference: where one is not what it should be.
    """
    _require_present(files, CONSTITUTION_PATH)
    text = b"".join(files.lines(CONSTITUTION_PATH))
    # First, as another version publishes other files.
    _require_format(text)
    _require_present(files, REGISTER_PATH, MARKET_PATH)
    constitution = decode(Constitution, text, CONSTITUTION_PATH)
    register_lines = list(files.lines(REGISTER_PATH))
    register = [
        decode(RegisterLine, line, f"{REGISTER_PATH}, line {number}")
        for number, line in enumerate(register_lines, start=1)
    ]
    market_text = b"".join(files.lines(MARKET_PATH))
    market = decode(MarketSettings, market_text, MARKET_PATH)
    try:
        community = community_of(constitution, register, market)
        written = constitution_bytes(community)
        register_written = register_bytes(community.registrations).splitlines(keepends=True)
    except (ValueError, InputError, OverflowError) as error:
        raise Difference(CONSTITUTION_PATH, f"not a community: {error}") from None
    _require_clearable(community)
    if market_text != market_bytes(market):
        raise Difference(MARKET_PATH, "written differently")
    for number, (entry, r) in enumerate(zip(register, community.registrations, strict=True), 1):
        if entry.meter != r.meter.hex():
            raise Difference(f"{REGISTER_PATH}, line {number}", "names a meter, with another's key")
    for number, (line, again) in enumerate(
        zip(register_lines, register_written, strict=True), start=1
    ):
        if line != again:
            raise Difference(f"{REGISTER_PATH}, line {number}", "written differently")
    if text != written:
        raise Difference(CONSTITUTION_PATH, "does not name these files, or written differently")
    return community


def _require_present(files: Files, *paths: str) -> None:
    present = files.paths()
    for path in paths:
        if path not in present:
            raise NothingPublished(
                f"{path} is missing: name the directory of a run; one that was interrupted "
                "publishes when it goes on, with commonwatt demo --resume DIR"
            )


def _require_clearable(community: Community) -> None:
    """Settings that nothing can be cleared by are no community's."""
    try:
        _ = community.charter
    except InputError as error:
        raise Difference(MARKET_PATH, f"not a market of this community: {error}") from None


def _require_format(text: bytes) -> None:
    """Say so where another version of this program published."""
    try:
        found = msgspec.json.decode(text, type=_Format).format
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # decoding all of it says better what is wrong
    if found != CONSTITUTION_FORMAT:
        what = f"of format {found!r:.60}; this program audits {CONSTITUTION_FORMAT}"
        raise Difference(CONSTITUTION_PATH, what)


class _Format(msgspec.Struct):
    format: str


class Published:
    """One interval's inputs as published."""

    __slots__ = ("first", "late", "records", "refused", "released")

    def __init__(
        self,
        first: IntervalLine,
        records: list[SignedRecord],
        late: list[SignedRecord],
        refused: list[RefusedLine],
        released: set[bytes],
    ) -> None:
        """Keep the interval's first line, its records, those of intervals before, its refusals.

        `released` has the records that the operator let count in spite of their rated power.
        """
        self.first, self.records, self.late, self.refused = first, records, late, refused
        self.released = released


def intervals_of(
    lines: Iterator[bytes], path: str, place_of_next: Callable[[], str]
) -> Iterator[tuple[str, Published]]:
    """Each interval of an inputs file, in its order, with its place in words.

    Args:
        lines: the file's.
        path: the file's name.
        place_of_next: the interval that the chain says comes next, in words.
    """

    def following(place: str) -> bytes:
        try:
            return next(lines)
        except StopIteration:
            raise Difference(place, f"{path} ends before it") from None

    for text in lines:
        when = place_of_next()
        first = decode(IntervalLine, text, f"{when}, inputs")
        records, late, refused = [], [], []
        released: set[bytes] = set()
        for index in range(first.records):
            place = f"{when}, records, leaf {index}"
            record = decode(RecordLine, following(place), place)
            records.append(_signed(record, released, place))
        for index in range(first.late):
            place = f"{when}, late record {index}"
            record = decode(RecordLine, following(place), place)
            late.append(_signed(record, released, place))
        for index in range(first.refused):
            place = f"{when}, refused record {index}"
            refused.append(decode(RefusedLine, following(place), place))
        yield when, Published(first, records, late, refused, released)


def _signed(line: RecordLine, released: set[bytes], place: str) -> SignedRecord:
    try:
        signed = SignedRecord(bytes.fromhex(line.record), bytes.fromhex(line.signature))
    except ValueError:
        raise Difference(place, "a record that is not written in hex digits") from None
    if line.released:
        released.add(signed.record)
    return signed

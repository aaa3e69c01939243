"""What a route is, what a request to it brings, and what it answers."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from commonwatt.node.service.hosted import Hosted
from commonwatt.web.api.problem import Problem
from commonwatt.web.api.roles import Access, Principal, Who
from commonwatt.web.api.shapes import NoQuery

if TYPE_CHECKING:
    from commonwatt.web.api.state import Api

JSON, CSV, LINES = "application/json", "text/csv", "application/x-ndjson"
EVENTS, BINARY = "text/event-stream", "application/octet-stream"
NUMBER_HEADER, SIGNATURE_HEADER = "commonwatt-action-number", "commonwatt-action-signature"
"""Of an action in EnergyTag's names, whose documents have no place for them."""
STREAM_MARK = "commonwatt.stream"
"""In a request's scope: its answer goes on until somebody ends it."""

NO_STORE, PRIVATE = "no-store", "private, no-cache"
FRESH, FOREVER = "public, no-cache", "public, max-age=31536000, immutable"
"""Asked for again each time, but sent only if changed; and never changing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One document."""

    content: Any
    """What JSON can hold; bytes are sent as they are."""
    status: int = 200
    cache: str = NO_STORE
    media: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list."""

    items: Sequence[msgspec.Struct]
    kind: type[msgspec.Struct]
    """Of the items, so that an empty table has its columns."""
    next: str | None = None
    """Cursor of the page after; None for the last one."""
    cache: str = NO_STORE


@dataclass(frozen=True, slots=True)
class Prepared:
    """A large document that was encoded and compressed before."""

    body: bytes
    packed: bytes
    cache: str = FRESH


@dataclass(frozen=True, slots=True)
class Chunks:
    """A file, line by line."""

    lines: Sequence[bytes]
    media: str = LINES
    cache: str = PRIVATE


@dataclass(frozen=True, slots=True)
class Stream:
    """What goes on for a while."""

    pieces: AsyncIterator[bytes]
    media: str = EVENTS


Result: TypeAlias = Answer | Page | Prepared | Chunks | Stream


@dataclass(frozen=True, slots=True)
class Call:
    """A request, once it is known who asks and that the route is open to them."""

    api: "Api"
    route: "Route"
    path: Mapping[str, Any]
    """Its parameters, each of its type: see `parameters`."""
    query: Any
    """An instance of the route's query."""
    body: bytes
    headers: Mapping[str, str]
    """Names in lower case."""
    principal: Principal
    access: Access
    address: str
    target: str
    """Path and query as sent."""
    _hosted: Hosted | None = field(default=None)

    @property
    def hosted(self) -> Hosted:
        """The community in the path."""
        if self._hosted is None:  # a mistake in the table of routes
            raise LookupError(f"{self.route.path} names no community")
        return self._hosted

    @property
    def sees_all(self) -> bool:
        """Whether it may see what is not its own."""
        return self.access is Access.YES


Handler: TypeAlias = Callable[[Call], Result]
Owner: TypeAlias = Callable[[Call], bool]


@dataclass(frozen=True, slots=True)
class Body:
    """What a route takes in."""

    kind: Any
    """Its type, for the description."""
    bytes_max: int
    media: tuple[str, ...] = (JSON,)


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table: an address, who may use it, and what answers."""

    method: str
    path: str
    name: str
    """Of the operation, in clients made from the description."""
    summary: str
    who: Who
    handler: Handler
    gives: Any
    """Type of what is answered; of an item, for lists; None for nothing."""
    media: tuple[str, ...] = (JSON,)
    query: type[msgspec.Struct] = NoQuery
    body: Body | None = None
    owner: Owner | None = None
    """Whether what is asked for is the asker's own; needed where a cell says so."""
    status: int = 200
    problems: tuple[str, ...] = ()
    """Kinds besides those that every route may answer."""
    is_list: bool = False
    is_keyed: bool = False
    """Whether an Idempotency-Key is taken, under the name of who is signed in."""
    is_light: bool = False
    """Whether it is answered without a thread: it reads memory only."""
    example: Any = None
    """Of an answer: for a list, one item."""
    sent: Any = None
    """Example of a body."""

    @property
    def tag(self) -> str:
        """The chapter it belongs to."""
        parts = self.path.removeprefix("/v1/").split("/")
        return parts[2] if len(parts) > 2 and parts[0] == "communities" else parts[0]  # noqa: PLR2004


def unknown(what: str) -> Problem:
    """There is nothing of this name."""
    return Problem("unknown", what)

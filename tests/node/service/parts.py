"""A community at work over a street, with lanes in memory and a real database and book."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from certificates import ISSUER
from commonwatt.chain.errors import ChainUnreachable
from commonwatt.node.folder import Publisher
from commonwatt.node.lanes import LaneFunds
from commonwatt.node.pipeline import Node, Terms
from commonwatt.node.registrar import Registrar, open_book
from commonwatt.node.service.clock import Clock
from commonwatt.node.service.events import Events
from commonwatt.node.service.hosted import Hosted
from node.lanes import LanesInMemory, NodeFile
from street import EURO, LIFETIME_S, TARIFF, Street

MEMBERS = 3


@dataclass
class Chain(LanesInMemory):
    """Lanes and the book's head, out of reach when told so."""

    is_away: bool = False
    heads: list[tuple[int, bytes]] = field(default_factory=list)

    def __init__(self) -> None:
        super().__init__(MEMBERS, 10 * EURO)
        self.is_away, self.heads = False, []

    def _reach(self) -> None:
        if self.is_away:
            raise ChainUnreachable("http://far", "no route")

    def funds(self, known: LaneFunds | None = None) -> LaneFunds:
        self._reach()
        return super().funds(known)

    def pay(self, header: bytes, deltas: Any) -> Any:
        self._reach()
        return super().pay(header, deltas)

    def paid(self, start: int, anchor: bytes) -> Any:
        self._reach()
        return super().paid(start, anchor)

    def book_head(self) -> tuple[int, bytes]:
        self._reach()
        return self.heads[-1] if self.heads else (0, bytes(32))

    def post(self, _issuer: object, count: int, head: bytes) -> object:
        self._reach()
        self.heads.append((count, head))
        return SimpleNamespace(gas_used=1)


@dataclass
class Hands:
    """A clock that the test sets."""

    now: int

    def __call__(self) -> int:
        return self.now


class Town:
    """A street's community, hosted."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.folder, self.chain = folder, Chain()
        for name in ("node", "public", "members", "audit"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.street = Street(members=MEMBERS, producers=1, batteries=1, storage_permille=900)
        self.clock = clock or Hands(self.street.start.start)
        self.open()

    def open(self) -> None:
        """Begin, or go on after a stop."""
        community, folder = self.street.community, self.folder
        self.database = NodeFile(folder / "node" / "node.sqlite")
        book = open_book(self.database.scope, community, ISSUER.address_bytes, LIFETIME_S)
        kept = {self.street.solar[0].key.meter: community.first_start}
        registrar = Registrar(book, ISSUER, community, kept, folder)
        publisher = Publisher(folder)
        node = Node(
            community,
            b"secret",
            database=self.database,
            treasury=self.chain,
            publisher=publisher,
            now=self.clock,
            closed=lambda closed: self.hosted.hear(closed),  # noqa: PLW0108 - not there yet
        )
        self.hosted = Hosted(
            "street",
            folder,
            node=node,
            ledger=self.chain,  # type: ignore[arg-type]
            registrar=registrar,
            book=book,
            publisher=publisher,
            terms=Terms(TARIFF),
            clock=self.clock,
            events=Events(1),
        )
        self.node = node
        node.recall()

    def close(self) -> None:
        self.hosted.book.close()
        self.database.close()

    def records(self, index: int = 0) -> list[Any]:
        """All meters' records of the street's next interval, signed."""
        batch = self.street.measure([0, 300 + index, 500], [700, 0, 0], [800 + index], [0])
        self.street.interval = self.street.interval.next
        return batch


def without_chain(town: Town) -> Town:
    """The same with its chain out of reach."""
    town.chain.is_away = True
    return town


__all__ = ["Chain", "Hands", "Town", "replace", "without_chain"]

"""A community at work over a street, with lanes in memory and a real database and book."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from certificates import ISSUER
from commonwatt.chain.errors import ChainUnreachable
from commonwatt.market.book import Limits
from commonwatt.market.settings import MarketSettings
from commonwatt.node.folder import Publisher
from commonwatt.node.lanes import LaneFunds
from commonwatt.node.pipeline import Node, Terms
from commonwatt.node.registrar import Registrar, open_book
from commonwatt.node.service.clock import Clock
from commonwatt.node.service.events import Events
from commonwatt.node.service.hosted import Hosted
from commonwatt.node.store import Database, StandingLimits
from commonwatt.statement.community import Community
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


PLAIN, AUCTION = MarketSettings(), MarketSettings(rule="uniform_price")
"""A market without limit prices, and one that takes them."""


def street_of(market: MarketSettings) -> Street:
    """A producer with a battery, and two neighbours."""
    return Street(members=MEMBERS, producers=1, batteries=1, storage_permille=900, market=market)


def hosted_over(
    street: Street, name: str, folder: Path, database: Database, chain: Chain, clock: Clock
) -> tuple[Hosted, Node]:
    """A street's community at work, as far as its database tells, and its pipeline."""
    for part in ("node", "public", "members", "audit"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    community = street.community
    book = open_book(database.scope, community, ISSUER.address_bytes, LIFETIME_S)
    kept = {street.solar[0].key.meter: community.first_start}
    publisher = Publisher(folder)
    node = Node(
        community,
        b"secret",
        database=database,
        treasury=chain,
        publisher=publisher,
        now=clock,
        closed=lambda closed: hosted.hear(closed),  # noqa: PLW0108 - not there yet
    )
    hosted = Hosted(
        name,
        folder,
        node=node,
        ledger=chain,  # type: ignore[arg-type]
        registrar=Registrar(book, ISSUER, community, kept, folder),
        book=book,
        publisher=publisher,
        terms=Terms(TARIFF, usual_limits(community)),
        limits=StandingLimits(database.scope),
        clock=clock,
        events=Events(1),
    )
    node.recall()
    return hosted, node


def usual_limits(community: Community) -> tuple[Limits, ...]:
    """What a community's file says where the rule takes limits."""
    if not community.charter.rule.needs_limits:
        return ()
    return (Limits(TARIFF.retail, TARIFF.feed_in),) * len(community.accounts)


class Town:
    """A street's community, hosted."""

    def __init__(
        self, folder: Path, clock: Clock | None = None, market: MarketSettings = PLAIN
    ) -> None:
        self.folder, self.chain = folder, Chain()
        (folder / "node").mkdir(parents=True, exist_ok=True)
        self.street = street_of(market)
        self.clock = clock or Hands(self.street.start.start)
        self.open()

    def open(self) -> None:
        """Begin, or go on after a stop."""
        self.database = NodeFile(self.folder / "node" / "node.sqlite")
        work = hosted_over(
            self.street, "street", self.folder, self.database, self.chain, self.clock
        )
        self.hosted, self.node = work

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

"""A node over a street, and lanes as a chain would keep them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from commonwatt.audit.facts import AnchoredClose, ChainFacts
from commonwatt.node.folder import Publisher
from commonwatt.node.lanes import LaneFunds, Payment
from commonwatt.node.pipeline import Node
from commonwatt.node.store import ONLY_COMMUNITY, Database, Store, file_url
from commonwatt.node.store.scope import Scope
from commonwatt.statement.close import LANE_BIAS, LANE_BITS, LANES_PER_WORD
from commonwatt.statement.header import Header, anchor_of
from street import EURO, Street


class NodeFile(Database):
    """One community's database in a file of its own."""

    def __init__(self, path: Path) -> None:
        self._store = Store(file_url(path))
        super().__init__(Scope(self._store.transactions, ONLY_COMMUNITY))

    def close(self) -> None:
        self._store.close()


class LanesInMemory:
    """A chain's lanes, as the contract keeps them."""

    def __init__(self, members: int, balance: int) -> None:
        self.balances = [balance] * members
        self.supplier, self.grid, self.flows = 1_000 * EURO, 0, members + 1
        self.closed: dict[int, tuple[bytes, Payment]] = {}
        self.before_pay: Callable[[], None] = lambda: None

    def funds(self, known: LaneFunds | None = None) -> LaneFunds:
        if known is not None and known.flows == self.flows:
            return known
        return LaneFunds(self.flows, tuple(self.balances), self.supplier)

    def withdraw(self, member: int) -> None:
        self.balances[member] = 0
        self.flows += 1

    def pay(self, header: bytes, deltas: Sequence[bytes]) -> Payment | None:
        self.before_pay()
        said = Header.decode(header)
        assert said.start not in self.closed, "settlement: interval already closed"
        after = [b + d for b, d in zip(self.balances, _unpacked(deltas), strict=False)]
        if min(after) < 0:
            return None
        self.balances = after
        self.supplier += said.supplier_in - said.supplier_out
        self.grid += said.grid_in
        payment = Payment(anchor_of(header)[::-1], 100_000)
        self.closed[said.start] = anchor_of(header), payment
        return payment

    def paid(self, start: int, anchor: bytes) -> Payment | None:
        if start not in self.closed:
            return None
        assert self.closed[start][0] == anchor
        return self.closed[start][1]


def _unpacked(deltas: Sequence[bytes]) -> list[int]:
    mask = 2**LANE_BITS - 1
    words = [int.from_bytes(word) for word in deltas]
    lanes = [w >> LANE_BITS * at & mask for w in words for at in range(LANES_PER_WORD)]
    return [lane - LANE_BIAS for lane in lanes]


def node_over(
    street: Street,
    folder: Path,
    lanes: object,
    database: object,
    publisher: object | None = None,
) -> Node:
    return Node(
        street.community,
        b"secret",
        database=database,  # type: ignore[arg-type]
        treasury=lanes,  # type: ignore[arg-type]
        publisher=publisher or Publisher(folder),  # type: ignore[arg-type]
        now=lambda: street.start.end + 3_600 * 24,
    )


@contextmanager
def begun(street: Street, folder: Path) -> Iterator[tuple[Node, LanesInMemory]]:
    """A node that has caught up, and its lanes; its database is `node.sqlite` in the folder."""
    lanes, database = (
        LanesInMemory(len(street.balances), 10 * EURO),
        NodeFile(folder / "node.sqlite"),
    )
    node = node_over(street, folder, lanes, database)
    node.catch_up()
    yield node, lanes
    database.close()


def facts_of(street: Street, lanes: LanesInMemory) -> ChainFacts:
    """What a chain with these lanes would say."""
    street.closes = [
        AnchoredClose(start, street.start.duration, anchor, payment.transaction, 0, 0)
        for start, (anchor, payment) in lanes.closed.items()
    ]
    street.balances, street.supplier_balance = lanes.balances, lanes.supplier
    street.grid_balance = lanes.grid
    return street.facts()


def energy_of(index: int) -> tuple[list[int], list[int], list[int]]:
    return [0, 300 + index, 500], [700, 0, 0], [800 + index]

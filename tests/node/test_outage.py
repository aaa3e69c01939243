"""A chain that is away for hours: intervals go on closing, and are anchored in order afterwards."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from commonwatt.chain.errors import ChainUnreachable
from commonwatt.node.folder import FolderFiles
from commonwatt.node.lanes import LaneFunds, Payment
from commonwatt.node.pipeline import Node, Terms
from commonwatt.quantity import Interval
from node.lanes import LanesInMemory, NodeFile, energy_of, node_over
from street import EURO, TARIFF, Street

TERMS = Terms(TARIFF)
INTERVALS = 7
LATE = Interval.parse("2016-06-20T23:00:00Z", 900)


class FarLanes(LanesInMemory):
    """Lanes on a chain that can be out of reach, or lose its answers."""

    is_away = False
    loses_answers = False

    def _reach(self) -> None:
        if self.is_away:
            raise ChainUnreachable("http://far", "no route")

    def funds(self, known: LaneFunds | None = None) -> LaneFunds:
        self._reach()
        return super().funds(known)

    def pay(self, header: bytes, deltas: Sequence[bytes]) -> Payment | None:
        self._reach()
        payment = super().pay(header, deltas)
        if self.loses_answers:
            raise ChainUnreachable("http://far", "timed out")
        return payment

    def paid(self, start: int, anchor: bytes) -> Payment | None:
        self._reach()
        return super().paid(start, anchor)


@pytest.fixture
def signed() -> tuple[Street, list[list]]:
    street, made = Street(start=LATE), []
    for index in range(INTERVALS):
        made.append(street.measure(*energy_of(index)))
        street.interval = street.interval.next
    return street, made


def file_in(folder: Path) -> NodeFile:
    """A node's database in a folder of its own."""
    folder.mkdir(exist_ok=True)
    return NodeFile(folder / "node.sqlite")


def undisturbed(street: Street, signed: list[list], folder: Path) -> FarLanes:
    lanes, database = FarLanes(3, 10 * EURO), file_in(folder)
    node = node_over(street, folder, lanes, database)
    for batch in signed:
        node.receive(batch)
        node.close(TERMS)
    node.publish()
    database.close()
    return lanes


def conclude(node: Node, batches: list[list]) -> None:
    """Conclude intervals while the chain may be away."""
    for batch in batches:
        node.receive(batch)
        node.conclude(TERMS)
        with pytest.raises(ChainUnreachable):
            node.settle()


def same_files(folder: Path, other: Path) -> bool:
    paths = FolderFiles(folder).paths()
    assert paths == FolderFiles(other).paths()
    return all((folder / path).read_bytes() == (other / path).read_bytes() for path in paths)


def test_what_was_concluded_meanwhile_is_anchored_in_order_when_the_chain_returns(
    tmp_path: Path, signed: tuple[Street, list[list]]
) -> None:
    street, batches = signed
    whole = undisturbed(street, batches, tmp_path / "whole")
    lanes, database = FarLanes(3, 10 * EURO), file_in(tmp_path / "cut")
    node = node_over(street, tmp_path / "cut", lanes, database)
    node.receive(batches[0])
    node.close(TERMS)
    lanes.is_away = True
    conclude(node, batches[1:5])
    assert node.waiting == 4
    lanes.is_away = False
    assert len(node.settle()) == 4
    for batch in batches[5:]:
        node.receive(batch)
        node.close(TERMS)
    node.publish()
    database.close()
    assert lanes.closed == whole.closed
    assert list(lanes.closed) == sorted(lanes.closed)
    assert same_files(tmp_path / "cut", tmp_path / "whole")


def test_money_taken_out_meanwhile_lets_everything_that_waits_be_stated_again(
    tmp_path: Path, signed: tuple[Street, list[list]]
) -> None:
    street, batches = signed
    lanes, database = FarLanes(3, EURO), file_in(tmp_path)
    node = node_over(street, tmp_path, lanes, database)
    node.receive(batches[0])
    node.close(TERMS)
    lanes.is_away = True
    conclude(node, batches[1:4])
    lanes.is_away = False
    lanes.withdraw(2)
    paid = node.settle()
    assert [closed.inputs.flows for closed in paid] == [lanes.flows] * 3
    assert all(closed.inputs.balances[2] == 0 for closed in paid)
    previous = [closed.statement.header.previous for closed in paid]
    anchors = [closed.statement.header.anchor for closed in paid]
    assert previous[1:] == anchors[:-1]
    assert [row.anchor for row in database.statements()][1:] == anchors
    database.close()


def test_a_node_that_dies_while_the_chain_is_away_goes_on_where_it_was(
    tmp_path: Path, signed: tuple[Street, list[list]]
) -> None:
    street, batches = signed
    whole = undisturbed(street, batches, tmp_path / "whole")
    lanes, folder = FarLanes(3, 10 * EURO), tmp_path / "cut"
    database = file_in(folder)
    node = node_over(street, folder, lanes, database)
    node.receive(batches[0])
    node.close(TERMS)
    lanes.is_away = True
    # Over midnight, too: a day whose statements wait makes no checkpoint.
    conclude(node, batches[1:5])
    database.close()

    database = file_in(folder)
    node = node_over(street, folder, lanes, database)
    assert node.recall() == 5
    assert node.waiting == 4
    conclude(node, batches[5:6])
    lanes.is_away = False
    node.settle()
    node.receive(batches[6])
    node.close(TERMS)
    node.publish()
    database.close()
    assert lanes.closed == whole.closed
    assert same_files(folder, tmp_path / "whole")


def test_a_payment_whose_answer_was_lost_is_found_on_the_chain_and_not_made_twice(
    tmp_path: Path, signed: tuple[Street, list[list]]
) -> None:
    street, batches = signed
    whole = undisturbed(street, batches, tmp_path / "whole")
    lanes, database = FarLanes(3, 10 * EURO), file_in(tmp_path / "cut")
    node = node_over(street, tmp_path / "cut", lanes, database)
    for batch in batches:
        node.receive(batch)
        node.conclude(TERMS)
        lanes.loses_answers = True
        with pytest.raises(ChainUnreachable):
            node.settle()
        lanes.loses_answers = False
        node.settle()
    node.publish()
    database.close()
    assert lanes.closed == whole.closed
    assert same_files(tmp_path / "cut", tmp_path / "whole")


def test_a_node_that_has_never_seen_the_lanes_waits_for_the_chain(
    tmp_path: Path, signed: tuple[Street, list[list]]
) -> None:
    street, batches = signed
    lanes, database = FarLanes(3, EURO), file_in(tmp_path)
    node = node_over(street, tmp_path, lanes, database)
    node.receive(batches[0])
    lanes.is_away = True
    with pytest.raises(ChainUnreachable):
        node.conclude(TERMS)
    assert (node.waiting, node.interval) == (0, LATE)
    lanes.is_away = False
    node.close(TERMS)
    database.close()

"""Records that come early, while the node is behind: in any order, and others in their place."""

from itertools import permutations
from pathlib import Path

import pytest

from commonwatt.audit.recompute import audit
from commonwatt.meter.acceptance import Accepted, Reason, Refused
from commonwatt.meter.record import SignedRecord
from commonwatt.node.folder import FolderFiles
from commonwatt.node.pipeline import Node, Terms
from node.lanes import LanesInMemory, NodeFile, energy_of, facts_of, node_over
from street import EURO, TARIFF, Street

TERMS = Terms(TARIFF)
INTERVALS = 3


def signed_by(street: Street) -> tuple[list[list[SignedRecord]], list[SignedRecord]]:
    """Each interval's records, and the first meter's as a copy of it would sign them.

    The copy counts a watt-hour more.
    """
    meter, made, copies = street.grid[0], [], []
    for index in range(INTERVALS):
        made.append(street.measure(*energy_of(index)))
        said = meter.record(
            street.interval.end,
            sequence=meter.sequence - 1,
            previous=made[-2][0].digest if index else meter.opening.digest,
            import_mwh=meter.import_mwh + 1_000,
        )
        copies.append(meter.key.sign(said.encode()))
        street.interval = street.interval.next
    return made, copies


def begun(street: Street, folder: Path, lanes: LanesInMemory, database: NodeFile) -> Node:
    node = node_over(street, folder, lanes, database)
    node.catch_up()
    return node


@pytest.mark.parametrize("restarts", [False, True])
def test_a_copy_of_a_record_that_came_early_is_refused_and_the_audit_agrees(
    tmp_path: Path, *, restarts: bool
) -> None:
    street = Street()
    made, copies = signed_by(street)
    lanes, database = LanesInMemory(3, 10 * EURO), NodeFile(tmp_path / "node.sqlite")
    node = begun(street, tmp_path, lanes, database)
    node.receive(made[0])
    # The first interval is still open, as after a night without the node.
    (verdict,) = node.receive(made[1][:1])
    assert isinstance(verdict, Accepted)
    (verdict,) = node.receive(copies[1:2])
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.SEQUENCE_USED
    if restarts:
        node = begun(street, tmp_path, lanes, database)
    node.close(TERMS)
    node.receive(made[1][1:])
    node.close(TERMS)
    node.publish()
    found = audit(FolderFiles(tmp_path), facts_of(street, lanes))
    assert (found.verdict, found.refused) == ("ok", 1)
    database.close()


def test_one_that_comes_together_with_its_copy_is_told_with_the_same_interval(
    tmp_path: Path,
) -> None:
    street = Street()
    made, copies = signed_by(street)
    lanes, database = LanesInMemory(3, 10 * EURO), NodeFile(tmp_path / "node.sqlite")
    node = begun(street, tmp_path, lanes, database)
    verdicts = node.receive([*made[0], made[1][0], copies[1]])
    assert sum(isinstance(verdict, Refused) for verdict in verdicts) == 1
    node.close(TERMS)
    node.receive(made[1][1:])
    node.close(TERMS)
    node.publish()
    found = audit(FolderFiles(tmp_path), facts_of(street, lanes))
    assert (found.verdict, found.refused) == ("ok", 1)
    database.close()


@pytest.mark.parametrize("order", list(permutations(range(INTERVALS))))
@pytest.mark.parametrize("restarts", [False, True])
def test_in_whichever_order_intervals_come_their_statements_are_the_same(
    tmp_path: Path, order: tuple[int, ...], *, restarts: bool
) -> None:
    street, straight = Street(), Street()
    made, _ = signed_by(street)
    lanes, database = LanesInMemory(3, 10 * EURO), NodeFile(tmp_path / "node.sqlite")
    node = begun(street, tmp_path, lanes, database)
    for index in order:
        node.receive(made[index])
        if restarts:
            node = begun(street, tmp_path, lanes, database)
    for _ in range(INTERVALS):
        node.close(TERMS)
        if restarts:
            node = begun(street, tmp_path, lanes, database)
    node.publish()
    found = audit(FolderFiles(tmp_path), facts_of(street, lanes))
    assert found.verdict == "ok"
    anchors = [straight.close(batch).header.anchor for batch in made]
    assert [anchor for anchor, _ in lanes.closed.values()] == anchors
    database.close()

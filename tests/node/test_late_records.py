"""Late records through the pipeline: whenever they come, and whatever dies, the same in the end."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.audit.recompute import audit
from commonwatt.meter.acceptance import Accepted, Duplicate, Late, Reason, Refused, Verdict
from commonwatt.meter.record import SignedRecord
from commonwatt.node.folder import FolderFiles
from commonwatt.node.pipeline import Node, Terms
from commonwatt.quantity import Interval
from effort import SOAKING, effort
from node.lanes import LanesInMemory, NodeFile, energy_of, facts_of, node_over
from node.test_pipeline import Crash, Failing
from street import EURO, TARIFF, Street

TERMS = Terms(TARIFF)
INTERVALS = 6
EVENING = Interval.parse("2016-06-20T23:15:00Z", 900)
"""Midnight comes in between, so states are kept and read again."""


@pytest.fixture
def street() -> Street:
    return Street(start=EVENING)


def signed_by(street: Street) -> list[list[SignedRecord]]:
    made = []
    for index in range(INTERVALS):
        made.append(street.measure(*energy_of(index)))
        street.interval = street.interval.next
    return made


def arrivals(signed: list[list[SignedRecord]]) -> list[list[SignedRecord]]:
    """The first meter's records 1 and 2 come in interval 4, the second's of 0 in interval 1."""
    came = [list(batch) for batch in signed]
    came[4] += [came[2].pop(0), came[1].pop(0)]
    came[1].append(came[0].pop(1))
    return came


def run(node: Node, came: list[list[SignedRecord]]) -> None:
    for batch in came[node.catch_up() :]:
        node.receive(batch)
        node.close(TERMS)
    node.publish()


def whole(folder: Path) -> dict[str, bytes]:
    return {path: (folder / path).read_bytes() for path in FolderFiles(folder).paths()}


def test_what_came_late_is_settled_and_audited(tmp_path: Path, street: Street) -> None:
    came = arrivals(signed_by(street))
    lanes, database = LanesInMemory(3, 10 * EURO), NodeFile(tmp_path / "node.sqlite")
    node = node_over(street, tmp_path, lanes, database)
    run(node, came)
    found = audit(FolderFiles(tmp_path), facts_of(street, lanes))
    assert (found.verdict, found.records) == ("ok", sum(map(len, came)))
    late = came[4][-1]
    (verdict,) = node.receive([late])
    assert isinstance(verdict, Duplicate)
    database.close()


@pytest.mark.parametrize("seed", range(6))
def test_in_whichever_order_the_records_of_an_interval_come_its_statement_is_the_same(
    tmp_path: Path, street: Street, seed: int
) -> None:
    came, chance = arrivals(signed_by(street)), Random(seed)
    files = []
    for name in ("ordered", "shuffled"):
        folder = tmp_path / name
        folder.mkdir()
        database = NodeFile(folder / "node.sqlite")
        node = node_over(street, folder, LanesInMemory(3, 10 * EURO), database)
        node.catch_up()
        for batch in came:
            if name == "ordered":
                node.receive(batch)
            else:
                for signed in chance.sample(batch, len(batch)):
                    (verdict,) = node.receive([signed])
                    assert isinstance(verdict, Accepted | Late)
            node.close(TERMS)
        node.publish()
        database.close()
        files.append(whole(folder))
    assert files[0] == files[1]


def test_a_node_that_was_behind_counts_them_with_the_records_that_came_early(
    tmp_path: Path, street: Street
) -> None:
    came = arrivals(signed_by(street))
    straight, behind = tmp_path / "straight", tmp_path / "behind"
    for folder in (straight, behind):
        folder.mkdir()
        database = NodeFile(folder / "node.sqlite")
        node = node_over(street, folder, LanesInMemory(3, 10 * EURO), database)
        node.catch_up()
        for index, batch in enumerate(came):
            if folder is behind and index == 3:
                # The next interval's come as well, and only then the ones that are late.
                node.receive([*batch, *came[4][:-2]])
                verdicts = node.receive(came[1][-1:] + came[4][-2:])
                assert {type(verdict) for verdict in verdicts} == {Duplicate, Late}
            elif folder is straight or index != 4:
                node.receive(batch if index != 3 else [*batch, *came[4][-2:]])
            node.close(TERMS)
        node.publish()
        database.close()
    assert whole(straight) == whole(behind)


def test_dying_at_any_call_changes_nothing_in_the_end(tmp_path: Path, street: Street) -> None:
    came = arrivals(signed_by(street))
    lanes, database = LanesInMemory(3, 10 * EURO), NodeFile(tmp_path / "whole.sqlite")
    counter = [0]
    counted = Failing(lanes, counter, 0), Failing(database, counter, 0)
    run(node_over(street, tmp_path / "whole", *counted), came)
    database.close()
    expected = whole(tmp_path / "whole")
    calls = counter[0]
    for fatal in range(1, calls + 1, 1 if SOAKING else 5):
        folder = tmp_path / str(fatal)
        lanes, counter = LanesInMemory(3, 10 * EURO), [0]
        path = tmp_path / f"{fatal}.sqlite"
        database = NodeFile(path)
        with suppress(Crash):
            dying = Failing(lanes, counter, fatal), Failing(database, counter, fatal)
            run(node_over(street, folder, *dying), came)
        database.close()
        database = NodeFile(path)
        run(node_over(street, folder, lanes, database), came)
        database.close()
        assert whole(folder) == expected


def test_of_two_records_for_one_place_in_a_gap_the_second_is_refused_and_the_audit_agrees(
    tmp_path: Path, street: Street
) -> None:
    signed = signed_by(street)
    meter, lost = street.grid[0], [signed[n].pop(0) for n in (1, 2, 3)]
    other = meter.key.sign(
        meter.record(0)
        ._replace(
            sequence=3,
            time_end=EVENING.end + 2 * 900,
            import_mwh=int.from_bytes(lost[1].record[52:60]) + 1,
            export_mwh=int.from_bytes(lost[1].record[60:68]),
            previous=b"x" * 32,
        )
        .encode()
    )
    lanes, database = LanesInMemory(3, 10 * EURO), NodeFile(tmp_path / "node.sqlite")
    node = node_over(street, tmp_path, lanes, database)
    node.catch_up()
    for index, batch in enumerate(signed):
        node.receive(batch)
        if index == 4:
            # Refused since it does not name the record before it; that holds no more at the end.
            assert reasons(node.receive(lost[:1])) == [None]
            assert reasons(node.receive([other])) == [Reason.PREVIOUS_WRONG]
            assert reasons(node.receive(lost[1:])) == [None, None]
        node.close(TERMS)
    node.publish()
    database.close()
    found = audit(FolderFiles(tmp_path), facts_of(street, lanes))
    assert (found.verdict, found.refused) == ("ok", 1)


def reasons(verdicts: Sequence[Verdict]) -> list[Reason | None]:
    return [verdict.reason if isinstance(verdict, Refused) else None for verdict in verdicts]


@given(st.randoms(use_true_random=False))
@effort(0.1)
def test_a_node_comes_to_the_anchors_of_the_pure_run_whatever_is_late_and_however_often_it_restarts(
    chance: Random,
) -> None:
    pure, street = Street(start=EVENING, producers=2), Street(start=EVENING, producers=2)
    waiting: list[tuple[int, SignedRecord]] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        lanes, database = LanesInMemory(3, 10 * EURO), NodeFile(folder / "node.sqlite")
        node = node_over(street, folder, lanes, database)
        node.catch_up()
        for index in range(INTERVALS):
            made = [chance.randrange(800), chance.randrange(800)]
            given_wh = [chance.randrange(500) for _ in range(3)]
            waiting += [
                (index + chance.choice((0, 0, 0, 1, 2, 3)), signed)
                for signed in pure.measure([0, 300, 500], given_wh, made)
            ]
            came = [signed for due, signed in waiting if due == index]
            pure.close(came)
            chance.shuffle(came)
            while came:
                size = chance.randrange(1, len(came) + 1)
                batch, came = came[:size], came[size:]
                node.receive(batch)
                if chance.random() < 0.2:
                    database.close()
                    database = NodeFile(folder / "node.sqlite")
                    node = node_over(street, folder, lanes, database)
                    assert node.catch_up() == index
            node.close(TERMS)
        database.close()
    assert [anchor for anchor, _ in lanes.closed.values()] == [c.anchor for c in pure.closes]

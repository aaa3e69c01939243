"""Corrections through the pipeline: judged when they come, settled once, found again."""

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.audit.recompute import audit
from commonwatt.meter.acceptance import Accepted, Duplicate, Late, Reason, Refused
from commonwatt.meter.record import SignedRecord
from commonwatt.node.folder import FolderFiles
from commonwatt.node.pipeline import Terms
from commonwatt.node.store import Database
from commonwatt.quantity import Interval
from effort import effort
from node.lanes import LanesInMemory, NodeFile, begun, energy_of, facts_of, node_over
from street import EURO, TARIFF, Street, corrections

TERMS = Terms(TARIFF)
EVENING = Interval.parse("2016-06-20T23:15:00Z", 900)
INTERVALS = 7


def made(street: Street, intervals: int = INTERVALS) -> list[list[SignedRecord]]:
    batches = []
    for index in range(intervals):
        batches.append(street.measure(*energy_of(index)))
        street.interval = street.interval.next
    return batches


def test_a_correction_is_taken_once_its_record_is_settled_and_is_a_duplicate_ever_after(
    tmp_path: Path,
) -> None:
    street = Street(start=EVENING)
    batches = made(street)
    with begun(street, tmp_path) as (node, lanes):
        node.receive(batches[0])
        correction = street.grid[1].correct(batches[0][1], -100_000)
        assert node.receive([correction]) == [Refused(correction, Reason.CORRECTS_NOTHING)]
        node.close(TERMS)
        *others, verdict = node.receive([*batches[1][:1], correction])
        assert [type(other) for other in others] == [Accepted]
        assert isinstance(verdict, Late)
        assert (verdict.import_wh, verdict.counted_until) == (-100, None)
        assert node.receive([correction]) == [Duplicate(correction)]
        node.receive(batches[1][1:])
        node.close(TERMS)
        assert node.receive([correction]) == [Duplicate(correction)]
        again = street.grid[1].correct(batches[0][1], -50_000)
        assert node.receive([again]) == [Refused(again, Reason.CORRECTS_NOTHING)]
        too_much = street.grid[1].correct(correction, 9_000_000_000)
        assert node.receive([too_much]) == [Refused(too_much, Reason.REGISTER_FELL)]
        node.close(TERMS)
        node.publish()
        found = audit(FolderFiles(tmp_path), facts_of(street, lanes))
        assert (found.verdict, found.refused) == ("ok", 3)


def test_many_false_corrections_cost_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    street = Street(start=EVENING)
    batches, writes = made(street), []
    with begun(street, tmp_path) as (node, _):
        node.receive(batches[0])
        node.close(TERMS)
        keep = Database.acknowledge

        def counting(self: Database, *arguments: object, **named: object) -> None:
            writes.append(arguments)
            keep(self, *arguments, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(Database, "acknowledge", counting)
        honest = street.grid[1].correct(batches[0][1], -1_000)
        false = [SignedRecord(honest.record, bytes([n]) * 64) for n in range(50)]
        verdicts = node.receive(false)
        assert verdicts == [Refused(signed, Reason.SIGNATURE_WRONG) for signed in false]
        assert len(writes) == 1


def test_a_batterys_record_is_not_corrected(tmp_path: Path) -> None:
    street = Street(start=EVENING, batteries=1, storage_permille=900)
    batch = street.measure([0, 0, 0], [0, 0, 0], [0], [100])
    with begun(street, tmp_path) as (node, lanes):
        node.receive(batch)
        node.close(TERMS)
        correction = street.stores[0].correct(batch[-1], -1_000)
        assert node.receive([correction]) == [Refused(correction, Reason.CORRECTS_STORAGE)]
        node.close(TERMS)
        node.publish()
        found = audit(FolderFiles(tmp_path), facts_of(street, lanes))
        assert (found.verdict, found.refused) == ("ok", 1)


def test_a_correction_over_the_rated_power_counts_once_the_operator_releases_it(
    tmp_path: Path,
) -> None:
    street = Street(start=EVENING)
    batches = made(street)
    with begun(street, tmp_path) as (node, lanes):
        node.receive(batches[0])
        node.close(TERMS)
        much = street.grid[1].correct(batches[0][1], 9_000_000_000)
        assert node.receive([much]) == [Refused(much, Reason.OVER_CAPACITY)]
        assert isinstance(node.release(1, much), Late)
        node.close(TERMS)
        node.publish()
        assert audit(FolderFiles(tmp_path), facts_of(street, lanes)).verdict == "ok"


@pytest.mark.parametrize("seed", range(3))
def test_corrections_make_the_same_statements_however_they_come_and_whatever_is_restarted(
    tmp_path: Path, seed: int
) -> None:
    street, chance = Street(start=EVENING), Random(seed)
    came = [list(batch) for batch in made(street)]
    lost = came[1].pop(0)
    came[4] += [
        street.grid[1].correct(came[1][0], -200_000),
        street.grid[1].correct(came[2][1], -250_000),
        street.grid[0].correct(came[0][0], 0, -100_000),
        street.solar[0].correct(came[2][3], 0, -300_000),
        lost,
    ]
    files = []
    for name in ("straight", "shuffled"):
        folder = tmp_path / name
        folder.mkdir()
        lanes, database = LanesInMemory(3, 10 * EURO), NodeFile(folder / "node.sqlite")
        node = node_over(street, folder, lanes, database)
        node.catch_up()
        for index, batch in enumerate(came):
            waiting = list(batch)
            if name == "shuffled":
                chance.shuffle(waiting)
            while waiting:
                size = len(waiting) if name == "straight" else chance.randrange(1, 3)
                verdicts = node.receive(waiting[:size])
                assert {type(verdict) for verdict in verdicts} <= {Accepted, Late}
                del waiting[:size]
                if name == "shuffled" and chance.random() > 0.7:
                    database.close()
                    database = NodeFile(folder / "node.sqlite")
                    node = node_over(street, folder, lanes, database)
                    assert node.catch_up() == index
            node.close(TERMS)
        node.publish()
        database.close()
        paths = FolderFiles(folder).paths()
        files.append({path: (folder / path).read_bytes() for path in paths})
        assert audit(FolderFiles(folder), facts_of(street, lanes)).verdict == "ok"
    assert files[0] == files[1]


@given(st.randoms(use_true_random=False))
@effort(0.15)
def test_whatever_is_corrected_late_or_refused_the_audit_follows_the_node(chance: Random) -> None:
    street = Street(start=EVENING, producers=2)
    arrivals = arriving(chance, street)
    newest: dict[tuple[bytes, bytes], SignedRecord] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        lanes, database = LanesInMemory(3, 10 * EURO), NodeFile(folder / "node.sqlite")
        node = node_over(street, folder, lanes, database)
        node.catch_up()
        for index, arrived in enumerate(arrivals):
            batch = [*arrived, *corrections(chance, street, newest.values())]
            chance.shuffle(batch)
            while batch:
                size = len(batch) - chance.randrange(len(batch))
                for verdict in node.receive(batch[:size]):
                    if isinstance(verdict, Accepted | Late):
                        newest[verdict.signed.meter, verdict.signed.record[32:40]] = verdict.signed
                del batch[:size]
                if chance.random() > 0.85:
                    database.close()
                    database = NodeFile(folder / "node.sqlite")
                    node = node_over(street, folder, lanes, database)
                    assert node.catch_up() == index
            node.close(TERMS)
        node.publish()
        database.close()
        assert audit(FolderFiles(folder), facts_of(street, lanes)).verdict == "ok"


def arriving(chance: Random, street: Street) -> list[list[SignedRecord]]:
    """The records that come in each interval: some late, some never."""
    arrivals: list[list[SignedRecord]] = [[] for _ in range(INTERVALS)]
    for index in range(INTERVALS):
        taken, given_wh, roofs = (
            [chance.randrange(900) for _ in range(many)] for many in (3, 3, 2)
        )
        for signed in street.measure(taken, given_wh, roofs):
            at = index + chance.choice((0, 0, 0, 0, 1, 2))
            if at < INTERVALS:
                arrivals[at].append(signed)
        street.interval = street.interval.next
    return arrivals

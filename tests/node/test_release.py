"""What the operator releases counts, after restarts too, and the audit sees that it was."""

from pathlib import Path

import pytest

from commonwatt.audit.recompute import audit
from commonwatt.meter.acceptance import Accepted, Duplicate, Late, Reason, Refused
from commonwatt.meter.record import SignedRecord
from commonwatt.node.folder import FolderFiles
from commonwatt.node.pipeline import Node, Terms
from commonwatt.node.store.quarantine import Quarantine, Ruling
from node.lanes import LanesInMemory, NodeFile, facts_of, node_over
from street import EURO, TARIFF, Street

TERMS = Terms(TARIFF)
TOO_MUCH_MWH = 20_000_000
"""In a quarter hour, through a connection of 30 kW."""


class Run:
    """A node with one record in quarantine, of the interval that is open."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.street = folder, Street(producers=0)
        self.lanes, self.path = LanesInMemory(3, 10 * EURO), folder / "node.sqlite"
        self.open()
        self.surge, *others = self.measured(TOO_MUCH_MWH)
        verdicts = self.node.receive([self.surge, *others])
        [refused] = [verdict for verdict in verdicts if isinstance(verdict, Refused)]
        assert refused.reason is Reason.OVER_CAPACITY

    def open(self) -> None:
        self.database = NodeFile(self.path)
        self.node: Node = node_over(self.street, self.folder, self.lanes, self.database)
        self.node.catch_up()

    def restart(self) -> None:
        self.database.close()
        self.open()

    def measured(self, surge_mwh: int = 0) -> list[SignedRecord]:
        end = self.street.interval.end
        self.street.interval = self.street.interval.next
        first, *others = self.street.grid
        return [first.measure(end, surge_mwh), *[meter.measure(end) for meter in others]]

    @property
    def quarantine(self) -> Quarantine:
        return Quarantine(self.database._scope)

    def finish(self) -> None:
        self.node.publish()
        found = audit(FolderFiles(self.folder), facts_of(self.street, self.lanes))
        assert found.verdict == "ok"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_a_record_released_in_time_counts_in_its_interval(run: Run) -> None:
    run.quarantine.decide(1, Ruling.RELEASED, "operator")
    verdict = run.node.release(1, run.surge)
    assert isinstance(verdict, Accepted)
    assert (verdict.released, verdict.gap, verdict.import_wh) == (True, False, 20_000)
    assert isinstance(run.node.release(1, run.surge), Duplicate)
    run.restart()
    closed = run.node.close(TERMS)
    assert closed.statement.settled.positions[0].imported_wh == 20_000
    assert run.quarantine.find(1).readmitted == run.street.start.start
    run.node.receive(run.measured())
    run.node.close(TERMS)
    run.restart()
    run.finish()


def test_a_record_released_later_is_late_and_the_next_one_counts_only_its_own(run: Run) -> None:
    run.node.close(TERMS)
    after = run.measured()
    kept = [type(verdict) for verdict in run.node.receive(after)]
    assert kept.count(Refused) == 1  # the energy of both intervals is too much for both, too
    assert isinstance(run.node.release(1, run.surge), Late)
    assert isinstance(run.node.receive(after[:1])[0], Accepted)
    run.restart()
    closed = run.node.close(TERMS)
    assert [one.import_wh for one in closed.statement.adjustments] == [20_000]
    assert closed.statement.settled.positions[0].imported_wh == 0
    assert not closed.statement.settled.positions[0].gap
    run.restart()
    run.finish()


def test_what_breaks_another_rule_stays_refused(run: Run) -> None:
    forged = SignedRecord(run.surge.record, bytes(64))
    verdict = run.node.release(1, forged)
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.SIGNATURE_WRONG
    assert run.quarantine.find(1).readmitted is None
    run.node.close(TERMS)
    run.finish()


def test_an_operator_cannot_hide_that_it_released_a_record(run: Run) -> None:
    run.node.release(1, run.surge)
    run.node.close(TERMS)
    run.finish()
    path = run.folder / "audit" / "2016-06-21.inputs.jsonl"
    text = path.read_text()
    assert text.count(',"released":true') == 1
    path.write_text(text.replace(',"released":true', ""))
    found = audit(FolderFiles(run.folder), facts_of(run.street, run.lanes))
    assert "refused: OVER_CAPACITY" in str(found.difference)
    # Nor say so of one that needed no release.
    lines = text.replace(',"released":true', "").splitlines(keepends=True)
    place = next(
        n
        for n, line in enumerate(lines)
        if line.startswith('{"record"') and run.surge.record.hex() not in line
    )
    lines[place] = lines[place].replace('"}', '","released":true}')
    path.write_text("".join(lines))
    assert audit(FolderFiles(run.folder), facts_of(run.street, run.lanes)).difference is not None

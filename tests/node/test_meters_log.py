"""The meters remember what was acknowledged; a node that lost some of it is found out."""

from pathlib import Path

import pytest

from commonwatt.errors import InvariantBroken
from commonwatt.meter.acceptance import Accepted, Gate, judge_batch
from commonwatt.node.meters_log import MetersLog
from commonwatt.node.store import Database
from node.lanes import NodeFile
from street import Street


@pytest.fixture
def street() -> Street:
    return Street()


def acknowledged(street: Street, database: Database, log: MetersLog) -> None:
    batch = street.measure([0, 300, 500], [700, 0, 0], [800])
    gate = Gate(street.community.chain.ledger, street.interval, street.interval.end)
    verdicts = judge_batch(batch, street.community.by_meter, street.state.standings, gate)
    database.acknowledge(
        street.interval.start, [v for v in verdicts if isinstance(v, Accepted)], []
    )
    log.append(street.interval.end, batch)


def test_a_database_that_kept_everything_is_believed(tmp_path: Path, street: Street) -> None:
    database, log = NodeFile(tmp_path / "node.sqlite"), MetersLog(tmp_path / "meters.log")
    log.require_kept(database)
    acknowledged(street, database, log)
    log.require_kept(database)
    database.close()


def test_a_lost_record_is_found(tmp_path: Path, street: Street) -> None:
    log = MetersLog(tmp_path / "meters.log")
    database = NodeFile(tmp_path / "node.sqlite")
    acknowledged(street, database, log)
    database.close()
    empty = NodeFile(tmp_path / "other.sqlite")
    with pytest.raises(InvariantBroken, match="nothing acknowledged is lost"):
        log.require_kept(empty)
    empty.close()


@pytest.mark.parametrize("cut", [1, 5, 20, 60])
def test_a_line_cut_by_a_crash_promises_nothing(tmp_path: Path, street: Street, cut: int) -> None:
    path = tmp_path / "meters.log"
    database, log = NodeFile(tmp_path / "node.sqlite"), MetersLog(path)
    acknowledged(street, database, log)
    path.write_bytes(path.read_bytes()[: -1 - cut])
    empty = NodeFile(tmp_path / "other.sqlite")
    MetersLog(path).require_kept(empty)
    empty.close()
    database.close()

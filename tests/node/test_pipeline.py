"""The pipeline over a real database and a chain that can be made to fail at any call."""

from dataclasses import replace
from pathlib import Path

import pytest

from commonwatt.audit.recompute import audit
from commonwatt.errors import InvariantBroken
from commonwatt.meter.acceptance import Accepted, Duplicate, Reason, Refused
from commonwatt.node.errors import DatabaseUnusable, LanesRestless
from commonwatt.node.folder import FolderFiles, Publisher
from commonwatt.node.pipeline import Node, Terms
from commonwatt.quantity import Interval
from effort import SOAKING
from node.lanes import LanesInMemory, NodeFile, begun, energy_of, facts_of, node_over
from street import EURO, TARIFF, Street

TERMS = Terms(TARIFF)
INTERVALS = 5
STEP = 1 if SOAKING else 3
"""Of the calls that a node dies at, every so-many-th."""


class Crash(Exception):
    """The process dies here."""


class Failing:
    """Wraps an object so that its calls can be counted, and one of them kills us."""

    def __init__(self, inner: object, counter: list[int], fatal: int) -> None:
        self._inner, self._counter, self._fatal = inner, counter, fatal

    def __getattr__(self, name: str) -> object:
        call = getattr(self._inner, name)
        if not callable(call):
            return call

        def counted(*values: object, **named: object) -> object:
            self._counter[0] += 1
            if self._counter[0] == self._fatal:
                raise Crash
            answer = call(*values, **named)
            self._counter[0] += 1
            if self._counter[0] == self._fatal:
                raise Crash  # it happened, and nobody heard
            return answer

        return counted


def batches(street: Street) -> list[list]:
    """Each interval's records, signed once, so that a run can be repeated to the byte."""
    made = []
    for index in range(INTERVALS):
        made.append(street.measure(*energy_of(index)))
        street.interval = street.interval.next
    return made


def run(node: Node, signed: list[list]) -> None:
    done = node.catch_up()
    for batch in signed[done:]:
        node.receive(batch)
        node.close(TERMS)
    node.publish()


@pytest.fixture
def street() -> Street:
    return Street()


def test_dying_at_any_call_changes_nothing_in_the_end(tmp_path: Path) -> None:
    # Over midnight, so that the files of one day are written while the next one begins.
    street = Street(start=Interval.parse("2016-06-20T23:30:00Z", 900))
    signed = batches(street)
    undisturbed = LanesInMemory(3, 10 * EURO)
    database = NodeFile(tmp_path / "undisturbed.sqlite")
    counter = [0]
    run(node_over(street, tmp_path / "whole", Failing(undisturbed, counter, 0), database), signed)
    database.close()
    calls_of_the_chain = counter[0]
    assert calls_of_the_chain >= 4 * INTERVALS
    fatal, deaths = 1, 0
    while True:
        folder = tmp_path / str(fatal)
        folder.mkdir()
        lanes, counter = LanesInMemory(3, 10 * EURO), [0]
        died = _run_and_die(street, folder, lanes, counter, fatal, signed)
        if not died:
            break
        deaths += 1
        database = NodeFile(folder / "node.sqlite")
        run(node_over(street, folder, lanes, database), signed)
        database.close()
        assert lanes.closed == undisturbed.closed, f"death at call {fatal}"
        assert lanes.balances == undisturbed.balances
        assert FolderFiles(folder).paths() == FolderFiles(tmp_path / "whole").paths()
        for path in FolderFiles(folder).paths():
            assert (folder / path).read_bytes() == (tmp_path / "whole" / path).read_bytes()
        fatal += STEP
    assert deaths * STEP > calls_of_the_chain, "the database's calls are among them"


def _run_and_die(
    street: Street, folder: Path, lanes: LanesInMemory, counter: list[int], fatal: int, signed: list
) -> bool:
    database = NodeFile(folder / "node.sqlite")
    parts = (lanes, database, Publisher(folder))
    node = node_over(street, folder, *(Failing(part, counter, fatal) for part in parts))
    try:
        run(node, signed)
    except Crash:
        return True
    else:
        return False
    finally:
        database.close()


def test_a_withdrawal_between_statement_and_payment_only_makes_it_be_stated_again(
    tmp_path: Path, street: Street
) -> None:
    lanes, database = LanesInMemory(3, EURO), NodeFile(tmp_path / "node.sqlite")
    node = node_over(street, tmp_path, lanes, database)
    node.receive(street.measure([0, 900, 5_000], [700, 0, 0], [800]))

    def once() -> None:
        lanes.withdraw(2)
        lanes.before_pay = lambda: None

    lanes.before_pay = once
    closed = node.close(TERMS)
    assert closed.inputs.flows == 5
    assert closed.inputs.balances[2] == 0
    assert closed.statement.settled.positions[2].arrears_after > 0
    rows = database.statements()
    assert [row.anchor for row in rows] == [closed.statement.header.anchor]
    database.close()


def test_a_community_whose_lanes_never_rest_is_told_so(tmp_path: Path, street: Street) -> None:
    lanes, database = LanesInMemory(3, EURO), NodeFile(tmp_path / "node.sqlite")
    node = node_over(street, tmp_path, lanes, database)
    node.receive(street.measure([0, 900, 5_000], [700, 0, 0], [800]))

    def restless() -> None:
        lanes.balances = [EURO] * 3

    def drained() -> None:
        lanes.withdraw(2)

    lanes.before_pay = drained
    original = lanes.funds
    lanes.funds = lambda _=None: (restless(), original())[1]  # type: ignore[method-assign]
    with pytest.raises(LanesRestless):
        node.close(TERMS)
    database.close()


def test_records_that_come_early_wait_for_their_interval(tmp_path: Path, street: Street) -> None:
    signed = batches(street)
    lanes, database = LanesInMemory(3, 10 * EURO), NodeFile(tmp_path / "node.sqlite")
    node = node_over(street, tmp_path, lanes, database)
    node.catch_up()
    verdicts = node.receive([record for batch in signed[:3] for record in batch])
    assert all(isinstance(verdict, Accepted) for verdict in verdicts)
    for batch in signed[:2]:
        assert len(node.close(TERMS).inputs.accepted) == len(batch)
    database.close()
    # ... also when the node dies while they wait.
    database = NodeFile(tmp_path / "node.sqlite")
    again = node_over(street, tmp_path, lanes, database)
    assert again.catch_up() == 2
    assert len(again.close(TERMS).inputs.accepted) == len(signed[2])
    database.close()


def test_what_was_acknowledged_is_a_duplicate_ever_after(tmp_path: Path, street: Street) -> None:
    signed = batches(street)
    lanes, database = LanesInMemory(3, 10 * EURO), NodeFile(tmp_path / "node.sqlite")
    node = node_over(street, tmp_path, lanes, database)
    for batch in signed[:3]:
        node.receive(batch)
        node.close(TERMS)
    for batch in signed[:3]:
        assert {type(verdict) for verdict in node.receive(batch)} == {Duplicate}
    late = street.grid[0].key.sign(street.grid[0].record(street.start.end, sequence=2).encode())
    (verdict,) = node.receive([late])
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.SEQUENCE_USED
    assert [refused.reason for refused in database.refusals(node.interval.start)] == [
        Reason.SEQUENCE_USED
    ]
    database.close()


def test_a_silent_meter_costs_its_member_nothing_and_is_listed(
    tmp_path: Path, street: Street
) -> None:
    lanes, database = LanesInMemory(3, 10 * EURO), NodeFile(tmp_path / "node.sqlite")
    node = node_over(street, tmp_path, lanes, database)
    batch = street.measure(*energy_of(0))
    node.receive(batch[1:])
    closed = node.close(TERMS)
    assert closed.statement.silent == (street.grid[0].key.meter,)
    assert closed.statement.settled.positions[0].silent
    assert closed.statement.settled.positions[0].delta == 0
    database.close()


def test_a_database_that_says_something_else_than_was_anchored_is_refused(
    tmp_path: Path, street: Street
) -> None:
    import sqlite3  # noqa: PLC0415 - to do what nobody should

    signed = batches(street)
    lanes, database = LanesInMemory(3, 10 * EURO), NodeFile(tmp_path / "node.sqlite")
    run(node_over(street, tmp_path, lanes, database), signed)
    database.close()
    with sqlite3.connect(tmp_path / "node.sqlite") as connection:
        connection.execute("DROP TRIGGER record_refuses_delete")
        connection.execute(
            "DELETE FROM record WHERE meter = ? AND time_end = ?",
            (street.grid[1].key.meter, street.start.end),
        )
    connection.close()
    database = NodeFile(tmp_path / "node.sqlite")
    with pytest.raises(InvariantBroken):
        node_over(street, tmp_path, lanes, database).catch_up()
    database.close()


def test_what_could_not_be_told_is_told_by_whoever_recalls_the_day(tmp_path: Path) -> None:
    # Over midnight: the day that could not be told in full must not be left behind.
    street = Street(start=Interval.parse("2016-06-20T23:30:00Z", 900))
    signed, heard = batches(street), []
    lanes, database = LanesInMemory(3, 10 * EURO), NodeFile(tmp_path / "node.sqlite")
    node = node_over(street, tmp_path, lanes, database)
    node._closed = lambda closed: heard.append(closed.inputs.interval.start)
    node.catch_up()
    node.receive(signed[0])
    node.close(TERMS)
    node.receive(signed[1])
    tell, node._closed = node._closed, lambda _: (_ for _ in ()).throw(Crash)
    with pytest.raises(Crash):
        node.close(TERMS)
    node._closed = tell
    assert node.is_in_doubt
    for batch in signed[2:]:
        node.receive(batch)
        node.conclude(TERMS)
        node.settle()
    assert node.is_in_doubt
    database.close()
    database = NodeFile(tmp_path / "node.sqlite")
    again, told = node_over(street, tmp_path, lanes, database), []
    again._closed = lambda closed: told.append(closed.inputs.interval.start)
    assert again.catch_up() == INTERVALS
    assert told == [street.start.start + 900 * n for n in range(INTERVALS)]
    assert not again.is_in_doubt
    database.close()


def test_what_a_node_publishes_passes_the_audit(tmp_path: Path, street: Street) -> None:
    signed = batches(street)
    lanes, database = LanesInMemory(3, street.balance), NodeFile(tmp_path / "node.sqlite")
    run(node_over(street, tmp_path, lanes, database), signed)
    assert audit(FolderFiles(tmp_path), facts_of(street, lanes)).verdict == "ok"
    database.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "node.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(DatabaseUnusable, match=r"node\.sqlite"):
        NodeFile(path)


def test_where_there_are_no_meters_no_interval_is_complete(tmp_path: Path) -> None:
    street = Street()
    street.found(replace(street.community, registrations=()))
    with begun(street, tmp_path) as (node, _):
        assert not node.is_complete
        assert node.silent == []

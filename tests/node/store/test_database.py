"""What a community's memory keeps, reads back, and never gives to another community."""

import pytest

from commonwatt.errors import InvariantBroken
from commonwatt.meter.acceptance import Reason, Refused
from commonwatt.meter.record import SignedRecord
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.store import StatementRow, Store
from node.store.rows import MILL, NOON, QUARTER, STREET, accepted, batch, meter, refused, signed


def row(start: int, anchor: bytes = b"anchor") -> StatementRow:
    return StatementRow(start, b"header", b"inputs", anchor, None, None, None)


def test_records_read_back_by_meter_in_whatever_order_they_came(store: Store) -> None:
    database = store.database(STREET)
    came = [accepted(number, NOON) for number in (3, 1, 4, 0, 2)]
    database.acknowledge(NOON - QUARTER, came[:2], [])
    database.acknowledge(NOON - QUARTER, came[2:], [])
    by_meter = sorted((verdict.record.meter, verdict.signed) for verdict in came)
    assert database.records(NOON) == [found for _, found in by_meter]
    assert database.counts() == (5, 0)


def test_one_batch_may_hold_records_of_several_intervals(store: Store) -> None:
    database = store.database(STREET)
    ends = [NOON + QUARTER * at for at in range(4)]
    database.acknowledge(NOON, [accepted(0, end) for end in reversed(ends)], [])
    assert database.time_ends(0) == ends
    assert database.time_ends(ends[2]) == ends[2:]
    assert [database.records(end) for end in ends] == [[signed(0, end)] for end in ends]


def test_communities_in_one_database_know_nothing_of_each_other(store: Store) -> None:
    street, mill = store.database(STREET), store.database(MILL)
    street.acknowledge(NOON, batch(NOON), [refused(9, NOON)])
    street.take_note("key", b"street")
    street.state_statement(row(NOON), b"state")
    assert mill.records(NOON) == []
    assert mill.refusals(NOON) == []
    assert mill.time_ends(0) == []
    assert mill.counts() == (0, 0)
    assert mill.note("key") is None
    assert mill.statements() == []
    assert mill.checkpoint() is None
    assert not mill.is_acknowledged(NOON, meter(0), signed(0, NOON).record)
    mill.acknowledge(NOON, batch(NOON, 2), [refused(9, NOON)])
    mill.state_statement(row(NOON, b"another"), None)
    mill.mark_paid(NOON, b"transaction", 1, 0.5)
    assert len(street.records(NOON)) == 5
    assert street.statements() == [row(NOON)]
    assert store.communities() == sorted([STREET, MILL])


def test_a_community_is_named_by_20_bytes(store: Store) -> None:
    with pytest.raises(InvariantBroken, match="20 bytes"):
        store.database(b"street")


def test_a_note_keeps_its_first_value(store: Store) -> None:
    database = store.database(STREET)
    assert database.note("nonce") is None
    database.take_note("nonce", b"7")
    database.take_note("nonce", b"8")
    assert database.note("nonce") == b"7"


def test_refused_records_read_back_in_a_fixed_order_whatever_they_hold(store: Store) -> None:
    database = store.database(STREET)
    odd = Refused(SignedRecord(b"\x00" * 3, b""), Reason.UNREADABLE)
    came = [refused(2, NOON), odd, refused(1, NOON, Reason.TOO_LATE)]
    database.acknowledge(NOON, [], came[:1])
    database.acknowledge(NOON, [], came[1:])
    ordered = sorted(came, key=lambda verdict: (*verdict.signed, verdict.reason.name))
    assert database.refusals(NOON) == ordered
    assert database.refusals(NOON + QUARTER) == []
    assert database.counts() == (0, 3)


def test_only_the_very_record_counts_as_acknowledged(store: Store) -> None:
    database = store.database(STREET)
    database.acknowledge(NOON, [accepted(0, NOON)], [])
    assert database.is_acknowledged(NOON, meter(0), signed(0, NOON).record)
    assert not database.is_acknowledged(NOON, meter(0), signed(0, NOON, 1_001).record)
    assert not database.is_acknowledged(NOON, meter(1), signed(1, NOON).record)
    assert not database.is_acknowledged(NOON + QUARTER, meter(0), signed(0, NOON).record)


def test_late_records_wait_for_the_interval_that_settles_them(store: Store) -> None:
    database = store.database(STREET)
    database.acknowledge(NOON, batch(NOON), [])
    late = [accepted(7, NOON), accepted(6, NOON - QUARTER)]
    database.acknowledge_late(NOON + QUARTER, late)
    assert len(database.records(NOON)) == 5, "the closed interval is as it was anchored"
    assert database.late_records(NOON + QUARTER) == [late[1].signed, late[0].signed]
    assert database.late_records(NOON) == []
    assert database.is_acknowledged(NOON, meter(7), late[0].signed.record)


def test_a_second_record_in_a_place_that_is_taken_changes_nothing(store: Store) -> None:
    database = store.database(STREET)
    database.acknowledge(NOON, [accepted(0, NOON)], [])
    before = database.head()
    with pytest.raises(DatabaseUnusable):
        database.acknowledge(NOON, [accepted(1, NOON), accepted(0, NOON, 2_000)], [])
    assert database.records(NOON) == [signed(0, NOON)]
    assert database.verified() == before
    database.acknowledge(NOON, [accepted(1, NOON)], [])
    assert len(database.records(NOON)) == 2, "and the database goes on"


def test_a_statement_is_replaced_until_it_is_paid(store: Store) -> None:
    database = store.database(STREET)
    database.state_statement(row(NOON, b"first"), b"before")
    database.state_statement(row(NOON, b"second"), b"ignored: the first is the state before")
    assert database.statements() == [row(NOON, b"second")]
    assert database.checkpoint() == (NOON, b"before")
    database.mark_paid(NOON, b"transaction", 21_000, 0.25)
    paid = StatementRow(NOON, b"header", b"inputs", b"second", b"transaction", 21_000, 0.25)
    assert database.statements() == [paid]
    with pytest.raises(DatabaseUnusable):
        database.state_statement(row(NOON, b"third"), None)
    assert database.statements() == [paid]


def test_statements_and_checkpoints_come_in_the_order_of_time(store: Store) -> None:
    database = store.database(STREET)
    starts = [NOON + QUARTER * at for at in (2, 0, 1)]
    for start in starts:
        database.state_statement(row(start), b"state %d" % start)
    assert [found.start for found in database.statements()] == sorted(starts)
    assert [found.start for found in database.statements(NOON + QUARTER)] == sorted(starts)[1:]
    assert database.checkpoint() == (max(starts), b"state %d" % max(starts))

"""Late records are settled at the prices of their own interval, and the audit follows them."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.audit.recompute import Audit, audit
from commonwatt.market.book import Tariff
from commonwatt.meter.record import Record, SignedRecord
from commonwatt.statement import close as closing
from commonwatt.statement.close import Statement
from commonwatt.statement.leaves import Section, read_adjustment
from effort import effort
from street import MemoryFiles, Street

INTERVALS = 6


def tariff_of(index: int) -> Tariff:
    """Another one in every interval."""
    return Tariff(24_000 + 1_000 * index, 8_000 - 500 * index, 3_440, 8_000 + 700 * index)


def step(street: Street, index: int, records: Sequence[SignedRecord]) -> Statement:
    return street.conclude(replace(street.inputs(records), tariff=tariff_of(index)))


def audited(street: Street) -> Audit:
    return audit(MemoryFiles(street.files), street.facts())


def test_a_record_that_was_lost_for_two_intervals_is_settled_at_its_own_prices() -> None:
    street = Street(producers=0)
    first = street.measure([400, 100, 0], [0, 0, 0])
    step(street, 0, first[1:])
    second = street.interval
    missing = street.grid[0].measure(second.end, 300_000)
    step(street, 1, [m.measure(second.end) for m in street.grid[1:]])
    came = [meter.measure(street.interval.end, 50_000) for meter in street.grid]
    lump = step(street, 2, came)
    assert lump.settled.positions[0].imported_wh == 750
    assert lump.settled.positions[0].gap
    before = street.balances[0]
    last = [meter.measure(street.interval.end) for meter in street.grid]
    late = step(street, 3, [first[0], missing, *last])
    costs = [tariff_of(n).retail + tariff_of(n).fee_supplier for n in range(3)]
    due = 400 * (costs[0] - costs[2]) + 300 * (costs[1] - costs[2])
    position = late.settled.positions[0]
    assert (position.adjusted, position.bill) == (due, due)
    assert street.balances[0] == before - due
    found = [read_adjustment(leaf) for leaf in late.sections[Section.ADJUSTMENTS]]
    assert found == list(late.adjustments)
    assert [(one.import_wh, one.start) for one in found] == [
        (400, street.start.start),
        (300, second.start),
    ]
    assert late.header.adjustments.size == 2
    assert street.state.standings[street.grid[0].key.meter].gaps == ()
    assert audited(street).verdict == "ok"


def test_a_record_that_comes_before_its_meters_next_one_leaves_no_gap() -> None:
    street = Street(producers=0)
    first = street.measure([400, 0, 0], [0, 0, 0])
    step(street, 0, first[1:])
    second = street.measure([100, 0, 0], [0, 0, 0])
    closed = step(street, 1, [first[0], *second])
    cost = tariff_of(0).retail + tariff_of(0).fee_supplier
    position = closed.settled.positions[0]
    assert (position.imported_wh, position.gap, position.adjusted) == (100, False, 400 * cost)
    assert audited(street).verdict == "ok"


def test_the_grid_operator_gives_back_what_it_got_too_much() -> None:
    street = Street(producers=0)
    lost = street.measure([0, 400, 0], [0, 0, 0])
    step(street, 0, [lost[0], lost[2]])
    lump = street.measure([0, 0, 0], [0, 0, 0])
    street.conclude(replace(street.inputs(lump), tariff=Tariff(24_000, 0, 0, 50_000)))
    quiet = step(street, 2, [lost[1], *street.measure([0, 0, 0], [0, 0, 0])])
    back = 400 * (50_000 - tariff_of(0).fee_supplier)
    assert quiet.settled.grid_in == 0
    assert quiet.settled.grid_arrears == -back
    assert quiet.header.supplier_owes == 0
    spent = street.measure([9_000, 0, 0], [0, 0, 0])
    again = step(street, 3, spent)
    fees = 9_000 * tariff_of(3).fee_supplier
    assert again.settled.grid_in == fees - back
    assert again.settled.grid_arrears == 0
    assert audited(street).verdict == "ok"


def test_late_records_of_roofs_and_batteries_move_no_money() -> None:
    street = Street(producers=1)
    batch = street.measure([0, 0, 0], [500, 0, 0], [600])
    step(street, 0, batch[:3])
    closed = step(street, 1, [batch[3], *street.measure([0, 0, 0], [0, 0, 0], [0])])
    [one] = closed.adjustments
    assert (one.export_wh, one.due.whole, one.prices.retail) == (600, 0, 0)
    assert audited(street).verdict == "ok"


def test_what_is_too_late_is_refused_and_its_energy_stays_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(closing, "ADJUSTABLE_MAX", 2)
    street = Street(producers=0)
    lost = street.measure([400, 0, 0], [0, 0, 0])
    step(street, 0, lost[1:])
    for index in (1, 2):
        step(street, index, street.measure([0, 0, 0], [0, 0, 0]))
    closed = step(street, 3, [lost[0], *street.measure([0, 0, 0], [0, 0, 0])])
    assert closed.adjustments == ()
    assert [refused.reason.name for refused in street.last_inputs.refused] == ["SEQUENCE_USED"]
    assert audited(street).verdict == "ok"


def test_what_a_silent_meter_says_of_long_ago_is_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "ADJUSTABLE_MAX", 2)
    street = Street(producers=0)
    lost = [street.grid[0].measure(street.start.end + 900 * n, 100_000) for n in range(3)]
    for index in range(3):
        step(street, index, [meter.measure(street.interval.end) for meter in street.grid[1:]])
    # The second is the first that still counts, with all that was not counted before it.
    closed = step(street, 3, lost[:2])
    assert [refused.reason.name for refused in street.last_inputs.refused] == ["TOO_LATE"]
    assert [adjustment.import_wh for adjustment in closed.adjustments] == [200]
    assert audited(street).verdict == "ok"
    path = "audit/2016-06-21.inputs.jsonl"
    street.files[path] = street.files[path].replace(b"TOO_LATE", b"OFF_GRID")
    assert "refused as OFF_GRID, which it is not" in str(audited(street).difference)


def expected(street: Street, own: dict[bytes, list[tuple[Record, tuple[int, int]]]]) -> list[int]:
    """What each member's adjustments must come to, from the records that were known in the end.

    `own` has by meter each record, and the Wh that were settled with it at once.
    """
    sums = [0] * street.members
    for meter, points in own.items():
        registration = street.community.by_meter[meter]
        last = registration.opening_record
        for record, (taken_wh, given_wh) in points:
            index = (record.time_end - street.start.end) // 900
            tariff = tariff_of(index)
            cost = tariff.retail + tariff.fee_supplier
            taken = record.import_mwh // 1_000 - last.import_mwh // 1_000
            given = record.export_mwh // 1_000 - last.export_mwh // 1_000
            sums[registration.member] += (taken - taken_wh) * cost
            sums[registration.member] -= (given - given_wh) * tariff.feed_in
            last = record
    return sums


@given(st.randoms(use_true_random=False))
@effort(0.5)
def test_whatever_comes_late_is_paid_as_its_own_interval_asks_and_passes_the_audit(
    chance: Random,
) -> None:
    street = Street(producers=1, members=3)
    waiting: list[tuple[int, SignedRecord]] = []
    counted: dict[bytes, dict[int, tuple[Record, tuple[int, int]]]] = {}
    adjusted = [0] * street.members
    for index in range(INTERVALS):
        taken = [chance.randrange(500) for _ in street.grid]
        given = [chance.randrange(500) for _ in street.grid]
        for signed in street.measure(taken, given, [chance.randrange(300)]):
            delay = chance.choice((0, 0, 0, 1, 1, 2, 3, 9))
            waiting.append((index + delay, signed))
        came = [signed for due, signed in waiting if due == index]
        chance.shuffle(came)
        closed = step(street, index, came)
        for position in closed.settled.positions:
            adjusted[position.member] += position.adjusted
        for verdict in street.last_inputs.accepted:
            whole = (verdict.import_wh, verdict.export_wh)
            points = counted.setdefault(verdict.record.meter, {})
            points[verdict.record.sequence] = (verdict.record, whole)
        for late in street.last_inputs.late:
            points = counted.setdefault(late.record.meter, {})
            points[late.record.sequence] = (late.record, (0, 0))
    grid = {meter.key.meter for meter in street.grid}
    own = {
        meter: [points[sequence] for sequence in sorted(points)]
        for meter, points in counted.items()
        if meter in grid
    }
    assert adjusted == expected(street, own)
    found = audited(street)
    assert found.verdict == "ok"
    assert found.refused == 0


def test_a_late_record_that_is_left_out_or_told_otherwise_is_found() -> None:
    street = Street(producers=0)
    lost = street.measure([400, 0, 0], [0, 0, 0])
    step(street, 0, lost[1:])
    step(street, 1, [lost[0], *street.measure([0, 0, 0], [0, 0, 0])])
    path = "audit/2016-06-21.inputs.jsonl"
    honest = street.files[path]
    text = lost[0].record.hex()
    lines = honest.splitlines(keepends=True)
    hidden = [line for line in lines if text.encode() not in line]
    street.files[path] = b"".join(hidden)
    assert audited(street).verdict != "ok"
    street.files[path] = b"".join(hidden).replace(b'"late":1', b'"late":0')
    assert "imported_wh is published as 0, recomputed as 400" in str(audited(street).difference)
    other = text[:-1] + ("0" if text[-1] != "0" else "1")
    street.files[path] = honest.replace(text.encode(), other.encode())
    assert "late record 0: refused: SIGNATURE_WRONG" in str(audited(street).difference)
    street.files[path] = honest
    assert audited(street).verdict == "ok"

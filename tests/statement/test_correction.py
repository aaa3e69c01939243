"""Corrections are settled at the prices of the intervals they move energy between."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.record import Kind, Record, SignedRecord
from commonwatt.statement.leaves import Section, read_adjustment
from effort import effort
from statement.test_late import audited, expected, step, tariff_of
from street import Street, corrections

INTERVALS = 7


def idle(street: Street) -> list[SignedRecord]:
    return street.measure([0] * street.members, [0] * street.members)


def test_what_a_record_said_too_much_comes_back_at_its_own_prices() -> None:
    street = Street(producers=0)
    wrong = street.measure([400, 0, 0], [0, 0, 0])
    step(street, 0, wrong)
    step(street, 1, idle(street))
    right = street.grid[0].correct(wrong[0], -150_000)
    closed = step(street, 2, [right, *idle(street)])
    costs = [tariff_of(n).retail + tariff_of(n).fee_supplier for n in range(3)]
    # The register of the next record stands, so what the first had too much is the second's.
    assert closed.settled.positions[0].adjusted == 150 * (costs[1] - costs[0])
    [leaf] = closed.sections[Section.ADJUSTMENTS]
    found = read_adjustment(leaf)
    assert (found.import_wh, found.start) == (-150, street.start.start)
    assert (found, found.record) == (closed.adjustments[0], right.digest)
    assert audited(street).verdict == "ok"


def test_a_register_misread_upwards_is_taken_back_and_the_meter_goes_on() -> None:
    street = Street(producers=0)
    meter = street.grid[0]
    wrong = street.measure([900, 0, 0], [0, 0, 0])
    step(street, 0, wrong)
    meter.import_mwh -= 800_000
    fallen = meter.measure(street.interval.end, 100_000)
    others = [one.measure(street.interval.end) for one in street.grid[1:]]
    step(street, 1, [fallen, *others])
    assert [refused.reason.name for refused in street.last_inputs.refused] == ["REGISTER_FELL"]
    again = [one.measure(street.interval.end) for one in street.grid[1:]]
    right = meter.correct(wrong[0], -800_000)
    last = meter.measure(street.interval.end, 50_000)
    closed = step(street, 2, [right, fallen, last, *again])
    first, second = closed.adjustments
    cost = tariff_of(0).retail + tariff_of(0).fee_supplier
    assert (first.import_wh, first.due.whole) == (-800, -800 * cost)
    assert (second.import_wh, second.was_never_settled) == (100, True)
    assert closed.settled.positions[0].imported_wh == 50
    assert audited(street).verdict == "ok"


def test_a_correction_is_corrected_by_naming_it() -> None:
    street = Street(producers=0)
    wrong = street.measure([400, 0, 0], [0, 0, 0])
    step(street, 0, wrong)
    first = street.grid[0].correct(wrong[0], -150_000)
    step(street, 1, [first, *idle(street)])
    old, meter = street.grid[0].correct(wrong[0], -10_000), street.grid[0]
    closed = step(street, 2, [old, *idle(street)])
    assert closed.adjustments == ()
    second = meter.correct(first, 50_000)
    closed = step(street, 3, [second, *idle(street)])
    assert [one.import_wh for one in closed.adjustments] == [50]
    assert closed.adjustments[0].before == closed.adjustments[0].prices.of(tariff_of(1))
    assert audited(street).verdict == "ok"


def test_energy_never_counted_in_the_end_is_what_a_correction_of_the_last_record_changes() -> None:
    street = Street(producers=0)
    wrong = street.measure([400, 0, 0], [0, 0, 0])
    step(street, 0, wrong)
    right = street.grid[0].correct(wrong[0], -400_000)
    closed = step(street, 1, [right])
    cost = tariff_of(0).retail + tariff_of(0).fee_supplier
    assert closed.settled.positions[0].adjusted == -400 * cost
    assert audited(street).energy[0] == (0, 0)
    assert audited(street).verdict == "ok"


def test_a_meter_that_was_exchanged_counts_on_and_proves_no_production_meanwhile() -> None:
    street = Street()
    step(street, 0, street.measure([0, 0, 0], [500, 0, 0], [600]))
    end = street.interval.end
    exchanged = street.solar[0].measure(end, 0, 300_000, kind=Kind.METER_EXCHANGE)
    grid = [meter.measure(end, 0, 200_000) for meter in street.grid]
    closed = step(street, 1, [exchanged, *grid])
    assert closed.certified.certificates == ()
    closed = step(street, 2, street.measure([0, 0, 0], [200, 0, 0], [300]))
    assert [one.issued_wh for one in closed.certified.certificates] == [200]
    assert audited(street).verdict == "ok"


def test_a_producer_pays_with_its_next_free_certificates_for_those_it_got_too_many() -> None:
    street = Street(members=2)
    wrong = street.measure([0, 0], [500, 0], [600])
    closed = step(street, 0, wrong)
    assert [one.free_wh for one in closed.certified.certificates] == [500]
    right = street.solar[0].correct(wrong[-1], 0, -400_000)
    closed = step(street, 1, [right, *street.measure([0, 100], [250, 0], [250])])
    [certificate] = closed.certified.certificates
    # What was sold to the neighbour is theirs; the other 150 Wh go towards 400.
    assert (certificate.retired_wh, certificate.free_wh) == (100, 0)
    assert street.state.owed == {0: 250}
    closed = step(street, 2, street.measure([0, 0], [400, 0], [400]))
    assert [one.free_wh for one in closed.certified.certificates] == [150]
    assert street.state.owed == {}
    assert audited(street).verdict == "ok"


def test_a_correction_that_is_left_out_or_counted_twice_is_found() -> None:
    street = Street(producers=0)
    wrong = street.measure([400, 0, 0], [0, 0, 0])
    step(street, 0, wrong)
    right = street.grid[0].correct(wrong[0], -150_000)
    step(street, 1, [right, *idle(street)])
    step(street, 2, idle(street))
    path = "audit/2016-06-21.inputs.jsonl"
    honest = street.files[path]
    lines = honest.splitlines(keepends=True)
    mine = next(line for line in lines if right.record.hex().encode() in line)
    hidden = honest.replace(mine, b"").replace(b'"late":1', b'"late":0')
    street.files[path] = hidden
    assert "inputs" in str(audited(street).place) or "header" in str(audited(street).place)
    assert audited(street).verdict != "ok"
    third = lines.index(next(line for line in lines[::-1] if line.startswith(b'{"start"')))
    again = [*lines[:third], lines[third].replace(b'"late":0', b'"late":1'), *lines[third + 1 :]]
    again.insert(third + 1 + street.members, mine)
    street.files[path] = b"".join(again)
    assert "late record 0: refused: CORRECTS_NOTHING" in str(audited(street).difference)
    street.files[path] = honest
    assert audited(street).verdict == "ok"


def test_a_correction_refused_for_what_it_is_not_is_found() -> None:
    street = Street(producers=0)
    wrong = street.measure([400, 0, 0], [0, 0, 0])
    step(street, 0, wrong)
    step(street, 1, [street.grid[0].correct(wrong[0], 1_000), *idle(street)])
    assert [refused.reason.name for refused in street.last_inputs.refused] == ["REGISTER_FELL"]
    assert audited(street).verdict == "ok"
    path = "audit/2016-06-21.inputs.jsonl"
    street.files[path] = street.files[path].replace(b"REGISTER_FELL", b"CORRECTS_NOTHING")
    assert "refused as CORRECTS_NOTHING, which it is not" in str(audited(street).difference)


@given(st.randoms(use_true_random=False))
@effort(0.5)
def test_whatever_is_late_and_corrected_is_paid_as_the_registers_in_the_end_ask(
    chance: Random,
) -> None:
    street = Street(producers=1, members=3)
    waiting: list[tuple[int, SignedRecord]] = []
    own: dict[bytes, dict[int, tuple[Record, tuple[int, int]]]] = {}
    newest: dict[tuple[bytes, int], SignedRecord] = {}
    adjusted = [0] * street.members
    for index in range(INTERVALS):
        taken = [chance.randrange(500) for _ in street.grid]
        given = [chance.randrange(500) for _ in street.grid]
        waiting += [
            (index + chance.choice((0, 0, 0, 1, 2)), signed)
            for signed in street.measure(taken, given, [chance.randrange(300)])
        ]
        came = [signed for due, signed in waiting if due == index]
        came += corrections(chance, street, newest.values())
        chance.shuffle(came)
        closed = step(street, index, came)
        for position in closed.settled.positions:
            adjusted[position.member] += position.adjusted
        for verdict in (*street.last_inputs.accepted, *street.last_inputs.late):
            record = verdict.record
            at_once = (verdict.import_wh, verdict.export_wh)
            if record.time_end < street.interval.start:
                at_once = (0, 0)
            points = own.setdefault(record.meter, {})
            if record.kind == Kind.CORRECTION:
                at_once = points[record.sequence][1]
            points[record.sequence] = record, at_once
            newest[record.meter, record.sequence] = verdict.signed
    grid = {meter.key.meter for meter in street.grid}
    points_of = {
        meter: [points[sequence] for sequence in sorted(points)]
        for meter, points in own.items()
        if meter in grid
    }
    assert adjusted == expected(street, points_of)
    assert audited(street).verdict == "ok"

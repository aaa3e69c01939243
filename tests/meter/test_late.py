"""Records that come after their interval was closed: which count, and which gap they fill."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

import pytest

from commonwatt.meter.acceptance import (
    Accepted,
    Gate,
    Late,
    Reason,
    Refused,
    Standing,
    Verdict,
    judge,
    opening_standing,
    standing_after,
)
from commonwatt.meter.record import SignedRecord
from commonwatt.meter.registration import Registration, Role
from commonwatt.quantity import Interval
from street import CHAIN, MIDSUMMER_NOON, SimulatedMeter, registration

OPEN = Interval(MIDSUMMER_NOON.start + 6 * 900, 900)
"""Six intervals are closed."""
GATE = Gate(CHAIN.ledger, OPEN, OPEN.end, since=MIDSUMMER_NOON.end)


@pytest.fixture
def meter() -> SimulatedMeter:
    return SimulatedMeter("late", MIDSUMMER_NOON.start)


@pytest.fixture
def registered(meter: SimulatedMeter) -> Registration:
    return registration(meter, 0, Role.GRID, 0)


@pytest.fixture
def signed(meter: SimulatedMeter) -> list[SignedRecord]:
    """Seven records, the last of the open interval; each 1,000 Wh more than the one before."""
    return [meter.measure(MIDSUMMER_NOON.end + 900 * n, 1_000_000) for n in range(7)]


def judged(
    records: list[SignedRecord], registered: Registration, gate: Gate = GATE
) -> Iterator[tuple[Verdict, Standing]]:
    last = opening_standing(registered)
    for signed in records:
        verdict = judge(signed, registered, last, gate)
        last = standing_after(last, verdict)
        yield verdict, last


def test_a_late_record_after_the_last_one_counts_what_was_never_counted(
    signed: list[SignedRecord], registered: Registration
) -> None:
    [(verdict, standing)] = judged(signed[2:3], registered)
    assert isinstance(verdict, Late)
    assert (verdict.import_wh, verdict.counted_until) == (3_000, None)
    assert (standing.record.sequence, len(standing.gaps)) == (3, 1)


def test_a_late_record_in_a_gap_splits_what_was_counted_with_the_next(
    signed: list[SignedRecord], registered: Registration
) -> None:
    (lump, gapped), (late, split) = judged([signed[6], signed[2]], registered)
    assert isinstance(lump, Accepted)
    assert (lump.import_wh, lump.gap) == (7_000, True)
    assert [gap.after.sequence for gap in gapped.gaps] == [7]
    assert isinstance(late, Late)
    assert (late.import_wh, late.counted_until) == (3_000, OPEN.end)
    assert [(g.before.sequence, g.after.sequence) for g in split.gaps] == [(0, 3), (3, 7)]
    assert split.record == gapped.record


def test_in_whichever_order_they_come_the_gap_is_filled_once_and_whole(
    signed: list[SignedRecord], registered: Registration
) -> None:
    for order in permutations(range(1, 6)):
        came = [signed[0], signed[6], *(signed[n] for n in order)]
        *verdicts, (_, last) = judged(came, registered, GATE)
        assert all(isinstance(verdict, Late | Accepted) for verdict, _ in verdicts)
        assert last.gaps == ()
        assert last.record.sequence == 7
        (again, _) = list(judged([*came, signed[order[0]]], registered))[-1]
        assert isinstance(again, Refused)
        assert again.reason is Reason.SEQUENCE_USED


def test_time_without_records_is_no_gap_that_records_could_fill(
    meter: SimulatedMeter, registered: Registration
) -> None:
    only = meter.measure(OPEN.end, 5_000)
    [(verdict, standing)] = judged([only], registered)
    assert isinstance(verdict, Accepted)
    assert verdict.gap
    assert standing.gaps == ()


def test_a_gap_is_forgotten_once_nothing_could_fill_it(
    signed: list[SignedRecord], registered: Registration
) -> None:
    first, second = opening_standing(registered), signed[3]
    verdict = judge(second, registered, first, GATE)
    end = MIDSUMMER_NOON.end + 3 * 900
    assert len(standing_after(first, verdict, since=end - 900).gaps) == 1
    assert standing_after(first, verdict, since=end).gaps == ()


CHANGES = {
    "of an interval too long ago": ({}, Reason.TOO_LATE),
    "under a number that is not missing": ({"sequence": 7}, Reason.SEQUENCE_USED),
    "that does not name the one before": (
        {"sequence": 1, "previous": b"x" * 32},
        Reason.PREVIOUS_WRONG,
    ),
    "that the next one does not name": ({"sequence": 6}, Reason.PREVIOUS_WRONG),
    "that ends after the next": ({"time_end": OPEN.end}, Reason.BACKDATED),
    "that ends before the one before": (
        {"time_end": MIDSUMMER_NOON.start},
        Reason.BACKDATED,
    ),
    "above the next": ({"import_mwh": 2**40}, Reason.REGISTER_FELL),
    "below the one before": ({"import_mwh": 0}, Reason.REGISTER_FELL),
    "with more than could come before it": ({"import_mwh": 8_234_567}, Reason.OVER_CAPACITY),
    "with more than could come after it": ({"import_mwh": 1_234_567}, Reason.OVER_CAPACITY),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_does_not_fit_into_the_gap_is_refused(what: str) -> None:
    changes, reason = CHANGES[what]
    meter = SimulatedMeter("late", MIDSUMMER_NOON.start)
    registered = replace(registration(meter, 0, Role.GRID, 0), rated_w=5_000)
    signed = [meter.measure(MIDSUMMER_NOON.end + 900 * n, 1_000_000) for n in range(7)]
    genuine = meter.record(0)._replace(
        sequence=3,
        time_end=MIDSUMMER_NOON.end + 2 * 900,
        import_mwh=4_234_567,
        previous=signed[1].digest,
    )
    forged = meter.key.sign(genuine._replace(**changes).encode())
    gate = GATE
    if not changes:
        gate = Gate(CHAIN.ledger, OPEN, OPEN.end, since=MIDSUMMER_NOON.end + 3 * 900)
    _, (verdict, _) = judged([signed[6], forged], registered, gate)
    assert isinstance(verdict, Refused)
    assert verdict.reason is reason

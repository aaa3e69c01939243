"""Corrections: each rule, and an answer of its own to each."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from commonwatt.meter.acceptance import (
    Accepted,
    Duplicate,
    Gate,
    Late,
    Reason,
    Refused,
    Verdict,
    opening_standing,
    standing_after,
)
from commonwatt.meter.correction import judge_correction, judge_counted
from commonwatt.meter.keys import MeterKey, other_form
from commonwatt.meter.record import SignedRecord
from commonwatt.meter.registration import Role
from commonwatt.quantity import Interval
from street import CHAIN, MIDSUMMER_NOON, Counted, SimulatedMeter, registration

START = MIDSUMMER_NOON.start
OPEN = Interval(START + 4 * 900, 900)
GATE = Gate(CHAIN.ledger, OPEN, OPEN.end, since=START + 2 * 900)
"""Four intervals are closed; the first is too long ago."""


class Home:
    """A meter whose four records are settled, and whose fifth is of the open interval."""

    def __init__(self, role: Role = Role.GRID) -> None:
        self.meter = SimulatedMeter("corrected", START)
        self.registration = registration(self.meter, 0, role, 0)
        self.signed = [self.meter.measure(START + 900 * n, 500_000) for n in range(1, 6)]
        rows = [(START + 900 * n, signed) for n, signed in enumerate(self.signed)]
        self.history = Counted(OPEN.start, rows)

    def correct(
        self, index: int = 2, import_mwh: int = -100_000, **changes: object
    ) -> SignedRecord:
        return self.meter.correct(self.signed[index], import_mwh, **changes)

    def judge(self, signed: SignedRecord, **how: bool) -> Verdict:
        return judge_correction(signed, self.registration, GATE, self.history, **how)


@pytest.fixture
def home() -> Home:
    return Home()


def test_a_correction_counts_what_it_changes(home: Home) -> None:
    verdict = home.judge(home.correct())
    assert isinstance(verdict, Late)
    assert (verdict.import_wh, verdict.export_wh) == (-100, 0)
    assert (verdict.counted_until, verdict.gap) == (OPEN.start, False)
    assert verdict.corrects is not None
    assert verdict.corrects.encode() == home.signed[2].record


def test_what_the_last_settled_record_has_more_was_never_counted(home: Home) -> None:
    verdict = home.judge(home.correct(3, 1_000))
    assert isinstance(verdict, Late)
    assert (verdict.import_wh, verdict.counted_until) == (1, None)


WRONG: dict[str, tuple[Callable[[Home], SignedRecord], Reason]] = {
    "cut short": (lambda _: SignedRecord(b"\1\3", bytes(64)), Reason.UNREADABLE),
    "by another key": (
        lambda h: MeterKey.from_seed(b"thief").sign(h.correct().record),
        Reason.SIGNATURE_WRONG,
    ),
    "for another ledger": (lambda h: h.correct(ledger=b"elsewher"), Reason.LEDGER_WRONG),
    "under another number": (lambda h: h.correct(sequence=9), Reason.CORRECTS_NOTHING),
    "of another length": (lambda h: h.correct(duration=60), Reason.CORRECTS_NOTHING),
    "of another end": (lambda h: h.correct(time_end=START + 17), Reason.CORRECTS_NOTHING),
    "of what nobody knows": (lambda h: h.correct(previous=b"p" * 32), Reason.CORRECTS_NOTHING),
    "of the record after": (
        lambda h: h.correct(previous=h.signed[3].digest),
        Reason.CORRECTS_NOTHING,
    ),
    "of the open interval": (lambda h: h.correct(4), Reason.CORRECTS_NOTHING),
    "of the opening": (
        lambda h: h.meter.correct(h.meter.opening, 1_000),
        Reason.CORRECTS_NOTHING,
    ),
    "too long ago": (lambda h: h.correct(0), Reason.TOO_LATE),
    "below the record before": (lambda h: h.correct(2, -500_001), Reason.REGISTER_FELL),
    "above the record after": (lambda h: h.correct(2, 500_001), Reason.REGISTER_FELL),
    "above what is not settled": (lambda h: h.correct(3, 500_001), Reason.REGISTER_FELL),
}


@pytest.mark.parametrize("how", WRONG)
def test_a_wrong_correction_gets_its_own_answer(home: Home, how: str) -> None:
    make, expected = WRONG[how]
    signed = make(home)
    assert home.judge(signed) == Refused(signed, expected)


def test_more_than_the_rated_power_counts_only_if_it_is_released(home: Home) -> None:
    home.registration = replace(home.registration, rated_w=2_100)
    much = home.correct(2, 200_000)
    assert home.judge(much) == Refused(much, Reason.OVER_CAPACITY)
    verdict = home.judge(much, released=True)
    assert isinstance(verdict, Late)
    assert verdict.released


def test_nobody_elses_meter_and_no_battery_is_corrected(home: Home) -> None:
    signed = home.correct()
    stranger = judge_correction(signed, None, GATE, home.history)
    assert stranger == Refused(signed, Reason.METER_UNKNOWN)
    battery = Home(Role.STORAGE)
    signed = battery.correct()
    assert battery.judge(signed) == Refused(signed, Reason.CORRECTS_STORAGE)


def test_the_same_correction_in_whichever_form_of_its_signature_is_a_duplicate(home: Home) -> None:
    signed = home.correct()
    other = SignedRecord(signed.record, other_form(signed.signature))
    verdict = home.judge(other)
    assert verdict.signed == signed
    home.history.rows.append((OPEN.start, verdict.signed))
    assert home.judge(signed) == Duplicate(signed)
    assert home.judge(other) == Duplicate(other)
    assert isinstance(home.judge(signed, counted=True), Late)


def test_a_record_is_corrected_once_in_each_open_interval(home: Home) -> None:
    first = home.correct()
    home.history.rows.append((OPEN.start, first))
    second = home.meter.correct(first, 50_000)
    assert home.judge(second) == Refused(second, Reason.CORRECTS_NOTHING)
    home.history.start = OPEN.next.start
    verdict = home.judge(second)
    assert isinstance(verdict, Late)
    assert verdict.import_wh == 50


def test_records_after_it_are_judged_against_the_registers_as_corrected(home: Home) -> None:
    last = home.signed.pop()
    home.history.rows.pop()
    correction = home.correct(3, -400_000)
    home.history.rows.append((OPEN.start, correction))
    known = {home.meter.key.meter: home.registration}
    standings = {}
    for index, signed in enumerate(home.signed):
        gate = Gate(CHAIN.ledger, Interval(START + 900 * index, 900), OPEN.end)
        before = standings or {home.meter.key.meter: opening_standing(home.registration)}
        [verdict] = judge_counted([signed], known, before, gate, home.history)
        standings = {home.meter.key.meter: standing_after(before[home.meter.key.meter], verdict)}
    moved, counted = judge_counted([last, correction], known, standings, GATE, home.history)
    assert isinstance(moved, Late)
    assert isinstance(counted, Accepted)
    assert (moved.import_wh, counted.import_wh, counted.gap) == (-400, 900, False)

"""From readings to records: one for each end, durable before it leaves, each once."""

import sqlite3
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError
from structlog.testing import capture_logs

from commonwatt.errors import CommonwattError
from commonwatt.meter.acceptance import Accepted, Gate, judge_batch, opening_standing
from commonwatt.meter.driver import IntervalReading, Reading
from commonwatt.meter.keys import verify
from commonwatt.meter.record import NO_PREVIOUS, Kind, Quality, Record
from commonwatt.meter.registration import NO_SOURCE, Registration, Role
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.gateway.answers import Answer, Fate, name_of
from commonwatt.quantity import Interval
from node.gateway.bench_of_meters import KWH, NOON, QUARTER, Bench, meter
from node.gateway.stub_node import LEDGER

GOOD = Quality.MEASURED | Quality.VOUCHED


def taken(bench: Bench, count: int) -> list[Answer]:
    return [
        Answer(name_of(s), s.digest, Fate.TAKEN, "", duplicate=False)
        for s in bench.spool.waiting(count)
    ]


def test_a_community_accepts_every_record_and_none_as_a_gap(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.fill(96)
    [(name, opening)] = bench.openings.items()
    registration = Registration(
        bench.meters[0].key.public_key,
        0,
        Role.GRID,
        NO_SOURCE,
        10_000,
        0,
        "T",
        direct=False,
        opening=opening,
    )
    gate = Gate(LEDGER, Interval(NOON, QUARTER), NOON + 97 * QUARTER)
    standing = {name: opening_standing(registration)}
    verdicts = judge_batch(bench.spool.waiting(1_000), {name: registration}, standing, gate)
    assert len(verdicts) == 96
    for verdict in verdicts:
        assert isinstance(verdict, Accepted)
        assert not verdict.gap
        assert verdict.import_wh == 10
        assert verdict.record.quality == GOOD


def test_the_opening_record_is_sequence_0_and_the_chain_begins_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.fill(1)
    [(name, opening)] = bench.openings.items()
    first = Record.decode(opening.record)
    assert (first.sequence, first.previous, first.quality) == (0, NO_PREVIOUS, GOOD)
    assert verify(bench.meters[0].key.public_key, opening)
    [record] = bench.records()
    assert (record.sequence, record.previous) == (1, sha256(opening.record).digest())
    assert (record.meter, record.ledger, record.kind) == (name, LEDGER, Kind.REGISTERS)


def test_a_restart_goes_on_with_the_same_chain(tmp_path: Path) -> None:
    for run in range(4):
        bench = Bench(tmp_path)
        bench.fill(5, first=1 + 5 * run)
        bench.close()
    whole = Bench(tmp_path)
    records = whole.records()
    assert [record.sequence for record in records] == list(range(1, 21))
    assert [record.time_end for record in records] == [NOON + n * QUARTER for n in range(1, 21)]
    for before, now in pairwise(records):
        assert now.previous == sha256(before.encode()).digest()


def test_what_was_read_between_two_records_is_kept_when_asked(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(NOON + 800, 8)
    bench.signer.keep()
    bench.close()
    bench = Bench(tmp_path)
    assert bench.read(NOON + 1_000, 10) == 1
    [record] = bench.records()
    assert record.quality == Quality.CALCULATED | Quality.VOUCHED
    assert record.import_mwh == KWH + 9_000


def test_after_a_death_between_two_readings_no_record_is_guessed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(NOON + 890, 8)
    bench.close()
    bench = Bench(tmp_path)
    assert bench.read(NOON + 1_790, 20) == 0
    assert bench.read(NOON + 1_810, 22) == 1
    [record] = bench.records()
    assert (record.time_end, record.import_mwh) == (NOON + 1_800, KWH + 21_000)


def test_readings_given_again_sign_nothing_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.fill(10)
    before = bench.spool.waiting(100)
    bench.fill(10)
    bench.close()
    bench = Bench(tmp_path)
    bench.fill(10)
    assert bench.spool.waiting(100) == before


def test_the_database_itself_refuses_a_second_record_under_a_number(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.fill(1)
    [signed] = bench.spool.waiting(1)
    other = Record.decode(signed.record)._replace(time_end=NOON + 5 * QUARTER).encode()
    forged = bench.meters[0].key.sign(other)
    with pytest.raises((DatabaseUnusable, IntegrityError)):
        bench.spool.keep({}, [forged], NOON)
    assert bench.spool.waiting(10) == [signed]


def test_a_write_that_fails_leaves_no_trace_and_the_same_reading_makes_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    bench.fill(2)

    def full(*_: object) -> None:
        raise DatabaseUnusable("spool.sqlite", "database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(bench.spool, "keep", full)
        with pytest.raises(DatabaseUnusable):
            bench.read(NOON + 3 * QUARTER, 30)
    assert bench.spool.count == 2
    assert bench.read(NOON + 3 * QUARTER, 30) == 1
    assert [record.sequence for record in bench.records()] == [1, 2, 3]


def test_a_locked_spool_is_told_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commonwatt.node.sqlite.WAIT_MS", 50)
    bench = Bench(tmp_path)
    other = sqlite3.connect(tmp_path / "spool.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnusable):
        bench.read(NOON + QUARTER, 10)
    other.execute("ROLLBACK")
    other.close()
    assert bench.read(NOON + QUARTER, 10) == 1


# A spool that is full


def test_a_full_spool_signs_nothing_says_so_once_and_loses_no_energy(tmp_path: Path) -> None:
    bench = Bench(tmp_path, records_max=5)
    with capture_logs() as logs:
        bench.fill(10)
    assert bench.spool.count == 5
    [told] = [log for log in logs if log["event"] == "spool_full"]
    assert told["spool_records_max"] == 5
    assert told["log_level"] == "error"
    bench.spool.answer(taken(bench, 5))
    bench.fill(1, first=11)
    [record] = bench.records()
    assert (record.sequence, record.time_end) == (6, NOON + 11 * QUARTER)
    assert record.import_mwh == KWH + 110_000


def test_a_full_spool_carries_the_energy_of_intervals_on(tmp_path: Path) -> None:
    one = meter(counts="intervals", source="nem12")
    bench = Bench(tmp_path, one, records_max=1)
    devices = {"home": one.key.meter}

    def count(number: int, quality: Quality) -> None:
        start = NOON + number * QUARTER
        reading = IntervalReading("home", start, QUARTER, 5_000, 0, quality)
        bench.signer.take(devices, [reading])

    count(0, Quality.MEASURED)
    count(1, Quality.ESTIMATED)
    bench.spool.answer(taken(bench, 1))
    count(2, Quality.MEASURED)
    [record] = bench.records()
    assert (record.sequence, record.time_end) == (2, NOON + 3 * QUARTER)
    assert record.import_mwh == KWH + 15_000
    assert record.kind == Kind.INTERVAL_ONLY
    assert record.quality == GOOD | Quality.ESTIMATED, "what was said of the part counts"


# Clocks


def test_a_clock_set_back_makes_no_second_record_and_is_said(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.fill(4)
    ends = {record.time_end for record in bench.records()}
    # Set back by an hour: all these ends are there already.
    for number in range(1, 4):
        time = NOON + number * QUARTER
        assert bench.read(time, 40 + number, clock=time) == 0
    assert {record.time_end for record in bench.records()} == ends
    # What flowed meanwhile is in the next record, and that says so.
    assert bench.read(NOON + 5 * QUARTER, 60) == 1
    assert bench.read(NOON + 6 * QUARTER, 70) == 1
    doubtful, sound = bench.records()[-2:]
    assert doubtful.quality == GOOD | Quality.CLOCK_NOT_SYNCHRONISED
    assert doubtful.import_mwh == KWH + 60_000
    assert sound.quality == GOOD


def test_while_the_clock_is_behind_a_meter_with_its_own_clock_says_so_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.fill(2)
    bench.read(NOON + 3 * QUARTER, 30, clock=NOON + 1_000)
    bench.read(NOON + 4 * QUARTER, 40, clock=NOON + 1_900)
    bench.read(NOON + 5 * QUARTER, 50, clock=NOON + 2_800)
    flags = [bool(r.quality & Quality.CLOCK_NOT_SYNCHRONISED) for r in bench.records()]
    assert flags == [False, False, True, True, False], "until a whole interval had it right"


def test_a_leap_ahead_is_said_in_the_record_that_spans_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(NOON + QUARTER, 10)
    bench.signer.look_at_clock(NOON + 9_000, float(NOON + 901))
    for time in (NOON + 9_000, NOON + 9_900):
        bench.signer.look_at_clock(time, float(time - 8_099))
        bench.signer.take(
            {"home": bench.meters[0].key.meter}, [Reading("home", time, KWH + 20_000, KWH)]
        )
    flags = [bool(r.quality & Quality.CLOCK_NOT_SYNCHRONISED) for r in bench.records()]
    assert flags == [False, True, False]


def test_a_restart_with_a_clock_that_was_reset_is_noticed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.fill(2)
    bench.close()
    bench = Bench(tmp_path)
    assert bench.read(NOON + 3 * QUARTER, 30, clock=NOON - 10**6) == 1
    assert bench.records()[-1].quality == GOOD | Quality.CLOCK_NOT_SYNCHRONISED


# What is passed over


def test_a_stranger_and_a_register_that_fell_are_said_once_each(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    devices = {"home": bench.meters[0].key.meter}
    bench.read(NOON + 100, 50)
    strange = Reading("neighbour", NOON + 200, KWH, KWH)
    fallen = Reading("home", NOON + 200, KWH, KWH)
    with capture_logs() as logs:
        for _ in range(3):
            assert bench.signer.take(devices, [strange, fallen]) == 0
    whys = [(log["device"], log["why"].partition(" ")[0]) for log in logs]
    assert whys == [("'neighbour'", "is"), ("'home'", "says")]


def test_readings_that_come_too_seldom_for_a_record_are_said_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with capture_logs() as logs:
        for number in range(1, 4):
            assert bench.read(NOON + number * 1_000, number) == 0
    [told] = logs
    assert (told["event"], told["meter"], told["time"]) == (
        "no_record", "home", "2016-06-21T12:15:00Z",
    )  # fmt: skip
    assert "1000 s apart, more than the 900 s of an interval" in told["why"]
    assert bench.read(NOON + 3_600, 60) == 1
    with capture_logs() as logs:
        assert bench.read(NOON + 5_000, 70) == 0
    assert len(logs) == 1, "after a record it is said again"


def test_intervals_from_a_meter_of_registers_are_passed_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    devices = {"home": bench.meters[0].key.meter}
    with capture_logs() as logs:
        assert bench.signer.take(devices, [IntervalReading("home", NOON, 900, 5, 5)]) == 0
    assert len(logs) == 1


def test_a_reversed_meter_counts_out_what_its_device_counts_in(tmp_path: Path) -> None:
    one = meter(reversed=True, role="generation")
    bench = Bench(tmp_path, one)
    bench.signer.take(
        {"home": one.key.meter}, [Reading("home", NOON + QUARTER, KWH + 5_000, KWH + 1_000)]
    )
    [record] = bench.records()
    assert (record.import_mwh, record.export_mwh) == (KWH + 1_000, KWH + 5_000)


def test_meters_do_not_mix(tmp_path: Path) -> None:
    bench = Bench(tmp_path, meter("home"), meter("roof"))
    bench.fill(3, name="home")
    bench.fill(3, name="roof")
    assert [record.time_end for record in bench.records()] == sorted(
        [NOON + n * QUARTER for n in (1, 2, 3)] * 2
    )
    for one in bench.meters:
        own = [record for record in bench.records() if record.meter == one.key.meter]
        assert [record.sequence for record in own] == [1, 2, 3]


# The spool


def test_answers_to_strange_or_answered_records_change_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.fill(4)
    answers = taken(bench, 2)
    bench.spool.answer(answers)
    kept = bench.spool.waiting(10)
    stranger = answers[0]._replace(
        name=answers[0].name._replace(meter=bytes(20)), fate=Fate.REFUSED
    )
    refused_again = [one._replace(fate=Fate.REFUSED, reason="SEQUENCE_USED") for one in answers]
    later = [one._replace(fate=Fate.LATER) for one in taken(bench, 2)]
    bench.spool.answer([*answers, *refused_again, stranger, *later])
    assert bench.spool.waiting(10) == kept
    assert bench.spool.refused() == []


def test_what_the_node_refuses_is_put_aside_with_the_reason(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.fill(2)
    [first, _] = bench.spool.waiting(2)
    bench.spool.answer(
        [Answer(name_of(first), first.digest, Fate.REFUSED, "TOO_LATE", duplicate=False)]
    )
    [refused] = bench.spool.refused()
    assert (refused.reason, refused.signed) == ("TOO_LATE", first)
    assert bench.spool.count == 1


def test_no_more_refused_records_are_kept_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commonwatt.node.gateway.spool.REFUSED_MAX", 3)
    bench = Bench(tmp_path)
    bench.fill(5)
    bench.spool.answer([one._replace(fate=Fate.REFUSED, reason="X") for one in taken(bench, 5)])
    assert [refused.name.sequence for refused in bench.spool.refused()] == [3, 4, 5]


def test_a_spool_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "spool.sqlite").write_text("a letter")
    with pytest.raises(CommonwattError, match=r"spool\.sqlite"):
        Bench(tmp_path)

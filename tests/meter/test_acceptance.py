"""Each way in which a record can be wrong has an answer of its own."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.acceptance import (
    Accepted,
    Duplicate,
    Gate,
    Reason,
    Refused,
    Standing,
    Verdict,
    judge,
    judge_batch,
    opening_standing,
    within_capacity,
)
from commonwatt.meter.keys import MeterKey, other_form
from commonwatt.meter.record import Kind, Record, SignedRecord
from commonwatt.meter.registration import NO_SOURCE, Registration, Role
from effort import effort
from street import CHAIN, MIDSUMMER_NOON, SimulatedMeter, Street, registration

NOON = MIDSUMMER_NOON
END = NOON.end
QUARTER = 900
RATED_W = 30_000
MOST_MWH = RATED_W * 1000 * QUARTER * 5 // (3_600 * 4)


class Home:
    """A meter at its grid connection, and what the community knows of it."""

    def __init__(self, name: str = "the producer's grid meter") -> None:
        self.meter = SimulatedMeter(name, NOON.start)
        self.registration: Registration = registration(self.meter, 0, Role.GRID, NO_SOURCE)
        self.standing = opening_standing(self.registration)

    def judge(self, signed: SignedRecord, *, now: int = END, interval=NOON) -> Verdict:
        gate = Gate(CHAIN.ledger, interval, now)
        return judge(signed, self.registration, self.standing, gate)

    def signed(self, time_end: int = END, **changes: object) -> SignedRecord:
        """What the meter itself would sign with some fields changed."""
        return self.meter.key.sign(self.meter.record(time_end, **changes).encode())

    def count(self, verdict: Verdict) -> None:
        assert isinstance(verdict, Accepted)
        self.standing = Standing(verdict.record, verdict.digest)


@pytest.fixture
def home() -> Home:
    return Home()


@pytest.fixture
def forger() -> MeterKey:
    return MeterKey.from_seed(b"a forger")


def reason(verdict: Verdict) -> Reason:
    assert isinstance(verdict, Refused)
    return verdict.reason


def test_an_honest_record_is_counted_in_whole_watt_hours(home: Home) -> None:
    # The register stands at 1,234,567 mWh: 433 mWh complete the next Wh.
    verdict = home.judge(home.meter.measure(END, 433, 1_432))
    assert isinstance(verdict, Accepted)
    assert (verdict.import_wh, verdict.export_wh, verdict.gap) == (1, 1, False)
    assert verdict.digest == verdict.signed.digest


FORGERIES: dict[str, tuple[Callable[[Home], dict], Reason]] = {
    "in another version": (lambda _: {"version": 2}, Reason.VERSION_UNKNOWN),
    "for another ledger": (lambda _: {"ledger": b"elsewher"}, Reason.LEDGER_WRONG),
    "of a kind nobody knows": (lambda _: {"kind": 200}, Reason.KIND_UNSUPPORTED),
    "under number zero": (lambda _: {"sequence": 0}, Reason.SEQUENCE_USED),
    "after another record": (lambda _: {"previous": b"p" * 32}, Reason.PREVIOUS_WRONG),
    "after no record": (lambda _: {"previous": bytes(32)}, Reason.PREVIOUS_WRONG),
    "for an hour": (lambda _: {"duration": 3_600}, Reason.LENGTH_WRONG),
    "for no time": (lambda _: {"duration": 0}, Reason.LENGTH_WRONG),
    "a second off the grid": (lambda _: {"time_end": END - 1}, Reason.OFF_GRID),
    "backdated to the last record": (lambda _: {"time_end": NOON.start}, Reason.BACKDATED),
    "backdated to the first day": (lambda _: {"time_end": 0}, Reason.BACKDATED),
    "for tomorrow": (lambda _: {"time_end": END + 86_400}, Reason.IN_THE_FUTURE),
    "for the end of time": (lambda _: {"time_end": (2**64 - 1) // 900 * 900}, Reason.IN_THE_FUTURE),
    "with a fallen import": (
        lambda home: {"import_mwh": home.meter.import_mwh - 1},
        Reason.REGISTER_FELL,
    ),
    "with a fallen export": (lambda _: {"export_mwh": 0}, Reason.REGISTER_FELL),
    "of more than the roof holds": (
        lambda home: {"export_mwh": home.meter.export_mwh + MOST_MWH + 1},
        Reason.OVER_CAPACITY,
    ),
    "of more than the cable carries": (
        lambda home: {"import_mwh": home.meter.import_mwh + MOST_MWH + 1},
        Reason.OVER_CAPACITY,
    ),
    "with a full register": (lambda _: {"export_mwh": 2**64 - 1}, Reason.OVER_CAPACITY),
}


@pytest.mark.parametrize("how", FORGERIES)
def test_a_dishonest_meter_gets_its_own_answer(home: Home, how: str) -> None:
    changes, expected = FORGERIES[how]
    assert reason(home.judge(home.signed(**changes(home)))) is expected


@pytest.mark.parametrize("how", FORGERIES)
def test_whatever_a_forger_signs_is_not_the_meters(home: Home, forger: MeterKey, how: str) -> None:
    changes, _ = FORGERIES[how]
    forged = forger.sign(home.meter.record(END)._replace(**changes(home)).encode())
    expected = Reason.VERSION_UNKNOWN if "version" in how else Reason.SIGNATURE_WRONG
    assert reason(home.judge(forged)) is expected


def test_a_record_of_an_interval_that_is_closed_is_too_late(home: Home) -> None:
    late = home.signed(END)
    assert reason(home.judge(late, now=END + 900, interval=NOON.next)) is Reason.TOO_LATE


def test_an_unknown_meter_is_told_so(home: Home) -> None:
    gate = Gate(CHAIN.ledger, NOON, END)
    stranger = Home("a stranger's meter").signed()
    assert reason(judge(stranger, None, None, gate)) is Reason.METER_UNKNOWN
    assert reason(judge(stranger, None, home.standing, gate)) is Reason.METER_UNKNOWN
    assert reason(judge(stranger, home.registration, None, gate)) is Reason.METER_UNKNOWN


@pytest.mark.parametrize("length", [0, 1, 12, 31, 32, 40, 99, 101, 200])
def test_bytes_that_are_no_record_are_unreadable(home: Home, length: int) -> None:
    signed = SignedRecord((home.signed().record * 2)[:length], bytes(64))
    assert reason(home.judge(signed)) is Reason.UNREADABLE
    (verdict,) = judge_batch([signed], {}, {}, Gate(CHAIN.ledger, NOON, END))
    assert verdict == Refused(signed, Reason.UNREADABLE)


@pytest.mark.parametrize("length", [0, 1, 63, 65])
def test_a_signature_of_another_length_is_wrong(home: Home, length: int) -> None:
    signed = SignedRecord(home.signed().record, bytes(length))
    assert reason(home.judge(signed)) is Reason.SIGNATURE_WRONG


def test_a_neighbours_signature_does_not_count_for_another_meter(home: Home) -> None:
    neighbour = Home("the neighbour's meter")
    borrowed = neighbour.meter.key.sign(home.meter.record(END).encode())
    assert reason(home.judge(borrowed)) is Reason.SIGNATURE_WRONG


def test_a_replay_changes_nothing_in_either_form_of_its_signature(home: Home) -> None:
    signed = home.meter.measure(END, 5_000)
    home.count(home.judge(signed))
    assert isinstance(home.judge(signed), Duplicate)
    other = SignedRecord(signed.record, other_form(signed.signature))
    assert isinstance(home.judge(other), Duplicate)


def test_a_replay_of_an_older_record_is_refused(home: Home) -> None:
    first = home.meter.measure(END, 5_000)
    home.count(home.judge(first))
    home.count(home.judge(home.meter.measure(END + 900), now=END + 900, interval=NOON.next))
    for signature in (first.signature, other_form(first.signature)):
        replay = SignedRecord(first.record, signature)
        verdict = home.judge(replay, now=END + 900, interval=NOON.next)
        assert reason(verdict) is Reason.SEQUENCE_USED


def test_the_opening_record_is_not_counted_again(home: Home) -> None:
    assert isinstance(home.judge(home.registration.opening), Duplicate)


def test_a_second_record_under_the_same_number_is_refused(home: Home) -> None:
    first, second = home.signed(), home.signed(export_mwh=home.meter.export_mwh + 1)
    home.count(home.judge(first))
    assert reason(home.judge(second)) is Reason.SEQUENCE_USED


def test_a_record_is_kept_with_the_low_form_of_its_signature(home: Home) -> None:
    signed = home.signed()
    verdict = home.judge(SignedRecord(signed.record, other_form(signed.signature)))
    assert isinstance(verdict, Accepted)
    assert verdict.signed == signed


def test_lost_records_leave_a_gap_that_is_marked_and_not_refused(home: Home) -> None:
    home.meter.measure(END, 1_000_000)
    verdict = home.judge(home.meter.measure(END + 900, 2_000_000), now=END + 900)
    assert isinstance(verdict, Accepted)
    assert verdict.gap
    assert verdict.import_wh == 3_000


def test_time_without_records_leaves_a_gap_too(home: Home) -> None:
    verdict = home.judge(home.meter.measure(END + 900), now=END + 900, interval=NOON.next)
    assert isinstance(verdict, Accepted)
    assert verdict.gap


def test_a_skipped_number_leaves_a_gap_even_without_lost_time(home: Home) -> None:
    verdict = home.judge(home.signed(sequence=2, previous=b"never seen".ljust(32)))
    assert isinstance(verdict, Accepted)
    assert verdict.gap


def test_over_a_gap_the_rated_power_counts_for_all_of_its_time(home: Home) -> None:
    later = NOON.next
    most = home.signed(later.end, export_mwh=home.meter.export_mwh + 2 * MOST_MWH)
    assert isinstance(home.judge(most, now=later.end, interval=later), Accepted)
    more = home.signed(later.end, export_mwh=home.meter.export_mwh + 2 * MOST_MWH + 1)
    assert reason(home.judge(more, now=later.end, interval=later)) is Reason.OVER_CAPACITY


@given(st.integers(1, 2**40 - 1), st.integers(60, 10**6), st.integers(0, 2**64 - 1))
def test_capacity_is_five_quarters_of_rated_power_and_nothing_is_rounded(rated, seconds, energy):
    assert within_capacity(energy, rated, seconds) == (
        energy * 3_600 * 4 <= rated * 1_000 * seconds * 5
    )


def test_the_most_that_the_rated_power_allows_is_believed(home: Home) -> None:
    assert isinstance(home.judge(home.meter.measure(END, MOST_MWH, MOST_MWH)), Accepted)


def test_what_came_before_the_interval_ended_is_in_the_future(home: Home) -> None:
    signed = home.signed()
    assert reason(home.judge(signed, now=END - 1)) is Reason.IN_THE_FUTURE
    assert isinstance(home.judge(signed, now=END), Accepted)


def street_batch(chance: Random) -> tuple[Street, list[SignedRecord]]:
    """Honest records, gaps, forgeries, replays and rubbish, all in one batch."""
    street = Street(members=3, producers=2)
    batch = street.measure([100, 0, 50], [0, 700, 30], [900, 40])
    meters = [*street.grid, *street.solar]
    for _ in range(chance.randrange(1, 12)):
        meter = chance.choice(meters)
        record = meter.record(
            street.interval.end,
            sequence=chance.choice((0, 1, 2, 3)),
            previous=chance.choice((meter.previous, b"x" * 32)),
            export_mwh=meter.export_mwh + chance.choice((-1, 0, 1_000, 10**12)),
            quality=chance.choice((0, 1, 4)),
            version=chance.choice((1, 1, 1, 9)),
        )
        signer = chance.choice((meter, meter, chance.choice(meters))).key
        batch.append(signer.sign(record.encode()))
    for signed in chance.sample(batch, 3):
        batch.append(SignedRecord(signed.record, other_form(signed.signature)))
        batch.append(signed)
    batch.append(SignedRecord(b"rubbish", b""))
    return street, batch


@given(st.randoms(use_true_random=False))
@effort(0.5)
def test_the_order_in_which_records_come_never_matters(chance: Random) -> None:
    street, batch = street_batch(chance)
    gate = Gate(CHAIN.ledger, street.interval, street.interval.end)
    arguments = (street.community.by_meter, street.state.standings, gate)
    expected = judge_batch(batch, *arguments)
    chance.shuffle(batch)
    assert judge_batch(batch, *arguments) == expected
    assert len(expected) == len(batch)


@given(st.randoms(use_true_random=False))
@effort(0.5)
def test_of_all_that_comes_at_most_one_record_per_meter_counts(chance: Random) -> None:
    street, batch = street_batch(chance)
    before = dict(street.state.standings)
    inputs = street.inputs(batch)
    meters = [verdict.record.meter for verdict in inputs.accepted]
    assert len(meters) == len(set(meters))
    assert street.state.standings == before
    for verdict in inputs.accepted:
        assert verdict.record.time_end == street.interval.end
        assert verdict.signed.digest in {signed.digest for signed in batch}


def test_a_batch_of_a_whole_day_is_judged_one_after_another(home: Home) -> None:
    records = [home.meter.measure(END + 900 * n, 1_000 * n, 0) for n in range(96)]
    Random(1).shuffle(records)
    known = {home.registration.meter: home.registration}
    standings = {home.registration.meter: home.standing}
    verdicts = judge_batch(records, known, standings, Gate(CHAIN.ledger, NOON, END + 86_400))
    assert all(isinstance(verdict, Accepted) and not verdict.gap for verdict in verdicts)
    assert [verdict.record.sequence for verdict in verdicts] == list(range(1, 97))
    assert standings == {home.registration.meter: home.standing}


@pytest.mark.parametrize("how", FORGERIES)
def test_a_refused_record_never_reaches_a_statement(how: str) -> None:
    street = Street(members=2, producers=1)
    honest = street.measure([100, 0], [0, 50], [50])
    producer = Home("grid 0")
    changes, expected = FORGERIES[how]
    dishonest = producer.signed(**changes(producer))
    batch = [dishonest, *honest[1:]]
    inputs = street.inputs(batch)
    assert [refused.reason for refused in inputs.refused] == [expected]
    statement = street.close(batch)
    assert street.grid[0].key.meter in statement.silent
    assert statement.header.records.size == 2
    position = statement.settled.positions[0]
    assert position.silent
    assert (position.imported_wh, position.exported_wh) == (0, 0)
    for leaves in statement.sections:
        for leaf in leaves:
            assert dishonest.digest not in leaf
            assert dishonest.signature not in leaf


def test_every_reason_says_what_its_sender_can_do() -> None:
    assert len({reason.value for reason in Reason}) == len(Reason)
    assert all(len(reason.value) > 10 for reason in Reason)


def test_a_correction_is_not_judged_as_a_record_that_follows(home: Home) -> None:
    verdict = home.judge(home.signed(kind=Kind.CORRECTION))
    assert verdict == Refused(verdict.signed, Reason.KIND_UNSUPPORTED)


def test_every_reason_is_given_by_some_test_above_or_of_corrections() -> None:
    given_here = {expected for _, expected in FORGERIES.values()} | {
        Reason.UNREADABLE,
        Reason.METER_UNKNOWN,
        Reason.SIGNATURE_WRONG,
        Reason.TOO_LATE,
        Reason.CORRECTS_NOTHING,
        Reason.CORRECTS_STORAGE,
    }
    assert given_here == set(Reason)


@given(st.binary(min_size=100, max_size=100), st.binary(min_size=64, max_size=64))
def test_random_bytes_are_refused_and_never_raise(record: bytes, signature: bytes) -> None:
    home = Home()
    known = {home.registration.meter: home.registration}
    standings = {home.registration.meter: home.standing}
    gate = Gate(CHAIN.ledger, NOON, END)
    own = record[:12] + home.registration.meter + record[32:]
    for content in (record, b"\1" + own[1:]):
        (verdict,) = judge_batch([SignedRecord(content, signature)], known, standings, gate)
        assert isinstance(verdict, Refused)
        assert Record.decode(content).encode() == content

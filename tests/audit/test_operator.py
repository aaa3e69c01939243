"""An operator who keeps the books.

What it rewrites afterwards does not fit the chain, and what it anchors falsely does not follow
from the records.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from commonwatt.audit.recompute import Audit
from commonwatt.meter.acceptance import Accepted, Reason, Refused
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.record import Record, SignedRecord
from commonwatt.statement.close import Inputs
from lived import NEIGHBOUR, POOR, PRODUCER, Rewriting, judged, lived_in, only_in
from street import Street

FORGER = MeterKey.from_seed(b"a forger")
SEEN: list[Inputs] = []
"""The inputs of the honest street, by interval."""


def look(_: int, inputs: Inputs) -> Inputs:
    SEEN.append(inputs)
    return inputs


HONEST = lived_in(look)


def grid_meter(member: int) -> bytes:
    return HONEST.grid[member].key.meter


def of(meter: bytes, inputs: Inputs) -> Accepted:
    (verdict,) = (verdict for verdict in inputs.accepted if verdict.record.meter == meter)
    return verdict


def without(meter: bytes, inputs: Inputs) -> tuple[Accepted, ...]:
    return tuple(verdict for verdict in inputs.accepted if verdict.record.meter != meter)


def in_interval(number: int, change: Callable[[Inputs], Inputs]) -> Rewriting:
    return lambda at, inputs: change(inputs) if at == number else inputs


def losing(number: int, meter: bytes) -> Rewriting:
    return in_interval(number, lambda inputs: replace(inputs, accepted=without(meter, inputs)))


def quarantining(number: int, meter: bytes, reason: Reason) -> Rewriting:
    """A good record is not counted but refused, and everything after that is consistent."""

    def change(inputs: Inputs) -> Inputs:
        refused = Refused(of(meter, inputs).signed, reason)
        kept = without(meter, inputs)
        return replace(inputs, accepted=kept, refused=(*inputs.refused, refused))

    return in_interval(number, change)


def recounting(number: int, meter: bytes, **changes: object) -> Rewriting:
    """A record is counted as something it does not say."""

    def change(inputs: Inputs) -> Inputs:
        counted = of(meter, inputs)._replace(**changes)
        return replace(inputs, accepted=(*without(meter, inputs), counted))

    return in_interval(number, change)


REWRITINGS: dict[str, Rewriting] = {
    "a record less": losing(2, grid_meter(POOR)),
    "the last record less": losing(4, grid_meter(PRODUCER)),
    "an emptied quarantine": only_in(1, refused=()),
    "a dearer tariff": in_interval(
        0, lambda inputs: replace(inputs, tariff=replace(inputs.tariff, retail=25_000))
    ),
    "a higher fee": in_interval(
        4, lambda inputs: replace(inputs, tariff=replace(inputs.tariff, fee_local=9_000))
    ),
    "other salts": only_in(3, salt_key=b"k" * 32),
    "a good record in quarantine": quarantining(2, grid_meter(POOR), Reason.IN_THE_FUTURE),
}


@pytest.mark.parametrize("what", REWRITINGS)
def test_who_rewrites_everything_consistently_cannot_rewrite_the_chain(what: str) -> None:
    rewritten = lived_in(REWRITINGS[what])
    assert rewritten.files != HONEST.files
    found = judged(rewritten.files, HONEST.facts())
    assert found.difference is not None
    assert found.place is not None
    assert found.place.startswith("2016-06-2")
    assert "anchor" in found.difference


@pytest.mark.parametrize("what", REWRITINGS)
def test_the_same_is_an_operators_to_decide_before_it_closes(what: str) -> None:
    """An audit shows that all follows from what was published, not that all was published."""
    rewritten = lived_in(REWRITINGS[what])
    assert judged(rewritten.files, rewritten.facts()).verdict == "ok"


def test_files_of_the_honest_street_do_not_fit_a_rewritten_chain() -> None:
    rewritten = lived_in(REWRITINGS["a dearer tariff"])
    assert judged(HONEST.files, rewritten.facts()).place == "2016-06-21T23:15:00Z, header"


def anchored(rewriting: Rewriting) -> Audit:
    """The operator closes falsely from the start: chain and files agree with each other."""
    street = lived_in(rewriting)
    found = judged(street.files, street.facts())
    assert found.difference is not None
    assert found.place is not None
    return found


REASONS = [reason for reason in Reason if reason is not Reason.IN_THE_FUTURE]


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.name)
def test_a_good_record_put_into_quarantine_is_found_whatever_the_reason(reason: Reason) -> None:
    found = anchored(quarantining(2, grid_meter(POOR), reason))
    assert found.place == "2016-06-21T23:45:00Z, refused record 0"
    assert f"refused as {reason.name}, which it is not" in str(found.difference)


def test_only_that_a_record_came_too_early_must_be_believed() -> None:
    """Nobody but the operator saw when it came. Its owner sees it refused in the open."""
    street = lived_in(quarantining(2, grid_meter(POOR), Reason.IN_THE_FUTURE))
    found = judged(street.files, street.facts())
    assert found.verdict == "ok"
    assert found.refused == 2


def refusing(number: int, refused: Refused) -> Rewriting:
    return in_interval(number, lambda inputs: replace(inputs, refused=(*inputs.refused, refused)))


def signed_by(key: MeterKey, record: Record) -> SignedRecord:
    return key.sign(record.encode())


GOOD = of(grid_meter(PRODUCER), SEEN[2])
AFTER = {"sequence": GOOD.record.sequence + 1, "previous": GOOD.digest}
LATER = {**AFTER, "time_end": GOOD.record.time_end + 900}


def own(**changes: object) -> SignedRecord:
    """What the producer's meter would sign, were its record changed like this."""
    return signed_by(HONEST.grid[PRODUCER].key, GOOD.record._replace(**changes))


# Each refused for what it really is: some at once, some once the meter's good record was in.
BAD = {
    "noise": Refused(SignedRecord(b"noise", b""), Reason.UNREADABLE),
    "another version": Refused(own(version=3), Reason.VERSION_UNKNOWN),
    "a kind nobody knows": Refused(own(kind=200), Reason.KIND_UNSUPPORTED),
    "a correction of nothing": Refused(own(kind=3), Reason.CORRECTS_NOTHING),
    "a stranger's": Refused(
        signed_by(FORGER, GOOD.record._replace(meter=FORGER.meter)), Reason.METER_UNKNOWN
    ),
    "a forger's": Refused(signed_by(FORGER, GOOD.record), Reason.SIGNATURE_WRONG),
    "another ledger's": Refused(own(ledger=b"elsewher"), Reason.LEDGER_WRONG),
    "the second of its number": Refused(own(export_mwh=2**40), Reason.SEQUENCE_USED),
    "after another record": Refused(own(previous=b"p" * 32), Reason.PREVIOUS_WRONG),
    "after a record unseen": Refused(
        own(**{**LATER, "previous": b"p" * 32}), Reason.PREVIOUS_WRONG
    ),
    "of a minute": Refused(own(**AFTER, duration=60), Reason.LENGTH_WRONG),
    "off the grid": Refused(own(**{**LATER, "time_end": 7}), Reason.OFF_GRID),
    "backdated": Refused(own(**AFTER), Reason.BACKDATED),
    "too early": Refused(own(**LATER), Reason.IN_THE_FUTURE),
    "fallen": Refused(own(export_mwh=0), Reason.REGISTER_FELL),
    "fallen since": Refused(own(**LATER, export_mwh=0), Reason.REGISTER_FELL),
    "over capacity": Refused(own(**LATER, export_mwh=2**60), Reason.OVER_CAPACITY),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_record_refused_for_what_it_is_passes(what: str) -> None:
    street = lived_in(refusing(2, BAD[what]))
    found = judged(street.files, street.facts())
    assert found.verdict == "ok"
    assert found.refused == 2


def test_every_reason_that_can_be_checked_is_checked_here() -> None:
    # What is too late takes a meter that was silent for long: statement/test_late.py. A battery's
    # correction takes a battery: node/test_corrections.py.
    elsewhere = {Reason.TOO_LATE, Reason.CORRECTS_STORAGE}
    assert {refused.reason for refused in BAD.values()} == set(Reason) - elsewhere


@pytest.mark.parametrize("what", BAD)
def test_a_bad_record_refused_for_another_reason_is_found(what: str) -> None:
    real = BAD[what].reason
    wrong = Reason.OVER_CAPACITY if real is Reason.REGISTER_FELL else Reason.REGISTER_FELL
    found = anchored(refusing(2, BAD[what]._replace(reason=wrong)))
    assert found.place == "2016-06-21T23:45:00Z, refused record 0"


COUNTED = [
    "another version",
    "a kind nobody knows",
    "a correction of nothing",
    "a forger's",
    "another ledger's",
    "after another record",
    "of a minute",
    "fallen",
]


def counting(signed: SignedRecord) -> Rewriting:
    """A record that breaks a rule is counted all the same."""
    record = Record.decode(signed.record)
    counted = Accepted(signed, record, signed.digest, 0, 500, gap=False)
    return in_interval(
        2,
        lambda inputs: replace(inputs, accepted=(*without(grid_meter(PRODUCER), inputs), counted)),
    )


@pytest.mark.parametrize("what", COUNTED)
def test_a_bad_record_that_was_counted_is_found(what: str) -> None:
    signed = BAD[what].signed
    if what == "of a minute":
        signed = own(duration=60)
    found = anchored(counting(signed))
    assert found.place is not None
    assert found.place.startswith("2016-06-21T23:45:00Z, records, leaf ")
    assert f"refused: {BAD[what].reason.name}" in str(found.difference)


def test_more_energy_than_the_meter_could_carry_is_found_even_well_signed() -> None:
    found = anchored(counting(own(export_mwh=2**50)))
    assert "refused: OVER_CAPACITY" in str(found.difference)


def test_a_record_counted_a_second_time_is_found() -> None:
    """The meter is silent in one interval, and its record of the one before is counted again."""
    before = of(grid_meter(PRODUCER), SEEN[1])
    street = HONEST
    files = dict(street.files)
    path = "audit/2016-06-21.inputs.jsonl"
    files[path] = (
        files[path]
        .replace(GOOD.signed.record.hex().encode(), before.signed.record.hex().encode())
        .replace(GOOD.signed.signature.hex().encode(), before.signed.signature.hex().encode())
    )
    found = judged(files, street.facts())
    assert "counted twice, or of another interval" in str(found.difference)


@pytest.mark.parametrize(
    "changes",
    [
        {"export_wh": 901},
        {"export_wh": 903},
        {"import_wh": 1},
        {"gap": True},
        {"gap": True, "export_wh": 0},
    ],
    ids=str,
)
def test_a_record_counted_as_something_else_than_it_says_is_found(changes: dict) -> None:
    found = anchored(recounting(2, grid_meter(PRODUCER), **changes))
    assert found.place is not None
    assert found.place.startswith("2016-06-21T23:45:00Z")


def test_a_gap_passed_off_as_none_is_found() -> None:
    """The neighbour's energy of unknown time would be traded and not left to the supplier."""
    assert of(grid_meter(NEIGHBOUR), SEEN[2]).gap
    found = anchored(recounting(2, grid_meter(NEIGHBOUR), gap=False))
    assert found.place is not None
    assert found.place.startswith("2016-06-21T23:45:00Z")


def test_balances_nobody_paid_in_are_found() -> None:
    street = lived_in(only_in(0, balances=(10**11, 10**11, 10**11)))
    found = judged(street.files, street.facts())
    assert found.place == "2016-06-21T23:15:00Z, header"
    assert "positions is published as" in str(found.difference)


@pytest.mark.parametrize("flows", [3, 99, -1, 2**70])
def test_a_statement_that_saw_other_flows_than_there_were_is_found(flows: int) -> None:
    """It may see fewer than the chain has by then, never fewer than the one before."""
    files = dict(HONEST.files)
    path = "audit/2016-06-21.inputs.jsonl"
    lines = files[path].splitlines(keepends=True)
    number = [n for n, line in enumerate(lines) if b'"tariff"' in line][2]
    lines[number] = lines[number].replace(b'"flows":5', b'"flows":%d' % flows)
    files[path] = b"".join(lines)
    assert files != HONEST.files
    found = judged(files, HONEST.facts())
    assert found.place == "2016-06-21T23:45:00Z, inputs"
    assert f"names {flows} deposits and withdrawals" in str(found.difference)


def test_a_skipped_interval_is_found() -> None:
    """All energy of it would fall to the supplier, as the lump of a gap."""
    street = Street(members=2, producers=1)
    street.close(street.measure([0, 300], [300, 0], [300]))
    street.measure([0, 300], [300, 0], [300])
    street.interval = street.interval.next
    street.close(street.measure([0, 300], [300, 0], [300]))
    found = judged(street.files, street.facts())
    assert found.place == "2016-06-21T12:30:00Z, inputs"
    assert "the next interval is that at" in str(found.difference)


def test_a_late_beginning_is_found() -> None:
    street = Street(members=2, producers=1)
    street.interval = street.interval.next
    street.close([])
    assert judged(street.files, street.facts()).place == "2016-06-21T12:15:00Z, inputs"

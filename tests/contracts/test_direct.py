"""A plant's meter that writes to the chain itself is issued at once, by nobody's leave."""

from typing import Any

import pytest
from eth_abi.abi import encode

from commonwatt.audit.facts import Claim, DirectRecord
from commonwatt.chain.holdings import LastRecord
from commonwatt.chain.production import TokenId
from commonwatt.meter.keys import MeterKey, other_form
from commonwatt.meter.record import Quality, Record, SignedRecord
from contracts.ground import QUARTER, Ground, Meter, account, fresh_ground
from contracts.helpers import deploy

OWNER = account("member 0")
LIMIT_WH = 1_562
"""5 kW for a quarter hour, and a quarter more."""


@pytest.fixture(scope="module")
def ground() -> Ground:
    return fresh_ground(3)


@pytest.fixture
def plant(ground: Ground) -> Meter:
    """A direct meter that has started."""
    ground.clock.now += QUARTER - ground.clock.now % QUARTER
    ground.register(meter := ground.meter(f"plant {ground.clock.now}", direct=True))
    ground.ledger.start_direct(ground.stranger, meter.last.record)
    return meter


def _next(ground: Ground, meter: Meter, **changes: Any) -> SignedRecord:
    """The meter's record of the quarter hour that goes by."""
    ground.clock.now += QUARTER
    return meter.next(ground.clock.now, **changes)


def _units(ground: Ground, meter: Meter, end: int, duration: int = QUARTER) -> int:
    token = TokenId(meter.key.meter, end - duration, duration)
    assert ground.ledger.is_issued(token) == bool(ground.ledger.units(OWNER.address_bytes, token))
    return ground.ledger.units(OWNER.address_bytes, token)


def _give(ground: Ground, record: SignedRecord) -> Any:
    return ground.ledger.issue_direct(ground.stranger, record.record, record.signature)


def test_a_record_is_issued_to_the_owner_whoever_brings_it(ground: Ground, plant: Meter) -> None:
    opening = Record.decode(plant.last.record)
    first = _next(ground, plant, export_wh=777)
    _give(ground, first)
    assert _units(ground, plant, ground.clock.now) == 777
    assert ground.ledger.last_record(plant.key.meter) == LastRecord(
        1, ground.clock.now, opening.export_mwh + 777_000, first.digest
    )
    plant.last = first
    ground.issue(plant, export_wh=LIMIT_WH)
    assert _units(ground, plant, ground.clock.now) == LIMIT_WH
    facts = ground.ledger.facts()
    start = ground.clock.now - QUARTER
    own = OWNER.address_bytes
    assert facts.issues[-1] == Claim(plant.key.meter, start, QUARTER, own, LIMIT_WH)
    assert facts.claims == ()
    last = Record.decode(plant.last.record)
    assert facts.records[-1] == DirectRecord(
        plant.key.meter, 2, last.time_end, last.export_mwh, plant.last.digest
    )


def test_registers_are_rounded_down_and_nothing_is_lost_over_time(
    ground: Ground, plant: Meter
) -> None:
    total, register = 0, Record.decode(plant.last.record).export_mwh
    for step in (999, 1, 400, 200, 600):
        register += step
        ground.issue(plant, export_mwh=register)
        total += _units(ground, plant, ground.clock.now)
    assert total == register // 1000 - 5_000


def test_a_meter_starts_once_with_the_record_it_was_registered_with(ground: Ground) -> None:
    ground.register(meter := ground.meter("late starter", direct=True))
    assert ground.ledger.last_record(meter.key.meter) is None
    with ground.refused("certificate: meter not started"):
        _give(ground, meter.next(ground.clock.now))
    other = Record.decode(meter.last.record)._replace(export_mwh=0)
    with ground.refused("certificate: not the meter's opening record"):
        ground.ledger.start_direct(ground.stranger, other.encode())
    with ground.refused("certificate: record is not 100 bytes"):
        ground.ledger.start_direct(ground.stranger, other.encode()[:-1])
    ground.ledger.start_direct(ground.stranger, meter.last.record)
    with ground.refused("certificate: meter has started"):
        ground.ledger.start_direct(ground.stranger, meter.last.record)
    assert ground.ledger.facts().records[-1].digest == meter.last.digest


def test_one_meter_is_issued_one_way_or_the_other(ground: Ground, plant: Meter) -> None:
    ground.register(roof := ground.meter(f"roof {ground.clock.now}"))
    with ground.refused("certificate: meter is not direct"):
        ground.ledger.start_direct(ground.stranger, roof.last.record)
    with ground.refused("certificate: meter not started"):
        _give(ground, roof.next(ground.clock.now))
    shown = ground.quarter(plant)
    with ground.refused("certificate: meter writes to the chain itself"):
        ground.claim(shown)
    with ground.refused("certificate: unknown meter"):
        ground.ledger.start_direct(ground.stranger, ground.meter("unknown").last.record)


@pytest.mark.parametrize(
    "kind", [{"source": 0}, {"role": 0, "source": 0}, {"role": 2, "source": 0}]
)
def test_only_generation_with_a_source_is_issued(ground: Ground, kind: dict[str, int]) -> None:
    ground.register(meter := ground.meter(f"direct {kind}", direct=True, **kind))
    ground.ledger.start_direct(ground.stranger, meter.last.record)
    ground.clock.now += QUARTER
    with ground.refused("certificate: meter is not generation with a source"):
        _give(ground, meter.next(ground.clock.now))


# What does not follow is refused


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another version": ({"version": 2}, "unknown record version"),
    "another ledger": ({"ledger": b"elsewher"}, "record is for another ledger"),
    "no previous": ({"previous": bytes(32)}, "previous record is not the one named"),
    "a gap in the sequence": ({"sequence": 7}, "records are not adjacent"),
    "the same sequence": ({"sequence": 0}, "records are not adjacent"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_record_that_does_not_follow_the_last_is_refused(
    ground: Ground, plant: Meter, fault: str
) -> None:
    changes, reason = REFUSED[fault]
    with ground.refused(f"certificate: {reason}"):
        _give(ground, _next(ground, plant, **changes))


def test_a_record_counts_once_in_either_form_of_its_signature(ground: Ground, plant: Meter) -> None:
    record = _next(ground, plant)
    _give(ground, record)
    second = plant.next(ground.clock.now, export_wh=900)
    for again in (record, record._replace(signature=other_form(record.signature)), second):
        with ground.refused("certificate: previous record is not the one named"):
            _give(ground, again)


def test_a_wrong_signature_is_refused(ground: Ground, plant: Meter) -> None:
    record, forger = _next(ground, plant), MeterKey.from_seed(b"forger")
    for forged in (forger.sign(record.record).signature, bytes(64), plant.last.signature):
        with ground.refused("certificate: signature is not the meter's"):
            _give(ground, record._replace(signature=forged))
    with ground.refused("certificate: signature is not in its low form"):
        _give(ground, record._replace(signature=other_form(record.signature)))
    with ground.refused("certificate: record is not 100 bytes"):
        _give(ground, record._replace(record=record.record[:-1]))
    altered = Record.decode(record.record)._replace(export_mwh=2**40).encode()
    with ground.refused("certificate: signature is not the meter's"):
        _give(ground, record._replace(record=altered))


def test_nothing_is_issued_of_the_future(ground: Ground, plant: Meter) -> None:
    ahead = plant.next(ground.clock.now + 1)
    with ground.refused("certificate: interval is not over"):
        _give(ground, ahead)
    ground.clock.now += 1
    _give(ground, ahead)


# What follows but proves nothing is taken down, so that the next can follow it

LAST_MWH = 5_000_400
PROVES_NOTHING: dict[str, dict[str, Any]] = {
    "no energy": {"export_wh": 0},
    "less than a whole Wh": {"export_mwh": LAST_MWH + 599},
    "estimated": {"quality": Quality.ESTIMATED},
    "measured with an error": {"quality": Quality.MEASURED | Quality.METER_ERROR},
    "substituted value": {"quality": Quality.CALCULATED | Quality.SUBSTITUTED},
    "no quality": {"quality": 0},
    "substituted": {"kind": 2},
    "a correction": {"kind": 3},
    "a meter exchange": {"kind": 4},
    "a register that fell": {"export_mwh": LAST_MWH - 1},
    "a register that fell far": {"export_mwh": LAST_MWH - 3_000_000},
    "more than rated power": {"export_wh": LIMIT_WH + 1},
    "a register beyond all measure": {"export_mwh": 2**64 - 1},
    "no time": {"duration": 0},
    "half the time": {"duration": 450},
    "twice the time": {"duration": 1_800},
    "more than an hour": {"duration": 4_500},
    "no grid": {"duration": 899},
    "longer than time": {"duration": 2**32 - 1},
}


@pytest.mark.parametrize("fault", PROVES_NOTHING)
def test_a_record_that_proves_nothing_is_taken_down_and_the_next_one_counts(
    ground: Ground, plant: Meter, fault: str
) -> None:
    record = _next(ground, plant, **PROVES_NOTHING[fault])
    receipt = _give(ground, record)
    assert len(receipt.logs) == 1
    plant.last = record
    if Record.decode(record.record).export_mwh < 2**63:
        ground.issue(plant)
        assert _units(ground, plant, ground.clock.now) == 1_000


def test_energy_of_unknown_intervals_is_not_issued(ground: Ground, plant: Meter) -> None:
    ground.issue(plant)
    ground.clock.now += QUARTER
    ground.issue(plant)  # its register has the energy of two quarter hours
    assert _units(ground, plant, ground.clock.now) == 0
    ground.issue(plant)
    assert _units(ground, plant, ground.clock.now) == 1_000


def test_a_clock_that_was_set_back_does_not_make_intervals_twice(
    ground: Ground, plant: Meter
) -> None:
    """Back by a quarter hour: the second certificate of it would be a copy, or overlap."""
    for _ in range(3):
        ground.issue(plant)
    end = ground.clock.now
    for back, changes in (
        (end - QUARTER, {}),
        (end, {}),
        (end + QUARTER, {"duration": 2 * QUARTER}),
    ):
        ground.clock.now = max(end, back)
        record = plant.next(back, **changes)
        receipt = _give(ground, record)
        assert len(receipt.logs) == 1, "taken down, not issued"
        plant.last = record
    ground.issue(plant)
    assert _units(ground, plant, end + 2 * QUARTER) == 1_000


def test_other_lengths_of_interval_may_follow_each_other(ground: Ground, plant: Meter) -> None:
    ground.clock.now += 3_600 - ground.clock.now % 3_600
    plant.last = plant.next(ground.clock.now)
    _give(ground, plant.last)
    ground.clock.now += 3_600
    hour = plant.next(ground.clock.now, duration=3_600)
    _give(ground, hour)
    assert _units(ground, plant, ground.clock.now, 3_600) == 1_000
    plant.last = hour
    ground.issue(plant)
    assert _units(ground, plant, ground.clock.now) == 1_000


@pytest.mark.parametrize("seconds", [0, 1, 59, 61, 899, 3_601, 5_400, 7_200, 86_400])
def test_an_interval_off_the_grid_or_of_no_usual_length_is_not_issued(
    ground: Ground, plant: Meter, seconds: int
) -> None:
    """Though it begins where the last one ended (rule R6)."""
    ground.clock.now += 86_400 - ground.clock.now % 86_400
    plant.last = plant.next(ground.clock.now)
    _give(ground, plant.last)
    ground.clock.now += seconds
    record = plant.next(ground.clock.now, duration=seconds, export_wh=1)
    assert len(_give(ground, record).logs) == 1
    plant.last = record


def test_nothing_is_issued_of_before_the_first_day(ground: Ground) -> None:
    ground.clock.now += 86_400 - ground.clock.now % 86_400 - 2 * QUARTER
    midnight = ground.clock.now + 2 * QUARTER
    day = midnight // 86_400
    ground.register(meter := ground.meter("planned plant", direct=True, first_day=day))
    ground.ledger.start_direct(ground.stranger, meter.last.record)
    for _ in range(3):
        ground.issue(meter)
    ends = (midnight - QUARTER, midnight, midnight + QUARTER)
    assert [_units(ground, meter, end) for end in ends] == [0, 0, 1_000]


def test_a_sold_plant_is_issued_to_its_new_owner(ground: Ground, plant: Meter) -> None:
    ground.ledger.offer_meter(OWNER, plant.key.meter, 2)
    ground.ledger.accept_meter(account("member 2"), plant.key.meter)
    ground.issue(plant)
    token = TokenId(plant.key.meter, ground.clock.now - QUARTER, QUARTER)
    assert ground.ledger.units(account("member 2").address_bytes, token) == 1_000


@pytest.mark.parametrize("takes", [True, False])
def test_a_contract_that_owns_a_plant_is_asked(ground: Ground, *, takes: bool) -> None:
    """One that refuses keeps its plant's record waiting, and nobody else's."""
    connection = ground.ledger.connection
    owner = deploy(connection, ground.stranger, "holder", encode(["bool"], [takes]))
    ground.ledger.join(ground.operator, [owner])
    member = ground.ledger.members() - 1
    ground.members.append(ground.stranger)
    ground.register(meter := ground.meter(f"fund's {takes}", direct=True, member=member))
    ground.ledger.start_direct(ground.stranger, meter.last.record)
    record = _next(ground, meter)
    if takes:
        _give(ground, record)
        token = TokenId(meter.key.meter, ground.clock.now - QUARTER, QUARTER)
        assert ground.ledger.units(owner, token) == 1_000
        return
    with ground.refused("certificate: receiver refused"):
        _give(ground, record)


def test_a_plant_of_137_gwh_is_believed_and_more_is_not(ground: Ground) -> None:
    ground.register(meter := ground.meter("sun", direct=True, rated_w=2**40 - 1))
    ground.ledger.start_direct(ground.stranger, meter.last.record)
    for wh, issued in ((2**37 - 1, 2**37 - 1), (2**37, 0)):
        ground.issue(meter, export_wh=wh)
        assert _units(ground, meter, ground.clock.now) == issued

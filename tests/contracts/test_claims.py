"""Certificates come from a meter's own signature and an anchored statement, or not at all."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from eth_abi.abi import decode, encode

from commonwatt.audit.facts import Claim
from commonwatt.chain.abi import contract
from commonwatt.chain.encoding import keccak
from commonwatt.chain.ledger import new_meter
from commonwatt.chain.production import Production, Purpose
from commonwatt.meter.keys import MeterKey, other_form
from commonwatt.meter.record import Quality, Record, SignedRecord
from contracts.ground import NOON, QUARTER, ROOFTOP, Closed, Ground, Meter, Shown, account, leaf
from contracts.helpers import deploy


@pytest.fixture(scope="module")
def old_roof(ground: Ground) -> Meter:
    ground.register(meter := ground.meter("roof"))
    return meter


@pytest.fixture
def roof(ground: Ground, old_roof: Meter) -> Meter:
    """A roof of the community whose last record is of the last quarter hour."""
    ground.quarter(old_roof)
    return old_roof


def test_whoever_claims_the_owner_gets_the_free_units(ground: Ground, roof: Meter) -> None:
    shown = ground.quarter(roof, issued=1000, free=400)
    token = ground.token(shown.production)
    assert not ground.ledger.is_issued(token)
    ground.claim(shown, sender=ground.stranger)
    assert ground.ledger.is_issued(token)
    assert ground.ledger.units(ground.members[0].address_bytes, token) == 400
    assert ground.ledger.units(ground.stranger.address_bytes, token) == 0
    owner = ground.members[0].address_bytes
    assert ground.ledger.facts().claims[-1] == Claim(*token, owner=owner, wh=400)


def test_the_first_record_of_a_meter_follows_its_opening_record(ground: Ground) -> None:
    ground.register(meter := ground.meter("first light"))
    ground.claim(ground.quarter(meter))


def test_what_a_certificate_says_can_be_read(ground: Ground, roof: Meter) -> None:
    shown = ground.quarter(roof)
    token, known = ground.token(shown.production), contract("Certificate")
    at = "0x" + ground.ledger.addresses.certificate.hex()
    ask = ground.ledger.connection.call
    answer = known.answer("getCertificate", ask(at, known.data("getCertificate", token.number)))
    issuer, topic, validity, data = answer
    assert (issuer, topic) == (ground.issuer.address.lower(), ROOFTOP)
    settlement = "0x" + ground.ledger.addresses.settlement.hex()
    types = ["uint256", "uint256", "uint256", "address", "uint256", "uint256", "uint256"]
    assert decode(types, data) == (
        roof.number, token.start, QUARTER, settlement, ROOFTOP, 5_000, NOON // 86_400
    )  # fmt: skip
    assert int.from_bytes(ask(at, validity)) == 0
    ground.claim(shown)
    assert int.from_bytes(ask(at, validity)) == 1


def test_rounding_down_is_between_whole_registers(ground: Ground, roof: Meter) -> None:
    """999.6 Wh and 0.5 Wh make one whole Wh in the second interval, because registers count."""
    register = Record.decode(roof.last.record).export_mwh // 1000 * 1000
    ground.quarter(roof, export_mwh=register + 999_600)
    shown = ground.quarter(roof, issued=1, free=1, export_mwh=register + 1_000_100)
    ground.claim(shown)
    shown = ground.quarter(roof, issued=1, free=1, export_mwh=register + 1_000_999)
    with ground.refused("certificate: more than the meter shows"):
        ground.claim(shown)


# A run

RUN = (400, 0, 250, 1, 0, 999)


def _run(ground: Ground, meter: Meter, free: tuple[int, ...] = RUN) -> list[Shown]:
    return [ground.quarter(meter, free=units) for units in free]


def test_a_run_claims_every_interval_that_has_free_units(ground: Ground, roof: Meter) -> None:
    run = _run(ground, roof)
    productions = [shown.production for shown in run]
    ground.ledger.claim_run(ground.stranger, run[0].previous, productions, run[-1].signature)
    owner = ground.members[0].address_bytes
    units = [ground.ledger.units(owner, ground.token(production)) for production in productions]
    assert units == list(RUN)
    assert [claim.wh for claim in ground.ledger.facts().claims[-4:]] == [400, 250, 1, 999]


def test_links_of_a_run_need_no_statement_and_no_soundness(ground: Ground, roof: Meter) -> None:
    before = roof.last.record
    gap = Production(record=_skip(ground, roof, quality=Quality.ESTIMATED).record)
    shown = ground.quarter(roof)
    ground.ledger.claim_run(ground.stranger, before, [gap, shown.production], shown.signature)


def test_a_run_of_links_claims_nothing(ground: Ground, roof: Meter) -> None:
    run = _run(ground, roof, (0, 0))
    links = [shown.production for shown in run]
    with ground.refused("certificate: nothing free to claim"):
        ground.ledger.claim_run(ground.stranger, run[0].previous, links, run[-1].signature)
    with ground.refused("certificate: nothing free to claim"):
        _send_run(ground, run[0].previous, [], run[-1].signature)


RUN_FAULTS: dict[str, tuple[Callable[[list[Shown]], list[Production]], str]] = {
    "one record altered": (
        lambda run: _altered(run, 1, record=_with(run[1].production.record, import_mwh=1)),
        "not in the statement",
    ),
    "the last register raised": (
        lambda run: _altered(run, 2, record=_with(run[2].production.record, export_mwh=2**40)),
        "more than rated power",
    ),
    "one more unit": (lambda run: _altered(run, 1, free_wh=401), "not in the statement"),
    "an interval left out": (
        lambda run: [run[0].production, run[2].production], "more than rated power"
    ),
    "two in the wrong order": (
        lambda run: [run[1].production, run[0].production, run[2].production],
        "more than rated power",
    ),
    "one twice": (
        lambda run: [run[0].production, run[0].production, run[1].production],
        "more than the meter shows",
    ),
    "the last left out": (
        lambda run: [run[0].production, run[1].production], "signature is not the meter's"
    ),
    "a path of another": (
        lambda run: _altered(run, 0, path=run[1].production.path[::-1]), "not in the statement"
    ),
    "a seal of another": (
        lambda run: _altered(run, 0, seal=run[1].production.seal), "statement is not anchored"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", RUN_FAULTS)
def test_a_forged_run_is_refused(ground: Ground, roof: Meter, fault: str) -> None:
    run = _run(ground, roof, (400, 400, 400))
    forge, reason = RUN_FAULTS[fault]
    with ground.refused(f"certificate: {reason}"):
        ground.ledger.claim_run(
            ground.stranger, run[0].previous, forge(run), run[-1].signature
        )  # fmt: skip


def test_one_interval_claimed_before_stops_the_whole_run(ground: Ground, roof: Meter) -> None:
    run = _run(ground, roof, (400, 400, 400))
    ground.claim(run[1])
    with ground.refused("certificate: interval already claimed"):
        ground.ledger.claim_run(
            ground.stranger, run[0].previous, [s.production for s in run], run[-1].signature
        )  # fmt: skip


# What is shown


CLAIM_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "the next place": ({"index": 3}, "not in the statement"),
    "the place before": ({"index": 1}, "not in the statement"),
    "the last place": ({"index": 4}, "path too long"),
    "a place beyond the last": ({"index": 5}, "no such leaf"),
    "a place far beyond": ({"index": 2**32 - 1}, "no such leaf"),
    "more issued than the leaf says": ({"issued_wh": 1000}, "not in the statement"),
    "less issued than the leaf says": ({"issued_wh": 500}, "not in the statement"),
    "more free than the leaf says": ({"free_wh": 401}, "not in the statement"),
    "less free than the leaf says": ({"free_wh": 399}, "not in the statement"),
    "all free": ({"free_wh": 900}, "not in the statement"),
    "more free than issued": ({"free_wh": 901}, "more free than issued"),
    "far more free than issued": ({"free_wh": 2**64 - 1}, "more free than issued"),
    "more issued than the meter shows": ({"issued_wh": 1001}, "more than the meter shows"),
    "nothing free": ({"free_wh": 0}, "nothing free to claim"),
}


@pytest.mark.parametrize("fault", CLAIM_FAULTS)
def test_a_claim_of_another_place_or_amount_is_refused(
    ground: Ground, roof: Meter, fault: str
) -> None:
    shown = ground.quarter(roof, issued=900)
    changes, reason = CLAIM_FAULTS[fault]
    with ground.refused(f"certificate: {reason}"):
        ground.claim(replace(shown, production=replace(shown.production, **changes)))


@pytest.mark.parametrize("node", range(3))
def test_a_wrong_path_is_refused(ground: Ground, roof: Meter, node: int) -> None:
    shown = ground.quarter(roof)
    path = list(shown.production.path)
    altered = [*path[:node], bytes(32), *path[node + 1 :]]
    for wrong, reason in (
        (altered, "not in the statement"),
        (path[:node] + path[node + 1 :], "path too short"),
        ([*path, path[node]], "path too long"),
        ([], "path too short"),
    ):
        with ground.refused(f"certificate: {reason}"):
            production = replace(shown.production, path=tuple(wrong))
            ground.claim(replace(shown, production=production))


def test_a_seal_that_was_never_anchored_is_refused(ground: Ground, roof: Meter) -> None:
    shown = ground.quarter(roof)
    seal = shown.production.seal
    for byte in (0, 31, 59, 63, 64, 67, 68, 99):
        forged = seal[:byte] + bytes([seal[byte] ^ 1]) + seal[byte + 1 :]
        with pytest.raises(Exception, match="certificate: "):
            ground.claim(replace(shown, production=replace(shown.production, seal=forged)))
    for length in (0, 99):
        with ground.refused("certificate: seal is not 100 bytes"):
            wrong = replace(shown.production, seal=seal[:length])
            ground.claim(replace(shown, production=wrong))
    ground.claim(shown)


def test_a_statement_of_another_community_certifies_nothing_here(
    ground: Ground, roof: Meter
) -> None:
    beside = Ground.new(ground)
    beside.join(1)
    before = roof.last.record
    beside.clock.now += QUARTER
    record = roof.next(beside.clock.now)
    closed = beside.close_now([leaf(record, 1000, 1000)])
    roof.last = record
    with ground.refused("certificate: meter is of another community"):
        ground.claim(Shown(before, closed.production(record), record.signature))
    nowhere = closed.production(record).seal
    founded_never = nowhere[:32] + account("nobody").address_bytes + nowhere[52:]
    with ground.refused("certificate: meter is of another community"):
        production = closed.production(record, seal=founded_never)
        ground.claim(Shown(before, production, record.signature))


@pytest.mark.parametrize(
    ("duration", "late", "reason"),
    [
        (900, 450, "interval is not on the grid"),
        (7_200, 0, "interval is not between a minute and an hour"),
        (59, 59, "interval is not between a minute and an hour"),
        (0, 0, "interval is not between a minute and an hour"),
        (60, 60, None),
        (900, 0, None),
    ],
)
def test_intervals_are_checked_whatever_a_community_s_own_contract_lets_through(
    ground: Ground, duration: int, late: int, reason: str | None
) -> None:
    """Rule R6: units of an interval off the grid would have no place of their own."""
    ledger, operator = ground.ledger, ground.operator
    at, issuer, connection = ledger.addresses, ground.issuer, ledger.connection
    lax = deploy(connection, operator, "lax_settlement", encode(["address"], [at.registry]))
    ground.send(issuer, "registry", "found", lax, operator.address_bytes)
    ground.send(operator, "registry", "join", lax, [operator.address_bytes])
    ground.clock.now += 7_200 - ground.clock.now % 7_200 + late
    meter = ground.meter(f"of a lax community {duration} {late}")
    ground.send(issuer, "registry", "register_meters", lax, [new_meter(meter.registered)])
    start = ground.clock.now
    record = meter.next(start + duration, duration=duration, export_wh=1)
    body, root = bytes(32), sha256(b"\0" + leaf(record, 1, 1)).digest()
    place = start.to_bytes(8) + duration.to_bytes(4) + (1).to_bytes(4)
    seal = body + lax + place + root
    set_anchor = keccak(b"set_anchor(uint256,bytes32)")[:4] + start.to_bytes(32)
    connection.send(operator, "0x" + lax.hex(), set_anchor + sha256(seal).digest())
    shown = Shown(
        meter.last.record,
        Production(record.record, seal, index=0, path=(), issued_wh=1, free_wh=1),
        record.signature,
    )
    if reason is None:
        ground.claim(shown)
        return
    with ground.refused(f"certificate: {reason}"):
        ground.claim(shown)


# Signatures


def test_a_wrong_signature_is_refused(ground: Ground, roof: Meter) -> None:
    shown = ground.quarter(roof)
    forger = MeterKey.from_seed(b"forger")
    r, s = shown.signature[:32], shown.signature[32:]
    for forged in (
        forger.sign(shown.production.record).signature,
        roof.key.sign(shown.previous).signature,
        bytes(64),
        r + bytes(32),
        bytes(32) + s,
        s[:1] + r[1:] + s,
        r + (int.from_bytes(s) ^ 1).to_bytes(32),
    ):
        if int.from_bytes(forged[32:]) >> 255:
            continue
        with ground.refused("certificate: signature is not the meter's"):
            ground.claim(replace(shown, signature=forged))
    with ground.refused("certificate: signature is not in its low form"):
        ground.claim(replace(shown, signature=other_form(shown.signature)))
    with ground.refused("certificate: signature is not in its low form"):
        ground.claim(replace(shown, signature=r + b"\xff" * 32))
    ground.claim(shown)


def test_an_interval_is_claimed_once_by_whatever_road(ground: Ground, roof: Meter) -> None:
    shown = ground.quarter(roof)
    ground.claim(shown)
    for signature in (shown.signature, other_form(shown.signature)):
        with ground.refused("certificate: interval already claimed"):
            ground.claim(replace(shown, signature=signature))
        with ground.refused("certificate: interval already claimed"):
            ground.ledger.claim_run(
                ground.stranger, shown.previous, [shown.production], signature
            )  # fmt: skip


def test_a_second_leaf_or_record_for_a_claimed_interval_mints_nothing(ground: Ground) -> None:
    """The operator writes two leaves; the meter, its key stolen, signs two records."""
    ground.register(meter := ground.meter("double"))
    ground.clock.now += QUARTER
    first, second = meter.next(ground.clock.now), meter.next(ground.clock.now, export_wh=900)
    closed = ground.close_now([leaf(first, 1000, 400), leaf(first, 1000, 600), leaf(second, 9, 9)])
    opening = meter.last.record
    ground.claim(Shown(opening, closed.production(first, 0), first.signature))
    for record, index in ((first, 1), (second, 2)):
        with ground.refused("certificate: interval already claimed"):
            production = closed.production(record, index)
            ground.claim(Shown(opening, production, record.signature))


# Records


RECORD_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "another version": ({"version": 2}, "unknown record version"),
    "substituted": ({"kind": 2}, "record is not of this kind"),
    "a correction": ({"kind": 3}, "record is not of this kind"),
    "a meter exchange": ({"kind": 4}, "record is not of this kind"),
    "no quality": ({"quality": 0}, "reading is not sound"),
    "estimated": ({"quality": 1 | 4}, "reading is not sound"),
    "substituted value": ({"quality": 1 | 8}, "reading is not sound"),
    "meter error": ({"quality": 2 | 32}, "reading is not sound"),
    "another ledger": ({"ledger": b"elsewher"}, "record is for another ledger"),
    "no previous": ({"previous": bytes(32)}, "previous record is not the one named"),
    "a gap in the sequence": ({"sequence": 99}, "records are not adjacent"),
    "the same sequence": ({"sequence": 0}, "records are not adjacent"),
    "the end of the time": ({"time_end": 2**64 - 1}, "intervals do not meet"),
    "an earlier end": ({"time_end": NOON}, "intervals do not meet"),
    "half the time": ({"duration": 450}, "intervals do not meet"),
    "a register that fell": ({"export_mwh": 5_000_399}, "register went down"),
    "too much power": (
        {"export_mwh": 5_000_400 + 1_563_000}, "more than rated power"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", RECORD_FAULTS)
def test_a_faulty_record_certifies_nothing_though_signed_and_anchored(
    ground: Ground, fault: str
) -> None:
    ground.register(meter := ground.meter(f"faulty: {fault}"))
    changes, reason = RECORD_FAULTS[fault]
    shown = ground.quarter(meter, issued=1, free=1, **changes)
    with ground.refused(f"certificate: {reason}"):
        ground.claim(shown)


@pytest.mark.parametrize("quality", [1, 2, 3, 1 | 16, 1 | 64, 1 | 128, 2 | 16 | 64 | 128])
def test_sound_readings_are_taken_whoever_vouched(ground: Ground, quality: int) -> None:
    ground.register(meter := ground.meter(f"sound {quality}"))
    ground.claim(ground.quarter(meter, quality=quality, kind=quality % 2))


def test_as_much_as_rated_power_and_a_quarter_is_believed(ground: Ground) -> None:
    """5 kW for a quarter hour and a quarter more are 1562.5 Wh: rounded down."""
    ground.register(meter := ground.meter("sunny"))
    ground.claim(ground.quarter(meter, issued=1562, free=1562, export_wh=1562))
    shown = ground.quarter(meter, issued=1562, free=1562, export_wh=1563)
    with ground.refused("certificate: more than rated power"):
        ground.claim(shown)


def test_the_largest_plant_fits_and_what_no_lane_holds_is_not_believed(ground: Ground) -> None:
    """137 GWh in a quarter hour: more than all plants on earth give."""
    ground.register(meter := ground.meter("sunflower", rated_w=2**40 - 1))
    most = 2**37 - 1
    shown = ground.quarter(meter, issued=most, free=most, export_wh=most)
    ground.claim(shown)
    token = ground.token(shown.production)
    owner = ground.members[0]
    assert ground.ledger.units(owner.address_bytes, token) == most
    day = Purpose("steelworks", "", "DE", token.start, token.start + QUARTER, "heat")
    ground.ledger.retire(owner, owner.address_bytes, token, most - 1, day)
    assert ground.ledger.units(owner.address_bytes, token) == 1
    assert ground.ledger.retired(owner.address_bytes, token) == most - 1
    shown = ground.quarter(meter, issued=1, free=1, export_wh=most + 1)
    with ground.refused("certificate: more than rated power"):
        ground.claim(shown)


def test_another_previous_record_is_refused(ground: Ground, roof: Meter) -> None:
    shown = ground.quarter(roof)
    other = ground.quarter(roof).previous
    altered = _with(shown.previous, export_mwh=0)
    ground.register(neighbour := ground.meter("neighbour's roof"))
    for previous, reason in (
        (other, "previous record is not the one named"),
        (altered, "previous record is not the one named"),
        (neighbour.last.record, "previous record is of another meter"),
        (_with(shown.previous, version=9), "unknown record version"),
        (_with(shown.previous, ledger=bytes(8)), "record is for another ledger"),
        (shown.previous[:-1], "record is not 100 bytes"),
        (b"", "record is not 100 bytes"),
    ):
        with ground.refused(f"certificate: {reason}"):
            ground.claim(replace(shown, previous=previous))
    with ground.refused("certificate: record is not 100 bytes"):
        production = replace(shown.production, record=shown.production.record[:-1])
        ground.claim(replace(shown, production=production))


def test_a_gap_blocks_only_the_interval_behind_it(ground: Ground, roof: Meter) -> None:
    before = roof.last.record
    lost = _skip(ground, roof)
    shown = ground.quarter(roof)
    with ground.refused("certificate: previous record is not the one named"):
        ground.claim(replace(shown, previous=before))
    # A meter that was silent for a quarter hour and counts on: the interval is not the record's.
    ground.clock.now += QUARTER
    late = ground.quarter(roof)
    with ground.refused("certificate: intervals do not meet"):
        ground.claim(late)
    ground.claim(shown)
    ground.claim(ground.quarter(roof))
    assert lost


def test_an_opening_record_of_ones_own_choosing_is_refused(ground: Ground) -> None:
    ground.register(meter := ground.meter("rewound"))
    lower = meter.key.sign(_with(meter.last.record, export_mwh=0))
    meter.last = lower
    shown = ground.quarter(meter)
    with ground.refused("certificate: not the meter's opening record"):
        ground.claim(shown)


def test_nothing_is_certified_from_before_a_meters_first_day(ground: Ground) -> None:
    ground.register(meter := ground.meter("planned", first_day=NOON // 86_400 + 30))
    shown = ground.quarter(meter)
    with ground.refused("certificate: before the meter's first day"):
        ground.claim(shown)


METERS_WITHOUT = {
    "grid connection": {"role": 0, "source": 0},
    "battery": {"role": 2, "source": 0},
    "generator without a source": {"source": 0},
}


@pytest.mark.parametrize("kind", METERS_WITHOUT)
def test_only_generation_with_a_source_is_certified(ground: Ground, kind: str) -> None:
    ground.register(meter := ground.meter(kind, **METERS_WITHOUT[kind]))
    shown = ground.quarter(meter)
    with ground.refused("certificate: meter is not generation with a source"):
        ground.claim(shown)


def test_a_meter_that_writes_to_the_chain_itself_is_not_certified_here(ground: Ground) -> None:
    ground.register(meter := ground.meter("direct", direct=True))
    shown = ground.quarter(meter)
    with ground.refused("certificate: meter writes to the chain itself"):
        ground.claim(shown)


def test_an_unknown_meter_certifies_nothing(ground: Ground) -> None:
    shown = ground.quarter(ground.meter("unknown"))
    with ground.refused("certificate: unknown meter"):
        ground.claim(shown)


def test_the_record_of_one_meter_under_the_leaf_of_another_is_refused(ground: Ground) -> None:
    honest, thief = ground.meter("honest"), ground.meter("thief")
    ground.register(honest, thief)
    record = honest.next(ground.clock.now + QUARTER)
    stolen = leaf(record, 1000, 400, meter=thief.key.meter)
    shown = ground.quarter(honest, leaf=stolen)
    with ground.refused("certificate: not in the statement"):
        ground.claim(shown)


def test_certificates_after_a_sale_go_to_the_new_owner(ground: Ground) -> None:
    ground.register(meter := ground.meter("sold"))
    sold, kept = ground.quarter(meter), ground.quarter(meter)
    ground.claim(sold)
    ground.ledger.offer_meter(ground.members[0], meter.key.meter, 4)
    ground.ledger.accept_meter(ground.members[4], meter.key.meter)
    ground.claim(kept)
    buyer = ground.members[4].address_bytes
    assert ground.ledger.units(buyer, ground.token(kept.production)) == 400
    assert ground.ledger.units(buyer, ground.token(sold.production)) == 0


def _skip(ground: Ground, meter: Meter, **changes: Any) -> SignedRecord:
    """A quarter hour that is closed without this meter, which counted on."""
    ground.clock.now += QUARTER
    meter.last = meter.next(ground.clock.now, **changes)
    _: Closed = ground.close_now()
    return meter.last


def _with(record: bytes, **changes: Any) -> bytes:
    return Record.decode(record)._replace(**changes).encode()


def _altered(run: list[Shown], at: int, **changes: Any) -> list[Production]:
    productions = [shown.production for shown in run]
    productions[at] = replace(productions[at], **changes)
    return productions


def _send_run(
    ground: Ground, previous: bytes, productions: list[Production], signature: bytes
) -> None:
    halves = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    steps = [production.as_step() for production in productions]
    data = contract("Certificate").data(
        "claim_run", ground.ledger.addresses.settlement, QUARTER, previous, steps, *halves
    )
    at = "0x" + ground.ledger.addresses.certificate.hex()
    ground.ledger.connection.send(ground.stranger, at, data)


def test_a_tokens_id_is_meter_start_and_length(ground: Ground, roof: Meter) -> None:
    shown = ground.quarter(roof)
    token = ground.token(shown.production)
    assert token.number == roof.number << 96 | token.start << 32 | QUARTER
    assert token == type(token).of(token.number)
    assert sha256(roof.key.public_key).digest()[-20:] == token.meter

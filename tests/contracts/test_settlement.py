"""What the settlement pays and anchors, and everything it refuses."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from commonwatt.audit.facts import GRID_LANE, SUPPLIER_LANE
from commonwatt.chain.abi import contract
from commonwatt.statement.close import LANE_BIAS, packed_deltas
from contracts.ground import EURO, NOON, QUARTER, Ground, account, fresh_ground

DELTAS = [-300, 100, 0, 250, -50, 0, -20]


def test_a_close_pays_everybody_and_keeps_the_anchor(ground: Ground) -> None:
    before = ground.ledger.balances()
    supplier, grid = ground.ledger.balance(SUPPLIER_LANE), ground.ledger.balance(GRID_LANE)
    closed = ground.close(deltas=DELTAS, supplier_in=30, supplier_out=25, grid_in=15)
    assert ground.ledger.balances() == tuple(map(sum, zip(before, DELTAS, strict=True)))
    assert ground.ledger.balance(SUPPLIER_LANE) == supplier + 5
    assert ground.ledger.balance(GRID_LANE) == grid + 15
    assert ground.ledger.anchor(closed.header.start) == closed.header.anchor
    assert ground.ledger.last() == (
        closed.header.start, QUARTER, closed.header.anchor, closed.header.flows
    )  # fmt: skip


def test_no_gap_is_asked_for_between_intervals_and_their_length_may_change() -> None:
    ground = fresh_ground(1)
    ground.clock.now += 7 * QUARTER
    ground.clock.now += -ground.clock.now % 3600
    ground.close_now(start=ground.clock.now - 3600, duration=3600)
    ground.clock.now += 60
    ground.close_now(start=ground.clock.now - 60, duration=60)


HEADER_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "another version": ({"version": 2}, "unknown header version"),
    "flags nobody knows": ({"flags": 1}, "unknown header version"),
    "another ledger": ({"ledger": bytes(8)}, "header is for another ledger"),
    "another community": ({"community": bytes(20)}, "header is for another community"),
    "no duration": ({"duration": 0}, "interval is not between a minute and an hour"),
    "59 seconds": ({"duration": 59}, "interval is not between a minute and an hour"),
    "two hours": ({"duration": 7200}, "interval is not between a minute and an hour"),
    "more issued": ({"issued_wh": 1_001}, "issued is not retired plus free"),
    "less issued": ({"issued_wh": 999}, "issued is not retired plus free"),
    "flows that were not": ({"flows": 99}, "header counts flows that were not"),
    "flows forgotten": ({"flows": 0}, "header forgets flows already seen"),
    "another roll": ({"roll": bytes(32)}, "roll is not the registry's"),
    "another previous": ({"previous": bytes(32)}, "previous anchor is not the last one"),
    "other deltas": ({"deltas_hash": bytes(32)}, "deltas are not as in the header"),
    "money from nowhere": ({"supplier_in": 1}, "deltas do not sum to zero"),
    "money lost": ({"supplier_out": 1}, "deltas do not sum to zero"),
    "grid fee from nowhere": ({"grid_in": 1}, "deltas do not sum to zero"),
    "a supplier that cannot pay": (
        {"supplier_out": 2**63, "grid_in": 2**63}, "a lane would fall below zero"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", HEADER_FAULTS)
def test_a_wrong_header_is_refused(ground: Ground, fault: str) -> None:
    ground.clock.now += QUARTER
    changes, reason = HEADER_FAULTS[fault]
    with ground.refused(f"settlement: {reason}"):
        ground.close_now(**changes)


def test_a_header_of_another_length_is_refused(ground: Ground) -> None:
    ground.clock.now += QUARTER
    header = ground.header([0] * 7).encode()
    with ground.refused("settlement: header is not 488 bytes"):
        ground.ledger.close(ground.operator, header[:-1], packed_deltas([0] * 7))


def test_only_the_closer_closes(ground: Ground) -> None:
    ground.clock.now += QUARTER
    header, words = ground.header([0] * 7).encode(), packed_deltas([0] * 7)
    for caller in (ground.stranger, ground.members[0], ground.issuer, ground.supplier):
        with ground.refused("settlement: caller is not the closer"):
            ground.ledger.close(caller, header, words)


def test_the_same_interval_is_not_closed_twice(ground: Ground) -> None:
    closed = ground.close()
    for again in (closed.header, replace(closed.header, previous=closed.header.anchor)):
        with ground.refused("settlement: interval already closed"):
            ground.send_close(again, [0] * 7)


def test_an_older_interval_is_not_closed_any_more(ground: Ground) -> None:
    ground.close()
    for start in (NOON - QUARTER, ground.clock.now - 2 * QUARTER, ground.clock.now - QUARTER - 60):
        duration = 60 if start % QUARTER else QUARTER
        with ground.refused("settlement: interval already closed"):
            ground.close_now(start=start, duration=duration)


def test_an_interval_that_is_not_over_is_not_closed(ground: Ground) -> None:
    ground.close()
    for start in (ground.clock.now, ground.clock.now + 100 * QUARTER, 2**64 - 1):
        with ground.refused("settlement: interval is not over"):
            ground.close_now(start=start - start % QUARTER)
    ground.clock.now += QUARTER - 1
    with ground.refused("settlement: interval is not over"):
        ground.close_now(start=ground.clock.now + 1 - QUARTER)
    ground.clock.now += 1


def test_an_interval_off_the_grid_is_refused(ground: Ground) -> None:
    ground.clock.now += 2 * QUARTER
    with ground.refused("settlement: interval is not on the grid"):
        ground.close_now(start=ground.clock.now - QUARTER - 1)


@pytest.mark.parametrize("residue", [1, -1, LANE_BIAS - 1, 2**42 - 1])
def test_deltas_that_do_not_sum_to_zero_are_refused(ground: Ground, residue: int) -> None:
    ground.clock.now += QUARTER
    deltas = [0, residue % LANE_BIAS, 0, 0, 0, 0, 0] if residue > 0 else [0] * 6 + [residue]
    balance = ground.ledger.balances()[1]
    deltas[1] = min(deltas[1], LANE_BIAS - 1 - balance)
    with ground.refused("settlement: deltas do not sum to zero"):
        ground.close_now(deltas=deltas)


@pytest.mark.parametrize("lane", range(7))
def test_no_lane_falls_below_zero(ground: Ground, lane: int) -> None:
    ground.clock.now += QUARTER
    held, other = ground.ledger.balances()[lane], (lane + 1) % 7
    deltas = [0] * 7
    deltas[lane], deltas[other] = -held - 1, held + 1
    with ground.refused("settlement: a lane would fall below zero"):
        ground.close_now(deltas=deltas)


def test_a_lane_may_be_drained_to_nothing_and_filled_to_the_brim() -> None:
    ground = fresh_ground(2)
    held = ground.ledger.balances()[0]
    ground.close(deltas=[-held, held])
    ground.fund(0, LANE_BIAS - 1)
    assert ground.ledger.balances() == (LANE_BIAS - 1, 2 * held)
    ground.clock.now += QUARTER
    with ground.refused("settlement: a lane would exceed its limit"):
        ground.close_now(deltas=[1, -1])
    ground.close_now(deltas=[-LANE_BIAS + 1, 0], supplier_in=LANE_BIAS - 1)
    assert ground.ledger.balances() == (0, 2 * held)


def test_the_wide_lanes_have_a_limit_too() -> None:
    ground = fresh_ground(1)
    ground.fund(SUPPLIER_LANE, 2**80 - 1 - 100 * EURO)
    ground.fund(GRID_LANE, 2**80 - 1)
    ground.clock.now += QUARTER
    for gains in ({"supplier_in": 1}, {"grid_in": 1}):
        with ground.refused("settlement: a lane would exceed its limit"):
            ground.close_now(deltas=[-1], **gains)
    ground.close_now(deltas=[1], supplier_out=1)
    assert ground.ledger.balance(GRID_LANE) == 2**80 - 1


BROKEN_WORDS = {
    "a lane of 42 bits": (1 << 41, "settlement: a delta is out of range"),
    "a bit above the lanes": (1 << 252, "settlement: a delta is out of range"),
    "the highest bit": (1 << 255, "settlement: a delta is out of range"),
    "a borrow from the neighbour": (-(2**40) - 1, "settlement: a delta is out of range"),
}


@pytest.mark.parametrize("fault", BROKEN_WORDS)
def test_words_that_are_not_six_changes_are_refused(ground: Ground, fault: str) -> None:
    ground.clock.now += QUARTER
    added, reason = BROKEN_WORDS[fault]
    words = [int.from_bytes(word) for word in packed_deltas([0] * 7)]
    words[0] += added
    deltas = [word.to_bytes(32) for word in words]
    digest = sha256(b"".join(deltas)).digest()
    header = ground.header([0] * 7, deltas_hash=digest)
    with ground.refused(reason):
        ground.ledger.close(ground.operator, header.encode(), deltas)


def test_a_lane_nobody_has_takes_no_money(ground: Ground) -> None:
    ground.clock.now += QUARTER
    with ground.refused("settlement: a delta for a lane nobody has"):
        ground.close_now(deltas=[-1, 0, 0, 0, 0, 0, 0, 1])


@pytest.mark.parametrize("lanes", [0, 6, 13])
def test_there_is_one_delta_for_each_lane(ground: Ground, lanes: int) -> None:
    ground.clock.now += QUARTER
    header = ground.header([0] * lanes)
    with ground.refused("settlement: not one delta per lane"):
        ground.send_close(header, [0] * lanes)


def test_part_of_a_word_is_refused(ground: Ground) -> None:
    ground.clock.now += QUARTER
    deltas = [*packed_deltas([0] * 7), b"\0"]
    header = ground.header([0] * 7, deltas_hash=sha256(b"".join(deltas)).digest())
    with ground.refused("settlement: not one delta per lane"):
        ground.ledger.close(ground.operator, header.encode(), deltas)


# Money in and out


def test_deposits_and_withdrawals_are_numbered_and_paid() -> None:
    ground = fresh_ground(2)
    member, flows = ground.members[1], ground.ledger.flows()
    ground.ledger.mint(ground.issuer, [(member.address_bytes, 1_000)])
    ground.ledger.deposit(member, 1, 600)
    ground.ledger.withdraw(member, 1, 100 * EURO + 250)
    ground.ledger.withdraw(ground.supplier, SUPPLIER_LANE, 100 * EURO)
    assert ground.ledger.balances() == (100 * EURO, 350)
    assert ground.ledger.wallet(member.address_bytes) == 100 * EURO + 650
    assert ground.ledger.wallet(ground.supplier.address_bytes) == 100 * EURO
    assert [(f.number, f.lane, f.amount) for f in ground.ledger.facts().flows[flows:]] == [
        (flows + 1, 1, 600),
        (flows + 2, 1, -100 * EURO - 250),
        (flows + 3, SUPPLIER_LANE, -100 * EURO),
    ]


def test_anyone_may_pay_into_any_lane_and_only_its_owner_takes_out(ground: Ground) -> None:
    ground.fund(3, 50)
    ground.fund(GRID_LANE, 50)
    for lane in (3, SUPPLIER_LANE, GRID_LANE):
        for thief in (ground.stranger, ground.operator, ground.issuer, ground.members[0]):
            with ground.refused("settlement: caller does not own the lane"):
                ground.ledger.withdraw(thief, lane, 1)


def test_nobody_takes_out_more_than_a_lane_holds(ground: Ground) -> None:
    held = ground.ledger.balances()[0]
    for amount in (held + 1, 2**40, 2**255 - 1):
        with ground.refused("settlement: a lane would fall below zero"):
            ground.ledger.withdraw(ground.members[0], 0, amount)


def test_nothing_is_neither_paid_in_nor_out(ground: Ground) -> None:
    with ground.refused("settlement: amount is zero"):
        ground.ledger.withdraw(ground.members[0], 0, 0)
    data = contract("Settlement").data("deposit", 0, 0)
    with ground.refused("settlement: amount is zero"):
        ground.ledger.connection.send(ground.stranger, _settlement(ground), data)


@pytest.mark.parametrize("lane", [7, 1499, 1500, 2**32 - 1, 2**32 + 2, 2**255])
def test_a_lane_nobody_has_is_not_paid_into(ground: Ground, lane: int) -> None:
    data = contract("Settlement").data("deposit", lane, 1)
    with ground.refused("settlement: no such lane"):
        ground.ledger.connection.send(ground.stranger, _settlement(ground), data)
    with ground.refused("settlement: caller does not own the lane"):
        ground.ledger.withdraw(ground.stranger, lane, 1)


def test_a_deposit_needs_tokens_and_their_owners_leave(ground: Ground) -> None:
    poor, data = account("poor"), contract("Settlement").data("deposit", 0, 5)
    with ground.refused("euro: allowance too small"):
        ground.ledger.connection.send(poor, _settlement(ground), data)
    allowed = contract("Euro").data("approve", ground.ledger.addresses.settlement, 5)
    ground.ledger.connection.send(poor, "0x" + ground.ledger.addresses.token.hex(), allowed)
    with ground.refused("euro: balance too small"):
        ground.ledger.connection.send(poor, _settlement(ground), data)


def test_a_deposit_above_a_lanes_limit_is_refused(ground: Ground) -> None:
    for lane, amount in ((0, LANE_BIAS), (SUPPLIER_LANE, 2**80 - 1)):
        data = contract("Settlement").data("deposit", lane, amount)
        with ground.refused("settlement: a lane would exceed its limit"):
            ground.ledger.connection.send(ground.stranger, _settlement(ground), data)
    data = contract("Settlement").data("deposit", SUPPLIER_LANE, 2**80)
    with ground.refused("settlement: amount too large"):
        ground.ledger.connection.send(ground.stranger, _settlement(ground), data)


# Who closes


def test_the_operator_may_name_another_closer_and_a_new_operator_replaces_it() -> None:
    ground = fresh_ground(1)
    for caller in (ground.stranger, ground.issuer):
        with ground.refused("settlement: caller is not the operator"):
            ground.ledger.set_closer(caller, ground.stranger.address_bytes)
    committee, successor = account("committee"), account("successor")
    ground.ledger.set_closer(ground.operator, committee.address_bytes)
    assert ground.ledger.closer() == committee.address_bytes
    ground.clock.now += QUARTER
    with ground.refused("settlement: caller is not the closer"):
        ground.close_now()
    ground.ledger.set_operator(ground.operator, successor.address_bytes)
    assert ground.ledger.closer() == successor.address_bytes
    ground.ledger.close(successor, ground.header([0]).encode(), packed_deltas([0]))


@pytest.mark.parametrize("function", ["appoint", "keep_up"])
def test_only_the_registry_writes_what_is_the_registrys(ground: Ground, function: str) -> None:
    values = (ground.stranger.address_bytes,) if function == "appoint" else (9, bytes(32))
    data = contract("Settlement").data(function, *values)
    for caller in (ground.operator, ground.issuer, ground.stranger):
        with ground.refused("settlement: caller is not the registry"):
            ground.ledger.connection.send(caller, _settlement(ground), data)


def _settlement(ground: Ground) -> str:
    return "0x" + ground.ledger.addresses.settlement.hex()

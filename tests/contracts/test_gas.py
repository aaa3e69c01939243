"""What each operation costs, to the unit of gas: a change shows here before it shows on a bill.

After a change on purpose: COMMONWATT_WRITE_GAS=1 python -m pytest tests/contracts/test_gas.py
"""

import json
import os
import random
from pathlib import Path

import pytest

from commonwatt.audit.facts import SUPPLIER_LANE
from commonwatt.chain.abi import contract
from commonwatt.chain.connection import Receipt
from commonwatt.chain.ledger import LANES_PER_WORD, NAMED_LANE_SLOTS_MIN, slots_of_close
from commonwatt.chain.production import Purpose
from commonwatt.statement.close import packed_deltas
from contracts.ground import EURO, NOON, Ground, Shown, account

FILE = Path(__file__).parent / "gas.json"
UNNAMED = "slots not named"
BUDGETS = {
    "close, 43 participants": 120_000,
    "close, 1000 participants": 1_080_000,
    "claim, tree of 64": 110_000,
    "claim, tree of 64, first of three in a slot": 110_000,
    "claim run of 32, tree of 64, each": 40_000,
    "issue_direct": 85_000,
    "transfer, first of three in a slot": 58_000,
    "transfer": 58_000,
    "retire": 36_000,
    "buy": 110_000,
    "buy, first of three in a slot": 110_000,
    "buy, of a seller without tokens": 110_000,
}


def measure() -> dict[str, int]:
    """Run every operation once, on the same ground each time."""
    return {**_closes(), **_flows(), **_certificates(), **_direct(), **_sales()}


def _closes() -> dict[str, int]:
    found = {}
    for members in (6, 43, 300, 1000):
        name = f"close, {members} participants"
        found[name] = _close(members)
        if slots_of_close(-(-members // LANES_PER_WORD)):
            found[f"{name}, {UNNAMED}"] = _close(members, named=False)
    return found


def _close(members: int, *, named: bool = True) -> int:
    """The second close of a community in which everybody pays or earns some tens of cents."""
    ground, chance = Ground.new(), random.Random(members)
    ground.join(members)
    ground.fund(SUPPLIER_LANE, (members + 1) * 10 * EURO)
    ground.close(deltas=[10 * EURO] * members, supplier_out=10 * EURO * members)
    gas = 0
    for _ in range(2):
        deltas = [chance.randint(-EURO // 4, EURO // 4) for _ in range(members)]
        residue, grid = -sum(deltas), EURO // 10
        gained, paid = max(residue - grid, 0), max(grid - residue, 0)
        ground.clock.now += 900
        header = ground.header(deltas, supplier_in=gained, supplier_out=paid, grid_in=grid)
        if named:
            gas = ground.send_close(header, deltas).gas_used
        else:
            values = header.encode(), b"".join(packed_deltas(deltas))
            data = contract("Settlement").data("close", *values)
            settlement = "0x" + ground.ledger.addresses.settlement.hex()
            gas = ground.ledger.connection.send(ground.operator, settlement, data).gas_used
        ground.close_header(header)
    return gas


def _flows() -> dict[str, int]:
    ground = Ground.new()
    many = [account(f"many {index}").address_bytes for index in range(120)]
    found = {"join, 120 at once, each": _gas(ground.ledger.join(ground.operator, many), 120)}
    plain = [ground.meter(f"plain {n}", role=0, source=0).registered for n in range(48)]
    receipts = ground.ledger.register_meters(
        plain, operator=ground.operator, issuer=ground.issuer
    )  # fmt: skip
    found["register a meter, 48 at once, each"] = _gas(receipts, 48)
    ground.ledger.join(ground.operator, [ground.issuer.address_bytes])
    ground.fund(120, 5 * EURO)
    ground.ledger.mint(ground.issuer, [(ground.issuer.address_bytes, 2 * EURO)])
    found["deposit"] = ground.ledger.deposit(ground.issuer, 120, EURO).gas_used
    found["withdraw"] = ground.ledger.withdraw(ground.issuer, 120, EURO).gas_used
    return found


def _roof(ground: Ground) -> list[Shown]:
    """Twelve quarter hours of a roof among 63 others, the first at the start of a slot."""
    ground.join(2)
    ground.register(meter := ground.meter("roof"))
    ground.clock.now += -ground.clock.now % (900 * 256 * 3)
    ground.quarter(meter, others=63)
    return [ground.quarter(meter, others=63) for _ in range(12)]


def _certificates() -> dict[str, int]:
    ground = Ground.new()
    shown = _roof(ground)
    meter, ledger = ground.meters[0], ground.ledger
    claims = [ground.claim(each).gas_used for each in shown]
    run = [ground.quarter(meter, others=63) for _ in range(32)]
    receipt = ledger.claim_run(
        ground.stranger, run[0].previous, [each.production for each in run], run[-1].signature
    )  # fmt: skip
    owner, tokens = ground.members[0], [ground.token(each.production) for each in shown]
    at, buyer = owner.address_bytes, ground.members[1].address_bytes
    day = Purpose("household", "Market Square 1", "DE", NOON, NOON + 10**8, "own use")
    message = bytes(range(32))
    return {
        "claim, tree of 64, first of a meter": claims[0],
        "claim, tree of 64, first of three in a slot": claims[5],
        "claim, tree of 64": max(claims[6], claims[7]),
        "claim run of 32, tree of 64, each": _gas([receipt], 32),
        "transfer, first of three in a slot": _used(
            ledger.transfer(owner, at, buyer, tokens[5], 100)
        ),
        "transfer": _used(ledger.transfer(owner, at, buyer, tokens[6], 100)),
        "transfer of 12 at once, each": _gas(
            [ledger.transfer_many(owner, at, buyer, [(token, 1) for token in tokens])], 12
        ),
        "retire": _used(ledger.retire(owner, at, tokens[6], 100, day)),
        "keep": _used(ledger.keep(owner, meter.key.meter, ground.clock.now)),
        "withdraw units": _used(
            ledger.withdraw_units(ground.issuer, at, tokens[7], 10, "counted twice")
        ),
        "reinstate": _used(ledger.reinstate(ground.issuer, at, tokens[6], 10, "not delivered")),
        "export": _used(
            ledger.export_units(owner, at, tokens[8], 10, destination=message, message=message)
        ),
        "restore": _used(ledger.restore(ground.issuer, at, tokens[8], 10, message)),
        "post to the book": _used(
            [ledger.post(ground.issuer, count, message) for count in (1, 2)][-1]
        ),
    }


def _direct() -> dict[str, int]:
    """A plant's meter that writes to the chain itself, in its second slot of intervals."""
    ground = Ground.new()
    ground.join(1)
    ground.clock.now += -ground.clock.now % (900 * 256 * 3)
    ground.register(meter := ground.meter("plant", direct=True))
    start = ground.ledger.start_direct(ground.stranger, meter.last.record)
    gas = [ground.issue(meter).gas_used for _ in range(6)]
    return {
        "start_direct": start.gas_used,
        "issue_direct, first of three in a slot": gas[3],
        "issue_direct": max(gas[4:]),
    }


def _sales() -> dict[str, int]:
    ground = Ground.new()
    shown = _roof(ground)
    ledger = ground.ledger
    for each in shown:
        ground.claim(each)
    tokens = [ground.token(each.production) for each in shown]
    seller, buyer = ground.members
    ledger.mint(ground.issuer, [(buyer.address_bytes, 10**9)])
    end = ground.clock.now + 86_400
    offers = [ledger.offer(seller, token, 400, 25_000, end).gas_used for token in tokens]
    bought = [ledger.buy(buyer, number, 100, 100 * 25_000).gas_used for number in (1, 4, 5)]
    return {
        "offer": max(offers[1:]),
        "buy, of a seller without tokens": bought[0],
        "buy, first of three in a slot": bought[1],
        "buy": bought[2],
        "buy, all that is left": ledger.buy(buyer, 5, 300, 300 * 25_000).gas_used,
        "cancel an offer": ledger.cancel_offer(seller, 4).gas_used,
    }


def _used(receipt: Receipt) -> int:
    return receipt.gas_used


def _gas(receipts: list[Receipt], shares: int) -> int:
    return sum(receipt.gas_used for receipt in receipts) // shares


@pytest.fixture(scope="module")
def measured() -> dict[str, int]:
    found = measure()
    if os.environ.get("COMMONWATT_WRITE_GAS"):
        FILE.write_text(json.dumps(found, indent=1) + "\n")
    return found


def test_gas_is_what_it_was(measured: dict[str, int]) -> None:
    assert measured == json.loads(FILE.read_text())


@pytest.mark.parametrize("operation", BUDGETS)
def test_gas_is_within_its_budget(measured: dict[str, int], operation: str) -> None:
    assert measured[operation] <= BUDGETS[operation]


def test_slots_are_named_from_where_it_pays() -> None:
    members = NAMED_LANE_SLOTS_MIN * LANES_PER_WORD
    # 28 slots, three of them not lanes, save 100 each; the contract costs 2,400.
    assert _close(members, named=False) - _close(members) == 28 * 100 - 2_400
    assert slots_of_close(NAMED_LANE_SLOTS_MIN - 1) == ()


def test_the_slots_a_close_names_are_those_it_reads_and_writes() -> None:
    ground, members = Ground.new(), NAMED_LANE_SLOTS_MIN * LANES_PER_WORD
    ground.join(members)
    settlement = ground.ledger.addresses.settlement
    ground.fund(SUPPLIER_LANE, members * EURO)
    before = ground.state()[settlement]
    ground.close(deltas=[EURO] * members, supplier_out=members * EURO)
    after = ground.state()[settlement]
    named = {slot.to_bytes(32) for slot in slots_of_close(NAMED_LANE_SLOTS_MIN)}
    changed = {slot for slot in after if after[slot] != before.get(slot)}
    # It also writes the new anchor; it reads the roll and the roster, which are named too.
    (anchor,) = changed - named
    assert after[anchor] == int.from_bytes(ground.previous)
    assert {before[slot] for slot in named - changed} == {
        int.from_bytes(ground.ledger.roll()),
        int.from_bytes(ground.operator.address_bytes) << 96 | members << 64 | ground.ledger.flows(),
    }

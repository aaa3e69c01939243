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
    "claim, tree of 64, first of six in a slot": 110_000,
    "claim run of 32, tree of 64, each": 40_000,
}


def measure() -> dict[str, int]:
    """Run every operation once, on the same ground each time."""
    return {**_closes(), **_flows(), **_certificates()}


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


def _certificates() -> dict[str, int]:
    ground = Ground.new()
    ground.join(2)
    ground.register(meter := ground.meter("roof"))
    ground.clock.now += -ground.clock.now % (900 * 256 * 6)

    def quarter() -> Shown:
        return ground.quarter(meter, others=63)

    quarter()
    shown = [quarter() for _ in range(12)]
    claims = [ground.claim(each).gas_used for each in shown]
    run = [quarter() for _ in range(32)]
    receipt = ground.ledger.claim_run(
        ground.stranger, run[0].previous, [each.production for each in run], run[-1].signature
    )  # fmt: skip
    owner, one, two = ground.members[0], shown[6], shown[7]
    buyer = ground.members[1].address_bytes
    day = Purpose("household", "Market Square 1", "DE", NOON, NOON + 10**8, "own use")
    move, retire = ground.ledger.transfer, ground.ledger.retire
    tokens = [ground.token(each.production) for each in (one, two)]
    at = owner.address_bytes
    return {
        "claim, tree of 64, first of a meter": claims[0],
        "claim, tree of 64, first of six in a slot": claims[5],
        "claim, tree of 64": max(claims[6:11]),
        "claim run of 32, tree of 64, each": _gas([receipt], 32),
        "transfer, first of six in a slot": move(owner, at, buyer, tokens[0], 100).gas_used,
        "transfer": move(owner, at, buyer, tokens[1], 100).gas_used,
        "retire, first of six in a slot": retire(owner, at, tokens[0], 100, day).gas_used,
        "retire": retire(owner, at, tokens[1], 100, day).gas_used,
    }


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

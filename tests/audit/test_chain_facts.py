"""The chain is believed, so whatever does not fit it is found: lanes, flows, closes, members."""

from collections.abc import Callable
from dataclasses import fields, replace
from hashlib import sha256

import pytest

from commonwatt.audit.chain import require_registers
from commonwatt.audit.difference import Difference, header_difference
from commonwatt.audit.facts import (
    GRID_LANE,
    SUPPLIER_LANE,
    ChainFacts,
    Flow,
    RegisteredMeter,
)
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.record import SignedRecord
from commonwatt.meter.registration import Registration
from commonwatt.statement.header import Header, SectionRoot
from commonwatt.statement.publication import CONSTITUTION_PATH, REGISTER_PATH
from lived import POOR, PRODUCER, judged, lived_in
from street import CHAIN, EURO, Street

STREET = lived_in()
FACTS = STREET.facts()
STRANGER = b"X" * 20


def at(items: tuple, index: int, **changes: object) -> tuple:
    """The tuple with some fields of one item changed."""
    index %= len(items)
    return (*items[:index], replace(items[index], **changes), *items[index + 1 :])


def swapped(items: tuple) -> tuple:
    return (items[1], items[0], *items[2:])


ALTERATIONS: dict[str, tuple[Callable[[ChainFacts], dict], str]] = {
    "another chain": (lambda _: {"chain_id": 1}, CONSTITUTION_PATH),
    "another registry": (lambda _: {"registry": STRANGER}, CONSTITUTION_PATH),
    "another settlement": (lambda _: {"settlement": STRANGER}, CONSTITUTION_PATH),
    "another certificate": (lambda _: {"certificate": STRANGER}, CONSTITUTION_PATH),
    "another token": (lambda _: {"token": STRANGER}, CONSTITUTION_PATH),
    "a member less": (lambda f: {"accounts": f.accounts[:-1]}, CONSTITUTION_PATH),
    "a member more": (lambda f: {"accounts": (*f.accounts, STRANGER)}, CONSTITUTION_PATH),
    "another member": (lambda f: {"accounts": (STRANGER, *f.accounts[1:])}, CONSTITUTION_PATH),
    "members in another order": (lambda f: {"accounts": swapped(f.accounts)}, CONSTITUTION_PATH),
    "a meter less": (lambda f: {"meters": f.meters[:-1]}, REGISTER_PATH),
    "a meter more": (lambda f: {"meters": (*f.meters, f.meters[0])}, REGISTER_PATH),
    "meters in another order": (
        lambda f: {"meters": swapped(f.meters)},
        f"{REGISTER_PATH}, line 1",
    ),
    "another roll": (lambda _: {"roll": bytes(32)}, REGISTER_PATH),
    "a lane higher": (lambda f: {"balances": (f.balances[0] + 1, *f.balances[1:])}, "lane 0"),
    "a lane lower": (lambda f: {"balances": (*f.balances[:-1], f.balances[-1] - 1)}, "lane 2"),
    "a lane less": (lambda f: {"balances": f.balances[:-1]}, "lanes"),
    "a lane more": (lambda f: {"balances": (*f.balances, 0)}, "lanes"),
    "a poorer supplier": (lambda f: {"supplier": f.supplier - 1}, "wide lanes"),
    "a richer grid operator": (lambda f: {"grid_operator": f.grid_operator + 1}, "wide lanes"),
    "a larger supply": (lambda f: {"token_supply": f.token_supply + 1}, "token"),
    "a smaller supply": (lambda f: {"token_supply": f.token_supply - 1}, "token"),
    "money from nowhere": (lambda f: {"wallets": {**f.wallets, STRANGER: 1}}, "token"),
    "an empty till": (lambda _: {"wallets": {STRANGER: 1}}, "settlement contract"),
    "a till a unit short": (
        lambda f: {
            "wallets": {CHAIN.settlement: f.token_supply - 1, STRANGER: 1},
        },
        "settlement contract",
    ),
    "a flow of another amount": (
        lambda f: {"flows": at(f.flows, 0, amount=f.flows[0].amount + 1)},
        "2016-06-21T23:15:00Z, header",
    ),
    "a flow into another lane": (
        lambda f: {"flows": at(f.flows, 0, lane=1)},
        "2016-06-21T23:15:00Z, header",
    ),
    "a flow into a lane nobody has": (
        lambda f: {"flows": at(f.flows, 0, lane=77)},
        "deposit or withdrawal 1",
    ),
    "a flow of another number": (
        lambda f: {"flows": at(f.flows, 2, number=9)},
        "deposit or withdrawal 3",
    ),
    "flows in another order": (lambda f: {"flows": swapped(f.flows)}, "deposit or withdrawal 1"),
    "a withdrawal by a stranger": (
        lambda f: {"flows": at(f.flows, -1, account=STRANGER)},
        "deposit or withdrawal 6",
    ),
    "a withdrawal of more than there is": (
        lambda f: {"flows": at(f.flows, -1, amount=-(10**15))},
        "deposit or withdrawal 6",
    ),
    "a deposit that went out instead": (
        lambda f: {"flows": at(f.flows, 0, amount=-1)},
        "deposit or withdrawal 1",
    ),
    "a flow less": (lambda f: {"flows": f.flows[:-1]}, "2016-06-22T00:00:00Z, inputs"),
    "a deposit after the end": (
        lambda f: {"flows": (*f.flows, Flow(7, 0, STRANGER, 1))},
        "lane 0",
    ),
    "another anchor": (
        lambda f: {"closes": at(f.closes, 1, anchor=bytes(32))},
        "2016-06-21T23:30:00Z, header",
    ),
    "another transaction": (
        lambda f: {"closes": at(f.closes, 1, transaction=bytes(32))},
        "2016-06-21T23:30:00Z, header",
    ),
    "a close of another time": (
        lambda f: {"closes": at(f.closes, 0, start=f.closes[0].start - 900)},
        "2016-06-21T23:00:00Z, header",
    ),
    "a close of another length": (
        lambda f: {"closes": at(f.closes, 3, duration=1_800)},
        "2016-06-22T00:00:00Z, header",
    ),
    "a close at no time": (lambda f: {"closes": at(f.closes, 2, start=2**40 - 1)}, "close 2"),
    "a close before time": (lambda f: {"closes": at(f.closes, 2, start=-900)}, "close 2"),
    "the last close less": (
        lambda f: {"closes": f.closes[:-1]},
        "audit/2016-06-22.inputs.jsonl, header",
    ),
    "the first close less": (
        lambda f: {"closes": f.closes[1:]},
        "2016-06-21T23:15:00Z, header",
    ),
    "a close more": (
        lambda f: {"closes": (*f.closes, replace(f.closes[-1], start=f.closes[-1].start + 900))},
        "2016-06-22, inputs",
    ),
    "a day more": (
        lambda f: {"closes": (*f.closes, replace(f.closes[-1], start=f.closes[-1].start + 86_400))},
        "audit/2016-06-23.inputs.jsonl",
    ),
    "no closes at all": (lambda _: {"closes": ()}, "audit/2016-06-21.inputs.jsonl"),
    "closes in another order": (
        lambda f: {"closes": swapped(f.closes)},
        "2016-06-21T23:15:00Z, header",
    ),
}


@pytest.mark.parametrize("what", ALTERATIONS)
def test_facts_that_do_not_fit_are_found_in_their_place(what: str) -> None:
    alter, place = ALTERATIONS[what]
    found = judged(STREET.files, replace(FACTS, **alter(FACTS)))
    assert found.place == place, found.difference


METER_CHANGES = {
    "public_key": bytes(64),
    "member": 1,
    "role": 2,
    "source": 1,
    "rated_w": 29_999,
    "first_day": 0,
    "zone": b"FR".ljust(16, b"\0"),
    "direct": True,
    "opening": bytes(32),
}


@pytest.mark.parametrize("field", METER_CHANGES)
def test_a_meter_registered_otherwise_is_found_in_its_line(field: str) -> None:
    assert set(METER_CHANGES) == {field.name for field in fields(RegisteredMeter)}
    meters = at(FACTS.meters, 3, **{field: METER_CHANGES[field]})
    found = judged(STREET.files, replace(FACTS, meters=meters))
    assert found.place == f"{REGISTER_PATH}, line 4"


def test_what_somebody_sent_to_the_contract_besides_is_no_difference() -> None:
    wallets = {CHAIN.settlement: FACTS.token_supply + 5, STRANGER: 7}
    facts = replace(FACTS, wallets=wallets, token_supply=FACTS.token_supply + 12)
    assert judged(STREET.files, facts).verdict == "ok"


def test_anyone_may_pay_into_anybodys_lane() -> None:
    assert (
        judged(STREET.files, replace(FACTS, flows=at(FACTS.flows, 0, account=STRANGER))).verdict
        == "ok"
    )


@pytest.mark.parametrize("lane", [PRODUCER, POOR, SUPPLIER_LANE, GRID_LANE])
def test_what_was_paid_in_or_out_since_the_last_close_counts(lane: int) -> None:
    owner = {SUPPLIER_LANE: b"U" * 20, GRID_LANE: b"G" * 20}.get(lane) or FACTS.accounts[lane]
    flows = (
        *FACTS.flows,
        Flow(7, lane, STRANGER, EURO),
        Flow(8, lane, owner, -EURO // 4),
    )
    left = EURO - EURO // 4
    more = {
        "balances": tuple(b + left * (n == lane) for n, b in enumerate(FACTS.balances)),
        "supplier": FACTS.supplier + left * (lane == SUPPLIER_LANE),
        "grid_operator": FACTS.grid_operator + left * (lane == GRID_LANE),
        "token_supply": FACTS.token_supply + left,
        "wallets": {CHAIN.settlement: FACTS.token_supply + left},
    }
    assert judged(STREET.files, replace(FACTS, flows=flows, **more)).verdict == "ok"


def opened_with(change: Callable[[Registration], SignedRecord]) -> Street:
    """A street whose second meter has another opening record, on the chain as in the files."""
    street = Street(members=2, producers=1)
    first, second, *others = street.community.registrations
    second = replace(second, opening=change(second))
    street.found(replace(street.community, registrations=(first, second, *others)))
    return street


def reopened(**changes: object) -> Callable[[Registration], SignedRecord]:
    key = MeterKey.from_seed(b"grid 1")
    return lambda meter: key.sign(meter.opening_record._replace(**changes).encode())


FORGER = MeterKey.from_seed(b"a forger")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda meter: FORGER.sign(meter.opening.record), "not signed by the meter"),
        (lambda meter: meter.opening._replace(signature=bytes(64)), "not signed by the meter"),
        (reopened(meter=STRANGER), "not the first one of this meter here"),
        (reopened(ledger=b"elsewher"), "not the first one of this meter here"),
        (reopened(sequence=1), "not the first one of this meter here"),
        (reopened(previous=sha256(b"").digest()), "not the first one of this meter here"),
    ],
)
def test_an_opening_record_that_opens_nothing_is_found(change, why: str) -> None:
    street = opened_with(change)
    found = judged(street.files, street.facts())
    assert found.place is not None
    assert found.place.startswith(f"{REGISTER_PATH}, meter ")
    assert why in str(found.difference)


def test_an_honest_opening_record_with_other_registers_is_none_of_these() -> None:
    street = opened_with(reopened(import_mwh=5))
    assert judged(street.files, street.facts()).verdict == "ok"


def test_a_meter_with_anothers_key_is_found_in_its_line() -> None:
    files = dict(STREET.files)
    lines = files[REGISTER_PATH].splitlines(keepends=True)
    own = FACTS.meters[0].public_key.hex().encode()
    lines[0] = lines[0].replace(own, FACTS.meters[1].public_key.hex().encode())
    files[REGISTER_PATH] = b"".join(lines)
    found = judged(files, FACTS)
    assert found.place == f"{REGISTER_PATH}, line 1"
    assert "with another's key" in str(found.difference)


def test_intervals_that_do_not_add_up_to_the_registers_are_found() -> None:
    """Nothing that is recomputed can lead here: a second way to the same sums, as a last guard."""
    community, state = STREET.community, STREET.state
    energy = judged(STREET.files, FACTS).energy
    require_registers(community, state, energy)
    for member, (taken, given) in energy.items():
        for wrong in ((taken + 1, given), (taken, given - 1)):
            with pytest.raises(Difference, match=f"member {member}: intervals add up to"):
                require_registers(community, state, {**energy, member: wrong})
    with pytest.raises(Difference, match="member 0"):
        require_registers(community, state, {})


def test_headers_are_compared_field_by_field() -> None:
    header = Header.decode(b"\1" + bytes(487))
    changed = replace(header, trades=SectionRoot(2, b"\1" * 32))
    assert header_difference(header, changed) == (
        "trades is published as (0, 000000000000000000000000…), "
        "recomputed as (2, 010101010101010101010101…)"
    )
    assert header_difference(header, header) == "the header is written differently"


def test_wide_lanes_have_the_numbers_of_the_contract() -> None:
    assert (SUPPLIER_LANE, GRID_LANE) == (2**32, 2**32 + 1)

"""Who takes part: members, meters, and the two roles that may write them down."""

from dataclasses import replace
from hashlib import sha256

import pytest

from commonwatt.audit.facts import RegisteredMeter
from commonwatt.chain.abi import contract
from commonwatt.chain.connection import Account
from commonwatt.chain.ledger import Ledger
from commonwatt.meter.keys import CURVE_ORDER, MeterKey
from commonwatt.meter.record import ledger_id
from commonwatt.statement.close import packed_deltas
from contracts.ground import QUARTER, ROOFTOP, ZONE, Ground, account, fresh_ground


def test_the_roll_is_the_one_anyone_computes_from_the_events() -> None:
    ground = Ground.new()
    assert ground.ledger.roll() == bytes(32)
    ground.join(3)
    ground.register(ground.meter("roof"), ground.meter("grid", role=0, source=0, direct=True))
    roll = bytes(32)
    for index, member in enumerate(ground.members):
        roll = _roll(roll, b"\x01", index.to_bytes(4), member.address_bytes)
    for meter in ground.meters:
        m = meter.registered
        roll = _roll(
            roll, b"\x02", m.public_key, m.member.to_bytes(4), bytes([m.role]),
            m.source.to_bytes(4), m.rated_w.to_bytes(5), m.first_day.to_bytes(4), m.zone,
            bytes([m.direct]), m.opening,
        )  # fmt: skip
    assert ground.ledger.roll() == roll

    roof = ground.meters[0]
    ground.ledger.offer_meter(ground.members[0], roof.key.meter, 2)
    assert ground.ledger.roll() == roll
    ground.ledger.accept_meter(ground.members[2], roof.key.meter)
    roll = _roll(roll, b"\x03", roof.key.meter, (2).to_bytes(4))
    assert ground.ledger.roll() == roll
    # The settlement has the same one, without asking.
    assert ground.ledger.connection.call(
        _text(ground.ledger.addresses.settlement), contract("Settlement").data("roll")
    ) == roll  # fmt: skip


def test_what_is_registered_can_be_read_back() -> None:
    ground = Ground.new()
    ground.join(300)
    roof = ground.meter("roof", member=299, rated_w=2**40 - 1, direct=True)
    ground.register(roof)
    known = contract("Registry")
    data = known.data("meter", roof.number)
    answer = known.answer("meter", ground.ledger.connection.call(_registry(ground), data))
    x, y = (int.from_bytes(half) for half in (roof.key.public_key[:32], roof.key.public_key[32:]))
    owner = ground.members[299].address.lower()
    settlement = _text(ground.ledger.addresses.settlement)
    assert answer == (
        (x, y, settlement, 299, owner, 1, ROOFTOP, 2**40 - 1, roof.registered.first_day, ZONE,
         True, roof.registered.opening),
    )  # fmt: skip
    facts = ground.ledger.facts()
    assert facts.accounts == tuple(member.address_bytes for member in ground.members)
    assert facts.meters == (roof.registered,)
    assert facts.roll == ground.ledger.roll()


def test_the_contracts_and_the_floors_name_the_same_ledger(ground: Ground) -> None:
    expected = ledger_id(ground.ledger.chain_id, ground.ledger.addresses.registry)
    assert ground.ledger.ledger_id == expected
    for name in ("Settlement", "Certificate"):
        address = _text(getattr(ground.ledger.addresses, name.lower()))
        data = contract(name).data("ledger")
        assert ground.ledger.connection.call(address, data)[:8] == expected


# Roles


def test_only_the_issuer_founds_and_hands_over(ground: Ground) -> None:
    for caller in (ground.operator, ground.stranger, ground.members[0]):
        with ground.refused("registry: caller is not the issuer"):
            _send(ground, caller, "found", ground.ledger.addresses.settlement, caller.address_bytes)
        with ground.refused("registry: caller is not the issuer"):
            ground.ledger.set_issuer(caller, caller.address_bytes)
    with ground.refused("registry: no issuer given"):
        ground.ledger.set_issuer(ground.issuer, bytes(20))


def test_a_community_is_a_settlement_of_this_registry_and_founded_once(ground: Ground) -> None:
    at, operator = ground.ledger.addresses, ground.operator.address_bytes
    elsewhere = Ground.new()
    for community, reason in (
        (at.settlement, "community exists"),
        (ground.stranger.address_bytes, "community is not a contract"),
    ):
        with ground.refused(f"registry: {reason}"):
            _send(ground, ground.issuer, "found", community, operator)
    # Certificate too names its registry, but it is this registry's issuer who would have to err.
    foreign = contract("Settlement").creation(
        at.token, elsewhere_registry(ground), operator, operator
    )
    address = ground.ledger.connection.send(ground.stranger, None, foreign).contract_address
    assert address is not None
    with ground.refused("registry: community names another registry"):
        _send(ground, ground.issuer, "found", bytes.fromhex(address[2:]), operator)
    with ground.refused("registry: no operator given"):
        _send(ground, ground.issuer, "found", bytes.fromhex(address[2:]), bytes(20))
    assert elsewhere.ledger.operator() == operator


def elsewhere_registry(ground: Ground) -> bytes:
    """A second registry on the same chain."""
    creation = contract("Registry").creation()
    address = ground.ledger.connection.send(ground.stranger, None, creation).contract_address
    assert address is not None
    return bytes.fromhex(address[2:])


def test_an_issuer_that_has_handed_over_has_nothing_left_to_say() -> None:
    ground, heir = fresh_ground(1), account("heir")
    ground.ledger.set_issuer(ground.issuer, heir.address_bytes)
    assert ground.ledger.issuer() == heir.address_bytes
    with ground.refused("registry: caller is not the issuer"):
        ground.register(ground.meter("roof"))
    ground.issuer = heir  # type: ignore[misc]
    ground.register(ground.meter("roof"))


def test_the_operator_or_the_issuer_replaces_the_operator(ground: Ground) -> None:
    successor = account("successor")
    for caller in (ground.stranger, ground.members[0]):
        with ground.refused("registry: caller is not the operator"):
            ground.ledger.set_operator(caller, caller.address_bytes)
    with ground.refused("registry: no operator given"):
        ground.ledger.set_operator(ground.operator, bytes(20))
    with ground.refused("registry: no such community"):
        _send(ground, ground.issuer, "set_operator", bytes(20), successor.address_bytes)
    ground.ledger.set_operator(ground.issuer, successor.address_bytes)
    assert ground.ledger.operator() == ground.ledger.closer() == successor.address_bytes
    with ground.refused("registry: caller is not the operator"):
        ground.ledger.join(ground.operator, [ground.stranger.address_bytes])
    ground.ledger.set_operator(successor, ground.operator.address_bytes)
    assert ground.ledger.closer() == ground.operator.address_bytes


# Members


def test_only_the_operator_admits_members(ground: Ground) -> None:
    newcomer = [account("newcomer").address_bytes]
    for caller in (ground.stranger, ground.issuer, ground.members[0]):
        with ground.refused("registry: caller is not the operator"):
            ground.ledger.join(caller, newcomer)
    with ground.refused("registry: account is zero"):
        ground.ledger.join(ground.operator, [bytes(20)])
    with ground.refused("registry: nobody to join"):
        _send(ground, ground.operator, "join", ground.ledger.addresses.settlement, [])
    with ground.refused("registry: caller is not the operator"):
        _send(ground, ground.operator, "join", bytes(20), newcomer)


def test_a_community_takes_1500_members_and_no_more() -> None:
    ground = Ground.new()
    ground.ledger.join(ground.operator, [ground.stranger.address_bytes] * 1499)
    with ground.refused("settlement: community is full"):
        ground.ledger.join(ground.operator, [ground.stranger.address_bytes] * 2)
    ground.ledger.join(ground.operator, [ground.stranger.address_bytes])
    assert ground.ledger.members() == len(ground.ledger.balances()) == 1500


def test_members_who_join_later_get_lanes_of_their_own() -> None:
    ground = fresh_ground(5)
    before = ground.ledger.balances()
    ground.join(9)
    assert ground.ledger.balances() == (*before, *[0] * 9)
    ground.close(deltas=[-9, 0, 0, 0, 0, *[1] * 9])
    assert ground.ledger.balances() == (before[0] - 9, *before[1:], *[1] * 9)


# Meters

FAULTY_METERS = {
    "a member nobody is": ({"member": 7}, "no such member"),
    "a role nobody knows": ({"role": 3, "source": 0}, "unknown role"),
    "no power": ({"rated_w": 0}, "rated power is zero"),
    "no opening record": ({"opening": bytes(32)}, "no opening record"),
    "a battery with a source": ({"role": 2}, "only generation has a source"),
    "a connection with a source": ({"role": 0}, "only generation has a source"),
}


@pytest.mark.parametrize("fault", FAULTY_METERS)
def test_a_faulty_meter_is_not_registered(ground: Ground, fault: str) -> None:
    changes, reason = FAULTY_METERS[fault]
    with ground.refused(f"registry: {reason}"):
        ground.register(ground.meter("faulty", **changes))


@pytest.mark.parametrize("caller", ["operator", "stranger"])
def test_what_can_cause_certificates_is_the_issuers_to_register(
    ground: Ground, caller: str
) -> None:
    who: Account = getattr(ground, caller)
    with ground.refused("registry: caller is not the issuer"):
        _register(ground, who, ground.meter("roof").registered)


@pytest.mark.parametrize("caller", ["issuer", "stranger"])
def test_other_meters_are_the_operators_to_register(ground: Ground, caller: str) -> None:
    who: Account = getattr(ground, caller)
    for role in (0, 1, 2):
        with ground.refused("registry: caller is not the operator"):
            _register(ground, who, ground.meter("plain", role=role, source=0).registered)


def test_one_bad_meter_undoes_the_whole_batch(ground: Ground) -> None:
    good = [ground.meter(f"grid {n}", role=0, source=0).registered for n in range(3)]
    with ground.refused("registry: no such member"):
        _register(ground, ground.operator, *good, replace(good[0], member=99))
    with ground.refused("registry: meter already registered"):
        _register(ground, ground.operator, *good, good[0])
    with ground.refused("registry: no meter to register"):
        _register(ground, ground.operator)


def test_a_key_is_registered_once_ever_whoever_tries() -> None:
    ground = fresh_ground(2)
    ground.register(roof := ground.meter("roof"))
    for changes in ({}, {"member": 1}, {"rated_w": 9}):
        with ground.refused("registry: meter already registered"):
            _register(ground, ground.issuer, replace(roof.registered, **changes))
    with ground.refused("registry: meter already registered"):
        _register(ground, ground.operator, replace(roof.registered, source=0))
    beside = Ground.new(ground)
    beside.join(1)
    with beside.refused("registry: meter already registered"):
        beside.register(roof)


@pytest.mark.parametrize("seed", range(8))
def test_every_real_key_is_a_point_and_no_forged_one_is(ground: Ground, seed: int) -> None:
    key = MeterKey.from_seed(b"any %d" % seed).public_key
    x, y = int.from_bytes(key[:32]), int.from_bytes(key[32:])
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    meter = ground.meter("forged", role=0, source=0).registered
    for forged in ((y, x), (x, y ^ 1), (0, 0), (x, 0), (prime, y), (x, y + prime), (x + 1, y)):
        if max(forged) >> 256:
            continue
        wrong = replace(meter, public_key=b"".join(part.to_bytes(32) for part in forged))
        with ground.refused("registry: key is not on P-256"):
            _register(ground, ground.operator, wrong)
    # The other point with the same x is a key as well: its owner's number is the order's rest.
    other = x.to_bytes(32) + (prime - y).to_bytes(32)
    _register(ground, ground.operator, replace(meter, public_key=key))
    _register(ground, ground.operator, replace(meter, public_key=other))


def test_the_smallest_and_the_largest_private_key_are_registered(ground: Ground) -> None:
    for scalar in (1, CURVE_ORDER - 1):
        key = MeterKey(scalar)
        meter = ground.meter("edge", role=0, source=0).registered
        _register(ground, ground.operator, replace(meter, public_key=key.public_key))


# A meter changes hands


def test_a_meter_changes_hands_by_offer_and_acceptance() -> None:
    ground = fresh_ground(4)
    ground.register(roof := ground.meter("roof"))
    owner, buyer, other = ground.members[:3]
    for thief in (buyer, ground.operator, ground.issuer):
        with ground.refused("registry: caller is not the owner"):
            ground.ledger.offer_meter(thief, roof.key.meter, 1)
    with ground.refused("registry: meter is not on offer"):
        ground.ledger.accept_meter(buyer, roof.key.meter)
    with ground.refused("registry: no such member"):
        ground.ledger.offer_meter(owner, roof.key.meter, 4)
    with ground.refused("registry: no such meter"):
        ground.ledger.offer_meter(owner, bytes(20), 1)

    ground.ledger.offer_meter(owner, roof.key.meter, 1)
    for thief in (other, owner, ground.operator):
        with ground.refused("registry: meter is offered to another"):
            ground.ledger.accept_meter(thief, roof.key.meter)
    ground.ledger.offer_meter(owner, roof.key.meter, 0)
    with ground.refused("registry: meter is not on offer"):
        ground.ledger.accept_meter(buyer, roof.key.meter)

    ground.ledger.offer_meter(owner, roof.key.meter, 2)
    ground.ledger.offer_meter(owner, roof.key.meter, 1)
    ground.ledger.accept_meter(buyer, roof.key.meter)
    with ground.refused("registry: caller is not the owner"):
        ground.ledger.offer_meter(owner, roof.key.meter, 0)
    with ground.refused("registry: meter is not on offer"):
        ground.ledger.accept_meter(other, roof.key.meter)
    ground.ledger.offer_meter(buyer, roof.key.meter, 3)


def test_a_statement_with_the_roll_from_before_a_change_is_refused() -> None:
    ground = fresh_ground(1)
    ground.clock.now += QUARTER
    header = ground.header([0])
    ground.register(ground.meter("roof"))
    with ground.refused("settlement: roll is not the registry's"):
        ground.ledger.close(ground.operator, header.encode(), packed_deltas([0]))


def test_a_ledger_is_opened_only_where_its_contracts_are(ground: Ground) -> None:
    nowhere = replace(ground.ledger.addresses, token=ground.stranger.address_bytes)
    with pytest.raises(Exception, match="token: no contract at"):
        Ledger(ground.ledger.connection, nowhere)


def _register(ground: Ground, sender: Account, *meters: RegisteredMeter) -> None:
    entries = [
        (int.from_bytes(m.public_key[:32]), int.from_bytes(m.public_key[32:]), m.member, m.role,
         m.source, m.rated_w, m.first_day, m.zone, m.direct, m.opening)
        for m in meters
    ]  # fmt: skip
    _send(ground, sender, "register_meters", ground.ledger.addresses.settlement, entries)


def _send(ground: Ground, sender: Account, function: str, *values: object) -> None:
    data = contract("Registry").data(function, *values)
    ground.ledger.connection.send(sender, _registry(ground), data)


def _registry(ground: Ground) -> str:
    return _text(ground.ledger.addresses.registry)


def _text(address: bytes) -> str:
    return "0x" + address.hex()


def _roll(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()

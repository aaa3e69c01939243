"""Certificates in hand: moving them, retiring them, and contracts that hold them (ERC-1155)."""

import json
from dataclasses import replace
from string import ascii_letters, digits
from typing import Any
from urllib.parse import unquote
from urllib.request import urlopen

import pytest
from eth_abi.abi import decode, encode

from commonwatt.audit.facts import Retirement
from commonwatt.chain.abi import contract
from commonwatt.chain.connection import Account
from commonwatt.chain.encoding import keccak
from commonwatt.chain.production import Purpose, TokenId
from contracts.ground import NOON, QUARTER, ROOFTOP, Ground, account, fresh_ground
from contracts.helpers import deploy

PURPOSE = Purpose("bakery", "Market Square 1", "DE", NOON, NOON + 86_400, "bread of today")
OWNER = account("member 0")


@pytest.fixture
def token(ground: Ground) -> TokenId:
    """400 Wh of a fresh certificate in the first member's hands."""
    meter = ground.meter(f"roof {ground.clock.now}")
    ground.register(meter)
    shown = ground.quarter(meter)
    ground.claim(shown)
    return ground.token(shown.production)


@pytest.fixture(scope="module")
def ground() -> Ground:
    return fresh_ground(3)


def test_units_move_from_holder_to_holder(ground: Ground, token: TokenId) -> None:
    buyer = account("buyer").address_bytes
    ground.ledger.transfer(OWNER, OWNER.address_bytes, buyer, token, 150)
    assert _units(ground, token, OWNER.address_bytes, buyer) == (250, 150)
    ground.ledger.transfer(OWNER, OWNER.address_bytes, buyer, token, 250)
    assert _units(ground, token, OWNER.address_bytes, buyer) == (0, 400)
    ground.ledger.transfer(account("buyer"), buyer, buyer, token, 400)
    assert _units(ground, token, buyer) == (400,)


def test_a_certificate_moves_beside_its_neighbours_of_the_same_slot(ground: Ground) -> None:
    ground.clock.now += -ground.clock.now % (6 * QUARTER)
    ground.register(meter := ground.meter(f"seven in a row {ground.clock.now}"))
    shown = [ground.quarter(meter, free=free) for free in (11, 22, 33, 44, 55, 66, 77)]
    for each in shown:
        ground.claim(each)
    tokens = [ground.token(each.production) for each in shown]
    owner, buyer = OWNER.address_bytes, account("collector").address_bytes
    ground.ledger.transfer(OWNER, owner, buyer, tokens[3], 44)
    ground.ledger.retire(OWNER, owner, tokens[5], 6, PURPOSE)
    ground.ledger.transfer(OWNER, owner, buyer, tokens[6], 7)
    assert [ground.ledger.units(owner, t) for t in tokens] == [11, 22, 33, 0, 55, 60, 70]
    assert [ground.ledger.units(buyer, t) for t in tokens] == [0, 0, 0, 44, 0, 0, 7]
    assert [ground.ledger.retired(owner, t) for t in tokens] == [0, 0, 0, 0, 0, 6, 0]


def test_nobody_moves_or_retires_anothers_units(ground: Ground, token: TokenId) -> None:
    owner, thief = OWNER.address_bytes, ground.stranger.address_bytes
    for caller in (ground.stranger, ground.operator, ground.issuer):
        with ground.refused("certificate: caller is neither holder nor approved"):
            ground.ledger.transfer(caller, owner, thief, token, 1)
        with ground.refused("certificate: caller is neither holder nor approved"):
            ground.ledger.retire(caller, owner, token, 1, PURPOSE)
        with ground.refused("certificate: caller is neither holder nor approved"):
            _batch(ground, caller, owner, thief, [token], [1])


def test_an_approved_account_moves_and_retires_until_it_is_not_approved_any_more(
    ground: Ground, token: TokenId
) -> None:
    owner, broker = OWNER.address_bytes, account("broker")
    ground.ledger.approve(OWNER, broker.address_bytes)
    ground.ledger.transfer(broker, owner, broker.address_bytes, token, 100)
    ground.ledger.retire(broker, owner, token, 100, PURPOSE)
    assert ground.ledger.retired(owner, token) == 100
    ground.ledger.approve(OWNER, broker.address_bytes, approved=False)
    with ground.refused("certificate: caller is neither holder nor approved"):
        ground.ledger.transfer(broker, owner, broker.address_bytes, token, 1)
    with ground.refused("certificate: approval of oneself"):
        ground.ledger.approve(OWNER, owner)


@pytest.mark.parametrize("amount", [401, 2**42, 2**43 + 1, 2**256 - 1])
def test_nobody_moves_or_retires_more_than_is_held(
    ground: Ground, token: TokenId, amount: int
) -> None:
    owner, buyer = OWNER.address_bytes, account("buyer").address_bytes
    with ground.refused("certificate: balance too small"):
        ground.ledger.transfer(OWNER, owner, buyer, token, amount)
    with ground.refused("certificate: balance too small"):
        ground.ledger.retire(OWNER, owner, token, amount, PURPOSE)
    with ground.refused("certificate: balance too small"):
        _batch(ground, OWNER, owner, buyer, [token, token], [400, 1])


def test_nothing_is_neither_moved_nor_retired(ground: Ground, token: TokenId) -> None:
    owner = OWNER.address_bytes
    with ground.refused("certificate: amount is zero"):
        ground.ledger.transfer(OWNER, owner, account("buyer").address_bytes, token, 0)
    with ground.refused("certificate: amount is zero"):
        ground.ledger.retire(OWNER, owner, token, 0, PURPOSE)
    with ground.refused("certificate: no receiver"):
        ground.ledger.transfer(OWNER, owner, bytes(20), token, 1)
    with ground.refused("certificate: no receiver"):
        _batch(ground, OWNER, owner, bytes(20), [token], [1])


def test_ids_that_no_certificate_has_hold_nothing(ground: Ground, token: TokenId) -> None:
    """Ids off the grid share no slot with real ones: they cannot be used to reach their units."""
    owner = OWNER.address_bytes
    for wrong in (
        token._replace(start=token.start + 1),
        token._replace(start=token.start - QUARTER),
        token._replace(duration=0),
        token._replace(duration=QUARTER * 2),
        token._replace(meter=bytes(20)),
    ):
        assert ground.ledger.units(owner, wrong) == 0
        assert not ground.ledger.is_issued(wrong)
        with ground.refused("certificate: balance too small"):
            ground.ledger.transfer(OWNER, owner, account("buyer").address_bytes, wrong, 1)
        period = replace(PURPOSE, period_start=0, period_end=2**64 - 1)
        with ground.refused("certificate: balance too small"):
            ground.ledger.retire(OWNER, owner, wrong, 1, period)


# Retiring


def test_retired_units_say_for_whom_and_never_come_back(ground: Ground, token: TokenId) -> None:
    owner = OWNER.address_bytes
    receipt = ground.ledger.retire(OWNER, owner, token, 150, PURPOSE)
    assert (ground.ledger.units(owner, token), ground.ledger.retired(owner, token)) == (250, 150)
    (said,) = (
        log
        for log in receipt.logs
        if log.topics[0] == contract("Certificate").topics["ClaimSingle"]
    )
    assert [word[-20:] for word in said.topics[1:3]] == [owner, owner]
    assert int.from_bytes(said.topics[3]) == ROOFTOP
    number, wh, words = decode(["uint256", "uint256", "bytes"], said.data)
    assert (number, wh) == (token.number, 150)
    assert Purpose.decode(words) == PURPOSE
    assert ground.ledger.facts().retirements[-1] == Retirement(*token, owner=owner, wh=150)
    with ground.refused("certificate: balance too small"):
        ground.ledger.transfer(OWNER, owner, account("buyer").address_bytes, token, 251)


def test_retiring_opens_no_slot_and_giving_all_away_frees_one(
    ground: Ground, token: TokenId
) -> None:
    at, owner, buyer = ground.ledger.addresses.certificate, OWNER.address_bytes, account("buyer")
    before = len(ground.state()[at])
    ground.ledger.retire(OWNER, owner, token, 399, PURPOSE)
    assert len(ground.state()[at]) == before
    ground.ledger.transfer(OWNER, owner, buyer.address_bytes, token, 1)
    assert len(ground.state()[at]) == before + 1
    ground.ledger.transfer(buyer, buyer.address_bytes, owner, token, 1)
    assert len(ground.state()[at]) == before


@pytest.mark.parametrize(("start", "end"), [(1, 900), (0, 899), (900, 1800), (0, 0)])
def test_units_are_retired_for_a_period_that_contains_their_interval(
    ground: Ground, token: TokenId, start: int, end: int
) -> None:
    period = replace(PURPOSE, period_start=token.start + start, period_end=token.start + end)
    with ground.refused("certificate: period does not contain the interval"):
        ground.ledger.retire(OWNER, OWNER.address_bytes, token, 1, period)
    exact = replace(period, period_start=token.start, period_end=token.start + QUARTER)
    ground.ledger.retire(OWNER, OWNER.address_bytes, token, 1, exact)


def test_the_longest_words_about_a_retirement_fit(ground: Ground, token: TokenId) -> None:
    wordy = replace(PURPOSE, beneficiary="b" * 96, location="l" * 96, purpose="p" * 96)
    ground.ledger.retire(OWNER, OWNER.address_bytes, token, 1, wordy)


# Contracts that hold certificates


def test_a_contract_holds_certificates_only_if_it_says_so(ground: Ground, token: TokenId) -> None:
    owner, connection = OWNER.address_bytes, ground.ledger.connection
    taker = deploy(connection, ground.stranger, "holder", encode(["bool"], [True]))
    refuser = deploy(connection, ground.stranger, "holder", encode(["bool"], [False]))
    ground.ledger.transfer(OWNER, owner, taker, token, 10)
    _batch(ground, OWNER, owner, taker, [token, token], [10, 5])
    assert ground.ledger.units(taker, token) == 25
    with ground.refused("certificate: receiver refused"):
        ground.ledger.transfer(OWNER, owner, refuser, token, 10)
    with ground.refused("certificate: receiver refused"):
        _batch(ground, OWNER, owner, refuser, [token, token], [10, 5])
    for deaf in (ground.ledger.addresses.token, ground.ledger.addresses.settlement):
        before = ground.state()
        with pytest.raises(Exception, match="was undone"):
            ground.ledger.transfer(OWNER, owner, deaf, token, 10)
        assert ground.state() == before


def test_a_contract_that_calls_back_while_it_is_given_certificates_gets_nothing(
    ground: Ground, token: TokenId
) -> None:
    owner, connection = OWNER.address_bytes, ground.ledger.connection
    robber = deploy(connection, ground.stranger, "holder", encode(["bool"], [True]))
    known, at = contract("Certificate"), ground.ledger.addresses.certificate
    ground.ledger.approve(OWNER, robber)
    again = known.data("safeTransferFrom", owner, robber, token.number, 10, b"")
    call_back = _selector("call_back(address,bytes)") + encode(["address", "bytes"], [at, again])
    connection.send(ground.stranger, "0x" + robber.hex(), call_back)
    before = ground.state()
    with pytest.raises(Exception, match="was undone"):
        ground.ledger.transfer(OWNER, owner, robber, token, 10)
    with pytest.raises(Exception, match="was undone"):
        _batch(ground, OWNER, owner, robber, [token], [10])
    assert ground.state() == before


def test_a_contract_that_owns_a_meter_is_asked_at_the_claim(ground: Ground) -> None:
    connection = ground.ledger.connection
    for takes in (True, False):
        owner = deploy(connection, ground.stranger, "holder", encode(["bool"], [takes]))
        ground.ledger.join(ground.operator, [owner])
        member = ground.ledger.members() - 1
        ground.members.append(ground.stranger)
        ground.register(meter := ground.meter(f"contract's {takes}", member=member))
        one, two, three = (ground.quarter(meter) for _ in range(3))
        run = [two.production, three.production]
        if takes:
            ground.claim(one)
            ground.ledger.claim_run(ground.stranger, two.previous, run, three.signature)
            for shown in (one, two, three):
                assert ground.ledger.units(owner, ground.token(shown.production)) == 400
            continue
        with ground.refused("certificate: receiver refused"):
            ground.claim(one)
        with ground.refused("certificate: receiver refused"):
            ground.ledger.claim_run(ground.stranger, two.previous, run, three.signature)


# The standard's other functions


def test_balances_are_read_in_batches(ground: Ground, token: TokenId) -> None:
    owner, other = OWNER.address_bytes, account("buyer").address_bytes
    ground.ledger.retire(OWNER, owner, token, 30, PURPOSE)
    ids = [token.number, token.number]
    for function, expected in (("balanceOfBatch", (370, 0)), ("claimedBalanceOfBatch", (30, 0))):
        assert _ask(ground, function, [owner, other], ids) == (expected,)
        with pytest.raises(Exception, match="not one owner per id"):
            _ask(ground, function, [owner], ids)


def test_the_contract_says_which_interfaces_it_has(ground: Ground) -> None:
    for interface in ("01ffc9a7", "d9b67a26", "0e89341c"):
        assert _ask(ground, "supportsInterface", bytes.fromhex(interface)) == (True,)
    for interface in ("ffffffff", "80ac58cd", "36372b07"):
        assert _ask(ground, "supportsInterface", bytes.fromhex(interface)) == (False,)


def test_a_wallet_finds_metadata_without_asking_anybody_else(
    ground: Ground, token: TokenId
) -> None:
    """ERC-1155: a URI of RFC 3986 to a JSON document, {id} in it replaced by 64 hex digits."""
    uri = ground.ledger.uri(token)
    assert not set(uri.replace("{id}", "")) - set(
        ascii_letters + digits + "-._~:/?#[]@!$&'()*+,;=%"
    )
    told = json.loads(urlopen(uri.replace("{id}", f"{token.number:064x}")).read())
    assert told == {
        "name": "Electricity of known origin, 1 Wh",
        "decimals": 0,
        "properties": {
            "id": f"0x{token.number:064x}", "start": token.start, "duration": QUARTER,
            "source": ROOFTOP,
        },
    }  # fmt: skip
    nobody = TokenId(b"\xff" * 20, 2**64 - 1, 2**32 - 1)
    assert json.loads(unquote(ground.ledger.uri(nobody).partition(",")[2]))["properties"] == {
        "id": "0x{id}", "start": nobody.start, "duration": nobody.duration, "source": 0,
    }  # fmt: skip


def test_a_batch_moves_whole_or_not_at_all(ground: Ground, token: TokenId) -> None:
    owner, buyer = OWNER.address_bytes, account("batch buyer").address_bytes
    with ground.refused("certificate: not one amount per id"):
        _batch(ground, OWNER, owner, buyer, [token, token], [1])
    with ground.refused("certificate: amount is zero"):
        _batch(ground, OWNER, owner, buyer, [token, token], [1, 0])
    _batch(ground, OWNER, owner, buyer, [token, token], [1, 2])
    assert _units(ground, token, owner, buyer) == (397, 3)


def _units(ground: Ground, token: TokenId, *holders: bytes) -> tuple[int, ...]:
    return tuple(ground.ledger.units(holder, token) for holder in holders)


def _ask(ground: Ground, function: str, *values: object) -> tuple[Any, ...]:
    known = contract("Certificate")
    at = "0x" + ground.ledger.addresses.certificate.hex()
    return known.answer(function, ground.ledger.connection.call(at, known.data(function, *values)))


def _batch(
    ground: Ground,
    caller: Account,
    sender: bytes,
    receiver: bytes,
    tokens: list[TokenId],
    amounts: list[int],
) -> None:
    ids = [token.number for token in tokens]
    data = contract("Certificate").data(
        "safeBatchTransferFrom", sender, receiver, ids, amounts, b""
    )
    at = "0x" + ground.ledger.addresses.certificate.hex()
    ground.ledger.connection.send(caller, at, data)


def _selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]

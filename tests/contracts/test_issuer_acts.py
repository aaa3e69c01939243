"""What only the issuer does: withdraw, reinstate and bring back (rules R17, R23, R26)."""

import pytest
from eth_abi.abi import encode

from commonwatt.audit.facts import Act, Movement, Retirement
from commonwatt.chain.abi import contract
from commonwatt.chain.encoding import keccak
from commonwatt.chain.errors import ChainError
from commonwatt.chain.production import Purpose, TokenId
from contracts.ground import NOON, QUARTER, ROOFTOP, Ground, account, fresh_ground
from contracts.helpers import deploy

HOLDER, BUYER = account("member 0"), account("member 1")
OWN = HOLDER.address_bytes
DAY = Purpose("bakery", "Market Square 1", "DE", NOON, NOON + 10**7, "bread of today")
REASON = "the meter was read twice"
ELSEWHERE = b"another registry".ljust(32, b"\0")
LONG = 2**256 - 1


@pytest.fixture(scope="module")
def ground() -> Ground:
    return fresh_ground(3)


@pytest.fixture
def token(ground: Ground) -> TokenId:
    """400 Wh of a fresh certificate in the first member's hands."""
    meter = ground.meter(f"roof {ground.clock.now}")
    ground.register(meter)
    shown = ground.quarter(meter)
    ground.claim(shown)
    return ground.token(shown.production)


@pytest.fixture
def message(ground: Ground) -> bytes:
    return ground.clock.now.to_bytes(32)


def _others(ground: Ground) -> tuple[object, ...]:
    return HOLDER, ground.operator, ground.stranger, BUYER


def _last(ground: Ground) -> Movement:
    return ground.ledger.facts().movements[-1]


# Withdrawing


def test_the_issuer_withdraws_units_and_says_why(ground: Ground, token: TokenId) -> None:
    ground.ledger.withdraw_units(ground.issuer, OWN, token, 150, REASON)
    assert ground.ledger.units(OWN, token) == 250
    assert _last(ground) == Movement(
        Act.WITHDRAWN, *token, wh=150, giver=OWN, taker=None, words=REASON.encode()
    )
    with ground.refused("certificate: balance too small"):
        ground.ledger.transfer(HOLDER, OWN, BUYER.address_bytes, token, 251)
    assert ground.ledger.is_issued(token)


def test_nobody_else_withdraws_and_nobody_without_a_reason(ground: Ground, token: TokenId) -> None:
    for caller in _others(ground):
        with ground.refused("certificate: caller is not the issuer"):
            ground.ledger.withdraw_units(caller, OWN, token, 1, REASON)
        with ground.refused("certificate: caller is not the issuer"):
            ground.ledger.reinstate(caller, OWN, token, 1, REASON)
    with ground.refused("certificate: no reason given"):
        ground.ledger.withdraw_units(ground.issuer, OWN, token, 1, "")
    with ground.refused("certificate: no reason given"):
        ground.ledger.reinstate(ground.issuer, OWN, token, 1, "")
    with pytest.raises(ChainError, match="above 96 bytes"):
        ground.ledger.withdraw_units(ground.issuer, OWN, token, 1, "é" * 49)


@pytest.mark.parametrize("amount", [401, 2**37, 2**74, LONG])
def test_no_more_is_withdrawn_than_is_held(ground: Ground, token: TokenId, amount: int) -> None:
    with ground.refused("certificate: balance too small"):
        ground.ledger.withdraw_units(ground.issuer, OWN, token, amount, REASON)
    with ground.refused("certificate: amount is zero"):
        ground.ledger.withdraw_units(ground.issuer, OWN, token, 0, REASON)
    ground.ledger.retire(HOLDER, OWN, token, 400, DAY)
    with ground.refused("certificate: balance too small"):
        ground.ledger.withdraw_units(ground.issuer, OWN, token, 1, REASON)


def test_a_new_issuer_withdraws_and_the_old_one_does_not(ground: Ground, token: TokenId) -> None:
    heir = account("heir")
    ground.ledger.set_issuer(ground.issuer, heir.address_bytes)
    with ground.refused("certificate: caller is not the issuer"):
        ground.ledger.withdraw_units(ground.issuer, OWN, token, 1, REASON)
    ground.ledger.withdraw_units(heir, OWN, token, 1, REASON)
    ground.ledger.set_issuer(heir, ground.issuer.address_bytes)


def test_units_in_escrow_are_withdrawn_from_one_offer_and_no_other(
    ground: Ground, token: TokenId
) -> None:
    """Two sellers offer units of the same certificate; one of them had no right to them."""
    ground.ledger.transfer(HOLDER, OWN, BUYER.address_bytes, token, 200)
    end = ground.clock.now + 1_000
    honest, other = (
        ground.ledger.number_of(ground.ledger.offer(seller, token, 200, 5, end))
        for seller in (HOLDER, BUYER)
    )
    escrow = ground.ledger.escrow_of_offer(BUYER.address_bytes, other)
    ground.ledger.withdraw_units(ground.issuer, escrow, token, 200, REASON)
    ground.allow(ground.stranger, 10**6)
    with ground.refused("certificate: balance too small"):
        ground.send(ground.stranger, "exchange", "buy", other, 1, 5)
    ground.send(ground.stranger, "exchange", "buy", honest, 200, 1_000)
    assert ground.ledger.units(ground.stranger.address_bytes, token) == 200
    ground.ledger.cancel_offer(BUYER, other)
    assert ground.ledger.offer_of(other) is None
    assert ground.ledger.units(BUYER.address_bytes, token) == 0


# Reinstating


def test_the_issuer_gives_retired_units_back_to_whoever_retired_them(
    ground: Ground, token: TokenId
) -> None:
    ground.ledger.retire(HOLDER, OWN, token, 300, DAY)
    ground.ledger.reinstate(ground.issuer, OWN, token, 100, "the bakery's meter was wrong")
    assert (ground.ledger.units(OWN, token), ground.ledger.retired(OWN, token)) == (200, 200)
    assert _last(ground).act is Act.REINSTATED
    assert ground.ledger.facts().retirements[-1] == Retirement(*token, owner=OWN, wh=200)
    ground.ledger.transfer(HOLDER, OWN, BUYER.address_bytes, token, 200)
    ground.ledger.retire(BUYER, BUYER.address_bytes, token, 200, DAY)
    assert sum(r.wh for r in ground.ledger.facts().retirements[-2:]) == 400


def test_no_more_is_reinstated_than_was_retired_and_to_nobody_else(
    ground: Ground, token: TokenId
) -> None:
    ground.ledger.retire(HOLDER, OWN, token, 300, DAY)
    for holder, amount in ((OWN, 301), (BUYER.address_bytes, 1), (OWN, 2**37), (OWN, LONG)):
        with ground.refused("certificate: balance too small"):
            ground.ledger.reinstate(ground.issuer, holder, token, amount, REASON)
    with ground.refused("certificate: amount is zero"):
        ground.ledger.reinstate(ground.issuer, OWN, token, 0, REASON)
    ground.ledger.reinstate(ground.issuer, OWN, token, 300, REASON)
    with ground.refused("certificate: balance too small"):
        ground.ledger.reinstate(ground.issuer, OWN, token, 1, REASON)


# Exporting


def test_exported_units_end_here_and_their_message_is_used(
    ground: Ground, token: TokenId, message: bytes
) -> None:
    ledger = ground.ledger
    ledger.export_units(HOLDER, OWN, token, 150, destination=ELSEWHERE, message=message)
    assert ledger.units(OWN, token) == 250
    assert _last(ground) == Movement(
        Act.EXPORTED, *token, wh=150, giver=OWN, taker=None, words=message,
        destination=ELSEWHERE,
    )  # fmt: skip
    for amount in (150, 1):
        with ground.refused("certificate: message is used"):
            ledger.export_units(HOLDER, OWN, token, amount, destination=ELSEWHERE, message=message)
    with ground.refused("certificate: no message"):
        ledger.export_units(HOLDER, OWN, token, 1, destination=ELSEWHERE, message=bytes(32))
    with ground.refused("certificate: no destination"):
        ledger.export_units(HOLDER, OWN, token, 1, destination=bytes(32), message=ELSEWHERE)


def test_nobody_exports_anothers_units_or_more_than_are_held(
    ground: Ground, token: TokenId, message: bytes
) -> None:
    for caller in (ground.stranger, ground.issuer, ground.operator):
        with ground.refused("certificate: caller is neither holder nor approved"):
            ground.ledger.export_units(
                caller, OWN, token, 1, destination=ELSEWHERE, message=message
            )  # fmt: skip
    for amount, reason in ((0, "amount is zero"), (401, "balance too small"), (LONG, "balance")):
        with pytest.raises(Exception, match=reason):
            ground.ledger.export_units(
                HOLDER, OWN, token, amount, destination=ELSEWHERE, message=message
            )  # fmt: skip
    ground.ledger.approve(HOLDER, BUYER.address_bytes)
    ground.ledger.export_units(BUYER, OWN, token, 1, destination=ELSEWHERE, message=message)
    ground.ledger.approve(HOLDER, BUYER.address_bytes, approved=False)


def test_exactly_what_a_message_exported_comes_back_once(
    ground: Ground, token: TokenId, message: bytes
) -> None:
    ledger = ground.ledger
    ledger.export_units(HOLDER, OWN, token, 150, destination=ELSEWHERE, message=message)
    other = token._replace(start=token.start + QUARTER)
    back = BUYER.address_bytes
    for wrong in (
        (token, 149, message), (token, 151, message), (other, 150, message), (token, 0, message),
        (token, 150, ELSEWHERE), (token, 150, bytes(32)),
    ):  # fmt: skip
        with ground.refused("certificate: message did not export this"):
            ledger.restore(ground.issuer, back, *wrong)
    for caller in _others(ground):
        with ground.refused("certificate: caller is not the issuer"):
            ledger.restore(caller, back, token, 150, message)
    with ground.refused("certificate: no receiver"):
        ledger.restore(ground.issuer, bytes(20), token, 150, message)
    ledger.restore(ground.issuer, back, token, 150, message)
    assert (ledger.units(OWN, token), ledger.units(back, token)) == (250, 150)
    assert _last(ground) == Movement(
        Act.RESTORED, *token, wh=150, giver=None, taker=back, words=message
    )
    with ground.refused("certificate: message did not export this"):
        ledger.restore(ground.issuer, back, token, 150, message)
    with ground.refused("certificate: message is used"):
        ledger.export_units(HOLDER, OWN, token, 150, destination=ELSEWHERE, message=message)


def test_units_that_came_back_know_their_source_again(
    ground: Ground, token: TokenId, message: bytes
) -> None:
    """The holder had nothing left of that slot, so the source is asked of the registry."""
    ledger = ground.ledger
    ledger.export_units(HOLDER, OWN, token, 400, destination=ELSEWHERE, message=message)
    ledger.restore(ground.issuer, OWN, token, 400, message)
    receipt = ledger.retire(HOLDER, OWN, token, 400, DAY)
    assert int.from_bytes(receipt.logs[-1].topics[3]) == ROOFTOP


def test_a_contract_is_asked_before_it_gets_anything_back(
    ground: Ground, token: TokenId, message: bytes
) -> None:
    """ERC-1155 asks a receiver of new units, too; one that has changed its mind gets none."""
    ledger, connection = ground.ledger, ground.ledger.connection
    owner = deploy(connection, ground.stranger, "holder", encode(["bool"], [True]))
    ledger.transfer(HOLDER, OWN, owner, token, 300)
    retire = contract("Certificate").data("retire", owner, token.number, 100, DAY.encode())
    run = keccak(b"run(address,bytes)")[:4]
    run += encode(["address", "bytes"], [ledger.addresses.certificate, retire])
    connection.send(ground.stranger, "0x" + owner.hex(), run)
    ledger.export_units(HOLDER, OWN, token, 50, destination=ELSEWHERE, message=message)
    for takes in (False, True):
        change = keccak(b"change_mind(bool)")[:4] + encode(["bool"], [takes])
        connection.send(ground.stranger, "0x" + owner.hex(), change)
        if takes:
            ledger.reinstate(ground.issuer, owner, token, 100, REASON)
            ledger.restore(ground.issuer, owner, token, 50, message)
            continue
        with ground.refused("certificate: receiver refused"):
            ledger.reinstate(ground.issuer, owner, token, 100, REASON)
        with ground.refused("certificate: receiver refused"):
            ledger.restore(ground.issuer, owner, token, 50, message)
    assert (ledger.units(owner, token), ledger.retired(owner, token)) == (350, 0)


# Words about a retirement


@pytest.mark.parametrize(
    "data",
    [b"", bytes(20), bytes(18) + b"\1\0\0", DAY.encode()[:-1], DAY.encode() + b"x"],
)
def test_claim_data_that_nobody_can_read_is_refused(
    ground: Ground, token: TokenId, data: bytes
) -> None:
    with ground.refused("certificate: claim data unclear"):
        ground.send(HOLDER, "certificate", "retire", OWN, token.number, 1, data)


def test_a_purpose_too_long_is_refused_before_it_is_sent() -> None:
    for changes in (
        {"beneficiary": "b" * 256}, {"location": "é" * 97, "purpose": "p" * 96}, {"country": "DEU"},
        {"period_end": 2**64}, {"country": "D"},
    ):  # fmt: skip
        fields = {name: getattr(DAY, name) for name in DAY.__slots__} | changes
        with pytest.raises(ChainError, match="purpose of a retirement"):
            Purpose(**fields).encode()
    assert Purpose.decode(DAY.encode()) == DAY
    for data in (b"", bytes(20), DAY.encode()[:-1], DAY.encode() + b"x"):
        with pytest.raises(ChainError, match="claim data"):
            Purpose.decode(data)

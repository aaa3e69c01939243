"""Certificates for money, in one transaction or not at all (rule R14); and escrows in general."""

from dataclasses import replace

import pytest
from eth_abi.abi import encode

from commonwatt.audit.facts import Act, Escrow, Movement
from commonwatt.chain.abi import contract
from commonwatt.chain.connection import Account
from commonwatt.chain.encoding import keccak
from commonwatt.chain.errors import ChainError
from commonwatt.chain.holdings import Offer
from commonwatt.chain.ledger import Ledger
from commonwatt.chain.production import Purpose, TokenId
from contracts.ground import NOON, QUARTER, Ground, account, fresh_ground
from contracts.helpers import deploy

SELLER, BUYER, THIRD = account("member 0"), account("member 1"), account("third")
OWN, BUYERS = SELLER.address_bytes, BUYER.address_bytes
PRICE = 25_000
DAY = Purpose("bakery", "", "DE", NOON, NOON + 10**7, "bread")


@pytest.fixture(scope="module")
def ground() -> Ground:
    ground = fresh_ground(3)
    for buyer in (BUYER, THIRD):
        ground.allow(buyer, 10**12)
    return ground


@pytest.fixture
def token(ground: Ground) -> TokenId:
    """400 Wh of a fresh certificate in the seller's hands, who lets the exchange take them."""
    ground.clock.now += -ground.clock.now % QUARTER
    meter = ground.meter(f"roof {ground.clock.now}")
    ground.register(meter)
    shown = ground.quarter(meter)
    ground.claim(shown)
    ground.ledger.approve(SELLER, ground.ledger.addresses.exchange)
    return ground.token(shown.production)


def _offer(ground: Ground, token: TokenId, amount: int = 300, price: int = PRICE) -> int:
    offered = ground.ledger.offer(SELLER, token, amount, price, ground.clock.now + 1_000)
    return ground.ledger.number_of(offered)


def _buy(ground: Ground, buyer: Account, number: int, amount: int, most: int) -> None:
    ground.send(buyer, "exchange", "buy", number, amount, most)


def test_what_is_offered_is_frozen_in_an_escrow_of_its_own(ground: Ground, token: TokenId) -> None:
    number = _offer(ground, token)
    ledger = ground.ledger
    escrow = ledger.escrow_of_offer(OWN, number)
    assert (ledger.units(OWN, token), ledger.units(escrow, token)) == (100, 300)
    assert ledger.offer_of(number) == Offer(OWN, token, 300, PRICE, ground.clock.now + 1_000)
    with ground.refused("certificate: balance too small"):
        ledger.transfer(SELLER, OWN, BUYERS, token, 101)
    for caller in (SELLER, ground.stranger, ground.issuer):
        with ground.refused("certificate: caller is neither holder nor approved"):
            ledger.transfer(caller, escrow, BUYERS, token, 1)
        with ground.refused("certificate: caller is neither holder nor approved"):
            ledger.retire(caller, escrow, token, 1, DAY)
        with ground.refused("certificate: balance too small"):
            ledger.release(caller, OWN, number, token, 1, receiver=BUYERS)
    facts = ledger.facts()
    assert facts.escrows[escrow] == Escrow(ledger.addresses.exchange, OWN, number)
    assert facts.movements[-1] == Movement(Act.MOVED, *token, wh=300, giver=OWN, taker=escrow)


def test_payment_and_delivery_are_one(ground: Ground, token: TokenId) -> None:
    ledger, number = ground.ledger, _offer(ground, token)
    before = ledger.wallet(OWN), ledger.wallet(BUYERS)
    _buy(ground, BUYER, number, 120, 120 * PRICE)
    assert ledger.units(BUYERS, token) == 120
    paid = 120 * PRICE
    assert (ledger.wallet(OWN), ledger.wallet(BUYERS)) == (before[0] + paid, before[1] - paid)
    assert ledger.offer_of(number).left_wh == 180
    _buy(ground, THIRD, number, 180, 2**256 - 1)
    assert ledger.units(THIRD.address_bytes, token) == 180
    assert ledger.offer_of(number) is None
    with ground.refused("exchange: no such offer"):
        _buy(ground, BUYER, number, 1, PRICE)


def test_an_offer_that_is_sold_leaves_no_slot_behind(ground: Ground, token: TokenId) -> None:
    number = _offer(ground, token)
    exchange = ground.ledger.addresses.exchange
    slots = len(ground.state()[exchange])
    _buy(ground, BUYER, number, 300, 300 * PRICE)
    assert len(ground.state()[exchange]) == slots - 2


def test_nobody_gets_more_than_is_left_or_pays_more_than_they_said(
    ground: Ground, token: TokenId
) -> None:
    number = _offer(ground, token)
    for amount, most, reason in (
        (301, 2**256 - 1, "certificate: balance too small"),
        (0, 2**256 - 1, "certificate: amount is zero"),
        (100, 100 * PRICE - 1, "exchange: costs more than the most"),
        (1, 0, "exchange: costs more than the most"),
    ):
        with ground.refused(reason):
            _buy(ground, BUYER, number, amount, most)
    with ground.refused("exchange: offer is the buyer's own"):
        _buy(ground, SELLER, number, 1, PRICE)
    with ground.refused("exchange: no such offer"):
        _buy(ground, BUYER, number + 1, 1, PRICE)
    with ground.refused("exchange: no such offer"):
        _buy(ground, BUYER, 0, 1, PRICE)
    with pytest.raises(Exception, match="was undone"):
        _buy(ground, BUYER, number, 2**255, 2**256 - 1)


def test_who_cannot_pay_gets_nothing(ground: Ground, token: TokenId) -> None:
    number, poor = _offer(ground, token), account("poor")
    with ground.refused("euro: allowance too small"):
        _buy(ground, poor, number, 1, PRICE)
    ground.send(poor, "token", "approve", ground.ledger.addresses.exchange, 10**9)
    with ground.refused("euro: balance too small"):
        _buy(ground, poor, number, 1, PRICE)


def test_an_offer_that_is_over_is_not_filled_and_anybody_returns_it(
    ground: Ground, token: TokenId
) -> None:
    ledger, number = ground.ledger, _offer(ground, token)
    for caller in (BUYER, ground.stranger, ground.issuer):
        with ground.refused("exchange: caller is not the seller"):
            ledger.cancel_offer(caller, number)
    ground.clock.now += 999
    _buy(ground, BUYER, number, 50, 50 * PRICE)
    ground.clock.now += 1
    with ground.refused("exchange: offer is over"):
        _buy(ground, BUYER, number, 1, PRICE)
    ledger.cancel_offer(ground.stranger, number)
    assert ledger.units(OWN, token) == 350
    with ground.refused("exchange: no such offer"):
        ledger.cancel_offer(SELLER, number)


def test_the_seller_takes_an_offer_back_at_any_time(ground: Ground, token: TokenId) -> None:
    ledger, number = ground.ledger, _offer(ground, token)
    _buy(ground, BUYER, number, 100, 100 * PRICE)
    ledger.cancel_offer(SELLER, number)
    assert ledger.units(OWN, token) == 300
    assert ledger.offer_of(number) is None
    with ground.refused("exchange: no such offer"):
        _buy(ground, BUYER, number, 1, PRICE)


@pytest.mark.parametrize(
    ("price", "late", "reason"),
    [
        (0, 10, "price is out of range"),
        (2**64, 10, "price is out of range"),
        (PRICE, 0, "end is out of range"),
        (PRICE, -1, "end is out of range"),
        (PRICE, 2**32, "end is out of range"),
    ],
)
def test_an_offer_has_a_price_and_an_end(
    ground: Ground, token: TokenId, price: int, late: int, reason: str
) -> None:
    with ground.refused(f"exchange: {reason}"):
        ground.ledger.offer(SELLER, token, 1, price, ground.clock.now + late)
    edge = ground.ledger.offer(SELLER, token, 1, 2**64 - 1, 2**32 - 1)
    assert ground.ledger.offer_of(ground.ledger.number_of(edge)).price == 2**64 - 1


def test_only_units_that_are_there_and_ones_own_are_offered(ground: Ground, token: TokenId) -> None:
    for amount, reason in ((401, "balance too small"), (0, "amount is zero")):
        with ground.refused(f"certificate: {reason}"):
            ground.ledger.offer(SELLER, token, amount, PRICE, ground.clock.now + 10)
    ground.ledger.approve(THIRD, ground.ledger.addresses.exchange)
    with ground.refused("certificate: balance too small"):
        ground.ledger.offer(THIRD, token, 1, PRICE, ground.clock.now + 10)
    ground.ledger.approve(SELLER, ground.ledger.addresses.exchange, approved=False)
    with ground.refused("certificate: caller is neither holder nor approved"):
        end = ground.clock.now + 10
        ground.send(SELLER, "exchange", "offer", token.number, 1, PRICE, end)


def test_taking_the_approval_back_does_not_stop_an_offer_that_stands(
    ground: Ground, token: TokenId
) -> None:
    number = _offer(ground, token)
    ground.ledger.approve(SELLER, ground.ledger.addresses.exchange, approved=False)
    _buy(ground, BUYER, number, 300, 300 * PRICE)
    assert ground.ledger.units(BUYERS, token) == 300


def test_offers_of_one_certificate_do_not_touch_each_other(ground: Ground, token: TokenId) -> None:
    first, second = _offer(ground, token, 100), _offer(ground, token, 200, PRICE * 2)
    assert second == first + 1
    _buy(ground, BUYER, first, 100, 100 * PRICE)
    with ground.refused("exchange: no such offer"):
        _buy(ground, BUYER, first, 1, PRICE)
    assert ground.ledger.offer_of(second).left_wh == 200
    ground.ledger.cancel_offer(SELLER, second)
    assert ground.ledger.units(OWN, token) == 300


def test_what_somebody_puts_into_an_offer_belongs_to_it(ground: Ground, token: TokenId) -> None:
    number = _offer(ground, token, 100)
    escrow = ground.ledger.escrow_of_offer(OWN, number)
    ground.ledger.transfer(SELLER, OWN, escrow, token, 20)
    assert ground.ledger.offer_of(number).left_wh == 120
    ground.ledger.cancel_offer(SELLER, number)
    assert ground.ledger.units(OWN, token) == 400


def test_the_client_allows_what_is_needed_and_reads_the_number(
    ground: Ground, token: TokenId
) -> None:
    ledger, beginner = ground.ledger, account("beginner")
    ledger.approve(SELLER, ledger.addresses.exchange, approved=False)
    offered = ledger.offer(SELLER, token, 10, PRICE, ground.clock.now + 10)
    ledger.mint(ground.issuer, [(beginner.address_bytes, 10 * PRICE)])
    bought = ledger.buy(beginner, ledger.number_of(offered), 10, 10 * PRICE)
    assert ledger.units(beginner.address_bytes, token) == 10
    with pytest.raises(ChainError, match="made no offer"):
        ledger.number_of(bought)


def test_an_exchange_or_a_book_of_something_else_is_told_apart(ground: Ground) -> None:
    at = ground.ledger.addresses
    facts = ground.ledger.facts()
    assert (facts.exchange, facts.book) == (at.exchange, at.book)
    for wrong in (at.token, at.registry):
        mixed = replace(at, exchange=wrong, book=wrong)
        ledger = Ledger(ground.ledger.connection, mixed)
        assert not ledger.sells_certificates()
        assert not ledger.keeps_book()
        facts = ledger.facts()
        assert (facts.exchange, facts.book, facts.posts) == (b"", b"", ())


# Contracts as buyers and sellers


def test_a_buying_contract_that_takes_no_certificates_pays_nothing(
    ground: Ground, token: TokenId
) -> None:
    connection, at = ground.ledger.connection, ground.ledger.addresses
    number = _offer(ground, token)
    for takes in (False, True):
        buyer = deploy(connection, ground.stranger, "holder", encode(["bool"], [takes]))
        ground.ledger.mint(ground.issuer, [(buyer, 10**9)])
        _run(ground, buyer, at.token, contract("Euro").data("approve", at.exchange, 10**9))
        buy = contract("Exchange").data("buy", number, 10, 10 * PRICE)
        if takes:
            _run(ground, buyer, at.exchange, buy)
        else:
            with ground.refused("certificate: receiver refused"):
                _run(ground, buyer, at.exchange, buy)
        assert ground.ledger.units(buyer, token) == 10 * takes
        assert ground.ledger.wallet(buyer) == 10**9 - 10 * PRICE * takes


@pytest.mark.parametrize("again", ["buy", "cancel", "transfer"])
def test_a_buyer_that_calls_back_while_units_arrive_gets_nothing_more(
    ground: Ground, token: TokenId, again: str
) -> None:
    connection, at = ground.ledger.connection, ground.ledger.addresses
    number = _offer(ground, token)
    robber = deploy(connection, ground.stranger, "holder", encode(["bool"], [True]))
    ground.ledger.mint(ground.issuer, [(robber, 10**9)])
    _run(ground, robber, at.token, contract("Euro").data("approve", at.exchange, 10**9))
    ground.ledger.approve(SELLER, robber)
    where, data = {
        "buy": (at.exchange, contract("Exchange").data("buy", number, 1, PRICE)),
        "cancel": (at.exchange, contract("Exchange").data("cancel", number)),
        "transfer": (
            at.certificate,
            contract("Certificate").data("safeTransferFrom", OWN, robber, token.number, 1, b""),
        ),
    }[again]
    call_back = keccak(b"call_back(address,bytes)")[:4]
    call_back += encode(["address", "bytes"], [where, data])
    connection.send(ground.stranger, "0x" + robber.hex(), call_back)
    before = ground.state()
    with pytest.raises(Exception, match="was undone"):
        _run(ground, robber, at.exchange, contract("Exchange").data("buy", number, 1, PRICE))
    after = ground.state()
    after[b"coins"] = before[b"coins"]
    assert after == before
    ground.ledger.approve(SELLER, robber, approved=False)


BEHAVES, ANSWERS_FALSE, KEEPS_A_UNIT, ANSWERS_NOTHING = range(4)


def test_a_token_that_does_not_pay_in_full_buys_nothing(ground: Ground, token: TokenId) -> None:
    """Its habits are in `odd_token.vy`."""
    connection, at = ground.ledger.connection, ground.ledger.addresses
    odd = deploy(connection, BUYER, "odd_token", encode(["uint256"], [BEHAVES]))
    creation = contract("Exchange").creation(at.certificate, odd)
    exchange = connection.send(BUYER, None, creation).contract_address
    here = bytes.fromhex(exchange[2:])
    ground.ledger.approve(SELLER, here)
    data = contract("Exchange").data("offer", token.number, 100, 1, ground.clock.now + 100)
    connection.send(SELLER, exchange, data)
    buy = contract("Exchange").data("buy", 1, 10, 10)
    for habit, reason in (
        (ANSWERS_FALSE, "exchange: token refused the payment"),
        (KEEPS_A_UNIT, "exchange: token paid another amount"),
    ):
        _habit(ground, odd, habit)
        with ground.refused(reason):
            connection.send(BUYER, exchange, buy)
    for habit in (ANSWERS_NOTHING, BEHAVES):
        _habit(ground, odd, habit)
        connection.send(BUYER, exchange, buy)
    assert ground.ledger.units(BUYERS, token) == 20


# Escrows beyond the exchange


def test_an_escrow_is_emptied_by_its_agent_alone(ground: Ground, token: TokenId) -> None:
    ledger, agent = ground.ledger, account("notary")
    ledger.approve(SELLER, agent.address_bytes)
    ledger.reserve(agent, OWN, 5, token, 100)
    escrow = ledger.escrow(agent.address_bytes, OWN, 5)
    assert ledger.units(escrow, token) == 100
    for caller, holder, number in (
        (SELLER, OWN, 5), (ground.stranger, OWN, 5), (agent, BUYERS, 5), (agent, OWN, 6),
    ):  # fmt: skip
        with ground.refused("certificate: balance too small"):
            ledger.release(caller, holder, number, token, 1, receiver=holder)
    with ground.refused("certificate: balance too small"):
        ledger.release(agent, OWN, 5, token, 101, receiver=BUYERS)
    with ground.refused("certificate: no receiver"):
        ledger.release(agent, OWN, 5, token, 1, receiver=bytes(20))
    ledger.release(agent, OWN, 5, token, 60, receiver=BUYERS)
    ledger.release(agent, OWN, 5, token, 40, receiver=OWN)
    assert (ledger.units(OWN, token), ledger.units(BUYERS, token)) == (340, 60)
    with ground.refused("certificate: caller is neither holder nor approved"):
        ledger.reserve(ground.stranger, OWN, 5, token, 1)
    ledger.approve(SELLER, agent.address_bytes, approved=False)


def test_a_receiver_in_an_escrow_is_asked_like_any_other(ground: Ground, token: TokenId) -> None:
    connection = ground.ledger.connection
    refuser = deploy(connection, ground.stranger, "holder", encode(["bool"], [False]))
    ground.ledger.reserve(SELLER, OWN, 1, token, 100)
    with ground.refused("certificate: receiver refused"):
        ground.ledger.release(SELLER, OWN, 1, token, 1, receiver=refuser)


def _run(ground: Ground, who: bytes, target: bytes, data: bytes) -> None:
    run = keccak(b"run(address,bytes)")[:4] + encode(["address", "bytes"], [target, data])
    ground.ledger.connection.send(ground.stranger, "0x" + who.hex(), run)


def _habit(ground: Ground, token: bytes, habit: int) -> None:
    data = keccak(b"set_habit(uint256)")[:4] + habit.to_bytes(32)
    ground.ledger.connection.send(BUYER, "0x" + token.hex(), data)

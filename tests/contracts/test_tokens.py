"""The money: our own token, and how the settlement bears with tokens of others."""

from collections.abc import Callable

import pytest
from eth_abi.abi import encode

from commonwatt.audit.facts import SUPPLIER_LANE
from commonwatt.chain.abi import contract
from commonwatt.chain.connection import Account
from commonwatt.chain.encoding import keccak
from commonwatt.chain.founding import deploy as found_community
from contracts.ground import EURO, Ground, account
from contracts.helpers import deploy

POOR, PAYER, PAYEE = account("poor"), account("payer"), account("payee")
LIMITLESS = 2**256 - 1


@pytest.fixture
def euro(ground: Ground) -> Callable[..., None]:
    """Send something to the token."""

    def send(sender: Account, function: str, *values: object) -> None:
        at = "0x" + ground.ledger.addresses.token.hex()
        ground.ledger.connection.send(sender, at, contract("Euro").data(function, *values))

    return send


def test_only_the_minter_mints(ground: Ground, euro: Callable[..., None]) -> None:
    for caller in (ground.operator, ground.stranger):
        with ground.refused("euro: caller is not the minter"):
            euro(caller, "mint", caller.address_bytes, 1)
    with ground.refused("euro: no receiver"):
        euro(ground.issuer, "mint", bytes(20), 1)
    supply = ground.ledger.token_supply()
    euro(ground.issuer, "mint", PAYER.address_bytes, 7)
    assert ground.ledger.token_supply() == supply + 7
    euro(PAYER, "burn", 7)
    assert ground.ledger.token_supply() == supply
    with ground.refused("euro: balance too small"):
        euro(PAYER, "burn", 1)


def test_units_move_only_if_they_are_there_and_allowed(
    ground: Ground, euro: Callable[..., None]
) -> None:
    payer, payee = PAYER.address_bytes, PAYEE.address_bytes
    euro(ground.issuer, "mint", payer, 10 * EURO)
    euro(PAYER, "transfer", payee, EURO)
    euro(PAYER, "approve", ground.stranger.address_bytes, 5)
    euro(ground.stranger, "transferFrom", payer, payee, 4)
    with ground.refused("euro: allowance too small"):
        euro(ground.stranger, "transferFrom", payer, payee, 2)
    euro(PAYER, "approve", ground.stranger.address_bytes, LIMITLESS)
    euro(ground.stranger, "transferFrom", payer, payee, EURO)
    euro(ground.stranger, "transferFrom", payer, payee, EURO)
    assert ground.ledger.wallet(payee) == 3 * EURO + 4
    for function, values in (("transfer", (bytes(20), 1)), ("transferFrom", (payer, bytes(20), 1))):
        caller = PAYER if function == "transfer" else ground.stranger
        with ground.refused("euro: no receiver"):
            euro(caller, function, *values)
    with ground.refused("euro: balance too small"):
        euro(POOR, "transfer", payee, 1)


def test_the_token_says_what_it_is(ground: Ground) -> None:
    known, ask = contract("Euro"), ground.ledger.connection.call
    at = "0x" + ground.ledger.addresses.token.hex()
    said = [known.answer(f, ask(at, known.data(f)))[0] for f in ("name", "symbol", "decimals")]
    assert said == ["Euro", "EUR", 8]


# Tokens of others

BEHAVES, ANSWERS_FALSE, KEEPS_A_UNIT, ANSWERS_NOTHING, CALLS_BACK = range(5)


@pytest.fixture
def odd(ground: Ground) -> Ground:
    """A community that settles in a token with habits; the payer has all of it."""
    connection = ground.ledger.connection
    token = deploy(connection, PAYER, "odd_token", encode(["uint256"], [BEHAVES]))
    ledger = found_community(
        connection, issuer=ground.issuer, operator=ground.operator.address_bytes,
        supplier=PAYER.address_bytes, grid_operator=ground.grid.address_bytes,
        registry=ground.ledger.addresses.registry, token=token,
        certificate=ground.ledger.addresses.certificate,
    )  # fmt: skip
    community = Ground(ground.clock, ground.chain, ledger)
    _deposit(community, 100)
    return community


def test_a_token_that_answers_nothing_is_taken_for_one_that_paid(odd: Ground) -> None:
    _habit(odd, ANSWERS_NOTHING)
    _deposit(odd, 50)
    odd.ledger.withdraw(PAYER, SUPPLIER_LANE, 120)
    assert odd.ledger.balance(SUPPLIER_LANE) == 30


def test_a_token_that_says_it_did_not_pay_is_believed(odd: Ground) -> None:
    _habit(odd, ANSWERS_FALSE)
    with odd.refused("settlement: token refused the transfer"):
        _deposit(odd, 50)
    with odd.refused("settlement: token refused the transfer"):
        odd.ledger.withdraw(PAYER, SUPPLIER_LANE, 50)


def test_a_token_that_keeps_a_fee_is_not_taken(odd: Ground) -> None:
    """Otherwise the lanes would promise more than the contract holds."""
    _habit(odd, KEEPS_A_UNIT)
    with odd.refused("settlement: token moved another amount"):
        _deposit(odd, 50)


@pytest.mark.parametrize("function", ["withdraw", "deposit"])
def test_a_token_that_calls_back_while_it_pays_gets_nothing_more(
    odd: Ground, function: str
) -> None:
    settlement = odd.ledger.addresses.settlement
    again = contract("Settlement").data(function, SUPPLIER_LANE, 1)
    call_back = keccak(b"call_back(address,bytes)")[:4]
    data = call_back + encode(["address", "bytes"], [settlement, again])
    odd.ledger.connection.send(PAYER, "0x" + odd.ledger.addresses.token.hex(), data)
    _habit(odd, CALLS_BACK)
    before = odd.state()
    with pytest.raises(Exception, match="was undone"):
        odd.ledger.withdraw(PAYER, SUPPLIER_LANE, 50)
    with pytest.raises(Exception, match="was undone"):
        _deposit(odd, 50)
    assert odd.state() == before


def test_a_settlement_is_made_of_contracts_that_are_there(ground: Ground) -> None:
    at, nobody = ground.ledger.addresses, account("nobody").address_bytes
    for values, reason in (
        ((nobody, at.registry, nobody, nobody), "settlement: token is not a contract"),
        ((at.token, nobody, nobody, nobody), "settlement: registry is not a contract"),
        ((at.token, at.registry, bytes(20), nobody), "settlement: no supplier given"),
        ((at.token, at.registry, nobody, bytes(20)), "settlement: no grid operator given"),
    ):
        with ground.refused(reason):
            creation = contract("Settlement").creation(*values)
            ground.ledger.connection.send(ground.stranger, None, creation)
    others = (
        ("Certificate", (nobody, 0), "certificate: registry is not a contract"),
        ("Exchange", (nobody, at.token), "exchange: certificate is not a contract"),
        ("Exchange", (at.certificate, nobody), "exchange: token is not a contract"),
        ("Book", (nobody,), "book: registry is not a contract"),
    )
    for name, made_of, reason in others:
        with ground.refused(reason):
            creation = contract(name).creation(*made_of)
            ground.ledger.connection.send(ground.stranger, None, creation)


def _habit(odd: Ground, habit: int) -> None:
    data = keccak(b"set_habit(uint256)")[:4] + habit.to_bytes(32)
    odd.ledger.connection.send(PAYER, "0x" + odd.ledger.addresses.token.hex(), data)


def _deposit(odd: Ground, amount: int) -> None:
    at, data = odd.ledger.addresses, contract("Settlement").data("deposit", SUPPLIER_LANE, amount)
    odd.ledger.connection.send(PAYER, "0x" + at.settlement.hex(), data)

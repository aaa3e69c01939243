"""Units expire a fixed time after their interval, checked whenever they are used (rule R22)."""

import pytest

from commonwatt.chain.founding import LIFETIME_S
from commonwatt.chain.production import Purpose, TokenId
from contracts.ground import EURO, NOON, QUARTER, Ground, account

SHORT_S = 3_600
HOLDER, BUYER = account("member 0"), account("member 1")
DAY = Purpose("bakery", "", "DE", NOON - 86_400, NOON + 10**7, "bread")
MESSAGE, OTHER_MESSAGE = b"message ".ljust(32, b"\1"), b"another ".ljust(32, b"\2")


def _holding(**changes: object) -> tuple[Ground, TokenId]:
    """A community whose first member holds 400 Wh of the last quarter hour."""
    ground = Ground.new(**changes)
    ground.join(2)
    ground.register(meter := ground.meter("roof"))
    shown = ground.quarter(meter)
    ground.claim(shown)
    ground.allow(BUYER, EURO)
    return ground, ground.token(shown.production)


def test_a_community_s_certificates_live_for_two_years() -> None:
    ground, token = _holding()
    assert LIFETIME_S == 63_072_000
    assert ground.ledger.expires_at(token) == token.start + QUARTER + LIFETIME_S


def test_units_are_used_until_the_last_second_and_not_after_it() -> None:
    ground, token = _holding(lifetime_s=SHORT_S)
    ledger, own, buyer = ground.ledger, HOLDER.address_bytes, BUYER.address_bytes
    end = ledger.expires_at(token)
    assert end == token.start + QUARTER + SHORT_S
    offered = ledger.number_of(ledger.offer(HOLDER, token, 100, 1, NOON + 10**6))
    ledger.reserve(HOLDER, own, 7, token, 50)
    ground.clock.now = end - 1
    ledger.transfer(HOLDER, own, buyer, token, 1)
    ledger.transfer_many(HOLDER, own, buyer, [(token, 1), (token, 1)])
    ledger.retire(HOLDER, own, token, 1, DAY)
    ground.send(BUYER, "exchange", "buy", offered, 1, 1)
    ledger.release(HOLDER, own, 7, token, 1, receiver=buyer)
    ledger.export_units(HOLDER, own, token, 1, destination=MESSAGE, message=MESSAGE)
    ground.clock.now = end
    expired = "certificate: units have expired"
    with ground.refused(expired):
        ledger.transfer(HOLDER, own, buyer, token, 1)
    with ground.refused(expired):
        ledger.transfer_many(HOLDER, own, buyer, [(token, 1)])
    with ground.refused(expired):
        ledger.retire(HOLDER, own, token, 1, DAY)
    with ground.refused(expired):
        ledger.offer(HOLDER, token, 1, 1, NOON + 10**6)
    with ground.refused(expired):
        ledger.reserve(HOLDER, own, 7, token, 1)
    with ground.refused(expired):
        ledger.release(HOLDER, own, 7, token, 1, receiver=buyer)
    with ground.refused(expired):
        ledger.export_units(HOLDER, own, token, 1, destination=MESSAGE, message=OTHER_MESSAGE)
    with ground.refused(expired):
        ground.send(BUYER, "exchange", "buy", offered, 1, 1)


def test_what_is_expired_still_goes_back_and_can_be_withdrawn() -> None:
    """Neither is use: the units stay where they are of no use to anybody."""
    ground, token = _holding(lifetime_s=SHORT_S)
    ledger, own = ground.ledger, HOLDER.address_bytes
    offered = ledger.number_of(ledger.offer(HOLDER, token, 100, 1, NOON + 10**6))
    ledger.reserve(HOLDER, own, 7, token, 50)
    ledger.retire(HOLDER, own, token, 30, DAY)
    ground.clock.now += 10 * SHORT_S
    ledger.cancel_offer(HOLDER, offered)
    ledger.release(HOLDER, own, 7, token, 50, receiver=own)
    assert (ledger.units(own, token), ledger.retired(own, token)) == (370, 30)
    ledger.withdraw_units(ground.issuer, own, token, 370, "meter was tampered with")
    assert (ledger.units(own, token), ledger.retired(own, token)) == (0, 30)


def test_without_a_lifetime_units_never_expire() -> None:
    ground, token = _holding(lifetime_s=0)
    assert ground.ledger.expires_at(token) is None
    ground.clock.now += 1_000 * 365 * 86_400
    ground.ledger.transfer(HOLDER, HOLDER.address_bytes, BUYER.address_bytes, token, 400)


@pytest.mark.parametrize("lifetime", [2**64, -1])
def test_a_lifetime_fits_its_field(lifetime: int) -> None:
    with pytest.raises(Exception, match="cannot be encoded"):
        Ground.new(lifetime_s=lifetime)

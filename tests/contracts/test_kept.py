"""A meter's certificates are tokens or stand in the book, never both; the book's head is posted."""

import pytest

from commonwatt.audit.facts import BookPost
from contracts.ground import QUARTER, Ground, Meter, account, fresh_ground

OWNER = account("member 0")
HEAD, NEXT = b"\1" * 32, b"\2" * 32


@pytest.fixture(scope="module")
def ground() -> Ground:
    return fresh_ground(3)


@pytest.fixture
def roof(ground: Ground) -> Meter:
    ground.register(meter := ground.meter(f"roof {ground.clock.now}"))
    ground.quarter(meter)
    return meter


def test_intervals_from_the_start_on_cannot_be_claimed_and_earlier_ones_can(
    ground: Ground, roof: Meter
) -> None:
    early = ground.quarter(roof)
    ground.ledger.keep(OWNER, roof.key.meter, ground.clock.now + QUARTER)
    last, first, second = (ground.quarter(roof) for _ in range(3))
    ground.claim(last)
    for kept in (first, second):
        with ground.refused("certificate: kept in the book"):
            ground.claim(kept)
        with ground.refused("certificate: kept in the book"):
            ground.ledger.claim_run(
                ground.stranger, kept.previous, [kept.production], kept.signature
            )  # fmt: skip
    run = [early.production, last.production, first.production]
    with ground.refused("certificate: interval already claimed"):
        ground.ledger.claim_run(ground.stranger, early.previous, run, first.signature)
    ground.claim(early)
    assert ground.ledger.kept_from(roof.key.meter) == ground.token(first.production).start
    assert ground.ledger.facts().kept[roof.key.meter] == ground.token(first.production).start


def test_a_run_may_reach_into_the_book_as_long_as_it_claims_nothing_there(
    ground: Ground, roof: Meter
) -> None:
    ground.ledger.keep(OWNER, roof.key.meter, ground.clock.now + QUARTER)
    last, kept = ground.quarter(roof), ground.quarter(roof, free=0)
    with ground.refused("certificate: kept in the book"):
        run = [last.production, ground.closed[-1].production(roof.last, 2, issued_wh=1, free_wh=1)]
        ground.ledger.claim_run(ground.stranger, last.previous, run, kept.signature)
    run = [last.production, kept.production]
    ground.ledger.claim_run(ground.stranger, last.previous, run, kept.signature)


def test_only_the_owner_or_the_issuer_chooses_once_and_for_what_is_to_come(
    ground: Ground, roof: Meter
) -> None:
    ledger, name = ground.ledger, roof.key.meter
    soon = ground.clock.now + QUARTER
    assert ledger.kept_from(name) is None
    for caller in (ground.stranger, ground.operator, account("member 1")):
        with ground.refused("certificate: caller may not keep this"):
            ledger.keep(caller, name, soon)
    for passed in (ground.last_start, 0):
        with ground.refused("certificate: start has passed"):
            ledger.keep(OWNER, name, passed)
    with ground.refused("certificate: unknown meter"):
        ledger.keep(OWNER, b"\1" * 20, soon)
    ground.register(direct := ground.meter(f"direct {ground.clock.now}", direct=True))
    with ground.refused("certificate: meter writes to the chain itself"):
        ledger.keep(OWNER, direct.key.meter, soon)
    ledger.keep(OWNER, name, ground.last_start + 1)
    for again in (soon, soon + 10**6):
        with ground.refused("certificate: meter is kept"):
            ledger.keep(OWNER, name, again)


def test_the_issuer_keeps_a_meter_as_its_owner_would(ground: Ground, roof: Meter) -> None:
    ground.ledger.keep(ground.issuer, roof.key.meter, ground.clock.now)
    shown = ground.quarter(roof)
    with ground.refused("certificate: kept in the book"):
        ground.claim(shown)
    with ground.refused("certificate: meter is kept"):
        ground.ledger.keep(OWNER, roof.key.meter, ground.clock.now)


def test_a_meter_that_was_sold_is_kept_on(ground: Ground, roof: Meter) -> None:
    ledger, name = ground.ledger, roof.key.meter
    ledger.offer_meter(OWNER, name, 1)
    ledger.accept_meter(account("member 1"), name)
    with ground.refused("certificate: caller may not keep this"):
        ledger.keep(OWNER, name, ground.clock.now)
    ledger.keep(account("member 1"), name, ground.clock.now)
    shown = ground.quarter(roof)
    with ground.refused("certificate: kept in the book"):
        ground.claim(shown)


# The book's head


def test_the_issuer_posts_heads_of_a_book_that_only_grows(ground: Ground) -> None:
    ledger = ground.ledger
    assert ledger.book_head() == (0, bytes(32))
    first = ledger.post(ground.issuer, 3, HEAD)
    with ground.refused("book: nothing new"):
        ledger.post(ground.issuer, 3, NEXT)
    with ground.refused("book: nothing new"):
        ledger.post(ground.issuer, 0, NEXT)
    with ground.refused("book: no head"):
        ledger.post(ground.issuer, 4, bytes(32))
    for caller in (ground.operator, ground.stranger, OWNER):
        with ground.refused("book: caller is not the issuer"):
            ledger.post(caller, 4, NEXT)
    second = ledger.post(ground.issuer, 2**256 - 1, NEXT)
    assert ledger.book_head() == (2**256 - 1, NEXT)
    assert ledger.facts().posts == (
        BookPost(3, HEAD, first.tx_hash, first.block_number),
        BookPost(2**256 - 1, NEXT, second.tx_hash, second.block_number),
    )

"""Where the units of certificates are, followed through the chain's events."""

import pytest

from commonwatt.audit.facts import Act, Escrow, Movement
from commonwatt.audit.units import (
    ESCROWED,
    EXPORTED,
    HELD,
    RETIRED,
    WITHDRAWN,
    Place,
    Units,
    units_of,
)
from commonwatt.certificate.bundle import Origin
from commonwatt.errors import InvariantBroken

TOKEN = Origin(b"\xaa" * 20, 900, 900)
PRODUCER, BUYER, EXCHANGE, DRAWER = (bytes([n]) * 20 for n in (1, 2, 3, 4))
ESCROW = Escrow(EXCHANGE, PRODUCER, 1)


def happened(act: Act, wh: int, giver=None, taker=None, words: bytes = b"") -> Movement:
    return Movement(act, *TOKEN, wh, giver, taker, words)


def places(*more: Movement) -> dict[Place, int]:
    issued = happened(Act.ISSUED, 100, taker=PRODUCER)
    [found] = units_of([issued, *more], {DRAWER: ESCROW})
    assert isinstance(found, Units)
    assert found.issued_wh == 100
    return dict(found.places)


def test_units_on_offer_are_still_their_sellers_until_they_are_bought() -> None:
    offered = happened(Act.MOVED, 40, PRODUCER, DRAWER)
    bought = happened(Act.MOVED, 30, DRAWER, BUYER)
    assert places(offered, bought) == {
        Place(HELD, PRODUCER): 60,
        Place(ESCROWED, PRODUCER, ESCROW): 10,
        Place(HELD, BUYER): 30,
    }


def test_units_withdrawn_from_an_escrow_were_their_sellers() -> None:
    offered = happened(Act.MOVED, 40, PRODUCER, DRAWER)
    withdrawn = happened(Act.WITHDRAWN, 40, DRAWER, words=b"counted twice")
    assert places(offered, withdrawn) == {
        Place(HELD, PRODUCER): 60,
        Place(WITHDRAWN, PRODUCER): 40,
    }


def test_exported_units_may_come_back_to_another_holder() -> None:
    first = happened(Act.EXPORTED, 10, PRODUCER, words=b"first")
    second = happened(Act.EXPORTED, 20, PRODUCER, words=b"second")
    back = happened(Act.RESTORED, 20, taker=BUYER, words=b"second")
    assert places(first, second, back) == {
        Place(HELD, PRODUCER): 70,
        Place(EXPORTED, PRODUCER): 10,
        Place(HELD, BUYER): 20,
    }


def test_reinstated_units_are_their_holders_again() -> None:
    retired = happened(Act.RETIRED, 50, PRODUCER)
    back = happened(Act.REINSTATED, 20, taker=PRODUCER)
    assert places(retired, back) == {Place(HELD, PRODUCER): 70, Place(RETIRED, PRODUCER): 30}


def test_units_that_nobody_had_cannot_move() -> None:
    with pytest.raises(InvariantBroken, match="units leave where they are"):
        places(happened(Act.MOVED, 101, PRODUCER, BUYER))

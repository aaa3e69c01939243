"""A desk with a book at which things have happened already."""

import pytest

from certificate.desk import ADMIT, ADMIT_BATTERY, CHARGE, CONSUME, ISSUE, ISSUER, Desk
from commonwatt.certificate.bundle import Status


@pytest.fixture
def desk() -> Desk:
    """A roof's first quarter hour is in the book: 300 Wh used by neighbours, 600 Wh free."""
    desk = Desk()
    desk.does(ISSUER, ADMIT)
    assert [(made.wh, made.status) for made in desk.does(ISSUER, ISSUE)] == [
        (300, Status.RETIRED),
        (600, Status.ACTIVE),
    ]
    return desk


@pytest.fixture
def kitchen(desk: Desk) -> Desk:
    """The neighbour's consumption of that hour is known as well."""
    desk.does(ISSUER, CONSUME)
    return desk


@pytest.fixture
def battery(desk: Desk) -> Desk:
    """The producer's battery was charged within that hour."""
    desk.does(ISSUER, ADMIT_BATTERY)
    desk.does(ISSUER, CHARGE)
    return desk

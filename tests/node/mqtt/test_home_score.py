"""The hourly score of a sensor is the score of `certificate.score`, of the month so far."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from commonwatt.certificate.score import Calendar, score_of
from commonwatt.meter.registration import Role
from commonwatt.node.mqtt.home.score import hourly_score, month_of
from commonwatt.quantity import parse_time
from node.service.parts import Town

BERLIN = Calendar("Europe/Berlin", ZoneInfo("Europe/Berlin"))
UTC_DAYS = Calendar("UTC", UTC)


def meters_of(town: Town, member: int) -> list[bytes]:
    return [
        registration.meter
        for registration in town.street.community.registrations
        if registration.member == member and registration.role is Role.GRID
    ]


@pytest.mark.parametrize("calendar", [BERLIN, UTC_DAYS], ids=lambda calendar: calendar.name)
def test_it_is_the_score_that_the_book_gives(town: Town, calendar: Calendar) -> None:
    for index in range(5):
        town.hosted.take(town.records(index))
        town.hosted.conclude()
        assert town.hosted.settle()
    state = town.hosted.book.log.book.state
    now = town.street.interval.start
    first, end = date(2016, 6, 1), date(2016, 7, 1)
    found = []
    for member, account in enumerate(town.street.community.accounts):
        whole = score_of(state, account, first, end, calendar).whole
        text = hourly_score(state, account, meters_of(town, member), month_of(now, calendar))
        if whole.score is None:
            assert text is None
            continue
        found.append(text)
        assert text is not None
        assert Decimal(text) == Decimal(whole.text).scaleb(2).quantize(Decimal("0.01"))
    assert len(found) == 2
    assert all(0 < Decimal(text) < 100 for text in found)


def test_only_what_the_month_has_seen_and_the_account_owns_counts(town: Town) -> None:
    starts = []
    for index in range(3):
        starts.append(town.street.interval.start)
        town.hosted.take(town.records(index))
        town.hosted.conclude()
        assert town.hosted.settle()
    state, [_, neighbour, other] = (
        town.hosted.book.log.book.state,
        town.street.community.accounts,
    )
    meters = meters_of(town, 1)
    period = month_of(starts[-1], BERLIN)
    whole = hourly_score(state, neighbour, meters, period)
    assert whole is not None
    assert hourly_score(state, neighbour, meters, period._replace(end=starts[0])) is None
    assert hourly_score(state, neighbour, meters, period._replace(start=starts[-1] + 1)) is None
    assert hourly_score(state, other, meters, period) is None
    assert hourly_score(state, neighbour, [bytes(20)], period) is None
    last = hourly_score(state, neighbour, meters, period._replace(start=starts[-1]))
    assert last is not None


@pytest.mark.parametrize(
    ("moment", "first"),
    [
        ("2016-06-30T21:59:59Z", "2016-05-31T22:00:00Z"),
        ("2016-06-30T22:00:00Z", "2016-06-30T22:00:00Z"),
        ("2016-03-31T12:00:00Z", "2016-02-29T23:00:00Z"),
        ("2016-11-15T00:00:00Z", "2016-10-31T23:00:00Z"),
    ],
)
def test_a_month_is_the_zones(moment: str, first: str) -> None:
    seconds = int(datetime.fromisoformat(moment).timestamp())
    assert month_of(seconds, BERLIN) == (parse_time(first), seconds + 1)

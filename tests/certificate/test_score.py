"""The hourly score: exact, derived row by row, over the days of any time zone."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.little_book import (
    BUYER,
    HERE,
    HOUR,
    LATER,
    NOON,
    PRODUCER,
    QUARTER,
    LittleBook,
    meter,
)
from commonwatt.certificate import actions
from commonwatt.certificate.matching import Own, Period, propose
from commonwatt.certificate.score import (
    DAYS_MAX,
    Calendar,
    PeriodUnusable,
    Used,
    score,
    score_of,
    used_by,
)
from commonwatt.node.time_zone import TimeZoneUnknown, calendar_of
from effort import effort

BERLIN, ST_JOHNS, UTC_DAYS = (
    calendar_of(name) for name in ("Europe/Berlin", "America/St_Johns", "UTC")
)
HALF_HOUR = HOUR // 2


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def one_day(calendar: Calendar, text: str, used=()) -> tuple[int, int]:
    day = date.fromisoformat(text)
    (row,) = score(used, day, day + timedelta(days=1), calendar).days
    return row.start, row.end


# Days


@pytest.mark.parametrize(
    ("calendar", "day", "start", "hours"),
    [
        (BERLIN, "2026-03-28", "2026-03-27T23:00:00Z", 24),
        (BERLIN, "2026-03-29", "2026-03-28T23:00:00Z", 23),
        (BERLIN, "2026-03-30", "2026-03-29T22:00:00Z", 24),
        (BERLIN, "2026-10-25", "2026-10-24T22:00:00Z", 25),
        (BERLIN, "2026-10-26", "2026-10-25T23:00:00Z", 24),
        (ST_JOHNS, "2026-03-07", "2026-03-07T03:30:00Z", 24),
        (ST_JOHNS, "2026-03-08", "2026-03-08T03:30:00Z", 23),
        (ST_JOHNS, "2026-03-09", "2026-03-09T02:30:00Z", 24),
        (ST_JOHNS, "2026-11-01", "2026-11-01T02:30:00Z", 25),
        (ST_JOHNS, "2026-11-02", "2026-11-02T03:30:00Z", 24),
        (UTC_DAYS, "2026-03-29", "2026-03-29T00:00:00Z", 24),
    ],
)
def test_a_day_has_23_24_or_25_hours(calendar, day, start, hours) -> None:
    assert one_day(calendar, day) == (at(start), at(start) + hours * HOUR)


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        # At 00:01 the clock went back to 23:01: midnight twice, and the first is taken.
        ("America/St_Johns", "2010-11-07", "2010-11-07T02:30:00Z"),
        # At 00:00 the clock went on to 01:00: no midnight, and the day begins with the jump.
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"),
        # At 23:30 it went on to 00:30.
        ("America/Toronto", "1919-03-31", "1919-03-31T04:30:00Z"),
        # Samoa left out 30 December, and 31 December began at once.
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"),
    ],
)
def test_where_midnight_is_missing_or_there_twice_the_day_begins_once(zone, day, start) -> None:
    assert calendar_of(zone).midnight(date.fromisoformat(day)) == at(start)


def test_a_day_that_a_place_left_out_has_no_row() -> None:
    found = score([], date(2011, 12, 29), date(2012, 1, 1), calendar_of("Pacific/Apia"))
    assert [day.label for day in found.days] == ["2011-12-29", "2011-12-31"]


zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu",
     "Asia/Seoul", "America/Havana", "Africa/Cairo", "Antarctica/Troll"]
)  # fmt: skip
dates = st.dates(date(2020, 1, 1), date(2030, 1, 1))


@given(zones, dates, st.integers(0, 26 * 60 - 1))
@effort(3)
def test_every_minute_is_in_the_day_its_local_clock_shows(zone, day, minute) -> None:
    calendar = calendar_of(zone)
    moment = calendar.midnight(day) + 60 * minute
    shown = datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(zone)).date()
    assert calendar.midnight(shown) <= moment < calendar.midnight(shown + timedelta(days=1))


# Worked examples


def test_a_surplus_at_noon_makes_up_for_nothing_at_night() -> None:
    start = at("2026-06-21T00:00:00Z")
    used = [Used(start, 400, 0), Used(start + 12 * HOUR, 200, 500)]
    found = score(used, date(2026, 6, 21), date(2026, 6, 22), UTC_DAYS)
    assert found.whole.score == Fraction(1, 3)
    assert found.whole.text == "0.333333"
    assert (found.whole.consumed_wh, found.whole.matched_wh) == (600, 200)


def test_the_derivation_lists_months_and_days_of_the_named_zone() -> None:
    # 22:30Z on the last of March is 00:30 on the first of April in Berlin.
    used = [
        Used(at("2026-03-30T22:30:00Z"), 100, 100),
        Used(at("2026-03-31T21:30:00Z"), 100, 0),
        Used(at("2026-03-31T22:30:00Z"), 100, 50),
        Used(at("2026-04-01T22:00:00Z"), 100, 100),
    ]
    found = score(used, date(2026, 3, 31), date(2026, 4, 2), BERLIN)
    assert found.zone == "Europe/Berlin"
    rows = [(row.label, row.intervals, row.consumed_wh, row.matched_wh) for row in found.days]
    assert rows == [("2026-03-31", 2, 200, 100), ("2026-04-01", 1, 100, 50)]
    assert [(row.label, row.text) for row in found.months] == [
        ("2026-03", "0.500000"),
        ("2026-04", "0.500000"),
    ]
    assert found.whole.label == "2026-03-31/2026-04-02"
    assert found.whole.end == at("2026-04-01T22:00:00Z"), "the last use is of the next day"


def test_every_quarter_hour_of_a_long_and_of_a_short_day_is_counted_once() -> None:
    for calendar, short, long in (
        (BERLIN, date(2026, 3, 29), date(2026, 10, 25)),
        (ST_JOHNS, date(2026, 3, 8), date(2026, 11, 1)),
    ):
        for day, hours in ((short, 23), (long, 25)):
            around = calendar.midnight(day - timedelta(days=1))
            used = [Used(around + count * QUARTER, 1, 1) for count in range(4 * 24 * 4)]
            (row,) = score(used, day, day + timedelta(days=1), calendar).days
            assert row.intervals == hours * 4
            assert row.text == "1.000000"


def test_an_hour_across_a_half_hours_midnight_is_of_the_day_it_starts_in() -> None:
    midnight = ST_JOHNS.midnight(date(2026, 7, 1))
    used = [Used(midnight - HALF_HOUR, 7, 7), Used(midnight + HALF_HOUR, 5, 0)]
    found = score(used, date(2026, 6, 30), date(2026, 7, 2), ST_JOHNS)
    assert [row.consumed_wh for row in found.days] == [7, 5]


def test_nothing_used_has_no_score() -> None:
    found = score([], date(2026, 1, 1), date(2026, 1, 3), UTC_DAYS)
    assert found.whole.score is None
    assert found.whole.text == ""
    assert [row.text for row in found.days] == ["", ""]


def test_a_score_is_whole_only_if_every_wh_is_matched() -> None:
    used = [Used(at("2026-01-01T00:00:00Z"), 10**9, 10**9 - 1)]
    found = score(used, date(2026, 1, 1), date(2026, 1, 2), UTC_DAYS)
    assert found.whole.text == "0.999999"


@pytest.mark.parametrize(
    ("first", "end"),
    [
        (date(2026, 1, 1), date(2026, 1, 1)),
        (date(2026, 1, 2), date(2026, 1, 1)),
        (date(2026, 1, 1), date(2026, 1, 2) + timedelta(days=DAYS_MAX)),
        (date(1969, 12, 31), date(1970, 1, 2)),
        (date(9999, 12, 30), date.max),
    ],
)
def test_a_period_without_days_or_beyond_all_books_is_refused(first, end) -> None:
    with pytest.raises(PeriodUnusable, match="use 1 to"):
        score([], first, end, UTC_DAYS)
    with pytest.raises(PeriodUnusable, match="use 1 to"):
        score_of(LittleBook().state, BUYER, first, end, UTC_DAYS)


@pytest.mark.parametrize("name", ["Berlin", "", "../etc/passwd", "Europe", "a\0b", "x" * 500])
def test_a_zone_nobody_knows_is_refused(name) -> None:
    with pytest.raises(TimeZoneUnknown, match="IANA"):
        calendar_of(name)


# By the book


def test_the_books_score_counts_what_was_retired_for_each_consumption() -> None:
    little = LittleBook()
    little.admit(1, BUYER)
    little.issue(1, 100, NOON)
    little.issue(1, 100, NOON + QUARTER)
    little.consume(2, 80, NOON)
    little.consume(2, 300, NOON + QUARTER)
    little.consume(3, 50, NOON, owner=PRODUCER)
    period = Period(NOON, NOON + HOUR)
    for action in propose(little.state, little.book.scheme, BUYER, [Own()], period, now=LATER):
        little.do(action, BUYER)
    found = score_of(little.state, BUYER, date(2016, 6, 21), date(2016, 6, 22), BERLIN)
    assert found.whole.score == Fraction(180, 380)
    assert used_by(little.state, BUYER, period) == [
        Used(NOON, 80, 80),
        Used(NOON + QUARTER, 300, 100),
    ]
    origin = little.consume(4, 5, NOON)
    little.do(actions.Revoke(origin.meter.hex(), NOON, QUARTER, "not the buyer's"))
    assert score_of(little.state, BUYER, date(2016, 6, 21), date(2016, 6, 22), BERLIN) == found


# Properties


@given(
    zones,
    dates,
    st.integers(1, 40),
    st.lists(
        st.tuples(st.integers(-100, 4_000), st.integers(0, 500), st.integers(0, 600)), max_size=30
    ),
)
@effort(3)
def test_days_and_months_sum_to_the_whole_and_nothing_is_counted_twice(
    zone, first, count, uses
) -> None:
    calendar, end = calendar_of(zone), first + timedelta(days=count)
    start = calendar.midnight(first)
    used = [Used(start + at * QUARTER, wh, retired) for at, wh, retired in uses]
    found = score(used, first, end, calendar)
    inside = [u for u in used if start <= u.start < calendar.midnight(end)]
    consumed = sum(u.consumed_wh for u in inside)
    matched = sum(min(u.consumed_wh, u.retired_wh) for u in inside)
    for rows in (found.days, found.months, (found.whole,)):
        assert sum(row.consumed_wh for row in rows) == consumed
        assert sum(row.matched_wh for row in rows) == matched
        assert sum(row.intervals for row in rows) == len(inside)
        assert all(before.end == after.start for before, after in pairwise(rows))
        assert (rows[0].start, rows[-1].end) == (found.whole.start, found.whole.end)
    assert len(found.days) == count
    if consumed:
        assert found.whole.score == Fraction(matched, consumed)
        assert found.whole.score - Fraction(1, 10**6) < Fraction(found.whole.text)
        assert Fraction(found.whole.text) <= found.whole.score <= 1
    else:
        assert found.whole.score is None
    assert score(reversed(used), first, end, calendar) == found


def test_what_the_community_covered_counts_from_the_start() -> None:
    little = LittleBook()
    little.admit(1, BUYER)
    little.issue(1, 100)
    covered = actions.Consume(meter(2).hex(), NOON, QUARTER, 80, HERE, BUYER.hex(), covered_wh=50)
    little.do(covered)
    day = datetime.fromtimestamp(NOON, UTC).date()
    found = score_of(little.state, BUYER, day, day + timedelta(days=1), UTC_DAYS)
    assert (found.whole.consumed_wh, found.whole.matched_wh) == (80, 50)
    [more] = propose(
        little.state, little.book.scheme, BUYER, [Own()], Period(NOON, LATER), now=LATER
    )
    assert more.wh == 30, "no Wh is matched twice"
    little.do(more, BUYER)
    found = score_of(little.state, BUYER, day, day + timedelta(days=1), UTC_DAYS)
    assert found.whole.text == "1.000000"

"""A member's figures follow from its published lines, exactly, and the totals never fall."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.certificate.score import Calendar
from commonwatt.node.mqtt.home.totals import (
    Told,
    Totals,
    count,
    figures_of,
    percent_text,
    read_line,
    reset_text,
)
from commonwatt.quantity import Currency, Interval, decimal_text
from commonwatt.statement.proof import ProofUnreadable
from street import TARIFF, Street

UTC_DAYS = Calendar("UTC", UTC)
BERLIN = Calendar("Europe/Berlin", ZoneInfo("Europe/Berlin"))
GROWING = ("import_wh", "export_wh", "from_neighbours_wh", "to_neighbours_wh")


def lived(intervals: int, start: str = "2016-06-21T12:00:00Z") -> Street:
    street = Street(members=3, producers=1, start=Interval.parse(start, 900))
    for index in range(intervals):
        street.close(street.measure([0, 300 + index, 500], [700 - index, 0, 0], [800]))
    return street


def lines_of(street: Street, member: int) -> list[bytes]:
    paths = sorted(path for path in street.files if path.startswith(f"members/{member:03d}/"))
    return [line for path in paths for line in street.files[path].splitlines()]


def told(street: Street, member: int) -> list[Told]:
    return [read_line(line) for line in lines_of(street, member)]


def nothing(street: Street) -> Totals:
    return Totals(until=street.community.first_start)


def test_figures_are_the_sums_of_the_members_positions() -> None:
    street = lived(5)
    imported = bought = 0
    for member in range(3):
        totals = count(nothing(street), told(street, member), UTC_DAYS)
        positions = [one.position for one in told(street, member)]
        assert len(positions) == 5
        assert totals.import_wh == sum(p.imported_wh for p in positions)
        assert totals.export_wh == sum(p.exported_wh for p in positions)
        assert totals.from_neighbours_wh == sum(p.bought_local_wh for p in positions)
        assert totals.to_neighbours_wh == sum(p.sold_local_wh for p in positions)
        assert totals.earned == sum(p.local_income + p.supplier_income for p in positions)
        assert totals.bill == sum(p.bill for p in positions)
        imported += totals.import_wh
        bought += totals.from_neighbours_wh - totals.to_neighbours_wh
    assert imported == sum(300 + i + 500 for i in range(5))
    assert bought == 0, "what neighbours bought is what neighbours sold"


def test_energy_that_became_known_late_is_counted_once() -> None:
    street = lived(1)
    never, lump = [meter.measure(street.interval.end, 100_000) for meter in street.grid[1:]]
    street.close([])
    never_next = street.grid[1].measure(street.interval.end, 20_000)
    lump_next = street.grid[2].measure(street.interval.end, 20_000)
    street.close([lump_next])
    street.close([never, never_next, lump])
    for member, first in ((1, 300), (2, 500)):
        totals = count(nothing(street), told(street, member), UTC_DAYS)
        assert totals.import_wh == first + 120
        assert totals.bill == sum(one.position.bill for one in told(street, member))


def test_a_producer_earns_and_a_neighbour_pays_in_exact_decimals() -> None:
    street = lived(1)
    producer = figures_of(count(nothing(street), told(street, 0), UTC_DAYS), Currency(), None)
    neighbour = figures_of(count(nothing(street), told(street, 1), UTC_DAYS), Currency(), "50.00")
    price = street.last_statement.header.local_price
    assert TARIFF.feed_in < price < TARIFF.retail
    assert producer == {
        "import": "0.000",
        "export": "0.700",
        "from_neighbours": "0.000",
        "to_neighbours": "0.700",
        "price_now": decimal_text(price, 5),
        "price_next": "0.24000",
        "earned_today": decimal_text(700 * price, 8),
        "bill_today": decimal_text(-700 * price, 8),
        "green_share": None,
        "hourly_score": None,
    }
    bought = count(nothing(street), told(street, 1), UTC_DAYS).from_neighbours_wh
    assert neighbour["import"] == "0.300"
    assert neighbour["from_neighbours"] == decimal_text(bought, 3)
    assert neighbour["green_share"] == percent_text(bought, 300)
    assert neighbour["hourly_score"] == "50.00"
    assert neighbour["earned_today"] == "0.00000000"


def test_the_price_is_the_suppliers_where_nothing_was_traded() -> None:
    street = Street(members=2, producers=0)
    street.close(street.measure([400, 100], [0, 0]))
    figures = figures_of(count(nothing(street), told(street, 0), UTC_DAYS), Currency(), None)
    assert figures["price_now"] == figures["price_next"] == "0.24000"


@given(cuts=st.lists(st.integers(0, 12), max_size=6), again=st.integers(0, 12))
def test_counting_in_any_portions_and_twice_over_comes_to_the_same(
    cuts: list[int], again: int
) -> None:
    lines = told(STREET, 1)
    whole = count(nothing(STREET), lines, BERLIN)
    totals, grown = nothing(STREET), []
    for cut in [*sorted(cuts), len(lines)]:
        totals = count(totals, lines[:cut], BERLIN)
        grown.append([getattr(totals, name) for name in GROWING])
    assert totals == whole
    assert all(
        earlier <= later
        for before, after in pairwise(grown)
        for earlier, later in zip(before, after, strict=True)
    )
    assert count(whole, lines[again:], BERLIN) == whole


STREET = lived(12, "2016-06-21T20:00:00Z")


def test_a_day_begins_at_local_midnight_and_energy_totals_go_on() -> None:
    street, start = lived(12, "2016-06-21T20:30:00Z"), "2016-06-21T22:00:00Z"
    lines = told(street, 1)
    before = count(nothing(street), lines[:6], BERLIN)
    assert reset_text(before) == "2016-06-20T22:00:00Z"
    after = count(before, lines[6:7], BERLIN)
    assert lines[6].start == int(datetime.fromisoformat(start).timestamp())
    assert reset_text(after) == start
    assert after.bill == lines[6].position.bill
    assert after.day_import_wh == lines[6].position.imported_wh
    assert after.import_wh == sum(one.position.imported_wh for one in lines[:7])


@pytest.mark.parametrize(
    ("start", "hours"), [("2016-03-26T23:00:00Z", 23), ("2016-10-29T22:00:00Z", 25)]
)
def test_days_of_23_and_25_hours_are_one_day(start: str, hours: int) -> None:
    street = lived(hours * 4 + 1, start)
    lines = told(street, 1)
    last = count(nothing(street), lines[:-1], BERLIN)
    assert reset_text(last) == start
    assert last.day_import_wh == last.import_wh
    assert count(last, lines[-1:], BERLIN).day_import_wh == lines[-1].position.imported_wh


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:-10],
        lambda line: line.replace(b'"positions"', b'"records"'),
        lambda line: line.replace(b'"header":"', b'"header":"zz'),
        lambda line: line.replace(b'"leaf":"', b'"leaf":"00', 1),
        lambda _: b"\xff",
        lambda _: b"",
    ],
)
def test_a_damaged_line_is_told_and_not_guessed(damage) -> None:
    line = lines_of(STREET, 1)[0]
    with pytest.raises(ProofUnreadable):
        read_line(damage(line))


def test_what_a_correction_takes_back_is_made_up_for_before_a_total_grows_again() -> None:
    street = Street(producers=0)
    wrong = street.measure([400, 0, 0], [0, 0, 0])
    street.close(wrong)
    meter = street.grid[0]
    meter.import_mwh -= 300_000
    others = [one.measure(street.interval.end) for one in street.grid[1:]]
    street.close([meter.correct(wrong[0], -300_000), *others])
    figures = []
    street.close(street.measure([250, 0, 0], [0, 0, 0]))
    street.close(street.measure([100, 0, 0], [0, 0, 0]))
    totals = nothing(street)
    for one in told(street, 0):
        totals = count(totals, [one], UTC_DAYS)
        figures.append((totals.import_wh, totals.less_import_wh))
    assert figures == [(400, 0), (400, 300), (400, 50), (450, 0)]

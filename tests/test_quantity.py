"""Whole numbers: divisions that end, prices that are exact, intervals on the grid."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.quantity import (
    PRICE_PER_WH_MAX,
    TIME_MAX,
    BadInterval,
    Currency,
    CurrencyUnusable,
    Interval,
    MilliWattHours,
    NotANumber,
    decimal_text,
    parse_time,
    register_difference,
    side_by_side,
    split_exactly,
    time_text,
)

weights = st.lists(st.integers(0, 2**48), min_size=1, max_size=40).filter(any)
totals = st.integers(0, 2**64)


def remainder(total: int, weights: list[int], index: int) -> int:
    return total * weights[index] % sum(weights)


@given(totals, weights)
def test_shares_add_up_to_the_whole(total: int, weights: list[int]) -> None:
    assert sum(split_exactly(total, weights)) == total


@given(totals, weights)
def test_each_share_is_the_floor_or_one_more(total: int, weights: list[int]) -> None:
    for share, weight in zip(split_exactly(total, weights), weights, strict=True):
        exact = Fraction(total * weight, sum(weights))
        assert share - exact < 1
        assert share >= exact.numerator // exact.denominator


@given(totals, weights)
def test_a_division_can_be_checked_by_a_threshold_and_without_sorting(
    total: int, weights: list[int]
) -> None:
    """Whoever got one more has a larger remainder, or an equal one and a lower index."""
    whole = sum(weights)
    shares = split_exactly(total, weights)
    above = [
        (remainder(total, weights, index), -index)
        for index, share in enumerate(shares)
        if share > total * weights[index] // whole
    ]
    below = [
        (remainder(total, weights, index), -index)
        for index, share in enumerate(shares)
        if share == total * weights[index] // whole
    ]
    if above and below:
        assert min(above) > max(below)


@given(totals, weights, st.randoms())
def test_in_another_order_nobody_gets_less_except_for_the_last_unit(total, weights, chance) -> None:
    order = list(range(len(weights)))
    chance.shuffle(order)
    shares = split_exactly(total, weights)
    reordered = split_exactly(total, [weights[index] for index in order])
    rests = [remainder(total, weights, index) for index in range(len(weights))]
    for place, index in enumerate(order):
        assert abs(reordered[place] - shares[index]) <= 1
        if rests.count(rests[index]) == 1:
            # A tie is what the index decides; without one, the order decides nothing.
            assert reordered[place] == shares[index]


@given(totals, weights)
def test_who_weighs_nothing_gets_nothing(total: int, weights: list[int]) -> None:
    shares = split_exactly(total, weights)
    assert all(share == 0 for share, weight in zip(shares, weights, strict=True) if not weight)


@given(st.integers(0, 2**60), weights)
def test_nobody_gets_more_than_asked_while_the_whole_is_less_than_all_ask(
    total: int, weights: list[int]
) -> None:
    total = min(total, sum(weights))
    shares = split_exactly(total, weights)
    assert all(share <= weight for share, weight in zip(shares, weights, strict=True))


def test_ties_go_to_the_lower_index() -> None:
    assert split_exactly(5, [1, 1, 1, 1]) == [2, 1, 1, 1]
    assert split_exactly(2, [1, 2, 1]) == [1, 1, 0]


def test_nothing_is_divided_among_anybody() -> None:
    assert split_exactly(0, [0, 0]) == [0, 0]
    assert split_exactly(0, []) == []


@pytest.mark.parametrize(("total", "weights"), [(1, []), (1, [0, 0]), (-1, [1])])
def test_a_division_that_cannot_end_is_refused(total: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match="cannot split"):
        split_exactly(total, weights)


amounts = st.lists(st.integers(0, 10_000), max_size=20)


@given(amounts, amounts)
def test_givers_and_takers_are_paired_to_the_last_watt_hour(left, right) -> None:
    short = sum(left) - sum(right)
    left, right = [*left, max(-short, 0)], [*right, max(short, 0)]
    pairs = side_by_side(left, right)
    for index, amount in enumerate(left):
        assert sum(overlap for giver, _, overlap in pairs if giver == index) == amount
    for index, amount in enumerate(right):
        assert sum(overlap for _, taker, overlap in pairs if taker == index) == amount
    assert all(overlap > 0 for _, _, overlap in pairs)
    assert [pair[:2] for pair in pairs] == sorted({pair[:2] for pair in pairs})
    takers_and_givers = sum(map(bool, left)) + sum(map(bool, right))
    assert len(pairs) <= max(takers_and_givers - 1, 0)


def test_sides_of_different_length_are_not_paired() -> None:
    with pytest.raises(ValueError, match="different sums"):
        side_by_side([3], [2])


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=30))
def test_the_intervals_add_up_to_the_register(readings: list[int]) -> None:
    readings = [MilliWattHours(reading) for reading in sorted(readings)]
    parts = [register_difference(*pair) for pair in pairwise(readings)]
    assert sum(parts) == register_difference(readings[0], readings[-1])
    assert min(parts) >= 0


@given(st.integers(0, PRICE_PER_WH_MAX), st.integers(3, 18))
def test_a_price_is_read_as_it_is_written(price: int, decimals: int) -> None:
    currency = Currency("XXX", decimals)
    assert currency.price(currency.price_text(price)) == price


@given(st.integers(0, 2**63 - 1), st.integers(3, 18))
def test_an_amount_is_read_as_it_is_written(units: int, decimals: int) -> None:
    currency = Currency("XXX", decimals)
    assert currency.amount(currency.amount_text(units)) == units


@given(st.integers(-(2**70), 2**70), st.integers(0, 18))
def test_a_decimal_text_is_the_exact_number(value: int, places: int) -> None:
    assert Fraction(decimal_text(value, places)) == Fraction(value, 10**places)


@given(st.integers(-(2**63), 2**63), st.integers(0, 8))
def test_an_amount_for_display_is_cut_towards_zero(units: int, places: int) -> None:
    shown = Decimal(Currency().amount_text(units, places))
    assert abs(shown) <= abs(Decimal(units).scaleb(-8))
    assert abs(abs(shown) - abs(Decimal(units).scaleb(-8))) < Decimal(1).scaleb(-places)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "thirty cents",
        "0,30",
        "NaN",
        "sNaN",
        "inf",
        "-Infinity",
        "1e999999",
        "1e-999999",
        "1e999999999999999999999",
        "0e99999999",
        "1" * 100,
    ],
)
def test_what_is_no_decimal_number_is_refused_at_once(text: str) -> None:
    with pytest.raises(NotANumber, match="not a decimal number"):
        Currency().price(text)


def test_no_digit_of_a_price_is_rounded_away() -> None:
    with pytest.raises(NotANumber, match="more than 5 decimals"):
        Currency().price("0.300001")
    with pytest.raises(NotANumber, match="more than 5 decimals"):
        Currency().price("1." + "0" * 40 + "1")
    assert Currency().price("0.30000000000") == 30_000


@pytest.mark.parametrize("text", ["-0.00001", "10000.00001", "1e9"])
def test_a_price_outside_every_market_is_refused(text: str) -> None:
    with pytest.raises(NotANumber, match=r"outside 0 to 10000\.00000"):
        Currency().price(text)


def test_an_amount_beyond_64_bits_is_refused() -> None:
    assert Currency().amount("92233720368.54775807") == 2**63 - 1
    with pytest.raises(NotANumber, match="outside"):
        Currency().amount("92233720368.54775808")


@pytest.mark.parametrize("decimals", [-1, 0, 2, 19, 10**9])
def test_a_currency_in_which_prices_cannot_be_written_is_refused(decimals: int) -> None:
    with pytest.raises(CurrencyUnusable, match="use 3 to 18"):
        Currency("XXX", decimals)


grid_lengths = st.sampled_from([60, 120, 300, 600, 900, 1_800, 3_600])


@given(st.integers(0, 2**24), grid_lengths)
def test_intervals_follow_each_other_without_a_second_between(number: int, length: int) -> None:
    interval = Interval(number * length, length)
    assert interval.next.start == interval.end
    assert interval.next > interval
    assert Interval.parse(interval.start_text, length) == interval
    assert parse_time(interval.end_text) == interval.end


@pytest.mark.parametrize("length", [-900, 0, 1, 59, 61, 700, 3_601, 7_200])
def test_an_interval_that_does_not_divide_the_hour_is_refused(length: int) -> None:
    with pytest.raises(BadInterval, match="that divide the hour"):
        Interval(0, length)


@pytest.mark.parametrize("start", [1, -1, 899, 901])
def test_an_interval_off_the_grid_is_refused(start: int) -> None:
    with pytest.raises(BadInterval, match="off the grid"):
        Interval(start, 900)


@pytest.mark.parametrize("start", [-900, TIME_MAX // 900 * 900 + 900, 900 * 10**30])
def test_an_interval_of_no_time_is_refused(start: int) -> None:
    with pytest.raises(BadInterval, match="use 0 to"):
        Interval(start, 900)


def test_the_last_interval_of_all_can_still_be_written() -> None:
    assert Interval(TIME_MAX // 900 * 900 - 900, 900).end_text == "6325-04-08T15:00:00Z"


@given(st.datetimes(datetime(1970, 1, 1), datetime(6000, 1, 1)))  # noqa: DTZ001 - made aware below
def test_a_time_is_read_as_it_is_written(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    assert time_text(parse_time(moment.isoformat())) == moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_an_offset_is_a_time_zone_too() -> None:
    assert parse_time("2016-06-21T14:00:00+02:00") == parse_time("2016-06-21T12:00:00Z")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("noon", "is not a time"),
        ("", "is not a time"),
        ("2016-06-21T12:00:00", "has no time zone"),
        ("2016-06-21T12:00:00.5Z", "between two seconds"),
        ("2016-02-30T12:00:00Z", "is not a time"),
    ],
)
def test_a_time_that_could_mean_two_things_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadInterval, match=why):
        parse_time(text)

"""Charts stay inside their frames, at any size of what they show."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from commonwatt.web.report import ReportData, render
from commonwatt.web.report.charts import (
    HEIGHT,
    WIDTH,
    Caption,
    Frame,
    Series,
    bars,
    stacked,
    stepped,
)
from commonwatt.web.report.figures import average_price
from commonwatt.web.report.grouping import DAY_S, POINTS_MAX, Bucket, group
from commonwatt.web.report.scale import percentile, time_ticks, value_ticks

energies = st.integers(0, 10**12)


CAPTION = Caption("ident", "title", "description")


def frame(count: int, highest: int, gap_after: int = -1) -> Frame:
    starts = [900 * index + (86_400 if 0 <= gap_after < index else 0) for index in range(count)]
    buckets = group(starts, 900, 0).buckets
    return Frame(buckets, (), value_ticks(highest), str, CAPTION)


def points(drawing: str) -> list[tuple[float, float]]:
    """The corners of all paths in a drawing, walked as a pen would."""
    corners = []
    for path in re.findall(r' d="([^"]*)"', drawing):
        x = y = 0.0
        for command, rest in re.findall(r"([MHVZ])([^MHVZ]*)", path):
            numbers = [float(number) for number in rest.split()]
            if command == "M":
                x, y = numbers
            elif command == "H":
                (x,) = numbers
            elif command == "V":
                (y,) = numbers
            corners.append((x, y))
    return corners


def inside(drawing: str, height: float = HEIGHT) -> bool:
    return all(0 <= x <= WIDTH and 0 <= y <= height for x, y in points(drawing))


@given(
    st.lists(st.tuples(energies, energies, energies), min_size=1, max_size=50), st.integers(-1, 60)
)
def test_stacks_stay_within_the_view_box(rows: list[tuple[int, int, int]], gap: int) -> None:
    columns = list(zip(*rows, strict=True))
    series = [Series(f"s{index}", values) for index, values in enumerate(columns)]
    drawing = stacked(frame(len(rows), max(map(sum, rows)), gap), series)
    assert len(points(drawing)) >= len(series)
    assert inside(drawing)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=50), st.integers(-1, 60))
def test_a_price_line_stays_within_the_view_box(prices: list[int], gap: int) -> None:
    of_time = frame(len(prices), max(prices), gap)
    assert inside(stepped(of_time, Series("p", tuple(prices)), (), (0, 1)))


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_bars_of_bills_of_either_sign_stay_in_their_row(without: int, with_: int) -> None:
    drawing = bars(without, with_, min(0, without, with_), max(0, without, with_))
    assert inside(drawing, 14)
    for x, width in re.findall(r' x="([^"]*)" y="\d+" width="([^"]*)"', drawing):
        assert float(x) >= 0
        assert float(width) >= 0
        assert float(x) + float(width) <= WIDTH + 0.1


def test_all_charts_of_a_suburb_stay_within_the_view_box(suburb: ReportData) -> None:
    plots = re.findall(r'<svg class="plot".*?</svg>', render(suburb), flags=re.DOTALL)
    assert len(plots) == 8
    assert all(f'viewBox="0 0 {WIDTH} {HEIGHT}"' in plot and inside(plot) for plot in plots)


def test_every_chart_has_words_for_those_who_cannot_see_it(suburb: ReportData) -> None:
    page = render(suburb)
    charts = re.findall(
        r'role="img" aria-labelledby="(\S+) (\S+)"><title id="(\S+)">[^<]+</title>'
        r'<desc id="(\S+)">[^<]+</desc>',
        page,
    )
    assert len(charts) == page.count('class="chart ') == 10
    assert all(pair[:2] == pair[2:] for pair in charts)


@given(st.integers(0, 10**15))
def test_axes_end_at_a_round_number_just_above(highest: int) -> None:
    ticks = value_ticks(highest)
    assert ticks[0] == 0
    assert highest <= ticks[-1]
    assert 2 <= len(ticks) <= 5
    assert len({after - before for before, after in pairwise(ticks)}) == 1


@given(st.integers(0, 2**31), st.integers(60, 10_000 * DAY_S), st.integers(-14 * 4, 14 * 4))
def test_times_are_marked_within_the_run_at_round_local_times(
    start: int, length: int, quarters: int
) -> None:
    ticks = time_ticks(start, start + length, quarters * 900)
    assert len(ticks) <= 9
    assert all(start <= tick.at <= start + length for tick in ticks)
    assert all(tick.local_s == tick.at + quarters * 900 for tick in ticks)
    assert all(tick.local_s % DAY_S == 0 for tick in ticks if tick.in_days)


def test_a_day_keeps_every_sixth_hour_where_there_is_little_room() -> None:
    ticks = time_ticks(22 * 3_600, 46 * 3_600, 7_200)
    hours = [tick.local_s // 3_600 - 24 for tick in ticks]
    assert hours == [0, 3, 6, 9, 12, 15, 18, 21, 24]
    assert [h for h, tick in zip(hours, ticks, strict=True) if tick.narrow] == [0, 6, 12, 18, 24]


@given(
    st.sets(st.integers(0, 40_000), min_size=1, max_size=900),
    st.sampled_from([60, 300, 900, 3_600]),
    st.sampled_from([0, 7_200, -12_600, 32_400]),
)
def test_grouping_keeps_every_interval_and_every_watt_hour(
    numbers: set[int], interval_s: int, offset_s: int
) -> None:
    starts = [number * interval_s for number in sorted(numbers)]
    grouping = group(starts, interval_s, offset_s)
    buckets = grouping.buckets
    assert len(buckets) <= POINTS_MAX
    assert [b.first for b in buckets] == [0, *(b.stop for b in buckets[:-1])]
    assert buckets[-1].stop == len(starts)
    assert all(b.start < b.end for b in buckets)
    assert all(a.end <= b.start for a, b in pairwise(buckets))
    energies_wh = list(range(len(starts)))
    assert sum(grouping.sums(energies_wh)) == sum(energies_wh)


def test_buckets_begin_at_local_midnight() -> None:
    starts = [900 * quarter for quarter in range(96 * 300)]
    grouping = group(starts, 900, 7_200)
    assert grouping.span_s == 7 * DAY_S
    assert {(b.start + 7_200) % DAY_S for b in grouping.buckets[1:]} == {0}
    assert grouping.buckets[0] == Bucket(0, grouping.buckets[1].start, 0, grouping.buckets[1].first)


def test_the_average_of_prices_leaves_out_intervals_without_trade() -> None:
    assert average_price([100, 0, 300], [3, 50, 1]) == 150
    assert average_price([0, 0], [1, 1]) == 0
    assert average_price([100, 300], [0, 0]) == 100


def test_percentiles_are_values_that_occurred() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 99) == 99.0
    assert percentile([5.0], 99) == 5.0

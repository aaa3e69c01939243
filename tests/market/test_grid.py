"""Grid fees by level and hour, and neighbours first, against a linear program."""

import highspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.errors import InvariantBroken
from commonwatt.market.grid import (
    AUSTRIA,
    AUSTRIA_MEDIUM_VOLTAGE,
    MINUTES_PER_DAY,
    Grid,
    GridUnusable,
    Level,
    Place,
    Window,
    common_level,
    fees_at,
    nearest_pairs,
    require_places,
)
from commonwatt.quantity import PRICE_PER_WH_MAX, Currency, Interval, side_by_side
from effort import effort

EURO = Currency()
STREET = Grid(
    levels=(
        Level("home", fee=0),
        Level("building", fee=500),
        Level("transformer", reduction_percent=57),
        Level("substation", reduction_percent=28),
    )
)
WORKDAYS, WEEKEND = (0, 1, 2, 3, 4), (5, 6)
HOME: Place = ("substation 1", "transformer 2", "building 7", "home 3")


def at(text: str) -> int:
    return Interval.parse(text, 900).start


def by_window(*windows: Window) -> Grid:
    return Grid(STREET.levels, windows)


# Fees ------------------------------------------------------------------------------------------


def test_each_level_has_its_fee_and_strangers_pay_the_full_one() -> None:
    assert fees_at(STREET, 8_000, 0) == (0, 500, 3_440, 5_760, 8_000)


def test_a_fee_between_two_units_is_rounded_down() -> None:
    assert fees_at(STREET, 101, 0) == (0, 500, 43, 72, 101)


@pytest.mark.parametrize(
    ("work_price", "local", "regional"),
    [
        ("0.0800", "0.03440", "0.05760"),
        # 0.43 and 0.72 of 5.35 cents are 2.3005 and 3.852: two decimals of a cent are kept.
        ("0.0535", "0.02300", "0.03850"),
        # 0.72 of 6.25 cents are 4.50; 0.43 are 2.6875, and a half or more goes up.
        ("0.0625", "0.02690", "0.04500"),
    ],
)
def test_austrian_reductions_are_rounded_commercially_to_a_hundredth_of_a_cent(
    work_price: str, local: str, regional: str
) -> None:
    fees = fees_at(AUSTRIA, EURO.price(work_price), 0)
    assert [EURO.price_text(fee) for fee in fees] == [local, regional, work_price + "0"]


def test_austrian_members_on_medium_voltage_have_their_own_reduction() -> None:
    full = EURO.price("0.0500")
    _, regional, no_community = fees_at(AUSTRIA_MEDIUM_VOLTAGE, full, 0)
    assert (EURO.price_text(regional), no_community) == ("0.01800", full)
    assert len(AUSTRIA.levels) == len(AUSTRIA_MEDIUM_VOLTAGE.levels)


@given(st.integers(0, PRICE_PER_WH_MAX // 10).map(lambda tens: tens * 10))
def test_reduced_fees_never_fall_with_distance(full_fee: int) -> None:
    for grid in (AUSTRIA, AUSTRIA_MEDIUM_VOLTAGE):
        fees = fees_at(grid, full_fee, 0)
        assert list(fees) == sorted(fees)
        assert max(fees) == full_fee


# Windows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "full"),
    [
        ("2016-06-20T16:45:00Z", 8_000),  # a Monday
        ("2016-06-20T17:00:00Z", 12_000),
        ("2016-06-20T19:45:00Z", 12_000),
        ("2016-06-20T20:00:00Z", 8_000),
        ("2016-06-24T17:00:00Z", 12_000),  # a Friday
        ("2016-06-25T17:00:00Z", 8_000),  # a Saturday
    ],
)
def test_an_evening_peak_on_workdays_is_half_open(moment: str, full: int) -> None:
    peak = by_window(Window(WORKDAYS, 17 * 60, 20 * 60, factor_percent=150))
    assert fees_at(peak, 8_000, at(moment))[-1] == full


@pytest.mark.parametrize(
    ("moment", "full"),
    [
        ("2016-06-24T21:45:00Z", 8_000),
        ("2016-06-24T22:00:00Z", 4_000),  # Friday night begins
        ("2016-06-25T05:45:00Z", 4_000),  # and lasts into Saturday
        ("2016-06-25T06:00:00Z", 8_000),
        ("2016-06-25T22:00:00Z", 8_000),  # Saturday night is no night of this window
        ("2016-06-26T05:45:00Z", 8_000),
        ("2016-06-27T05:45:00Z", 8_000),  # nor is the one into Monday
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_it_starts_on(moment: str, full: int) -> None:
    night = by_window(Window(WORKDAYS, 22 * 60, 6 * 60, factor_percent=50))
    assert fees_at(night, 8_000, at(moment))[-1] == full


def test_a_window_multiplies_every_fee_and_rounds_once() -> None:
    noon = by_window(Window((0, 1, 2, 3, 4, 5, 6), 0, MINUTES_PER_DAY, factor_percent=50))
    # 43 % of half of 999 are 214.785; rounding twice would give 214 or 213.
    assert fees_at(noon, 999, 0) == (0, 250, 214, 359, 499)


def test_the_first_window_that_applies_wins() -> None:
    always = (*WORKDAYS, *WEEKEND)
    day, hour = Window(always, 0, 1_440, 80), Window(always, 600, 660, 20)
    moment = at("2016-06-21T10:15:00Z")
    assert fees_at(by_window(hour, day), 1_000, moment)[-1] == 200
    assert fees_at(by_window(day, hour), 1_000, moment)[-1] == 800


@given(st.integers(0, 1_439), st.integers(0, 1_440), st.integers(0, 2**33))
def test_a_window_and_its_complement_cover_every_moment_once(
    start: int, end: int, moment: int
) -> None:
    if start == end % MINUTES_PER_DAY:
        return
    always = (*WORKDAYS, *WEEKEND)
    inside = Window(always, start, end, 0)
    outside = Window(always, end % MINUTES_PER_DAY, start, 0)
    assert inside.applies(moment) != outside.applies(moment)
    parts = [Window((day,), start, end, 0).applies(moment) for day in always]
    assert sum(parts) == inside.applies(moment)


# Places and refusals ---------------------------------------------------------------------------


def test_the_lowest_common_level_is_where_two_places_part() -> None:
    next_door = (*HOME[:3], "home 4")
    over_there = (*HOME[:1], "transformer 9", "building 7", "home 3")
    elsewhere = ("substation 2", *HOME[1:])
    levels = [common_level(HOME, place) for place in (HOME, next_door, over_there, elsewhere)]
    assert levels == [0, 1, 3, 4]
    fees = fees_at(STREET, 8_000, 0)
    assert [fees[level] for level in levels] == [0, 500, 5_760, 8_000]


def test_places_name_every_level_of_the_grid() -> None:
    require_places([HOME, HOME], STREET)
    with pytest.raises(GridUnusable, match="member 1 names 3 levels, the grid has 4"):
        require_places([HOME, HOME[:3]], STREET)
    with pytest.raises(GridUnusable, match="place of member 0 is named ' '"):
        require_places([(*HOME[:3], " ")], STREET)
    with pytest.raises(GridUnusable, match="name as many levels in each"):
        common_level(HOME, HOME[:2])
    with pytest.raises(GridUnusable, match="give each member a place on the same levels"):
        nearest_pairs([1, 0], [0, 1], [HOME, HOME[:3]])
    with pytest.raises(GridUnusable, match="1 places with"):
        nearest_pairs([1, 0], [0, 1], [HOME])


def refused_level(**fields: object) -> object:
    return lambda: Level("home", **fields)


def refused_window(**fields: object) -> object:
    usual = {"weekdays": (0,), "start_minute": 60, "end_minute": 120, "factor_percent": 80}
    return lambda: Window(**(usual | fields))


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (refused_level(), "either a fee or a reduction_percent"),
        (refused_level(fee=1, reduction_percent=1), "either a fee or a reduction_percent"),
        (refused_level(fee=-1), "fee of grid level 'home' is -1"),
        (refused_level(fee=0.5), "fee of grid level 'home' is 0.5: use a whole number"),
        (refused_level(reduction_percent=101), "is 101: use a whole number from 0 to 100"),
        (refused_level(reduction_percent=True), "is True"),
        (lambda: Level("", fee=0), "a grid level is named ''"),
        (refused_window(weekdays=()), "name each once, 0 Monday to 6 Sunday"),
        (refused_window(weekdays=(1, 1)), "name each once"),
        (refused_window(weekdays=(7,)), "weekday of a fee window is 7"),
        (refused_window(start_minute=1_440), "start_minute of a fee window is 1440"),
        (refused_window(end_minute=1_441), "end_minute of a fee window is 1441"),
        (refused_window(end_minute=60), "use 0 to 1440 for a day"),
        (refused_window(factor_percent=-1), "factor_percent of a fee window is -1"),
        (lambda: Grid(()), "name 1 to 16, each once"),
        (lambda: Grid(STREET.levels * 2), "each once"),
        (lambda: Grid(STREET.levels, (Window((0,), 0, 60, 1),) * 101), "101 fee windows"),
        (lambda: Grid(STREET.levels, rounded_to=0), "rounded_to of a grid is 0"),
        (lambda: fees_at(STREET, -1, 0), "the full grid fee is -1"),
        (lambda: fees_at(STREET, PRICE_PER_WH_MAX + 1, 0), "the full grid fee is"),
        (
            lambda: fees_at(by_window(Window((3,), 0, 60, 200)), PRICE_PER_WH_MAX, 0),
            "the highest grid fee in a window is 2000000000",
        ),
    ],
)
def test_what_gives_no_fee_is_refused_in_one_line(build: object, says: str) -> None:
    with pytest.raises(GridUnusable) as refusal:
        build()
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


# Neighbours first ------------------------------------------------------------------------------


@st.composite
def pools(draw: st.DrawFn) -> tuple[list[int], list[int], list[Place], list[int]]:
    """Sold and bought by member, places on one to three levels, and fees that rise with them."""
    levels = draw(st.integers(1, 3))
    names = st.sampled_from("abc")
    place = st.tuples(*[names] * levels)
    energies = st.one_of(st.just(0), st.integers(0, 9), st.integers(0, 5_000))
    givers, takers = draw(st.lists(energies, max_size=6)), draw(st.lists(energies, max_size=6))
    gap = sum(givers) - sum(takers)
    givers, takers = [*givers, max(-gap, 0)], [*takers, max(gap, 0)]
    order = draw(st.permutations(range(len(givers) + len(takers))))
    sold, bought = givers + [0] * len(takers), [0] * len(givers) + takers
    size = len(order)
    steps = draw(st.lists(st.integers(0, 50), min_size=levels + 1, max_size=levels + 1))
    return (
        [sold[row] for row in order],
        [bought[row] for row in order],
        draw(st.lists(place, min_size=size, max_size=size)),
        [sum(steps[: level + 1]) for level in range(levels + 1)],
    )


def least_fees(sold: list[int], bought: list[int], places: list[Place], fees: list[int]) -> int:
    """The transport problem, as HiGHS solves it."""
    solver = highspy.Highs()
    solver.silent()
    sellers = [member for member, wh in enumerate(sold) if wh]
    buyers = [member for member, wh in enumerate(bought) if wh]
    moved = {
        (seller, buyer): solver.addVariable(
            lb=0, obj=fees[common_level(places[seller], places[buyer])]
        )
        for seller in sellers
        for buyer in buyers
    }
    for seller in sellers:
        solver.addConstr(sum(moved[seller, buyer] for buyer in buyers) == sold[seller])
    for buyer in buyers:
        solver.addConstr(sum(moved[seller, buyer] for seller in sellers) == bought[buyer])
    solver.run()
    assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return round(solver.getObjectiveValue())


@effort(2)
@given(pools())
def test_no_pairing_costs_less_in_grid_fees(
    pool: tuple[list[int], list[int], list[Place], list[int]],
) -> None:
    sold, bought, places, fees = pool
    pairs = nearest_pairs(sold, bought, places)
    paid = sum(
        wh * fees[common_level(places[seller], places[buyer])] for seller, buyer, wh in pairs
    )
    assert paid == (least_fees(sold, bought, places, fees) if pairs else 0)


@given(pools())
def test_everybody_gives_and_takes_exactly_its_part(
    pool: tuple[list[int], list[int], list[Place], list[int]],
) -> None:
    sold, bought, places, _ = pool
    pairs = nearest_pairs(sold, bought, places)
    for member in range(len(sold)):
        assert sum(wh for seller, _, wh in pairs if seller == member) == sold[member]
        assert sum(wh for _, buyer, wh in pairs if buyer == member) == bought[member]
    assert [pair[:2] for pair in pairs] == sorted({pair[:2] for pair in pairs})
    assert all(wh > 0 for _, _, wh in pairs)


@given(pools())
def test_without_places_a_pool_is_laid_side_by_side(
    pool: tuple[list[int], list[int], list[Place], list[int]],
) -> None:
    sold, bought, places, _ = pool
    assert nearest_pairs(sold, bought, None) == side_by_side(sold, bought)
    one_place = [places[0]] * len(places)
    assert nearest_pairs(sold, bought, one_place) == side_by_side(sold, bought)


@given(pools())
def test_names_of_levels_change_nothing(
    pool: tuple[list[int], list[int], list[Place], list[int]],
) -> None:
    sold, bought, places, _ = pool
    renamed = [tuple(f"no {ord('c') - ord(name)}" for name in place) for place in places]
    assert nearest_pairs(sold, bought, renamed) == nearest_pairs(sold, bought, places)


def test_the_neighbour_next_door_is_served_before_the_one_across_town() -> None:
    north, south = ("substation 1", "transformer 1"), ("substation 1", "transformer 2")
    producer, across_town, next_door = 0, 1, 2
    pairs = nearest_pairs([500, 0, 0], [0, 300, 200], [north, south, north])
    assert pairs == [(producer, across_town, 300), (producer, next_door, 200)]
    # With a second producer over there, nothing has to cross town.
    pairs = nearest_pairs([200, 0, 0, 300], [0, 300, 200, 0], [north, south, north, south])
    assert pairs == [(producer, next_door, 200), (3, across_town, 300)]


def test_a_group_with_too_little_is_shared_in_proportion() -> None:
    north, south = ("transformer 1",), ("transformer 2",)
    pairs = nearest_pairs([300, 300, 0, 0], [0, 0, 400, 200], [north, south, north, north])
    # The producer in the north serves its neighbours two to one; the rest comes from the south.
    assert pairs == [(0, 2, 200), (0, 3, 100), (1, 2, 200), (1, 3, 100)]


@pytest.mark.parametrize("places", [None, [("a",), ("a",)]])
def test_a_pool_that_does_not_balance_is_a_defect(places: list[Place] | None) -> None:
    with pytest.raises(InvariantBroken, match="a pool takes what it gives"):
        nearest_pairs([2, 0], [0, 1], places)

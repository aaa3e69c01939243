"""Shared energy: every key to the last Wh, and the laws' own examples."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.errors import InputError, InvariantBroken
from commonwatt.market import deal
from commonwatt.market import share as sharing
from commonwatt.market.keys import KEYS, SHARE_ONE, AllocationKeyUnusable, Key, Pairs
from commonwatt.market.share import (
    MEMBER_WH_MAX,
    PLANT_WH_MAX,
    Pool,
    PoolUnusable,
    allocate,
    brought_in,
    share,
)
from effort import effort
from market.pools import Terms, plainly, pools, terms

QUARTER, HALF = SHARE_ONE // 4, SHARE_ONE // 2
BY_SHARES = ["static", "organiser", "coefficients"]


@st.composite
def communities(draw, names=tuple(KEYS)) -> tuple[Pool, Terms]:
    pool = draw(pools())
    return pool, draw(terms(pool.used.shape[1], names))


def left_over(pool: Pool, percent: list[int]) -> tuple[np.ndarray, np.ndarray]:
    own = np.minimum(pool.produced, pool.used)
    return tuple((wh - own) * np.array(percent) // 100 for wh in (pool.used, pool.produced))


# Every key


@given(communities())
@effort(3)
def test_every_wh_is_where_the_plain_rules_put_it(community) -> None:
    pool, terms = community
    shared = share(pool, terms.key)
    need, offer = left_over(pool, terms.percent)
    for step, plant in enumerate(pool.plant.tolist()):
        bought, sold = plainly(terms, need[step].tolist(), [*offer[step].tolist(), plant])
        assert shared.allocated[step].tolist() == bought
        assert [*shared.sold[step].tolist(), int(shared.plant_sold[step])] == sold


@given(communities())
@effort(3)
def test_no_wh_appears_or_vanishes(community) -> None:
    pool, terms = community
    shared = share(pool, terms.key)
    need, offer = left_over(pool, terms.percent)
    assert (shared.own_use + shared.allocated + shared.from_grid == pool.used).all()
    assert (shared.allocated.sum(1) + shared.surplus == offer.sum(1) + pool.plant).all()
    assert (shared.allocated.sum(1) == shared.sold.sum(1) + shared.plant_sold).all()
    for part in (shared.allocated, shared.from_grid, shared.sold, shared.surplus):
        assert part.min() >= 0
    assert (shared.allocated <= need).all()
    assert (shared.sold <= offer).all()
    assert (shared.plant_sold <= pool.plant).all()


@given(communities())
@effort(2)
def test_one_interval_by_itself_is_shared_as_among_others(community) -> None:
    pool, terms = community
    shared = share(pool, terms.key)
    need, offer = left_over(pool, terms.percent)
    for step, plant in enumerate(pool.plant.tolist()):
        alone = allocate(terms.key, need[step], offer[step], plant)
        assert alone.bought.tolist() == shared.allocated[step].tolist()
        assert alone.sold.tolist() == shared.sold[step].tolist()
        assert alone.plant_sold == shared.plant_sold[step]
        assert alone.surplus_wh == shared.surplus[step]
        assert (alone.pairs is None) == (terms.name != "pairs")


@given(communities(), st.randoms())
@effort(3)
def test_in_another_order_nothing_changes_but_the_last_wh_of_a_tie(community, chance) -> None:
    pool, terms = community
    order = list(range(pool.used.shape[1]))
    chance.shuffle(order)
    turned = Pool(pool.produced[:, order], pool.used[:, order], pool.plant)
    before, after = share(pool, terms.key), share(turned, terms.reordered(order).key)
    assert (after.own_use == before.own_use[:, order]).all()
    # One Wh for each division, and each of up to three producers' is one.
    slack = 3 if terms.name == "pairs" else 1
    assert (abs(after.allocated - before.allocated[:, order]) <= slack).all()


@given(communities(["static", "organiser", "coefficients", "pairs"]))
@effort(3)
def test_an_unused_share_is_not_passed_on(community) -> None:
    """Nobody gets more because somebody else needs less."""
    pool, terms = community
    pool.produced[:, 0] = 0  # or using less, it would offer more
    before = share(pool, terms.key)
    quiet = Pool(
        pool.produced, np.where(np.arange(pool.used.shape[1]) == 0, 0, pool.used), pool.plant
    )
    after = share(quiet, terms.key)
    assert (after.allocated[:, 1:] == before.allocated[:, 1:]).all()


@given(communities(["iterative"]))
@effort(3)
def test_rounds_leave_nothing_that_somebody_with_a_share_needs(community) -> None:
    pool, terms = community
    shared = share(pool, terms.key)
    need, _ = left_over(pool, terms.percent)
    open_need = np.where(terms.shares, need - shared.allocated, 0).sum(1)
    assert not ((shared.surplus > 0) & (open_need > 0)).any()
    assert (shared.allocated[:, [not part for part in terms.shares]] == 0).all()


@given(communities(["dynamic", "priority", "hourly_minimum"]))
@effort(2)
def test_nothing_is_left_while_anybody_needs_something(community) -> None:
    pool, terms = community
    shared = share(pool, terms.key)
    need, _ = left_over(pool, terms.percent)
    assert not ((shared.surplus > 0) & ((need - shared.allocated).sum(1) > 0)).any()


@given(communities(["priority"]))
@effort(2)
def test_nobody_gets_anything_before_a_better_rank_has_all(community) -> None:
    pool, terms = community
    shared = share(pool, terms.key)
    need, _ = left_over(pool, terms.percent)
    ranks = np.array(terms.ranks)
    for got, wanted in zip(shared.allocated, need, strict=True):
        short = ranks[got < wanted]
        assert not short.size or not (got[ranks > short.min()]).any()


@given(pools(), st.lists(st.integers(1, 100), min_size=2, max_size=5))
@effort(2)
def test_communities_that_cannot_see_each_other_never_count_a_wh_twice(pool, percents) -> None:
    parts = [part * 100 // sum(percents) for part in percents]
    wh = pool.used - np.minimum(pool.produced, pool.used)
    members = pool.used.shape[1]
    seen = sum(brought_in(wh, np.full(members, part)) for part in parts)
    assert (seen <= wh).all()


# Steps and hours


@given(communities(["organiser", "coefficients"]), st.data())
@effort(2)
def test_shares_can_differ_from_step_to_step(community, data) -> None:
    pool, base = community
    steps, members = pool.used.shape
    each = [data.draw(terms(members, [base.name])) for _ in range(steps)]
    shared = share(pool, Key(base.name, shares=np.array([step.shares for step in each])))
    for step, terms_of_step in enumerate(each):
        only = Pool(*(part[step : step + 1] for part in (pool.produced, pool.used, pool.plant)))
        alone = share(only, Key(base.name, shares=np.array(terms_of_step.shares)))
        assert (shared.allocated[step] == alone.allocated[0]).all()


@given(pools(steps=8), st.sampled_from([1, 2, 4]))
@effort(2)
def test_an_hour_is_shared_by_its_sums(pool: Pool, steps_per_hour: int) -> None:
    shared = share(pool, Key("hourly_minimum", steps_per_hour=steps_per_hour))
    own = np.minimum(pool.produced, pool.used)
    hours = 8 // steps_per_hour
    assert shared.allocated.shape == (hours, pool.used.shape[1])
    for hour in range(hours):
        rows = slice(hour * steps_per_hour, (hour + 1) * steps_per_hour)
        put_in = int((pool.produced - own)[rows].sum() + pool.plant[rows].sum())
        taken_out = int((pool.used - own)[rows].sum())
        assert shared.allocated[hour].sum() == min(put_in, taken_out)
        assert shared.surplus[hour] == put_in - min(put_in, taken_out)
        own_of_hour = own[rows].sum(0)
        used = own_of_hour + shared.allocated[hour] + shared.from_grid[hour]
        assert (used == pool.used[rows].sum(0)).all()


def test_many_steps_are_shared_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(1)
    used, produced = chance.integers(0, 900, (2, 50, 7))
    pool = Pool(produced, used, chance.integers(0, 900, 50))
    at_once = share(pool, Key("dynamic"))
    monkeypatch.setattr(sharing, "_BLOCK_CELLS", 30)
    assert (share(pool, Key("dynamic")).allocated == at_once.allocated).all()


# What the laws say


def alone(key: Key, need: list[int], offer: list[int], plant: int = 0):
    return allocate(key, np.array(need), np.array(offer), plant)


def test_austria_dynamic_by_the_use_of_each_quarter_hour() -> None:
    """Section 16e ElWOG 2010: in relation to what each used in the quarter hour."""
    dealt = alone(Key("dynamic"), [1_000, 3_000], [0, 0], plant=2_000)
    assert dealt.bought.tolist() == [500, 1_500]


def test_austria_static_gives_an_unused_part_to_the_grid() -> None:
    """Section 16e ElWOG 2010: a part agreed on; what is not used of it is surplus fed in."""
    dealt = alone(Key("static", shares=np.array([HALF, HALF])), [400, 5_000], [0, 0], plant=2_000)
    assert (dealt.bought.tolist(), dealt.surplus_wh) == ([400, 1_000], 600)


def test_austria_a_meter_in_two_communities() -> None:
    """Section 16e ElWOG 2010 since April 2024: 60 % here, 40 % there, and together all of it."""
    used, produced = np.array([[999]]), np.array([[0]])
    shared = [
        share(
            Pool(produced, used, np.array([5_000])), Key("dynamic", percent=np.array([percent]))
        ).allocated.item()
        for percent in (60, 40)
    ]
    # The Wh that neither part has in full comes from the supplier.
    assert shared == [599, 399]


def test_flanders_what_a_fixed_share_leaves_goes_back_to_the_producer() -> None:
    """Fluvius, the swimming pool's roof: town hall 25 %, library 25 %, warehouse 50 %."""
    key = Key("static", shares=np.array([QUARTER, QUARTER, HALF, 0]))
    dealt = alone(key, [3_000, 1_000, 9_000, 0], [0, 0, 0, 8_000])
    assert dealt.bought.tolist() == [2_000, 1_000, 4_000, 0]
    assert (dealt.sold.tolist(), dealt.surplus_wh) == ([0, 0, 0, 7_000], 1_000)


def test_flanders_in_rounds_the_rest_goes_on_to_who_still_needs_it() -> None:
    """The same roof: the library leaves 1,000, of which the others get a third and two thirds."""
    key = Key("iterative", shares=np.array([QUARTER, QUARTER, HALF, 0]))
    dealt = alone(key, [3_000, 1_000, 9_000, 0], [0, 0, 0, 8_000])
    assert dealt.bought.tolist() == [2_333, 1_000, 4_667, 0]
    assert dealt.surplus_wh == 0


def test_rounds_leave_nobody_ahead_of_its_share_by_more_than_one_wh() -> None:
    shares = np.full(16, SHARE_ONE // 16)
    need = [482, 146, 470, 505, 428, 47, 232, 170, 291, 285, 461, 150, 547, 501, 117, 59]
    bought = alone(Key("iterative", shares=shares), need, [0] * 16, plant=2_458).bought
    open_still = [got for got, wanted in zip(bought.tolist(), need, strict=True) if got < wanted]
    assert sorted(open_still) == [176, *[177] * 9]


def test_luxembourg_one_after_the_other() -> None:
    """Creos: the energy is shared in an order of priority; who stands beside shares by use."""
    key = Key("priority", priority=np.array([2, 1, 2]))
    assert alone(key, [900, 500, 300], [0, 0, 0], plant=1_100).bought.tolist() == [450, 500, 150]


def test_france_each_producer_has_shares_of_its_own() -> None:
    """Full dynamique: one roof for the school alone, the other half and half with the town hall."""
    pairs = Pairs(np.array([0, 1, 1]), np.array([2, 2, 3]), np.array([SHARE_ONE, HALF, HALF]))
    dealt = alone(Key("pairs", pairs=pairs), [0, 0, 900, 800], [600, 1_000, 0, 0])
    # The school is given 600 and 500 and needs 900: less of each, in proportion.
    assert dealt.pairs == ((0, 2, 491), (1, 2, 409), (1, 3, 500))
    assert dealt.bought.tolist() == [0, 0, 900, 500]
    assert (dealt.sold.tolist(), dealt.surplus_wh) == ([491, 909, 0, 0], 200)


def test_france_the_organiser_names_percentages_for_each_step() -> None:
    """Art. D315-6 code de l'energie: coefficients for each measuring step, never beyond the use."""
    pool = Pool(np.zeros((2, 2), int), np.array([[700, 700], [700, 700]]), np.array([1_000, 1_000]))
    shares = np.array([[SHARE_ONE, 0], [QUARTER, 3 * QUARTER]])
    shared = share(pool, Key("organiser", shares=shares))
    assert shared.allocated.tolist() == [[700, 0], [250, 700]]
    assert shared.surplus.tolist() == [300, 50]


def test_spain_coefficients_fixed_beforehand() -> None:
    """RD 244/2019, annex I: each one's energy is its coefficient times the net production."""
    shares = np.array([300_000_000, 500_000_000, 200_000_000])
    dealt = alone(Key("coefficients", shares=shares), [4_000, 1_000, 4_000], [0, 0, 0], plant=6_000)
    assert (dealt.bought.tolist(), dealt.surplus_wh) == ([1_800, 1_000, 1_200], 2_000)


def test_italy_the_lesser_of_an_hours_two_sums() -> None:
    """Art. 2 d.lgs. 199/2021: the hour counts, not its quarters; sun early, use late."""
    made = np.array([[2_000, 0], [1_000, 0], [0, 0], [0, 0]])
    used = np.array([[0, 0], [0, 500], [500, 1_000], [0, 2_000]])
    key = Key("hourly_minimum", steps_per_hour=4)
    shared = share(Pool(made, used, np.zeros(4, int)), key)
    assert shared.allocated.tolist() == [[375, 2_625]]
    assert shared.from_grid.tolist() == [[125, 875]]
    # A key that looks at each quarter hour shares much less.
    assert share(Pool(made, used, np.zeros(4, int)), Key("dynamic")).allocated.sum() == 500


def test_the_smallest_part_goes_to_the_lower_row() -> None:
    assert alone(Key("dynamic"), [5, 5, 5], [0, 0, 0], plant=10).bought.tolist() == [4, 3, 3]


def test_the_largest_community_there_can_be_is_shared_exactly() -> None:
    members = 5_000
    need = np.full(members, MEMBER_WH_MAX)
    dealt = allocate(Key("dynamic"), need, np.zeros(members, int), PLANT_WH_MAX)
    exact = Fraction(PLANT_WH_MAX, members)
    assert dealt.bought.sum() == PLANT_WH_MAX
    assert (abs(dealt.bought - int(exact)) <= 1).all()


# What cannot be used


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lambda: Key("best"), "use one of dynamic, static"),
        (lambda: Key("static"), "needs shares"),
        (lambda: Key("priority"), "needs priority"),
        (lambda: Key("pairs"), "needs pairs"),
        (lambda: Key("static", shares=np.array([HALF, HALF, 1])), r"sum to 1\.000000001: at most"),
        (lambda: Key("static", shares=np.array([SHARE_ONE + 1])), "use 0 to 1000000000"),
        (lambda: Key("static", shares=np.array([-1])), "shares from -1"),
        (lambda: Key("static", shares=np.array([0.5])), "int64 is needed"),
        (lambda: Key("static", shares=np.array([[HALF]])), "takes no shares by step"),
        (lambda: Key("dynamic", percent=np.array([0])), "percent from 0 to 0: use 1 to 100"),
        (lambda: Key("dynamic", percent=np.array([101])), "use 1 to 100"),
        (lambda: Key("hourly_minimum", steps_per_hour=0), "use 1 to 60"),
        (
            lambda: Key("pairs", pairs=Pairs(*np.array([[0, 0], [1, 1], [1, 1]]))),
            "name each once",
        ),
        (
            lambda: Key("pairs", pairs=Pairs(*np.array([[0, 0], [1, 2], [HALF, HALF + 1]]))),
            "one producer's shares sum to",
        ),
        (
            lambda: Key("pairs", pairs=Pairs(np.array([0]), np.array([1, 2]), np.array([1]))),
            "different lengths",
        ),
    ],
)
def test_keys_that_nobody_can_use_are_refused(build, why: str) -> None:
    with pytest.raises(AllocationKeyUnusable, match=why) as refusal:
        build()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "key",
    [
        Key("static", shares=np.array([HALF])),
        Key("priority", priority=np.array([1, 2, 3])),
        Key("dynamic", percent=np.array([1])),
        Key("organiser", shares=np.array([[HALF, HALF], [0, 0]])),
        Key("pairs", pairs=Pairs(*np.array([[3], [0], [1]]))),
        Key("pairs", pairs=Pairs(*np.array([[0], [2], [1]]))),
    ],
)
def test_a_key_for_another_community_is_refused(key: Key) -> None:
    with pytest.raises(AllocationKeyUnusable, match="2 members in 1 steps"):
        alone(key, [1, 0], [0, 1])


@pytest.mark.parametrize(
    ("produced", "used", "plant", "why"),
    [
        ([[0]], [[-1]], [0], "used from -1"),
        ([[0]], [[MEMBER_WH_MAX + 1]], [0], "use 0 to 1000000000"),
        ([[0]], [[0]], [PLANT_WH_MAX + 1], "plant from"),
        ([[0]], [[0.5]], [0], "used: an array of int64"),
        ([[0, 0]], [[0]], [0], "a column for each member"),
        ([[0]], [[0]], [0, 0], "a row for each step"),
        ([[]], [[]], [0], "0 members in 1 steps"),
        (np.zeros((0, 1), int), np.zeros((0, 1), int), np.zeros(0, int), "1 members in 0 steps"),
        ([0], [0], [0], "a row for each step"),
        ([[0]], [[0]], 0, "a row for each step"),
    ],
)
def test_energy_that_cannot_be_is_refused(produced, used, plant, why: str) -> None:
    with pytest.raises(PoolUnusable, match=why):
        Pool(np.array(produced), np.array(used), np.array(plant))


def test_a_plant_beyond_every_number_is_refused() -> None:
    with pytest.raises(InputError, match=r"plant: a number is beyond 2\^63"):
        alone(Key("dynamic"), [1], [0], plant=2**63)


def test_part_of_an_hour_is_refused() -> None:
    pool = Pool(np.zeros((3, 1), int), np.zeros((3, 1), int), np.zeros(3, int))
    with pytest.raises(PoolUnusable, match="add the missing steps"):
        share(pool, Key("hourly_minimum", steps_per_hour=4))


def test_a_key_is_not_believed_but_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deal, "_by_need", lambda need, _: need + 1)
    with pytest.raises(InvariantBroken):
        alone(Key("dynamic"), [5, 5], [0, 0], plant=100)

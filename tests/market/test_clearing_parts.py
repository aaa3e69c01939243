"""Everything a community can settle besides its rule: participation, grid, contracts, wishes."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.errors import InputError
from commonwatt.market.book import Book, Clearing, Limits, Tariff, Trade
from commonwatt.market.catalogue import CONTRACT, PREFERENCE
from commonwatt.market.charter import Charter, charter_of
from commonwatt.market.clearing import clear, tariff_at
from commonwatt.market.settings import (
    ContractSettings,
    GridSettings,
    LevelSettings,
    MarketSettings,
    MemberSettings,
    PairSettings,
    SettingsUnusable,
    StepSettings,
    WindowSettings,
)
from commonwatt.quantity import time_text
from markets import EURO, FULL, NOON, QUARTER_S, levels_apart

TARIFF = Tariff(24_000, 8_000, 3_440, 8_000)
HALF = 5 * 10**8


def charter_for(size: int, /, **settings: object) -> Charter:
    return charter_of(MarketSettings(**settings), EURO, size, QUARTER_S)


def rows(clearing: Clearing) -> list[tuple[int, int, int]]:
    return [trade[:3] for trade in clearing.trades]


def shared(need: tuple[int, ...], offer: tuple[int, ...]) -> Book:
    return Book(need, offer, (FULL,) * len(need), ())


# Participation -----------------------------------------------------------------------------------


def test_a_member_takes_part_with_its_percentage_rounded_down() -> None:
    charter = charter_for(
        2,
        members=(
            MemberSettings(0, participation_percent=50),
            MemberSettings(1, participation_percent=33),
        ),
    )
    assert rows(clear(charter, shared((0, 1_000), (101, 0)), TARIFF, NOON)) == [(0, 1, 50)]
    assert rows(clear(charter, shared((0, 101), (1_000, 0)), TARIFF, NOON)) == [(0, 1, 33)]


@pytest.mark.parametrize("rule", ["mid_market_rate", "uniform_price"])
def test_more_than_any_order_is_left_to_the_supplier_and_stops_no_close(rule: str) -> None:
    limits = (Limits(9, 9),) * 2 if rule == "uniform_price" else ()
    book = Book((0, 2**40), (2**40, 0), (FULL, 2**62), limits)
    assert rows(clear(charter_for(2, rule=rule), book, TARIFF, NOON)) == [(0, 1, 10**9)]


# Grid --------------------------------------------------------------------------------------------

LEVELS = (
    LevelSettings("building", fee="0.005"),
    LevelSettings("transformer", reduction_percent=57),
)
NORTH, NEXT_DOOR, ACROSS = ("north", "one"), ("north", "two"), ("south", "one")


def in_the_grid(*places: tuple[str, str], **more: object) -> Charter:
    members = tuple(MemberSettings(n, place=place) for n, place in enumerate(places))
    grid = GridSettings(levels=LEVELS, windows=more.pop("windows", ()))
    return charter_for(len(places), grid=grid, members=members, **more)


def test_each_trade_pays_the_fee_of_the_lowest_level_in_common() -> None:
    charter = in_the_grid(NORTH, NORTH, NEXT_DOOR, ACROSS)
    clearing = clear(charter, shared((0, 100, 200, 300), (600, 0, 0, 0)), TARIFF, NOON)
    assert [trade[1:5] for trade in clearing.trades] == [
        (1, 100, 16_000, 500),
        (2, 200, 16_000, 3_440),
        (3, 300, 16_000, 8_000),
    ]


def test_neighbours_are_paired_first_so_that_all_fees_together_are_least() -> None:
    charter = in_the_grid(NORTH, ACROSS, ACROSS, NORTH)
    clearing = clear(charter, shared((0, 0, 100, 100), (100, 100, 0, 0)), TARIFF, NOON)
    assert rows(clearing) == [(0, 3, 100), (1, 2, 100)]
    limits = (Limits(20_000, 9_000),) * 4
    bids = in_the_grid(NORTH, ACROSS, ACROSS, NORTH, rule="uniform_price")
    book = Book((0, 0, 100, 100), (100, 100, 0, 0), (FULL,) * 4, limits)
    assert rows(clear(bids, book, TARIFF, NOON)) == [(0, 3, 100), (1, 2, 100)]


@given(st.lists(st.sampled_from([NORTH, NEXT_DOOR, ACROSS]), min_size=6, max_size=6), st.data())
def test_no_other_pairing_of_the_same_sellers_and_buyers_costs_less_in_fees(places, data) -> None:
    offer = (*data.draw(st.tuples(*[st.integers(0, 2)] * 3)), 0, 0, 0)
    need = (0, 0, 0, *data.draw(st.tuples(*[st.integers(0, 2)] * 3)))
    charter = in_the_grid(*places)
    clearing = clear(charter, shared(need, offer), TARIFF, NOON)
    by_level = (500, 3_440, 8_000)
    sellers = [trade.seller for trade in clearing.trades for _ in range(trade.wh)]
    buyers = [trade.buyer for trade in clearing.trades for _ in range(trade.wh)]
    least = min(
        sum(
            by_level[levels_apart(places[seller], places[buyer])]
            for seller, buyer in zip(sellers, others, strict=True)
        )
        for others in set(permutations(buyers))
    )
    assert sum(trade.wh * trade.fee for trade in clearing.trades) == least


def test_in_hours_of_other_fees_every_level_and_the_supplier_costs_its_part() -> None:
    evening = WindowSettings("17:00", "21:00", 150, weekdays=(0, 1, 2, 3, 4))
    charter = in_the_grid(NORTH, NORTH, NEXT_DOOR, windows=(evening,))
    book = shared((0, 100, 200), (300, 0, 0))
    at_five, saturday = NOON + 5 * 3_600, NOON + 4 * 86_400 + 5 * 3_600
    for start, fees, supplier in (
        (NOON, [500, 3_440], 8_000),
        (at_five, [750, 5_160], 12_000),
        (at_five + 4 * 3_600, [500, 3_440], 8_000),
        (saturday, [500, 3_440], 8_000),
    ):
        assert [trade.fee for trade in clear(charter, book, TARIFF, start).trades] == fees
        assert tariff_at(charter, TARIFF, start).fee_supplier == supplier


def test_a_purse_must_hold_the_highest_fee_whoever_sells_in_the_end() -> None:
    charter = in_the_grid(NORTH, NORTH)
    purse = (0, 10 * (16_000 + 8_000) - 1)
    clearing = clear(charter, Book((0, 10), (10, 0), purse, ()), TARIFF, NOON)
    assert rows(clearing) == [(0, 1, 9)]


# Contracts ---------------------------------------------------------------------------------------

PROMISE = ContractSettings(
    0, 2, "0.10", start=time_text(NOON), end=time_text(NOON + QUARTER_S), volume_wh=400
)


def test_contracts_come_first_then_the_rule_and_the_rest_is_the_suppliers() -> None:
    charter = charter_for(3, contracts=(PROMISE,))
    book = shared((0, 600, 600), (900, 0, 0))
    assert clear(charter, book, TARIFF, NOON).trades == (
        Trade(0, 1, 375, 16_000, 3_440, 1),
        Trade(0, 2, 125, 16_000, 3_440, 1),
        Trade(0, 2, 400, 10_000, 3_440, CONTRACT),
    )
    # Before it begins and from its last second on, all goes by the rule.
    for start in (NOON - QUARTER_S, NOON + QUARTER_S):
        assert rows(clear(charter, book, TARIFF, start)) == [(0, 1, 450), (0, 2, 450)]


def test_what_a_contract_spent_is_not_in_the_purse_any_more() -> None:
    charter = charter_for(3, contracts=(PROMISE,))
    purse = (0, FULL, 400 * 13_440 + 10 * 19_440)
    clearing = clear(charter, Book((0, 0, 600), (900, 0, 0), purse, ()), TARIFF, NOON)
    assert [(trade.rule, trade.wh) for trade in clearing.trades] == [(1, 10), (CONTRACT, 400)]


def test_a_share_contracted_is_of_what_takes_part() -> None:
    half = ContractSettings(0, 1, "0.10", PROMISE.start, PROMISE.end, share="0.5")
    members = (MemberSettings(0, participation_percent=50),)
    charter = charter_for(2, contracts=(half,), members=members)
    clearing = clear(charter, shared((0, 300), (1_000, 0)), TARIFF, NOON)
    assert [(trade.rule, trade.wh) for trade in clearing.trades] == [(1, 50), (CONTRACT, 250)]


# Wishes ------------------------------------------------------------------------------------------


def bidding(*members: MemberSettings, count: int, **more: object) -> Charter:
    return charter_for(count, **{"rule": "uniform_price", "members": members, **more})


def auctioned(need: tuple[int, ...], offer: tuple[int, ...], *limits: tuple[int, int]) -> Book:
    return Book(need, offer, (FULL,) * len(need), tuple(Limits(*pair) for pair in limits))


def test_chosen_partners_come_first_at_a_price_between_their_limits() -> None:
    book = auctioned(
        (100, 100, 0, 0), (0, 0, 100, 100), (20_000, 0), (15_000, 0), (0, 8_000), (0, 10_000)
    )
    charter = bidding(MemberSettings(1, partners=(2,)), count=4)
    assert clear(charter, book, TARIFF, NOON).trades == (
        Trade(2, 1, 100, 11_500, 3_440, PREFERENCE),
        Trade(3, 0, 100, 15_000, 3_440, 2),
    )
    towards_the_buyer = bidding(MemberSettings(1, partners=(2,)), count=4, split="1")
    assert clear(towards_the_buyer, book, TARIFF, NOON).trades[0].price == 15_000


def test_those_in_one_building_come_before_the_auction_over_all() -> None:
    members = tuple(
        MemberSettings(n, place=place) for n, place in enumerate((ACROSS, NORTH, NORTH, ACROSS))
    )
    grid = GridSettings(levels=LEVELS)
    charter = bidding(*members, count=4, grid=grid, building_level="building")
    book = auctioned(
        (100, 100, 0, 0), (0, 0, 100, 100), (20_000, 0), (15_000, 0), (0, 8_000), (0, 10_000)
    )
    assert clear(charter, book, TARIFF, NOON).trades == (
        Trade(2, 1, 100, 11_500, 500, PREFERENCE),
        Trade(3, 0, 100, 15_000, 500, PREFERENCE),
    )


def test_a_premium_buys_the_quality_asked_for_and_a_purse_must_hold_it() -> None:
    green = MemberSettings(0, quality="green", premium="0.05")
    charter = bidding(green, MemberSettings(1, sells="green"), count=3)
    book = auctioned((10, 0, 0), (0, 4, 10), (16_000, 0), (0, 20_000), (0, 10_000))
    assert clear(charter, book, TARIFF, NOON).trades == (
        Trade(1, 0, 4, 20_500, 3_440, PREFERENCE),
        Trade(2, 0, 6, 13_000, 3_440, 2),
    )
    poor = Book(book.need_wh, book.offer_wh, (10 * 21_000, 0, 0), book.limits)
    assert sum(trade.wh for trade in clear(charter, poor, TARIFF, NOON).trades) == 8


def test_who_does_not_take_the_rest_goes_to_the_supplier_for_it() -> None:
    choosy = MemberSettings(0, partners=(1,), takes_rest=False)
    book = auctioned((10, 0, 0), (0, 4, 10), (20_000, 0), (0, 9_000), (0, 9_000))
    assert rows(clear(bidding(choosy, count=3), book, TARIFF, NOON)) == [(1, 0, 4)]
    wishless = MemberSettings(0, takes_rest=False)
    assert rows(clear(bidding(wishless, count=3), book, TARIFF, NOON)) == []


# Keys --------------------------------------------------------------------------------------------


def test_shares_of_a_key_hold_until_the_organiser_names_others_for_an_interval() -> None:
    members = (MemberSettings(1, share="0.25"), MemberSettings(2, share="0.75"))
    charter = charter_for(3, key="organiser", members=members)
    book = shared((0, 900, 900), (1_000, 0, 0))
    assert rows(clear(charter, book, TARIFF, NOON)) == [(0, 1, 250), (0, 2, 750)]
    named = (0, HALF, HALF // 2)
    assert rows(clear(charter, book, TARIFF, NOON, named)) == [(0, 1, 500), (0, 2, 250)]


@pytest.mark.parametrize(
    ("key", "shares", "why"),
    [
        ("organiser", (HALF, HALF, 1), r"the shares sum to 1\.000000001: at most 1"),
        ("organiser", (-1, 0, 0), "shares from -1 to 0"),
        ("organiser", (HALF, HALF), "shares of shape"),
        ("organiser", (2**63, 0, 0), "beyond 2"),
        ("static", (HALF, 0, 0), "the key is static: only organiser takes them"),
        (None, (HALF, 0, 0), "the key is dynamic: only organiser takes them"),
    ],
)
def test_shares_of_an_interval_that_cannot_be_are_refused(key, shares, why: str) -> None:
    charter = charter_for(3, key=key)
    with pytest.raises(InputError, match=why):
        clear(charter, shared((0, 900, 900), (1_000, 0, 0)), TARIFF, NOON, shares)


def test_coefficients_hold_from_their_time_on() -> None:
    steps = (
        StepSettings(time_text(NOON), ("0", "1", "0")),
        StepSettings(time_text(NOON + QUARTER_S), ("0", "0.4", "0.6")),
    )
    charter = charter_for(3, key="coefficients", coefficients=steps)
    book = shared((0, 900, 900), (1_000, 0, 0))
    assert rows(clear(charter, book, TARIFF, NOON)) == [(0, 1, 900)]
    for start in (NOON + QUARTER_S, NOON + 86_400):
        assert rows(clear(charter, book, TARIFF, start)) == [(0, 1, 400), (0, 2, 600)]
    before = "no coefficients hold at 2016-06-21T11:45:00Z: add earlier ones"
    with pytest.raises(SettingsUnusable, match=before):
        clear(charter, book, TARIFF, NOON - QUARTER_S)


def test_pairs_trade_whose_energy_was_promised_to_whom() -> None:
    pairs = (PairSettings(0, 2, "1"), PairSettings(1, 2, "0.5"), PairSettings(1, 3, "0.5"))
    charter = charter_for(4, key="pairs", pairs=pairs)
    book = shared((0, 0, 900, 900), (100, 300, 0, 0))
    assert rows(clear(charter, book, TARIFF, NOON)) == [(0, 2, 100), (1, 2, 150), (1, 3, 150)]


def test_whoever_ranks_first_is_served_in_full_before_the_next() -> None:
    members = (MemberSettings(1, priority=2), MemberSettings(2, priority=1))
    charter = charter_for(3, key="priority", members=members)
    book = shared((0, 900, 900), (1_000, 0, 0))
    assert rows(clear(charter, book, TARIFF, NOON)) == [(0, 1, 100), (0, 2, 900)]


def test_what_a_fixed_share_does_not_use_goes_to_the_supplier_or_round_again() -> None:
    members = (MemberSettings(1, share="0.5"), MemberSettings(2, share="0.5"))
    book = shared((0, 100, 900), (1_000, 0, 0))
    for key, expected in (("static", [100, 500]), ("iterative", [100, 900])):
        clearing = clear(charter_for(3, key=key, members=members), book, TARIFF, NOON)
        assert [trade.wh for trade in clearing.trades] == expected

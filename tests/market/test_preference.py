"""Preference rounds: whom orders meet first, and what is left for the auction over all."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.market.auction import AUCTIONS, PAY_AS_BID, Terms, auction
from commonwatt.market.columns import column
from commonwatt.market.orders import BookUnusable, OrderBook, Side
from commonwatt.market.preference import NONE, PARTNERS_MAX, QUALITIES, Wishes
from commonwatt.market.result import Result
from effort import effort

GREEN, LOCAL = QUALITIES.index("green"), QUALITIES.index("local")
Row = tuple[int, int, int]


def wishes_of(buys: int, sells: int, **changes: object) -> Wishes:
    """No wishes, but for the changes."""
    usual: dict[str, object] = {
        "partners": ((),) * buys,
        "buy_place": [NONE] * buys,
        "sell_place": [NONE] * sells,
        "buy_quality": [NONE] * buys,
        "sell_quality": [NONE] * sells,
        "premium": [0] * buys,
        "takes_rest": [True] * buys,
        **changes,
    }
    columns = {
        name: column(values)
        for name, values in usual.items()
        if name not in ("partners", "takes_rest")
    }
    return Wishes(
        partners=usual["partners"], takes_rest=np.array(usual["takes_rest"], dtype=bool), **columns
    )


def cleared(
    bids: list[Row], offers: list[Row], rule: str = "uniform_price", **wishes: object
) -> Result:
    book = OrderBook(Side.of(bids), Side.of(offers))
    return auction(book, Terms(rule), wishes_of(len(bids), len(offers), **wishes))


def rows(result: Result) -> list[tuple[int, ...]]:
    return [tuple(trade) for trade in result]


def test_a_partner_is_served_before_a_dearer_bid() -> None:
    bids, offers = [(0, 10, 30), (1, 10, 20)], [(2, 10, 10)]
    assert rows(cleared(bids, offers)) == [(0, 0, 10, 20)]
    assert rows(cleared(bids, offers, partners=((), (2,)))) == [(1, 0, 10, 15)]


def test_everybodys_first_choice_comes_before_anybodys_second() -> None:
    bids, offers = [(0, 10, 30), (1, 10, 20)], [(2, 5, 10), (3, 10, 10)]
    result = cleared(bids, offers, partners=((2, 3), (3,)))
    assert rows(result) == [(0, 0, 5, 20), (1, 1, 10, 15)]


def test_a_partner_that_is_too_dear_is_no_partner() -> None:
    result = cleared([(0, 10, 30)], [(1, 10, 31), (2, 10, 20)], partners=((1,),))
    assert rows(result) == [(0, 1, 10, 25)]


def test_those_in_one_building_trade_first() -> None:
    bids, offers = [(0, 10, 30), (1, 10, 20)], [(2, 10, 10), (3, 10, 12)]
    result = cleared(bids, offers, buy_place=[NONE, 7], sell_place=[7, 8])
    assert rows(result) == [(1, 0, 10, 15), (0, 1, 10, 21)]
    assert result.preferred == 1


def test_a_premium_is_paid_for_the_quality_and_for_nothing_else() -> None:
    bids, offers = [(0, 10, 20)], [(1, 4, 25), (2, 10, 22), (3, 4, 18)]
    result = cleared(
        bids, offers, buy_quality=[GREEN], sell_quality=[GREEN, NONE, NONE], premium=[6]
    )
    assert rows(result) == [(0, 0, 4, 25), (0, 2, 4, 19)]
    assert result.gain == 4 * (26 - 25) + 4 * (20 - 18)


def test_green_is_not_local() -> None:
    result = cleared(
        [(0, 10, 20)], [(1, 10, 25)], buy_quality=[LOCAL], sell_quality=[GREEN], premium=[9]
    )
    assert rows(result) == []


def test_who_does_not_take_the_rest_goes_without() -> None:
    bids, offers = [(0, 10, 30), (1, 10, 20)], [(2, 4, 10), (3, 20, 10)]
    result = cleared(bids, offers, partners=((2,), ()), takes_rest=[False, True])
    assert rows(result) == [(0, 0, 4, 20), (1, 1, 10, 15)]
    assert result.buy_filled.tolist() == [4, 10]


def test_in_a_building_nobody_trades_with_itself_and_nothing_is_lost() -> None:
    bids, offers = [(0, 10, 9), (1, 10, 8)], [(0, 10, 1), (1, 10, 2)]
    result = cleared(bids, offers, buy_place=[3, 3], sell_place=[3, 3])
    assert {(trade.buy, trade.sell, trade.wh) for trade in result} == {(0, 1, 10), (1, 0, 10)}
    assert result.preferred == 2


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[Row], list[Row], dict[str, object]]:
    row = st.tuples(st.integers(0, 4), st.integers(0, 20), st.integers(0, 12))
    bids, offers = draw(st.lists(row, max_size=8)), draw(st.lists(row, max_size=8))
    place = st.sampled_from([NONE, 0, 1])
    quality = st.sampled_from([NONE, GREEN, LOCAL])

    def each(size: int, values: st.SearchStrategy) -> list:
        return draw(st.lists(values, min_size=size, max_size=size))

    partners = [
        tuple(dict.fromkeys(p for p in each(2, st.integers(0, 4)) if p != bid[0])) for bid in bids
    ]
    return (
        bids,
        offers,
        {
            "partners": tuple(partners),
            "buy_place": each(len(bids), place),
            "sell_place": each(len(offers), place),
            "buy_quality": each(len(bids), quality),
            "sell_quality": each(len(offers), quality),
            "premium": each(len(bids), st.integers(0, 5)),
            "takes_rest": each(len(bids), st.booleans()),
        },
    )


@pytest.mark.parametrize("rule", AUCTIONS)
@given(market=markets())
@effort(2)
def test_no_order_is_served_beyond_itself_or_its_limit(rule: str, market) -> None:
    bids, offers, wishes = market
    result = cleared(bids, offers, rule, **wishes)
    bought, sold = [0] * len(bids), [0] * len(offers)
    for at, trade in enumerate(result):
        extra = wishes["premium"][trade.buy] if at < result.preferred else 0
        assert offers[trade.sell][2] <= trade.price <= bids[trade.buy][2] + extra
        assert bids[trade.buy][0] != offers[trade.sell][0]
        bought[trade.buy] += trade.wh
        sold[trade.sell] += trade.wh
        if not wishes["takes_rest"][trade.buy]:
            assert at < result.preferred
    assert all(wh <= row[1] for wh, row in zip(bought, bids, strict=True))
    assert all(wh <= row[1] for wh, row in zip(sold, offers, strict=True))


@given(market=markets())
@effort(2)
def test_nothing_that_prefers_each_other_stays_open(market) -> None:
    """After the rounds no open bid could still buy from an open partner or in its building."""
    bids, offers, wishes = market
    wishes["takes_rest"] = [False] * len(bids)
    result = cleared(bids, offers, PAY_AS_BID, **wishes)
    open_bids = [row[1] - wh for row, wh in zip(bids, result.buy_filled.tolist(), strict=True)]
    open_offers = [row[1] - wh for row, wh in zip(offers, result.sell_filled.tolist(), strict=True)]
    for buy, bid in enumerate(bids):
        for sell, offer in enumerate(offers):
            if not (open_bids[buy] and open_offers[sell]) or bid[0] == offer[0]:
                continue
            if bid[2] >= offer[2]:
                assert offer[0] not in wishes["partners"][buy]
            if bid[2] > offer[2]:
                place = wishes["buy_place"][buy]
                assert place == NONE or place != wishes["sell_place"][sell]


@pytest.mark.parametrize("rule", AUCTIONS)
@given(market=markets())
def test_without_wishes_the_rounds_change_nothing(rule: str, market) -> None:
    bids, offers, _ = market
    plain = auction(OrderBook(Side.of(bids), Side.of(offers)), Terms(rule))
    wished = cleared(bids, offers, rule)
    assert rows(plain) == rows(wished)
    assert plain.gain == wished.gain


def test_the_split_goes_for_preferred_trades_of_a_uniform_price_too() -> None:
    book = OrderBook(Side.of([(0, 10, 30)]), Side.of([(1, 10, 10)]))
    terms = Terms(split=Fraction(1, 4))
    result = auction(book, terms, wishes_of(1, 1, partners=((1,),)))
    assert rows(result) == [(0, 0, 10, 15)]
    assert (result.price, result.split) == (None, Fraction(1, 4))


def test_wishes_of_another_book_are_refused() -> None:
    book = OrderBook(Side.of([(0, 10, 30)]), Side.of([(1, 10, 10)]))
    with pytest.raises(BookUnusable, match="wishes do not go with 1 buy and 1 sell orders"):
        auction(book, Terms(), wishes_of(2, 1))
    crowd = (tuple(range(1, PARTNERS_MAX + 2)),)
    with pytest.raises(BookUnusable, match=f"an order names {PARTNERS_MAX + 1} partners"):
        auction(book, Terms(), wishes_of(1, 1, partners=crowd))

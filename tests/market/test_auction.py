"""Auctions against linear programming, and against what any market must do."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.market.auction import (
    AUCTIONS,
    LAST_ACCEPTED_OFFER,
    MARGINAL_ORDER,
    PAY_AS_BID,
    PAY_AS_OFFER,
    PRICE_RULES,
    UNIFORM_PRICE,
    Terms,
    TermsUnusable,
    auction,
    read_split,
)
from commonwatt.market.columns import column
from commonwatt.market.orders import ORDER_WH_MAX, BookUnusable, OrderBook, Side
from commonwatt.market.result import Result
from commonwatt.quantity import PRICE_PER_WH_MAX
from effort import effort
from largest_gain import largest_gain, largest_gain_at_one_price

Row = tuple[int, int, int]
BOTH = st.sampled_from([UNIFORM_PRICE, PAY_AS_BID, PAY_AS_OFFER])


@st.composite
def sides(draw: st.DrawFn, most: int = 7) -> tuple[list[Row], list[Row]]:
    """Small books with many ties, and participants who are often on both sides."""
    participants = draw(st.integers(1, 5))
    highest = draw(st.sampled_from([3, 8, 30]))
    largest = draw(st.sampled_from([1, 3, 12, 60]))
    row = st.tuples(
        st.integers(0, participants - 1), st.integers(0, largest), st.integers(0, highest)
    )
    side = st.lists(row, max_size=most)
    return draw(side), draw(side)


def book_of(bids: Sequence[Row], offers: Sequence[Row]) -> OrderBook:
    return OrderBook(Side.of(bids), Side.of(offers))


@pytest.mark.parametrize("own", [False, True], ids=["without own trades", "with own trades"])
@pytest.mark.parametrize("rule", AUCTIONS)
@given(book=sides())
@effort(8)
def test_no_matching_gains_more(rule: str, own, book) -> None:
    bids, offers = book
    result = auction(book_of(bids, offers), Terms(rule, allow_self_trade=own))
    at_one_price = rule == UNIFORM_PRICE and not own
    oracle = largest_gain_at_one_price if at_one_price else largest_gain
    assert result.gain == oracle(bids, offers, own=own)


@given(book=sides())
@effort(2)
def test_one_price_costs_gain_only_where_one_participant_has_more_than_half(book) -> None:
    bids, offers = book
    one = auction(book_of(bids, offers), Terms(UNIFORM_PRICE)).gain
    free = largest_gain(bids, offers, own=False)
    assert one <= free
    freely = auction(book_of(bids, offers), Terms(UNIFORM_PRICE, allow_self_trade=True))
    volume = freely.volume_wh
    parts: dict[int, int] = {}
    for rows, filled in ((bids, freely.buy_filled), (offers, freely.sell_filled)):
        for (participant, _, _), wh in zip(rows, filled.tolist(), strict=True):
            parts[participant] = parts.get(participant, 0) + wh
    if max(parts.values(), default=0) <= volume:
        assert one == free == freely.gain


@given(
    book=sides(most=14), rule=BOTH, own=st.booleans(), split=st.fractions(0, 1, max_denominator=9)
)
@effort(3)
def test_every_order_is_kept_to(book, rule: str, own, split: Fraction) -> None:
    bids, offers = book
    result = auction(book_of(bids, offers), Terms(rule, split=split, allow_self_trade=own))
    bought, sold, paid, received = [0] * len(bids), [0] * len(offers), 0, 0
    for trade in result:
        assert trade.wh > 0
        assert offers[trade.sell][2] <= trade.price <= bids[trade.buy][2]
        assert own or offers[trade.sell][0] != bids[trade.buy][0]
        bought[trade.buy] += trade.wh
        sold[trade.sell] += trade.wh
        paid, received = paid + trade.amount, received + trade.wh * trade.price
    assert bought == result.buy_filled.tolist()
    assert sold == result.sell_filled.tolist()
    assert [row[1] - wh for row, wh in zip(bids, bought, strict=True)] == result.buy_open.tolist()
    assert [row[1] - wh for row, wh in zip(offers, sold, strict=True)] == result.sell_open.tolist()
    assert all(wh <= row[1] for wh, row in zip(bought, bids, strict=True))
    assert all(wh <= row[1] for wh, row in zip(sold, offers, strict=True))
    assert sum(bought) == sum(sold) == result.volume_wh
    assert paid == received == int(result.trades.amount.sum())


@given(book=sides(most=10), rule=BOTH, own=st.booleans(), chance=st.randoms(use_true_random=False))
@effort(3)
def test_the_order_of_the_list_decides_nothing_but_the_last_watt_hour(
    book, rule: str, own, chance
) -> None:
    bids, offers = book
    mixed_bids, mixed_offers = list(bids), list(offers)
    chance.shuffle(mixed_bids)
    chance.shuffle(mixed_offers)
    terms = Terms(rule, allow_self_trade=own)
    one, other = (
        auction(book_of(bids, offers), terms),
        auction(book_of(mixed_bids, mixed_offers), terms),
    )
    assert (one.price, one.gain, one.volume_wh) == (other.price, other.gain, other.volume_wh)


@given(book=sides(most=6), rule=BOTH, own=st.booleans(), more=st.data())
@effort(3)
def test_one_order_more_never_lowers_the_gain(book, rule: str, own, more) -> None:
    bids, offers = book
    terms = Terms(rule, allow_self_trade=own)
    before = auction(book_of(bids, offers), terms).gain
    extra = more.draw(st.tuples(st.integers(0, 4), st.integers(0, 60), st.integers(0, 30)))
    if more.draw(st.booleans()):
        bids = [*bids, extra]
    else:
        offers = [*offers, extra]
    assert auction(book_of(bids, offers), terms).gain >= before


@given(book=sides(most=6), rule=BOTH)
@effort(2)
def test_the_same_book_gives_the_same_bytes(book, rule: str) -> None:
    first, again = (auction(book_of(*book), Terms(rule)) for _ in range(2))
    for one, other in zip(first.trades, again.trades, strict=True):
        assert one.tobytes() == other.tobytes()


def uniform(bids: Sequence[Row], offers: Sequence[Row], price_rule: str) -> Result:
    return auction(book_of(bids, offers), Terms(UNIFORM_PRICE, price_rule))


def test_the_midpoint_lies_between_last_bid_and_last_offer_and_says_where_it_was_rounded() -> None:
    result = uniform([(0, 4, 21), (1, 9, 10)], [(2, 4, 12)], "midpoint")
    assert (result.price, result.rounded_down) == (16, True)
    result = uniform([(0, 4, 20)], [(2, 4, 12)], "midpoint")
    assert (result.price, result.rounded_down) == (16, False)


def test_the_last_accepted_offer_may_set_the_price() -> None:
    assert uniform([(0, 4, 21)], [(1, 2, 10), (2, 9, 12)], LAST_ACCEPTED_OFFER).price == 12


@pytest.mark.parametrize(
    ("bids", "offers", "price"),
    [
        ([(0, 10, 21)], [(1, 4, 12)], 21),  # the bid is open in part
        ([(0, 4, 21)], [(1, 10, 12)], 12),  # the offer is
        ([(0, 4, 21)], [(1, 4, 12)], 12),  # neither: the offer
        ([(0, 4, 21), (1, 4, 20), (2, 4, 20)], [(3, 6, 12)], 20),
    ],
)
def test_the_marginal_order_may_set_the_price(bids, offers, price: int) -> None:
    assert uniform(bids, offers, MARGINAL_ORDER).price == price


@given(book=sides(most=10), price_rule=st.sampled_from(PRICE_RULES))
def test_a_price_rule_changes_who_gains_and_not_who_trades(book, price_rule: str) -> None:
    usual, other = uniform(*book, "midpoint"), uniform(*book, price_rule)
    assert usual.trades.wh.tolist() == other.trades.wh.tolist()
    assert usual.gain == other.gain
    assert (usual.price is None) == (other.price is None)


@given(
    wishes=st.lists(st.integers(1, 50), min_size=2, max_size=8),
    offers=st.lists(st.tuples(st.just(99), st.integers(1, 30), st.integers(0, 9)), max_size=6),
    rule=BOTH,
)
@effort(2)
def test_orders_at_one_price_share_in_proportion(wishes: list[int], offers, rule: str) -> None:
    bids = [(number, wh, 10) for number, wh in enumerate(wishes)]
    result = auction(book_of(bids, offers), Terms(rule))
    volume = min(sum(wishes), sum(wh for _, wh, _ in offers))
    assert result.volume_wh == volume
    for wh, filled in zip(wishes, result.buy_filled.tolist(), strict=True):
        assert abs(filled - Fraction(wh * volume, sum(wishes))) < 1


def test_equal_bids_pay_equal_prices_where_each_trade_has_its_own() -> None:
    """The first on the list does not get the cheap offer while the second pays for the dear one."""
    bids = [(0, 100, 30_000), (1, 100, 30_000)]
    offers = [(2, 100, 10_000), (3, 100, 20_000)]
    for rule in (PAY_AS_BID, PAY_AS_OFFER):
        result = auction(book_of(bids, offers), Terms(rule))
        costs = [sum(t.amount for t in result if t.buy == buyer) for buyer in (0, 1)]
        assert costs[0] == costs[1]
        assert len(result.trades.wh) == 4


@given(book=sides(most=9), split=st.fractions(0, 1, max_denominator=7))
@effort(2)
def test_a_split_divides_what_lies_between_the_limits(book, split: Fraction) -> None:
    bids, offers = book
    result = auction(book_of(bids, offers), Terms(PAY_AS_BID, split=split))
    rounded = False
    for trade in result:
        bid, ask = bids[trade.buy][2], offers[trade.sell][2]
        exact = ask + (bid - ask) * split
        assert trade.price == exact.__floor__()
        rounded = rounded or exact.denominator > 1
    assert result.rounded_down == rounded
    assert result.price is None
    prices = [bids[trade.buy][2] for trade in result]
    if not any(a[0] == b[0] for a in bids for b in offers):
        assert all(one >= other for one, other in pairwise(prices)), "dearest bid first"


def test_under_pay_as_offer_the_seller_gets_what_it_asked() -> None:
    result = auction(book_of([(0, 10, 30)], [(1, 4, 10), (2, 6, 20)]), Terms(PAY_AS_OFFER))
    assert [tuple(trade) for trade in result] == [(0, 0, 4, 10), (0, 1, 6, 20)]


def test_one_with_most_of_both_sides_trades_with_the_others_and_not_with_itself() -> None:
    """Its cheap offer meets their bids, its dear bid their offers: no one price suits both."""
    bids, offers = [(0, 10, 100), (1, 10, 50)], [(0, 10, 0), (2, 10, 60)]
    freely = auction(book_of(bids, offers), Terms(PAY_AS_BID))
    assert {tuple(trade)[:3] for trade in freely} == {(0, 1, 10), (1, 0, 10)}
    assert freely.gain == 10 * 50 + 10 * 40
    at_one_price = auction(book_of(bids, offers), Terms(UNIFORM_PRICE))
    assert at_one_price.gain == 10 * 50
    assert {tuple(trade)[:3] for trade in at_one_price} == {(1, 0, 10)}


def test_own_trades_are_exchanged_without_losing_anything() -> None:
    bids, offers = [(0, 10, 9), (1, 10, 8)], [(0, 10, 1), (1, 10, 2)]
    barred, allowed = (
        auction(book_of(bids, offers), Terms(UNIFORM_PRICE, allow_self_trade=own))
        for own in (False, True)
    )
    assert barred.gain == allowed.gain == 9 * 10 + 8 * 10 - 1 * 10 - 2 * 10
    assert {(trade.buy, trade.sell) for trade in barred} == {(0, 1), (1, 0)}


def test_books_beyond_64_bits_are_cleared_exactly() -> None:
    """Four thousand orders of a GWh at 10,000 euro a kWh: 4 * 10**21 units."""
    orders = [(number, ORDER_WH_MAX, PRICE_PER_WH_MAX) for number in range(4_000)]
    offers = [(number + 4_000, ORDER_WH_MAX, 0) for number in range(4_000)]
    result = auction(book_of(orders, offers), Terms(PAY_AS_BID))
    assert result.gain == 4_000 * ORDER_WH_MAX * PRICE_PER_WH_MAX
    # One participant with most of it: prices are looked for in Python's integers.
    own = [(0, wh, price) for _, wh, price in orders]
    result = auction(book_of([*own, (1, 5, 7)], [(0, *row[1:]) for row in offers]), Terms())
    assert result.gain == 5 * 7


def test_an_empty_book_and_one_side_only_give_no_trade_and_no_price() -> None:
    for bids, offers in (
        ([], []),
        ([(0, 5, 9)], []),
        ([], [(0, 5, 9)]),
        ([(0, 0, 9)], [(1, 0, 1)]),
    ):
        for rule in AUCTIONS:
            result = auction(book_of(bids, offers), Terms(rule))
            assert (result.price, result.volume_wh, result.gain) == (None, 0, 0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((-1, 5, 5), "participant of -1"),
        ((0, -5, 5), "Wh of -5"),
        ((0, ORDER_WH_MAX + 1, 5), f"Wh of {ORDER_WH_MAX + 1}"),
        ((0, 5, -1), "limit of -1"),
        ((0, 5, PRICE_PER_WH_MAX + 1), f"limit of {PRICE_PER_WH_MAX + 1}"),
    ],
)
def test_an_order_nobody_can_have_is_refused(row: Row, said: str) -> None:
    with pytest.raises(BookUnusable, match=f"sell order in row 1: {said}"):
        book_of([(0, 5, 5)], [(1, 1, 1), row])


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(BookUnusable, match="columns of different lengths"):
        OrderBook(Side(column([1]), column([1, 2]), column([1])), Side.of([]))


def test_terms_that_are_none_are_refused_by_name() -> None:
    with pytest.raises(TermsUnusable, match="no auction 'dutch': use one of uniform_price"):
        Terms("dutch")
    with pytest.raises(TermsUnusable, match="no price rule 'mean': use one of midpoint"):
        Terms(price_rule="mean")
    with pytest.raises(TermsUnusable, match="a split of 3/2"):
        Terms(split=Fraction(3, 2))
    with pytest.raises(TermsUnusable, match="a denominator of at most"):
        Terms(split=Fraction(1, 10**7))


@pytest.mark.parametrize("text", ["", "1/0", "half", "-1/2", "1e-3", "1/2/3", "0x1", "NaN", " 1"])
def test_a_split_that_is_no_fraction_is_refused(text: str) -> None:
    with pytest.raises(TermsUnusable, match="not a fraction"):
        read_split(text)


@pytest.mark.parametrize("rule", AUCTIONS)
def test_a_large_book_of_few_participants_is_cleared_without_own_trades(rule: str) -> None:
    """Own trades are exchanged in columns, so a tenth of all trades being own costs no loop."""
    chance = np.random.default_rng(7)

    def side() -> Side:
        return Side(
            chance.integers(0, 10, 20_000),
            chance.integers(1, 5_000, 20_000),
            chance.integers(8_000, 30_000, 20_000),
        )

    book = OrderBook(side(), side())
    barred, allowed = (auction(book, Terms(rule, allow_self_trade=own)) for own in (False, True))
    assert barred.gain == allowed.gain
    own = book.buy.participant[barred.trades.buy] == book.sell.participant[barred.trades.sell]
    assert not own.any()

"""Prices, purses, and the check that no clearing goes beyond them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.errors import InvariantBroken
from commonwatt.market.book import (
    Book,
    Clearing,
    Limits,
    LimitsUnusable,
    Tariff,
    TariffUnusable,
    Trade,
    affordable_wh,
    require_limits,
    require_sound,
)
from commonwatt.quantity import PRICE_PER_WH_MAX

PRODUCER, NEIGHBOUR = 0, 1
BOOK = Book(need_wh=(0, 100), offer_wh=(200, 0), purse=(0, 100 * 19_000), limits=())
FEE = 3_000
AT_LIMITS = Book(
    need_wh=(0, 100),
    offer_wh=(100, 0),
    purse=(0, 10**9),
    limits=(Limits(8_000, 12_000), Limits(16_000, 8_000)),
)


def cleared(*trades: Trade) -> Clearing:
    return Clearing("by hand", 16_000, trades)


def sale(seller: int, buyer: int, wh: int, price: int, fee: int = FEE) -> Trade:
    return Trade(seller, buyer, wh, price, fee, rule=1)


def test_a_clearing_up_to_need_offer_and_purse_is_sound() -> None:
    require_sound(cleared(sale(PRODUCER, NEIGHBOUR, 100, 16_000)), BOOK)
    require_sound(cleared(), BOOK)


@pytest.mark.parametrize(
    ("trade", "law"),
    [
        (sale(PRODUCER, NEIGHBOUR, 0, 16_000), "a trade moves energy"),
        (sale(PRODUCER, NEIGHBOUR, -1, 16_000), "a trade moves energy"),
        (sale(PRODUCER, NEIGHBOUR, 101, 100), "nobody buys beyond its need"),
        (sale(NEIGHBOUR, PRODUCER, 1, 100), "nobody buys beyond its need"),
        (sale(NEIGHBOUR, NEIGHBOUR, 1, 100), "nobody trades with itself"),
        (sale(PRODUCER, PRODUCER, 1, 100), "nobody trades with itself"),
        (sale(PRODUCER, NEIGHBOUR, 100, 16_001), "nobody buys beyond its purse"),
        (sale(PRODUCER, NEIGHBOUR, 100, 16_000, FEE + 1), "nobody buys beyond its purse"),
    ],
)
def test_a_rule_that_goes_too_far_is_stopped(trade: Trade, law: str) -> None:
    with pytest.raises(InvariantBroken, match=law):
        require_sound(cleared(trade), BOOK)


def test_two_trades_that_go_too_far_together_are_stopped() -> None:
    trade = sale(PRODUCER, NEIGHBOUR, 51, 100)
    with pytest.raises(InvariantBroken, match="nobody buys beyond its need"):
        require_sound(cleared(trade, trade), BOOK)
    little = replace(BOOK, offer_wh=(100, 0), need_wh=(0, 200))
    with pytest.raises(InvariantBroken, match="nobody sells beyond its offer"):
        require_sound(cleared(trade, trade), little)


def test_limits_are_asked_for_by_the_rule_and_are_prices() -> None:
    require_limits(AT_LIMITS, needed=True)
    require_limits(BOOK, needed=False)
    with pytest.raises(LimitsUnusable, match="0 pairs of limit prices where the rule takes 2"):
        require_limits(BOOK, needed=True)
    with pytest.raises(LimitsUnusable, match="2 pairs of limit prices where the rule takes 0"):
        require_limits(AT_LIMITS, needed=False)


@pytest.mark.parametrize("limits", [(-1, 0), (0, -1), (PRICE_PER_WH_MAX + 1, 0), (0, 2**70)])
def test_a_limit_that_is_no_price_is_refused(limits: tuple[int, int]) -> None:
    book = Book((1, 1), (1, 1), (1, 1), (Limits(0, 0), Limits(*limits)))
    with pytest.raises(LimitsUnusable, match="limit prices of member 1"):
        require_limits(book, needed=True)


@pytest.mark.parametrize("name", ["retail", "feed_in", "fee_local", "fee_supplier"])
@pytest.mark.parametrize("value", [-1, PRICE_PER_WH_MAX + 1])
def test_a_price_no_market_knows_is_refused(name: str, value: int) -> None:
    prices = {"retail": 1, "feed_in": 1, "fee_local": 1, "fee_supplier": 1, name: value}
    with pytest.raises(TariffUnusable, match=f"{name} of {value}"):
        Tariff(**prices)


def test_a_feed_in_price_above_retail_is_refused() -> None:
    Tariff(retail=8_000, feed_in=8_000, fee_local=0, fee_supplier=0)
    with pytest.raises(TariffUnusable, match="8001 is above retail 8000"):
        Tariff(retail=8_000, feed_in=8_001, fee_local=0, fee_supplier=0)


@given(st.integers(0, 10**7), st.integers(0, 2**40), st.integers(0, 2 * 10**12))
def test_a_purse_pays_for_as_much_as_it_can_and_not_a_watt_hour_more(need, purse, unit) -> None:
    bought = affordable_wh(need, purse, unit)
    assert 0 <= bought <= need
    assert bought * unit <= purse
    assert bought == need or (bought + 1) * unit > purse

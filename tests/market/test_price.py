"""Community prices: one local price, money conserved, nobody's Wh priced twice."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.market.price import PRICE_RULES, PriceUnusable, averages, local_price
from commonwatt.quantity import PRICE_PER_WH_MAX
from effort import effort

RETAIL, FEED_IN = 30_000, 8_000
prices = st.sampled_from([10, 10**5, PRICE_PER_WH_MAX]).flatmap(lambda most: st.integers(0, most))
energies = st.sampled_from([3, 10**4, 10**9]).flatmap(lambda most: st.integers(0, most))
around = st.tuples(prices, prices).map(lambda pair: sorted(pair, reverse=True))


@given(st.sampled_from(PRICE_RULES), around, energies, energies, prices)
@effort(4)
def test_what_buyers_pay_is_what_sellers_and_the_supplier_get(
    rule: str, around: list[int], produced: int, used: int, fixed: int
) -> None:
    retail, feed_in = around
    local = local_price(rule, retail, feed_in, produced, used, fixed=fixed)
    average = averages(local.price, retail, feed_in, produced, used)
    shared = min(produced, used)
    paid = local.price * shared + retail * (used - shared)
    received = local.price * shared + feed_in * (produced - shared)
    for amount, wh, price, rounded in (
        (paid, used, average.buy, average.buy_rounded),
        (received, produced, average.sell, average.sell_rounded),
    ):
        if not wh:
            assert price is None
            assert not rounded
        else:
            assert price <= Fraction(amount, wh) < price + 1
            assert rounded == (amount % wh > 0)
    # The supplier gets the difference, and nobody else.
    assert paid - received == retail * (used - shared) - feed_in * (produced - shared)


@given(st.sampled_from(["mid_market_rate", "supply_demand_ratio"]), around, energies, energies)
@effort(4)
def test_nobody_is_worse_off_than_with_the_supplier(rule, around, produced, used) -> None:
    retail, feed_in = around
    local = local_price(rule, retail, feed_in, produced, used)
    average = averages(local.price, retail, feed_in, produced, used)
    assert feed_in <= local.price <= retail
    assert average.buy is None or average.buy <= retail
    assert average.sell is None or average.sell >= feed_in


@given(around, energies, energies)
@effort(4)
def test_the_ratio_is_that_of_liu_up_to_balance_and_feed_in_beyond(around, produced, used) -> None:
    retail, feed_in = around
    local = local_price("supply_demand_ratio", retail, feed_in, produced, used)
    if produced > used:
        assert local == (feed_in, False)
    elif used and feed_in:
        ratio = Fraction(produced, used)
        exact = retail * feed_in / ((retail - feed_in) * ratio + feed_in)
        assert local.price <= exact < local.price + 1
        assert local.rounded == (local.price != exact)


@given(around, energies, energies, energies)
@effort(2)
def test_the_more_is_made_the_cheaper_it_is(around, produced, more, used) -> None:
    retail, feed_in = around
    before = local_price("supply_demand_ratio", retail, feed_in, produced, used)
    after = local_price("supply_demand_ratio", retail, feed_in, produced + more, used)
    assert after.price <= before.price


def test_mid_market_rate_with_too_much_and_with_too_little() -> None:
    """Long et al. 2017: the side that is short trades at the middle, the other bears the rest."""
    middle = local_price("mid_market_rate", RETAIL, FEED_IN, 10_000, 4_000)
    assert middle == (19_000, False)
    assert averages(19_000, RETAIL, FEED_IN, 10_000, 4_000) == (19_000, 12_400, False, False)
    assert averages(19_000, RETAIL, FEED_IN, 4_000, 10_000) == (25_600, 19_000, False, False)
    assert averages(19_000, RETAIL, FEED_IN, 4_000, 4_000) == (19_000, 19_000, False, False)


def test_a_ratio_of_a_half() -> None:
    """Liu et al. 2017 with r = 0.30, f = 0.10: f r / (0.20 / 2 + 0.10) is 0.15."""
    assert local_price("supply_demand_ratio", 30_000, 10_000, 5_000, 10_000) == (15_000, False)
    # The buyer's price of the paper: 0.15 / 2 + 0.30 / 2.
    assert averages(15_000, 30_000, 10_000, 5_000, 10_000) == (22_500, 15_000, False, False)


def test_a_bill_shared_is_the_bill_of_one_customer() -> None:
    """Long et al. 2017: what comes from outside is paid by all that is used, nothing else is."""
    price = local_price("bill_sharing", RETAIL, FEED_IN, 4_000, 10_000).price
    assert averages(price, RETAIL, FEED_IN, 4_000, 10_000) == (18_000, 0, False, False)
    assert averages(price, RETAIL, FEED_IN, 10_000, 4_000) == (0, 4_800, False, False)


def test_a_fixed_price_is_the_one_agreed_on() -> None:
    assert local_price("fixed_price", RETAIL, FEED_IN, 1, 1, fixed=12_345) == (12_345, False)


def test_a_price_between_two_units_is_rounded_down_and_says_so() -> None:
    assert local_price("mid_market_rate", 3, 0, 1, 1) == (1, True)
    assert averages(1, 3, 0, 2, 3) == (1, 1, True, False)


@pytest.mark.parametrize("rule", PRICE_RULES)
def test_where_there_is_no_energy_there_is_no_average(rule: str) -> None:
    local = local_price(rule, RETAIL, FEED_IN, 0, 0, fixed=1)
    assert averages(local.price, RETAIL, FEED_IN, 0, 0) == (None, None, False, False)


@pytest.mark.parametrize(("produced", "used"), [(0, 0), (0, 5), (5, 5), (5, 9)])
def test_free_energy_has_a_ratio_too(produced: int, used: int) -> None:
    expected = 0 if produced else RETAIL
    assert local_price("supply_demand_ratio", RETAIL, 0, produced, used).price == expected
    assert local_price("supply_demand_ratio", 0, 0, produced, used).price == 0


@pytest.mark.parametrize(
    ("arguments", "fixed", "why"),
    [
        (("best", 3, 1, 1, 1), None, "use one of mid_market_rate, supply_demand_ratio, fixed"),
        (("mid_market_rate", 1, 2, 1, 1), None, "feed-in price 2 is above retail 1"),
        (("mid_market_rate", -1, -1, 1, 1), None, "retail of -1 units"),
        (("mid_market_rate", 10**10, 1, 1, 1), None, "use 0 to 1000000000"),
        (("mid_market_rate", 3, 1, -1, 1), None, "produced Wh: use 0"),
        (("mid_market_rate", 3, 1, 1, 2**63), None, r"used Wh: use 0 to less than 2\^63"),
        (("fixed_price", 3, 1, 1, 1), None, "give it"),
        (("fixed_price", 3, 1, 1, 1), -1, "the fixed price of -1"),
    ],
)
def test_prices_that_cannot_be_are_refused(arguments, fixed, why: str) -> None:
    with pytest.raises(PriceUnusable, match=why) as refusal:
        local_price(*arguments, fixed=fixed)
    assert "\n" not in str(refusal.value)


def test_amounts_beyond_64_bits_are_refused() -> None:
    with pytest.raises(PriceUnusable, match=r"beyond 2\^63"):
        averages(1, PRICE_PER_WH_MAX, 0, 0, 10**10)

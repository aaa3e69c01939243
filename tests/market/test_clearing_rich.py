"""Everything a community can settle, all of it at once, against plain fractions."""

from fractions import Fraction

from hypothesis import given

from commonwatt.market.book import Tariff
from commonwatt.market.catalogue import CONTRACT, PREFERENCE, RULES
from commonwatt.market.charter import charter_of
from commonwatt.market.clearing import clear, tariff_at
from commonwatt.market.settings import GridSettings, MarketSettings, MemberSettings
from effort import effort
from markets import EURO, NOON, QUARTER_S, levels_apart, plain_markets, rich_markets


def plain_fee(settings: MarketSettings, seller: int, buyer: int, tariff: Tariff) -> int:
    """A trade's grid fee at noon, by fractions."""
    if settings.grid is None:
        return tariff.fee_local
    level = levels_apart(settings.members[seller].place, settings.members[buyer].place)
    fee, paid = tariff.fee_supplier, factor_at_noon(settings.grid)
    if level < len(settings.grid.levels):
        one = settings.grid.levels[level]
        if one.fee is not None:
            fee = EURO.price(one.fee)
        else:
            paid *= Fraction(100 - (one.reduction_percent or 0), 100)
    if settings.grid.rounded_to is None or paid == 1:
        return int(fee * paid)
    step = EURO.price(settings.grid.rounded_to)
    return int(fee * paid / step + Fraction(1, 2)) * step


def factor_at_noon(grid: GridSettings) -> Fraction:
    """Of the first window that holds at noon on a Tuesday; the one over midnight does too."""
    for window in grid.windows:
        begun = 1 in window.weekdays and window.start <= "12:00"
        if begun and (window.end > "12:00" or window.end < window.start):
            return Fraction(window.factor_percent, 100)
    return Fraction(1)


@given(rich_markets())
@effort(6)
def test_whatever_is_settled_nobody_goes_beyond_its_part_its_purse_or_its_limits(market) -> None:
    settings, charter, book, tariff = market
    clearing = clear(charter, book, tariff, NOON)
    assert list(clearing.trades) == sorted(clearing.trades)
    for member, one in enumerate(settings.members):
        percent = one.participation_percent
        buys = [trade for trade in clearing.trades if trade.buyer == member]
        sells = [trade for trade in clearing.trades if trade.seller == member]
        assert sum(trade.wh for trade in buys) <= book.need_wh[member] * percent // 100
        assert sum(trade.wh for trade in sells) <= book.offer_wh[member] * percent // 100
        assert sum(trade.wh * (trade.price + trade.fee) for trade in buys) <= book.purse[member]
    for trade in clearing.trades:
        assert trade.fee == plain_fee(settings, trade.seller, trade.buyer, tariff)
        assert trade.rule in (CONTRACT, PREFERENCE, RULES[settings.rule].number)
        if trade.rule == CONTRACT:
            agreed = [c for c in settings.contracts if (c.seller, c.buyer) == trade[:2]]
            assert trade.price in [EURO.price(contract.price) for contract in agreed]
        elif book.limits:
            wish = settings.members[trade.buyer]
            premium = EURO.price(wish.premium) if trade.rule == PREFERENCE else 0
            assert trade.price <= book.limits[trade.buyer].bid + premium
            assert trade.price >= book.limits[trade.seller].ask


@given(rich_markets())
@effort(3)
def test_the_suppliers_grid_fee_has_the_same_hours(market) -> None:
    settings, charter, _, tariff = market
    now = tariff_at(charter, tariff, NOON)
    if settings.grid is None:
        assert now == tariff
        return
    places = tuple(MemberSettings(n, place=(str(n),) * len(settings.grid.levels)) for n in (0, 1))
    strangers = MarketSettings(grid=settings.grid, members=places)
    assert now.fee_supplier == plain_fee(strangers, 0, 1, tariff)
    assert (now.retail, now.feed_in, now.fee_local) == (
        tariff.retail, tariff.feed_in, tariff.fee_local,
    )  # fmt: skip


@given(plain_markets())
def test_settings_that_say_what_is_usual_change_nothing(market) -> None:
    charter, book, tariff = market
    members = len(book.need_wh)
    said = MarketSettings(
        rule=charter.rule_name,
        key=charter.key_name,
        price=None if charter.fixed_price is None else "0.15",
        members=tuple(MemberSettings(n) for n in range(members)),
    )
    interval_s = 3_600 if charter.key_name == "hourly_minimum" else QUARTER_S
    same = charter_of(said, EURO, members, interval_s)
    assert clear(same, book, tariff, NOON) == clear(charter, book, tariff, NOON)

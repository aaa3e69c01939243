"""Who pays whom: money is moved and never made, over one interval and over many."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.errors import InvariantBroken
from commonwatt.market.book import Book, Clearing, Limits, Tariff, Trade
from commonwatt.market.charter import charter_of
from commonwatt.market.clearing import clear, tariff_at
from commonwatt.settlement.account import (
    LANE_MAX,
    LAWS,
    Funds,
    Position,
    Settled,
    no_lane_leaves_its_range,
    settle,
)
from commonwatt.settlement.energy import MemberEnergy
from effort import effort
from markets import CHOICES, EURO, NOON, Choice, rich_settings

TARIFF = Tariff(retail=24_000, feed_in=8_000, fee_local=3_000, fee_supplier=8_000)
MIDDLE = 16_000
RICH = 10**12
USUAL = Choice("mid_market_rate", None).charter(3)

watt_hours = st.one_of(st.just(0), st.integers(0, 50), st.integers(0, 9_000))
lanes = st.one_of(
    st.just(0),
    st.integers(0, 10**7),
    st.integers(0, LANE_MAX),
    st.integers(LANE_MAX - 10**8, LANE_MAX),
)
debts = st.one_of(st.just(0), st.integers(-(10**9), 10**9), st.integers(-(2**41), 2**41))
wide = st.one_of(st.just(0), st.integers(0, 10**8), st.integers(0, 2**50))
prices = st.one_of(st.just(0), st.integers(0, 50_000))


@st.composite
def member_energies(draw: st.DrawFn) -> MemberEnergy:
    taken, given_back = draw(watt_hours), draw(watt_hours)
    if draw(st.integers(0, 4)) == 0:
        # After a gap: all of it is of unknown intervals.
        return MemberEnergy(taken, given_back, taken, given_back, gap=True)
    if draw(st.integers(0, 6)) == 0:
        return MemberEnergy(silent=True)
    return MemberEnergy(taken, given_back)


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    low, high = sorted((draw(prices), draw(prices)))
    return Tariff(high, low, draw(prices), draw(prices))


def book_of(energies: list[MemberEnergy], balances: tuple[int, ...], limits=()) -> Book:
    return Book(
        tuple(energy.need_wh for energy in energies),
        tuple(energy.offer_wh for energy in energies),
        balances,
        tuple(limits),
    )


@st.composite
def intervals(draw: st.DrawFn):
    """Energies, their clearing, the tariff and the funds before."""
    size = draw(st.integers(2, 8))
    each = {"min_size": size, "max_size": size}
    energies = draw(st.lists(member_energies(), **each))
    full = draw(tariffs())
    funds = Funds(
        tuple(draw(st.lists(lanes, **each))),
        tuple(draw(st.lists(debts, **each))),
        draw(wide),
        draw(wide),
    )
    choice = draw(st.sampled_from(CHOICES))
    settings = draw(st.just(choice.settings()) | rich_settings(choice, size))
    charter = charter_of(settings, EURO, size, choice.interval_s)
    limits = draw(st.lists(st.builds(Limits, prices, prices), **each))
    book = book_of(energies, funds.balances, limits if charter.rule.needs_limits else ())
    return energies, clear(charter, book, full, NOON), tariff_at(charter, full, NOON), funds


@given(intervals())
@effort(3)
def test_every_settlement_obeys_every_law(interval) -> None:
    energies, clearing, tariff, funds = interval
    settled = settle(energies, clearing, tariff, funds)
    for law in LAWS:
        law(settled, funds)
    assert len(settled.positions) == len(energies)


@given(intervals())
@effort(2)
def test_money_is_moved_and_never_made(interval) -> None:
    energies, clearing, tariff, funds = interval
    settled = settle(energies, clearing, tariff, funds)
    members = sum(position.delta for position in settled.positions)
    assert members + settled.supplier_in - settled.supplier_out + settled.grid_in == 0
    assert min(settled.supplier_in, settled.supplier_out, settled.grid_in) >= 0


@given(intervals())
@effort(2)
def test_no_lane_leaves_its_range_and_the_supplier_is_never_below_zero(interval) -> None:
    energies, clearing, tariff, funds = interval
    settled = settle(energies, clearing, tariff, funds)
    for position in settled.positions:
        assert 0 <= position.balance_after <= 2**40 - 1
        assert -(2**40) < position.delta < 2**40
    assert funds.supplier + settled.supplier_in - settled.supplier_out >= 0
    assert settled.grid_arrears >= 0


@given(intervals())
@effort(2)
def test_every_bill_is_the_sum_of_its_parts(interval) -> None:
    energies, clearing, tariff, funds = interval
    settled = settle(energies, clearing, tariff, funds)
    for position, energy in zip(settled.positions, energies, strict=True):
        member = position.member
        buys = [trade for trade in clearing.trades if trade.buyer == member]
        sells = [trade for trade in clearing.trades if trade.seller == member]
        assert position.bought_local_wh == sum(trade.wh for trade in buys)
        assert position.sold_local_wh == sum(trade.wh for trade in sells)
        assert position.local_cost == sum(trade.wh * trade.price for trade in buys)
        assert position.local_income == sum(trade.wh * trade.price for trade in sells)
        rest_in = energy.imported_wh - energy.own_wh - position.bought_local_wh
        rest_out = energy.exported_wh - energy.own_wh - position.sold_local_wh
        assert position.bought_supplier_wh == rest_in >= 0
        assert position.sold_supplier_wh == rest_out >= 0
        assert position.supplier_cost == rest_in * tariff.retail
        assert position.supplier_income == rest_out * tariff.feed_in
        local_fee = sum(trade.wh * trade.fee for trade in buys)
        assert position.fee == local_fee + rest_in * tariff.fee_supplier
        moved = position.balance_before - position.balance_after
        owed = position.arrears_after - position.arrears_before
        assert position.bill == moved + owed


@given(intervals())
@effort(2)
def test_the_grid_operator_gets_its_fees_or_is_owed_them(interval) -> None:
    energies, clearing, tariff, funds = interval
    settled = settle(energies, clearing, tariff, funds)
    fees = sum(position.fee for position in settled.positions)
    assert settled.grid_in + settled.grid_arrears == fees + funds.grid_arrears
    local = sum(trade.wh * trade.fee for trade in clearing.trades)
    assert settled.grid_in >= local


@given(intervals())
@effort(2)
def test_nobody_owes_while_it_could_pay(interval) -> None:
    energies, clearing, tariff, funds = interval
    settled = settle(energies, clearing, tariff, funds)
    for position in settled.positions:
        if position.arrears_after > 0:
            assert position.balance_after == 0
        if position.arrears_after < 0 and position.balance_after < LANE_MAX:
            # The supplier owes a member whose lane has room: then it has nothing left.
            assert funds.supplier + settled.supplier_in == settled.supplier_out
    if settled.grid_arrears:
        assert funds.supplier + settled.supplier_in == settled.supplier_out


@given(intervals())
@effort(2)
def test_debts_are_told_in_the_open(interval) -> None:
    energies, clearing, tariff, funds = interval
    settled = settle(energies, clearing, tariff, funds)
    arrears = [position.arrears_after for position in settled.positions]
    assert settled.members_owe == sum(owed for owed in arrears if owed > 0)
    assert settled.supplier_owes == settled.grid_arrears + sum(
        -owed for owed in arrears if owed < 0
    )
    # Seen from the supplier: what it has and is owed changes by what it earned and nothing else.
    before = funds.supplier + sum(funds.arrears) - funds.grid_arrears
    after = funds.supplier + settled.supplier_in - settled.supplier_out
    after += sum(arrears) - settled.grid_arrears
    earned = sum(p.supplier_cost - p.supplier_income for p in settled.positions)
    assert after - before == earned


@given(
    st.lists(st.lists(member_energies(), min_size=3, max_size=3), min_size=1, max_size=12),
    st.lists(st.integers(0, 10**8), min_size=3, max_size=3),
    st.integers(0, 10**8),
    tariffs(),
)
def test_over_many_intervals_bills_add_up_to_lanes_and_debts(days, balances, supplier, tariff):
    funds = start = Funds(tuple(balances), (0, 0, 0), supplier)
    bills, fees, grid = [0, 0, 0], 0, 0
    for energies in days:
        clearing = clear(USUAL, book_of(energies, funds.balances), tariff, NOON)
        settled = settle(energies, clearing, tariff, funds)
        for position in settled.positions:
            assert position.balance_before == funds.balances[position.member]
            assert position.arrears_before == funds.arrears[position.member]
            bills[position.member] += position.bill
            fees += position.fee
        grid += settled.grid_in
        funds = Funds(
            tuple(position.balance_after for position in settled.positions),
            tuple(position.arrears_after for position in settled.positions),
            funds.supplier + settled.supplier_in - settled.supplier_out,
            settled.grid_arrears,
        )
    for member in range(3):
        paid = start.balances[member] - funds.balances[member]
        assert bills[member] == paid + funds.arrears[member]
    assert grid + funds.grid_arrears == fees
    total = sum(funds.balances) + funds.supplier + grid
    assert total == sum(start.balances) + start.supplier


def one_interval(
    *energies: MemberEnergy, balances: tuple[int, ...], supplier: int = RICH, **more: object
) -> Settled:
    arrears = more.pop("arrears", (0,) * len(energies))
    charter = Choice("mid_market_rate", None).charter(len(energies))
    clearing = clear(charter, book_of(list(energies), balances), TARIFF, NOON)
    return settle(energies, clearing, TARIFF, Funds(balances, arrears, supplier, **more))


def test_a_neighbour_pays_the_producer_and_the_grid_operator() -> None:
    settled = one_interval(MemberEnergy(0, 100), MemberEnergy(100, 0), balances=(0, RICH))
    producer, neighbour = settled.positions
    assert producer.delta == 100 * MIDDLE
    assert neighbour.delta == -100 * (MIDDLE + 3_000)
    assert settled.grid_in == 100 * 3_000
    assert (settled.supplier_in, settled.supplier_out) == (0, 0)


def test_each_trade_pays_its_own_grid_fee_and_the_supplier_the_tariffs() -> None:
    energies = [MemberEnergy(0, 100), MemberEnergy(60, 0), MemberEnergy(70, 0)]
    trades = (Trade(0, 1, 60, MIDDLE, 500, 1), Trade(0, 2, 40, 9_000, 8_000, 101))
    clearing = Clearing("by hand", MIDDLE, trades)
    settled = settle(energies, clearing, TARIFF, Funds((0, RICH, RICH), (0, 0, 0), RICH))
    assert [position.fee for position in settled.positions] == [0, 60 * 500, 70 * 8_000]
    assert [position.local_cost for position in settled.positions] == [0, 60 * MIDDLE, 40 * 9_000]
    assert settled.grid_in == 60 * 500 + 70 * 8_000


def test_a_poor_member_buys_locally_what_it_can_pay_and_owes_the_supplier_the_rest() -> None:
    purse = 10 * (MIDDLE + 3_000) + 5
    settled = one_interval(MemberEnergy(0, 100), MemberEnergy(100, 0), balances=(0, purse))
    producer, poor = settled.positions
    assert poor.bought_local_wh == 10
    assert poor.bought_supplier_wh == 90
    assert poor.balance_after == 0
    assert poor.arrears_after == 90 * (24_000 + 8_000) - 5
    assert producer.local_income == 10 * MIDDLE
    assert producer.supplier_income == 90 * 8_000
    assert settled.members_owe == poor.arrears_after


def test_a_member_in_arrears_pays_them_before_it_keeps_anything() -> None:
    settled = one_interval(
        MemberEnergy(0, 100), MemberEnergy(), balances=(0, 0), arrears=(500_000, 7), supplier=0
    )
    producer, debtor = settled.positions
    # It earned 800,000 from the supplier, who has nothing: 500,000 of it is set off.
    assert producer.arrears_after == -300_000
    assert producer.delta == 0
    assert (debtor.delta, debtor.arrears_after) == (0, 7)
    assert settled.supplier_owes == 300_000


def test_a_supplier_who_cannot_pay_shares_what_it_has_and_owes_the_rest_visibly() -> None:
    settled = one_interval(
        MemberEnergy(0, 100), MemberEnergy(0, 300), balances=(0, 0), supplier=1_000_000
    )
    first, second = settled.positions
    assert (first.delta, second.delta) == (250_000, 750_000)
    assert (first.arrears_after, second.arrears_after) == (-550_000, -1_650_000)
    assert settled.supplier_owes == 2_200_000
    assert settled.supplier_out == 1_000_000


def test_a_supplier_pays_out_what_members_pay_in_within_the_same_interval() -> None:
    settled = one_interval(
        MemberEnergy(0, 100, 0, 100), MemberEnergy(100, 0, 100, 0), balances=(0, RICH), supplier=0
    )
    assert settled.supplier_in == 100 * 32_000
    assert settled.positions[0].delta == 100 * 8_000
    assert settled.supplier_owes == 0


def test_what_does_not_fit_a_full_lane_stays_with_the_supplier_who_owes_it() -> None:
    settled = one_interval(MemberEnergy(0, 100), balances=(LANE_MAX - 1,))
    (full,) = settled.positions
    assert full.balance_after == LANE_MAX
    assert full.arrears_after == -(100 * 8_000 - 1)
    assert settled.supplier_owes == 100 * 8_000 - 1


def test_income_from_neighbours_that_does_not_fit_is_put_with_the_supplier() -> None:
    settled = one_interval(
        MemberEnergy(0, 100), MemberEnergy(100, 0), balances=(LANE_MAX - 7, 2_000_000)
    )
    full, _ = settled.positions
    assert full.balance_after == LANE_MAX
    assert full.arrears_after == -(100 * MIDDLE - 7)
    assert settled.supplier_in == 100 * MIDDLE - 7
    assert settled.supplier_out == 0


def test_a_full_lane_is_paid_out_again_once_there_is_room() -> None:
    settled = one_interval(MemberEnergy(), balances=(LANE_MAX - 50,), arrears=(-1_000,))
    assert settled.positions[0].balance_after == LANE_MAX
    assert settled.positions[0].arrears_after == -950


def test_old_debts_to_the_grid_operator_are_paid_when_money_comes() -> None:
    settled = one_interval(MemberEnergy(), balances=(0,), supplier=300, grid_arrears=500)
    assert (settled.grid_in, settled.grid_arrears) == (300, 200)


def test_a_gap_is_settled_with_the_supplier_alone() -> None:
    settled = one_interval(
        MemberEnergy(500, 0, 500, 0, gap=True), MemberEnergy(0, 400), balances=(RICH, 0)
    )
    returned, producer = settled.positions
    assert returned.bought_supplier_wh == 500
    assert returned.bought_local_wh == 0
    assert producer.sold_supplier_wh == 400
    assert returned.gap


def test_a_trade_beyond_a_lane_is_stopped_before_anything_is_written() -> None:
    energies = [MemberEnergy(0, 10), MemberEnergy(10, 0)]
    clearing = Clearing("by hand", MIDDLE, (Trade(0, 1, 10, MIDDLE, 3_000, 1),))
    for purse in (10 * MIDDLE, 10 * (MIDDLE + 3_000) - 1):
        with pytest.raises(InvariantBroken, match="local trades are paid in full"):
            settle(energies, clearing, TARIFF, Funds((0, purse), (0, 0), 0))


def test_a_trade_of_energy_that_was_not_there_is_stopped() -> None:
    energies = [MemberEnergy(0, 9), MemberEnergy(10, 0)]
    clearing = Clearing("by hand", MIDDLE, (Trade(0, 1, 10, MIDDLE, 3_000, 1),))
    with pytest.raises(InvariantBroken, match="no part below zero"):
        settle(energies, clearing, TARIFF, Funds((0, RICH), (0, 0), 0))


@pytest.fixture
def settled() -> Settled:
    return one_interval(MemberEnergy(0, 100), MemberEnergy(140, 0), balances=(50, RICH // 2))


def changed(settled: Settled, **changes: int) -> Settled:
    first, *others = settled.positions
    return replace(settled, positions=(replace(first, **changes), *others))


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"balance_after": 51}, "deltas sum to zero"),
        ({"balance_after": -1, "balance_before": -1}, "lane within range"),
        ({"sold_local_wh": 99}, "bought = sold"),
        ({"local_income": 1}, "paid = earned"),
        ({"imported_wh": 1}, "parts = imported"),
        ({"exported_wh": 1}, "parts = exported"),
        ({"own_wh": -1, "imported_wh": -1, "exported_wh": 99}, "no part below zero"),
        ({"arrears_after": 1}, "bill = paid"),
        ({"fee": 1}, "bill = paid"),
    ],
)
def test_each_law_catches_the_fault_it_is_there_for(settled, changes, law) -> None:
    funds = Funds((50, RICH // 2), (0, 0), RICH)
    found = []
    for check in LAWS:
        try:
            check(changed(settled, **changes), funds)
        except InvariantBroken as broken:
            found.append(broken.law)
    assert any(law in broken for broken in found)


def test_a_supplier_below_zero_is_caught(settled: Settled) -> None:
    spent = replace(settled, supplier_out=settled.supplier_in + RICH + 1)
    with pytest.raises(InvariantBroken, match="the supplier's lane is not below zero"):
        no_lane_leaves_its_range(spent, Funds((50, RICH // 2), (0, 0), RICH))


def test_a_bill_below_zero_is_an_income() -> None:
    settled = one_interval(MemberEnergy(0, 100), balances=(0,))
    position: Position = settled.positions[0]
    assert position.bill == -800_000
    assert position.delta == 800_000

"""Long-term contracts: delivered first, in the order of signing, and never beyond what is there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.market.book import Trade
from commonwatt.market.catalogue import CONTRACT
from commonwatt.market.contract import (
    Contract,
    ContractUnusable,
    Delivered,
    deliver,
    require_usable,
)
from commonwatt.market.keys import SHARE_ONE
from commonwatt.market.orders import ORDER_WH_MAX
from commonwatt.quantity import PRICE_PER_WH_MAX, TIME_MAX

PRODUCER, NEIGHBOUR, LATECOMER = 0, 1, 2
FEE = 3_440
RICH = (10**15,) * 3


def contract(**fields: object) -> Contract:
    usual = {"seller": PRODUCER, "buyer": NEIGHBOUR, "price": 12_000, "first": 900, "end": 9_000}
    return Contract(**(usual | ({} if "share" in fields else {"volume_wh": 300}) | fields))


def flat_fee(seller: int, buyer: int) -> int:
    assert seller != buyer
    return FEE


def delivered(
    *contracts: Contract,
    need: tuple[int, ...] = (0, 500, 500),
    offer: tuple[int, ...] = (600, 0, 0),
    purse: tuple[int, ...] = RICH,
    start: int = 900,
) -> Delivered:
    return deliver(contracts, need, offer, purse, flat_fee, start)


# What is delivered -----------------------------------------------------------------------------


def test_a_fixed_volume_is_delivered_at_its_price_and_leaves_the_rest() -> None:
    result = delivered(contract())
    assert result.trades == (Trade(PRODUCER, NEIGHBOUR, 300, 12_000, FEE, CONTRACT),)
    assert result.need == (0, 200, 500)
    assert result.offer == (300, 0, 0)
    assert RICH[NEIGHBOUR] - result.purse[NEIGHBOUR] == 300 * (12_000 + FEE)
    assert result.purse[PRODUCER] == RICH[PRODUCER]


def test_a_share_is_of_the_offer_at_the_beginning_rounded_down() -> None:
    third, half = contract(share=SHARE_ONE // 3), contract(share=SHARE_ONE // 2, buyer=LATECOMER)
    result = delivered(third, half, offer=(601, 0, 0))
    # A third as written is a little less than one: 200 of 601, and half of all 601, not of 401.
    assert [trade.wh for trade in result.trades] == [200, 300]
    assert result.offer == (101, 0, 0)


def test_shares_add_up_to_the_whole_offer_at_most() -> None:
    half = SHARE_ONE // 2
    result = delivered(contract(share=half), contract(share=half, buyer=LATECOMER))
    assert [trade.wh for trade in result.trades] == [300, 300]
    assert result.offer == (0, 0, 0)


def test_who_signed_first_is_served_first() -> None:
    early, late = contract(volume_wh=400), contract(volume_wh=400, buyer=LATECOMER)
    assert [trade.wh for trade in delivered(early, late).trades] == [400, 200]
    assert [trade.buyer for trade in delivered(late, early).trades] == [LATECOMER, NEIGHBOUR]


def test_a_contract_never_forces_more_on_a_buyer_than_it_needs() -> None:
    result = delivered(contract(), need=(0, 120, 0))
    assert result.trades == (Trade(PRODUCER, NEIGHBOUR, 120, 12_000, FEE, CONTRACT),)


def test_a_short_purse_buys_what_it_pays_for_fee_included() -> None:
    unit = 12_000 + FEE
    result = delivered(contract(), purse=(0, 100 * unit + unit - 1, 0))
    assert result.trades[0].wh == 100
    assert result.purse == (0, unit - 1, 0)
    assert delivered(contract(), purse=(0, unit - 1, 0)).trades == ()


def test_energy_for_nothing_needs_no_purse() -> None:
    gift = contract(price=0)
    result = deliver([gift], (0, 500), (600, 0), (0, 0), lambda seller, buyer: seller * buyer, 900)
    assert result.trades == (Trade(PRODUCER, NEIGHBOUR, 300, 0, 0, CONTRACT),)


@pytest.mark.parametrize(("start", "counts"), [(0, 0), (899, 0), (900, 1), (8_999, 1), (9_000, 0)])
def test_a_contract_is_in_force_in_half_open_time(start: int, counts: int) -> None:
    assert len(delivered(contract(), start=start).trades) == counts


def test_two_contracts_of_one_pair_stay_two_trades() -> None:
    cheap, dear = contract(volume_wh=100, price=9_000), contract(volume_wh=100, price=15_000)
    assert delivered(cheap, dear).trades == (
        Trade(PRODUCER, NEIGHBOUR, 100, 9_000, FEE, CONTRACT),
        Trade(PRODUCER, NEIGHBOUR, 100, 15_000, FEE, CONTRACT),
    )


# What always holds -----------------------------------------------------------------------------

MEMBERS = 5


@st.composite
def contracts_of_members(draw: st.DrawFn) -> list[Contract]:
    drawn = []
    members = st.integers(0, MEMBERS - 1)
    for _ in range(draw(st.integers(0, 6))):
        seller, buyer = draw(st.lists(members, min_size=2, max_size=2, unique=True))
        first, last = sorted(draw(st.lists(st.integers(0, 8), min_size=2, max_size=2, unique=True)))
        # Six contracts with at most a sixth each never promise more than there is.
        by_share = {"share": draw(st.integers(1, SHARE_ONE // 6)), "volume_wh": None}
        by_volume = {"volume_wh": draw(st.integers(1, 900))}
        drawn.append(
            contract(
                seller=seller,
                buyer=buyer,
                price=draw(st.integers(0, 30_000)),
                first=first * 900,
                end=last * 900,
                **draw(st.sampled_from([by_share, by_volume])),
            )
        )
    return drawn


energies = st.lists(st.integers(0, 1_000), min_size=MEMBERS, max_size=MEMBERS).map(tuple)
purses = st.lists(
    st.one_of(st.just(0), st.integers(0, 10**7)), min_size=MEMBERS, max_size=MEMBERS
).map(tuple)
starts = st.integers(0, 8).map(lambda step: step * 900)


@given(contracts_of_members(), energies, energies, purses, starts)
def test_contracts_conserve_energy_and_money_and_go_beyond_nothing(
    contracts: list[Contract],
    need: tuple[int, ...],
    offer: tuple[int, ...],
    purse: tuple[int, ...],
    start: int,
) -> None:
    result = deliver(contracts, need, offer, purse, flat_fee, start)
    for member in range(MEMBERS):
        bought = [trade for trade in result.trades if trade.buyer == member]
        sold = [trade for trade in result.trades if trade.seller == member]
        assert need[member] - result.need[member] == sum(trade.wh for trade in bought)
        assert offer[member] - result.offer[member] == sum(trade.wh for trade in sold)
        cost = sum(trade.wh * (trade.price + FEE) for trade in bought)
        assert purse[member] - result.purse[member] == cost
    assert min(*result.need, *result.offer, *result.purse) >= 0
    assert all(trade.wh > 0 for trade in result.trades)


@given(contracts_of_members(), energies, energies, purses, starts)
def test_a_later_contract_takes_nothing_from_an_earlier_one(
    contracts: list[Contract],
    need: tuple[int, ...],
    offer: tuple[int, ...],
    purse: tuple[int, ...],
    start: int,
) -> None:
    whole = deliver(contracts, need, offer, purse, flat_fee, start).trades
    for count in range(len(contracts)):
        earlier = deliver(contracts[:count], need, offer, purse, flat_fee, start).trades
        assert whole[: len(earlier)] == earlier


@given(contracts_of_members(), energies, energies, purses, starts)
def test_every_contract_delivers_all_that_something_does_not_limit(
    contracts: list[Contract],
    need: tuple[int, ...],
    offer: tuple[int, ...],
    purse: tuple[int, ...],
    start: int,
) -> None:
    for count, last in enumerate(contracts, 1):
        before = deliver(contracts[: count - 1], need, offer, purse, flat_fee, start)
        after = deliver(contracts[:count], need, offer, purse, flat_fee, start)
        wh = sum(trade.wh for trade in after.trades[len(before.trades) :])
        if not last.first <= start < last.end:
            assert wh == 0
            continue
        promised = last.promised_wh(offer[last.seller])
        exhausted = wh in {promised, before.need[last.buyer], before.offer[last.seller]}
        assert wh <= promised
        assert exhausted or after.purse[last.buyer] < last.price + FEE


# What is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"buyer": PRODUCER}, "nobody sells to itself"),
        ({"seller": -1}, "member is -1"),
        ({"end": 900}, "ends at 900, before it begins at 900"),
        ({"end": 899}, "before it begins"),
        ({"end": TIME_MAX + 1}, "end is"),
        ({"first": -900}, "first is -900"),
        ({"price": -1}, "price is -1"),
        ({"price": PRICE_PER_WH_MAX + 1}, "use 0 to 1000000000"),
        ({"price": 0.12}, "price is 0.12"),
        ({"volume_wh": None}, "either volume_wh or share"),
        ({"volume_wh": 1, "share": 1}, "either volume_wh or share"),
        ({"volume_wh": 0}, "volume_wh is 0"),
        ({"volume_wh": ORDER_WH_MAX + 1}, "volume_wh is 1000000001"),
        ({"share": 0}, "share is 0"),
        ({"share": SHARE_ONE + 1}, "share is 1000000001"),
        ({"share": 0.5}, "share is 0.5"),
    ],
)
def test_a_contract_nobody_could_deliver_is_refused_in_one_line(
    fields: dict[str, object], says: str
) -> None:
    with pytest.raises(ContractUnusable) as refusal:
        contract(**fields)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_stranger_has_no_contract() -> None:
    stranger = contract(buyer=3)
    with pytest.raises(ContractUnusable, match="members 0 and 3: there are only members 0 to 2"):
        require_usable([stranger], 3)
    with pytest.raises(ContractUnusable, match="there are only members 0 to 2"):
        delivered(stranger)
    require_usable([stranger], 4)


def test_nobody_promises_its_offer_twice_at_any_time() -> None:
    most, rest = SHARE_ONE * 7 // 10, SHARE_ONE * 3 // 10
    first = contract(share=most, end=1_800)
    second = contract(share=rest, buyer=LATECOMER)
    third = contract(share=most, first=1_800, buyer=LATECOMER)
    require_usable([first, second, third], 3)
    too_much = contract(share=1, first=2_700, end=3_600)
    with pytest.raises(ContractUnusable, match="member 0 promises 1000000001 of 1000000000") as no:
        require_usable([first, second, third, too_much], 3)
    assert "from 1970-01-01T00:45:00Z: lower a share" in str(no.value)
    with pytest.raises(ContractUnusable, match="lower a share"):
        delivered(first, second, third, too_much, start=2_700)
    # Another's promises and fixed volumes do not count.
    other = contract(seller=LATECOMER, share=SHARE_ONE)
    require_usable([first, second, third, other, contract(volume_wh=10**6)], 3)

"""Who pays whom: one interval's trades and supplier energy become changes of lanes.

Local trades are paid in full, or not made. Supplier energy is always delivered; what a member
cannot pay for it is its arrears with the supplier, and what the supplier cannot pay a member or
the grid operator is the supplier's. Arrears are signed: above zero the member owes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from commonwatt.errors import require
from commonwatt.market.book import Clearing, Tariff
from commonwatt.quantity import split_exactly
from commonwatt.settlement.adjustment import Due
from commonwatt.settlement.energy import MemberEnergy

LANE_MAX = 2**40 - 1
"""The most a member's lane holds, in units; what does not fit stays with the supplier."""


@dataclass(frozen=True, slots=True)
class Funds:
    """Money as it stood before the interval was settled, in units."""

    balances: tuple[int, ...]
    """Each member's lane, 0 to `LANE_MAX`."""
    arrears: tuple[int, ...]
    """Each member's arrears with the supplier; below zero the supplier owes the member."""
    supplier: int
    """The supplier's lane."""
    grid_arrears: int = 0
    """What the supplier owes the grid operator; below zero the grid operator owes it."""


@dataclass(frozen=True, slots=True)
class Position:
    """One member's energy and money in one interval: the line of a bill."""

    member: int
    silent: bool
    gap: bool
    imported_wh: int
    exported_wh: int
    own_wh: int
    bought_local_wh: int
    sold_local_wh: int
    bought_supplier_wh: int
    sold_supplier_wh: int
    local_cost: int
    """For neighbours' energy, in units, without fee."""
    local_income: int
    fee: int
    """Grid fees of the interval, local and supplier."""
    supplier_cost: int
    """For the supplier's energy, without fee."""
    supplier_income: int
    adjusted: int
    """For energy of earlier intervals that became known since; below zero it is paid back."""
    balance_before: int
    balance_after: int
    arrears_before: int
    arrears_after: int

    @property
    def delta(self) -> int:
        """The signed change of the lane."""
        return self.balance_after - self.balance_before

    @property
    def bill(self) -> int:
        """What the interval cost the member; below zero it earned."""
        return (
            self.local_cost
            + self.supplier_cost
            + self.fee
            + self.adjusted
            - self.local_income
            - self.supplier_income
        )


@dataclass(frozen=True, slots=True)
class Settled:
    """One interval's positions, and the changes of the two wide lanes."""

    positions: tuple[Position, ...]
    supplier_in: int
    supplier_out: int
    grid_in: int
    grid_arrears: int

    @property
    def members_owe(self) -> int:
        """Members' unpaid debt to the supplier."""
        return sum(max(position.arrears_after, 0) for position in self.positions)

    @property
    def supplier_owes(self) -> int:
        """The supplier's unpaid debt to members and grid operator."""
        owed = sum(min(position.arrears_after, 0) for position in self.positions)
        return max(self.grid_arrears, 0) - owed


@dataclass(slots=True)
class _Line:
    """One member's running figures while the interval is settled."""

    bought_wh: int = 0
    sold_wh: int = 0
    cost: int = 0
    fee: int = 0
    """For neighbours' energy; the supplier's energy has one of its own."""
    income: int = 0
    from_supplier_wh: int = 0
    to_supplier_wh: int = 0


def settle(
    energies: Sequence[MemberEnergy],
    clearing: Clearing,
    tariff: Tariff,
    funds: Funds,
    adjusted: Sequence[Due] = (),
) -> Settled:
    """Positions and payments of one interval.

    Args:
        energies: by member.
        clearing: what they traded with each other.
        tariff: the interval's.
        funds: money as it stands.
        adjusted: what members have to pay for earlier intervals; empty if there is nothing.

    Raises:
        InvariantBroken: if the amounts would not sum to zero, energy would appear or vanish, or a
            lane would leave 0 to `LANE_MAX`.
    """
    lines = [_Line() for _ in energies]
    adjusted = adjusted or [Due()] * len(lines)
    for trade in clearing.trades:
        amount = trade.wh * trade.price
        buyer, seller = lines[trade.buyer], lines[trade.seller]
        buyer.bought_wh, buyer.cost = buyer.bought_wh + trade.wh, buyer.cost + amount
        buyer.fee += trade.wh * trade.fee
        seller.sold_wh, seller.income = seller.sold_wh + trade.wh, seller.income + amount

    # First what members pay the supplier out of their own lanes ...
    local_fees = from_members = grid_due = 0
    free, owed, arrears = [], [], []
    for member, (energy, line) in enumerate(zip(energies, lines, strict=True)):
        local_fees += line.fee
        line.from_supplier_wh = energy.imported_wh - energy.own_wh - line.bought_wh
        line.to_supplier_wh = energy.exported_wh - energy.own_wh - line.sold_wh
        grid_due += line.from_supplier_wh * tariff.fee_supplier + adjusted[member].grid
        open_amount = (
            funds.arrears[member]
            + adjusted[member].whole
            + line.from_supplier_wh * (tariff.retail + tariff.fee_supplier)
            - line.to_supplier_wh * tariff.feed_in
        )
        available = funds.balances[member] - line.cost - line.fee + line.income
        require("local trades are paid in full", available >= 0, member=member, short=available)
        # Whatever does not fit the lane stays with the supplier, who then owes it.
        paid = max(min(max(open_amount, 0), available), available - LANE_MAX)
        from_members += paid
        free.append(available - paid)
        arrears.append(open_amount - paid)
        owed.append(min(max(paid - open_amount, 0), LANE_MAX - (available - paid)))

    # ... then what the supplier pays, as far as its lane reaches, in proportion to what it owes.
    grid_open = funds.grid_arrears + grid_due
    owed.append(max(grid_open, 0))
    pot = min(funds.supplier + from_members, sum(owed))
    paid_out = split_exactly(pot, owed) if pot else [0] * len(owed)

    positions = tuple(
        Position(
            member=member,
            silent=energy.silent,
            gap=energy.gap,
            imported_wh=energy.imported_wh,
            exported_wh=energy.exported_wh,
            own_wh=energy.own_wh,
            bought_local_wh=line.bought_wh,
            sold_local_wh=line.sold_wh,
            bought_supplier_wh=line.from_supplier_wh,
            sold_supplier_wh=line.to_supplier_wh,
            local_cost=line.cost,
            local_income=line.income,
            fee=line.fee + line.from_supplier_wh * tariff.fee_supplier,
            supplier_cost=line.from_supplier_wh * tariff.retail,
            supplier_income=line.to_supplier_wh * tariff.feed_in,
            adjusted=adjusted[member].whole,
            balance_before=funds.balances[member],
            balance_after=free[member] + paid_out[member],
            arrears_before=funds.arrears[member],
            arrears_after=arrears[member] + paid_out[member],
        )
        for member, (energy, line) in enumerate(zip(energies, lines, strict=True))
    )
    settled = Settled(
        positions=positions,
        supplier_in=from_members,
        supplier_out=pot,
        grid_in=local_fees + paid_out[-1],
        grid_arrears=grid_open - paid_out[-1],
    )
    for law in LAWS:
        law(settled, funds)
    return settled


def deltas_sum_to_zero(settled: Settled, funds: Funds) -> None:  # noqa: ARG001 - one signature
    """Money is moved, never made: members, supplier and grid operator together change by 0."""
    residue = sum(position.delta for position in settled.positions)
    residue += settled.supplier_in - settled.supplier_out + settled.grid_in
    require("deltas sum to zero", residue == 0, residue=residue)


def no_lane_leaves_its_range(settled: Settled, funds: Funds) -> None:
    """No lane is below zero or above what it can hold."""
    for position in settled.positions:
        inside = 0 <= position.balance_after <= LANE_MAX
        require("lane within range", inside, member=position.member, after=position.balance_after)
    supplier = funds.supplier + settled.supplier_in - settled.supplier_out
    require("the supplier's lane is not below zero", supplier >= 0, after=supplier)


def bought_is_sold(settled: Settled, funds: Funds) -> None:  # noqa: ARG001 - one signature
    """What neighbours bought is what neighbours sold, in energy and in money."""
    bought = sum(position.bought_local_wh for position in settled.positions)
    sold = sum(position.sold_local_wh for position in settled.positions)
    require("bought = sold", bought == sold, bought=bought, sold=sold)
    cost = sum(position.local_cost for position in settled.positions)
    income = sum(position.local_income for position in settled.positions)
    require("paid = earned", cost == income, paid=cost, earned=income)


def energy_is_conserved(settled: Settled, funds: Funds) -> None:  # noqa: ARG001 - one signature
    """Each member's parts add up to what its meters counted."""
    for p in settled.positions:
        taken = p.own_wh + p.bought_local_wh + p.bought_supplier_wh
        given = p.own_wh + p.sold_local_wh + p.sold_supplier_wh
        require("parts = imported", taken == p.imported_wh, member=p.member, parts=taken)
        require("parts = exported", given == p.exported_wh, member=p.member, parts=given)
        parts = (p.own_wh, p.bought_supplier_wh, p.sold_supplier_wh)
        require("no part below zero", min(parts) >= 0, member=p.member, parts=parts)


def bills_are_paid_or_owed(settled: Settled, funds: Funds) -> None:  # noqa: ARG001
    """What a member's bill did not take from its lane, it owes; and the other way round."""
    for p in settled.positions:
        moved = p.balance_after - p.balance_before + p.bill - (p.arrears_after - p.arrears_before)
        require("bill = paid + owed", moved == 0, member=p.member, residue=moved)


LAWS = (
    deltas_sum_to_zero,
    no_lane_leaves_its_range,
    bought_is_sold,
    energy_is_conserved,
    bills_are_paid_or_owed,
)
"""Every settlement obeys each of these; they are checked before anything is written."""

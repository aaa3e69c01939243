"""Sums over a run, taken from the statements as the audit recomputed them."""

from dataclasses import dataclass, field

from commonwatt.market.book import Tariff
from commonwatt.meter.registration import Role
from commonwatt.settlement.account import Position
from commonwatt.statement.close import Inputs, Statement
from commonwatt.statement.community import Community


@dataclass(slots=True)
class MemberSum:
    """One member over the whole run: Wh and units."""

    generation_wh: int = 0
    own_sun_wh: int = 0
    consumption_wh: int = 0
    bought_local_wh: int = 0
    sold_local_wh: int = 0
    bought_supplier_wh: int = 0
    sold_supplier_wh: int = 0
    green_wh: int = 0
    """Retired for it; its own sun is not in it."""
    issued_wh: int = 0
    retired_wh: int = 0
    stored_wh: int = 0
    """Put into batteries; what comes out of them is issued anew."""
    free_wh: int = 0
    bill_with: int = 0
    bill_without: int = 0
    """What the same registers would have cost at the supplier alone."""
    arrears: int = 0


@dataclass(slots=True)
class IntervalSum:
    """The community in one interval."""

    start: int
    local_price: int
    generation_wh: int = 0
    own_sun_wh: int = 0
    own_battery_wh: int = 0
    to_battery_wh: int = 0
    from_neighbours_wh: int = 0
    from_supplier_wh: int = 0
    to_supplier_wh: int = 0
    issued_wh: int = 0
    retired_wh: int = 0
    stored_wh: int = 0
    """Put into batteries; what comes out of them is issued anew."""
    free_wh: int = 0

    @property
    def consumption_wh(self) -> int:
        """From all sources."""
        own = self.own_sun_wh + self.own_battery_wh
        return own + self.from_neighbours_wh + self.from_supplier_wh


@dataclass(slots=True)
class Tally:
    """A witness of an audit that adds up."""

    community: Community
    intervals: list[IntervalSum] = field(default_factory=list)
    members: list[MemberSum] = field(default_factory=list)
    imported_wh: int = 0
    exported_wh: int = 0
    local_wh: int = 0

    def __post_init__(self) -> None:
        """One sum per member."""
        self.members = [MemberSum() for _ in self.community.accounts]

    def __call__(self, inputs: Inputs, statement: Statement) -> None:
        """Take in one interval."""
        header = statement.header
        here = IntervalSum(header.start, header.local_price)
        self.intervals.append(here)
        self.imported_wh += header.imported_wh
        self.exported_wh += header.exported_wh
        self.local_wh += header.local_wh
        behind = self._behind_the_meters(inputs)
        for position, green in zip(
            statement.settled.positions, statement.certified.green_wh, strict=True
        ):
            member = self.members[position.member]
            made, charged, discharged = behind[position.member]
            # What left the home came out of its battery first, as its certificates have it.
            sold_out = min(discharged, position.exported_wh)
            discharged -= sold_out
            # Readings are floored to whole Wh one by one, so the difference can miss by one.
            own_sun = max(made + sold_out - charged - position.exported_wh, 0) + position.own_wh
            here.generation_wh += made
            here.own_sun_wh += own_sun
            here.own_battery_wh += discharged
            here.to_battery_wh += charged
            here.from_neighbours_wh += position.bought_local_wh
            here.from_supplier_wh += position.bought_supplier_wh
            here.to_supplier_wh += position.sold_supplier_wh
            member.generation_wh += made
            member.own_sun_wh += own_sun
            member.consumption_wh += own_sun + discharged + position.imported_wh - position.own_wh
            member.green_wh += green
            _add_money(member, position, inputs.tariff)
        for certificate in statement.certified.certificates:
            for total in (here, self.members[certificate.member]):
                total.issued_wh += certificate.issued_wh
                total.retired_wh += certificate.retired_wh
                total.stored_wh += certificate.stored_wh
                total.free_wh += certificate.free_wh

    def _behind_the_meters(self, inputs: Inputs) -> list[list[int]]:
        """Wh made, charged and discharged by member."""
        behind = [[0, 0, 0] for _ in self.members]
        for verdict in inputs.accepted:
            registration = self.community.by_meter[verdict.record.meter]
            sums = behind[registration.member]
            if registration.role is Role.GENERATION:
                sums[0] += verdict.export_wh
            elif registration.role is Role.STORAGE:
                sums[1] += verdict.import_wh
                sums[2] += verdict.export_wh
        return behind


def _add_money(member: MemberSum, position: Position, tariff: Tariff) -> None:
    member.bought_local_wh += position.bought_local_wh
    member.sold_local_wh += position.sold_local_wh
    member.bought_supplier_wh += position.bought_supplier_wh
    member.sold_supplier_wh += position.sold_supplier_wh
    member.bill_with += position.bill
    taken, given = position.imported_wh, position.exported_wh
    member.bill_without += taken * (tariff.retail + tariff.fee_supplier) - given * tariff.feed_in
    member.arrears = position.arrears_after

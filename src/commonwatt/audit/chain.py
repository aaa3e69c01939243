"""Checks against the chain: who is registered, what was anchored, where the money is."""

from collections import Counter
from collections.abc import Mapping

from commonwatt.audit.difference import Difference
from commonwatt.audit.facts import (
    GRID_LANE,
    SUPPLIER_LANE,
    AnchoredClose,
    ChainFacts,
    RegisteredMeter,
)
from commonwatt.meter.keys import verify
from commonwatt.meter.record import NO_PREVIOUS
from commonwatt.meter.registration import Registration, Role
from commonwatt.quantity import MWH_PER_WH, TIME_MAX, time_text
from commonwatt.statement.close import State, Statement
from commonwatt.statement.community import Community
from commonwatt.statement.publication import CONSTITUTION_PATH, REGISTER_PATH, day_of


def require_registered(community: Community, facts: ChainFacts) -> None:
    """Raise `Difference` unless members and meters are those the chain registered."""
    chain = community.chain
    names = ("chain_id", "registry", "settlement", "certificate", "token", "exchange", "book")
    if any(getattr(chain, name) != getattr(facts, name) for name in names):
        raise Difference(CONSTITUTION_PATH, "the chain has other contracts than these")
    if community.accounts != facts.accounts:
        raise Difference(CONSTITUTION_PATH, "the chain has other members than these")
    registered = tuple(RegisteredMeter.of(r) for r in community.registrations)
    for number, (published, on_chain) in enumerate(zip(registered, facts.meters, strict=False)):
        if published != on_chain:
            raise Difference(f"{REGISTER_PATH}, line {number + 1}", "the chain registered another")
    if len(registered) != len(facts.meters):
        raise Difference(REGISTER_PATH, f"the chain has {len(facts.meters)} meters")
    if community.roll != facts.roll:
        raise Difference(REGISTER_PATH, "does not lead to the chain's member roll")
    for registration in community.registrations:
        _require_opening(registration, community)


def _require_opening(registration: Registration, community: Community) -> None:
    place = f"{REGISTER_PATH}, meter {registration.meter.hex()}"
    opening = registration.opening_record
    if not verify(registration.public_key, registration.opening):
        raise Difference(place, "the opening record is not signed by the meter")
    own = (opening.meter, opening.ledger, opening.sequence, opening.previous)
    if own != (registration.meter, community.chain.ledger, 0, NO_PREVIOUS):
        raise Difference(place, "the opening record is not the first one of this meter here")


def require_flows(community: Community, facts: ChainFacts) -> None:
    """Raise `Difference` unless the flows are numbered and move lanes that there are.

    Anyone may pay into a lane, but only its own account takes out.
    """
    owners = dict(enumerate(community.accounts))
    owners |= {SUPPLIER_LANE: community.supplier, GRID_LANE: community.grid_operator}
    for number, flow in enumerate(facts.flows, start=1):
        place = f"deposit or withdrawal {number}"
        if flow.number != number:
            raise Difference(place, f"the chain has number {flow.number} in its place")
        if flow.lane not in owners:
            raise Difference(place, f"moves lane {flow.lane}, which nobody has")
        if flow.amount < 0 and flow.account != owners[flow.lane]:
            raise Difference(place, f"takes out of lane {flow.lane}, which is another's")


def closed_days(facts: ChainFacts) -> list[str]:
    """The UTC days of which the chain closed an interval."""
    for number, closed in enumerate(facts.closes):
        if not 0 <= closed.start < TIME_MAX:
            raise Difference(f"close {number}", f"is of an interval at {closed.start}: no time")
    return sorted({day_of(closed.start) for closed in facts.closes})


class Lanes:
    """The lanes as deposits, withdrawals and closes move them, replayed from the chain's facts."""

    def __init__(self, facts: ChainFacts) -> None:
        """Start with all lanes empty."""
        self._facts = facts
        self._lanes: Counter[int] = Counter()
        self._flows = 0
        self._closes = 0

    def before_close(self, flows: int, place: str) -> tuple[tuple[int, ...], int]:
        """Members' balances and the supplier's, once `flows` deposits and withdrawals are in."""
        if not self._flows <= flows <= len(self._facts.flows):
            raise Difference(f"{place}, inputs", f"names {flows} deposits and withdrawals")
        for flow in self._facts.flows[self._flows : flows]:
            self._lanes[flow.lane] += flow.amount
            if self._lanes[flow.lane] < 0:
                what = f"takes more out of lane {flow.lane} than is in it"
                raise Difference(f"deposit or withdrawal {flow.number}", what)
        self._flows = flows
        members = range(len(self._facts.accounts))
        return tuple(self._lanes[lane] for lane in members), self._lanes[SUPPLIER_LANE]

    def upcoming(self, path: str) -> str:
        """The next interval that the chain closed, in words; the file where there is none."""
        closes = self._facts.closes
        return time_text(closes[self._closes].start) if self._closes < len(closes) else path

    def next_close(self, place: str) -> AnchoredClose:
        """The next interval that the chain closed."""
        if self._closes == len(self._facts.closes):
            raise Difference(f"{place}, header", "the chain never closed this interval")
        self._closes += 1
        return self._facts.closes[self._closes - 1]

    def open_on(self, day: str) -> bool:
        """Whether the chain closed further intervals of this UTC day."""
        closes = self._facts.closes
        return self._closes < len(closes) and day_of(closes[self._closes].start) == day

    def settle(self, statement: Statement) -> None:
        """Move the lanes as a statement says."""
        for position in statement.settled.positions:
            self._lanes[position.member] += position.delta
        settled = statement.settled
        self._lanes[SUPPLIER_LANE] += settled.supplier_in - settled.supplier_out
        self._lanes[GRID_LANE] += settled.grid_in

    def final(self) -> tuple[tuple[int, ...], int, int]:
        """Members', supplier's and grid operator's lanes with every flow in."""
        balances, supplier = self.before_close(len(self._facts.flows), "the end")
        return balances, supplier, self._lanes[GRID_LANE]


def require_settled(
    community: Community,
    lanes: Lanes,
    facts: ChainFacts,
    free: Mapping[tuple[bytes, int], int],
) -> None:
    """Raise `Difference` unless money and tokens end where the statements lead."""
    balances, supplier, grid = lanes.final()
    if len(facts.balances) != len(balances):
        raise Difference("lanes", f"the chain has {len(facts.balances)}, not {len(balances)}")
    for member, (computed, on_chain) in enumerate(zip(balances, facts.balances, strict=True)):
        if computed != on_chain:
            raise Difference(f"lane {member}", f"holds {on_chain}, the statements give {computed}")
    if (supplier, grid) != (facts.supplier, facts.grid_operator):
        raise Difference("wide lanes", "hold something else than the statements give")
    in_lanes = sum(balances) + supplier + grid
    if facts.wallets.get(facts.settlement, 0) < in_lanes:
        raise Difference("settlement contract", f"holds less than its lanes, {in_lanes}")
    if sum(facts.wallets.values()) != facts.token_supply:
        raise Difference("token", f"supply {facts.token_supply} is not the sum of all balances")
    _require_backed(community, facts, free)


def _require_backed(
    community: Community, facts: ChainFacts, free: Mapping[tuple[bytes, int], int]
) -> None:
    """Tokens are what the leaves left free, all of it and once; what is retired was a token."""
    claimed: Counter[tuple[bytes, int]] = Counter()
    for claim in facts.claims:
        if claim.duration != community.interval_s:
            place = _units_of("claim", claim.meter, claim.start)
            raise Difference(place, f"is for {claim.duration} s, which is no interval of ours")
        claimed[claim.meter, claim.start] += claim.wh
    for (meter, start), wh in claimed.items():
        if wh != free.get((meter, start), 0):
            place = _units_of("claim", meter, start)
            raise Difference(place, f"{wh} Wh became tokens, which is not what was free")
    retired: Counter[tuple[bytes, int]] = Counter()
    for retirement in facts.retirements:
        retired[retirement.meter, retirement.start] += retirement.wh
    for (meter, start), wh in retired.items():
        if wh > claimed[meter, start]:
            place = _units_of("retirement", meter, start)
            raise Difference(place, f"{wh} Wh are retired, more than became tokens")


def _units_of(what: str, meter: bytes, start: int) -> str:
    when = time_text(start) if 0 <= start < TIME_MAX else str(start)
    return f"{what} of meter {meter.hex()} at {when}"


def require_registers(
    community: Community, state: State, energy: Mapping[int, tuple[int, int]]
) -> None:
    """Raise `Difference` unless each member's intervals add up to its registers' difference."""
    sums: dict[int, tuple[int, int]] = {}
    for registration in community.registrations:
        if registration.role is not Role.GRID:
            continue
        opening = registration.opening_record
        last = state.standings[registration.meter].record
        taken = last.import_mwh // MWH_PER_WH - opening.import_mwh // MWH_PER_WH
        given = last.export_mwh // MWH_PER_WH - opening.export_mwh // MWH_PER_WH
        before = sums.get(registration.member, (0, 0))
        sums[registration.member] = before[0] + taken, before[1] + given
    for member, registers in sums.items():
        counted = energy.get(member, (0, 0))
        if counted != registers:
            what = f"intervals add up to {counted} Wh, its registers to {registers}"
            raise Difference(f"member {member}", what)

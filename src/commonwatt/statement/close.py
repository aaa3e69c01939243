"""Closing one interval: a pure function, the same bytes on every machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from struct import Struct

from commonwatt.certificate.home import Lots, Storage
from commonwatt.certificate.issue import Certified, certify
from commonwatt.certificate.late import late_units
from commonwatt.certificate.owed import Owed, owed_after
from commonwatt.errors import require
from commonwatt.market.book import Book, Limits, Tariff, Trade
from commonwatt.market.clearing import clear, tariff_at
from commonwatt.merkle import Tree
from commonwatt.meter.acceptance import (
    Accepted,
    Gate,
    Late,
    Refused,
    Standing,
    in_order,
    opening_standing,
    standing_after,
)
from commonwatt.quantity import Interval
from commonwatt.settlement.account import Funds, Settled, settle
from commonwatt.settlement.adjustment import (
    ADJUSTABLE_MAX,
    Adjustment,
    Prices,
    SupplierPrices,
    adjustments,
    dues,
)
from commonwatt.settlement.energy import net_energy
from commonwatt.statement.community import Community
from commonwatt.statement.header import HEADER_VERSION, Header, SectionRoot
from commonwatt.statement.leaves import (
    Section,
    adjustment_leaf,
    position_leaf,
    record_leaf,
    salt_of,
    trade_leaf,
)

NO_ANCHOR = bytes(32)
LANES_PER_WORD, LANE_BITS, LANE_BIAS = 6, 42, 2**40
_LIMITS = Struct(">QQ")
_LENGTHS = Struct(">II")


@dataclass(frozen=True, slots=True)
class State:
    """What one close hands to the next."""

    standings: Mapping[bytes, Standing]
    """Each meter's last accepted record, and where some are missing."""
    arrears: tuple[int, ...]
    grid_arrears: int
    previous: bytes
    """Anchor of the statement before."""
    lots: Lots
    """What each battery may still give with certificates."""
    prices: tuple[SupplierPrices, ...] = ()
    """The supplier's in the last closed intervals, oldest first; `ADJUSTABLE_MAX` at most."""
    owed: Owed = field(default_factory=dict)
    """What members owe in certificates since a correction (R10)."""

    def gate(self, ledger: bytes, interval: Interval, now: int) -> Gate:
        """What the community asks of records while an interval is open after this state."""
        return Gate(ledger, interval, now, Prices(interval, self.prices).since)


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that happened in one interval, before anything is concluded from it."""

    interval: Interval
    tariff: Tariff
    accepted: tuple[Accepted, ...]
    """At most one per meter, all ending with the interval."""
    late: tuple[Late, ...]
    """Of intervals before, corrections among them; each is judged before the records of its meter
    that come after it."""
    refused: tuple[Refused, ...]
    limits: tuple[Limits, ...]
    """Standing limit prices by member; empty where the rule needs none."""
    shares: tuple[int, ...]
    """The organiser's for this interval, by member; empty where those in the settings hold."""
    flows: int
    """Deposits and withdrawals that `balances` has seen."""
    balances: tuple[int, ...]
    supplier: int
    """The supplier's lane."""
    salt_key: bytes


@dataclass(frozen=True, slots=True)
class Statement:
    """What was concluded, and its bytes."""

    header: Header
    sections: tuple[tuple[bytes, ...], ...]
    """The leaves, by `Section`."""
    trees: tuple[Tree, ...]
    """Over each section."""
    deltas: tuple[bytes, ...]
    """Changes of the members' lanes, six to a 32-byte word."""
    trades: tuple[Trade, ...]
    adjustments: tuple[Adjustment, ...]
    """By interval and meter."""
    settled: Settled
    certified: Certified
    silent: tuple[bytes, ...]
    """Meters that said nothing."""


def first_state(community: Community) -> State:
    """The state before a community's first close."""
    standings = {r.meter: opening_standing(r) for r in community.registrations}
    return State(standings, (0,) * len(community.accounts), 0, NO_ANCHOR, {})


def close(
    community: Community, constitution: bytes, state: State, inputs: Inputs
) -> tuple[Statement, State]:
    """Conclude one interval: net, clear, settle, certify, state.

    Args:
        community: members, meters, rules.
        constitution: SHA-256 of the community's published constitution.
        state: as the close before left it.
        inputs: the interval's; the order of its records does not matter.

    Raises:
        InvariantBroken: if energy or money would not be conserved.
    """
    interval = inputs.interval
    tariff = tariff_at(community.charter, inputs.tariff, interval.start)
    accepted = sorted(inputs.accepted, key=lambda verdict: verdict.record.meter)
    _require_of_interval(accepted, inputs.late, interval)
    members = len(community.accounts)
    energies = net_energy(members, accepted, community.by_meter)
    book = Book(
        need_wh=tuple(energy.need_wh for energy in energies),
        offer_wh=tuple(energy.offer_wh for energy in energies),
        purse=inputs.balances,
        limits=inputs.limits,
    )
    clearing = clear(community.charter, book, inputs.tariff, interval.start, inputs.shares)
    funds = Funds(inputs.balances, state.arrears, inputs.supplier, state.grid_arrears)
    owed = owed_after(state.owed, inputs.late, community.by_meter)
    units = late_units(inputs.late, community.by_meter, owed)
    adjusted = adjustments(inputs.late, community.by_meter, Prices(interval, state.prices), units)
    settled = settle(energies, clearing, tariff, funds, dues(members, adjusted))
    storage = Storage(state.lots, community.storage_permille)
    certified = certify(accepted, community.by_meter, settled.positions, storage, owed)

    key, start = inputs.salt_key, interval.start
    salts = [salt_of(key, start, Section.POSITIONS, index) for index in range(members)]
    positions = zip(settled.positions, certified.green_wh, salts, strict=True)
    sections = (
        tuple(record_leaf(verdict.signed) for verdict in accepted),
        tuple(position_leaf(position, green, salt) for position, green, salt in positions),
        tuple(trade_leaf(trade, salts) for trade in clearing.trades),
        tuple(
            adjustment_leaf(one, salt_of(key, start, Section.ADJUSTMENTS, index))
            for index, one in enumerate(adjusted)
        ),
        tuple(certificate.encode() for certificate in certified.certificates),
    )
    trees = tuple(Tree(leaves) for leaves in sections)
    roots = [SectionRoot(tree.size, tree.root) for tree in trees]
    deltas = packed_deltas([position.delta for position in settled.positions])
    certificates = certified.certificates
    header = Header(
        version=HEADER_VERSION,
        rule=community.charter.rule.number,
        decimals=community.currency.decimals,
        flags=0,
        ledger=community.chain.ledger,
        retail=tariff.retail,
        feed_in=tariff.feed_in,
        fee_local=tariff.fee_local,
        fee_supplier=tariff.fee_supplier,
        local_price=clearing.price,
        imported_wh=sum(position.imported_wh for position in settled.positions),
        exported_wh=sum(position.exported_wh for position in settled.positions),
        local_wh=sum(trade.wh for trade in clearing.trades),
        issued_wh=sum(certificate.issued_wh for certificate in certificates),
        retired_wh=sum(c.retired_wh + c.stored_wh for c in certificates),
        free_wh=sum(certificate.free_wh for certificate in certificates),
        supplier_in=settled.supplier_in,
        supplier_out=settled.supplier_out,
        grid_in=settled.grid_in,
        members_owe=settled.members_owe,
        supplier_owes=settled.supplier_owes,
        flows=inputs.flows,
        deltas_hash=sha256(b"".join(deltas)).digest(),
        roll=community.roll,
        inputs_hash=inputs_hash(constitution, inputs),
        previous=state.previous,
        records=roots[Section.RECORDS],
        positions=roots[Section.POSITIONS],
        trades=roots[Section.TRADES],
        adjustments=roots[Section.ADJUSTMENTS],
        community=community.chain.settlement,
        start=start,
        duration=interval.duration,
        certificates=roots[Section.CERTIFICATES],
    )
    heard = {verdict.record.meter for verdict in accepted}
    silent = tuple(sorted(meter for meter in community.by_meter if meter not in heard))
    statement = Statement(
        header=header,
        sections=sections,
        trees=trees,
        deltas=deltas,
        trades=clearing.trades,
        adjustments=tuple(adjusted),
        settled=settled,
        certified=certified,
        silent=silent,
    )
    return statement, state_after(state, inputs, statement)


def state_after(state: State, inputs: Inputs, statement: Statement) -> State:
    """What an interval's close hands to the next, given what the one before handed to it."""
    header, settled = statement.header, statement.settled
    prices = (
        *state.prices,
        SupplierPrices(header.retail, header.feed_in, header.fee_supplier),
    )[-ADJUSTABLE_MAX:]
    since = Prices(inputs.interval.next, prices).since
    standings = dict(state.standings)
    counted: list[Accepted | Late] = [*inputs.late, *inputs.accepted]
    for verdict in in_order(counted):
        meter = verdict.record.meter
        standings[meter] = standing_after(standings[meter], verdict, since)
    arrears = tuple(position.arrears_after for position in settled.positions)
    certified, grid_arrears = statement.certified, settled.grid_arrears
    return State(
        standings, arrears, grid_arrears, header.anchor, certified.lots, prices, certified.owed
    )


def _require_of_interval(
    accepted: Sequence[Accepted], late: Sequence[Late], interval: Interval
) -> None:
    meters = {verdict.record.meter for verdict in accepted}
    require("one record per meter and interval", len(meters) == len(accepted), start=interval.start)
    for verdict in accepted:
        ends = verdict.record.time_end == interval.end
        require("records end with the interval", ends, meter=verdict.record.meter.hex())
    for one in late:
        ended = one.record.time_end < interval.end
        require("late records end before", ended, meter=one.record.meter.hex())


def packed_deltas(deltas: Sequence[int]) -> tuple[bytes, ...]:
    """Signed lane changes as the contract takes them: six lanes of 42 bits to a 32-byte word.

    Each lane holds its change + 2**40; lanes nobody has hold a change of zero.
    """
    words = []
    for at in range(0, len(deltas), LANES_PER_WORD):
        lanes = list(deltas[at : at + LANES_PER_WORD])
        lanes += [0] * (LANES_PER_WORD - len(lanes))
        word = 0
        for position, delta in enumerate(lanes):
            require("a lane's change fits", -LANE_BIAS < delta < LANE_BIAS, delta=delta)
            word |= (delta + LANE_BIAS) << (LANE_BITS * position)
        words.append(word.to_bytes(32))
    return tuple(words)


def inputs_hash(constitution: bytes, inputs: Inputs) -> bytes:
    """SHA-256 over what no section shows: constitution, fee, limits, shares, supplier, refusals.

    The supplier's grid fee outside all hours is in it because the header has the interval's own,
    rounded. The refused records, and those that were released, are in it so that an operator cannot
    change the quarantine afterwards.
    """
    digest = sha256(constitution)
    digest.update(inputs.tariff.fee_supplier.to_bytes(8))
    digest.update(len(inputs.limits).to_bytes(4))
    for limits in inputs.limits:
        digest.update(_LIMITS.pack(*limits))
    digest.update(len(inputs.shares).to_bytes(4))
    for share in inputs.shares:
        digest.update(share.to_bytes(8))
    digest.update(inputs.supplier.to_bytes(16))
    for refused in inputs.refused:
        record, signature = refused.signed
        # Unreadable ones have any length, so each says where its record ends.
        lengths = _LENGTHS.pack(len(record), len(signature))
        entry = lengths + record + signature + refused.reason.name.encode()
        digest.update(sha256(entry).digest())
    counted: list[Accepted | Late] = [*inputs.accepted, *inputs.late]
    for released in sorted(verdict.digest for verdict in counted if verdict.released):
        digest.update(b"released" + released)
    return digest.digest()

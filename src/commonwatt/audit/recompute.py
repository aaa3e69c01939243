"""The audit itself: one day after another, every interval closed again and compared."""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby

from commonwatt.audit.chain import (
    Lanes,
    closed_days,
    require_flows,
    require_registered,
    require_registers,
    require_settled,
)
from commonwatt.audit.difference import Difference, header_difference
from commonwatt.audit.facts import ChainFacts
from commonwatt.audit.past import Past
from commonwatt.audit.published import (
    Files,
    Published,
    decode,
    intervals_of,
    read_community,
)
from commonwatt.errors import CommonwattError
from commonwatt.market.book import Limits, Tariff
from commonwatt.meter.acceptance import (
    Accepted,
    Gate,
    Late,
    Reason,
    Refused,
    Standing,
    in_order,
    standing_after,
)
from commonwatt.meter.correction import judge_counted
from commonwatt.meter.record import SignedRecord
from commonwatt.meter.refusal import Moment, reasons_at
from commonwatt.meter.registration import Role
from commonwatt.quantity import Interval
from commonwatt.statement.close import Inputs, Statement, close, first_state
from commonwatt.statement.community import Community
from commonwatt.statement.header import Header, HeaderUnreadable
from commonwatt.statement.publication import (
    CONSTITUTION_PATH,
    MARKET_PATH,
    REGISTER_PATH,
    HeaderLine,
    Line,
    book_days_of,
    book_path,
    constitution_bytes,
    inputs_path,
    lines_of,
    paths_of,
)

_UNUSABLE = (CommonwattError, ValueError, LookupError, ArithmeticError, struct.error)
"""What published numbers and texts can raise that no honest statement holds."""
_END_OF_TIME = 2**64
"""Later than any record can say."""

Witness = Callable[[Inputs, Statement], None]
"""Sees each interval as the audit concluded it."""


@dataclass(slots=True)
class Audit:
    """What an audit found."""

    difference: str | None = None
    """The first difference, or None: everything follows from the records."""
    place: str | None = None
    intervals: int = 0
    records: int = 0
    refused: int = 0
    paid_total: int = 0
    """Units that lanes gained, over all intervals."""
    last_anchor: bytes = bytes(32)
    free: dict[tuple[bytes, int], int] = field(default_factory=dict)
    """Free units by (meter, interval start)."""
    energy: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By member: Wh taken and given, summed over all intervals."""

    @property
    def verdict(self) -> str:
        """`ok`, or the first difference."""
        return self.difference or "ok"


def audit(files: Files, facts: ChainFacts, witness: Witness = lambda *_: None) -> Audit:
    """Recompute everything published and compare it with the files and the chain.

    Args:
        files: what was published.
        facts: what the chain says.
        witness: is shown each interval once it has been found to agree.

    Raises:
        NothingPublished: where there is nothing to audit.
    """
    found = Audit()
    try:
        _audit(files, facts, found, witness)
    except Difference as difference:
        found.difference, found.place = str(difference), difference.place
    return found


def _audit(files: Files, facts: ChainFacts, found: Audit, witness: Witness) -> None:
    community = read_community(files)
    require_registered(community, facts)
    require_flows(community, facts)
    days = closed_days(facts)
    _require_no_stranger(files, community, days)
    again = _Recomputation(files, community, Lanes(facts), found, witness)
    for day in days:
        again.conclude(day)
    require_settled(community, again.lanes, facts, found.free)
    require_registers(community, again.state, found.energy)


class _Recomputation:
    """A community's intervals, closed again one after another."""

    def __init__(
        self, files: Files, community: Community, lanes: Lanes, found: Audit, witness: Witness
    ) -> None:
        self._files, self._community, self.lanes = files, community, lanes
        self._found, self._witness = found, witness
        self._constitution = sha256(constitution_bytes(community)).digest()
        self.state = first_state(community)

    def conclude(self, day: str) -> None:
        """Close one day's intervals again and compare every line published about them."""
        comparison = _Comparison(self._files)
        path = inputs_path(day)
        lines = self._files.lines(path)
        for place, published in intervals_of(lines, path, lambda: self.lanes.upcoming(path)):
            self._conclude(published, comparison, place)
        comparison.require_exhausted(day)
        if self.lanes.open_on(day):
            raise Difference(f"{day}, inputs", "the chain closed more intervals than are published")

    def _conclude(self, published: Published, comparison: "_Comparison", place: str) -> None:
        community = self._community
        expected = community.first_start + self._found.intervals * community.interval_s
        if published.first.start != expected:
            what = f"starts at {published.first.start}, the next interval is that at {expected}"
            raise Difference(f"{place}, inputs", what)
        inputs = self._inputs_of(published, place)
        try:
            statement, after = close(community, self._constitution, self.state, inputs)
        except _UNUSABLE as error:
            raise Difference(f"{place}, inputs", f"cannot be closed: {error}") from None
        anchored = self.lanes.next_close(place)
        comparison.compare(lines_of(community, inputs, statement, anchored.transaction))
        header = statement.header
        if (anchored.start, anchored.duration) != (header.start, header.duration):
            raise Difference(f"{place}, header", "the chain closed another interval here")
        if anchored.anchor != header.anchor:
            said = anchored.anchor.hex()[:24]
            raise Difference(f"{place}, header", f"the chain's anchor is {said}…, not this one's")
        self.state = after
        self.lanes.settle(statement)
        _count(self._found, inputs, statement, community)
        self._witness(inputs, statement)

    def _inputs_of(self, published: Published, place: str) -> Inputs:
        """The inputs of a close, each record judged again."""
        first = published.first
        try:
            interval = Interval(first.start, self._community.interval_s)
            tariff = Tariff(*first.tariff)
            salt_key = bytes.fromhex(first.salt_key)
            refused = tuple(
                Refused(
                    SignedRecord(bytes.fromhex(line.refused), bytes.fromhex(line.signature)),
                    Reason[line.reason],
                )
                for line in published.refused
            )
        except _UNUSABLE as error:
            what = f"not what a close could start from: {error}"
            raise Difference(f"{place}, inputs", what) from None
        accepted, late = self._counted(published, interval, place)
        self._require_refusable(refused, [*late, *accepted], interval, place)
        balances, supplier = self.lanes.before_close(first.flows, place)
        return Inputs(
            interval=interval,
            tariff=tariff,
            accepted=accepted,
            late=late,
            refused=refused,
            limits=tuple(Limits(*pair) for pair in first.limits),
            shares=first.shares,
            flows=first.flows,
            balances=balances,
            supplier=supplier,
            salt_key=salt_key,
        )

    def _gate(self, interval: Interval, now: int) -> Gate:
        return self.state.gate(self._community.chain.ledger, interval, now)

    def _counted(
        self, published: Published, interval: Interval, place: str
    ) -> tuple[tuple[Accepted, ...], tuple[Late, ...]]:
        """The interval's records and those of intervals before, each judged again in its order."""
        accepted: list[Accepted] = []
        late: list[Late] = []
        places = {one.record: f"{place}, late record {n}" for n, one in enumerate(published.late)}
        leaves = enumerate(published.records)
        in_time = {one.record: f"{place}, records, leaf {n}" for n, one in leaves}
        for verdict in judge_counted(
            (*published.late, *published.records),
            self._community.by_meter,
            self.state.standings,
            self._gate(interval, interval.end),
            Past(self._files, interval, until=interval),
            released=published.released,
        ):
            record = verdict.signed.record
            where = in_time.get(record) or places[record]
            if isinstance(verdict, Refused):
                raise Difference(where, f"refused: {verdict.reason.name}, {verdict.reason.value}")
            if isinstance(verdict, Late) and record not in in_time:
                late.append(verdict)
            elif (
                isinstance(verdict, Accepted)
                and record in in_time
                and verdict.record.time_end == interval.end
            ):
                accepted.append(verdict)
            else:
                raise Difference(where, "counted twice, or of another interval")
        return tuple(accepted), tuple(late)

    def _require_refusable(
        self,
        refused: Sequence[Refused],
        counted: Sequence[Accepted | Late],
        interval: Interval,
        place: str,
    ) -> None:
        """No record must have been refused for a rule that it does not break.

        It came before or after what its meter's records of the interval changed, so before or after
        all of that the reason given must hold. Only whether it lay in the future when it came is
        believed.
        """
        after: dict[bytes, Standing] = {}
        for verdict in in_order(counted):
            meter = verdict.record.meter
            after[meter] = standing_after(after.get(meter) or self.state.standings[meter], verdict)
        pasts = [Past(self._files, interval, until) for until in (interval.before, interval)]
        for index, entry in enumerate(refused):
            signed = entry.signed
            registration = self._community.by_meter.get(signed.meter)
            believed = entry.reason is Reason.IN_THE_FUTURE
            gate = self._gate(interval, 0 if believed else _END_OF_TIME)
            before = self.state.standings.get(signed.meter)
            known = zip((before, after.get(signed.meter, before)), pasts, strict=True)
            reasons = reasons_at(signed, registration, gate, map(Moment._make, known))
            if entry.reason not in reasons:
                what = f"refused as {entry.reason.name}, which it is not"
                raise Difference(f"{place}, refused record {index}", what)


def _count(found: Audit, inputs: Inputs, statement: Statement, community: Community) -> None:
    found.intervals += 1
    found.records += len(inputs.accepted) + len(inputs.late)
    found.refused += len(inputs.refused)
    found.last_anchor = statement.header.anchor
    settled = statement.settled
    changes = [p.delta for p in settled.positions]
    changes += [settled.supplier_in - settled.supplier_out, settled.grid_in]
    found.paid_total += sum(change for change in changes if change > 0)
    for certificate in statement.certified.certificates:
        found.free[certificate.meter, inputs.interval.start] = certificate.free_wh
    counted = [(p.member, p.imported_wh, p.exported_wh) for p in settled.positions]
    for late in inputs.late:
        registration = community.by_meter[late.record.meter]
        # What was counted before, in a lump, was only moved.
        if registration.role is Role.GRID and late.counted_until is None:
            counted.append((registration.member, late.import_wh, late.export_wh))
    for member, import_wh, export_wh in counted:
        taken, given = found.energy.get(member, (0, 0))
        found.energy[member] = taken + import_wh, given + export_wh


def _require_no_stranger(files: Files, community: Community, days: list[str]) -> None:
    """Every file is one that the statements call for, and all of those are there."""
    expected = {CONSTITUTION_PATH, REGISTER_PATH, MARKET_PATH}
    for day in days:
        expected |= paths_of(day, len(community.accounts))
    present = files.paths()
    expected |= {book_path(day) for day in book_days_of(present)}
    for path in sorted(expected - present):
        raise Difference(path, "is missing")
    for path in sorted(present - expected):
        raise Difference(path, "does not belong to these statements")


class _Comparison:
    """Reads several files side by side and compares them with the lines they should have."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._open: dict[str, Iterator[bytes]] = {}

    def compare(self, lines: Iterator[Line]) -> None:
        """Compare the next lines of each file named; raises `Difference` at the first."""
        for path, group in groupby(lines, key=lambda line: line.path):
            published = self._open.get(path)
            if published is None:
                published = self._open[path] = self._files.lines(path)
            for line in group:
                text = next(published, b"")
                if text != line.text + b"\n":
                    raise Difference(line.place, _what_differs(path, text, line.text))

    def require_exhausted(self, day: str) -> None:
        """Raise `Difference` if any file goes on where the statements end."""
        for path, published in self._open.items():
            if next(published, b""):
                raise Difference(f"{day}, {path}", "goes on after the last interval")


def _what_differs(path: str, published: bytes, recomputed: bytes) -> str:
    if not published:
        return f"{path} ends before it"
    if path.startswith("public/"):
        return _what_differs_in_header(path, published, recomputed)
    return f"{path} says something else than the records"


def _what_differs_in_header(path: str, published: bytes, recomputed: bytes) -> str:
    try:
        said = decode(HeaderLine, published, "header")
        header = Header.decode(bytes.fromhex(said.header))
    except (Difference, HeaderUnreadable, ValueError):
        return f"{path} is not readable here"
    again = decode(HeaderLine, recomputed, "header")
    if said.header != again.header:
        return header_difference(header, Header.decode(bytes.fromhex(again.header)))
    for name in ("anchor", "transaction"):
        if getattr(said, name) != getattr(again, name):
            return f"{name} is published as {getattr(said, name)}, it is {getattr(again, name)}"
    return f"{path} is written differently here"

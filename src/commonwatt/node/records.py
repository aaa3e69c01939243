"""One community's records on their way into statements: judged, kept, and counted in order.

Records are judged when they come, against all that was acknowledged before. When an interval is
concluded, those that it counts are judged once more as if they had come in order, so that whoever
only sees what was published finds the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from commonwatt.errors import require
from commonwatt.meter.acceptance import (
    Accepted,
    Duplicate,
    Gate,
    Late,
    Reason,
    Refused,
    Standing,
    Verdict,
    in_order,
    judge,
    judge_batch,
    order_of,
    standing_after,
)
from commonwatt.meter.correction import is_correction, judge_correction, judge_counted
from commonwatt.meter.record import Record, SignedRecord
from commonwatt.meter.refusal import Moment, reasons_at
from commonwatt.node.store import Database
from commonwatt.node.store.history import KeptHistory
from commonwatt.quantity import TIME_MAX, Interval
from commonwatt.statement.close import State, first_state
from commonwatt.statement.community import Community

_V = TypeVar("_V", Accepted, Late)


class Records:
    """Those of the open interval, of later ones, and late ones of intervals before."""

    def __init__(self, community: Community, database: Database, now: Callable[[], int]) -> None:
        """None yet, where the community starts.

        Args:
            community: members and meters.
            database: this community's memory.
            now: UTC seconds.
        """
        self._community, self._database, self._now = community, database, now
        self.interval = Interval(community.first_start, community.interval_s)
        """The open interval."""
        self._state = first_state(community)
        """As the interval before left it."""
        self._standings: dict[bytes, Standing] = dict(self._state.standings)
        """With everything acknowledged."""
        self._accepted: dict[int, dict[bytes, Accepted]] = {}
        """Records of the open interval and later ones, by end and meter."""
        self._out_of_order: set[bytes] = set()
        """Meters with a record of a later interval that came before one of an earlier interval."""
        self._late: list[Late] = []
        """Records of closed intervals that came while the open one was."""
        self._released: set[bytes] = set()
        """Records that the operator let count."""

    def receive(self, batch: Sequence[SignedRecord]) -> list[Verdict]:
        """Judge records; what is accepted is on the disk on return.

        Most are of the open interval. Those of closed ones count as late, and what they move is
        settled with the open interval. Verdicts come in (meter, sequence) order. A record that was
        accepted before is answered as a duplicate, however long ago, and changes nothing.
        """
        corrections = [signed for signed in batch if is_correction(signed)]
        if not corrections:
            return self._receive_in_order(batch)
        verdicts = self._receive_corrections(corrections)
        rest = [signed for signed in batch if not is_correction(signed)]
        if rest:
            verdicts += self._receive_in_order(rest)
        return sorted(verdicts, key=lambda verdict: order_of(verdict.signed))

    def _receive_corrections(self, batch: Sequence[SignedRecord]) -> list[Verdict]:
        """Each is judged against those before it, which the database knows once they are kept."""
        history, gate = KeptHistory(self._database.scope, self.interval), self._gate(self._now())
        counted: list[Verdict] = []
        others: list[Verdict] = []
        for signed in batch:
            registration = self._community.by_meter.get(signed.meter)
            verdict = judge_correction(signed, registration, gate, history)
            if isinstance(verdict, Late):
                self._keep([verdict])
                counted.append(verdict)
            else:
                others.append(verdict)
        if others:
            # All at once: whoever has no key at all must not cost a write for each.
            self._keep(others)
        return counted + others

    def _receive_in_order(self, batch: Sequence[SignedRecord]) -> list[Verdict]:
        known = self._community.by_meter, self._standings
        verdicts = [
            self._recognise(verdict)
            for verdict in judge_batch(batch, *known, self._gate(self._now()))
        ]
        self._keep(verdicts)
        return verdicts

    def _keep(self, verdicts: Sequence[Verdict]) -> None:
        """Put verdicts on the disk, then into memory."""
        accepted = [verdict for verdict in verdicts if isinstance(verdict, Accepted)]
        late = [verdict for verdict in verdicts if isinstance(verdict, Late)]
        ends = {verdict.record.meter: verdict.record.time_end for verdict in accepted}
        refused: dict[int, list[Refused]] = {}
        for verdict in verdicts:
            if isinstance(verdict, Refused):
                start = self._told_with(verdict, ends.get(verdict.signed.meter, 0))
                refused.setdefault(start, []).append(verdict)
        open_start = self.interval.start
        if late:
            self._database.acknowledge_late(open_start, late)
        now = refused.pop(open_start, [])
        if accepted or now or not (late or refused):
            self._database.acknowledge(open_start, accepted, now)
        for start, later in refused.items():
            self._database.acknowledge(start, [], later)
        self._take(verdicts)

    def _told_with(self, refused: Refused, end: int) -> int:
        """Start of the interval with which a refusal is published: the open one mostly.

        Where its meter's records of later intervals came early, the last of them at `end` with the
        same batch, it was judged against these, and only with the last can others see why.
        """
        last = self._standings.get(refused.signed.meter)
        if last is not None:
            end = max(end, last.record.time_end)
        return self._ending(max(end, self.interval.end)).start

    def release(self, number: int, signed: SignedRecord) -> Verdict:
        """Let a refused record count after all, if nothing but its rated power is against it.

        Args:
            number: of the refusal.
            signed: its record.

        Returns:
            The verdict; durable if it counts. Refused again, it stays where it was.
        """
        verdict = self._judged_released(signed)
        start = self.interval.start
        if isinstance(verdict, Late):
            self._database.acknowledge_late(start, [verdict], readmitted=[number])
        elif isinstance(verdict, Accepted):
            self._database.acknowledge(start, [verdict], [], readmitted=[number])
        else:
            return verdict
        self._released.add(signed.record)
        self._take([verdict])
        return verdict

    def _judged_released(self, signed: SignedRecord) -> Verdict:
        gate = self._gate(self._now())
        registration = self._community.by_meter.get(signed.meter)
        if is_correction(signed):
            history = KeptHistory(self._database.scope, self.interval)
            return judge_correction(signed, registration, gate, history, released=True)
        last = self._standings.get(signed.meter)
        return self._recognise(judge(signed, registration, last, gate, released=True))

    @property
    def silent(self) -> list[bytes]:
        """Meters that have not spoken for the open interval."""
        heard = self._accepted.get(self.interval.end, {})
        return [meter for meter in self._community.by_meter if meter not in heard]

    @property
    def is_complete(self) -> bool:
        """Whether every meter has spoken for the open interval; where there is none, none has."""
        heard, meters = self._accepted.get(self.interval.end, ()), self._community.by_meter
        return bool(meters) and len(heard) == len(meters)

    def counted(self) -> tuple[tuple[Accepted, ...], tuple[Late, ...]]:
        """The open interval's records and the late ones, judged as if they had come in order.

        A late record that came after its meter's next one changes what that one counts.
        """
        accepted = self._accepted.get(self.interval.end, {})
        if not self._late:
            return tuple(accepted.values()), ()
        meters = {verdict.record.meter for verdict in self._late}
        mine = [verdict.signed for verdict in self._late]
        mine += [verdict.signed for meter, verdict in accepted.items() if meter in meters]
        again = self._judged(mine, self._state.standings, self.interval)
        others = [verdict for meter, verdict in accepted.items() if meter not in meters]
        return (*others, *_of(again, Accepted)), _of(again, Late)

    def refused(self, accepted: Sequence[Accepted], late: Sequence[Late]) -> tuple[Refused, ...]:
        """What was refused while the interval was open, given what it counts.

        Amid late records and corrections of a meter others are refused for reasons that only hold
        there; what is published are reasons that hold before or after all of them.
        """
        before = {one.record.meter: self._state.standings[one.record.meter] for one in late}
        after = dict(before)
        counted: list[Accepted | Late] = [*late, *accepted]
        for verdict in in_order(counted):
            if (meter := verdict.record.meter) in after:
                after[meter] = standing_after(after[meter], verdict)
        now, gate = self.interval, self._gate(TIME_MAX)
        histories = [KeptHistory(self._database.scope, now, until) for until in (now.before, now)]
        found = []
        for refused in self._database.refusals(self.interval.start):
            signed, meter = refused.signed, refused.signed.meter
            if meter in after and refused.reason is not Reason.IN_THE_FUTURE:
                known = zip((before[meter], after[meter]), histories, strict=True)
                registration = self._community.by_meter[meter]
                reasons = reasons_at(signed, registration, gate, map(Moment._make, known))
                is_told = not reasons or refused.reason in reasons
                found.append(refused if is_told else Refused(signed, reasons[-1]))
            else:
                found.append(refused)
        return tuple(found)

    def advance(self, after: State) -> None:
        """Open the next interval, which starts from a state."""
        self._state = after
        self._accepted.pop(self.interval.end, None)
        self.interval = self.interval.next
        late, self._late = self._late, []
        self._standings = dict(after.standings)
        early, self._accepted = self._accepted, {}
        meters = {verdict.record.meter for verdict in late} | self._out_of_order
        self._out_of_order = set()
        for end, verdicts in sorted(early.items()):
            mine = [v.signed for meter, v in verdicts.items() if meter in meters]
            others = [verdict for meter, verdict in verdicts.items() if meter not in meters]
            self._take((*others, *self._judged(mine, self._standings, self._ending(end))))

    def start_from(self, start: int, state: State) -> None:
        """Go back to where a state was handed to the interval at `start`; no record is counted."""
        self._state = state
        self._standings = dict(state.standings)
        self.interval = Interval(start, self._community.interval_s)

    def recall_released(self) -> None:
        """Find out which records the operator let count: before any is recalled."""
        self._released = self._database.released()

    def recall_open(self) -> None:
        """Take the open interval's acknowledged records again from the database."""
        self._take(self._judged_again(self.interval))

    def recall_early(self) -> None:
        """Take those of later intervals again, too."""
        for time_end in self._database.time_ends(self.interval.next.end):
            self._take(self._judged_again(self._ending(time_end)))

    def _gate(self, now: int) -> Gate:
        return self._state.gate(self._community.chain.ledger, self.interval, now)

    def _recognise(self, verdict: Verdict) -> Verdict:
        """Tell the replay of an older record apart from a second record under its number."""
        if not isinstance(verdict, Refused) or verdict.reason is not Reason.SEQUENCE_USED:
            return verdict
        record = Record.decode(verdict.signed.record)
        known = record.time_end < TIME_MAX and self._database.is_acknowledged(
            record.time_end, record.meter, verdict.signed.record
        )
        if known:
            return Duplicate(verdict.signed)
        return verdict

    def _take(self, verdicts: Iterable[Verdict]) -> None:
        """Keep verdicts by the interval they end with: some come while an earlier one is open."""
        for verdict in verdicts:
            if not isinstance(verdict, Accepted | Late):
                continue
            meter = verdict.record.meter
            if isinstance(verdict, Late):
                self._late.append(verdict)
            else:
                self._accepted.setdefault(verdict.record.time_end, {})[meter] = verdict
            last = self._standings[meter]
            self._standings[meter] = standing_after(last, verdict)
            if isinstance(verdict, Accepted) and self._standings[meter].digest == last.digest:
                # What a later record counted included this one's energy.
                self._out_of_order.add(meter)

    def _judged(
        self,
        records: Sequence[SignedRecord],
        standings: Mapping[bytes, Standing],
        interval: Interval,
    ) -> list[Verdict]:
        """Acknowledged records, judged again; each must still be acceptable."""
        gate = self._state.gate(self._community.chain.ledger, interval, TIME_MAX)
        history = KeptHistory(self._database.scope, interval, until=interval)
        known = self._community.by_meter, standings
        verdicts = judge_counted(records, *known, gate, history, released=self._released)
        kept = all(isinstance(verdict, Accepted | Late) for verdict in verdicts)
        require("acknowledged records stay acceptable", kept, interval=interval.start_text)
        return verdicts

    def _judged_again(self, interval: Interval) -> list[Verdict]:
        """The acknowledged records that belong to an interval, late ones among them."""
        records = [
            *self._database.late_records(interval.start),
            *self._database.records(interval.end),
        ]
        return self._judged(records, self._standings, interval)

    def _ending(self, end: int) -> Interval:
        return Interval(end - self.interval.duration, self.interval.duration)


def _of(verdicts: Iterable[Verdict], kind: type[_V]) -> tuple[_V, ...]:
    return tuple(verdict for verdict in verdicts if isinstance(verdict, kind))

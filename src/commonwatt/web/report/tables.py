"""The tables behind the charts and the bills: numbers as exact strings, one row per point."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from commonwatt.web.report import charts, exact
from commonwatt.web.report.data import MemberLine, ReportData
from commonwatt.web.report.figures import Figures, saving, series
from commonwatt.web.report.grouping import DAY_S, Grouping
from commonwatt.web.report.phrases import Phrases


@dataclass(frozen=True, slots=True)
class Table:
    """A plain table: the first cell of a row is its heading."""

    caption: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    foot: tuple[str, ...] = ()
    """Totals, or nothing."""


@dataclass(frozen=True, slots=True)
class Bill:
    """One participant's line of the table of bills."""

    member: MemberLine
    kind: str
    saving: int
    """Ledger units."""
    bars: Markup


@dataclass(frozen=True, slots=True)
class Tables:
    """Makes the tables of one run in one language."""

    data: ReportData
    figures: Figures
    grouping: Grouping
    phrases: Phrases

    def energy(self, names: Sequence[str], caption: str) -> Table:
        """Energy by source or sink, in kWh, with its total."""
        columns = [self.grouping.sums(series(self.data, name)) for name in names]
        sums = [*columns, tuple(sum(row) for row in zip(*columns, strict=True))]
        head = (*names, "total")
        return self._over_time(caption, head, sums)

    def certificates(self, caption: str) -> Table:
        """Certificates issued, used, stored and free, in kWh."""
        sums = [
            self.grouping.sums(values)
            for values in (
                self.data.certificates_issued_wh,
                self.data.certificates_retired_wh,
                self.data.certificates_stored_wh,
                self.data.certificates_free_wh,
            )
        ]
        return self._over_time(caption, ("issued", "retired", "stored", "free"), sums)

    def prices(self, caption: str) -> Table:
        """The local price of each point; where intervals were put together, its range."""
        say, data = self.phrases.say, self.data
        single = self.grouping.span_s == data.interval_s
        heads = ("price_local",) if single else ("price_low", "price_high")
        rows = []
        for time, bucket in zip(self._times(), self.grouping.buckets, strict=True):
            traded = [p for p in data.local_price[bucket.first : bucket.stop] if p]
            cells = [exact.ABSENT, exact.ABSENT]
            if traded:
                ends = (min(traded), max(traded))
                cells = [exact.price(p, data.decimals, data.currency) for p in ends]
            rows.append((time, *cells[: len(heads)]))
        return Table(caption, (say("time"), *(say(head) for head in heads)), rows)

    def producers(self) -> Table:
        """Certificates of every participant that was issued any, in kWh."""
        say = self.phrases.say
        heads = ("issued", "retired", "stored", "free")
        fields = [f"certificates_{head}_wh" for head in heads]
        members = [member for member in self.data.members if member.certificates_issued_wh]
        return Table(
            say("certificates_producers"),
            (say("producer"), *(say(head) for head in heads)),
            [(m.name, *(exact.kwh(getattr(m, field)) for field in fields)) for m in members],
            (say("total"), *(exact.kwh(self.total(field)) for field in fields)),
        )

    def speed(self) -> Table:
        """Seconds until paid: waiting and work."""
        say, payment = self.phrases.say, self.figures.payment
        heads = ("speed_grace", "speed_work", "speed_paid")
        rows = []
        if payment is not None:
            grace = self.data.grace_s
            rows = [
                (say(label), f"{grace:,}", f"{total - grace:,.3f}", f"{total:,.3f}")
                for label, total in (
                    ("speed_half", payment.half),
                    ("speed_most", payment.most),
                    ("speed_worst", payment.worst),
                )
            ]
        return Table(say("speed_table"), ("", *(say(head) for head in heads)), rows)

    def bills(self) -> list[Bill]:
        """The bills of all participants, in their order, with bars on one common scale."""
        amounts = [a for m in self.data.members for a in (m.bill_with, m.bill_without)]
        low, high = min(0, *amounts, 0), max(0, *amounts, 0)
        return [
            Bill(
                member,
                self.phrases.kind(member.kind),
                saving(member),
                charts.bars(member.bill_without, member.bill_with, low, high),
            )
            for member in self.data.members
        ]

    def total(self, field: str) -> int:
        """A field of `MemberLine` summed over all participants."""
        values: list[int] = [getattr(member, field) for member in self.data.members]
        return sum(values)

    def _over_time(
        self, caption: str, heads: Sequence[str], columns: Sequence[Sequence[int]]
    ) -> Table:
        say = self.phrases.say
        lines = zip(self._times(), *columns, strict=True)
        return Table(
            caption,
            (say("time"), *(say(head) for head in heads)),
            [(time, *(exact.kwh(wh) for wh in whs)) for time, *whs in lines],
            (say("all"), *(exact.kwh(sum(column)) for column in columns)),
        )

    def _times(self) -> list[str]:
        buckets = self.grouping.buckets
        dated = bool(buckets) and buckets[-1].end - buckets[0].start > DAY_S
        if dated and self.grouping.span_s % DAY_S == 0:
            return [self.phrases.day(b.start, short=True) for b in buckets]
        return [self.phrases.moment(b.start, dated=dated) for b in buckets]

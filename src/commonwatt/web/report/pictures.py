"""The charts of one run in one language."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup

from commonwatt.quantity import WH_PER_KWH
from commonwatt.web.report import charts, exact
from commonwatt.web.report.charts import Caption, Frame, Level, Mark, Series, Span
from commonwatt.web.report.data import ReportData
from commonwatt.web.report.figures import SINKS, SOURCES, Figures, average_price, series
from commonwatt.web.report.grouping import DAY_S, HOUR_S, Grouping
from commonwatt.web.report.phrases import MINUTE_S, Phrases
from commonwatt.web.report.scale import value_ticks

TODAY_DAYS = (60, 80)
"""How long a producer waits for its money today, from delivery to payment."""

SPEED_MARKS = (
    (1, "mark_second", True),
    (MINUTE_S, "mark_minute", True),
    (HOUR_S, "mark_hour", True),
    (DAY_S, "mark_day", True),
    (10 * DAY_S, "mark_ten_days", False),
    (100 * DAY_S, "mark_hundred_days", True),
)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Draws the charts; those over time need at least one interval."""

    data: ReportData
    figures: Figures
    grouping: Grouping
    phrases: Phrases

    def caption(self, ident: str) -> str:
        """The line above a chart over time: what it shows and in which unit."""
        per = self.phrases.per(self.grouping.span_s)
        return self.phrases.say(f"{ident}_chart", per=per, currency=self.data.currency)

    def energy(self) -> Markup:
        """What was used, by source."""
        return self._stack("energy", SOURCES)

    def surplus(self) -> Markup:
        """What was left, by where it went; drawn on the scale of `energy`."""
        return self._stack("surplus", SINKS)

    def certificates(self) -> Markup:
        """Certificates issued: used for neighbours, put into batteries, and free."""
        retired = self.grouping.sums(self.data.certificates_retired_wh)
        stored = self.grouping.sums(self.data.certificates_stored_wh)
        free = self.grouping.sums(self.data.certificates_free_wh)
        highest = max(map(sum, zip(retired, stored, free, strict=True)))
        values = {
            "issued": exact.kwh(self.figures.issued_wh),
            "retired": exact.kwh(self.figures.retired_wh),
            "stored": exact.kwh(self.figures.stored_wh),
            "free": exact.kwh(self.figures.free_wh),
        }
        frame = self._frame(
            "certificates", value_ticks(highest, WH_PER_KWH), exact.short_kwh, values
        )
        series = (Series("retired", retired), Series("stored", stored), Series("free", free))
        return charts.stacked(frame, series)

    def price(self) -> Markup:
        """The local price between what the supplier pays and asks."""
        data, say = self.data, self.phrases.say
        text = partial(exact.price, decimals=data.decimals, currency=data.currency)
        line = tuple(
            average_price(
                data.local_price[b.first : b.stop], data.from_neighbours_wh[b.first : b.stop]
            )
            for b in self.grouping.buckets
        )
        ticks = value_ticks(max(data.retail, data.feed_in, *line))
        values = {"retail": text(data.retail), "feed_in": text(data.feed_in)}
        frame = self._frame("price", ticks, text, values | {"currency": data.currency})
        levels = (
            Level("retail", data.retail, say("level_retail", price=values["retail"])),
            Level(
                "feed-in", data.feed_in, say("level_feed_in", price=values["feed_in"]), below=True
            ),
        )
        return charts.stepped(frame, Series("local", line), levels, (data.feed_in, data.retail))

    def speed(self) -> Markup:
        """How long a seller waits, here and today; empty if nothing was closed."""
        payment, say = self.figures.payment, self.phrases.say
        if payment is None:
            return Markup()
        here = self.phrases.lasting(payment.half)
        most = self.phrases.lasting(payment.most)
        first, last = (days * DAY_S for days in TODAY_DAYS)
        spans = (
            Span("here", payment.half, payment.most, say("speed_here"), here),
            Span("today", first, last, say("speed_today"), say("speed_days")),
        )
        return charts.logarithmic(
            spans,
            [Mark(at, say(key), narrow) for at, key, narrow in SPEED_MARKS],
            Caption(
                f"{self.phrases.language}-speed",
                say("speed_chart"),
                say("speed_desc", p50=here, p99=most),
            ),
        )

    def _stack(self, ident: str, names: Sequence[str]) -> Markup:
        stack = [Series(name.replace("_", "-"), self._sums(name)) for name in names]
        values = {name: exact.kwh(self.figures.wh[name]) for name in names}
        values["total"] = exact.kwh(sum(self.figures.wh[name] for name in names))
        # Both stacks share one axis, so that heights can be compared from chart to chart.
        highest = max(self._highest(SOURCES), self._highest(SINKS))
        frame = self._frame(ident, value_ticks(highest, WH_PER_KWH), exact.short_kwh, values)
        return charts.stacked(frame, stack)

    def _frame(
        self,
        ident: str,
        ticks: Sequence[int],
        tick_text: Callable[[int], str],
        values: dict[str, str],
    ) -> Frame:
        return Frame(
            buckets=self.grouping.buckets,
            marks=self.phrases.marks(self.grouping.buckets),
            ticks=ticks,
            tick_text=tick_text,
            caption=Caption(
                f"{self.phrases.language}-{ident}",
                self.caption(ident),
                self.phrases.say(f"{ident}_desc", **values),
            ),
        )

    def _sums(self, name: str) -> tuple[int, ...]:
        return self.grouping.sums(series(self.data, name))

    def _highest(self, names: Sequence[str]) -> int:
        return max(map(sum, zip(*(self._sums(name) for name in names), strict=True)))

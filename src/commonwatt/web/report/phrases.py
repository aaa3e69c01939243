"""Sentences, dates and lengths of time in one language."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from commonwatt.web.report.charts import Mark
from commonwatt.web.report.data import Text
from commonwatt.web.report.grouping import DAY_S, HOUR_S, Bucket
from commonwatt.web.report.scale import time_ticks
from commonwatt.web.report.words import WORDS, Language

MINUTE_S = 60
QUARTER_HOUR_S = 900
SECONDS_SPOKEN_MAX = 600
"""Longer waits are told in minutes."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """Speaks one language about one run."""

    language: Language
    interval_s: int
    utc_offset_s: int

    def say(self, key: str, **values: object) -> str:
        """The sentence `key` with its blanks filled; `{interval}` fills itself.

        Raises:
            KeyError: there is no such sentence, or a blank was left open.
        """
        words = WORDS[self.language]
        sentence = words[key]
        return sentence.format(interval=self._interval(), **values) if "{" in sentence else sentence

    def pick(self, text: Text) -> str:
        """The half of a bilingual text that is in this language."""
        return text.ko if self.language == "ko" else text.en

    def counted(self, key: str, n: int, **values: object) -> str:
        """The sentence `<key>_one` or `<key>_many` for `n` things."""
        return self.say(f"{key}_one" if n == 1 else f"{key}_many", n=f"{n:,}", **values)

    def per(self, span_s: int) -> str:
        """What one point of a chart stands for: `quarter hour`, `2 hours`."""
        if span_s == QUARTER_HOUR_S:
            return self.say("per_quarter_hour")
        for unit_s, one, many in (
            (DAY_S, "per_day", "per_days"),
            (HOUR_S, "per_hour", "per_hours"),
        ):
            if span_s % unit_s == 0:
                n = span_s // unit_s
                return self.say(one) if n == 1 else self.say(many, n=n)
        if span_s % MINUTE_S == 0:
            return self.say("per_minutes", n=span_s // MINUTE_S)
        return self.say("per_seconds", n=span_s)

    def kind(self, codes: str) -> str:
        """The kind of a participant: each code that has a word is said, others stay as they are."""
        words = WORDS[self.language]
        return ", ".join(words.get(f"kind_{code}", code) for code in codes.split("+"))

    def lasting(self, seconds: float, *, short: bool = False) -> str:
        """A wait in words, with one decimal of a second where that is all it takes."""
        unit, n = "seconds", f"{seconds:.1f}".removesuffix(".0")
        if seconds >= SECONDS_SPOKEN_MAX:
            unit, n = "minutes", f"{seconds / MINUTE_S:,.0f}"
        return self.say(f"{unit}_short" if short else unit, n=n)

    def day(self, seconds: int, *, short: bool = False) -> str:
        """The local date of a moment in UTC seconds."""
        return self._day(seconds + self.utc_offset_s, short=short)

    def days(self, start: int, end: int) -> str:
        """The local dates that `[start, end)` touches."""
        first, last = self.day(start), self.day(end - 1)
        return first if first == last else f"{first} \N{EN DASH} {last}"

    def clock(self, seconds: int) -> str:
        """The local time of day of a moment in UTC seconds."""
        return _time_of_day(seconds + self.utc_offset_s)

    def moment(self, seconds: int, *, dated: bool) -> str:
        """The local time of a moment, with its date in a run of several days."""
        clock = self.clock(seconds)
        return f"{self.day(seconds, short=True)}, {clock}" if dated else clock

    def offset(self) -> str:
        """The distance of the local time from UTC, such as `+09:00`."""
        sign = "\N{MINUS SIGN}" if self.utc_offset_s < 0 else "+"
        return sign + _time_of_day(abs(self.utc_offset_s))

    def marks(self, buckets: Sequence[Bucket]) -> tuple[Mark, ...]:
        """Labels for an axis over `buckets`; the midnight that ends the axis is 24:00."""
        start, end = buckets[0].start, buckets[-1].end
        marks = []
        for tick in time_ticks(start, end, self.utc_offset_s):
            label = (
                self._day(tick.local_s, short=True) if tick.in_days else _time_of_day(tick.local_s)
            )
            at_end = tick.at == end and label == "00:00" and tick.at != start
            marks.append(Mark(tick.at, "24:00" if at_end else label, tick.narrow))
        return tuple(marks)

    def _day(self, local_s: int, *, short: bool) -> str:
        date = datetime.fromtimestamp(local_s, UTC)
        months = self.say("months_short" if short else "months").split()
        return self.say(
            "date_short" if short else "date",
            year=date.year,
            month=months[date.month - 1],
            day=date.day,
        )

    def _interval(self) -> str:
        words = WORDS[self.language]
        if self.interval_s == QUARTER_HOUR_S:
            return words["quarter_hour"]
        if self.interval_s % MINUTE_S == 0:
            return words["interval_minutes"].format(n=self.interval_s // MINUTE_S)
        return words["interval_seconds"].format(n=self.interval_s)


def _time_of_day(local_s: int) -> str:
    minutes = local_s % DAY_S // MINUTE_S
    return f"{minutes // MINUTE_S:02}:{minutes % MINUTE_S:02}"

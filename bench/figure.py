"""A figure: what was measured, how much it was, how much it may be."""

import statistics

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table."""

    name: str
    """For programs that read the JSON."""
    what: str
    """For people."""
    unit: str
    runs: tuple[float, ...]
    """Every run, in order: one where the figure is exact, none where the measurement failed."""
    target: float | None = None
    at_least: bool = False
    """Whether the target is the least instead of the most."""
    digits: int = 2
    """Decimals to show."""
    cpu_seconds: float | None = None
    """What taking this figure cost, and those below it without their own: user and system time."""
    failure: str | None = None

    @property
    def value(self) -> float | None:
        """The median of the runs."""
        return statistics.median(self.runs) if self.runs else None

    @property
    def verdict(self) -> str:
        """`ok`, `above` or `below` the target, `failed`, or nothing without a target."""
        value = self.value
        if value is None:
            return "failed"
        if self.target is None:
            return ""
        if self.at_least:
            return "ok" if value >= self.target else "below"
        return "ok" if value <= self.target else "above"


class Section(msgspec.Struct, frozen=True):
    """Figures that belong together."""

    title: str
    figures: tuple[Figure, ...]


def failed(name: str, what: str, why: str) -> Figure:
    """The line of a measurement that did not come to an end."""
    return Figure(name=name, what=what, unit="", runs=(), failure=why)

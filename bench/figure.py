"""A figure: what was measured, how much it was, how much it may be."""

import statistics
from collections.abc import Callable, Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """One line of the table."""

    name: str
    """For programs that read the JSON."""
    what: str
    """For people."""
    unit: str
    value: float | None
    """The median where there are several runs; None if the measurement failed."""
    target: float | None = None
    at_least: bool = False
    """Whether the target is the least instead of the most."""
    runs: tuple[float, ...] = ()
    """Every run, in order; empty where the figure is exact."""
    digits: int = 2
    cpu_seconds: float | None = None
    """What taking this figure and those below it cost, user and system time."""
    failure: str | None = None

    @property
    def verdict(self) -> str:
        """`ok`, `above` or `below` the target, `failed`, or nothing without a target."""
        if self.value is None:
            return "failed"
        if self.target is None:
            return ""
        if self.at_least:
            return "ok" if self.value >= self.target else "below"
        return "ok" if self.value <= self.target else "above"


def median_of(
    runs: Sequence[float], measure: Callable[[float], float] = lambda run: run
) -> dict[str, object]:
    """The `value` and `runs` of a figure that was taken several times."""
    taken = tuple(map(measure, runs))
    return {"value": statistics.median(taken), "runs": taken}


class Section(msgspec.Struct, frozen=True):
    """Figures that belong together."""

    title: str
    figures: tuple[Figure, ...]


def failed(name: str, what: str, why: str) -> Figure:
    """The line of a measurement that did not come to an end."""
    return Figure(name=name, what=what, unit="", value=None, failure=why)

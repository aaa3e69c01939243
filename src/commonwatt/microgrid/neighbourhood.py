"""What stands behind the meters of a neighbourhood: its homes, their energy and their batteries.

A `Home` is one participant at one grid connection: a household, a farm, a shop, a whole
apartment house. What it used and what its roof gave are series of integer milliwatt-hours, one
number per interval.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERMILLE = 1_000

CONNECTION_MARGIN_PERCENT = 125
"""A connection is rated a quarter above what can flow through it at once ..."""
CONNECTION_STEP_W = 1_000
"""... rounded up to whole kilowatts ..."""
CONNECTION_W_MIN = 10_000
"""... and no smaller than the connection of a small house."""


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery behind one home's meter."""

    capacity_wh: int
    """What it can hold."""
    charge_w: int
    """The most it takes in, measured at its meter."""
    discharge_w: int
    """The most it gives back, measured at its meter."""
    efficiency_permille: int
    """Round trip: of 1000 mWh that go in, this many come out again. 1 to 1000."""

    def __post_init__(self) -> None:
        """Refuse a battery that would make energy."""
        if min(self.capacity_wh, self.charge_w, self.discharge_w) < 0:
            message = f"a battery cannot be negative: {self}"
            raise ValueError(message)
        if not 1 <= self.efficiency_permille <= PERMILLE:
            message = f"a battery gives back 1 to 1000 permille: {self}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Home:
    """One participant: everything behind one grid connection."""

    name: str
    """Role-like and unique in its neighbourhood: "Farm 02"."""
    kind: str
    """What it is, in one or two words: "farm"."""
    load_mwh: NDArray[np.int64]
    """What it used, per interval; the battery is not part of it."""
    pv_mwh: NDArray[np.int64] | None
    """What its PV gave, per interval; None without PV."""
    pv_peak_w: int
    """Rated power of its PV; 0 without PV."""
    battery: Battery | None
    """None without one."""
    connection_w: int
    """Rated power of its connection, generous: a meter that counts more cannot be right."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Homes with the same intervals, side by side."""

    name: str
    """Of the scenario or the file."""
    source: str
    """Where the series come from, with the licence: one line to show beside them."""
    interval_s: int
    """Length of an interval in seconds."""
    start: int
    """UTC seconds; start of the first interval."""
    utc_offset_s: int
    """Local time of the series minus UTC, the same all year; for faces only."""
    homes: tuple[Home, ...]
    """In the order of their names' source; at least one."""

    @property
    def intervals(self) -> int:
        """How many intervals every home has."""
        return len(self.homes[0].load_mwh)

    @property
    def end(self) -> int:
        """UTC seconds; the first second after the last interval."""
        return self.start + self.intervals * self.interval_s


def connection_rating(load_w: int, pv_w: int) -> int:
    """Rated power in W of a connection that carries at most `load_w` in and `pv_w` out.

    >>> connection_rating(12_000, 30_600)
    39000
    """
    with_margin = -(-max(load_w, pv_w) * CONNECTION_MARGIN_PERCENT // 100)
    return max(CONNECTION_W_MIN, rounded_up(with_margin, CONNECTION_STEP_W))


def rounded_up(value: int, step: int) -> int:
    """The smallest multiple of `step` that is not below `value`.

    >>> rounded_up(38_250, 1_000)
    39000
    """
    return -(-value // step) * step

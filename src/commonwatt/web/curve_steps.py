"""Orders as lines of steps, and steps as few corners on a plot, however many orders there are.

Floats are fine here: nothing that is counted comes out of this module.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from commonwatt.market.columns import IntColumn

LEFT, RIGHT, TOP, BOTTOM = 88, 836, 136, 476
"""Where the plot lies in the drawing, in pixels."""
GRID = 2
"""Corners lie on halves of a pixel: what is finer cannot be seen."""
CORNERS_MAX = GRID * (BOTTOM - TOP) + 1
"""No line has more corners: it only rises or only falls, so each has a height of its own."""
FAR, NEAR = 8, 4
"""What is more than `FAR` times as far out as the cleared point is cut off at `NEAR` times."""
HEADROOM = 1.06
"""The axes go on a little beyond the last order."""

Corners = NDArray[np.float64]
"""Rows of x and y in pixels: one step, drawn up or down to y and then along to x."""


class Steps(NamedTuple):
    """A line of steps, in the order in which they are drawn."""

    ends: IntColumn
    """Wh at which each step ends, rising from above 0."""
    price: IntColumn
    """Units per Wh, all rising or all falling."""

    @classmethod
    def of(cls, price: IntColumn, wh: IntColumn, *, falling: bool = False) -> "Steps":
        """Orders side by side, cheapest first or, `falling`, dearest first."""
        rows = np.flatnonzero(wh)
        rows = rows[np.argsort(-price[rows] if falling else price[rows], kind="stable")]
        return cls(np.cumsum(wh[rows]), price[rows])

    def between(self, start: int, end: int) -> "Steps":
        """What lies between two amounts of energy."""
        starts = np.concatenate(([0], self.ends[:-1]))
        inside = (self.ends > start) & (starts < end)
        return Steps(np.minimum(self.ends[inside], end), self.price[inside])


def meeting(falling: Steps, rising: Steps) -> int:
    """The Wh from which on the rising line lies above the falling one; its end where it never does.

    >>> from commonwatt.market.columns import column
    >>> bids = Steps(ends=column([5, 9]), price=column([30, 10]))
    >>> offers = Steps(ends=column([7, 9]), price=column([8, 28]))
    >>> meeting(bids, offers)
    7
    """
    ends = np.union1d(falling.ends, rising.ends)
    below, above = (line.price[np.searchsorted(line.ends, ends)] for line in (falling, rising))
    over = np.flatnonzero(above > below)
    return int(ends[-1] if not over.size else ends[over[0] - 1] if over[0] else 0)


@dataclass(frozen=True, slots=True)
class Frame:
    """How far the axes reach, and whether orders go on beyond."""

    wh: float
    wh_cut: bool
    price: float
    price_cut: bool

    @classmethod
    def around(cls, wh: tuple[int, int], price: tuple[int, int]) -> "Frame":
        """Axes that show all there is, unless the cleared point would be lost in a corner.

        Args:
            wh: of the cleared point, and of all orders.
            price: of the cleared point, and the highest there is.
        """
        return cls(*_reach(*wh), *_reach(*price))

    def x(self, wh: Any) -> Any:
        """Where energy lies, in pixels."""
        return _snapped(LEFT + (RIGHT - LEFT) * np.minimum(wh, self.wh) / self.wh)

    def y(self, price: Any) -> Any:
        """Where a price lies, in pixels."""
        return _snapped(BOTTOM - (BOTTOM - TOP) * np.minimum(price, self.price) / self.price)

    def corners(self, steps: Steps, start_wh: int = 0) -> Corners:
        """A line's corners from `start_wh` on, at most `CORNERS_MAX`; none for no steps."""
        if not len(steps.ends):
            return np.zeros((0, 2))
        x, y = self.x(steps.ends), self.y(steps.price)
        start = self.x(start_wh)
        wide = np.diff(x, prepend=start) > 0
        # The first and the last height stay: a step too narrow to be seen may still be a tall one.
        rows: Corners = np.concatenate(
            ([[start, y[0]]], np.column_stack((x, y))[wide], [[x[-1], y[-1]]])
        )
        turns = np.append(np.diff(rows[:, 1]) != 0, [True])
        return np.asarray(rows[turns])


def _reach(near: int, most: int) -> tuple[float, bool]:
    cut = 0 < near * FAR < most
    return HEADROOM * max(near * NEAR if cut else most, 1), cut


def _snapped(pixels: Any) -> Any:
    return np.round(pixels * GRID) / GRID

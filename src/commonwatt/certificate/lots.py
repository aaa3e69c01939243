"""What a storage device gives back of the certificates put into it: the arithmetic (R24, R25).

Each charge is a lot. A discharge draws on the oldest lot first. What comes out beyond all lots has
no certificate behind it; where only a part of a discharge leaves the home, that part is taken to
leave first, so that a certificate stands for energy that is green whichever way one looks at it.
"""

from collections.abc import Sequence

from commonwatt.errors import require


def draw(open_wh: Sequence[int], wanted_wh: int) -> list[int]:
    """R24: how much of each lot a discharge draws, first in, first out.

    Args:
        open_wh: per lot what may still come out of it, oldest first, 0 or more each.
        wanted_wh: what came out of the device, 0 or more.

    Returns:
        Per lot what is drawn; the sum is `wanted_wh`, or all there is where that is less.

    >>> draw([90, 0, 50], 120)
    [90, 0, 30]
    >>> draw([90, 50], 1_000)
    [90, 50]
    """
    drawn, left = [], wanted_wh
    for lot_wh in open_wh:
        drawn.append(min(lot_wh, left))
        left -= drawn[-1]
    return drawn


def given_green_wh(wh: int, given_wh: int, green_wh: int) -> int:
    """R25: of what a discharge gave to the grid, how much certificates are issued for.

    Energy without certificates counts as given first; what the home used of the green part is used
    up and never issued.

    Args:
        wh: all that came out.
        given_wh: of it, what left the home.
        green_wh: of it, what had been put in with certificates, less losses.

    >>> given_green_wh(wh=100, given_wh=60, green_wh=70)
    30
    >>> given_green_wh(wh=100, given_wh=20, green_wh=70)
    0
    """
    require("given within what came out", 0 <= given_wh <= wh, given_wh=given_wh, wh=wh)
    require("green within what came out", 0 <= green_wh <= wh, green_wh=green_wh, wh=wh)
    return max(0, given_wh - (wh - green_wh))

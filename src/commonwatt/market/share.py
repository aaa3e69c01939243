"""Shared energy without prices: who gets how much of what a community has left over.

Own use comes first. What a member then needs or has left over takes part, or a percentage of it
(Austria: a meter in up to five communities). The offers and the community's plant make the pool,
and an allocation key deals it out: never beyond need, to the last Wh.

>>> pool = Pool(
...     produced=np.array([[0, 0, 900]]), used=np.array([[600, 300, 300]]), plant=np.array([0])
... )
>>> shared = share(pool, Key("dynamic"))
>>> shared.own_use.tolist(), shared.allocated.tolist(), shared.from_grid.tolist()
([[0, 0, 300]], [[400, 200, 0]], [[200, 100, 0]])
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from commonwatt.errors import InputError
from commonwatt.market.columns import IntColumn, column
from commonwatt.market.deal import deal
from commonwatt.market.keys import PERCENT_ALL, Key
from commonwatt.market.rows import IntTable

MEMBER_WH_MAX = 10**9
"""No member uses or makes more in one step: a GWh."""
PLANT_WH_MAX = 10**12
"""No plant makes more in one step: what a thousand of the largest members would."""
MEMBERS_MAX = 100_000
_BLOCK_CELLS = 2**16
"""Steps are worked through in blocks of about so many numbers, which stay in the cache."""
_ONLY = np.zeros(1, dtype=np.int64)
"""The row of an interval that stands for itself."""


class PoolUnusable(InputError):
    """Energy that no community can have shared."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """What M members and their plant made and used in T steps, in Wh.

    Columns are a member's name: where a Wh cannot be divided, the lower column gets it. Whoever
    reads members from a file brings them into the order of their ids first.
    """

    produced: IntTable
    """(T, M)"""
    used: IntTable
    """(T, M)"""
    plant: IntColumn
    """(T,) made by a plant that belongs to all and uses nothing."""

    def __post_init__(self) -> None:
        """Refuse what cannot be; raises `PoolUnusable`."""
        made, used, plant = self.produced.shape, self.used.shape, self.plant.shape
        if self.plant.ndim != 1 or not made == used == (*plant, *used[-1:]):
            raise PoolUnusable(
                f"produced {made}, used {used}, plant {plant}: "
                "give a row for each step, a column for each member"
            )
        steps, members = used
        if not steps or not 1 <= members <= MEMBERS_MAX:
            raise PoolUnusable(
                f"{members} members in {steps} steps: use 1 to {MEMBERS_MAX} in 1 or more"
            )
        _require_energy("produced", self.produced, MEMBER_WH_MAX)
        _require_energy("used", self.used, MEMBER_WH_MAX)
        _require_energy("plant", self.plant, PLANT_WH_MAX)


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """Where each Wh went. A row for each step; under `hourly_minimum`, for each hour.

    Each member's use is its own_use + allocated + from_grid. What it made is its own_use + sold,
    and a rest that is the supplier's, or another community's it takes part in. Of that rest, what
    the member brought into the pool is part of the pool's surplus; what its percentage kept out of
    the pool is not.
    """

    own_use: IntTable
    """(T, M) made and used by the same member in the same step."""
    allocated: IntTable
    """(T, M) got from the pool."""
    from_grid: IntTable
    """(T, M) from the supplier, or from other communities the member takes part in."""
    sold: IntTable
    """(T, M) of each member's offer, what was allocated."""
    plant_sold: IntColumn
    """(T,) of the plant's energy, what was allocated."""
    surplus: IntColumn
    """(T,) what was in the pool and was not allocated."""


class Allocation(NamedTuple):
    """One interval's pool, dealt out, in Wh."""

    bought: IntColumn
    """(M,)"""
    sold: IntColumn
    """(M,)"""
    plant_sold: int
    surplus_wh: int
    pairs: tuple[tuple[int, int, int], ...] | None
    """Seller row (M for the plant), buyer row and Wh, in this order; None where the key leaves
    open whose energy a buyer gets."""


def brought_in(wh: IntTable, percent: IntColumn | None) -> IntTable:
    """(..., M) the part of need or offer that takes part here, rounded down.

    Rounded down, so that communities which know nothing of each other never count a Wh twice.
    """
    return wh if percent is None else wh * percent // PERCENT_ALL


def allocate(key: Key, need: IntColumn, offer: IntColumn, plant_wh: int) -> Allocation:
    """Deal out one interval's pool.

    Args:
        key: which key; its percentages are not applied here.
        need: (M,) what each member needs, after own use and `brought_in`.
        offer: (M,) what each has left over, likewise.
        plant_wh: what the community's plant made.

    Raises:
        PoolUnusable: energy below zero or beyond the limits.
        AllocationKeyUnusable: the key is for another number of members.
        InvariantBroken: a Wh would appear, vanish, or go beyond a need.
    """
    pool = Pool(offer[np.newaxis], need[np.newaxis], column([plant_wh], "plant"))
    key.require_for(len(need), steps=1)
    dealt = deal(key, _ONLY, pool.used, pool.produced, pool.plant)
    pairs = None
    if dealt.pairs is not None and key.pairs is not None:
        columns = (key.pairs.producer, key.pairs.consumer, dealt.pairs[0])
        rows = zip(*(values.tolist() for values in columns), strict=True)
        pairs = tuple(row for row in rows if row[-1])
    sold, plant_sold = dealt.sold[0, :-1], int(dealt.sold[0, -1])
    surplus = int(offer.sum()) + plant_wh - int(dealt.bought.sum())
    return Allocation(dealt.bought[0], sold, plant_sold, surplus, pairs)


def share(pool: Pool, key: Key) -> Shared:
    """Deal out many steps' pools; errors as of `allocate`.

    Under `hourly_minimum`, T must be a whole number of hours, and the result has a row for each
    hour: GSE counts shared energy by the hour, so a member's own offer at a quarter past meets its
    own need at half past. Source: art. 2 d.lgs. 199/2021; TIAD, annex A to ARERA 727/2022/R/eel.
    """
    steps, members = pool.used.shape
    key.require_for(members, steps)
    own = np.minimum(pool.produced, pool.used)
    need, offer = (brought_in(wh - own, key.percent) for wh in (pool.used, pool.produced))
    used, plant = pool.used, pool.plant
    if key.name == "hourly_minimum":
        tables = (used, own, need, offer, plant)
        used, own, need, offer, plant = (_by_hour(wh, key.steps_per_hour) for wh in tables)
    allocated, sold = np.zeros_like(need), np.zeros_like(offer)
    surplus, plant_sold = offer.sum(axis=1) + plant, np.zeros_like(plant)
    for rows in _blocks(np.flatnonzero(surplus), key, members):
        dealt = deal(key, rows, need[rows], offer[rows], plant[rows])
        allocated[rows] = dealt.bought
        sold[rows], plant_sold[rows] = dealt.sold[:, :-1], dealt.sold[:, -1]
        surplus[rows] -= dealt.bought.sum(axis=1)
    return Shared(own, allocated, used - own - allocated, sold, plant_sold, surplus)


def _by_hour(wh: IntTable, steps_per_hour: int) -> IntTable:
    """Sums over each hour's steps."""
    hours, rest = divmod(len(wh), steps_per_hour)
    if rest:
        raise PoolUnusable(
            f"{len(wh)} steps are no whole hours of {steps_per_hour}: add the missing steps"
        )
    by_hour: IntTable = wh.reshape(hours, steps_per_hour, *wh.shape[1:]).sum(axis=1)
    return by_hour


def _blocks(steps: IntColumn, key: Key, members: int) -> Iterator[IntColumn]:
    """The steps in which there is something to deal out, block by block."""
    width = members if key.pairs is None else max(members, len(key.pairs.producer))
    rows = max(1, _BLOCK_CELLS // width)
    return (steps[start : start + rows] for start in range(0, len(steps), rows))


def _require_energy(what: str, wh: IntTable, most: int) -> None:
    if wh.dtype != np.int64:
        raise PoolUnusable(f"{what}: an array of int64 is needed, not of {wh.dtype}")
    if wh.min() < 0 or wh.max() > most:
        raise PoolUnusable(f"{what} from {wh.min()} to {wh.max()} Wh: use 0 to {most}")

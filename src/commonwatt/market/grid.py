"""Grid fees by how near seller and buyer are, and who is paired with whom so that they are least.

A grid is a tree: homes in a building, buildings at a transformer, transformers at a substation.
Energy between two members passes the lowest level they have in common and nothing above it, and
the fee is that level's.

>>> fees_at(AUSTRIA, full_fee=8_000, start=0)
(3440, 5760, 8000)
>>> here, next_door = ("substation 1", "transformer 2"), ("substation 1", "transformer 2")
>>> across_town = ("substation 1", "transformer 5")
>>> common_level(here, next_door), common_level(here, across_town)
(0, 1)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from commonwatt.errors import InputError, require
from commonwatt.quantity import PRICE_PER_WH_MAX, side_by_side, split_exactly

Place: TypeAlias = tuple[str, ...]
"""Where a member is, outermost first: `("substation 1", "transformer 2", "building 7")`."""
LEVELS_MAX = 16
WINDOWS_MAX = 100
FACTOR_PERCENT_MAX = 1_000
"""No window makes a fee more than ten times as high."""
MINUTES_PER_DAY = 1_440
_PERCENT = 100
_DAYS_PER_WEEK = 7
_FIRST_WEEKDAY = 3
"""1 January 1970 was a Thursday; Monday is 0."""


class GridUnusable(InputError):
    """Levels, windows, fees or places from which no grid fee follows."""


def _require_name(what: str, name: str) -> None:
    if not isinstance(name, str) or not name.strip():
        raise GridUnusable(f"{what} is named {name!r}: give it a name")


def _require_whole(what: str, value: int, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise GridUnusable(f"{what} is {value!r}: use a whole number from {least} to {most}")


@dataclass(frozen=True, slots=True)
class Level:
    """What the grid operator gets where this is the lowest level in common."""

    name: str
    fee: int | None = None
    """Units per Wh, whatever the full fee is."""
    reduction_percent: int | None = None
    """How much less than the full fee, 0 to 100: 57 means that 43 % of it are paid."""

    def __post_init__(self) -> None:
        """Refuse a level without a name, and any but exactly one of fee and reduction."""
        _require_name("a grid level", self.name)
        if (self.fee is None) == (self.reduction_percent is None):
            raise GridUnusable(
                f"grid level {self.name!r}: give either a fee or a reduction_percent, one of them"
            )
        if self.fee is not None:
            _require_whole(f"fee of grid level {self.name!r}", self.fee, 0, PRICE_PER_WH_MAX)
        if self.reduction_percent is not None:
            what = f"reduction_percent of grid level {self.name!r}"
            _require_whole(what, self.reduction_percent, 0, _PERCENT)


@dataclass(frozen=True, slots=True)
class Window:
    """Hours in which every fee is multiplied.

    An interval counts by its start: a fee does not change within an interval.
    """

    weekdays: tuple[int, ...]
    """Monday is 0, Sunday 6, in UTC. A window over midnight belongs to the day it starts on."""
    start_minute: int
    """Minute of the UTC day, 0 to 1439."""
    end_minute: int
    """First minute outside, 0 to 1440; one before the start is one of the next day."""
    factor_percent: int
    """What is paid of the fee: 80 is a fifth less, 150 half as much again."""

    def __post_init__(self) -> None:
        """Refuse windows that never apply."""
        for weekday in self.weekdays:
            _require_whole("weekday of a fee window", weekday, 0, _DAYS_PER_WEEK - 1)
        if not self.weekdays or len(set(self.weekdays)) != len(self.weekdays):
            raise GridUnusable(
                f"weekdays of a fee window, {self.weekdays}: name each once, 0 Monday to 6 Sunday"
            )
        _require_whole("start_minute of a fee window", self.start_minute, 0, MINUTES_PER_DAY - 1)
        _require_whole("end_minute of a fee window", self.end_minute, 0, MINUTES_PER_DAY)
        if self.start_minute == self.end_minute:
            raise GridUnusable(
                f"a fee window from minute {self.start_minute} to the same: use 0 to 1440 for a day"
            )
        _require_whole("factor_percent of a fee window", self.factor_percent, 0, FACTOR_PERCENT_MAX)

    def applies(self, start: int) -> bool:
        """Whether an interval that starts at this UTC second pays by this window."""
        day, minute = divmod(start // 60, MINUTES_PER_DAY)
        over_midnight = self.end_minute < self.start_minute
        if over_midnight and minute < self.end_minute:
            return _weekday(day - 1) in self.weekdays
        end = MINUTES_PER_DAY if over_midnight else self.end_minute
        return self.start_minute <= minute < end and _weekday(day) in self.weekdays


@dataclass(frozen=True, slots=True)
class Grid:
    """Levels a member's place may share with another's, and when fees differ."""

    levels: tuple[Level, ...]
    """Innermost first: home, building, transformer, substation."""
    windows: tuple[Window, ...] = ()
    """The first that applies wins; outside all of them fees are as they are."""
    rounded_to: int | None = None
    """A fee made by a percentage is the nearest multiple of these units, halves up; without it,
    the fee is rounded down to a whole unit."""

    def __post_init__(self) -> None:
        """Refuse no levels, too many, and two of one name."""
        names = [level.name for level in self.levels]
        if not 1 <= len(names) <= LEVELS_MAX or len(set(names)) != len(names):
            raise GridUnusable(f"grid levels {names}: name 1 to {LEVELS_MAX}, each once")
        if len(self.windows) > WINDOWS_MAX:
            raise GridUnusable(f"{len(self.windows)} fee windows: use at most {WINDOWS_MAX}")
        if self.rounded_to is not None:
            _require_whole("rounded_to of a grid", self.rounded_to, 1, PRICE_PER_WH_MAX)


AUSTRIA = Grid(
    levels=(Level("local", reduction_percent=57), Level("regional", reduction_percent=28)),
    rounded_to=10,
)
"""Renewable energy communities, members on grid levels 6 and 7, euro with eight decimals.

The full fee is the work price of the grid use charge. A place is (substation, transformer): local
is one low-voltage grid with its transformer station (levels 6 and 7), regional one medium-voltage
grid with its busbar in the substation (levels 4 and 5). Reduced work prices are rounded
commercially to two decimals of a cent per kWh. Source: Systemnutzungsentgelte-Verordnung 2018
paragraph 5 (1a), BGBl. II Nr. 438/2021, in force since 1 November 2021.
"""
AUSTRIA_MEDIUM_VOLTAGE = Grid(
    levels=(Level("local", reduction_percent=64), Level("regional", reduction_percent=64)),
    rounded_to=10,
)
"""The same for members on grid levels 4 and 5 (number 2 letter b of the same paragraph).

They are in no local area; that entry repeats the regional one, so that levels keep their numbers.
"""


def fees_at(grid: Grid, full_fee: int, start: int) -> tuple[int, ...]:
    """What a Wh costs to bring, by lowest level in common.

    Args:
        grid: levels and windows.
        full_fee: the fee of the whole grid in units per Wh, outside all windows.
        start: UTC second at which the interval starts.

    Returns:
        Units per Wh, one per level and one more for nothing in common: the full fee. Each is
        rounded once, after reduction and window.

    Raises:
        GridUnusable: where a fee is no price.
    """
    _require_whole("the full grid fee", full_fee, 0, PRICE_PER_WH_MAX)
    factor = next(
        (window.factor_percent for window in grid.windows if window.applies(start)), _PERCENT
    )
    fees = []
    for level in grid.levels:
        if level.fee is not None:
            fees.append(_percent_of(grid, level.fee, factor * _PERCENT))
        else:
            paid = _PERCENT - (level.reduction_percent or 0)
            fees.append(_percent_of(grid, full_fee, factor * paid))
    fees.append(_percent_of(grid, full_fee, factor * _PERCENT))
    _require_whole("the highest grid fee in a window", max(fees), 0, PRICE_PER_WH_MAX)
    return tuple(fees)


def common_level(one: Place, other: Place) -> int:
    """Index of the lowest level two places share; the number of levels where there is none."""
    if len(one) != len(other):
        raise GridUnusable(f"places {one} and {other}: name as many levels in each")
    return len(one) - _shared_names(one, other)


def require_places(places: Sequence[Place], grid: Grid) -> None:
    """Raise `GridUnusable` unless each place names every level of the grid."""
    for member, place in enumerate(places):
        if len(place) != len(grid.levels):
            raise GridUnusable(
                f"place of member {member} names {len(place)} levels, the grid has "
                f"{len(grid.levels)}: name all, outermost first"
            )
        for name in place:
            _require_name(f"a level in the place of member {member}", name)


def nearest_pairs(
    sold: Sequence[int], bought: Sequence[int], places: Sequence[Place] | None
) -> list[tuple[int, int, int]]:
    """Pair a pool's givers with its takers, neighbours first.

    From the innermost level outwards, what can be matched within a group is matched there, each
    side in proportion to what it has left (largest remainder). So within every group as much as
    possible stays, and the total of grid fees is the least there is wherever a fee does not fall
    with distance. Without places it is `side_by_side`: the fewest pairs.

    Args:
        sold: Wh given, by member. Own use comes first: who gives does not also take.
        bought: Wh taken, by member, with the same sum.
        places: where each member is, all with equally many levels, or None.

    Returns:
        Seller, buyer and Wh, by seller and buyer.

    >>> nearest_pairs([6, 0, 0], [0, 3, 3], None)
    [(0, 1, 3), (0, 2, 3)]
    >>> north, south = ("transformer 1",), ("transformer 2",)
    >>> nearest_pairs([4, 2, 0, 0], [0, 0, 2, 4], [north, south, south, north])
    [(0, 3, 4), (1, 2, 2)]
    """
    given, taken = sum(sold), sum(bought)
    require("a pool takes what it gives", given == taken, given=given, taken=taken)
    if places is None:
        return side_by_side(sold, bought)
    depths = {len(place) for place in places}
    if not len(places) == len(sold) == len(bought) or len(depths) > 1:
        raise GridUnusable(
            f"{len(places)} places with {sorted(depths)} levels for {len(sold)} members: "
            "give each member a place on the same levels"
        )
    to_sell, to_buy = list(sold), list(bought)
    matched: dict[tuple[int, int], int] = {}
    for shared in range(max(depths, default=0), -1, -1):
        for sellers, buyers in _neighbours(to_sell, to_buy, places, shared):
            givers, takers = [to_sell[each] for each in sellers], [to_buy[each] for each in buyers]
            volume = min(sum(givers), sum(takers))
            parts = split_exactly(volume, givers), split_exactly(volume, takers)
            for seller_row, buyer_row, wh in side_by_side(*parts):
                pair = sellers[seller_row], buyers[buyer_row]
                matched[pair] = matched.get(pair, 0) + wh
                to_sell[pair[0]] -= wh
                to_buy[pair[1]] -= wh
    left = sum(to_sell) + sum(to_buy)
    require("every Wh of a pool is paired", left == 0, left=left)
    return [(*pair, matched[pair]) for pair in sorted(matched)]


def _neighbours(
    to_sell: Sequence[int], to_buy: Sequence[int], places: Sequence[Place], shared: int
) -> Iterator[tuple[list[int], list[int]]]:
    """Givers and takers with something left, wherever both share the outer `shared` names."""
    groups: dict[Place, tuple[list[int], list[int]]] = {}
    for member, place in enumerate(places):
        for side, left in enumerate((to_sell[member], to_buy[member])):
            if left:
                groups.setdefault(place[:shared], ([], []))[side].append(member)
    # A member's Wh are only in its own group: no group's result depends on another's.
    return (group for group in groups.values() if all(group))


def _shared_names(one: Place, other: Place) -> int:
    for count, (name, other_name) in enumerate(zip(one, other, strict=True)):
        if name != other_name:
            return count
    return len(one)


def _weekday(day: int) -> int:
    return (day + _FIRST_WEEKDAY) % _DAYS_PER_WEEK


def _percent_of(grid: Grid, fee: int, hundredths: int) -> int:
    """`hundredths` of a percent of a fee; all of it stays as it is."""
    part, whole = fee * hundredths, _PERCENT * _PERCENT
    if hundredths == whole:
        return fee
    if grid.rounded_to is None:
        return part // whole
    step = whole * grid.rounded_to
    return (2 * part + step) // (2 * step) * grid.rounded_to

"""Allocation keys: the rules of national sharing laws, by name, and what each of them needs.

| name | rule | law |
|---|---|---|
| `dynamic` | by need | AT section 16e ElWOG, DE section 42b EnWG, FR by default, LU pro rata |
| `static` | by shares, at most the need; the unused rest is surplus | AT, DE, BE |
| `iterative` | by shares, in rounds until nothing is left to give or to need | BE, Flanders |
| `priority` | better ranks in full, equal ranks by need | LU |
| `pairs` | each producer's own shares for each consumer | FR, "full dynamique" |
| `organiser` | as `static`, with percentages the organiser names for each step afterwards | FR |
| `coefficients` | as `static`, fixed beforehand, also by hour | ES, RD 244/2019, annex I |
| `hourly_minimum` | by need, of an hour's lesser sum of offers or needs | IT, TIAD |
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from commonwatt.errors import InputError
from commonwatt.market.columns import IntColumn, first_of_each
from commonwatt.market.rows import IntTable
from commonwatt.quantity import decimal_text

SHARE_DECIMALS = 9
SHARE_ONE = 10**SHARE_DECIMALS
"""A share of everything."""
PERCENT_ALL = 100
STEPS_PER_HOUR_MAX = 60
RANK_MAX = 10**9


class AllocationKeyUnusable(InputError):
    """No key has this name, or its shares, ranks, pairs or percentages cannot be used."""


class Needs(NamedTuple):
    """What a key must be given."""

    shares: bool = False
    """A share for each member."""
    steps: bool = False
    """The shares may differ from step to step."""
    priority: bool = False
    """A rank for each member."""
    pairs: bool = False
    """A share for each pair of producer and consumer."""


KEYS = {
    "dynamic": Needs(),
    "static": Needs(shares=True),
    "iterative": Needs(shares=True),
    "priority": Needs(priority=True),
    "pairs": Needs(pairs=True, steps=True),
    "organiser": Needs(shares=True, steps=True),
    "coefficients": Needs(shares=True, steps=True),
    "hourly_minimum": Needs(),
}


def needs_of(name: str) -> Needs:
    """What the key of this name needs; `AllocationKeyUnusable` lists the keys there are."""
    try:
        return KEYS[name]
    except KeyError:
        raise AllocationKeyUnusable(
            f"no allocation key {name!r:.80}: use one of {', '.join(KEYS)}"
        ) from None


class Pairs(NamedTuple):
    """Who gets how much of whose energy, in columns: by producer, then by consumer."""

    producer: IntColumn
    """(K,) member's row, or the number of members for the community's plant."""
    consumer: IntColumn
    """(K,) member's row."""
    share: IntTable
    """(K,) or (T, K) parts of the producer's offer, out of `SHARE_ONE`."""


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """A key with what it needs. What it does not need is checked and left unused."""

    name: str
    shares: IntTable | None = None
    """(M,), or (T, M) where the key takes them by step; out of `SHARE_ONE`, at most that in sum."""
    priority: IntColumn | None = None
    """(M,) ranks; the lowest is served first."""
    pairs: Pairs | None = None
    percent: IntColumn | None = None
    """(M,) the part of need and offer that takes part here, 1 to 100; all of it unless given."""
    steps_per_hour: int = 1
    """How many steps make an hour; only `hourly_minimum` asks."""

    def __post_init__(self) -> None:
        """Refuse what no community of any size can use; raises `AllocationKeyUnusable`."""
        needs = needs_of(self.name)
        for what in ("shares", "priority", "pairs"):
            if getattr(needs, what) and getattr(self, what) is None:
                raise AllocationKeyUnusable(f"the key {self.name} needs {what}: give them")
        if not (1 <= self.steps_per_hour <= STEPS_PER_HOUR_MAX):
            raise AllocationKeyUnusable(
                f"{self.steps_per_hour} steps an hour: use 1 to {STEPS_PER_HOUR_MAX}"
            )
        if self.shares is not None:
            _require_within("shares", self.shares, 0, SHARE_ONE)
            _require_at_most_one("the shares", self.shares.sum(axis=-1))
            if self.shares.ndim != 1 and not needs.steps:
                raise AllocationKeyUnusable(f"the key {self.name} takes no shares by step")
        if self.priority is not None:
            _require_within("priority", self.priority, 0, RANK_MAX)
        if self.percent is not None:
            _require_within("percent", self.percent, 1, PERCENT_ALL)
        if self.pairs is not None:
            _require_pairs(self.pairs)

    def require_for(self, members: int, steps: int) -> None:
        """Raise `AllocationKeyUnusable` unless there is one of each for so many members, steps."""
        once, by_step = (members,), (steps, members)
        given = {
            "shares": (self.shares, (once, by_step)),
            "priority": (self.priority, (once,)),
            "percent": (self.percent, (once,)),
        }
        for what, (values, shapes) in given.items():
            if values is not None and values.shape not in shapes:
                raise AllocationKeyUnusable(
                    f"{what} of shape {values.shape} for {members} members in {steps} steps"
                )
        if self.pairs is not None:
            rows = (self.pairs.producer.max(), self.pairs.consumer.max() + 1)
            if max(rows) > members or self.pairs.share.shape[:-1] not in ((), (steps,)):
                raise AllocationKeyUnusable(
                    f"pairs that do not go with {members} members in {steps} steps"
                )


def _require_within(what: str, values: IntTable, least: int, most: int) -> None:
    if values.dtype != np.int64 or not values.size:
        raise AllocationKeyUnusable(f"{what}: an array of int64 is needed, with something in it")
    if values.min() < least or values.max() > most:
        raise AllocationKeyUnusable(
            f"{what} from {values.min()} to {values.max()}: use {least} to {most}"
        )


def _require_at_most_one(whose: str, sums: IntTable) -> None:
    largest = int(np.max(sums))
    if largest > SHARE_ONE:
        text = decimal_text(largest, SHARE_DECIMALS)
        raise AllocationKeyUnusable(f"{whose} sum to {text}: at most 1, lower some")


def _require_pairs(pairs: Pairs) -> None:
    _require_within("pairs: producers", pairs.producer, 0, RANK_MAX)
    _require_within("pairs: consumers", pairs.consumer, 0, RANK_MAX)
    _require_within("pairs: shares", pairs.share, 0, SHARE_ONE)
    if not pairs.producer.shape == pairs.consumer.shape == pairs.share.shape[-1:]:
        raise AllocationKeyUnusable("pairs: columns of different lengths")
    if (np.diff(pairs.producer * (RANK_MAX + 1) + pairs.consumer) <= 0).any():
        raise AllocationKeyUnusable(
            "pairs: name each once, in order of producers, and of consumers for each producer"
        )
    sums = np.add.reduceat(pairs.share, first_of_each(pairs.producer), axis=-1)
    _require_at_most_one("pairs: one producer's shares", sums)

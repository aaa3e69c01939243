"""Communities to share energy in, and the allocation keys once more in plain integers."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from commonwatt.market.keys import KEYS, SHARE_ONE, Key, Pairs
from commonwatt.market.share import MEMBER_WH_MAX, Pool
from commonwatt.quantity import split_exactly

energies = st.sampled_from([0, 3, 500, 500, MEMBER_WH_MAX]).flatmap(
    lambda most: st.integers(0, most)
)


@dataclass(frozen=True)
class Terms:
    """A key's parts as lists, which is how the plain rules take them."""

    name: str
    shares: list[int]
    ranks: list[int]
    percent: list[int]
    pairs: dict[tuple[int, int], int]

    @property
    def key(self) -> Key:
        rows = sorted(self.pairs)
        return Key(
            self.name,
            shares=np.array(self.shares),
            priority=np.array(self.ranks),
            percent=np.array(self.percent),
            pairs=Pairs(
                np.array([giver for giver, _ in rows]),
                np.array([taker for _, taker in rows]),
                np.array([self.pairs[row] for row in rows]),
            ),
        )

    def reordered(self, order: Sequence[int]) -> "Terms":
        """The same members in another order; `order` has the old row of each new one."""
        new = {old: row for row, old in enumerate([*order, len(order)])}
        return Terms(
            self.name,
            [self.shares[old] for old in order],
            [self.ranks[old] for old in order],
            [self.percent[old] for old in order],
            {(new[giver], new[taker]): part for (giver, taker), part in self.pairs.items()},
        )


def shares_of(count: int) -> st.SearchStrategy[list[int]]:
    """Shares that sum to 1 at most, some of them nothing."""
    return st.lists(
        st.sampled_from([0, 1, 1, 2, 3, 7]), min_size=count + 1, max_size=count + 1
    ).map(
        lambda weights: split_exactly(SHARE_ONE, weights if any(weights) else [1] * len(weights))[
            :count
        ]
    )


@st.composite
def terms(draw, members: int, names: Sequence[str] = tuple(KEYS)) -> Terms:
    """Any key for so many members."""
    giving = draw(st.lists(st.integers(0, members), min_size=1, max_size=3, unique=True))
    pairs = {
        (giver, taker): part
        for giver in giving
        for taker, part in enumerate(draw(shares_of(members)))
        if part or taker == 0
    }
    return Terms(
        draw(st.sampled_from(names)),
        draw(shares_of(members)),
        draw(st.lists(st.integers(0, 3), min_size=members, max_size=members)),
        draw(st.lists(st.sampled_from([1, 50, 99, 100, 100]), min_size=members, max_size=members)),
        pairs,
    )


@st.composite
def pools(draw, steps: int = 3) -> Pool:
    """Up to six members; each makes, uses, both or neither."""
    members = draw(st.integers(1, 6))
    table = st.lists(
        st.lists(energies, min_size=members, max_size=members), min_size=steps, max_size=steps
    )
    plant = st.lists(energies, min_size=steps, max_size=steps)
    return Pool(np.array(draw(table)), np.array(draw(table)), np.array(draw(plant)))


def plainly(terms: Terms, need: list[int], offered: list[int]) -> tuple[list[int], list[int]]:
    """What each member buys, and what each sells with the plant last; a step, or an hour's sums."""
    if terms.name == "pairs":
        return _by_pairs(terms.pairs, need, offered)
    rule = {
        "priority": lambda pool: _by_rank(terms.ranks, need, pool),
        "iterative": lambda pool: _in_rounds(terms.shares, need, pool),
        "dynamic": lambda pool: split_exactly(min(pool, sum(need)), need),
        "hourly_minimum": lambda pool: split_exactly(min(pool, sum(need)), need),
    }.get(terms.name, lambda pool: _by_shares(terms.shares, need, pool))
    bought = rule(sum(offered))
    return bought, split_exactly(sum(bought), offered)


def _by_shares(shares: list[int], need: list[int], pool: int) -> list[int]:
    entitled = split_exactly(pool, [*shares, SHARE_ONE - sum(shares)])
    return [min(part, wanted) for part, wanted in zip(entitled, need, strict=False)]


def _in_rounds(shares: list[int], need: list[int], pool: int) -> list[int]:
    """Rounds in fractions of a Wh until nothing is left; then rounded, by largest remainder."""
    bought = [Fraction(0)] * len(need)
    while left := pool - sum(bought):
        missing = [wanted - got for wanted, got in zip(need, bought, strict=True)]
        weights = [share if more else 0 for share, more in zip(shares, missing, strict=True)]
        if not any(weights):
            break
        bought = [
            got + min(left * weight / sum(weights), more)
            for got, weight, more in zip(bought, weights, missing, strict=True)
        ]
    whole = [int(got) for got in bought]
    rests = sorted((whole[row] - got, row) for row, got in enumerate(bought))
    for _, row in rests[: int(sum(bought)) - sum(whole)]:
        whole[row] += 1
    return whole


def _by_rank(ranks: list[int], need: list[int], pool: int) -> list[int]:
    bought = [0] * len(need)
    for rank in sorted(set(ranks)):
        level = [row for row, other in enumerate(ranks) if other == rank]
        wanted = [need[row] for row in level]
        for row, part in zip(
            level, split_exactly(min(pool - sum(bought), sum(wanted)), wanted), strict=True
        ):
            bought[row] = part
    return bought


def _by_pairs(
    pairs: dict[tuple[int, int], int], need: list[int], offered: list[int]
) -> tuple[list[int], list[int]]:
    entitled: dict[tuple[int, int], int] = {}
    for giver, offer in enumerate(offered):
        takers = sorted(taker for other, taker in pairs if other == giver)
        parts = [pairs[giver, taker] for taker in takers]
        dealt = split_exactly(offer, [*parts, SHARE_ONE - sum(parts)])
        entitled |= {(giver, taker): part for taker, part in zip(takers, dealt, strict=False)}
    bought, sold = [0] * len(need), [0] * len(offered)
    for taker, wanted in enumerate(need):
        givers = sorted(giver for giver, other in entitled if other == taker)
        parts = [entitled[giver, taker] for giver in givers]
        bought[taker] = min(wanted, sum(parts))
        for giver, part in zip(givers, split_exactly(bought[taker], parts), strict=True):
            sold[giver] += part
    return bought, sold

"""The rules of the allocation keys, over many steps at once, and the check of what they deal out.

A step's pool is dealt to its needs. Tables have a row for each step and a column for each member;
`offered` has one column more, the plant's.
"""

from typing import NamedTuple

import numpy as np

from commonwatt.errors import require
from commonwatt.market.columns import IntColumn, first_of_each
from commonwatt.market.keys import SHARE_ONE, Key, Pairs
from commonwatt.market.rows import IntTable, in_proportion, split_rows

_ALL = np.zeros(1, dtype=np.int64)
"""One group, from the first column on."""


class Dealt(NamedTuple):
    """Some steps' pools, dealt out."""

    bought: IntTable
    """(T, M)"""
    sold: IntTable
    """(T, M + 1) of each offer, and last of the plant's."""
    pairs: IntTable | None = None
    """(T, K) each pair's."""


def deal(key: Key, rows: IntColumn, need: IntTable, offer: IntTable, plant: IntColumn) -> Dealt:
    """Deal out some steps' pools.

    Args:
        key: which key.
        rows: (T,) which steps these are, where the key's shares differ from step to step.
        need: (T, M) Wh.
        offer: (T, M) Wh.
        plant: (T,) Wh.

    Raises:
        InvariantBroken: a Wh would appear, vanish, or go beyond a need or an offer.
    """
    offered = np.column_stack((offer, plant))
    pool = offered.sum(axis=1, keepdims=True)
    match key:
        case Key(name="pairs", pairs=Pairs() as pairs):
            of_step = pairs.share if pairs.share.ndim == 1 else pairs.share[rows]
            dealt = _by_pairs(pairs._replace(share=of_step), need, offered)
        case Key(name="priority", priority=np.ndarray() as ranks):
            dealt = _from_all(_by_rank(ranks, need, pool), offered)
        case Key(name="iterative", shares=np.ndarray() as shares):
            dealt = _from_all(_in_rounds(shares, need, pool), offered)
        case Key(name="static" | "organiser" | "coefficients", shares=np.ndarray() as shares):
            of_step = shares[np.newaxis] if shares.ndim == 1 else shares[rows]
            dealt = _from_all(_by_shares(of_step, need, pool), offered)
        case _:  # dynamic, and hourly_minimum over its hours
            dealt = _from_all(_by_need(need, pool), offered)
    _require_sound(dealt, need, offered)
    return dealt


def _by_need(need: IntTable, pool: IntTable) -> IntTable:
    dealt = np.minimum(pool, need.sum(axis=1, keepdims=True))
    return split_rows(dealt, need, _ALL)


def _by_shares(shares: IntTable, need: IntTable, pool: IntTable) -> IntTable:
    """At most the need; what a member does not need of its share stays in the pool.

    Shares that sum to less than 1 leave a part that belongs to nobody: it is divided with the
    others, as one share more, and stays in the pool too.
    """
    nobody = SHARE_ONE - shares.sum(axis=1, keepdims=True)
    entitled = split_rows(pool, np.column_stack((shares, nobody)), _ALL)[:, :-1]
    return np.minimum(entitled, need)


def _in_rounds(shares: IntColumn, need: IntTable, pool: IntTable) -> IntTable:
    """By shares among those who still need something, round after round; rounded once, at the end.

    A round serves those in full who need no more than their part of what is left. When it serves
    nobody, the others divide what is left: so nobody is ahead of its share by more than one Wh.
    """
    bought = np.where(shares, need, 0)
    # Where there is enough for all, all get what they need.
    short = np.flatnonzero(pool[:, 0] < bought.sum(axis=1))
    left, wanted = pool[short], bought[short]
    weights = np.where(wanted, shares, 0)
    going = np.arange(len(short))
    while going.size:
        sharing, asked = weights[going], wanted[going]
        parts, _ = in_proportion(left[going], sharing, sharing.sum(axis=1, keepdims=True))
        served = (parts >= asked) & (sharing > 0)
        left[going] -= np.where(served, asked, 0).sum(axis=1, keepdims=True)
        weights[going] = np.where(served, 0, sharing)
        going = going[served.any(axis=1)]
    bought[short] = np.where(weights, split_rows(left, weights, _ALL), wanted)
    return bought


def _by_rank(ranks: IntColumn, need: IntTable, pool: IntTable) -> IntTable:
    """Lower ranks first; who has the same rank shares by need."""
    order = np.argsort(ranks, kind="stable")
    starts, ranked = first_of_each(ranks[order]), need[:, order]
    level = np.add.reduceat(ranked, starts, axis=1)
    before = np.cumsum(level, axis=1) - level
    dealt = np.clip(pool - before, 0, level)
    bought = np.empty_like(need)
    bought[:, order] = split_rows(dealt, ranked, starts)
    return bought


def _from_all(bought: IntTable, offered: IntTable) -> Dealt:
    """Whose energy it was: everybody's in the pool, in proportion to what they brought."""
    dealt = bought.sum(axis=1, keepdims=True)
    return Dealt(bought, split_rows(dealt, offered, _ALL))


def _by_pairs(pairs: Pairs, need: IntTable, offered: IntTable) -> Dealt:
    """Each offer by its own shares; where several give one consumer too much, less of each."""
    sellers = first_of_each(pairs.producer)
    entitled = _entitled(pairs, sellers, offered)
    # The same pairs by consumer, and for each consumer by producer.
    turned = np.argsort(pairs.consumer, kind="stable")
    buyers = first_of_each(pairs.consumer[turned])
    rows = pairs.consumer[turned][buyers]
    entitled = entitled.take(turned, axis=1)
    taken = np.minimum(need[:, rows], np.add.reduceat(entitled, buyers, axis=1))
    by_pair = split_rows(taken, entitled, buyers).take(np.argsort(turned), axis=1)
    bought, sold = np.zeros_like(need), np.zeros_like(offered)
    bought[:, rows] = taken
    sold[:, pairs.producer[sellers]] = np.add.reduceat(by_pair, sellers, axis=1)
    return Dealt(bought, sold, by_pair)


def _entitled(pairs: Pairs, sellers: IntColumn, offered: IntTable) -> IntTable:
    """(T, K) each offer, split by its producer's shares; `sellers` is each one's first pair.

    Of a producer whose shares sum to less than 1, the rest belongs to nobody, as in `_by_shares`.
    """
    share = np.atleast_2d(pairs.share)
    nobody = SHARE_ONE - np.add.reduceat(share, sellers, axis=1)
    ends, number = np.append(sellers[1:], share.shape[1]), np.arange(len(sellers))
    named = np.ones(share.shape[1] + len(sellers), dtype=bool)
    named[ends + number] = False
    weights = np.insert(share, ends, nobody, axis=1)
    totals = offered[:, pairs.producer[sellers]]
    return split_rows(totals, weights, sellers + number)[:, named]


def _require_sound(dealt: Dealt, need: IntTable, offered: IntTable) -> None:
    """Raise `InvariantBroken` unless each Wh dealt out was there, was needed, and came from one."""
    bought, sold = dealt.bought, dealt.sold
    require("nobody is dealt less than nothing", bool(bought.min() >= 0 and sold.min() >= 0))
    require("nobody is dealt more than it needs", bool((bought <= need).all()))
    require("nobody gives more than it offers", bool((sold <= offered).all()))
    same = bought.sum(axis=1) == sold.sum(axis=1)
    require("what is bought is what is sold", bool(same.all()), step=int(np.argmin(same)))

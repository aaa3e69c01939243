"""Largest remainder for many intervals at once: a row per interval, exact in 64 bits.

>>> split_rows(np.array([[10], [5]]), np.array([[1, 1, 1], [1, 2, 2]]), np.array([0])).tolist()
[[4, 3, 3], [1, 2, 2]]
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from commonwatt.market.columns import IntColumn

IntTable: TypeAlias = NDArray[np.int64]
"""A row per interval, a column per member; signed 64-bit."""
_DIGIT_ROOM_BITS = 62
"""What is carried from digit to digit is below twice the whole, shifted by one digit."""
_SIGNED_BITS = 63


def split_rows(totals: IntTable, weights: IntTable, starts: IntColumn) -> IntTable:
    """Divide as `quantity.split_exactly` does, in each row and each group of columns by itself.

    Largest remainder, ties to the lower column. No product is too large: where one would not fit
    64 bits, the division is done by hand, digit by digit.

    Args:
        totals: (T, G) what to divide, >= 0.
        weights: (T, K), or (1, K) for the same in each row, >= 0. They sum to less than 2^61 in
            each group, and to more than 0 wherever there is something to divide.
        starts: (G,) first column of each group, ascending from 0; none is empty.

    Returns:
        (T, K) the shares, which sum to `totals` in each group.
    """
    sizes = np.diff(starts, append=weights.shape[1])
    shares = np.empty((len(totals), weights.shape[1]), dtype=np.int64)
    # Groups of one size are one block of numbers: it sorts many times faster than uneven ones.
    for size in np.unique(sizes):
        groups = np.flatnonzero(sizes == size)
        even = len(groups) == len(starts)
        columns = slice(None) if even else (starts[groups, np.newaxis] + np.arange(size)).ravel()
        block = weights[:, columns].reshape(len(weights), len(groups), size)
        part = _split_last(totals[:, groups, np.newaxis], block)
        shares[:, columns] = part.reshape(len(totals), len(groups) * size)
    return shares


def split_segments(totals: IntColumn, weights: IntColumn, starts: IntColumn) -> IntColumn:
    """The same for one interval.

    Args:
        totals: (G,) what to divide.
        weights: (K,)
        starts: (G,) first row of each segment of `weights`.
    """
    shares: IntColumn = split_rows(totals[np.newaxis], weights[np.newaxis], starts)[0]
    return shares


def split_column(total: int, weights: IntColumn) -> IntColumn:
    """The same for one total.

    >>> split_column(10, np.array([1, 1, 1])).tolist()
    [4, 3, 3]
    """
    return split_segments(np.array([total]), weights, np.zeros(1, dtype=np.int64))


def _split_last(totals: IntTable, weights: IntTable) -> IntTable:
    """(T, G, size) shares of (T, G, 1) totals, along the last axis."""
    whole = weights.sum(axis=-1, keepdims=True)
    if (totals < 0).any() or ((whole == 0) & (totals != 0)).any():
        raise ValueError("cannot split less than nothing, or over weights that sum to nothing")
    shares, rests = in_proportion(totals, weights, np.maximum(whole, 1))
    left = totals - shares.sum(axis=-1, keepdims=True)
    if left.any():
        shares += _have_largest(rests, left)
    return shares


def in_proportion(
    totals: IntTable, weights: IntTable, whole: IntTable
) -> tuple[IntTable, IntTable]:
    """Floor and remainder of totals * weights / whole, by long division of the totals.

    Args:
        totals: >= 0.
        weights: 0 to `whole`.
        whole: 1 to 2^61 - 1; all three in shapes that go together.
    """
    digit_bits = _DIGIT_ROOM_BITS - int(whole.max(initial=1)).bit_length()
    if digit_bits <= 0:
        raise ValueError("cannot split by weights that sum to 2^61 or more")
    floors = rests = np.zeros_like(totals)
    for digit in reversed(range(max(1, -(-int(totals.max(initial=0)).bit_length() // digit_bits)))):
        low = (totals >> (digit * digit_bits)) & (2**digit_bits - 1)
        carried = (rests << digit_bits) + low * weights
        part = carried // whole
        floors, rests = (floors << digit_bits) + part, carried - part * whole
    return floors, rests


def _have_largest(rests: IntTable, left: IntTable) -> NDArray[np.bool_]:
    """Which `left` of the remainders are the largest, of equal ones those that come first.

    `left` is smaller than their number. Remainder and place are packed into one number where they
    fit: sorting numbers is several times faster than sorting by keys.
    """
    largest, places = int(rests.max()), np.arange(rests.shape[-1])
    place_bits = len(places).bit_length()
    if largest.bit_length() + place_bits <= _SIGNED_BITS:
        rank = ((largest - rests) << place_bits) + places
        ranked = np.sort(rank, axis=-1)
    else:
        rank, ranked = np.empty_like(rests), np.broadcast_to(places, rests.shape)
        np.put_along_axis(rank, np.argsort(-rests, axis=-1, kind="stable"), ranked, axis=-1)
    return rank < np.take_along_axis(ranked, left, axis=-1)

"""Whole numbers in columns: how they are read, laid side by side and summed exactly."""

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from commonwatt.errors import InputError

IntColumn: TypeAlias = NDArray[np.int64]
"""One-dimensional, signed 64-bit."""
INT64_MAX = 2**63 - 1
_LOW_BITS = 32


class NotWhole(InputError):
    """Values that are not whole numbers of 64 bits."""


def column(values: Iterable[int] | NDArray[np.int64], what: str = "a column") -> IntColumn:
    """Whole numbers as a column; an array of int64 is taken as it is, without a copy.

    Raises:
        NotWhole: for floats, NaN, texts, and numbers beyond 2^63.

    >>> column([3, 1, 2]).tolist()
    [3, 1, 2]
    """
    if isinstance(values, np.ndarray):
        array = values
    else:
        listed = list(values)
        if any(type(value) is not int for value in listed):
            raise NotWhole(f"{what}: takes whole numbers only, not floats or texts")
        if listed and not -INT64_MAX <= min(listed) <= max(listed) <= INT64_MAX:
            raise NotWhole(f"{what}: a number is beyond 2^63; use smaller ones")
        array = np.array(listed, dtype=np.int64)
    if array.dtype != np.int64 or array.ndim != 1:
        raise NotWhole(f"{what}: an array of int64 in one dimension is needed, not {array.dtype}")
    return array


def laid_along(left: IntColumn, right: IntColumn) -> tuple[IntColumn, IntColumn, IntColumn]:
    """`quantity.side_by_side` on columns: pair two columns with equal sums along one line.

    Returns:
        Left row, right row and amount of each overlap, in the order of the line.

    >>> [part.tolist() for part in laid_along(column([3, 2]), column([1, 4]))]
    [[0, 0, 1], [0, 1, 1], [1, 2, 2]]
    """
    left_rows, right_rows = np.flatnonzero(left), np.flatnonzero(right)
    left_ends, right_ends = np.cumsum(left[left_rows]), np.cumsum(right[right_rows])
    if (left_ends[-1] if left_ends.size else 0) != (right_ends[-1] if right_ends.size else 0):
        raise ValueError("laid_along: the two sides have different sums")
    # Two sorted runs: the stable sort merges them in one pass.
    ends = np.sort(np.concatenate((left_ends, right_ends)), kind="stable")
    ends = ends[np.diff(ends, prepend=0) > 0]
    return (
        left_rows[np.searchsorted(left_ends, ends)],
        right_rows[np.searchsorted(right_ends, ends)],
        np.diff(ends, prepend=0),
    )


def first_of_each(keys: IntColumn) -> IntColumn:
    """Rows at which a sorted column's value changes, the first row included.

    >>> first_of_each(column([5, 5, 7])).tolist()
    [0, 2]
    """
    changes = np.empty(len(keys), dtype=bool)
    changes[:1] = True
    np.not_equal(keys[1:], keys[:-1], out=changes[1:])
    return np.flatnonzero(changes)


def sum_by_row(rows: IntColumn, amounts: IntColumn, size: int) -> IntColumn:
    """Add each amount to its row of a new column of `size` rows."""
    sums = np.zeros(size, dtype=np.int64)
    np.add.at(sums, rows, amounts)
    return sums


def exact_sum(amounts: IntColumn) -> int:
    """The sum as a Python integer, which has no end at 2^63."""
    high = int(np.sum(amounts >> _LOW_BITS))
    return (high << _LOW_BITS) + int(np.sum(amounts & (2**_LOW_BITS - 1)))

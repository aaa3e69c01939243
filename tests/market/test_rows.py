"""Largest remainder for many rows at once: the same as for one row in plain integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commonwatt.market.rows import split_rows
from commonwatt.quantity import split_exactly
from effort import effort

sizes_of_groups = st.lists(st.integers(1, 4), min_size=1, max_size=4)
amounts = st.sampled_from([1, 9, 10**6, 10**9, 2**57]).flatmap(lambda most: st.integers(0, most))


@st.composite
def divisions(draw):
    """Totals, weights and the groups' first columns; nothing to divide where nothing weighs."""
    sizes = draw(sizes_of_groups)
    starts = np.cumsum([0, *sizes[:-1]])
    rows = draw(st.integers(1, 4))
    weights = draw(
        arrays(np.int64, (draw(st.sampled_from([1, rows])), sum(sizes)), elements=amounts)
    )
    totals = draw(arrays(np.int64, (rows, len(sizes)), elements=amounts))
    totals[np.broadcast_to(np.add.reduceat(weights, starts, axis=1) == 0, totals.shape)] = 0
    return totals, weights, starts


@given(divisions())
@effort(4)
def test_each_group_of_each_row_is_divided_as_if_it_were_alone(division) -> None:
    totals, weights, starts = division
    shares = split_rows(totals, weights, starts)
    ends = [*starts[1:], weights.shape[1]]
    for row in range(len(totals)):
        weighed = weights[row % len(weights)].tolist()
        for group, (start, end) in enumerate(zip(starts, ends, strict=True)):
            alone = split_exactly(int(totals[row, group]), weighed[start:end])
            assert shares[row, start:end].tolist() == alone


def test_products_beyond_64_bits_are_divided_exactly() -> None:
    weights = np.array([[2**59, 2**59 - 1, 3, 2**58 + 7]])
    totals = np.array([[2**62], [2**62 + 1], [10**18]])
    shares = split_rows(totals, weights, np.array([0]))
    for total, row in zip(totals[:, 0].tolist(), shares.tolist(), strict=True):
        assert row == split_exactly(total, weights[0].tolist())


@pytest.mark.parametrize(("total", "weights"), [(1, [0, 0]), (-1, [1, 1]), (1, [2**61, 2**61])])
def test_a_division_that_cannot_be_made_is_refused(total: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match="cannot split"):
        split_rows(np.array([[total]]), np.array([weights]), np.array([0]))


def test_no_rows_are_divided_into_none() -> None:
    nothing = np.zeros((0, 3), dtype=np.int64)
    assert split_rows(nothing[:, :2], nothing, np.array([0, 1])).shape == (0, 3)

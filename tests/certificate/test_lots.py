"""What a battery gives back: first in, first out, and grey before green."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.certificate.lots import draw, given_green_wh
from commonwatt.errors import InvariantBroken

LOTS = st.lists(st.integers(0, 50), max_size=8)


@given(LOTS, st.integers(0, 300))
def test_all_that_is_wanted_is_drawn_as_far_as_it_is_there_oldest_first(
    lots: list[int], wanted: int
) -> None:
    drawn = draw(lots, wanted)
    assert sum(drawn) == min(wanted, sum(lots))
    # Wh by Wh: each lot's energy in a row, and the first so many of it.
    row = [place for place, wh in enumerate(lots) for _ in range(wh)]
    assert drawn == [row[:wanted].count(place) for place in range(len(lots))]


@given(LOTS, st.lists(st.integers(0, 60), max_size=6))
def test_many_discharges_draw_what_one_would(lots: list[int], parts: list[int]) -> None:
    left = list(lots)
    for wanted in parts:
        left = [wh - gone for wh, gone in zip(left, draw(left, wanted), strict=True)]
    at_once = [wh - gone for wh, gone in zip(lots, draw(lots, sum(parts)), strict=True)]
    assert left == at_once


@st.composite
def discharges(draw_) -> tuple[int, int, int]:
    wh = draw_(st.integers(0, 60))
    return wh, draw_(st.integers(0, wh)), draw_(st.integers(0, wh))


@given(discharges())
def test_what_has_no_certificate_leaves_the_home_first(found: tuple[int, int, int]) -> None:
    wh, given_wh, green = found
    leaves = ["grey"] * (wh - green) + ["green"] * green
    issued = given_green_wh(wh, given_wh, green)
    assert issued == leaves[:given_wh].count("green")
    assert 0 <= issued <= min(given_wh, green)
    assert green - issued <= wh - given_wh, "the home used no more green energy than it used"


@given(discharges(), st.integers(0, 60))
def test_more_green_energy_is_never_fewer_certificates(
    found: tuple[int, int, int], more: int
) -> None:
    wh, given_wh, green = found
    greener = min(wh, green + more)
    gained = given_green_wh(wh, given_wh, greener) - given_green_wh(wh, given_wh, green)
    assert 0 <= gained <= greener - green


def test_all_green_and_all_given_is_all_issued() -> None:
    assert given_green_wh(100, 100, 100) == 100
    assert list(accumulate(draw([1, 2, 3], 6))) == [1, 3, 6]


@pytest.mark.parametrize(
    ("wh", "given_wh", "green"), [(10, 11, 0), (10, -1, 0), (10, 0, 11), (10, 0, -1)]
)
def test_no_part_is_more_than_the_whole_or_below_zero(wh: int, given_wh: int, green: int) -> None:
    with pytest.raises(InvariantBroken, match="within what came out"):
        given_green_wh(wh, given_wh, green)

"""Curves of an order book: inside their frame, the gain shaded to scale, few corners, readable."""

import json
import re
from collections.abc import Iterable
from itertools import pairwise
from random import Random
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.market.book_answer import ClearedBook, clear_book
from commonwatt.market.book_file import read_book
from commonwatt.market.orders import ORDER_WH_MAX
from commonwatt.web.curve_steps import BOTTOM, CORNERS_MAX, GRID, LEFT, RIGHT, TOP
from commonwatt.web.curves import curves
from effort import effort

Order = tuple[str, int, str | None]
"""Side, Wh, price; each order is somebody else's."""
Point = tuple[float, float]

PLAIN: list[Order] = [
    ("buy", 400, "0.22"), ("buy", 300, "0.19"), ("buy", 500, "0.12"),
    ("sell", 500, "0.10"), ("sell", 600, "0.16"),
]  # fmt: skip


def cleared(
    orders: Iterable[Order], wishes: dict[int, dict] | None = None, **terms: str
) -> ClearedBook:
    lines = [
        {"id": f"o{number}", "side": side, "participant": f"p{number}", "energy_wh": wh}
        | ({} if price is None else {"price": price})
        | (wishes or {}).get(number, {})
        for number, (side, wh, price) in enumerate(orders)
    ]
    return clear_book(read_book(json.dumps({**terms, "orders": lines}).encode()))


def corners(path: str) -> list[Point]:
    """Every point at which a pen would turn."""
    found: list[Point] = []
    x = y = 0.0
    for command, rest in re.findall(r"([MHVZ])([^MHVZ]*)", path):
        numbers = [float(number) for number in rest.split()]
        match command:
            case "M":
                x, y = numbers
            case "H":
                (x,) = numbers
            case "V":
                (y,) = numbers
        found.append((x, y))
    return found


def shape(drawing: str, style: str) -> list[Point]:
    """The points of the shape in the plot with this class; the legend has one too."""
    paths = re.findall(rf'<path class="(?:curve )?{style}" d="([^"]*)"', drawing)
    return corners(paths[-1]) if paths and "h18" not in paths[-1] else []


def area(points: list[Point]) -> float:
    """Square pixels inside an outline."""
    following = points[1:] + points[:1]
    return abs(sum(x * v - u * y for (x, y), (u, v) in zip(points, following, strict=True))) / 2


def scale(drawing: str) -> tuple[float, float]:
    """Wh and EUR per kWh of a pixel, read from the last labels of the axes."""
    texts = re.findall(
        r'<text class="small soft" x="([\d.]+)" y="([\d.]+)"([^>]*)>([\d.,]+)<', drawing
    )
    across = [(float(x) - LEFT, label) for x, _, how, label in texts if "middle" in how]
    upwards = [(BOTTOM - float(y) + 5, label) for _, y, how, label in texts if '"end"' in how]
    (width, kwh), (height, price) = across[-1], upwards[-1]
    return float(kwh.replace(",", "")) * 1_000 / width, float(price.replace(",", "")) / height


def test_the_gain_is_shaded_to_scale() -> None:
    for terms in ({}, {"rule": "pay_as_bid"}, {"rule": "truthful"}):
        book = cleared(PLAIN, **terms)
        drawing = curves(book)
        wh_per_pixel, price_per_pixel = scale(drawing)
        shaded = area(shape(drawing, "gain")) * wh_per_pixel / 1_000 * price_per_pixel
        assert shaded == pytest.approx(book.gain / 10**8, rel=0.01)


def test_what_preferences_cost_is_shaded_apart() -> None:
    orders = [
        ("buy", 300, "0.30"),
        ("buy", 200, "0.10"),
        ("sell", 300, "0.28"),
        ("sell", 200, "0.05"),
    ]
    book = cleared(orders, {0: {"partners": ["p2"]}})
    drawing = curves(book)
    wh_per_pixel, price_per_pixel = scale(drawing)
    shaded = area(shape(drawing, "gain")) - area(shape(drawing, "lost"))
    assert shape(drawing, "lost")
    gain = shaded * wh_per_pixel / 1_000 * price_per_pixel
    assert gain == pytest.approx(book.gain / 10**8, rel=0.01)
    assert not shape(curves(cleared(orders)), "lost")


def test_the_cleared_point_stands_at_volume_and_price() -> None:
    drawing = curves(cleared(PLAIN))
    [(x, y)] = re.findall(r'class="point" cx="([\d.]+)" cy="([\d.]+)"', drawing)
    wh_per_pixel, price_per_pixel = scale(drawing)
    assert (float(x) - LEFT) * wh_per_pixel == pytest.approx(700, rel=0.01)
    assert (BOTTOM - float(y)) * price_per_pixel == pytest.approx(0.175, rel=0.01)


def test_two_prices_are_two_points_and_no_trade_is_none() -> None:
    drawing = curves(cleared(PLAIN, rule="truthful"))
    assert drawing.count('class="point"') == 2
    nothing = curves(cleared([("buy", 400, "0.05"), ("sell", 500, "0.10")]))
    assert 'class="point"' not in nothing
    assert not shape(nothing, "gain")
    assert "Nothing is traded" in nothing


def test_prices_of_their_own_are_drawn_and_unnamed_limits_shade_no_gain() -> None:
    assert shape(curves(cleared(PLAIN, rule="pay_as_bid")), "paid")
    assert not shape(curves(cleared(PLAIN)), "paid")
    unnamed = curves(cleared([("buy", 400, None), *PLAIN[3:]], rule="pay_as_offer"))
    assert not shape(unnamed, "gain")
    assert "without a price" in unnamed


def test_a_large_book_is_drawn_in_few_corners_and_within_half_a_pixel() -> None:
    chance = Random(7)
    orders = [
        (side, chance.randrange(1, 5_000), f"{chance.uniform(0.05, 0.35):.5f}")
        for side in ("buy", "sell") * 5_000
    ]
    book = cleared(orders)
    drawing = curves(book)
    wh_per_pixel, price_per_pixel = scale(drawing)
    for style, side, best_first in (
        ("demand", book.file.book.buy, lambda order: -order[1]),
        ("supply", book.file.book.sell, lambda order: order[1]),
    ):
        line = shape(drawing, style)
        assert len(line) <= 2 * CORNERS_MAX + 2
        end = 0.0
        heights = dict(line)
        assert len(heights) > 100
        for wh, price in sorted(
            zip(side.wh.tolist(), side.price.tolist(), strict=True), key=best_first
        ):
            x = LEFT + (end + wh / 2) / wh_per_pixel
            y = BOTTOM - price / 10**5 / price_per_pixel
            assert _reaches(line, x, y, 2.0 / GRID), (style, x, y)
            end += wh


def _reaches(line: list[Point], x: float, y: float, slack: float) -> bool:
    """Whether a line passes within so many pixels of a point."""
    return any(
        min(ax, bx) - slack <= x <= max(ax, bx) + slack
        and min(ay, by) - slack <= y <= max(ay, by) + slack
        for (ax, ay), (bx, by) in pairwise(line)
    )


def test_far_outliers_are_cut_off_and_said() -> None:
    night = [("buy", 900_000, "0.30"), ("buy", 10, "999"), ("sell", 500, "0.10")]
    drawing = curves(cleared(night))
    assert "orders go on to 900.01 kWh and 999.00 EUR per kWh" in drawing
    wh_per_pixel, price_per_pixel = scale(drawing)
    assert (RIGHT - LEFT) * wh_per_pixel < 5_000
    assert (BOTTOM - TOP) * price_per_pixel < 2
    assert "go on" not in curves(cleared(PLAIN))


prices = st.one_of(st.integers(0, 40), st.just(10**9), st.integers(0, 10**9))
sizes = st.one_of(st.integers(1, 50), st.just(ORDER_WH_MAX), st.integers(1, 10**6))
some_orders = st.lists(st.tuples(st.sampled_from(["buy", "sell"]), sizes, prices), max_size=8)


@effort(1)
@given(
    some_orders, sizes, sizes, prices, prices,
    st.sampled_from(["uniform_price", "pay_as_bid", "pay_as_offer", "truthful"]),
)  # fmt: skip
def test_any_book_stays_inside_the_plot(
    orders: list[tuple[str, int, int]], wh: int, other_wh: int, bid: int, offer: int, rule: str
) -> None:
    both = [("buy", wh, bid), ("sell", other_wh, offer), *orders]
    texts = [(side, size, f"{price // 10**5}.{price % 10**5:05d}") for side, size, price in both]
    if sum(size * price for _, size, price in both) >= 2**63:
        return
    drawing = curves(cleared(texts, rule=rule))
    ET.fromstring(drawing)
    for style in ("demand", "supply", "paid", "gain", "lost"):
        for x, y in shape(drawing, style):
            assert LEFT <= x <= RIGHT
            assert TOP <= y <= BOTTOM
    assert "nan" not in drawing


def test_it_is_named_for_those_who_listen_and_follows_light_and_dark() -> None:
    drawing = curves(cleared(PLAIN))
    assert "prefers-color-scheme: dark" in drawing
    assert '<title id="t">0.700 kWh traded at 0.175 EUR per kWh</title>' in drawing
    [described] = re.findall(r"<desc[^>]*>(.*)</desc>", drawing)
    for words in ("Buy orders, dearest first: 3 for 1.200 kWh", "uniform_price", "0.06300000 EUR"):
        assert words in described
    assert "href" not in drawing
    assert "EUR per kWh</text>" in drawing
    assert "kWh</text>" in drawing


def test_the_same_book_is_the_same_picture_in_any_order() -> None:
    lines = [
        {"id": f"o{n}", "side": side, "participant": f"p{n}", "energy_wh": wh, "price": price}
        for n, (side, wh, price) in enumerate(PLAIN)
    ]
    one, other = (json.dumps({"orders": orders}).encode() for orders in (lines, lines[::-1]))
    assert curves(clear_book(read_book(one))) == curves(clear_book(read_book(other)))

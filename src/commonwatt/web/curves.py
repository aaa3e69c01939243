"""The curves of a cleared order book as one SVG drawing: supply, demand, cleared point, gain.

To the right runs energy, upwards price. Buy orders stand side by side from the dearest, sell orders
from the cheapest, each as wide as its energy. Where the two lines meet, nothing is left to gain.
Between those served lies the gain from trade.
"""

from collections.abc import Iterator
from html import escape

import numpy as np

from commonwatt.market.book_answer import ClearedBook
from commonwatt.market.columns import exact_sum
from commonwatt.market.orders import Side
from commonwatt.web.curve_steps import BOTTOM, LEFT, RIGHT, TOP, Corners, Frame, Steps, meeting
from commonwatt.web.report import exact
from commonwatt.web.report.scale import value_ticks

WIDTH, HEIGHT = 860, 540
MARGIN = 24
LETTER = 7.4
"""Pixels of a letter of the legend, about: it wraps a little early rather than late."""
SWATCH = 26
LEGEND_TOP, LEGEND_ROW = 86, 22

STYLE = """\
.paper { fill: #fefdf9 } .ink { fill: #1d1b18 } .soft { fill: #5b5750 }
.grid { stroke: #e4dfd2 } .axis { stroke: #5b5750 }
.curve { fill: none; stroke-width: 2.5; stroke-linejoin: round }
.demand { stroke: #7a56b3 } .supply { stroke: #b87300 }
.paid { stroke: #1d1b18; stroke-width: 1.5; stroke-dasharray: 6 4 }
.gain { fill: #00806b; fill-opacity: .22 } .lost { fill: #b3261e; fill-opacity: .2 }
.guide { stroke: #1d1b18; stroke-width: 1.2; stroke-dasharray: 2 4 }
.point { fill: #1d1b18; stroke: #fefdf9; stroke-width: 2 }
.head { font-size: 21px; font-weight: 700 } .text { font-size: 15px } .small { font-size: 14px }
@media (prefers-color-scheme: dark) {
.paper { fill: #191816 } .ink { fill: #f1eee6 } .soft { fill: #b9b3a6 }
.grid { stroke: #35322c } .axis { stroke: #b9b3a6 }
.demand { stroke: #b295ea } .supply { stroke: #f0a830 } .paid { stroke: #f1eee6 }
.gain { fill: #35b59b; fill-opacity: .3 } .lost { fill: #ff8f85; fill-opacity: .28 }
.guide { stroke: #f1eee6 } .point { fill: #f1eee6; stroke: #191816 }
}
"""
GIVEN_UP = (
    " Some of the orders served lie beyond the point where the lines meet: what that takes off the "
    "gain is shaded apart."
)
FONTS = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', sans-serif"


def curves(cleared: ClearedBook) -> str:
    """Draw a cleared order book; the text of an SVG file."""
    picture = _Picture(cleared)
    box = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
    return "\n".join(
        [
            f'<svg {box} role="img" aria-labelledby="t d" font-family="{FONTS}">',
            f'<title id="t">{escape(picture.title)}</title>',
            f'<desc id="d">{escape(picture.description)}</desc>',
            f"<style>\n{STYLE}</style>",
            f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="14"/>',
            *picture.words(),
            *picture.axes(),
            *picture.areas(),
            *picture.lines(),
            *picture.points(),
            "</svg>",
            "",
        ]
    )


class _Picture:
    """What is drawn, part by part."""

    def __init__(self, cleared: ClearedBook) -> None:
        """Lay out the axes around the cleared point."""
        file, book = cleared.file, cleared.file.book
        self._cleared, self._currency = cleared, file.currency
        self._demand = Steps.of(book.buy.price, book.buy.wh, falling=True)
        self._supply = Steps.of(book.sell.price, book.sell.wh)
        self._bought = Steps.of(book.buy.price, cleared.buy_filled, falling=True)
        self._sold = Steps.of(book.sell.price, cleared.sell_filled)
        self._points = self._cleared_prices()
        priced = book.buy.price[~file.unpriced]
        self._highest = max(int(priced.max(initial=0)), int(book.sell.price.max()))
        near = max(self._points) if self._points else int(book.sell.price.min())
        self._most_wh = max(exact_sum(book.buy.wh), exact_sum(book.sell.wh))
        self._frame = Frame.around((cleared.volume_wh, self._most_wh), (near, self._highest))
        self._has_gain = bool(self._points) and not file.unpriced[cleared.trades.buy].any()
        """An order without a price does not say what it gains."""
        self._meeting = meeting(self._bought, self._sold) if self._has_gain else 0

    def _cleared_prices(self) -> tuple[int, ...]:
        """Heights of the cleared point: one, or two where buyers and sellers have two prices."""
        cleared = self._cleared
        if not len(cleared.trades.wh):
            return ()
        if cleared.buy_price is None or cleared.sell_price is None:
            # Each trade has its own price; the curves meet between the last orders served.
            last = int(self._sold.price[-1])
            unpriced = cleared.file.unpriced[cleared.trades.buy].any()
            return (last if unpriced else (int(self._bought.price[-1]) + last) // 2,)
        return tuple(sorted({cleared.buy_price, cleared.sell_price}))

    @property
    def title(self) -> str:
        """The outcome in one line."""
        cleared = self._cleared
        if not self._points:
            return "Nothing is traded: no buy order meets a sell order"
        energy = f"{exact.kwh(cleared.volume_wh)} kWh"
        if cleared.buy_price is None or cleared.sell_price is None:
            return f"{energy} traded, each trade at its own price"
        if cleared.buy_price != cleared.sell_price:
            return f"{energy} traded at two prices"
        where = "traded, after preferences at" if cleared.preferred else "traded at"
        return f"{energy} {where} {self._price(cleared.buy_price)}"

    @property
    def description(self) -> str:
        """What the picture shows, for those who cannot see it."""
        book = self._cleared.file.book
        return (
            f"Demand and supply over energy in kWh, by price in {self._unit}. "
            f"Buy orders, dearest first: {_count(book.buy)}. "
            f"Sell orders, cheapest first: {_count(book.sell)}. {self.title}. {self._terms}."
            f"{GIVEN_UP if self._has_loss else ''}"
        )

    @property
    def _terms(self) -> str:
        """Rule, parameters and gain."""
        cleared, code = self._cleared, self._currency.code
        parts = [f"Rule {cleared.file.rule}"]
        if cleared.price_rule is not None:
            parts.append(f"price rule {cleared.price_rule}")
        if cleared.split is not None:
            parts.append(f"split {cleared.split}")
        if len(self._points) > 1:
            low, high = map(self._bare_price, self._points)
            parts.append(f"buyers pay {high}, sellers get {low}")
        if self._has_gain:
            parts.append(f"gain {exact.money(cleared.gain, self._currency.decimals)} {code}")
        return ", ".join(parts)

    @property
    def _unit(self) -> str:
        return f"{self._currency.code} per kWh"

    def _price(self, units: int) -> str:
        return f"{self._bare_price(units)} {self._unit}"

    def _bare_price(self, units: int) -> str:
        return exact.price(units, self._currency.decimals, self._currency.code)

    def words(self) -> Iterator[str]:
        """Heading and legend."""
        yield _text("head ink", LEFT, 36, self.title)
        yield _text("text soft", LEFT, 60, self._terms)
        x, y = LEFT, LEGEND_TOP
        for shape, name in self._legend():
            width = SWATCH + int(len(name) * LETTER)
            if x + width > RIGHT:
                x, y = LEFT, y + LEGEND_ROW
            yield shape.format(x=x, y=y - 5, top=y - 11)
            yield _text("small ink", x + SWATCH, y, name)
            x += width + 20

    def _legend(self) -> Iterator[tuple[str, str]]:
        line = '<path class="curve {}" d="M{{x}} {{y}}h18"/>'
        area = '<rect class="{}" x="{{x}}" y="{{top}}" width="18" height="12"/>'
        yield line.format("demand"), "buy orders, dearest first"
        yield line.format("supply"), "sell orders, cheapest first"
        if self._has_gain:
            yield area.format("gain"), "gain from trade"
            if self._has_loss:
                yield area.format("lost"), "gain given up"
        if self._has_own_prices:
            yield line.format("paid"), "price of each trade"

    @property
    def _has_loss(self) -> bool:
        return self._has_gain and self._meeting < self._cleared.volume_wh

    @property
    def _has_own_prices(self) -> bool:
        cleared = self._cleared
        return bool(self._points) and (cleared.buy_price is None or cleared.preferred > 0)

    def axes(self) -> Iterator[str]:
        """Round numbers along both axes, and what they count."""
        frame = self._frame
        for tick in value_ticks(int(frame.price)):
            if tick <= frame.price:
                y = frame.y(tick)
                yield f'<path class="{"grid" if tick else "axis"}" d="M{LEFT} {y:g}H{RIGHT}"/>'
                yield _text("small soft", LEFT - 10, y + 5, self._bare_price(tick), "end")
        for tick in value_ticks(int(frame.wh)):
            if tick <= frame.wh:
                x = frame.x(tick)
                yield f'<path class="axis" d="M{x:g} {BOTTOM}v5"/>'
                yield _text("small soft", x, BOTTOM + 22, exact.short_kwh(tick), "middle")
        yield _text("small soft", MARGIN, TOP - 8, self._unit)
        yield _text("small soft", RIGHT, HEIGHT - 18, "kWh", "end")
        yield _text("small soft", LEFT, HEIGHT - 18, " ".join(self._notes()))

    def _notes(self) -> Iterator[str]:
        beyond = []
        if self._frame.wh_cut:
            beyond.append(f"{exact.short_kwh(self._most_wh)} kWh")
        if self._frame.price_cut:
            beyond.append(self._price(self._highest))
        if beyond:
            yield f"Cut off here: orders go on to {' and '.join(beyond)}."
        if self._cleared.file.unpriced.any():
            yield "Buy orders without a price are drawn at the top."

    def areas(self) -> Iterator[str]:
        """The gain, shaded between the orders served."""
        if not self._has_gain:
            return
        volume = self._cleared.volume_wh
        for style, start, end in (("gain", 0, self._meeting), ("lost", self._meeting, volume)):
            if start < end:
                upper, lower = (
                    self._frame.corners(side.between(start, end), start)
                    for side in (self._bought, self._sold)
                )
                outline = _outline(upper, lower, self._frame.x(start))
                yield f'<path class="{style}" d="{outline}"/>'

    def lines(self) -> Iterator[str]:
        """Both curves, and where trades have prices of their own, these."""
        frame = self._frame
        for style, steps, end in (("demand", self._demand, BOTTOM), ("supply", self._supply, TOP)):
            # Beyond its last order demand pays nothing, and supply gives nothing at any price.
            close = "" if steps.ends[-1] > frame.wh else f"V{end}"
            seen = frame.corners(steps.between(0, int(frame.wh)))
            yield f'<path class="curve {style}" d="{_line(seen)}{close}"/>'
        if self._has_own_prices:
            trades = self._cleared.trades
            paid = frame.corners(Steps.of(trades.price, trades.wh))
            yield f'<path class="curve paid" d="{_line(paid)}"/>'

    def points(self) -> Iterator[str]:
        """The cleared point, with lines to both axes."""
        x = self._frame.x(self._cleared.volume_wh)
        for price in self._points:
            y = self._frame.y(price)
            yield f'<path class="guide" d="M{LEFT} {y:g}H{x:g}V{BOTTOM}" fill="none"/>'
            yield f'<circle class="point" cx="{x:g}" cy="{y:g}" r="6"/>'


def _count(side: Side) -> str:
    return f"{len(side.wh):,} for {exact.kwh(exact_sum(side.wh))} kWh"


def _line(corners: Corners, start: float = LEFT) -> str:
    """A path along the corners."""
    first = f"M{start:g} {corners[0, 1]:g}"
    return first + "".join(f"V{y:g}H{x:g}" for x, y in corners)


def _outline(upper: Corners, lower: Corners, start: float) -> str:
    """A path around what lies between two lines with the same ends."""
    # Backwards a step begins at its right end: down to its height, then left to where it started.
    lefts = np.concatenate(([start], lower[:-1, 0]))
    back = zip(lower[::-1, 1], lefts[::-1], strict=True)
    return _line(upper, start) + "".join(f"V{y:g}H{x:g}" for y, x in back) + "Z"


def _text(style: str, x: float, y: float, words: str, anchor: str = "start") -> str:
    at = f'x="{x:g}" y="{y:g}"' + ("" if anchor == "start" else f' text-anchor="{anchor}"')
    return f'<text class="{style}" {at}>{escape(words)}</text>'

"""Charts as SVG that fit any width without scaling their letters.

A chart is an outer `<svg>` as wide as its column and of fixed height. The shapes stand in an inner
one whose viewBox of `WIDTH` by `HEIGHT` is stretched to fit; lines and letters stand outside of it
at positions in per cent, so that a phone shows the same drawing with letters of the same size.
Colours are classes, set by the style sheet for light, dark and paper. Floats are fine here: nothing
that is counted comes out of this module.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log10

from markupsafe import Markup

from commonwatt.web.report.grouping import Bucket

WIDTH = 1_000
HEIGHT = 200
TOP = 22
"""Pixels above the plot, where a label of the highest line finds room."""
BOTTOM = 26
"""Pixels below the plot, for the labels of time."""
LABEL_DROP = 18
LABEL_LIFT = 6
DIGIT_HALF = 4


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers to draw, one per bucket."""

    style: str
    """Class of the shape; its colour is set by the style sheet."""
    values: tuple[int, ...]
    """Not negative."""


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line at one value, with its name."""

    style: str
    value: int
    label: str
    below: bool = False
    """The name stands under the line."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A label on the axis of time."""

    at: int
    """UTC seconds."""
    label: str
    narrow: bool
    """Shown on narrow screens too."""


@dataclass(frozen=True, slots=True)
class Caption:
    """What a chart says to those who cannot see it."""

    ident: str
    """Unique in the page."""
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What every chart over time has: the time, the axes and a caption."""

    buckets: Sequence[Bucket]
    """At least one."""
    marks: Sequence[Mark]
    ticks: Sequence[int]
    """From 0 to the top of the axis, rising."""
    tick_text: Callable[[int], str]
    caption: Caption

    def x(self, seconds: int) -> float:
        """Where a moment lies, 0 to 1."""
        start, end = self.buckets[0].start, self.buckets[-1].end
        return (seconds - start) / (end - start)

    def y(self, value: int) -> float:
        """How far below the top of the plot a value lies, in pixels."""
        return HEIGHT * (1 - value / self.ticks[-1])


def stacked(frame: Frame, series: Sequence[Series]) -> Markup:
    """Bars without gaps, stacked, the first series at the bottom."""
    tops = [0] * len(frame.buckets)
    shapes: list[Markup] = []
    for one in series:
        tops = [below + value for below, value in zip(tops, one.values, strict=True)]
        shape = Markup('<path class="area {}" d="{}"/>').format(one.style, _area(frame, tops))
        # Each layer reaches down to the axis and the lower ones cover it: no seams between them.
        shapes.insert(0, shape)
    return _chart(frame, shapes, ())


def stepped(frame: Frame, line: Series, levels: Sequence[Level], room: tuple[int, int]) -> Markup:
    """A line of steps that breaks off where its value is 0, between named levels.

    `room` are the two values between which the background is tinted.
    """
    bottom, top = sorted((frame.y(room[0]), frame.y(room[1])))
    tint = Markup('<rect class="room" x="0" y="{}" width="{}" height="{}"/>').format(
        _number(bottom), WIDTH, _number(top - bottom)
    )
    path = Markup('<path class="line {}" d="{}"/>')
    steps = path.format(line.style, _steps(frame, line.values))
    return _chart(frame, (tint, steps), levels)


def bars(without: int, with_: int, low: int, high: int) -> Markup:
    """Two thin bars from zero for a table's row, on the scale `low` <= 0 <= `high`."""
    width = max(high - low, 1)

    def bar(value: int, style: str, y: int) -> Markup:
        left, right = sorted(((0 - low) / width * WIDTH, (value - low) / width * WIDTH))
        return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="5"/>').format(
            style, _number(left), y, _number(right - left)
        )

    zero = _number(-low / width * WIDTH)
    return Markup(
        '<svg class="bars" viewBox="0 0 {w} 14" preserveAspectRatio="none" aria-hidden="true">'
        '{a}{b}<path class="zero" d="M{z} 0V14"/></svg>'
    ).format(w=WIDTH, a=bar(without, "without", 1), b=bar(with_, "with", 8), z=zero)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of waiting on the logarithmic axis of time."""

    style: str
    shortest_s: float
    longest_s: float
    name: str
    """Who."""
    label: str
    """How long, in words."""


LOG_END_S = 100 * 86_400
LOG_ROW = 44


def logarithmic(spans: Sequence[Span], marks: Sequence[Mark], caption: Caption) -> Markup:
    """Stretches of time between a second and a hundred days, one row each."""
    height = LOG_ROW * len(spans)
    grid = Markup('<line class="grid" x1="{x}" x2="{x}" y1="0" y2="{y}"/>')
    pieces = [grid.format(x=_log_x(mark.at), y=height) for mark in marks]
    name = Markup('<text class="name" x="{}" y="{}"{}>{} <tspan class="strong">{}</tspan></text>')
    for row, span in enumerate(spans):
        left, right = _log_x(span.shortest_s), _log_x(span.longest_s)
        middle = LOG_ROW * row + 32
        ends = Markup('x1="{}" x2="{}" y1="{y}" y2="{y}"').format(left, right, y=middle)
        late = span.longest_s > LOG_END_S**0.5
        stem = Markup('<line class="stem" x2="{}" y1="{y}" y2="{y}"/>').format(left, y=middle)
        pieces.append(stem + Markup('<line class="span {}" {}/>').format(span.style, ends))
        side = Markup(' text-anchor="end"') if late else ""
        at = right if late else left
        pieces.append(name.format(at, middle - 13, side, span.name, span.label))
    pieces.extend(_time_label(_log_x(m.at), height, m) for m in marks)
    return _outer("log", height + BOTTOM, caption, pieces)


def _log_x(seconds: float) -> str:
    inside = min(max(seconds, 1.0), LOG_END_S)
    return _per_cent(log10(inside) / log10(LOG_END_S))


def _chart(frame: Frame, shapes: Sequence[Markup], levels: Sequence[Level]) -> Markup:
    pieces: list[Markup] = []
    for tick in frame.ticks:
        y = TOP + frame.y(tick)
        pieces.append(
            Markup('<line class="grid" x2="100%" y1="{y}" y2="{y}"/>').format(y=_number(y))
        )
        label = Markup('<text class="tick" x="-8" y="{}" text-anchor="end">{}</text>')
        pieces.append(label.format(_number(y + DIGIT_HALF), frame.tick_text(tick)))
    for level in levels:
        y = TOP + frame.y(level.value)
        line = Markup('<line class="level {}" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
        pieces.append(line.format(level.style, y=_number(y)))
    pieces.append(
        Markup(
            '<svg class="plot" x="0" y="{}" width="100%" height="{}" viewBox="0 0 {} {}"'
            ' preserveAspectRatio="none">{}</svg>'
        ).format(TOP, HEIGHT, WIDTH, HEIGHT, Markup().join(shapes))
    )
    axis = Markup('<line class="axis" x2="100%" y1="{y}" y2="{y}"/>').format(y=TOP + HEIGHT)
    pieces.append(axis)
    for level in levels:
        y = TOP + frame.y(level.value)
        label_y = y + LABEL_DROP - 2 if level.below else y - LABEL_LIFT
        text = Markup('<text class="name" x="100%" y="{}" text-anchor="end">{}</text>')
        pieces.append(text.format(_number(label_y), level.label))
    height = TOP + HEIGHT
    pieces.extend(_time_label(_per_cent(frame.x(m.at)), height, m) for m in frame.marks)
    return _outer("time", height + BOTTOM, frame.caption, pieces)


def _outer(style: str, height: int, caption: Caption, pieces: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="chart {s}" height="{h}" role="img" aria-labelledby="{i}-t {i}-d">'
        '<title id="{i}-t">{t}</title><desc id="{i}-d">{d}</desc>{p}</svg>'
    ).format(
        s=style,
        h=height,
        i=caption.ident,
        t=caption.title,
        d=caption.description,
        p=Markup().join(pieces),
    )


def _time_label(x: str, height: int, mark: Mark) -> Markup:
    style = "tick" if mark.narrow else "tick wide"
    text = Markup('<text class="{}" x="{}" y="{}" text-anchor="middle">{}</text>')
    return text.format(style, x, height + LABEL_DROP, mark.label)


def _area(frame: Frame, values: Sequence[int]) -> str:
    """A filled outline of steps down to the axis; time without a bucket stays empty."""
    path: list[str] = []
    end = None
    for bucket, value in zip(frame.buckets, values, strict=True):
        x0, x1, y = _x(frame, bucket.start), _x(frame, bucket.end), _number(frame.y(value))
        if bucket.start == end:
            path.append(f"V{y}H{x1}")
        else:
            path.append(f"{f'V{HEIGHT}Z' if path else ''}M{x0} {HEIGHT}V{y}H{x1}")
        end = bucket.end
    return "".join([*path, f"V{HEIGHT}Z"])


def _steps(frame: Frame, values: Sequence[int]) -> str:
    """A line of steps; where the value is 0 there is none."""
    path: list[str] = []
    end = None
    for bucket, value in zip(frame.buckets, values, strict=True):
        if value:
            x0, x1, y = _x(frame, bucket.start), _x(frame, bucket.end), _number(frame.y(value))
            path.append(f"V{y}H{x1}" if bucket.start == end else f"M{x0} {y}H{x1}")
            end = bucket.end
    return "".join(path)


def _x(frame: Frame, seconds: int) -> str:
    return _number(frame.x(seconds) * WIDTH)


def _number(value: float) -> str:
    """One decimal is a fifth of a pixel on the widest page."""
    text = f"{value:.1f}"
    return text.removesuffix(".0")


def _per_cent(fraction: float) -> str:
    return f"{100 * fraction:.2f}%"

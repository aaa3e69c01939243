"""Colours can be read: contrast as WCAG 2 asks, in light and in dark."""

import re
from importlib.resources import files

import pytest

TEXT, SHAPE = 4.5, 3.0
WORN_BY_TEXT = ("ink", "quiet", "good", "bad")
WORN_BY_SHAPES = ("sun", "battery", "neighbour", "supplier", "leaf")


def palettes() -> dict[str, dict[str, str]]:
    style = files("commonwatt.web.report").joinpath("template/report.css").read_text("utf-8")
    light, dark = re.findall(r":root \{([^}]*--ink[^}]*)\}", style)
    colours = {
        name: dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block))
        for name, block in (("light", light), ("dark", dark))
    }
    colours["print"] = colours["light"] | {"paper": "#ffffff"}
    return colours


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("name", ["light", "dark", "print"])
def test_colours_stand_out_from_the_paper(name: str) -> None:
    palette = palettes()[name]
    for colour in WORN_BY_TEXT:
        for ground in ("paper", "shade"):
            assert contrast(palette[colour], palette[ground]) >= TEXT, (colour, ground)
    for colour in WORN_BY_SHAPES:
        assert contrast(palette[colour], palette["paper"]) >= SHAPE, colour

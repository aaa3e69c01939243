"""The table as people read it, in 100 columns."""

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from textwrap import wrap

from bench.figure import Figure, Section

WIDTHS = (38, 9, 8, 10, 8, 21, 6)
"""What, value, unit, target, verdict, runs, CPU seconds."""

ALIGNMENTS = "<><><>>"
WIDTH = sum(WIDTHS)


def machine() -> str:
    """What the figures are of."""
    return (
        f"commonwatt {version('commonwatt')}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    )


def lines_of(sections: Sequence[Section], cpu_seconds: float) -> Iterator[str]:
    """The lines, without their ends."""
    yield machine()
    yield "CPU s is user and system time; of several runs the median, their number and range"
    yield ""
    yield _row(("what", "figure", "", "target", " verdict", "runs", "CPU s"))
    for section in sections:
        yield "-" * WIDTH
        yield section.title
        for figure in section.figures:
            yield from _figure(figure)
    yield "-" * WIDTH
    yield f"{_counted(sections)}; {cpu_seconds:.0f} CPU s altogether"


def _figure(figure: Figure) -> Iterator[str]:
    value = figure.value
    shown = "" if value is None else _number(figure, value)
    spent = "" if figure.cpu_seconds is None else f"{figure.cpu_seconds:.1f}"
    cells = (f" {figure.unit}", _target(figure), f" {figure.verdict}", _runs(figure), spent)
    yield _row((f"  {figure.what}", shown, *cells))
    if figure.failure is not None:
        indent = "    "
        yield from wrap(figure.failure, WIDTH, initial_indent=indent, subsequent_indent=indent)


def _row(cells: Sequence[str]) -> str:
    aligned = zip(cells, ALIGNMENTS, WIDTHS, strict=True)
    return "".join(f"{text:{side}{width}}" for text, side, width in aligned).rstrip()


def _number(figure: Figure, value: float) -> str:
    return f"{value:,.{figure.digits}f}"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{'>=' if figure.at_least else '<='} {figure.target:,g}"


def _runs(figure: Figure) -> str:
    if len(figure.runs) <= 1:
        return ""
    least, most = _number(figure, min(figure.runs)), _number(figure, max(figure.runs))
    return f"{len(figure.runs)}: {least} to {most}"


def _counted(sections: Iterable[Section]) -> str:
    verdicts = [figure.verdict for section in sections for figure in section.figures]
    missed = sum(verdict in {"above", "below"} for verdict in verdicts)
    said = [f"{verdicts.count('ok')} within their targets", f"{missed} outside"]
    if "failed" in verdicts:
        said.append(f"{verdicts.count('failed')} could not be measured")
    return ", ".join(said)

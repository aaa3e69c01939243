"""The page: the run's numbers, tables and charts filled into the template, once per language."""

from base64 import b64encode
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from commonwatt.web.report import exact
from commonwatt.web.report.data import ReportData
from commonwatt.web.report.figures import SINKS, SOURCES, figures_of, series
from commonwatt.web.report.grouping import DAY_S, group
from commonwatt.web.report.phrases import Phrases
from commonwatt.web.report.pictures import Pictures
from commonwatt.web.report.tables import Tables
from commonwatt.web.report.words import LANGUAGES, Language

PACKAGE = "commonwatt.web.report"


@dataclass(frozen=True, slots=True)
class Page:
    """What the template reads for one language."""

    phrases: Phrases
    tables: Tables
    pictures: Pictures


def render(data: ReportData, first: Language = "ko") -> str:
    """The whole report as one HTML file that fetches nothing.

    Args:
        data: the run.
        first: the language shown where the browser does not run the script that picks one.
    """
    figures = figures_of(data)
    grouping = group(data.starts, data.interval_s, data.utc_offset_s)
    pages = []
    for language in LANGUAGES:
        phrases = Phrases(language, data.interval_s, data.utc_offset_s)
        pages.append(
            Page(
                phrases,
                Tables(data, figures, grouping, phrases),
                Pictures(data, figures, grouping, phrases),
            )
        )
    script = _source("report.js")
    return _template().render(
        data=data,
        figures=figures,
        grouping=grouping,
        pages=pages,
        first=first,
        sources=SOURCES,
        sinks=SINKS,
        style=_source("report.css"),
        script=script,
        # The browser runs this script and no other, whatever a name or a title may contain.
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
        one_day=not data.starts or data.starts[-1] - data.starts[0] < DAY_S,
        peak=_peak(data),
        kwh=exact.kwh,
        share=exact.share,
        price=partial(exact.price, decimals=data.decimals, currency=data.currency),
        amount=partial(exact.money_markup, decimals=data.decimals, currency=data.currency),
    )


def _peak(data: ReportData) -> int | None:
    """The interval in which neighbours provided most; None if they never did."""
    energies = series(data, "from_neighbours")
    highest = max(energies, default=0)
    return energies.index(highest) if highest else None


@cache
def _template() -> Template:
    return Environment(
        loader=PackageLoader(PACKAGE, "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("report.html.j2")


@cache
def _source(name: str) -> Markup:
    """A file of ours that goes into the page as it is."""
    text = files(PACKAGE).joinpath("template", name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - shipped with the package, not given by anybody

"""The page of a retirement's statement: one HTML file, in Korean and English, for a browser alone.

It says no more than the statement does, every digit of it, and how to check it. It looks like the
report and keeps to the same terms: nothing is fetched, and without JavaScript everything works.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from commonwatt.certificate.retirement import (
    STORAGE,
    IntervalOf,
    RetirementStatement,
    statement_bytes,
    statement_digest,
)
from commonwatt.quantity import time_text
from commonwatt.web.report import exact
from commonwatt.web.report.words import LANGUAGES, Language

_KOREAN = {
    "language": "한국어",
    "kicker": "열린 전력 장부 Commonwatt",
    "title": "전력 인증서 사용 확인서",
    "lede": (
        "아래의 전력량은 이 확인서에 적힌 수혜자와 목적을 위해 한 번 사용되었습니다. 다시 옮기거나"
        " 쓸 수 없으며, 사용을 주장할 수 있는 것은 수혜자뿐입니다."
    ),
    "amount": "사용된 전력량",
    "units": "단위 번호 {first}번부터 {last}번까지, 단위 하나는 1 Wh입니다.",
    "used_head": "누구를 위해, 무엇에",
    "beneficiary": "수혜자 계정",
    "purpose": "목적",
    "holder": "사용한 계정",
    "made_head": "어디서 만들어졌나",
    "source": "에너지원 (AIB 기술 코드)",
    "storage": "저장 장치에서 나온 전기",
    "meter": "계량기",
    "zone": "입찰 구역",
    "interval": "구간",
    "from_to": "{start} 이상, {end} 미만 (UTC)",
    "record": "근거가 된 기록의 SHA-256",
    "for_head": "어떤 소비에",
    "no_consumption": "특정 소비 구간을 지정하지 않았습니다.",
    "check_head": "확인하는 방법",
    "check_text": (
        "장부를 첫 줄부터 다시 실행한 뒤 아래 번호의 두 줄로 확인서를 다시 만듭니다. 한 글자라도"
        " 다르면 SHA-256이 달라집니다."
    ),
    "program": "프로그램으로 확인하기",
    "issued": "발급한 줄",
    "retired": "사용한 줄",
    "entry": "{number}번, {time} (UTC)",
    "line": "그 줄의 SHA-256",
    "bundle": "묶음 번호",
    "digest": "확인서의 SHA-256",
    "document": "확인서 원문 (끝에 줄바꿈 하나)",
}
_ENGLISH = {
    "language": "English",
    "kicker": "Commonwatt, an open energy ledger",
    "title": "Statement of used certificates",
    "lede": (
        "The energy below was used up once, for the beneficiary and the purpose this statement"
        " names. It cannot be moved or used again, and only the beneficiary may claim its use."
    ),
    "amount": "used up",
    "units": "Units {first} to {last}, both included, each of 1 Wh.",
    "used_head": "For whom, for what",
    "beneficiary": "Account of the beneficiary",
    "purpose": "Purpose",
    "holder": "Account that used it",
    "made_head": "Where it was made",
    "source": "Source (AIB technology code)",
    "storage": "from a storage device",
    "meter": "Meter",
    "zone": "Bidding zone",
    "interval": "Interval",
    "from_to": "from {start} until before {end} (UTC)",
    "record": "SHA-256 of the record behind it",
    "for_head": "For which consumption",
    "no_consumption": "No consumption was named.",
    "check_head": "How to check it",
    "check_text": (
        "Do the book's log again from its first line, and write the statement anew from the two"
        " lines named here. If one character differs, so does the SHA-256."
    ),
    "program": "With the program",
    "issued": "Line that issued it",
    "retired": "Line that used it up",
    "entry": "number {number}, {time} (UTC)",
    "line": "SHA-256 of that line",
    "bundle": "Bundle number",
    "digest": "SHA-256 of the statement",
    "document": "The statement itself (and one line feed)",
}
WORDS: Mapping[Language, Mapping[str, str]] = {"ko": _KOREAN, "en": _ENGLISH}
"""Every word of the page, the same keys in both languages."""

_PAGE = """
{% macro fact(name, value, code=false) %}
<div><dt>{{ name }}</dt><dd>
{%- if code %}<code>{{ value }}</code>{% else %}{{ value }}{% endif -%}
</dd></div>
{% endmacro %}
{% macro place(edition, interval) %}
{{ fact(edition.say("meter"), interval.meter, true) }}
{{ fact(edition.say("zone"), interval.zone) }}
{{ fact(edition.say("interval"), edition.interval(interval)) }}
{% endmacro %}
{% macro entry(edition, name, entry) %}
{{ fact(edition.say(name), edition.say("entry", number=entry.number, time=time(entry.time))) }}
{{ fact(edition.say("line"), entry.digest, true) }}
{% endmacro %}
{% macro article(edition) %}
{% set say = edition.say %}
<article lang="{{ edition.language }}" data-title="{{ say("title") }}">
<header>
<p class="kicker">{{ say("kicker") }}</p>
<h1>{{ say("title") }}</h1>
<p class="scenario">{{ say("lede") }}</p>
</header>
<section class="wide"><div class="words">
<p class="big"><data value="{{ s.wh }}">{{ kwh }}</data> <em>kWh</em></p>
<p>{{ say("amount") }}</p>
<p class="note">{{ say("units", first=s.first, last=s.end - 1) }}</p>
</div></section>
<section class="wide"><h2>{{ say("used_head") }}</h2>
<dl class="ledger">
{{ fact(say("beneficiary"), s.beneficiary, true) }}
{{ fact(say("purpose"), s.purpose) }}
{{ fact(say("holder"), s.holder, true) }}
</dl></section>
<section class="wide"><h2>{{ say("made_head") }}</h2>
<dl class="ledger">
{{ fact(say("source"), say("storage") if s.source == storage else s.source) }}
{{ place(edition, s.produced) }}
{{ fact(say("record"), s.record, true) }}
</dl></section>
<section class="wide"><h2>{{ say("for_head") }}</h2>
{% if s.consumption %}
<dl class="ledger">
{{ place(edition, s.consumption) }}
</dl>
{% else %}
<p class="nothing">{{ say("no_consumption") }}</p>
{% endif %}
</section>
<section class="wide"><h2>{{ say("check_head") }}</h2>
<p>{{ say("check_text") }}</p>
<dl class="ledger">
{{ fact(say("program"), "commonwatt certificate verify FOLDER b%d.json" % s.bundle, true) }}
{{ fact(say("bundle"), s.bundle) }}
{{ entry(edition, "issued", s.issued) }}
{{ entry(edition, "retired", s.retired) }}
{{ fact(say("digest"), digest, true) }}
{{ fact(say("document"), document, true) }}
</dl></section>
</article>
{% endmacro %}
<!DOCTYPE html>
<html lang="{{ first }}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src \
'unsafe-inline'; script-src 'sha256-{{ script_hash }}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ title }}</title>
<style>{{ style }}{{ own_style }}</style>
</head>
<body>
<main>
{% for edition in editions %}
<input type="radio" name="language" id="in-{{ edition.language }}" value="{{ edition.language }}"\
{{ " checked" if edition.language == first }}>
{% endfor %}
<div class="switch">
{% for edition in editions %}
<label for="in-{{ edition.language }}" lang="{{ edition.language }}">\
{{ edition.say("language") }}</label>
{% endfor %}
</div>
{% for edition in editions %}
{{ article(edition) }}
{% endfor %}
</main>
<script>{{ script }}</script>
</body>
</html>
"""

# On paper the report begins each wide section on a page of its own; a statement is one or two.
_STYLE = Markup(".wide > p { margin-bottom: 12px; } @media print { .wide { break-before: auto; } }")


@dataclass(frozen=True, slots=True)
class _Edition:
    """Speaks one language."""

    language: Language

    def say(self, key: str, **values: object) -> str:
        """The words of this key, their blanks filled."""
        return WORDS[self.language][key].format(**values)

    def interval(self, interval: IntervalOf) -> str:
        """An interval in UTC, half-open as it is."""
        return self.say("from_to", start=time_text(interval.start), end=time_text(interval.end))


def retirement_page(statement: RetirementStatement, first: Language = "ko") -> str:
    """A statement as one HTML file that fetches nothing.

    Args:
        statement: as read or written.
        first: the language shown where the browser does not run the script that picks one.
    """
    document = statement_bytes(statement)
    script = _source("report.js")
    return _template().render(
        s=statement,
        kwh=exact.kwh(statement.wh),
        storage=STORAGE,
        time=time_text,
        digest=statement_digest(document),
        document=document.decode().removesuffix("\n"),
        editions=[_Edition(language) for language in LANGUAGES],
        first=first,
        title=WORDS[first]["title"],
        style=_source("report.css"),
        own_style=_STYLE,
        script=script,
        # The browser runs this script and no other, whatever a purpose may contain.
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_PAGE.removeprefix("\n"))


@cache
def _source(name: str) -> Markup:
    """A file of ours that goes into the page as it is."""
    text = files("commonwatt.web.report").joinpath("template", name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - shipped with the package, not given by anybody

"""The page of a retirement: true to its statement, in both languages, and safe to open."""

import re
from html import unescape
from html.parser import HTMLParser
from string import Formatter

import msgspec
import pytest

from commonwatt.certificate.retirement import (
    STATEMENT_FORMAT,
    STORAGE,
    EntryOf,
    IntervalOf,
    RetirementStatement,
    statement_bytes,
    statement_digest,
)
from commonwatt.web.report.words import Language
from commonwatt.web.retirement_page import WORDS, retirement_page

NOON = 1_466_510_400
STATEMENT = RetirementStatement(
    format=STATEMENT_FORMAT,
    bundle=17,
    first=400,
    end=1_234_967,
    wh=1_234_567,
    holder="02" * 20,
    beneficiary="03" * 20,
    purpose="heating the hall",
    produced=IntervalOf(meter="a1" * 20, zone="DE-LU", start=NOON, end=NOON + 900),
    source="T010100",
    record="5c" * 32,
    consumption=IntervalOf(meter="a3" * 20, zone="FR", start=NOON, end=NOON + 3_600),
    issued=EntryOf(number=3, time=NOON + 1_000, digest="11" * 32),
    retired=EntryOf(number=8, time=NOON + 2_000, digest="22" * 32),
)
VOID = {"meta", "input"}
ATTACK = """</title><script>alert('x')</script><img src=x onerror="alert(1)">{{ 7*7 }}{x}&"""


class Reader(HTMLParser):
    """Reads a page as a browser would."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def page() -> str:
    return retirement_page(STATEMENT)


def test_every_fact_of_the_statement_stands_in_both_languages(page: str) -> None:
    for article in re.findall(r"<article.*?</article>", page, re.DOTALL):
        for fact in (
            STATEMENT.holder, STATEMENT.beneficiary, STATEMENT.purpose, STATEMENT.record,
            "T010100", "a1" * 20, "a3" * 20, "DE-LU", "FR", "11" * 32, "22" * 32, ">17<",
            "1,234.567", "1234966", "2016-06-21T12:00:00Z", "2016-06-21T12:15:00Z",
            "2016-06-21T13:00:00Z", "2016-06-21T12:16:40Z",
            statement_digest(statement_bytes(STATEMENT)),
        ):  # fmt: skip
            assert fact in article, fact
    assert page.count("<article") == 2


def test_the_document_on_the_page_has_the_digest_on_the_page(page: str) -> None:
    (one, other) = re.findall(r"<code>(\{&#34;format.*?)</code>", page)
    assert one == other
    text = unescape(one).encode() + b"\n"
    assert text == statement_bytes(STATEMENT)


def test_a_page_is_well_formed_and_fetches_nothing(page: str) -> None:
    for statement in (STATEMENT, msgspec.structs.replace(STATEMENT, consumption=None)):
        read = Reader(retirement_page(statement))
        assert read.open == []
        idents = [attrs["id"] for _, attrs in read.elements if "id" in attrs]
        assert len(idents) == len(set(idents))
        fetching = {"src", "href", "srcset", "action", "poster"}
        assert not any(fetching & attrs.keys() for _, attrs in read.elements)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", page)
    assert "default-src 'none'" in page
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='", page)


def test_a_purpose_cannot_become_an_element_or_a_script() -> None:
    forged = msgspec.structs.replace(
        STATEMENT,
        purpose=ATTACK,
        source=ATTACK,
        produced=IntervalOf(meter=ATTACK, zone=ATTACK, start=NOON, end=NOON + 900),
    )
    read = Reader(retirement_page(forged))
    assert read.open == []
    assert [tag for tag, _ in read.elements].count("script") == 1
    assert not any(tag == "img" for tag, _ in read.elements)
    assert not any(name.startswith("on") for _, attrs in read.elements for name in attrs)
    assert ATTACK in read.text


@pytest.mark.parametrize("first", ["ko", "en"])
def test_one_language_is_chosen_without_a_script(first: Language) -> None:
    read = Reader(retirement_page(STATEMENT, first))
    assert read.elements[0] == ("html", {"lang": first})
    chosen = [a["value"] for t, a in read.elements if t == "input" and "checked" in a]
    assert chosen == [first]
    assert WORDS[first]["title"] in read.text


def test_no_consumption_and_storage_are_said_in_words() -> None:
    plain = msgspec.structs.replace(STATEMENT, consumption=None, source=STORAGE)
    page = retirement_page(plain)
    for words in WORDS.values():
        assert words["no_consumption"] in page
        assert words["storage"] in page
    assert "a3" * 20 not in page


def test_both_languages_say_the_same_with_the_same_blanks() -> None:
    korean, english = WORDS["ko"], WORDS["en"]
    assert korean.keys() == english.keys()
    for key, sentence in english.items():
        blanks = [{n for _, n, _, _ in Formatter().parse(s) if n} for s in (sentence, korean[key])]
        assert blanks[0] == blanks[1], key
        assert key == "language" or not re.search(r"[\uac00-\ud7a3]", sentence)

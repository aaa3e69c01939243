"""Both languages say everything, and say it with the same blanks."""

import re
from importlib.resources import files
from pathlib import Path
from string import Formatter

import pytest

from commonwatt.web import report
from commonwatt.web.report.exact import MINUS
from commonwatt.web.report.phrases import Phrases
from commonwatt.web.report.words import LANGUAGES, WORDS, Language
from commonwatt.web.rule_words import rule_in_words
from markets import CHOICES, Choice

FREE_BLANKS = {"interval", "per"}
"""One language may need these where the other does not: `hour` against `15분 구간`."""


def blanks(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def test_both_languages_have_the_same_strings() -> None:
    assert WORDS["ko"].keys() == WORDS["en"].keys()


@pytest.mark.parametrize("key", WORDS["en"])
def test_a_string_is_translated_with_the_same_blanks(key: str) -> None:
    korean, english = WORDS["ko"][key], WORDS["en"][key]
    assert korean.strip()
    assert english.strip()
    same = blanks(korean) ^ blanks(english) <= FREE_BLANKS
    assert same or key.endswith(("_one", "_many"))


@pytest.mark.parametrize("key", [k for k in WORDS["en"] if k != "language"])
def test_english_has_no_korean_in_it(key: str) -> None:
    assert not re.search(r"[\uac00-\ud7a3]", WORDS["en"][key])


def test_every_string_is_used_and_every_string_used_exists() -> None:
    root = files(report)
    assert isinstance(root, Path)
    sources = [root / "template" / "report.html.j2", *root.glob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    quoted = set(re.findall(r"\"([a-z0-9_]+)\"", text))
    ends = ("one", "many", "short", "chart", "desc")
    built = {f"{stem}_{end}" for stem in quoted for end in ends}
    said = set(re.findall(r"say\(\s*\"(\w+)\"", text))
    assert said <= WORDS["en"].keys()
    unused = {k for k in WORDS["en"] if not k.startswith("kind_")} - quoted - built
    assert unused == set()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("span_s", "korean", "english"),
    [
        (900, "15분", "quarter hour"),
        (300, "5분", "5 minutes"),
        (72, "72초", "72 seconds"),
        (3_600, "1시간", "hour"),
        (21_600, "6시간", "6 hours"),
        (86_400, "하루", "day"),
        (604_800, "7일", "7 days"),
    ],
)
def test_a_length_of_time_has_its_everyday_name(
    language: Language, span_s: int, korean: str, english: str
) -> None:
    name = Phrases(language, 900, 0).per(span_s)
    assert name == (korean if language == "ko" else english)


def test_an_interval_is_named_by_its_length() -> None:
    assert "the 5-minute interval" in Phrases("en", 300, 0).say("speed_table")
    assert "5분 구간이" in Phrases("ko", 300, 0).say("speed_table")
    assert "72초 구간이" in Phrases("ko", 72, 0).say("speed_table")


def test_unknown_kinds_are_shown_as_they_are() -> None:
    assert Phrases("ko", 900, 0).kind("home+sun+windmill") == "주택, 태양광, windmill"


def test_waits_are_told_in_the_unit_people_would_use() -> None:
    speaks = Phrases("en", 900, 0)
    assert speaks.lasting(60.13) == "60.1 seconds"
    assert speaks.lasting(60) == "60 seconds"
    assert speaks.lasting(1_234) == "21 minutes"


def test_an_offset_west_of_greenwich_has_a_minus() -> None:
    assert Phrases("en", 900, -12_600).offset() == f"{MINUS}03:30"


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_rule_and_key_is_told_in_both_languages(choice: Choice) -> None:
    told = rule_in_words(choice.rule, choice.key)
    assert re.search(r"[\uac00-\ud7a3]", told.ko)
    assert not re.search(r"[\uac00-\ud7a3]", told.en)
    alone = rule_in_words(choice.rule, None)
    assert told.en.startswith(alone.en)
    assert told.ko.startswith(alone.ko)

"""The documentation under test: nothing is missing, examples compute, links lead somewhere."""

import ast
import doctest
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import get_args

import msgspec
import pytest

import commonwatt
from commonwatt.chain.abi import ARTEFACTS, CONTRACTS
from commonwatt.cli.main import app
from commonwatt.market.auction import AUCTIONS, PRICE_RULES
from commonwatt.market.book_answer import answer_of, clear_book
from commonwatt.market.book_file import RULES as FILE_RULES
from commonwatt.market.book_file import read_book
from commonwatt.market.catalogue import CONTRACT, PREFERENCE, RULES
from commonwatt.market.charter import charter_of
from commonwatt.market.keys import KEYS
from commonwatt.market.pool_file import price_document, share_document
from commonwatt.market.price import PRICE_RULES as COMMUNITY_PRICES
from commonwatt.market.settings import MarketSettings
from commonwatt.meter.acceptance import Reason
from commonwatt.quantity import Currency

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCE = Path(commonwatt.__file__).parent
FRONT, KOREAN = ROOT / "README.md", ROOT / "README.ko.md"
PAGES = sorted([FRONT, KOREAN, ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
MARKET = DOCS / "market.md"
MECHANISMS = sorted((DOCS / "market").glob("*.md"))
NAMED = sorted({*RULES, *AUCTIONS, *FILE_RULES, *COMMUNITY_PRICES, *KEYS})
"""Every mechanism that can be chosen by a name."""
AROUND = ("contracts", "grid_fees", "participation", "preferences")
"""Those that go with a rule or a key."""
PICTURES = sorted(path for kind in ("svg", "png") for path in DOCS.glob(f"*.{kind}"))
PICTURE_BYTES_MAX = 300_000

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
NAMED_LINK = re.compile(r"\[([\w./-]+\.md)\]\(([^)\s#]+)")
RULE_ROW = re.compile(r"^\| R(\d+) \|", re.MULTILINE)
MEASURED = re.compile(r"(?<=within )[\d.]+(?= s,)|[\d.,]+(?= (?:CPU s|MB))")
"""Figures that differ from machine to machine."""


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(text_of(page)) if kind == language]


def prose(page: Path) -> str:
    return FENCE.sub("", text_of(page))


def names(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=names)


# Nothing is missing


def commands() -> Iterator[tuple[str, set[str]]]:
    """Every command, and the names of its arguments (in capitals) and options."""

    def walk(part, words: tuple[str, ...]) -> Iterator[tuple[str, set[str]]]:
        below = [name for name in part if not name.startswith("-")]
        for name in below:
            yield from walk(part[name], (*words, name))
        if not below:
            found = part.assemble_argument_collection()
            yield " ".join(words), {name for argument in found for name in argument.names}

    return walk(app, ("commonwatt",))


@pytest.mark.parametrize(("command", "options"), list(commands()))
def test_every_command_and_option_is_in_its_section_of_the_command_page(
    command: str, options: set[str]
) -> None:
    _, *sections = re.split(r"^## ", text_of(DOCS / "cli.md"), flags=re.MULTILINE)
    by_command = {section.partition("\n")[0]: section for section in sections}
    section = by_command[command]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    assert set(re.findall(r"`(--[\w-]+|[A-Z]+)`", "".join(cells))) == options
    assert f"{command} " in section, "an example"


def test_the_command_page_names_no_command_that_is_not_there() -> None:
    headings = set(HEADING.findall(prose(DOCS / "cli.md")))
    assert {name for name in headings if name.startswith("commonwatt")} == dict(commands()).keys()


def input_errors() -> set[str]:
    """Every class below `InputError`, from the source, so that nothing heavy is loaded."""
    bases: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {base.id for base in node.bases if isinstance(base, ast.Name)}
    found = {"InputError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


def test_every_error_of_input_is_explained_and_no_other() -> None:
    page = text_of(DOCS / "errors.md")
    explained = set(re.findall(r"^\| `([A-Z][a-z]\w+)` \|", page, re.MULTILINE))
    assert explained == input_errors() - {"InputError"}
    assert len(explained) > 20


def test_every_reason_to_refuse_a_record_is_explained_and_no_other() -> None:
    page = text_of(DOCS / "errors.md")
    explained = set(re.findall(r"^\| `([A-Z][A-Z_]+)` \|", page, re.MULTILINE))
    assert explained == {reason.name for reason in Reason}


def test_every_mechanism_has_a_page_and_no_other_is_there() -> None:
    assert [page.stem for page in MECHANISMS] == sorted([*NAMED, *AROUND])


@pytest.mark.parametrize("page", MECHANISMS, ids=names)
def test_a_mechanism_is_told_in_plain_words_with_its_rule_example_source_and_gain(
    page: Path,
) -> None:
    text = text_of(page)
    title, *chapters = HEADING.findall(prose(page))
    assert chapters == ["The rule", "Example", "Where it comes from", "Who gains", "Limits"]
    assert title.endswith(f"`{page.stem}`") or page.stem in AROUND
    assert "\n\nIn plain words: " in text[:200]
    assert any(block.startswith(">>>") for block in blocks(page, "python"))
    example = text.partition("## Example")[2].partition("## Where it comes from")[0]
    assert page.stem in {*AROUND, "truthful"} or f'"{page.stem}"' in example


@pytest.mark.parametrize("name", PRICE_RULES)
def test_every_price_rule_of_the_auction_is_on_its_page(name: str) -> None:
    assert f"| `{name}` " in text_of(DOCS / "market" / "uniform_price.md")


def test_the_overview_has_every_mechanism_with_its_number_and_page() -> None:
    rows = [line.split("|")[1:-1] for line in text_of(MARKET).splitlines() if "](market/" in line]
    listed = {}
    for row in rows:
        [target] = LINK.findall(row[-1])
        listed[Path(target).stem] = [cell.strip() for cell in row]
    assert sorted(listed) == sorted(page.stem for page in MECHANISMS)
    for name in NAMED:
        assert listed[name][0] == f"`{name}`"
    for name, rule in RULES.items():
        needs = "limits" if rule.needs_limits else ("nothing", "a price")
        assert listed[name][1] == str(rule.number)
        assert listed[name][2] in needs
    assert listed["preferences"][1] == str(PREFERENCE)
    assert listed["contracts"][1] == str(CONTRACT)


@pytest.mark.parametrize("number", range(len(blocks(MARKET, "toml"))))
def test_settings_that_are_shown_can_be_read_and_found_a_community(number: int) -> None:
    read = tomllib.loads(blocks(MARKET, "toml")[number])
    settings = msgspec.convert(read, MarketSettings)
    assert charter_of(settings, Currency(), members=3, interval_s=900).rule_name == read["rule"]


def setting_names(part: type) -> Iterator[str]:
    """The keys of a part of the settings, and of all parts in it."""
    for field in msgspec.structs.fields(part):
        yield field.encode_name
        for inner in (field.type, *get_args(field.type)):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                yield from setting_names(inner)


def test_every_setting_is_explained_and_no_other() -> None:
    chapter = text_of(MARKET).partition("## Settings\n")[2].partition("\n## ")[0]
    first, second = re.findall(r"(?:^\|.*\n)+", FENCE.sub("", chapter), re.MULTILINE)
    at_the_top = [row.split("|")[1] for row in first.splitlines()[2:]]
    in_tables = [row.split("|")[2] for row in second.splitlines()[2:]]
    explained = set(re.findall(r"`(\w+)`", "".join([*at_the_top, *in_tables])))
    assert explained == set(setting_names(MarketSettings))


def documents() -> list[str]:
    """The documents of the commands `market clear`, `share` and `price` that pages show."""
    return list(chain.from_iterable(blocks(page, "json") for page in MECHANISMS))


@pytest.mark.parametrize("text", documents())
def test_a_document_that_is_shown_is_understood(text: str) -> None:
    fields = json.loads(text).keys()
    if "orders" in fields:
        assert answer_of(clear_book(read_book(text.encode()))).volume_wh > 0
    elif "members" in fields:
        assert sum(share_document(text.encode())["allocated_wh"].values()) > 0
    else:
        assert price_document(text.encode(), Currency())["buy"] is not None


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_refusal_function_and_event_of_a_contract_is_explained(contract: str) -> None:
    page = text_of(DOCS / "contracts.md")
    chapter = re.split(r"^## ", page, flags=re.MULTILINE)
    own = next(part for part in chapter if part.startswith(f"{contract}\n"))
    source = (SOURCE / "chain" / "contracts" / f"{contract}.vy").read_text()
    refusals = set(re.findall(rf'"({contract.lower()}: [^"]+)"', source))
    assert refusals
    assert set(re.findall(r"^\| `(\w+: [^`]+)` \|", own, re.MULTILINE)) == refusals
    if contract == "Euro":
        return  # an ERC-20 like any other
    abi = json.loads((ARTEFACTS / f"{contract}.json").read_text())["abi"]
    for entry in abi:
        if entry["type"] in ("function", "event"):
            assert re.search(rf"`{entry['name']}[(`]", own), entry["name"]


def test_all_28_rules_of_certificates_are_in_the_table_with_a_state() -> None:
    page = text_of(DOCS / "certificates.md")
    assert [int(number) for number in RULE_ROW.findall(page)] == list(range(1, 29))
    rows = [line.split("|") for line in page.splitlines() if re.match(r"\| R\d+ \|", line)]
    assert {row[3].strip() for row in rows} <= {"now", "in part", "later"}


def test_gas_and_sizes_are_the_measured_ones() -> None:
    page = text_of(DOCS / "contracts.md")
    gas = json.loads((ROOT / "tests" / "contracts" / "gas.json").read_text())
    for operation, used in gas.items():
        assert f"| {operation} | {used:,} |" in page
    for contract in CONTRACTS:
        artefact = json.loads((ARTEFACTS / f"{contract}.json").read_text())
        assert f"| `{contract}` | {artefact['runtime_bytes']:,} |" in page


def test_code_that_is_named_is_there() -> None:
    for name in re.findall(
        r"`(?:src/commonwatt/)?((?:\w+/)+\w+\.py)`", text_of(DOCS / "certificates.md")
    ):
        assert (SOURCE / name).is_file(), name
    everything = "\n".join(p.read_text() for kind in ("*.py", "*.vy") for p in SOURCE.rglob(kind))
    for holder, name in re.findall(r"`(\w+)\.(\w+)`", text_of(DOCS / "certificates.md")):
        assert re.search(rf"def {name}\(|class {name}\b", everything), f"{holder}.{name}"


# Every example computes


@every_page
def test_examples_in_python_give_what_they_say(page: Path) -> None:
    code = "".join(block for block in blocks(page, "python") if block.startswith(">>>"))
    examples = doctest.DocTestParser().get_doctest(code, {}, names(page), names(page), 0)
    runner = doctest.DocTestRunner(verbose=False)
    said: list[str] = []
    runner.run(examples, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which somebody has followed the first page, answers and all."""
    folder = tmp_path_factory.mktemp("newcomer")
    (folder / "homes.csv").write_text(blocks(DOCS / "start.md", "csv")[0])
    beside = Path(sys.executable).parent
    if shutil.which("commonwatt", path=str(beside)) is None:
        pytest.skip("the command commonwatt is not installed beside this Python")
    environment = {**os.environ, "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}"}
    checker = doctest.OutputChecker()
    for block in blocks(DOCS / "start.md", "console"):
        for entry in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = entry.partition("\n")
            done = subprocess.run(
                command, shell=True, cwd=folder, env=environment, capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            assert done.returncode == (1 if "audit cheat" in command else 0), done.stderr
            want, got = MEASURED.sub("#", expected), MEASURED.sub("#", done.stdout)
            assert checker.check_output(want, got, doctest.ELLIPSIS), f"$ {command}\n{done.stdout}"
    return folder


@pytest.mark.xdist_group("newcomer")
def test_the_first_quarter_of_an_hour_goes_as_written(place: Path) -> None:
    assert (place / "commonwatt-demo" / "report.html").is_file()


@pytest.mark.xdist_group("newcomer")
@pytest.mark.parametrize("number", [0, 1], ids=["a verifier", "web3.py"])
def test_programs_of_the_first_quarter_of_an_hour_run(place: Path, number: int) -> None:
    program = blocks(DOCS / "start.md", "python")[number]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    anchor = json.loads((place / "mine.json").read_text())["anchor"]
    assert anchor in done.stdout


def test_the_front_page_shows_the_summary_of_the_first_quarter_of_an_hour() -> None:
    def shown(page: Path) -> str:
        [block] = [b for b in blocks(page, "console") if "last anchor" in b and "suburb" in b]
        return block.partition("\n")[2]

    assert shown(FRONT) == shown(KOREAN) == shown(DOCS / "start.md")
    day = json.loads((ROOT / "tests" / "vectors" / "days.json").read_text())["suburb"]
    assert list(day["anchors"].values())[-1] in shown(FRONT)


@pytest.mark.parametrize("page", [FRONT, KOREAN], ids=names)
def test_every_line_of_the_summary_is_explained(page: Path) -> None:
    [block] = [b for b in blocks(page, "console") if "last anchor" in b]
    printed = block.partition("\n")[2].partition("\n\n")[0]
    labels = [line[:22].strip() for line in printed.splitlines()]
    rows = re.findall(r"^\| ([a-z ]+) \|", prose(page), re.MULTILINE)
    assert [row for row in rows if row in labels] == labels


# Every link leads on, in both languages


def slug(heading: str) -> str:
    """A heading as GitHub links to it."""
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@every_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, fragment = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert ROOT in found.parents, f"{target} leads out of the project"
        if fragment:
            assert fragment in {slug(heading) for heading in HEADING.findall(prose(found))}, target
    for label, target in NAMED_LINK.findall(prose(page)):
        assert Path(label).name == Path(target).name, label


def test_every_page_and_picture_is_linked_from_somewhere() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in LINK.findall(prose(page))
    }
    assert {path for path in [*PAGES, *PICTURES] if path.resolve() not in linked} == set()


def test_the_korean_front_page_has_all_that_the_english_one_has() -> None:
    english, korean = prose(FRONT), prose(KOREAN)
    assert len(HEADING.findall(english)) == len(HEADING.findall(korean))
    assert FENCE.findall(text_of(FRONT)) == FENCE.findall(text_of(KOREAN))
    for mark in ("\n- ", "\n| ", "!["):
        assert english.count(mark) == korean.count(mark), mark

    def targets(text: str) -> set[str]:
        return {target.replace(".ko.", ".") for target in LINK.findall(text)} - {"README.md"}

    assert targets(english) == targets(korean)


def test_the_glossary_has_every_word_in_both_languages_once() -> None:
    rows = [
        line.split("|")[1:-1] for line in text_of(DOCS / "glossary.md").splitlines() if "|" in line
    ]
    words = [
        [cell.strip() for cell in row] for row in rows if row[0].strip() not in ("English", "---")
    ]
    assert len(words) > 60
    for row in words:
        assert len(row) == 4, row
        assert all(row), row
        assert re.search("[가-힣]", row[1]), row
        assert re.search("[가-힣]", row[3]), row
    assert len({row[0] for row in words}) == len({row[1] for row in words}) == len(words)


# The tone


@every_page
def test_pages_are_plain_and_know_no_machine(page: Path) -> None:
    text = text_of(page)
    for never in (
        "\N{EM DASH}",
        "\N{EN DASH}",
        "/work",
        "/tmp",
        "/root",
        "/home/",
        "TODO",
        "FIXME",
    ):
        assert never not in text, never
    boasts = r"(?i)\b(seamless|revolution|cutting-edge|game-chang|powerful|blazing|effortless)"
    assert re.search(boasts, text) is None
    assert "!" not in re.sub(r"!\[", "[", prose(page)), "no shouting"
    assert all(line == line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize("picture", PICTURES, ids=names)
def test_pictures_are_small_and_drawings_follow_light_and_dark(picture: Path) -> None:
    assert picture.stat().st_size <= PICTURE_BYTES_MAX
    if picture.suffix == ".svg":
        drawing = text_of(picture)
        assert "prefers-color-scheme: dark" in drawing
        assert re.search(r"<title.*</title>\s*<desc", drawing), "for those who listen to it"
        assert "href" not in drawing, "it needs nothing from elsewhere"

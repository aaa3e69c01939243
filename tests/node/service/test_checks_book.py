"""The doctor looks at the book of certificates: its lines, its bundles, its head on the chain."""

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bed import SCENARIO, Bed, make_bed
from certificates import LATER, admission, issue
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.node.keystore import read_account
from commonwatt.node.registrar import sign_actions
from commonwatt.node.service import checks_book
from commonwatt.node.service.checks_book import book
from commonwatt.node.service.checks_chain import chain
from commonwatt.node.service.finding import Finding, Patient
from commonwatt.node.store import Store, file_url
from databases import unguard

INTERVALS, BUNDLES = 2, 5


@pytest.fixture(scope="module")
def _lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_bed(tmp_path_factory.mktemp("bed") / "bed")
    bed = Bed(folder)
    try:
        for _ in range(INTERVALS):
            bed.interval()
        # It is night: certificates that somebody imported.
        store, operator = bed.hosted.book, read_account(folder / "operator.key")
        wanted = [admission(), *map(issue, range(BUNDLES))]
        answers = store.submit_many(sign_actions(store, operator, wanted), LATER)
        assert sum(len(made) for made in answers if isinstance(made, tuple)) == BUNDLES
        store.take_snapshot()
        for _ in range(2):
            bed.interval()
    finally:
        bed.close()
    return folder


@pytest.fixture
def lived(_lived: Path, tmp_path: Path) -> Path:
    """A test bed that was stopped, to be spoilt."""
    shutil.copytree(_lived, tmp_path / "bed")
    return tmp_path / "bed"


def looked_at(
    folder: Path, check: Callable[[Patient], Iterator[Finding]] = book, name: str = "book"
) -> Finding:
    patient = Patient(folder)
    try:
        [finding] = [found for found in check(patient) if found.check == name]
    finally:
        patient.close()
    assert finding.community == SCENARIO
    return finding


def spoil(folder: Path, *statements: str) -> None:
    store = Store(file_url(folder / "commonwatt.sqlite"))
    unguard(store, "book_entry")
    store.close()
    connection = sqlite3.connect(folder / "commonwatt.sqlite")
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def spoil_snapshot(folder: Path) -> None:
    connection = sqlite3.connect(folder / "commonwatt.sqlite")
    with connection:
        connection.execute("UPDATE book_snapshot SET book = x'00'")
    connection.close()


def test_a_whole_book_is_done_again_and_says_how_much_was_looked_at(lived: Path) -> None:
    finding = looked_at(lived)
    assert finding.is_well
    said = re.fullmatch(
        r"([\d,]+) entries follow from each other, ([\d,]+) actions done again, "
        r"([1-9][\d,]*) bundles as they make them; [\d.]+ s",
        finding.says,
    )
    assert said is not None, finding.says
    assert said[1] == said[2]
    assert looked_at(lived, chain, "head").says == f"as on the chain after {said[1]} entries"


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM book_entry WHERE number = 40", "entry 40: is missing"),
        (
            (
                "UPDATE book_entry SET line = (SELECT line FROM book_entry WHERE number = 41) "
                "WHERE number = 40"
            ),
            "entry 40: says that it is entry 41",
        ),
        ("UPDATE book_entry SET line = x'7b7d0a' WHERE number = 40", "entry 40: not readable"),
        (
            """UPDATE book_entry SET line = CAST(replace(CAST(line AS TEXT),
            '"nonce":40', '"nonce":41') AS BLOB) WHERE number = 40""",
            "entry 40: action 41 of its account, 40 is next",
        ),
        (
            """UPDATE book_entry SET line = CAST(replace(CAST(line AS TEXT),
            '"time":', '"time":1') AS BLOB) WHERE number = 40""",
            "entry 41: is of ",
        ),
        (
            """UPDATE book_entry SET line = CAST(replace(CAST(line AS TEXT),
            '"signature":"', '"signature":"0') AS BLOB) WHERE number = 40""",
            "entry 40: a signature has 65 bytes",
        ),
    ],
)
def test_a_line_that_was_touched_is_named(statement: str, says: str, lived: Path) -> None:
    spoil(lived, statement)
    finding = looked_at(lived)
    assert finding.says.startswith(f"its lines do not follow from each other: {says}")
    assert finding.do == checks_book.GO_BACK


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE book_bundle SET holder = zeroblob(20) WHERE number = 3", "3 is not as the"),
        ('UPDATE book_bundle SET "end" = "end" + 1 WHERE number = 0', "0 is not as the"),
        ("DELETE FROM book_bundle WHERE number = 3", "3 is not as the"),
        (
            "DELETE FROM book_bundle WHERE number = (SELECT max(number) FROM book_bundle)",
            r"\d+ is missing",
        ),
        (
            (
                "INSERT INTO book_bundle SELECT community, number + 99, meter, start, duration, "
                'first, "end", holder, status, "by", parent FROM book_bundle WHERE number = 0'
            ),
            r"\d+ is not as the",
        ),
    ],
)
def test_a_bundle_that_does_not_follow_from_the_lines_is_named(
    statement: str, says: str, lived: Path
) -> None:
    spoil(lived, statement)
    finding = looked_at(lived)
    assert re.match(f"bundle {says}", finding.says)
    assert finding.do.startswith(checks_book.GO_BACK)


def test_lines_that_were_lost_at_the_end_are_missed_by_the_chain_and_the_snapshot(
    lived: Path,
) -> None:
    spoil(lived, "DELETE FROM book_entry WHERE number > 44")
    finding = looked_at(lived, chain, "head")
    assert re.fullmatch(
        r"the chain has its head after \d+ entries, and only 45 are there", finding.says
    )
    assert "was an older backup restored?" in finding.do
    finding = looked_at(lived)
    assert re.fullmatch(r"its snapshot has \d+ entries, and only 45 are there", finding.says)


def test_lines_other_than_those_posted_are_told_from_them(lived: Path) -> None:
    spoil(lived, "UPDATE book_entry SET line = x'7b7d0a' WHERE number = 40")
    finding = looked_at(lived, chain, "head")
    assert re.match(r"the chain has another head after \d+ entries", finding.says)
    assert finding.do == checks_book.GO_BACK


# Limits


def test_a_long_book_is_done_again_from_the_snapshot_on(
    lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_book, "AGAIN_MAX", 60)
    monkeypatch.setattr(checks_book, "LINES_AT_ONCE", 7)
    finding = looked_at(lived)
    assert re.search(r", the first \d+ by the node's snapshot, [1-9]\d? actions ", finding.says)
    assert "bundles as they make them" in finding.says
    spoil(lived, "UPDATE book_bundle SET holder = zeroblob(20) WHERE number = 3")
    assert looked_at(lived).says.startswith("bundle 3 is not as the entries make it")
    spoil_snapshot(lived)
    finding = looked_at(lived)
    assert finding.is_well
    assert "not looked at: whether bundles follow from more than 60 entries" in finding.says


def test_more_bundles_than_memory_is_for_are_left_out(
    lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_book, "BUNDLES_MAX", 3)
    finding = looked_at(lived)
    assert finding.is_well
    assert re.search(r"entries follow from each other, not looked at: whether \d+ b", finding.says)


def test_after_a_minute_it_says_how_far_it_came(
    lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_book, "LOOK_S", 0.0)
    finding = looked_at(lived)
    assert finding.is_well
    assert "0 entries follow from each other, not looked at: the rest" in finding.says
    finding = looked_at(lived, chain, "head")
    assert finding.is_well
    assert finding.says.startswith("not compared")


@pytest.mark.parametrize("key", ["01" * 32, None])
def test_without_the_key_of_its_issuer_only_the_lines_are_looked_at(
    key: str | None, lived: Path
) -> None:
    (lived / "operator.key").unlink()
    if key is not None:
        (lived / "operator.key").write_text(key)
        (lived / "operator.key").chmod(0o600)
    finding = looked_at(lived)
    assert finding.is_well
    assert "entries follow from each other, not looked at: whether bundles" in finding.says


def test_while_the_node_runs_its_book_is_looked_at_as_well(lived: Path) -> None:
    embedded = EmbeddedChain(lived / SCENARIO / "node" / "chain.sqlite")
    try:
        assert "bundles as they make them" in looked_at(lived).says
    finally:
        embedded.close()


def test_before_the_founding_there_is_no_book(tmp_path: Path) -> None:
    folder = make_bed(tmp_path / "bed")
    patient = Patient(folder)
    try:
        assert list(book(patient)) == []
    finally:
        patient.close()

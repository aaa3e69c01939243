"""The book on a disk: nothing acknowledged is lost, and of two who want the same, one gets it."""

import sqlite3
import subprocess
import sys
import zlib
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from certificates import (
    IDENTITY,
    ISSUER,
    LATER,
    NEIGHBOUR,
    NOON,
    PRODUCER,
    QUARTER_S,
    SCHEME,
    Signers,
    admission,
    hex_of,
    issue,
)
from commonwatt.certificate import snapshot
from commonwatt.certificate.actions import Retire, Together, Transfer
from commonwatt.certificate.bundle import Status
from commonwatt.certificate.log import Log, LogBroken
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.chain.account import signer_of
from commonwatt.node import book_store
from commonwatt.node.book_store import BookStore
from commonwatt.node.errors import DatabaseUnusable

TESTS = Path(__file__).parents[1]


class Desk:
    """A store and the wallets of those who come to it."""

    def __init__(self, path: Path) -> None:
        self.path, self.wallets = path, Signers()
        self.store = BookStore(path, IDENTITY, SCHEME, signer_of)

    def do(self, who, action):
        made = self.store.submit(self.wallets.sign(who, action), LATER)
        self.wallets.done(who)
        return made

    def reopen(self, *, scheme=SCHEME) -> BookStore:
        self.store.close()
        self.asked = 0
        self.store = BookStore(self.path, IDENTITY, scheme, self._counted)
        return self.store

    def _counted(self, text: bytes, signature: bytes) -> bytes | None:
        """Counts how many signatures were checked."""
        self.asked += 1
        return signer_of(text, signature)


@pytest.fixture
def desk(tmp_path: Path):
    desk = Desk(tmp_path / "book.sqlite")
    desk.do(ISSUER, admission())
    yield desk
    desk.store.close()


def test_a_book_is_the_same_after_it_was_closed(desk: Desk) -> None:
    for quarter in range(4):
        desk.do(ISSUER, issue(quarter))
    desk.do(PRODUCER, Transfer(1, 400, hex_of(NEIGHBOUR)))
    before = desk.store.log
    again = desk.reopen().log
    assert (again.head, again.book.state) == (before.head, before.book.state)


def test_what_the_tables_say_is_what_the_book_says(desk: Desk) -> None:
    for quarter in range(6):
        desk.do(ISSUER, issue(quarter))
    desk.do(PRODUCER, Transfer(2, 400, hex_of(NEIGHBOUR)))
    desk.do(NEIGHBOUR, Retire(6, 150, hex_of(NEIGHBOUR), "our own use"))
    state = desk.store.log.book.state
    for number, bundle in state.bundles.items():
        assert desk.store.bundle(number) == bundle
    assert desk.store.bundle(len(state.bundles)) is None
    for who in (PRODUCER, NEIGHBOUR):
        held = desk.store.held(who.address_bytes)
        assert [bundle.number for bundle in held] == sorted(state.held[who.address_bytes])
    day = desk.store.produced(NOON, NOON + 2 * QUARTER_S)
    assert {bundle.origin.start for bundle in day} == {NOON, NOON + QUARTER_S}


def test_long_answers_come_in_pages(desk: Desk) -> None:
    for quarter in range(7):
        desk.do(ISSUER, issue(quarter))
    found, after = [], -1
    while page := desk.store.held(PRODUCER.address_bytes, after=after, limit=3):
        found, after = [*found, *page], page[-1].number
    assert [bundle.number for bundle in found] == list(range(7))
    found, last = [], (-1, -1)
    while page := desk.store.produced(NOON, NOON + 7 * QUARTER_S, after=last, limit=2):
        found, last = [*found, *page], (page[-1].origin.start, page[-1].number)
    assert [bundle.number for bundle in found] == list(range(7))


def test_a_batch_does_what_it_can_and_says_what_it_cannot(desk: Desk) -> None:
    good = desk.wallets.sign(ISSUER, issue(0))
    desk.wallets.done(ISSUER)
    twice = desk.wallets.sign(ISSUER, issue(0))
    # A refused action does not count: the same number is tried again.
    also_good = desk.wallets.sign(ISSUER, issue(1))
    made, refused, also = desk.store.submit_many([good, twice, also_good], LATER)
    assert made[0].wh == also[0].wh == 1_000
    assert isinstance(refused, ActionRefused)
    assert refused.rule == "R3"
    assert desk.reopen().log.book.entries == 3


def test_a_second_process_sees_what_the_first_did(desk: Desk) -> None:
    desk.do(ISSUER, issue(0))
    other = BookStore(desk.path, IDENTITY, SCHEME, signer_of)
    desk.do(PRODUCER, Transfer(0, 1_000, hex_of(NEIGHBOUR)))
    with pytest.raises(ActionRefused) as refusal:
        other.submit(desk.wallets.sign(PRODUCER, Transfer(0, 1, hex_of(ISSUER))), LATER)
    assert refusal.value.rule == "R13"
    assert other.log.head == desk.store.log.head
    other.close()


def test_what_a_full_disk_did_not_take_never_happened(desk: Desk, monkeypatch) -> None:
    desk.do(ISSUER, issue(0))
    head = desk.store.log.head

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "_keep", full)
        with pytest.raises(OSError, match="No space left"):
            desk.store.submit(
                desk.wallets.sign(PRODUCER, Transfer(0, 400, hex_of(NEIGHBOUR))), LATER
            )
    desk.do(PRODUCER, Transfer(0, 300, hex_of(NEIGHBOUR)))
    log = Log(IDENTITY, SCHEME, signer_of)
    log.replay(desk.store.lines())
    assert log.head == desk.store.log.head != head
    assert [bundle.wh for bundle in desk.store.held(NEIGHBOUR.address_bytes)] == [300]


def test_a_book_goes_on_from_its_snapshot(desk: Desk) -> None:
    for quarter in range(4):
        desk.do(ISSUER, issue(quarter))
    desk.store.take_snapshot()
    desk.do(PRODUCER, Transfer(1, 400, hex_of(NEIGHBOUR)))
    before = desk.store.log
    again = desk.reopen().log
    assert desk.asked == 1, "only what came after it was done again"
    assert (again.head, again.nonces, repr(again.book.state)) == (
        before.head, before.nonces, repr(before.book.state)
    )  # fmt: skip
    desk.do(NEIGHBOUR, Retire(4, 150, hex_of(NEIGHBOUR), "our own use"))
    log = Log(IDENTITY, SCHEME, signer_of)
    log.replay(desk.store.lines())
    assert (log.head, log.book.state) == (desk.store.log.head, desk.store.log.book.state)


def test_a_book_that_has_grown_is_closed_with_a_snapshot(desk: Desk, monkeypatch) -> None:
    monkeypatch.setattr(book_store, "SNAPSHOT_ENTRIES", 4)
    asked = []
    for quarter in range(4):
        desk.do(ISSUER, issue(quarter))
        desk.reopen()
        asked.append(desk.asked)
    assert asked == [2, 3, 0, 1], "with the fourth entry there is one"
    assert desk.reopen().log.book.entries == 5


def test_a_book_is_closed_even_where_no_snapshot_fits_on_the_disk(desk: Desk, monkeypatch) -> None:
    monkeypatch.setattr(book_store, "SNAPSHOT_ENTRIES", 1)
    spoil(desk.path, "DROP TABLE snapshot")
    desk.reopen()
    assert desk.asked == 1


def spoil(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement, values)


def ask(path: Path, query: str) -> tuple:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchone()


@pytest.mark.parametrize(
    "wrong", ["a byte", "the version", "an older head", "not packed", "not a book", "nothing"]
)
def test_a_snapshot_that_does_not_fit_is_passed_over(desk: Desk, wrong: str, monkeypatch) -> None:
    for quarter in range(3):
        desk.do(ISSUER, issue(quarter))
    before = repr(desk.store.log.book.state)
    desk.store.take_snapshot()
    entries, book = ask(desk.path, "SELECT * FROM snapshot")
    asked = 0 if wrong == "nothing" else entries
    match wrong:
        case "a byte":
            middle = len(book) // 2
            spoilt = book[:middle] + bytes((book[middle] ^ 1,)) + book[middle + 1 :]
            spoil(desk.path, "UPDATE snapshot SET book = ?", spoilt)
        case "the version":
            monkeypatch.setattr(snapshot, "__version__", "another")
        case "an older head":
            spoil(desk.path, "UPDATE snapshot SET entries = entries - 1")
        case "not packed":
            spoil(desk.path, "UPDATE snapshot SET book = ?", sha256(b"x").digest() + b"x")
        case "not a book":
            packed = zlib.compress(b"x")
            spoil(desk.path, "UPDATE snapshot SET book = ?", sha256(packed).digest() + packed)
    assert repr(desk.reopen().log.book.state) == before
    assert desk.asked == asked


def test_a_snapshot_of_another_scheme_is_passed_over(desk: Desk) -> None:
    desk.do(ISSUER, issue(0))
    desk.store.take_snapshot()
    desk.reopen(scheme=replace(SCHEME, lifetime_s=60))
    assert desk.asked == 2


def test_a_snapshot_does_not_hide_a_line_that_was_changed(desk: Desk) -> None:
    desk.do(ISSUER, issue(0))
    desk.store.take_snapshot()
    [line] = (
        sqlite3.connect(desk.path).execute("SELECT line FROM entry WHERE number = 1").fetchone()
    )
    spoil(desk.path, "UPDATE entry SET line = ? WHERE number = 1", line.replace(b"1000", b"9000"))
    with pytest.raises(LogBroken, match="entry 1"):
        desk.reopen()
    spoil(desk.path, "UPDATE entry SET line = ? WHERE number = 1", line)
    desk.reopen()


def test_after_a_full_disk_a_long_book_goes_on_from_its_snapshot(desk: Desk, monkeypatch) -> None:
    for quarter in range(3):
        desk.do(ISSUER, issue(quarter))
    desk.store.take_snapshot()
    desk.reopen()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    gift = desk.wallets.sign(PRODUCER, Transfer(0, 400, hex_of(NEIGHBOUR)))
    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "_keep", full)
        with pytest.raises(OSError, match="No space left"):
            desk.store.submit(gift, LATER)
    desk.asked = 0
    desk.store.submit(gift, LATER)
    assert desk.asked == 1


def test_questions_wait_for_nobody_who_writes(desk: Desk) -> None:
    desk.do(ISSUER, issue(0))
    other = sqlite3.connect(desk.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("UPDATE bundle SET status = 'gone'")
    assert desk.store.bundle(0).status is Status.ACTIVE
    assert [bundle.number for bundle in desk.store.held(PRODUCER.address_bytes)] == [0]
    assert [bundle.number for bundle in desk.store.produced(NOON, NOON + 1)] == [0]
    assert len(list(desk.store.lines())) == 2
    other.execute("ROLLBACK")
    other.close()


def test_while_lines_are_read_others_write(desk: Desk) -> None:
    desk.do(ISSUER, issue(0))
    lines = desk.store.lines()
    first = next(lines)
    other = BookStore(desk.path, IDENTITY, SCHEME, signer_of)
    other.submit(desk.wallets.sign(PRODUCER, Transfer(0, 400, hex_of(NEIGHBOUR))), LATER)
    assert [first, *lines] == list(other.lines())[:2]
    other.close()


def test_several_done_together_are_on_the_disk_together(desk: Desk) -> None:
    for quarter in range(2):
        desk.do(ISSUER, issue(quarter))
    gifts = tuple(Transfer(number, 400, hex_of(NEIGHBOUR)) for number in (0, 1))
    made = desk.do(PRODUCER, Together(gifts))
    assert [bundle.wh for bundle in made] == [400, 400]
    refused = desk.wallets.sign(PRODUCER, Together((Transfer(3, 1, hex_of(NEIGHBOUR)), gifts[0])))
    with pytest.raises(ActionRefused, match="2 of 2"):
        desk.store.submit(refused, LATER)
    state = desk.reopen().log.book.state
    assert [desk.store.bundle(number) for number in state.bundles] == list(state.bundles.values())
    assert sum(b.wh for b in desk.store.held(NEIGHBOUR.address_bytes)) == 800


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(DatabaseUnusable, match=r"book\.sqlite"):
        BookStore(path, IDENTITY, SCHEME, signer_of)


RACER = """
import sys
from pathlib import Path
from certificates import *
from commonwatt.certificate.actions import Retire, Transfer
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.chain.account import signer_of
from commonwatt.node.book_store import BookStore

path, me, kind, trials = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
store, wallets, won = BookStore(path, IDENTITY, SCHEME, signer_of), Signers(), 0
print("ready", flush=True)
sys.stdin.readline()
for trial in range(trials):
    if kind == "transfer":
        action = Transfer(trial, 1_000, hex_of(account(me)))
    else:
        action = Retire(trial, 1_000, hex_of(PRODUCER), "raced by " + me)
    while True:
        wallets.nonces[PRODUCER.address] = store.log.nonces.get(PRODUCER.address_bytes, 0)
        try:
            store.submit(wallets.sign(PRODUCER, action), LATER)
            won += 1
            break
        except ActionRefused as refused:
            if refused.rule != "R5":  # the other was first with this number: count again
                break
print(won, flush=True)
store.close()
"""


@pytest.mark.parametrize("kind", ["transfer", "retire"])
def test_of_two_processes_that_race_for_the_same_units_one_wins(desk: Desk, kind: str) -> None:
    trials = 200
    batch = []
    for quarter in range(trials):
        batch.append(desk.wallets.sign(ISSUER, issue(quarter)))
        desk.wallets.done(ISSUER)
    desk.store.submit_many(batch, LATER)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(desk.path), name, kind, str(trials)],
            cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in ("first", "second")
    ]  # fmt: skip
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    won = [int(racer.communicate(timeout=120)[0]) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert sum(won) == trials
    state = desk.reopen().log.book.state
    assert len(state.bundles) == trials, "nothing was divided"
    if kind == "retire":
        assert {bundle.status for bundle in state.bundles.values()} == {Status.RETIRED}
    else:
        assert PRODUCER.address_bytes not in {b.holder for b in state.bundles.values()}


def test_killed_at_any_moment_it_has_all_it_acknowledged(desk: Desk) -> None:
    done = "store.submit(wallets.sign(PRODUCER, action), LATER)"
    program = RACER.replace(done, f"{done}; print(trial, flush=True)")
    trials = 400
    batch = []
    for quarter in range(trials):
        batch.append(desk.wallets.sign(ISSUER, issue(quarter)))
        desk.wallets.done(ISSUER)
    desk.store.submit_many(batch, LATER)
    begun = 0
    for acknowledged in (3, 17, 40):
        racer = subprocess.Popen(
            [sys.executable, "-c", program, str(desk.path), "first", "retire", str(trials)],
            cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert racer.stdout.readline() == "ready\n"
        racer.stdin.write("\n")
        racer.stdin.flush()
        for _ in range(acknowledged):
            racer.stdout.readline()
        racer.kill()
        racer.communicate()
        retired = [
            bundle
            for bundle in desk.reopen().log.book.state.bundles.values()
            if bundle.status is Status.RETIRED
        ]
        assert len(retired) >= begun + acknowledged
        begun = len(retired)

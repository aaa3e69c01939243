"""The book in a database: nothing acknowledged is lost, and of two who want the same, one gets it.

Each test over SQLite and over PostgreSQL.
"""

import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import text

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
from commonwatt.node.store import ONLY_COMMUNITY, Lease, LeaseLost, Store
from databases import unguard, url
from postgres import PostgresServer, on_postgres, postgres

__all__ = ["postgres", "url"]

TESTS = Path(__file__).parents[1]
MILL = b"mill".ljust(20, b".")
"""Another community in the same database."""


class Desk:
    """A store and the wallets of those who come to it."""

    def __init__(self, url: str) -> None:
        self.url, self.wallets = url, Signers()
        self.database = Store(url)
        self.store = self.another()

    def another(self, community: bytes = ONLY_COMMUNITY, lease: Lease | None = None) -> BookStore:
        """The book once more, as another process would have it."""
        scope = self.database.database(community, lease).scope
        return BookStore(scope, IDENTITY, SCHEME, signer_of)

    def do(self, who, action):
        made = self.store.submit(self.wallets.sign(who, action), LATER)
        self.wallets.done(who)
        return made

    def reopen(self, *, scheme=SCHEME) -> BookStore:
        self.store.close()
        self.asked = 0
        own = self.database.database(ONLY_COMMUNITY).scope
        self.store = BookStore(own, IDENTITY, scheme, self._counted)
        return self.store

    def spoil(self, statement: str, **values: object) -> None:
        """Change something behind the book's back."""
        with self.database.transactions.writing() as connection:
            connection.execute(text(statement), values)

    def ask(self, query: str) -> tuple:
        with self.database.transactions.reading() as connection:
            return tuple(connection.execute(text(query)).one())

    def _counted(self, text: bytes, signature: bytes) -> bytes | None:
        """Counts how many signatures were checked."""
        self.asked += 1
        return signer_of(text, signature)


@pytest.fixture
def desk(url: str):
    desk = Desk(url)
    desk.do(ISSUER, admission())
    yield desk
    desk.store.close()
    desk.database.close()


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


def test_a_batch_in_order_ends_at_the_first_refusal(desk: Desk) -> None:
    good = desk.wallets.sign(ISSUER, issue(0))
    desk.wallets.done(ISSUER)
    twice, also_good = desk.wallets.sign(ISSUER, issue(0)), desk.wallets.sign(ISSUER, issue(1))
    made, refused = desk.store.submit_many([good, twice, also_good], LATER, in_order=True)
    assert made[0].wh == 1_000
    assert isinstance(refused, ActionRefused)
    assert desk.reopen().log.book.entries == 2
    assert [bundle.number for bundle in desk.store.held(PRODUCER.address_bytes)] == [0]


def test_a_second_process_sees_what_the_first_did(desk: Desk) -> None:
    desk.do(ISSUER, issue(0))
    other = desk.another()
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
    tried = []

    def full(*_: object) -> bytes:
        tried.append(1)
        raise DatabaseUnusable("store", "disk full")

    monkeypatch.setattr(book_store, "snapshot_of", full)
    desk.reopen()
    assert (tried, desk.asked) == ([1], 1)


CHANGE = "UPDATE book_snapshot SET book = :book"


@pytest.mark.parametrize(
    "wrong", ["a byte", "the version", "an older head", "not packed", "not a book", "nothing"]
)
def test_a_snapshot_that_does_not_fit_is_passed_over(desk: Desk, wrong: str, monkeypatch) -> None:
    for quarter in range(3):
        desk.do(ISSUER, issue(quarter))
    before = repr(desk.store.log.book.state)
    desk.store.take_snapshot()
    entries, book = desk.ask("SELECT entries, book FROM book_snapshot")
    asked = 0 if wrong == "nothing" else entries
    match wrong:
        case "a byte":
            middle = len(book) // 2
            spoilt = book[:middle] + bytes((book[middle] ^ 1,)) + book[middle + 1 :]
            desk.spoil(CHANGE, book=spoilt)
        case "the version":
            monkeypatch.setattr(snapshot, "__version__", "another")
        case "an older head":
            desk.spoil("UPDATE book_snapshot SET entries = entries - 1")
        case "not packed":
            desk.spoil(CHANGE, book=sha256(b"x").digest() + b"x")
        case "not a book":
            packed = zlib.compress(b"x")
            desk.spoil(CHANGE, book=sha256(packed).digest() + packed)
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
    [line] = desk.store.lines(1)
    unguard(desk.database, "book_entry")
    change = "UPDATE book_entry SET line = :line WHERE number = 1"
    desk.spoil(change, line=line.replace(b"1000", b"9000"))
    with pytest.raises(LogBroken, match="entry 1"):
        desk.reopen()
    desk.spoil(change, line=line)
    desk.reopen()


@pytest.mark.parametrize(
    "change", ["UPDATE book_entry SET number = number + 1", "DELETE FROM book_entry"]
)
def test_the_database_itself_refuses_to_change_a_line(desk: Desk, change: str) -> None:
    with pytest.raises(DatabaseUnusable, match="book_entry: what was kept is never changed"):
        desk.spoil(change)
    assert desk.reopen().log.book.entries == 1


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
    other = Store(desk.url)
    with suppress(InterruptedError), other.transactions.writing() as connection:
        connection.execute(text("UPDATE book_bundle SET status = 'gone'"))
        assert desk.store.bundle(0).status is Status.ACTIVE
        assert [bundle.number for bundle in desk.store.held(PRODUCER.address_bytes)] == [0]
        assert [bundle.number for bundle in desk.store.produced(NOON, NOON + 1)] == [0]
        assert len(list(desk.store.lines())) == 2
        raise InterruptedError  # nothing of it is kept
    assert desk.store.bundle(0).status is Status.ACTIVE
    other.close()


def test_while_lines_are_read_others_write(desk: Desk) -> None:
    desk.do(ISSUER, issue(0))
    lines = desk.store.lines()
    first = next(lines)
    other = desk.another()
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


RACER = """
import sys
from certificates import *
from commonwatt.certificate.actions import Retire, Transfer
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.chain.account import signer_of
from commonwatt.node.book_store import BookStore
from commonwatt.node.store import ONLY_COMMUNITY, Store

url, me, kind, trials = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
scope = Store(url).database(ONLY_COMMUNITY).scope
store, wallets, won = BookStore(scope, IDENTITY, SCHEME, signer_of), Signers(), 0
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
            [sys.executable, "-c", RACER, desk.url, name, kind, str(trials)],
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
            [sys.executable, "-c", program, desk.url, "first", "retire", str(trials)],
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


def test_a_log_longer_than_a_page_is_read_whole(desk: Desk, monkeypatch) -> None:
    monkeypatch.setattr(book_store, "LINES_FIRST", 2)
    monkeypatch.setattr(book_store, "LINES_MAX", 5)
    for quarter in range(17):
        desk.do(ISSUER, issue(quarter))
    lines = list(desk.store.lines())
    assert len(lines) == 18
    for since in (1, 2, 3, 10, 17, 18):
        assert list(desk.store.lines(since)) == lines[since:]
    desk.store.take_snapshot()
    assert desk.reopen().log.book.entries == 18
    assert desk.asked == 0


def test_a_long_batch_is_written_piece_by_piece_and_whole(desk: Desk, monkeypatch) -> None:
    monkeypatch.setattr(book_store, "ACTIONS_AT_ONCE", 3)
    batch = []
    for quarter in range(8):
        batch.append(desk.wallets.sign(ISSUER, issue(quarter)))
        desk.wallets.done(ISSUER)
    for number in range(5):  # of bundles that an earlier piece made
        batch.append(desk.wallets.sign(PRODUCER, Transfer(number, 400, hex_of(NEIGHBOUR))))
        desk.wallets.done(PRODUCER)
    assert len(desk.store.submit_many(batch, LATER)) == 13
    state = desk.reopen().log.book.state
    assert [desk.store.bundle(number) for number in state.bundles] == list(state.bundles.values())
    assert sum(b.wh for b in desk.store.held(NEIGHBOUR.address_bytes)) == 2_000


def test_of_a_batch_that_cannot_be_finished_nothing_is_kept(desk: Desk, monkeypatch) -> None:
    monkeypatch.setattr(book_store, "ACTIONS_AT_ONCE", 2)
    batch = []
    for quarter in range(6):
        batch.append(desk.wallets.sign(ISSUER, issue(quarter)))
        desk.wallets.done(ISSUER)
    keep, pieces = desk.store._keep, []

    def until_full(*arguments: object) -> None:
        pieces.append(1)
        if len(pieces) == 3:
            raise OSError(28, "No space left on device")
        keep(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "_keep", until_full)
        with pytest.raises(OSError, match="No space left"):
            desk.store.submit_many(batch, LATER)
    assert desk.store.log.book.entries == desk.store.entries == 1
    assert desk.store.held(PRODUCER.address_bytes) == []
    assert len(desk.store.submit_many(batch, LATER)) == 6


def test_communities_of_one_database_have_books_of_their_own(desk: Desk) -> None:
    other = desk.another(MILL)
    assert (other.log.book.entries, list(other.lines())) == (0, [])
    own = Signers()
    other.submit(own.sign(ISSUER, admission()), LATER)
    own.done(ISSUER)
    other.submit(own.sign(ISSUER, issue(3)), LATER)
    assert desk.store.follow().book.entries == 1
    assert desk.store.held(PRODUCER.address_bytes) == []
    assert desk.store.bundle(0) is None
    assert [bundle.origin.start for bundle in other.produced(0, LATER)] == [NOON + 3 * QUARTER_S]
    other.take_snapshot()
    assert desk.reopen().log.book.entries == 1


def test_a_node_that_lost_its_lease_writes_nothing_into_the_book(desk: Desk) -> None:
    leases = desk.database.leases
    first = leases.acquire(ONLY_COMMUNITY, "first", 0.0)
    assert first is not None
    slow = desk.another(lease=first)
    gift = desk.wallets.sign(ISSUER, issue(0))
    slow.submit(gift, LATER)  # nobody has taken over yet
    desk.wallets.done(ISSUER)
    second = leases.acquire(ONLY_COMMUNITY, "second", 60.0)
    assert second is not None
    before = list(desk.store.lines())
    for write in (
        lambda: slow.submit(desk.wallets.sign(ISSUER, issue(1)), LATER),
        lambda: slow.submit_many([], LATER),
        slow.take_snapshot,
    ):
        with pytest.raises(LeaseLost):
            write()
    slow.close()
    assert list(desk.store.lines()) == before
    assert slow.log.book.entries == 2, "it may go on reading"
    desk.another(lease=second).submit(desk.wallets.sign(ISSUER, issue(1)), LATER)
    assert slow.follow().book.entries == 3


def test_a_lost_lease_lets_a_grown_book_be_closed(desk: Desk, monkeypatch) -> None:
    monkeypatch.setattr(book_store, "SNAPSHOT_ENTRIES", 1)
    lease = desk.database.leases.acquire(ONLY_COMMUNITY, "first", 0.0)
    slow = desk.another(lease=lease)
    desk.database.leases.acquire(ONLY_COMMUNITY, "second", 60.0)
    slow.close()
    with desk.database.transactions.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM book_snapshot")) == 0


def test_threads_of_one_process_take_turns(desk: Desk) -> None:
    people = 4
    ready = Barrier(people, timeout=20)
    batch = []
    for quarter in range(people * 10):
        batch.append(desk.wallets.sign(ISSUER, issue(quarter)))
        desk.wallets.done(ISSUER)
    desk.store.submit_many(batch, LATER)
    gifts = [
        [Transfer(10 * person + number, 400, hex_of(NEIGHBOUR)) for number in range(10)]
        for person in range(people)
    ]

    def give(person: int) -> int:
        ready.wait()
        done = 0
        for gift in gifts[person]:
            while True:
                wallet = Signers()
                counted = desk.store.log.nonces.get(PRODUCER.address_bytes, 0)
                wallet.nonces[PRODUCER.address] = counted
                with suppress(ActionRefused):  # another thread was first with this number
                    desk.store.submit(wallet.sign(PRODUCER, gift), LATER)
                    done += 1
                    break
        return done

    with ThreadPoolExecutor(people) as pool:
        assert list(pool.map(give, range(people))) == [10] * people
    state = desk.reopen().log.book.state
    assert (
        sum(b.wh for b in state.bundles.values() if b.holder == NEIGHBOUR.address_bytes) == 16_000
    )
    assert [desk.store.bundle(number) for number in state.bundles] == list(state.bundles.values())


@on_postgres
def test_a_server_that_goes_away_and_returns_leaves_the_book_right(
    postgres: PostgresServer,
) -> None:
    desk = Desk(postgres.new_schema())
    desk.do(ISSUER, admission())
    wanted = desk.wallets.sign(ISSUER, issue(0))
    postgres.kill()
    try:
        with pytest.raises(DatabaseUnusable):
            desk.store.submit(wanted, LATER)
        assert desk.store.log.book.entries == 1, "nothing was done, so nothing is forgotten"
    finally:
        postgres.start()
    desk.do(ISSUER, issue(0))
    assert desk.another().log.head == desk.store.log.head
    desk.database.close()


@on_postgres
def test_while_it_is_not_known_what_was_kept_the_book_says_nothing(
    postgres: PostgresServer, monkeypatch
) -> None:
    desk = Desk(postgres.new_schema())
    desk.do(ISSUER, admission())
    wanted = desk.wallets.sign(ISSUER, issue(0))
    keep = desk.store._keep

    def killed(*arguments: object) -> None:
        keep(*arguments)
        postgres.kill()

    try:
        with monkeypatch.context() as patch:
            patch.setattr(desk.store, "_keep", killed)
            with pytest.raises(DatabaseUnusable):
                desk.store.submit(wanted, LATER)
        with pytest.raises(DatabaseUnusable):
            _ = desk.store.log
        assert desk.store.entries == 1, "as far as it has heard"
    finally:
        postgres.start()
    assert desk.store.log.book.entries == 1
    desk.store.submit(wanted, LATER)
    assert desk.store.entries == 2
    desk.database.close()

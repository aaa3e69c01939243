"""The issuer's part of a node: everything stated is in the book once, published and posted.

Each test over SQLite and over PostgreSQL.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from certificates import ISSUER, PRODUCER
from commonwatt.certificate.actions import Action, Transfer, Withdraw
from commonwatt.certificate.log import Log, SignedAction, read_line
from commonwatt.chain.account import Account, signer_of
from commonwatt.errors import InvariantBroken
from commonwatt.node import registrar
from commonwatt.node.book_store import BookStore
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.folder import FolderFiles
from commonwatt.node.lanes import Payment
from commonwatt.node.pipeline import Closed
from commonwatt.node.registrar import Registrar, open_book, publish_book, sign_actions
from commonwatt.node.store import ONLY_COMMUNITY, Store
from commonwatt.node.store.scope import Scope
from commonwatt.quantity import Interval
from commonwatt.statement.booked import devices_of, entries
from commonwatt.statement.publication import book_days_of, book_path
from databases import url
from postgres import postgres
from street import LIFETIME_S, Street

__all__ = ["postgres", "url"]

LATE = Interval.parse("2016-06-21T23:30:00Z", 900)


@dataclass
class Posts:
    """What of a ledger the registrar asks."""

    heads: list[tuple[int, bytes]] = field(default_factory=list)

    def book_head(self) -> tuple[int, bytes]:
        return self.heads[-1] if self.heads else (0, bytes(32))

    def post(self, issuer: object, count: int, head: bytes) -> object:
        assert issuer is ISSUER
        assert count > self.book_head()[0], "book: nothing new"
        self.heads.append((count, head))
        return SimpleNamespace(gas_used=1)


class Office:
    """A street, its book on a disk, and its registrar."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.posts = folder, Posts()
        self.database = Store(url)
        for name in ("audit", "public", "members"):
            (folder / name).mkdir(parents=True)
        street = Street(members=2, producers=1, batteries=1, storage_permille=900, start=LATE)
        accounts = (PRODUCER.address_bytes, street.community.accounts[1])
        street.found(replace(street.community, accounts=accounts))
        self.street = street
        self.closes: list[Closed] = []
        self.open()

    @property
    def scope(self) -> Scope:
        return self.database.database(ONLY_COMMUNITY).scope

    def open(self) -> None:
        community = self.street.community
        own = ISSUER.address_bytes
        self.store = open_book(self.scope, community, own, LIFETIME_S)
        kept = {self.street.solar[0].key.meter: LATE.start}
        self.registrar = Registrar(self.store, ISSUER, community, kept, self.folder)

    def close(self, *measured: Sequence[int]) -> Closed:
        statement = self.street.close(self.street.measure(*measured))
        payment = Payment(bytes(32), 1)
        closed = Closed(self.street.last_inputs, statement, payment, 0.0)
        self.closes.append(closed)
        return closed

    def publish(self) -> None:
        self.registrar.publish(self.posts)  # type: ignore[arg-type]

    def published(self) -> list[bytes]:
        files = FolderFiles(self.folder)
        days = book_days_of(files.paths())
        return [line for day in days for line in files.lines(book_path(day))]


@pytest.fixture
def office(tmp_path: Path, url: str) -> Iterator[Office]:
    office = Office(tmp_path / "run", url)
    yield office
    office.database.close()


def day_and_night(office: Office) -> None:
    for measured in (
        ([0, 300], [600, 0], [1_000], [400]),
        ([0, 500], [200, 0], [0], [-260]),
        ([10, 0], [0, 0], [0], [0]),
    ):
        office.registrar.enter(office.close(*measured))


def test_every_interval_is_taken_over_once_however_often_it_is_heard_of(office: Office) -> None:
    day_and_night(office)
    count, head = office.store.log.book.entries, office.store.log.head
    for closed in office.closes:
        office.registrar.enter(closed)
    office.store.close()
    office.open()
    for closed in office.closes:
        office.registrar.enter(closed)
    assert (office.store.log.book.entries, office.store.log.head) == (count, head)


def test_what_a_crash_left_out_is_taken_over_afterwards(office: Office) -> None:
    office.registrar.enter(office.close([0, 300], [600, 0], [1_000], [400]))
    before = office.store.log.book.entries
    office.close([0, 500], [200, 0], [0], [-260])
    office.store.close()
    office.open()
    for closed in office.closes:
        office.registrar.enter(closed)
    assert office.store.log.book.entries == before + 2


def test_entries_are_published_by_day_and_lead_to_the_posted_head(office: Office) -> None:
    day_and_night(office)
    office.publish()
    days = book_days_of(FolderFiles(office.folder).paths())
    assert days == ["2016-06-21", "2016-06-22"]
    log = office.store.log
    again = Log(log.identity, log.book.scheme, signer_of)
    again.replay(office.published())
    assert office.posts.heads == [(again.book.entries, again.head)]
    office.publish()
    assert len(office.posts.heads) == 1


def test_members_actions_are_published_behind_the_issuers(office: Office) -> None:
    day_and_night(office)
    office.publish()
    state = office.store.log.book.state
    mine = next(b for b in state.bundles.values() if b.status.value == "active" and b.wh > 100)
    wanted = Transfer(mine.number, 100, office.street.community.accounts[1].hex())
    [signed] = sign_actions(office.store, PRODUCER, [wanted])
    office.store.submit(signed, office.street.interval.start)
    publish_book(office.store, office.folder)
    assert len(office.published()) == office.store.log.book.entries
    office.publish()
    assert [count for count, _ in office.posts.heads] == [
        office.store.log.book.entries - 1,
        office.store.log.book.entries,
    ]


def test_a_published_file_that_was_cut_short_is_written_anew(office: Office) -> None:
    day_and_night(office)
    office.publish()
    whole = office.published()
    last = office.folder / book_path("2016-06-22")
    last.write_bytes(last.read_bytes()[:-40])
    publish_book(office.store, office.folder)
    assert office.published() == whole


def test_what_another_process_entered_meanwhile_is_published_too(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    day_and_night(office)
    lines = BookStore.lines
    told: list[int] = []

    def slowly(store: BookStore, since: int = 0):
        found = list(lines(store, since))
        if not told:
            told.append(since)
            return iter(found[:-1])
        return iter(found)

    monkeypatch.setattr(BookStore, "lines", slowly)
    publish_book(office.store, office.folder)
    assert len(office.published()) == office.store.log.book.entries


def test_what_the_book_refuses_of_a_statement_is_a_defect_and_told(office: Office) -> None:
    closed = office.close([0, 300], [600, 0], [1_000], [400])
    certified = closed.statement.certified
    more = replace(certified.certificates[0], free_wh=10**6)
    closed.statement = replace(closed.statement, certified=replace(certified, certificates=(more,)))
    with pytest.raises(InvariantBroken, match="takes over what was stated"):
        office.registrar.enter(closed)


def test_a_damaged_file_of_an_earlier_day_is_written_anew_as_a_whole(office: Office) -> None:
    day_and_night(office)
    office.publish()
    whole = office.published()
    first = office.folder / book_path("2016-06-21")
    first.write_bytes(b"".join(first.read_bytes().splitlines(keepends=True)[:3]))
    publish_book(office.store, office.folder)
    assert office.published() == whole


def test_what_could_not_be_entered_is_entered_before_the_next(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise DatabaseUnusable("store", "the server is away")

    first = office.close([0, 300], [600, 0], [1_000], [400])
    with monkeypatch.context() as patch:
        patch.setattr(office.store, "_keep", away)
        with pytest.raises(DatabaseUnusable):
            office.registrar.enter(first)
    office.registrar.enter(office.close([0, 500], [200, 0], [0], [-260]))
    starts = [bundle.origin.start for bundle in office.store.log.book.state.bundles.values()]
    assert first.inputs.interval.start in starts
    assert starts == sorted(starts)
    office.publish()
    assert len(office.published()) == office.store.entries


def test_what_waits_at_a_days_end_is_entered_before_it_is_published(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise DatabaseUnusable("store", "the server is away")

    before = office.store.entries
    with monkeypatch.context() as patch:
        patch.setattr(office.store, "_keep", away)
        with pytest.raises(DatabaseUnusable):
            office.registrar.enter(office.close([0, 300], [600, 0], [1_000], [400]))
    office.publish()
    assert len(office.published()) == office.store.entries > before


def test_the_issuer_may_act_beside_its_node(office: Office) -> None:
    office.registrar.enter(office.close([0, 300], [600, 0], [1_000], [400]))
    community, own = office.street.community, ISSUER.address_bytes
    desk = open_book(office.scope, community, own, LIFETIME_S)
    active = next(b for b in desk.log.book.state.bundles.values() if b.status.value == "active")
    [signed] = sign_actions(desk, ISSUER, [Withdraw(active.number, 1, "a mistake")])
    desk.submit(signed, office.street.interval.start)
    before = desk.entries
    office.registrar.enter(office.close([0, 500], [200, 0], [0], [-260]))
    assert office.store.entries > before
    assert desk.follow().head == office.store.log.head


def test_the_issuer_may_act_while_its_node_enters_an_interval(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.registrar.enter(office.close([0, 300], [600, 0], [1_000], [400]))
    desk = open_book(office.scope, office.street.community, ISSUER.address_bytes, LIFETIME_S)
    sign, meddled = registrar.sign_actions, []

    def slowly(store: BookStore, actor: Account, wanted: list[Action]) -> list[SignedAction]:
        signed = sign(store, actor, wanted)
        if not meddled:
            state = desk.log.book.state
            active = next(b for b in state.bundles.values() if b.status.value == "active")
            meddled.extend(sign(desk, ISSUER, [Withdraw(active.number, 1, "a mistake")]))
            desk.submit(meddled[0], office.street.interval.start)
        return signed

    closed = office.close([0, 500], [200, 0], [0], [-260])
    monkeypatch.setattr(registrar, "sign_actions", slowly)
    office.registrar.enter(closed)
    actions = [read_line(line, 0).action for line in office.store.lines()]
    at = actions.index(meddled[0].action)
    devices = devices_of(office.street.community, {office.street.solar[0].key.meter: LATE.start})
    stated = tuple(entries(office.street.community, closed.inputs, closed.statement, devices))
    assert tuple(actions[at + 1 :]) == stated, "all of it, in its order"
    assert len(stated) > 1


def test_an_issuer_that_never_stops_acting_is_told(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(store: BookStore, actor: Account, wanted: list[Action]) -> list[SignedAction]:
        return [msgspec.structs.replace(one, nonce=0) for one in sign(store, actor, wanted)]

    sign = registrar.sign_actions
    before = office.store.entries
    closed = office.close([0, 300], [600, 0], [1_000], [400])
    monkeypatch.setattr(registrar, "sign_actions", too_late)
    with pytest.raises(InvariantBroken, match="takes over what was stated"):
        office.registrar.enter(closed)
    assert office.store.entries == before


def test_two_nodes_with_folders_of_their_own_publish_the_same_book(
    office: Office, tmp_path: Path
) -> None:
    day_and_night(office)
    office.publish()
    own = office.street.community, ISSUER.address_bytes, LIFETIME_S
    elsewhere = tmp_path / "another node"
    for name in ("audit", "public", "members"):
        (elsewhere / name).mkdir(parents=True)
    publish_book(open_book(office.scope, *own), elsewhere)
    for day in book_days_of(FolderFiles(office.folder).paths()):
        path = book_path(day)
        assert (elsewhere / path).read_bytes() == (office.folder / path).read_bytes()

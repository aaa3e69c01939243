"""One node at a time works for a community; who was overtaken writes nothing any more."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread

import pytest

from commonwatt.errors import InvariantBroken
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.store import Close, Lease, LeaseLost, Signed, StatementRow, Store
from commonwatt.node.store import postgresql as server_side
from node.store.rows import MILL, NOON, STREET, accepted, batch, refused
from postgres import PostgresServer, on_postgres

LONG, OVER = 3_600.0, -1.0
"""Seconds: a lease that outlives the test, and one that has run out when it is made."""


@pytest.fixture
def other(url: str) -> Iterator[Store]:
    """The same database, as another node has opened it."""
    opened = Store(url)
    yield opened
    opened.close()


def taken(store: Store, node: str, seconds: float = LONG) -> Lease:
    lease = store.leases.acquire(STREET, node, seconds)
    assert lease is not None
    return lease


def test_a_community_that_is_worked_for_is_not_given_away(store: Store, other: Store) -> None:
    first = taken(store, "first")
    assert other.leases.acquire(STREET, "second", LONG) is None
    assert other.leases.held() == [first]
    assert other.leases.acquire(MILL, "second", LONG) is not None, "others are free"


def test_a_lease_that_ran_out_is_taken_over_with_a_larger_token(store: Store, other: Store) -> None:
    first = taken(store, "first", OVER)
    assert store.leases.held() == []
    second = taken(other, "second")
    assert second.token > first.token
    assert second.until_ms > first.until_ms
    assert store.leases.renew(first, LONG) is None
    assert store.leases.acquire(STREET, "first", LONG) is None
    assert store.leases.held() == [second]


def test_a_lease_is_renewed_as_long_as_nobody_else_has_it(store: Store) -> None:
    first = taken(store, "first", OVER)
    again = store.leases.renew(first, LONG)
    assert again is not None
    assert again.token == first.token
    assert again.until_ms > first.until_ms
    assert store.leases.held() == [again]


def test_a_released_lease_is_free_at_once_and_tokens_never_start_again(
    store: Store, other: Store
) -> None:
    first = taken(store, "first")
    store.leases.release(first)
    assert store.leases.held() == []
    with pytest.raises(LeaseLost):
        store.database(STREET, first).take_note("key", b"too late")
    second = taken(other, "second")
    assert second.token > first.token
    store.leases.release(first)
    assert store.leases.held() == [second], "who released it before has no say any more"


def test_a_node_that_starts_again_overtakes_itself(store: Store, other: Store) -> None:
    before = taken(store, "node")
    after = taken(other, "node")
    assert after.token > before.token
    assert store.leases.renew(before, LONG) is None
    with pytest.raises(LeaseLost):
        store.database(STREET, before).take_note("key", b"of the earlier process")


def test_of_many_nodes_that_want_a_community_exactly_one_gets_it(url: str) -> None:
    nodes, rounds = 6, 10
    stores = [Store(url) for _ in range(nodes)]
    ready = Barrier(nodes, timeout=20)

    def race(number: int) -> list[Lease | None]:
        got = []
        for at in range(rounds):
            community = b"%20d" % at
            ready.wait()
            got.append(stores[number].leases.acquire(community, f"node {number}", LONG))
        return got

    with ThreadPoolExecutor(nodes) as pool:
        outcomes = list(pool.map(race, range(nodes)))
    for opened in stores:
        opened.close()
    for at in range(rounds):
        winners = [got[at] for got in outcomes if got[at] is not None]
        assert len(winners) == 1
        assert winners[0].token == 1


def test_of_many_nodes_that_take_over_at_once_exactly_one_does(url: str) -> None:
    nodes, rounds = 6, 10
    stores = [Store(url) for _ in range(nodes)]
    taken(stores[0], "gone", OVER)
    ready = Barrier(nodes, timeout=20)

    def race(number: int) -> list[Lease | None]:
        got = []
        for _ in range(rounds):
            ready.wait()
            lease = stores[number].leases.acquire(STREET, f"node {number}", LONG)
            got.append(lease)
            ready.wait()
            if lease is not None:
                stores[number].leases.renew(lease, OVER)  # and goes silent
        return got

    with ThreadPoolExecutor(nodes) as pool:
        outcomes = list(pool.map(race, range(nodes)))
    for opened in stores:
        opened.close()
    tokens = []
    for at in range(rounds):
        winners = [got[at] for got in outcomes if got[at] is not None]
        assert len(winners) == 1
        tokens.append(winners[0].token)
    assert tokens == list(range(2, rounds + 2))


WRITES: dict[str, Callable[[Store, Lease], object]] = {
    "note": lambda store, lease: store.database(STREET, lease).take_note("key", b"late"),
    "acknowledge": lambda store, lease: store.database(STREET, lease).acknowledge(
        NOON, batch(NOON), [refused(9, NOON)]
    ),
    "late": lambda store, lease: store.database(STREET, lease).acknowledge_late(
        NOON, [accepted(1, NOON)]
    ),
    "state": lambda store, lease: store.database(STREET, lease).state_statement(
        StatementRow(NOON, b"h", b"i", b"a", None, None, None), b"state", [bytes(32)]
    ),
    "paid": lambda store, lease: store.database(STREET, lease).mark_paid(NOON, b"t", 1, 0.1),
    "close": lambda store, lease: store.outbox(STREET, lease).add(Close(NOON, b"h", (), b"a")),
    "signed": lambda store, lease: store.outbox(STREET, lease).keep_signed(
        NOON, Signed(b"t", b"raw", 0, 1)
    ),
    "sent": lambda store, lease: store.outbox(STREET, lease).mark_sent(NOON, b"t"),
    "failed": lambda store, lease: store.outbox(STREET, lease).mark_failed(NOON, b"t", "why"),
    "confirmed": lambda store, lease: store.outbox(STREET, lease).mark_confirmed(NOON, b"t", 1, 1),
    "unconfirmed": lambda store, lease: store.outbox(STREET, lease).mark_unconfirmed(NOON),
    "forget": lambda store, lease: store.outbox(STREET, lease).forget(NOON, 1),
    "message": lambda store, lease: store.deliveries(STREET, lease).add("hook", "event", b""),
    "arrived": lambda store, lease: store.deliveries(STREET, lease).mark_delivered(1),
    "missed": lambda store, lease: store.deliveries(STREET, lease).mark_failed(1, "why", 1.0),
    "forgotten": lambda store, lease: store.deliveries(STREET, lease).forget(0),
}


def test_every_write_of_a_node_that_was_overtaken_is_refused(store: Store, other: Store) -> None:
    before = taken(store, "first", OVER)
    for write in WRITES.values():
        write(store, before)
    whole = store.database(STREET).verified()
    after = taken(other, "second")
    for name, write in WRITES.items():
        with pytest.raises(LeaseLost, match=r"first no longer works .* nothing was written"):
            write(store, before)
        assert store.database(STREET).verified() == whole, name
    other.database(STREET, after).take_note("second", b"works")
    assert store.database(STREET).note("second") == b"works"


def test_a_lease_is_good_for_its_own_community_only(store: Store) -> None:
    with pytest.raises(InvariantBroken, match="lease is of the community"):
        store.database(MILL, taken(store, "first"))


def test_taking_over_waits_for_a_write_that_has_begun(store: Store, other: Store) -> None:
    before = taken(store, "first", OVER)
    database, began, goes_on = store.database(STREET, before), Event(), Event()

    def slow_write() -> None:
        with database._writing() as connection:
            began.set()
            assert goes_on.wait(30)
            connection.exec_driver_sql("INSERT INTO lease SELECT * FROM lease WHERE 1 = 0")

    got: list[Lease | None] = []
    writer = Thread(target=slow_write)
    writer.start()
    assert began.wait(30)
    taker = Thread(target=lambda: got.append(other.leases.acquire(STREET, "second", LONG)))
    taker.start()
    taker.join(0.3)
    assert taker.is_alive(), "nobody takes over in the middle of a write"
    goes_on.set()
    writer.join(30)
    taker.join(30)
    assert [lease.node for lease in got if lease] == ["second"]


@on_postgres
def test_a_node_that_goes_silent_within_a_write_loses_it_and_its_lease(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_side, "IDLE_S", 1)
    url = postgres.new_schema()
    silent, other = Store(url), Store(url)
    database = silent.database(STREET, taken(silent, "silent", OVER))
    got: list[Lease] = []

    def write() -> None:
        with database._writing() as connection:
            connection.exec_driver_sql("INSERT INTO lease SELECT * FROM lease WHERE 1 = 0")
            got.append(taken(other, "second"))  # waits until the server has lost patience

    with pytest.raises(DatabaseUnusable):
        write()
    assert got[0].node == "second"
    other.database(STREET, got[0]).take_note("key", b"second")
    silent.close()
    other.close()

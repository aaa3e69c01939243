"""Limits that members set hold from the open interval on, whatever happens to a node meanwhile."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from commonwatt.market.book import Limits, LimitsUnusable
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.keeping import kept_inputs
from commonwatt.node.service.clock import Clock
from commonwatt.node.service.hosted import Hosted
from commonwatt.node.service.standing_limits import MemberLimits, Unchangeable
from commonwatt.node.store import (
    LIMIT_CHANGES_PER_INTERVAL_MAX,
    Database,
    Lease,
    LeaseLost,
    LimitChange,
    StandingLimits,
    StatementRow,
    Store,
    TooManyChanges,
)
from commonwatt.quantity import PRICE_PER_WH_MAX, Interval
from databases import url
from node.service.parts import AUCTION, Chain, Hands, Town, hosted_over, street_of, usual_limits
from node.store.rows import STREET
from postgres import postgres
from street import MIDSUMMER_NOON, TARIFF

__all__ = ["postgres", "url"]

NOON = MIDSUMMER_NOON.start
FILE = Limits(TARIFF.retail, TARIFF.feed_in)
THRIFTY, DEAR = Limits(15_000, 9_000), Limits(24_000, 20_000)
PRODUCER, NEIGHBOUR = 0, 1


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path / "town", Hands(NOON + 900), AUCTION)
    yield town
    town.close()


def live(town: Town, index: int) -> None:
    """Let a quarter hour pass."""
    town.clock.now = max(town.clock.now, town.street.interval.end)
    town.hosted.take(town.records(index))
    town.hosted.conclude()
    assert town.hosted.settle()


def limits_in(row: StatementRow) -> tuple[Limits, ...]:
    """Those that an interval was closed with."""
    return kept_inputs(row.inputs, Interval(row.start, 900), (), (), ()).limits


def prices(hosted: Hosted) -> list[int]:
    told = [event for event in hosted.events.after(0) if event.kind == "interval"]
    return [event.data["local_price"] for event in told]


def test_what_is_set_holds_from_the_open_interval_on_and_moves_the_price(town: Town) -> None:
    live(town, 0)
    done = town.hosted.change_limits(PRODUCER, DEAR, "producer")
    assert isinstance(done, MemberLimits)
    assert isinstance(done.change, LimitChange)
    assert (done.limits, done.change.start, done.change.by) == (DEAR, NOON + 900, "producer")
    live(town, 1)
    live(town, 2)
    back = town.hosted.change_limits(PRODUCER, None, "operator")
    assert isinstance(back, MemberLimits)
    assert (back.limits, back.number) == (FILE, 2)
    live(town, 3)
    closed_with = [limits_in(row)[PRODUCER] for row in town.database.statements()]
    assert closed_with == [FILE, DEAR, DEAR, FILE]
    cheap, dear = (24_000 + 8_000) // 2, (24_000 + 20_000) // 2
    assert prices(town.hosted) == [cheap, dear, dear, cheap]


def test_an_interval_whose_time_is_over_still_takes_limits_until_it_is_concluded(
    town: Town,
) -> None:
    town.hosted.take(town.records())
    town.clock.now = NOON + 950
    done = town.hosted.change_limits(NEIGHBOUR, THRIFTY, "neighbour")
    assert isinstance(done, MemberLimits)
    assert isinstance(done.change, LimitChange)
    assert done.change.start == NOON
    town.hosted.conclude()
    [row] = town.database.statements()
    assert limits_in(row) == (FILE, THRIFTY, FILE)


def test_a_node_that_was_killed_finds_the_limits_again_and_states_the_past_as_it_was(
    town: Town,
) -> None:
    live(town, 0)
    town.hosted.change_limits(PRODUCER, DEAR, "producer")
    live(town, 1)
    town.hosted.change_limits(PRODUCER, THRIFTY, "producer")
    before = town.database.statements()
    town.close()
    town.open()  # which concludes the day again and compares the anchors
    assert town.database.statements() == before
    found = town.hosted.limits.of(PRODUCER)
    assert (found.limits, found.number) == (THRIFTY, 2)
    live(town, 2)
    assert [limits_in(row)[PRODUCER] for row in town.database.statements()] == [FILE, DEAR, THRIFTY]


def test_what_is_so_already_is_not_set_again(town: Town) -> None:
    assert town.hosted.change_limits(PRODUCER, None, "producer") == MemberLimits(FILE, None)
    first = town.hosted.change_limits(PRODUCER, DEAR, "producer")
    assert town.hosted.change_limits(PRODUCER, DEAR, "operator") == first
    assert len(town.hosted.limits.changes(PRODUCER, 0, 10)) == 1


def test_of_several_who_saw_the_same_limits_one_changes_them(town: Town) -> None:
    together = Barrier(8, timeout=20)

    def change(index: int) -> object:
        together.wait()
        return town.hosted.change_limits(PRODUCER, Limits(20_000 + index, 0), "producer", seen=0)

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(change, range(8)))
    assert sum(isinstance(one, MemberLimits) for one in done) == 1
    assert done.count(Unchangeable.CHANGED_MEANWHILE) == 7
    assert len(town.hosted.limits.changes(PRODUCER, 0, 10)) == 1


def test_prices_with_which_nothing_could_be_closed_any_more_are_not_kept(town: Town) -> None:
    for wrong in (Limits(-1, 0), Limits(0, -1), Limits(PRICE_PER_WH_MAX + 1, 0)):
        with pytest.raises(LimitsUnusable):
            town.hosted.change_limits(PRODUCER, wrong, "producer")
    most = Limits(PRICE_PER_WH_MAX, PRICE_PER_WH_MAX)
    for member in range(3):
        assert isinstance(town.hosted.change_limits(member, most, "producer"), MemberLimits)
    live(town, 0)
    assert limits_in(town.database.statements()[0]) == (most, most, most)


def test_a_member_changes_its_limits_so_often_while_an_interval_is_open(town: Town) -> None:
    for at in range(LIMIT_CHANGES_PER_INTERVAL_MAX):
        town.hosted.change_limits(PRODUCER, Limits(20_000 + at, 0), "producer")
    refused = town.hosted.change_limits(PRODUCER, DEAR, "producer")
    assert isinstance(refused, TooManyChanges)
    live(town, 0)
    assert isinstance(town.hosted.change_limits(PRODUCER, DEAR, "producer"), MemberLimits)


def test_a_market_without_limits_takes_none(tmp_path: Path) -> None:
    town = Town(tmp_path / "town", Hands(NOON + 900))
    assert town.hosted.change_limits(PRODUCER, DEAR, "producer") is Unchangeable.NOT_TAKEN
    assert town.hosted.limits.of(PRODUCER) == MemberLimits(None, None)
    live(town, 0)
    assert limits_in(town.database.statements()[0]) == ()
    town.close()


def test_a_change_whose_answer_was_lost_counts_if_it_was_kept(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = StandingLimits.add

    def lost(*arguments: object) -> None:
        add(*arguments)  # type: ignore[arg-type]
        raise DatabaseUnusable("server", "the connection was lost", in_doubt=True)

    with monkeypatch.context() as patch:
        patch.setattr(StandingLimits, "add", lost)
        with pytest.raises(DatabaseUnusable):
            town.hosted.change_limits(PRODUCER, DEAR, "producer")
    again = town.hosted.change_limits(PRODUCER, DEAR, "producer")
    assert isinstance(again, MemberLimits)
    assert (again.limits, again.number) == (DEAR, 1)


def test_nothing_is_set_while_nobody_knows_which_interval_is_open(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(town.database, "_in_doubt", True)
    with pytest.raises(DatabaseUnusable, match="the connection was lost"):
        town.hosted.change_limits(PRODUCER, DEAR, "producer")
    assert town.hosted.limits.of(PRODUCER) == MemberLimits(FILE, None)


# Several nodes


def work(store: Store, folder: Path, lease: Lease, chain: Chain, clock: Clock) -> Hosted:
    database: Database = store.database(STREET, lease)
    hosted, _ = hosted_over(street_of(AUCTION), "street", folder, database, chain, clock)
    return hosted


def test_the_node_that_takes_over_closes_with_what_was_set_at_the_one_before(
    url: str, tmp_path: Path
) -> None:
    store, chain, clock = Store(url), Chain(), Hands(NOON + 960)
    lease = store.leases.acquire(STREET, "first", 60)
    assert lease is not None
    first = work(store, tmp_path / "first", lease, chain, clock)
    first.change_limits(PRODUCER, DEAR, "producer")
    store.leases.release(lease)
    taken = store.leases.acquire(STREET, "second", 60)
    assert taken is not None
    second = work(store, tmp_path / "second", taken, chain, clock)
    assert second.limits.of(PRODUCER).limits == DEAR
    with pytest.raises(LeaseLost):
        first.change_limits(PRODUCER, THRIFTY, "producer")
    second.change_limits(NEIGHBOUR, THRIFTY, "neighbour")
    second.conclude()
    [row] = store.database(STREET).statements()
    assert limits_in(row) == (DEAR, THRIFTY, FILE)
    assert usual_limits(second.community) == (FILE, FILE, FILE)
    for hosted in (first, second):
        hosted.book.close()
    store.close()

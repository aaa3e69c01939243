"""Limit prices that members set: each change is a line of its own, and the last one counts."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import text

from commonwatt.market.book import Limits
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.store import (
    LIMIT_CHANGES_PER_INTERVAL_MAX,
    LeaseLost,
    LimitChange,
    StandingLimits,
    Store,
    TooManyChanges,
)
from node.store.rows import MILL, NOON, QUARTER, STREET

EAGER, THRIFTY = Limits(24_000, 12_000), Limits(15_000, 9_000)


@pytest.fixture
def limits(store: Store) -> StandingLimits:
    return StandingLimits(store.database(STREET).scope)


def test_a_change_says_whose_from_when_by_whom_and_at_what_time(limits: StandingLimits) -> None:
    made = limits.add(3, NOON, EAGER, "0xfeed")
    assert isinstance(made, LimitChange)
    assert (made.number, made.member, made.start) == (1, 3, NOON)
    assert (made.limits, made.by) == (EAGER, "0xfeed")
    assert made.at_ms > 1_700_000_000_000
    assert limits.last() == limits.changes(3, 0, 10) == [made]
    assert limits.changes(2, 0, 10) == []


def test_each_members_last_change_counts_and_those_before_stay(limits: StandingLimits) -> None:
    made = [
        limits.add(member, start, wanted, by)
        for member, start, wanted, by in [
            (0, NOON, EAGER, "producer"),
            (1, NOON, EAGER, "neighbour"),
            (0, NOON, THRIFTY, "operator"),
            (1, NOON + QUARTER, None, "neighbour"),
        ]
    ]
    assert limits.last() == made[2:]
    assert limits.last(after=3) == made[3:]
    assert limits.last(after=4) == []
    assert limits.changes(0, 0, 10) == [made[0], made[2]]
    assert limits.changes(0, 0, 1) == [made[0]]
    assert limits.changes(0, 1, 10) == [made[2]]


def test_a_communitys_changes_are_nobody_elses(store: Store, limits: StandingLimits) -> None:
    limits.add(0, NOON, EAGER, "producer")
    other = StandingLimits(store.database(MILL).scope)
    assert other.last() == other.changes(0, 0, 10) == []
    made = other.add(0, NOON, THRIFTY, "miller")
    assert isinstance(made, LimitChange)
    assert made.number == 1


def test_while_one_interval_is_open_a_member_changes_its_limits_so_often_and_no_more(
    limits: StandingLimits,
) -> None:
    for at in range(LIMIT_CHANGES_PER_INTERVAL_MAX):
        limits.add(0, NOON, Limits(20_000 + at, 0), "producer")
    refused = limits.add(0, NOON, EAGER, "producer")
    assert refused == TooManyChanges(LIMIT_CHANGES_PER_INTERVAL_MAX)
    assert len(limits.changes(0, 0, 100)) == LIMIT_CHANGES_PER_INTERVAL_MAX
    assert isinstance(limits.add(1, NOON, EAGER, "neighbour"), LimitChange)
    assert isinstance(limits.add(0, NOON + QUARTER, EAGER, "producer"), LimitChange)


def test_what_was_set_is_never_changed_or_deleted(store: Store, limits: StandingLimits) -> None:
    made = limits.add(0, NOON, EAGER, "producer")
    for statement in ("UPDATE standing_limit SET bid = 1", "DELETE FROM standing_limit"):
        with (
            pytest.raises(DatabaseUnusable, match="never changed"),
            store.transactions.writing() as connection,
        ):
            connection.execute(text(statement))
    assert limits.last() == [made]


def test_half_a_pair_of_prices_cannot_be_kept(store: Store) -> None:
    values = "(:community, 1, 0, 0, 5, NULL, 'x', 0)"
    with pytest.raises(DatabaseUnusable), store.transactions.writing() as connection:
        connection.execute(
            text(f"INSERT INTO standing_limit VALUES {values}"), {"community": STREET}
        )


def test_a_node_that_has_lost_its_lease_changes_nothing(store: Store) -> None:
    lease = store.leases.acquire(STREET, "first", 60)
    assert lease is not None
    late = StandingLimits(store.database(STREET, lease).scope)
    store.leases.release(lease)
    with pytest.raises(LeaseLost):
        late.add(0, NOON, EAGER, "producer")
    assert late.last() == []


def test_changes_made_at_the_same_time_have_numbers_of_their_own(store: Store) -> None:
    members, together = 8, Barrier(8, timeout=20)

    def add(member: int) -> None:
        together.wait()
        StandingLimits(store.database(STREET).scope).add(member, NOON, EAGER, "operator")

    with ThreadPoolExecutor(members) as pool:
        list(pool.map(add, range(members)))
    made = StandingLimits(store.database(STREET).scope).last()
    assert [change.number for change in made] == list(range(1, members + 1))
    assert sorted(change.member for change in made) == list(range(members))

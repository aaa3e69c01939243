"""The thread that closes intervals: on time while the chain is away, and never one too many."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from commonwatt.meter.acceptance import Accepted
from commonwatt.node.service import keeper as keepers
from commonwatt.node.service.clock import RecordClock
from commonwatt.node.service.keeper import CATCH_UP_S, LOOK_S, Keeper
from node.service.parts import Hands, Town
from street import MIDSUMMER_NOON

NOON = MIDSUMMER_NOON.start


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path / "town", Hands(NOON + 900))
    yield town
    town.close()


def test_a_chain_that_is_away_is_asked_once_and_holds_up_no_interval(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, asked = Keeper(town.hosted, town.clock), []
    town.hosted.take(town.records())
    town.clock.now = NOON + 960
    keeper.step()
    town.chain.is_away = True
    for index in range(1, 5):
        town.clock.now += 900
        town.hosted.take(town.records(index))
    settle = town.hosted.settle

    def counted() -> bool:
        asked.append(town.clock.now)
        return settle()

    monkeypatch.setattr(town.hosted, "settle", counted)
    pause = keeper.step()
    # An answer that never comes may take twenty seconds: all that was due is closed meanwhile.
    assert (town.hosted.status().waiting, len(asked)) == (4, 1)
    assert town.hosted.status().open_start == NOON + 5 * 900
    assert pause == LOOK_S, "the next interval is closed in time, too"
    town.clock.now += 900
    town.hosted.take(town.records(5))
    keeper.step(asks_chain=False)
    assert (town.hosted.status().waiting, len(asked)) == (5, 1)
    town.chain.is_away = False
    keeper.step()
    assert sorted(town.chain.closed) == [NOON + 900 * n for n in range(6)]


def test_a_keeper_that_comes_too_late_on_a_test_bed_does_not_close_the_next_interval(
    tmp_path: Path,
) -> None:
    town = Town(tmp_path / "town", RecordClock(NOON))
    first, second = town.records(0), town.records(1)
    town.hosted.take(first)
    # It looked while the interval was complete; the records' own thread has closed it since.
    town.hosted.conclude()
    assert town.hosted.status().open_start == NOON + 900
    assert all(isinstance(verdict, Accepted) for verdict in town.hosted.take(second))
    assert sorted(town.chain.closed) == [NOON, NOON + 900]
    town.close()


def steps(keeper: Keeper, town: Town, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time go by for both clocks, as a keeper sees it that looks again and again."""
    at = keepers.monotonic()
    for _ in range(seconds):
        at, town.clock.now = at + 1, town.clock.now + 1
        monkeypatch.setattr(keepers, "monotonic", lambda at=at: at)
        keeper.step()


def test_when_the_clock_leaps_forward_past_intervals_wait_for_what_is_on_its_way(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper(town.hosted, town.clock)
    steps(keeper, town, CATCH_UP_S + 1, monkeypatch)
    assert town.hosted.status().open_start == NOON + 900
    town.records()  # of the interval that was closed without them
    late = [town.records(index) for index in range(1, 4)]
    # The machine was asleep for an hour: its clock is set, and gateways bring what they kept.
    town.clock.now = NOON + 5 * 900
    keeper.step()
    assert town.hosted.status().open_start == NOON + 900
    for batch in late:
        assert all(isinstance(verdict, Accepted) for verdict in town.hosted.take(batch))
    keeper.step()
    assert town.hosted.status().open_start == NOON + 4 * 900
    steps(keeper, town, CATCH_UP_S, monkeypatch)
    assert town.hosted.status().open_start == NOON + 5 * 900, "but not for ever"


def test_a_clock_that_was_ahead_at_the_start_holds_up_nothing_once_it_is_set_back(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.clock.now += 7_200
    keeper = Keeper(town.hosted, town.clock)
    town.clock.now -= 7_200
    steps(keeper, town, CATCH_UP_S + 1, monkeypatch)
    assert town.hosted.status().open_start == NOON + 900, "silent meters are waited for no longer"

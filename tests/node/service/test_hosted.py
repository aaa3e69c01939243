"""One community at work: records in from many threads, intervals closed in time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from commonwatt.meter.acceptance import Accepted, Duplicate, Reason, Refused
from commonwatt.meter.keys import other_form
from commonwatt.meter.record import SignedRecord
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.service.clock import RecordClock
from commonwatt.node.service.events import EVENTS_KEPT, Events
from commonwatt.node.service.hosted import result_of
from commonwatt.node.service.keeper import CATCH_UP_S, RETRY_MAX_S, Keeper
from node.service.parts import Hands, Town
from street import MIDSUMMER_NOON

NOON = MIDSUMMER_NOON.start


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path / "town", Hands(NOON + 900))
    yield town
    town.close()


def test_verdicts_come_in_the_order_of_the_batch_and_equal_records_count_once(town: Town) -> None:
    batch = town.records()
    mixed = [batch[3], batch[0], batch[3], batch[1]]
    verdicts = town.hosted.take(mixed)
    assert [type(verdict) for verdict in verdicts] == [Accepted, Accepted, Duplicate, Accepted]
    assert [verdict.signed for verdict in verdicts] == mixed
    again = town.hosted.take(batch)
    assert sorted(type(verdict).__name__ for verdict in again) == [
        "Accepted", "Accepted", "Duplicate", "Duplicate", "Duplicate",
    ]  # fmt: skip


def test_a_record_counts_in_whichever_form_its_signature_comes(town: Town) -> None:
    first, second, *_ = town.records()
    other = SignedRecord(first.record, other_form(first.signature))
    verdicts = town.hosted.take([other, second, first])
    assert [type(verdict) for verdict in verdicts] == [Accepted, Accepted, Duplicate]
    assert {verdict.signed for verdict in verdicts} == {first, second}


def test_what_comes_at_the_same_time_is_written_together_and_each_hears_its_own(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, writes = town.records(), []
    receive = town.node.receive

    def counted(signed: list[SignedRecord]) -> object:
        writes.append(len(signed))
        return receive(signed)

    monkeypatch.setattr(town.node, "receive", counted)
    together = Barrier(20)

    def send(index: int) -> list[object]:
        together.wait()
        return list(town.hosted.take([batch[index % len(batch)]]))

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(send, range(20)))
    assert sum(writes) == 20
    for index, (verdict,) in enumerate(answers):
        assert verdict.signed == batch[index % len(batch)]
    accepted = [a for (a,) in answers if isinstance(a, Accepted)]
    assert len(accepted) == len(batch)


def test_a_database_that_fails_acknowledges_nothing_and_works_again_afterwards(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = town.records()
    with monkeypatch.context() as patch:

        def fail(*_: object) -> None:
            raise DatabaseUnusable(Path("node.sqlite"), "disk full")

        patch.setattr(town.node._database, "acknowledge", fail)
        with pytest.raises(DatabaseUnusable):
            town.hosted.take(batch)
    assert town.hosted.status().accepted == 0
    assert all(isinstance(v, Accepted) for v in town.hosted.take(batch))


def test_a_refused_record_is_answered_with_its_reason_and_told_as_an_event(town: Town) -> None:
    batch = town.records()
    forged = SignedRecord(batch[0].record, bytes(64))
    [verdict] = town.hosted.take([forged])
    assert isinstance(verdict, Refused)
    assert result_of(verdict) == {
        "record": batch[0].digest.hex(),
        "meter": batch[0].record[12:32].hex(),
        "sequence": 1,
        "verdict": "refused",
        "reason": Reason.SIGNATURE_WRONG.name,
    }
    assert [event.kind for event in town.hosted.events.after(0)] == ["refused"]


# Keepers


def test_a_keeper_closes_an_interval_when_its_grace_is_over_and_not_before(town: Town) -> None:
    town.hosted.take(town.records())
    keeper = Keeper(town.hosted, town.clock)
    keeper.step()
    assert town.hosted.status().open_start == NOON
    town.clock.now = NOON + 960
    keeper.step()
    assert town.hosted.status().open_start == NOON + 900
    assert town.hosted.status().waiting == 0
    told = [event for event in town.hosted.events.after(0) if event.kind == "interval"]
    assert [event.data["start"] for event in told] == [NOON]
    assert town.hosted.lines("public/2016-06-21.jsonl")


def test_while_the_chain_is_away_intervals_close_and_are_anchored_when_it_returns(
    town: Town,
) -> None:
    keeper = Keeper(town.hosted, town.clock)
    town.hosted.take(town.records())
    town.clock.now = NOON + 960
    keeper.step()
    town.chain.is_away = True
    for index in range(1, 4):
        town.clock.now += 840
        town.hosted.take(town.records(index))
        town.clock.now += 60
        pause = keeper.step()
    assert town.hosted.status().waiting == 3
    assert "no chain answers" in town.hosted.status().chain
    assert 0 < pause <= RETRY_MAX_S
    town.chain.is_away = False
    keeper.step()
    assert (town.hosted.status().waiting, town.hosted.status().chain) == (0, "ok")
    assert sorted(town.chain.closed) == [NOON + 900 * n for n in range(4)]
    kinds = [event.kind for event in town.hosted.events.after(0)]
    assert kinds == ["interval", "chain", "interval", "interval", "interval", "chain"]


def test_who_stops_while_the_chain_is_away_does_not_wait_for_it(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted = []
    monkeypatch.setattr(town.hosted._registrar, "publish", posted.append)
    keeper = Keeper(town.hosted, town.clock)
    for index, is_away in enumerate((False, True)):
        town.chain.is_away = is_away
        town.clock.now = NOON + 900 * (index + 1)
        town.hosted.take(town.records(index))
        town.clock.now += 60
        keeper.step()
    assert town.hosted.status().waiting == 1
    town.hosted.publish()
    assert posted == []
    town.chain.is_away = False
    keeper.step()
    town.hosted.publish()
    assert posted == [town.hosted.ledger]


def test_after_a_night_off_past_intervals_wait_for_what_meters_kept_meanwhile(town: Town) -> None:
    nights = [town.records(index) for index in range(4)]
    town.clock.now = NOON + 4 * 900 + 60
    keeper = Keeper(town.hosted, town.clock)
    keeper.step()
    assert town.hosted.status().open_start == NOON
    for batch in nights:
        assert all(isinstance(v, Accepted) for v in town.hosted.take(batch))
    keeper.step()
    assert town.hosted.status().open_start == NOON + 4 * 900
    assert all(event.data["silent"] == 0 for event in town.hosted.events.after(0))


def test_it_does_not_wait_for_ever(town: Town) -> None:
    town.records()
    town.clock.now = NOON + 4 * 900 + 60
    keeper = Keeper(town.hosted, town.clock)
    town.clock.now += CATCH_UP_S
    keeper.step()
    assert town.hosted.status().open_start > NOON + 3 * 900


def test_a_thread_of_its_own_closes_as_soon_as_all_meters_have_spoken(tmp_path: Path) -> None:
    town = Town(tmp_path / "town", RecordClock(NOON))
    keeper = Keeper(town.hosted, town.clock)
    town.hosted.on_records = keeper.wake
    keeper.start()
    try:
        seen = 0
        for index in range(5):
            town.hosted.take(town.records(index))
            [event] = [e for e in town.hosted.events.wait(seen, timeout=20) if e.kind == "interval"]
            seen = event.number
    finally:
        keeper.stop()
        town.hosted.publish()
        town.close()
    assert len(town.chain.closed) == 5
    assert town.chain.heads == [(town.hosted.book.log.book.entries, town.hosted.book.log.head)]


def test_a_node_that_stops_and_starts_again_goes_on_where_it_was(tmp_path: Path) -> None:
    town = Town(tmp_path / "town", RecordClock(NOON))
    batches = [town.records(index) for index in range(3)]
    for batch in batches[:2]:
        town.hosted.take(batch)
    town.hosted.take(batches[2][:2])
    town.close()
    town.open()
    assert town.hosted.status().open_start == NOON + 2 * 900
    assert town.hosted.status().silent == 3
    verdicts = town.hosted.take(batches[2])
    assert sum(isinstance(v, Accepted) for v in verdicts) == 3
    assert sorted(town.chain.closed) == [NOON, NOON + 900, NOON + 2 * 900]
    town.close()


# Events


def test_events_are_replayed_from_any_number_and_forgotten_when_there_are_too_many() -> None:
    events = Events(100)
    assert events.wait(99, timeout=0.01) == []
    for index in range(EVENTS_KEPT + 5):
        events.add(index, "interval", start=index)
    assert events.last == 100 + EVENTS_KEPT + 4
    assert len(events.after(0)) == EVENTS_KEPT
    assert [event.number for event in events.after(events.last - 2)] == [
        events.last - 1,
        events.last,
    ]

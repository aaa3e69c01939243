"""Messages to webhooks arrive once or are given up; requests with a key are answered once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from commonwatt.node.store import Answered, Busy, Fresh, KeyTaken, Store
from commonwatt.node.store.answers import Known
from node.store.rows import MILL, STREET

ASKED, OTHER = b"a" * 32, b"b" * 32
HOUR, OVER = 3_600.0, -1.0


def test_a_message_is_due_until_it_has_arrived(store: Store) -> None:
    deliveries = store.deliveries(STREET)
    deliveries.add("board", "closed 1", b"{}")
    deliveries.add("board", "closed 1", b"{}")  # the same event once only
    deliveries.add("app", "closed 1", b"{}")
    first, second = deliveries.due()
    assert (first.number, first.hook, first.event, first.body) == (1, "board", "closed 1", b"{}")
    assert deliveries.due(1) == [first]
    deliveries.mark_delivered(first.number)
    assert deliveries.due() == [second]
    assert store.deliveries(MILL).due() == []


def test_a_message_that_did_not_arrive_is_due_again_later_or_given_up(store: Store) -> None:
    deliveries = store.deliveries(STREET)
    deliveries.add("board", "closed 1", b"{}")
    deliveries.mark_failed(1, "no answer", HOUR)
    assert deliveries.due() == []
    deliveries.mark_failed(1, "no answer", OVER)
    (again,) = deliveries.due()
    assert again.failures == 2
    deliveries.mark_failed(1, "410 gone " * 100, None)
    assert deliveries.due() == []
    ((given_up, why),) = deliveries.given_up()
    assert given_up.failures == 3
    assert why == ("410 gone " * 100)[:500]


def test_old_messages_are_dropped_once_they_have_arrived(store: Store) -> None:
    deliveries = store.deliveries(STREET)
    for number in range(2):
        deliveries.add("board", f"closed {number}", b"{}")
    deliveries.mark_delivered(1)
    deliveries.forget(before_ms=1)
    deliveries.add("board", "closed 0", b"{}")
    assert len(deliveries.due()) == 1, "it is still known to have arrived"
    deliveries.forget(before_ms=2**62)
    deliveries.add("board", "closed 0", b"{}")
    assert len(deliveries.due()) == 2


def test_a_request_is_carried_out_once_and_answered_each_time(store: Store) -> None:
    answers = store.answers(STREET)
    assert answers.begin("member 1", "key", ASKED, HOUR) == Fresh()
    assert answers.begin("member 1", "key", ASKED, HOUR) == Busy()
    answers.finish("member 1", "key", b"done", HOUR)
    assert answers.begin("member 1", "key", ASKED, HOUR) == Answered(b"done")


def test_a_key_belongs_to_one_request_of_one_actor_in_one_community(store: Store) -> None:
    answers = store.answers(STREET)
    answers.begin("member 1", "key", ASKED, HOUR)
    assert answers.begin("member 1", "key", OTHER, HOUR) == KeyTaken()
    answers.finish("member 1", "key", b"done", HOUR)
    assert answers.begin("member 1", "key", OTHER, HOUR) == KeyTaken()
    assert answers.begin("member 2", "key", OTHER, HOUR) == Fresh()
    assert answers.begin("member 1", "another", OTHER, HOUR) == Fresh()
    assert store.answers(MILL).begin("member 1", "key", OTHER, HOUR) == Fresh()


def test_a_request_whose_node_died_can_be_asked_again_after_a_while(store: Store) -> None:
    answers = store.answers(STREET)
    answers.begin("member 1", "key", ASKED, OVER)
    assert answers.begin("member 1", "key", OTHER, HOUR) == Fresh()
    answers.abandon("member 1", "key")
    assert answers.begin("member 1", "key", ASKED, HOUR) == Fresh()
    answers.finish("member 1", "key", b"done", OVER)
    assert answers.begin("member 1", "key", ASKED, HOUR) == Fresh(), "its time is over"


def test_answers_are_dropped_when_their_time_is_over_and_not_before(store: Store) -> None:
    answers = store.answers(STREET)
    for key, seconds in (("old", OVER), ("new", HOUR)):
        answers.begin("member 1", key, ASKED, HOUR)
        answers.finish("member 1", key, key.encode(), seconds)
    answers.forget_expired()
    answers.abandon("member 1", "new")
    assert answers.begin("member 1", "new", ASKED, HOUR) == Answered(b"new")


@pytest.mark.parametrize("before", ["nothing", "expired"])
def test_of_many_that_ask_at_once_one_carries_it_out(url: str, before: str) -> None:
    askers = 6
    stores = [Store(url) for _ in range(askers)]
    if before == "expired":
        stores[0].answers(STREET).begin("member 1", "key", ASKED, OVER)
    ready = Barrier(askers, timeout=20)

    def ask(store: Store) -> Known:
        ready.wait()
        return store.answers(STREET).begin("member 1", "key", ASKED, HOUR)

    with ThreadPoolExecutor(askers) as pool:
        outcomes = list(pool.map(ask, stores))
    for opened in stores:
        opened.close()
    assert outcomes.count(Fresh()) == 1
    assert outcomes.count(Busy()) == askers - 1

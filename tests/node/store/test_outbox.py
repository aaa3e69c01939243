"""Closes go to the chain in order; what was signed is remembered before it is sent."""

import pytest

from commonwatt.errors import InvariantBroken
from commonwatt.node.store import Close, Outbox, Signed, StatementRow, Store
from node.store.rows import MILL, NOON, QUARTER, STREET

FIRST, SECOND = (
    Signed(b"1" * 32, b"raw 1", 7, 10**9, 10**8),
    Signed(b"2" * 32, b"raw 2", 7, 2 * 10**9),
)


def close(at: int, anchor: bytes = b"anchor") -> Close:
    return Close(NOON + QUARTER * at, b"header", (b"a" * 32, b"b" * 32), anchor)


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return store.outbox(STREET)


def test_the_earliest_interval_goes_first_whenever_it_came(outbox: Outbox) -> None:
    assert outbox.next() is None
    for at in (2, 0, 1):
        outbox.add(close(at))
    assert [pending.close for pending in outbox.pending()] == [close(0), close(1), close(2)]
    assert [pending.close.start for pending in outbox.pending(2)] == [NOON, NOON + QUARTER]
    found = outbox.next()
    assert found is not None
    assert (found.close, found.attempts, found.block) == (close(0), (), None)


def test_a_transaction_is_remembered_with_all_that_sending_it_again_takes(
    outbox: Outbox, store: Store
) -> None:
    outbox.add(close(0))
    for _ in range(2):  # a second time changes nothing
        outbox.keep_signed(NOON, FIRST)
    found = outbox.next()
    assert found is not None
    (attempt,) = found.attempts
    assert (attempt.signed, attempt.anchor) == (FIRST, b"anchor")
    assert (attempt.sent_ms, attempt.failure) == (None, None)
    outbox.mark_sent(NOON, FIRST.transaction)
    again = store.outbox(STREET).next()
    assert again is not None
    sent = again.attempts[0].sent_ms
    assert sent is not None
    outbox.mark_sent(NOON, FIRST.transaction)
    once_more = outbox.next()
    assert once_more is not None
    assert once_more.attempts[0].sent_ms == sent, "the first time counts"


def test_a_stuck_transaction_is_followed_by_another_and_either_may_win(outbox: Outbox) -> None:
    outbox.add(close(0))
    outbox.keep_signed(NOON, FIRST)
    outbox.keep_signed(NOON, SECOND)
    found = outbox.next()
    assert found is not None
    assert [attempt.signed for attempt in found.attempts] == [FIRST, SECOND]
    outbox.mark_confirmed(NOON, FIRST.transaction, block=12, gas=99_000)
    assert outbox.next() is None
    (done,) = outbox.confirmed(12)
    assert (done.transaction, done.block, done.gas) == (FIRST.transaction, 12, 99_000)
    assert outbox.confirmed(13) == []


def test_a_block_that_the_chain_takes_back_makes_its_interval_pending_again(outbox: Outbox) -> None:
    for at in range(2):
        outbox.add(close(at))
        outbox.mark_confirmed(close(at).start, FIRST.transaction, 12 + at, 1)
    outbox.mark_unconfirmed(NOON)
    assert [pending.close for pending in outbox.pending()] == [close(0)]
    assert [done.close for done in outbox.confirmed(0)] == [close(1)]


def test_a_close_is_replaced_while_nothing_could_still_close_with_it(outbox: Outbox) -> None:
    outbox.add(close(0, b"first"))
    outbox.add(close(0, b"second"))
    outbox.keep_signed(NOON, FIRST)
    outbox.add(close(0, b"second"))  # the same again is no replacement
    with pytest.raises(InvariantBroken, match="under way is not replaced"):
        outbox.add(close(0, b"third"))
    outbox.mark_failed(NOON, FIRST.transaction, "reverted")
    outbox.add(close(0, b"third"))
    found = outbox.next()
    assert found is not None
    assert found.close == close(0, b"third")
    assert [(a.anchor, a.failure) for a in found.attempts] == [(b"second", "reverted")]
    outbox.mark_confirmed(NOON, SECOND.transaction, 12, 1)
    with pytest.raises(InvariantBroken, match="under way is not replaced"):
        outbox.add(close(0, b"fourth"))


def test_a_statement_goes_to_the_outbox_together_with_being_kept(store: Store) -> None:
    database, outbox = store.database(STREET), store.outbox(STREET)
    row = StatementRow(NOON, b"header", b"inputs", b"anchor", None, None, None)
    database.state_statement(row, None, close(0).deltas)
    found = outbox.next()
    assert found is not None
    assert found.close == close(0)
    outbox.keep_signed(NOON, FIRST)
    other = StatementRow(NOON, b"header", b"inputs", b"other", None, None, None)
    with pytest.raises(InvariantBroken):
        database.state_statement(other, None, close(0).deltas)
    assert database.statements() == [row], "neither is replaced"


def test_what_nothing_can_undo_is_forgotten_and_no_more(outbox: Outbox, store: Store) -> None:
    for at in range(4):
        outbox.add(close(at))
        outbox.keep_signed(close(at).start, Signed(b"%d" % at, b"raw", at, 1))
    for at in range(3):
        outbox.mark_confirmed(close(at).start, b"%d" % at, 10 + at, 1)
    store.outbox(MILL).add(close(0))
    assert outbox.forget(before_start=close(3).start, until_block=11) == 2
    assert [done.close for done in outbox.confirmed(0)] == [close(2)]
    (pending,) = outbox.pending()
    assert len(pending.attempts) == 1
    assert len(store.outbox(MILL).pending()) == 1


def test_marking_what_is_not_there_is_a_defect(outbox: Outbox) -> None:
    outbox.add(close(0))
    for mark in (
        lambda: outbox.mark_confirmed(1, b"t", 1, 1),
        lambda: outbox.mark_unconfirmed(1),
        lambda: outbox.mark_sent(NOON, b"t"),
        lambda: outbox.mark_failed(NOON, b"t", "why"),
        lambda: outbox.keep_signed(1, FIRST),
    ):
        with pytest.raises(InvariantBroken, match="in the outbox"):
            mark()

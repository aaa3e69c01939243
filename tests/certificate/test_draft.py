"""A draft of a book: it is what the book would be, and the book stays as it is."""

import re
from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from certificate.desk import (
    ADMIT,
    ADMIT_BATTERY,
    BATTERY,
    BORDER,
    CHARGE,
    CLOSE,
    CONSUME,
    CORRECT,
    DISCHARGE,
    EVENING,
    EXCHANGE,
    HAND,
    HOUR,
    ISSUE,
    ISSUER,
    NEIGHBOUR,
    NEXT,
    NOON,
    PRODUCER,
    QUARTER,
    RETIRE,
    REVOKE,
    STORE,
    TRANSFER,
    WITHDRAW,
    Desk,
)
from commonwatt.certificate.actions import (
    Admit,
    Charge,
    Close,
    Correct,
    Discharge,
    Issue,
    Put,
    Replace,
    Retire,
    Store,
    Together,
    Withdraw,
)
from commonwatt.certificate.draft import draft_of
from commonwatt.certificate.state import State

STEPS = {
    "put": lambda state, key, value: state.exports.update({key: value}),
    "drop": lambda state, key, _: state.exports.__delitem__(key),
    "pop": lambda state, key, _: state.exports.pop(key, None),
    "default": lambda state, key, value: state.exports.setdefault(key, value),
    "append": lambda state, key, value: state.of_issuance.setdefault(key, []).append(value),
    "insert": lambda state, key, value: state.of_issuance[key].insert(0, value),
    "forget": lambda state, key, _: state.of_issuance.pop(key, None),
    "nest": lambda state, key, value: state.held.setdefault(key, {}).update({value: None}),
    "unnest": lambda state, key, value: state.held[key].__delitem__(value),
    "get": lambda state, key, _: (state.exports.get(key), list(state.of_issuance.get(key, ()))),
    "count": lambda state, key, _: (len(state.exports), key in state.exports, key in state.held),
    # A table's order is nobody's promise.
    "list": lambda state, _, __: (sorted(state.exports.items()), sorted(state.of_issuance)),
}
"""On tables of numbers, of lists and of tables; what a caller sees of it."""
WALKS = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 5), st.integers(0, 9)), max_size=30
)


def does(state: State, step: tuple[str, int, int]) -> object:
    name, key, value = step
    try:
        return STEPS[name](state, key, value)
    except KeyError:
        return "nothing there"


def plain(state: State) -> tuple[dict, dict, dict]:
    tables = {key: dict(table) for key, table in state.held.items()}
    return dict(state.exports), dict(state.of_issuance), tables


@given(WALKS, WALKS)
def test_a_draft_behaves_like_a_copy_and_leaves_the_original_alone(before, after) -> None:
    state = State()
    for step in before:
        does(state, step)
    original, copied, draft = deepcopy(state), deepcopy(state), draft_of(state)
    for step in after:
        assert does(draft, step) == does(copied, step)
    assert plain(draft) == plain(copied)
    assert repr(state) == repr(original)


def test_a_draft_of_a_draft_leaves_the_first_alone() -> None:
    state = State(exports={b"a": 1})
    first = draft_of(state)
    second = draft_of(first)
    second.exports[b"b"] = 2
    del second.exports[b"a"]
    assert (dict(first.exports), dict(second.exports)) == ({b"a": 1}, {b"b": 2})


def test_what_is_done_in_a_draft_is_what_the_book_would_be(desk: Desk) -> None:
    desk.does(ISSUER, NEXT)
    draft = Desk()
    draft.book.state = draft_of(desk.state)
    draft.book.entries, draft.book.now = desk.book.entries, desk.now
    before = repr(desk.state)
    for book in (draft.book, desk.book):
        book.act(TRANSFER, PRODUCER, desk.now)
        book.act(Retire(3, 5, NEIGHBOUR.hex(), "light"), PRODUCER, desk.now)
        if book is draft.book:
            assert repr(desk.state) == before
    assert dict(draft.book.state.bundles) == desk.state.bundles
    assert dict(draft.book.state.retirements).keys() == desk.state.retirements.keys()
    held = {who: dict(numbers) for who, numbers in draft.book.state.held.items()}
    assert held == desk.state.held


LATER = NOON + HOUR
STEPS_OF_MANY = (
    (ISSUER, (ADMIT, ISSUE, ADMIT_BATTERY, CHARGE)),
    (PRODUCER, (
        TRANSFER, replace(STORE, bundle=3), replace(RETIRE, bundle=5, wh=1), HAND,
        replace(HAND, to=PRODUCER.hex()),
    )),
    (ISSUER, (
        replace(CHARGE, start=LATER, duration=QUARTER),
        replace(NEXT, start=LATER, stored=(Put(BATTERY.hex(), 90),)), CORRECT, CONSUME, BORDER,
        replace(DISCHARGE, given_wh=200), replace(WITHDRAW, bundle=2, wh=10), REVOKE,
        replace(EXCHANGE, meter=BATTERY.hex(), from_start=EVENING + QUARTER), CLOSE,
    )),
)  # fmt: skip


def test_whatever_is_done_together_comes_to_what_it_does_one_by_one() -> None:
    one_by_one, together = Desk(), Desk()
    for actor, several in STEPS_OF_MANY:
        for action in several:
            one_by_one.does(actor, action)
        together.does(actor, Together(several))
        assert without_entries(together) == without_entries(one_by_one)
    assert {type(action) for _, several in STEPS_OF_MANY for action in several} >= {
        Admit, Issue, Charge, Store, Discharge, Correct, Withdraw, Replace, Close,
    }  # fmt: skip


def without_entries(desk: Desk) -> str:
    """A book's state but for the numbers of entries."""
    text = re.sub(r"\bby=\d+", "by=?", repr(desk.state))
    assert "by=?" in text
    return text

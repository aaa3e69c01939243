"""The statement for a retirement: true to the book, the same for everybody, and one byte tells."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate_book import (
    FORGER,
    ISSUER,
    KITCHEN,
    NEIGHBOUR,
    NOON,
    PRODUCER,
    QUARTER_S,
    ROOF,
    LivedBook,
)
from commonwatt.certificate import actions
from commonwatt.certificate.log import Entry
from commonwatt.certificate.retirement import (
    STATEMENT_BYTES_MAX,
    StatementUnusable,
    differences,
    entries_of,
    read_statement,
    retirement_statement,
    statement_bytes,
    statement_digest,
)


def retired_for_the_kitchen() -> tuple[LivedBook, Entry, Entry]:
    """The producer used 400 of 1,000 Wh for the neighbour's kitchen."""
    lived = LivedBook()
    bundle = lived.issue(1_000)
    issued = lived.entries[-1]
    lived.consume(500)
    use = actions.Retire(
        bundle.number, 400, NEIGHBOUR.hex(), "부엌 <전기>", KITCHEN.hex(), NOON, QUARTER_S
    )
    lived.do(PRODUCER, use)
    return lived, issued, lived.entries[-1]


def test_a_statement_says_who_how_much_of_what_and_for_which_consumption() -> None:
    lived, issued, retired = retired_for_the_kitchen()
    said = retirement_statement(lived.book.state, 1, issued, retired)
    assert (said.holder, said.beneficiary) == (PRODUCER.hex(), NEIGHBOUR.hex())
    assert (said.first, said.end, said.wh) == (0, 400, 400)
    assert (said.produced.meter, said.produced.zone) == (ROOF.hex(), "DE-LU")
    assert (said.produced.start, said.produced.end) == (NOON, NOON + QUARTER_S)
    assert (said.source, said.record) == ("T010100", "5c" * 32)
    assert said.consumption is not None
    assert said.consumption.meter == KITCHEN.hex()
    assert (said.issued.number, said.retired.number) == (2, 4)
    assert said.retired.time == retired.time


def test_the_bytes_are_the_same_whoever_writes_them_and_come_back() -> None:
    texts = []
    for _ in range(2):
        lived, issued, retired = retired_for_the_kitchen()
        texts.append(statement_bytes(retirement_statement(lived.book.state, 1, issued, retired)))
        assert differences(texts[-1], lived.book.state, issued, retired) == ()
    assert texts[0] == texts[1]
    assert statement_bytes(read_statement(texts[0])) == texts[0]
    assert len(statement_digest(texts[0])) == 64


LIVED, ISSUED, RETIRED = retired_for_the_kitchen()
TEXT = statement_bytes(retirement_statement(LIVED.book.state, 1, ISSUED, RETIRED))


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 255))
def test_one_changed_byte_is_found(place: int, change: int) -> None:
    forged = bytearray(TEXT)
    forged[place] ^= change
    try:
        found = differences(bytes(forged), LIVED.book.state, ISSUED, RETIRED)
    except StatementUnusable:
        return
    assert found


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", TEXT[:-1], b" " + TEXT, TEXT + b"\n", b"x" * (STATEMENT_BYTES_MAX + 1),
     TEXT.replace(b"/1", b"/9"), TEXT.replace(b"wh", b"kwh"), b"\xff" + TEXT],
)  # fmt: skip
def test_what_is_not_exactly_a_statement_is_refused_on_one_line(text: bytes) -> None:
    with pytest.raises(StatementUnusable) as refusal:
        read_statement(text)
    assert "\n" not in str(refusal.value)


def test_a_statement_longer_than_any_can_be_is_not_read() -> None:
    long = msgspec.structs.replace(read_statement(TEXT), purpose="x" * STATEMENT_BYTES_MAX)
    with pytest.raises(StatementUnusable, match=f"at most {STATEMENT_BYTES_MAX} bytes"):
        read_statement(statement_bytes(long))


def test_the_part_that_stayed_cannot_borrow_the_entry() -> None:
    lived, issued, retired = retired_for_the_kitchen()
    again = actions.Retire(2, 400, NEIGHBOUR.hex(), "부엌 <전기>")
    (later,) = lived.do(PRODUCER, again)
    for number, entry in ((later.number, retired), (1, lived.entries[-1]), (1, issued)):
        with pytest.raises(StatementUnusable, match="nothing of bundle"):
            retirement_statement(lived.book.state, number, issued, entry)
    said = retirement_statement(lived.book.state, later.number, issued, lived.entries[-1])
    assert (said.first, said.end, said.consumption) == (400, 800, None)


def test_a_claim_leaves_the_statement_as_it_was() -> None:
    lived, issued, retired = retired_for_the_kitchen()
    lived.do(NEIGHBOUR, actions.Claim(1))
    assert differences(TEXT, lived.book.state, issued, retired) == ()


def test_a_later_correction_leaves_the_statement_as_it_was() -> None:
    lived, issued, retired = retired_for_the_kitchen()
    better = actions.Correct(ROOF.hex(), NOON, QUARTER_S, 900, 900, "5c" * 32, "7e" * 32)
    lived.do(ISSUER, better)
    assert differences(TEXT, lived.book.state, issued, retired) == ()


def test_a_retirement_that_was_undone_has_no_statement_any_more() -> None:
    lived, issued, retired = retired_for_the_kitchen()
    lived.do(ISSUER, actions.Revoke(KITCHEN.hex(), NOON, QUARTER_S, "meter error"))
    lived.do(ISSUER, actions.Reinstate(1, "meter error"))
    with pytest.raises(StatementUnusable, match="is active: it was not retired"):
        differences(TEXT, lived.book.state, issued, retired)


def test_other_bundles_and_entries_have_no_statement() -> None:
    lived, issued, retired = retired_for_the_kitchen()
    state = lived.book.state
    with pytest.raises(StatementUnusable, match="no bundle 99"):
        retirement_statement(state, 99, issued, retired)
    with pytest.raises(StatementUnusable, match="issued nothing of bundle"):
        retirement_statement(state, 1, retired, retired)
    lived.issue(10, NOON + QUARTER_S, retired_wh=10)
    with pytest.raises(StatementUnusable, match="community's statement says for whom"):
        retirement_statement(state, 3, lived.entries[-1], retired)
    elsewhere = lived.entries[-1]
    with pytest.raises(StatementUnusable, match="issued nothing of bundle"):
        retirement_statement(state, 1, elsewhere, retired)


def test_the_book_knows_which_entries_issued_and_retired() -> None:
    lived, issued, retired = retired_for_the_kitchen()
    assert entries_of(lived.book.state, 1) == (issued.number, retired.number)
    lived.do(NEIGHBOUR, actions.Claim(1))
    assert entries_of(lived.book.state, 1) == (issued.number, retired.number)
    with pytest.raises(StatementUnusable, match="is active: it was not retired"):
        entries_of(lived.book.state, 2)


def test_units_that_a_correction_added_name_the_correction() -> None:
    lived = LivedBook()
    lived.issue(1_000)
    more = actions.Correct(ROOF.hex(), NOON, QUARTER_S, 1_200, 1_200, "5c" * 32, "7e" * 32)
    (added,) = lived.do(ISSUER, more)
    lived.do(PRODUCER, actions.Retire(0, 1_000, NEIGHBOUR.hex(), "bread"))
    lived.do(PRODUCER, actions.Retire(added.number, 200, NEIGHBOUR.hex(), "cake"))
    state, entries = lived.book.state, lived.entries
    said = []
    for number in (0, added.number):
        first, last = entries_of(state, number)
        said.append(retirement_statement(state, number, entries[first], entries[last]))
    assert [(one.issued.number, one.record[:2], one.wh) for one in said] == [
        (2, "5c", 1_000),
        (3, "7e", 200),
    ]


def test_what_was_retired_together_has_a_statement_each() -> None:
    lived = LivedBook()
    lived.issue(1_000)
    lived.issue(500, NOON + QUARTER_S)
    both = [actions.Retire(number, 100, NEIGHBOUR.hex(), "bread") for number in (0, 1)]
    used = lived.do(PRODUCER, actions.Together(tuple(both)))
    for bundle in used:
        issued, retired = (lived.entries[n] for n in entries_of(lived.book.state, bundle.number))
        said = retirement_statement(lived.book.state, bundle.number, issued, retired)
        assert (said.wh, said.retired.number) == (100, 4)


def test_what_was_issued_together_has_its_own_record() -> None:
    lived = LivedBook()
    first = actions.Issue(ROOF.hex(), NOON, QUARTER_S, 10, 0, 10, "5c" * 32)
    second = actions.Issue(ROOF.hex(), NOON + QUARTER_S, QUARTER_S, 10, 0, 10, "5d" * 32)
    lived.do(ISSUER, actions.Together((first, second)), NOON + 2 * QUARTER_S)
    lived.do(PRODUCER, actions.Retire(1, 10, NEIGHBOUR.hex(), "bread"))
    issued, retired = (lived.entries[number] for number in entries_of(lived.book.state, 1))
    said = retirement_statement(lived.book.state, 1, issued, retired)
    assert said.record == "5d" * 32


def test_an_entry_of_another_book_under_the_same_number_issued_nothing() -> None:
    lived, issued, retired = retired_for_the_kitchen()
    elsewhere = msgspec.structs.replace(retired, number=issued.number)
    with pytest.raises(StatementUnusable, match="issued nothing for this interval"):
        retirement_statement(lived.book.state, 1, elsewhere, retired)


def test_a_forger_cannot_put_another_name_under_it() -> None:
    lived, issued, retired = retired_for_the_kitchen()
    forged = TEXT.replace(NEIGHBOUR.hex().encode(), FORGER.hex().encode())
    (found,) = differences(forged, lived.book.state, issued, retired)
    assert found.startswith("beneficiary: the statement says 0404")

"""Readings from a table: whole or not at all, no Wh twice, and every problem with its place."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate_book import (
    BATTERY,
    ISSUER,
    NOON,
    PRODUCER,
    QUARTER_S,
    ROOF,
    VOUCHER,
    LivedBook,
)
from commonwatt.certificate import table
from commonwatt.certificate.actions import Admit, Close
from commonwatt.certificate.context import Context
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.certificate.state import require_conserved
from commonwatt.certificate.table import Imported, NotImported, read_table
from commonwatt.meter.keys import MeterKey
from effort import effort

POINTS = {"DE001": ROOF.hex(), "DE001-old": ROOF.hex(), "DE009": BATTERY.hex()}
LATER = NOON + 400 * 86_400
WH_HEAD, KWH_HEAD = "metering_point,start,quantity_wh", "metering_point,start,quantity_kwh"


def read(*lines: str, lived: LivedBook | None = None, now: int = LATER) -> Imported | NotImported:
    book = (lived or LivedBook()).book
    context = Context(book.state, book.scheme, ISSUER, now, book.entries)
    return read_table(lines, POINTS, VOUCHER, QUARTER_S, context)


def taken(*lines: str) -> Imported:
    found = read(*lines)
    assert isinstance(found, Imported), [str(p) for p in found.problems]
    return found


def problems(*lines: str, **more: object) -> list[str]:
    found = read(*lines, **more)  # type: ignore[arg-type]
    assert isinstance(found, NotImported)
    told = [str(problem) for problem in found.problems]
    assert not any("\n" in one for one in told)
    return told


def test_readings_are_taken_and_the_voucher_stands_in_each() -> None:
    found = taken(
        WH_HEAD,
        "DE001,2016-06-21T12:00:00Z,1500",
        "DE001,2016-06-21T14:15:00+02:00,0",
        "DE001,2016-06-21T12:30:00Z,20",
    )
    assert [(r.start - NOON, r.wh, r.voucher) for r in found.readings] == [
        (0, 1_500, VOUCHER),
        (900, 0, VOUCHER),
        (1_800, 20, VOUCHER),
    ]
    first, last = found.issues()
    assert (first.metered_wh, first.retired_wh, first.free_wh) == (1_500, 0, 1_500)
    assert first.record == found.readings[0].record
    assert first.record != last.record


def test_another_voucher_is_another_record() -> None:
    (first,) = taken(WH_HEAD, "DE001,2016-06-21T12:00:00Z,5").readings
    assert msgspec.structs.replace(first, voucher="the installer").record != first.record


def test_a_reading_is_taken_from_whoever_vouches_for_the_meter() -> None:
    lived = LivedBook()
    context = Context(lived.book.state, lived.book.scheme, ISSUER, LATER, 0)
    lines = (WH_HEAD, "DE001,2016-06-21T12:00:00Z,5")
    found = read_table(lines, POINTS, "the installer", QUARTER_S, context)
    assert isinstance(found, NotImported)
    assert [str(problem) for problem in found.problems] == [
        "line 2, metering_point 'DE001': the grid operator vouches for this meter (R4)"
    ]


def test_a_device_out_of_service_has_no_readings() -> None:
    lived = LivedBook()
    lived.do(ISSUER, Close(ROOF.hex(), NOON + QUARTER_S))
    lines = (WH_HEAD, "DE001,2016-06-21T12:00:00Z,5", "DE001,2016-06-21T12:15:00Z,5")
    (told,) = problems(*lines, lived=lived)
    assert told.startswith("line 3, start '2016-06-21T12:15:00Z': the device was out of service")


def test_no_table_speaks_for_a_meter_that_signs() -> None:
    lived = LivedBook()
    key = MeterKey.from_seed(b"a meter that signs")
    lived.do(
        ISSUER,
        Admit(key.meter.hex(), PRODUCER.hex(), 1, 10_000, "DE-LU", 0, key=key.public_key.hex()),
    )
    context = Context(lived.book.state, lived.book.scheme, ISSUER, LATER, 0)
    lines = (WH_HEAD, "DE002,2016-06-21T12:00:00Z,5")
    found = read_table(lines, {"DE002": key.meter.hex()}, VOUCHER, QUARTER_S, context)
    assert isinstance(found, NotImported)
    assert "'DE002': this meter signs: its own records count (R4)" in str(found.problems[0])


@pytest.mark.parametrize("voucher", ["", "  ", "two\nlines", "x" * 101])
def test_somebody_must_vouch(voucher: str) -> None:
    lived = LivedBook()
    context = Context(lived.book.state, lived.book.scheme, ISSUER, LATER, 0)
    with pytest.raises(ActionRefused, match="who vouches"):
        read_table((WH_HEAD,), POINTS, voucher, QUARTER_S, context)


@pytest.mark.parametrize(
    ("text", "wh"),
    [("1.5", 1_500), ("0.0019", 1), ("7", 7_000), ("0.000", 0), ("12.3456789", 12_345)],
)
def test_kilowatt_hours_are_rounded_down_to_whole_watt_hours(text: str, wh: int) -> None:
    assert taken(KWH_HEAD, f"DE001,2016-06-21T12:00:00Z,{text}").readings[0].wh == wh


def test_the_hour_that_comes_twice_in_autumn_is_two_hours() -> None:
    found = taken(WH_HEAD, "DE001,2016-10-30T02:15:00+02:00,5", "DE001,2016-10-30T02:15:00+01:00,6")
    first, second = found.readings
    assert second.start - first.start == 3_600
    (told,) = problems(WH_HEAD, "DE001,2016-10-30T02:15:00,5")
    assert told == (
        "line 2, start '2016-10-30T02:15:00': has no time zone: add Z for UTC, or an offset like"
        " +02:00"
    )


def test_the_same_instant_written_twice_is_one_interval() -> None:
    told = problems(
        WH_HEAD,
        "DE001,2016-06-21T12:00:00Z,5",
        "",
        "DE001-old,2016-06-21T14:00:00+02:00,5",
    )
    (one,) = told
    assert one.startswith("line 4, start '2016-06-21T14:00:00+02:00': the same interval as line 2")
    assert one.endswith("keep one of them (R3)")


def test_intervals_of_different_lengths_must_not_overlap() -> None:
    head = "metering_point;start;duration_s;quantity_kwh"
    told = problems(
        head,
        "DE001;2016-06-21T12:15:00Z;900;0.1",
        "DE001;2016-06-21T12:00:00Z;3600;1.0",
        "DE001;2016-06-21T13:00:00Z;3600;1.0",
        "DE001;2016-06-21T13:59:00Z;60;0.1",
        "DE001;2016-06-21T11:00:00Z;3600;1",
    )
    assert [t.split(":")[0] for t in told] == [
        "line 3, start '2016-06-21T12",
        "line 5, start '2016-06-21T13",
    ]
    assert "overlaps the interval of line 2" in told[0]


def test_a_length_is_written_in_whole_seconds() -> None:
    head = "metering_point,start,duration_s,quantity_wh"
    for length in ("15 min", "900.0", "", "90000"):
        (told,) = problems(head, f"DE001,2016-06-21T12:00:00Z,{length},5")
        assert "write whole seconds, such as 900" in told


def test_what_the_book_has_issued_is_not_issued_again() -> None:
    lived = LivedBook()
    lived.issue(10)
    (told,) = problems(WH_HEAD, "DE001,2016-06-21T12:00:00Z,5", lived=lived)
    assert "issued already: leave the line out (R3)" in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("DE404,2016-06-21T12:00:00Z,5", "line 2, metering_point 'DE404': no such metering point"),
        ("DE009,2016-06-21T12:00:00Z,5", "metering_point 'DE009': storage generates nothing"),
        ("DE001,yesterday,5", "line 2, start 'yesterday': is not a time: write 2016-06-21T12"),
        ("DE001,2016-06-21T12:00:01Z,5", "off the grid"),
        ("DE001,1969-06-21T12:00:00Z,5", "cannot start at"),
        ("DE001,2036-06-21T12:00:00Z,5", "is not over (R6)"),
        ("DE001,2016-06-21T12:00:00Z,-5", "quantity_wh '-5': write whole Wh of 0 or more"),
        ("DE001,2016-06-21T12:00:00Z,1.5", "write whole Wh"),
        ("DE001,2016-06-21T12:00:00Z,٣", "write whole Wh"),
        ("DE001,2016-06-21T12:00:00Z,", "line 2, quantity_wh: write whole Wh"),
        ("DE001,2016-06-21T12:00:00Z,999999", "more than 1000000 W can make in 900 s"),
        ("DE001,2016-06-21T12:00:00Z,1,5", "line 2: 4 cells for 3 columns"),
        ("DE001,2016-06-21T12:00:00Z", "line 2: 2 cells for 3 columns"),
        ('DE001,"2016-06-21T12:00:00Z,5', "write plain CSV"),
        ("", "there are no readings"),
    ],
)
def test_a_problem_names_its_line_column_value_and_what_to_do(line: str, told: str) -> None:
    (found,) = problems(WH_HEAD, line)
    assert told in found


@pytest.mark.parametrize("text", ["1,5", "1e3", "+1", "NaN", "1_000", ".5", "1."])
def test_a_decimal_is_written_in_one_way(text: str) -> None:
    (found,) = problems("metering_point;start;quantity_kwh", f"DE001;2016-06-21T12:00:00Z;{text}")
    assert "with a point, such as 1.5" in found


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("metering_point,start", "name one column of energy"),
        ("metering_point,start,quantity_wh,quantity_kwh", "name one column of energy"),
        ("start,quantity_wh", "line 1, metering_point: this column is missing"),
        ("metering_point,start,quantity_wh,start", "a column once only"),
        ("metering_point,start,quantity_wh,colour", "'colour': use duration_s"),
        ("", "this column is missing"),
    ],
)
def test_columns_are_named_in_the_first_line(head: str, told: str) -> None:
    assert any(told in one for one in problems(head, "DE001,2016-06-21T12:00:00Z,5"))


def test_a_mark_of_byte_order_does_not_hide_the_first_column() -> None:
    assert taken("\ufeff" + WH_HEAD, "DE001,2016-06-21T12:00:00Z,5").readings


def test_problems_without_end_are_not_told_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(problems(WH_HEAD, *["DE404,x,y"] * 1_000)) == table.PROBLEMS_MAX
    monkeypatch.setattr(table, "LINES_MAX", 3)
    assert problems(WH_HEAD, *["DE001,2016-06-21T12:00:00Z,5"] * 5)[-1] == (
        "line 4: more than 3 lines: divide the table"
    )


def test_one_bad_line_keeps_all_out() -> None:
    found = read(WH_HEAD, "DE001,2016-06-21T12:00:00Z,5", "DE001,2016-06-21T12:15:00Z,x")
    assert isinstance(found, NotImported)
    assert not hasattr(found, "readings")


LINES = st.tuples(
    st.sampled_from([*["DE001", "DE001-old"] * 20, "DE404"]),
    st.integers(0, 96),
    st.sampled_from([*[60, 300] * 20, 900, 3_600, 77]),
    st.sampled_from([-12, -3, 0, 1, 9]),
    st.integers(0, 22_000),
)


@effort(3.0)
@given(st.lists(LINES, max_size=6))
def test_what_is_imported_the_book_issues_and_nothing_overlaps(
    lines: list[tuple[str, int, int, int, int]],
) -> None:
    written = ["metering_point,start,duration_s,quantity_wh"]
    for point, step, duration, hours, wh in lines:
        zone = timezone(timedelta(hours=hours))
        at = datetime.fromtimestamp(NOON + step * 300, UTC).astimezone(zone)
        written.append(f"{point},{at.isoformat()},{duration},{wh}")
    lived = LivedBook()
    found = read(*written, lived=lived)
    spans = sorted((NOON + s * 300, NOON + s * 300 + d) for _, s, d, _, _ in lines)
    apart = all(a[1] <= b[0] for a, b in pairwise(spans))
    if isinstance(found, NotImported):
        assert found.problems
        return
    assert apart
    for issue in found.issues():
        lived.do(ISSUER, issue, LATER)
    issuances = lived.book.state.issuances
    assert sum(i.issued_wh for i in issuances.values()) == sum(wh for *_, wh in lines)
    for origin in issuances:
        require_conserved(lived.book.state, origin)

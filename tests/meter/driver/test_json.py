"""JSON and text from devices, and the readings that are made of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.driver.energy import ENERGY_MWH_MAX
from commonwatt.meter.driver.failure import (
    FormatUnreadable,
    MessageTooLarge,
    NumberUnreadable,
    ReadingsContradict,
    RegisterMissing,
    SourceUnusable,
    TimeUnreadable,
)
from commonwatt.meter.driver.merging import together
from commonwatt.meter.driver.reading import (
    READINGS_MAX,
    SOURCE_MAX,
    IntervalReading,
    Reading,
    require_count,
)
from commonwatt.meter.driver.strict_json import DEPTH_MAX, Number, as_text, read_json
from commonwatt.meter.driver.text import LINE_MAX, LINES_MAX, numbered_lines, read_text
from commonwatt.meter.record import Quality

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def plain(value: object) -> object:
    if isinstance(value, Number):
        return int(value)
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    return value


@given(documents)
def test_a_document_that_is_written_is_read_back(document: object) -> None:
    assert plain(read_json(json.dumps(document).encode(), 10**6, "a message")) == document


@pytest.mark.parametrize("number", ["0.2596", "62500.1334", "0.00", "1E400", "9" * 5_000, "-0"])
def test_a_number_keeps_every_digit(number: str) -> None:
    assert read_json(number, 10_000, "a message") == Number(number)


def test_a_number_is_no_text() -> None:
    with pytest.raises(FormatUnreadable, match="SA is no text"):
        as_text(Number("7"), "SA")


@pytest.mark.parametrize("text", ['{"RV":1,"RV":2}', '[{"a":{"b":1,"b":1}}]'])
def test_a_key_that_stands_twice_is_refused(text: str) -> None:
    with pytest.raises(FormatUnreadable, match="twice in one object"):
        read_json(text, 100, "a message")


@pytest.mark.parametrize(
    "text", ["", "{", "nul", "[1,]", "NaN", "[Infinity]", "{'a':1}", "\ufeff\ufeff1"]
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(FormatUnreadable, match="a message is no JSON"):
        read_json(text.encode(), 100, "a message")


def test_a_byte_order_mark_is_no_obstacle_and_other_bytes_are() -> None:
    assert read_json(b"\xef\xbb\xbf[]", 100, "a message") == []
    with pytest.raises(FormatUnreadable, match="no UTF-8 text from byte 1 on"):
        read_json(b"[\xff]", 100, "a message")


def test_size_is_limited() -> None:
    assert read_text(b"12345", 5, "a message") == "12345"
    for payload in (b"123456", "123456"):
        with pytest.raises(MessageTooLarge, match="6 bytes, more than 5"):
            read_json(payload, 5, "a message")


@pytest.mark.parametrize("opener", ["[", '{"a":'])
def test_depth_is_limited(opener: str) -> None:
    def nested(depth: int) -> str:
        return opener * depth + "1" + {"[": "]"}.get(opener, "}") * depth

    assert read_json(nested(DEPTH_MAX), 10**6, "a message")
    for depth in (DEPTH_MAX + 1, 100_000):
        with pytest.raises(MessageTooLarge, match="levels deep"):
            read_json(nested(depth), 10**6, "a message")


def test_brackets_in_texts_and_side_by_side_are_not_depth() -> None:
    beside = "[" + ",".join(["[]"] * 1_000) + "]"
    assert len(read_json(beside, 10**6, "a message")) == 1_000  # type: ignore[arg-type]
    assert read_json(json.dumps("[" * 1_000 + '"{'), 10**6, "a message") == "[" * 1_000 + '"{'


def test_lines_have_their_numbers_and_limits() -> None:
    assert list(numbered_lines("a\r\n\n \n\tb", "a file")) == [(1, "a"), (4, "\tb")]
    assert list(numbered_lines("x" * LINE_MAX, "a file")) == [(1, "x" * LINE_MAX)]
    with pytest.raises(MessageTooLarge, match="line 2 of a file has more"):
        list(numbered_lines("a\n" + "x" * (LINE_MAX + 1), "a file"))
    with pytest.raises(MessageTooLarge, match=f"more than {LINES_MAX} lines"):
        list(numbered_lines("\n" * (LINES_MAX + 1), "a file"))


def test_a_reading_holds_only_what_a_record_could() -> None:
    for source in ("", "a\nb", "x" * (SOURCE_MAX + 1), "\ud800"):
        with pytest.raises(SourceUnusable):
            Reading(source, 0, 1, None)
    for time in (-1, 2**37):
        with pytest.raises(TimeUnreadable):
            Reading("meter", time, 1, None)
    for energy in (-1, ENERGY_MWH_MAX + 1):
        with pytest.raises(NumberUnreadable):
            Reading("meter", 0, None, energy)
    with pytest.raises(RegisterMissing):
        Reading("meter", 0, None, None)
    for duration in (0, -900):
        with pytest.raises(TimeUnreadable, match="end after it starts"):
            IntervalReading("meter", 0, duration, 1, None)
    with pytest.raises(TimeUnreadable):
        IntervalReading("meter", 2**37 - 10, 900, 1, None)


def test_registers_that_come_one_by_one_are_put_together() -> None:
    first, second = Reading("meter", 100, 5, None), Reading("meter", 160, None, 7)
    assert second.after(first) == Reading("meter", 160, 5, 7)
    assert Reading("meter", 200, 6, None).after(second.after(first)) == Reading("meter", 200, 6, 7)


def test_directions_of_one_interval_are_joined_and_sorted() -> None:
    parts = [
        IntervalReading("b", 0, 900, 1, None),
        IntervalReading("a", 900, 900, 2, None),
        IntervalReading("a", 0, 900, None, 3, Quality.ESTIMATED),
        IntervalReading("a", 0, 900, 4, None),
        IntervalReading("a", 0, 900, 4, None),
    ]
    assert together(parts) == (
        IntervalReading("a", 0, 900, 4, 3, Quality.MEASURED | Quality.ESTIMATED),
        IntervalReading("a", 900, 900, 2, None),
        IntervalReading("b", 0, 900, 1, None),
    )


def test_two_energies_for_one_interval_are_refused() -> None:
    with pytest.raises(ReadingsContradict, match="both 1 and 2 mWh"):
        together([IntervalReading("a", 0, 900, 1, None), IntervalReading("a", 0, 900, 2, None)])


def test_intervals_that_overlap_are_refused() -> None:
    with pytest.raises(ReadingsContradict, match="900 s and 3600 s overlap at 1970-01-01T00:00"):
        together([IntervalReading("a", 0, 3_600, 1, None), IntervalReading("a", 0, 900, 2, None)])
    assert (
        len(together([IntervalReading(s, 0, d, 1, None) for s, d in (("a", 900), ("b", 60))])) == 2
    )


def test_the_number_of_readings_is_limited() -> None:
    require_count(READINGS_MAX)
    with pytest.raises(MessageTooLarge, match=f"more than {READINGS_MAX} readings"):
        require_count(READINGS_MAX + 1)

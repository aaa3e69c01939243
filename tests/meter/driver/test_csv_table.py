"""Plain CSV of registers and of interval energy."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.driver.csv_table import CSV_BYTES_MAX, CsvOptions, read_csv
from commonwatt.meter.driver.failure import (
    DriverOptionsUnusable,
    FormatUnreadable,
    MessageTooLarge,
    NumberUnreadable,
    ReadingsContradict,
    RegisterMissing,
    SourceUnusable,
    TimeUnreadable,
)
from commonwatt.meter.driver.reading import AnyReading, IntervalReading, Reading
from commonwatt.meter.record import Quality
from commonwatt.quantity import decimal_text, time_text

NOON = 1_705_316_400
HEAD = "source,start,duration_s,import_kwh"
LINE = "home,2024-01-15T12:00:00+01:00,900,0.25"


def read(*lines: str, **options: object) -> tuple[AnyReading, ...]:
    return read_csv("\n".join(lines).encode(), CsvOptions(**options))  # type: ignore[arg-type]


registers = st.builds(
    Reading,
    source=st.sampled_from(["home", "school, roof", 'the "old" mill', "전기"]),
    time=st.integers(min_value=0, max_value=2**33),
    import_mwh=st.integers(min_value=0, max_value=10**15),
    export_mwh=st.none() | st.integers(min_value=0, max_value=10**15),
)


@given(st.lists(registers, min_size=1, max_size=8, unique_by=lambda r: (r.source, r.time)))
def test_registers_that_are_written_are_read_back(readings: list[Reading]) -> None:
    lines = ["source,time,import_kwh,export_wh"]
    for reading in readings:
        name = '"' + reading.source.replace('"', '""') + '"'
        out = "" if reading.export_mwh is None else decimal_text(reading.export_mwh, 3)
        lines.append(
            f"{name},{time_text(reading.time)},{decimal_text(reading.import_mwh or 0, 6)},{out}"
        )
    assert read(*lines) == tuple(readings)


def test_intervals_have_their_length_from_end_column_or_option() -> None:
    expected = (IntervalReading("home", NOON, 900, 250_000, None),)
    assert read(HEAD, LINE) == expected
    end = "home,2024-01-15T12:00:00+01:00,2024-01-15T11:15:00Z,0.25"
    assert read("source,start,end,import_kwh", end) == expected
    short = "2024-01-15T12:00:00+01:00,0.25"
    assert read("start,import_kwh", short, source="home", interval_s=900) == expected


def test_columns_may_have_any_name_sign_and_decimal_comma() -> None:
    readings = read(
        "Zähler;Von;Bezug;Einspeisung;Notiz",
        "7;2024-01-15T12:00:00+01:00;1234,5;0,25;x",
        columns={
            "source": "Zähler",
            "time": "Von",
            "import_kwh": "Bezug",
            "export_kwh": "Einspeisung",
        },
        ignore=("Notiz",),
        decimal_comma=True,
    )
    assert readings == (Reading("7", NOON, 1_234_500_000, 250_000),)
    tabbed = read("source\ttime\timport_wh\texport_wh", "7\t2024-01-15T11:00:00Z\t\t5")
    assert tabbed == (Reading("7", NOON, None, 5_000),)
    assert len(read("time|import_wh", "2024-01-15T11:00:00Z|5", source="7", delimiter="|")) == 1


def test_the_long_and_the_short_day_have_all_their_quarters() -> None:
    """Written as local time with its offset, as it is read from a wall clock."""
    berlin = ZoneInfo("Europe/Berlin")
    for day, quarters in ((datetime(2024, 10, 27), 100), (datetime(2024, 3, 31), 92)):  # noqa: DTZ001
        at, end = day.replace(tzinfo=berlin), (day + timedelta(days=1)).replace(tzinfo=berlin)
        first, last = int(at.timestamp()), int(end.timestamp())
        lines = [
            f"home,{datetime.fromtimestamp(t, berlin).isoformat()},900,0.25"
            for t in range(first, last, 900)
        ]
        readings = read(HEAD, *lines)
        assert len(readings) == len(set(lines)) == quarters
        assert isinstance(readings[-1], IntervalReading)
        assert readings[-1].end == last


@pytest.mark.parametrize(
    ("word", "quality"),
    [("", Quality.MEASURED), ("Measured", Quality.MEASURED), ("estimated", Quality.ESTIMATED),
     ("manual", Quality.MEASURED | Quality.MANUAL), ("error", Quality.METER_ERROR)],
)  # fmt: skip
def test_words_of_quality(word: str, quality: Quality) -> None:
    assert read(HEAD + ",quality", f"{LINE},{word}")[0].quality == quality


def test_a_line_that_stands_twice_alike_does_no_harm() -> None:
    assert len(read(HEAD, LINE, LINE, "", " , , , ")) == 1


@pytest.mark.parametrize(
    ("lines", "failure", "told"),
    [
        ((), FormatUnreadable, "either 'time'"),
        (("source,import_kwh",), FormatUnreadable, "either 'time'"),
        (("source,time,start,import_kwh",), FormatUnreadable, "either 'time'"),
        (("time,import_kwh",), SourceUnusable, "option source"),
        (("source,start,import_kwh",), FormatUnreadable, "the length of intervals"),
        (("source,start,end,duration_s,import_kwh",), FormatUnreadable, "the length of intervals"),
        (("source,time",), RegisterMissing, "no column of energy"),
        (("source,time,import_wh,import_kwh",), FormatUnreadable, "import_wh and import_kwh"),
        (("source,time,imprt_kwh",), FormatUnreadable, "column 'imprt_kwh' is not known"),
        (("source,time,time,import_kwh",), FormatUnreadable, "'time' stands twice"),
        ((",".join(["source"] * 300),), FormatUnreadable, "300 columns"),
        ((HEAD,), RegisterMissing, "without lines below"),
        ((HEAD, LINE + ",1"), FormatUnreadable, "line 2 has 5 cells for 4 columns"),
        ((HEAD, LINE.replace("0.25", "0,25")), FormatUnreadable, "line 2 has 5 cells"),
        ((HEAD, LINE.replace("0.25", "")), RegisterMissing, "line 2: neither energy in"),
        (
            (HEAD, LINE.replace("0.25", "-1")),
            NumberUnreadable,
            "line 2, import_kwh: '-1' is below zero",
        ),
        ((HEAD, LINE.replace("+01:00", "")), TimeUnreadable, "line 2: start.*offset"),
        ((HEAD, LINE.replace("900", "15m")), TimeUnreadable, "line 2: duration_s '15m'"),
        ((HEAD, LINE.replace("900", "0")), TimeUnreadable, "line 2: duration_s '0'"),
        ((HEAD, LINE.replace("home", "")), SourceUnusable, "line 2: the device does not say"),
        ((HEAD + ",quality", LINE + ",fine"), FormatUnreadable, "line 2: quality 'fine'"),
        ((HEAD, '"home'), FormatUnreadable, "line 2: unexpected end of data"),
        ((HEAD, '"a"b,c,d,e'), FormatUnreadable, "line 2: .* expected after"),
        ((HEAD, LINE, LINE.replace("0.25", "0.5")), ReadingsContradict, "both 250000 and 500000"),
        ((HEAD, LINE, LINE.replace("900", "3600")), ReadingsContradict, "overlap"),
    ],
)
def test_what_is_no_such_table_is_refused(lines: tuple[str, ...], failure: type, told: str) -> None:
    with pytest.raises(failure, match=told):
        read(*lines)


def test_two_registers_at_one_time_are_refused() -> None:
    with pytest.raises(ReadingsContradict, match="keep one"):
        read("source,time,import_wh", "m,2024-01-15T11:00:00Z,1", "m,2024-01-15T12:00:00+01:00,2")


def test_an_end_before_the_start_is_refused() -> None:
    line = "home,2024-01-15T12:00:00Z,2024-01-15T11:45:00Z,1"
    with pytest.raises(TimeUnreadable, match="end after it starts"):
        read("source,start,end,import_kwh", line)


def test_points_in_a_table_with_decimal_commas_are_refused() -> None:
    """1.234 is a thousand there, and one and a quarter here."""
    with pytest.raises(NumberUnreadable, match="write thousands without it"):
        read("time;import_kwh", "2024-01-15T12:00:00Z;1.234,5", source="m", decimal_comma=True)


@pytest.mark.parametrize("delimiter", ['"', "\n", "\r", ";;"])
def test_a_sign_that_sets_nothing_apart_is_refused(delimiter: str) -> None:
    with pytest.raises(DriverOptionsUnusable, match="one sign"):
        CsvOptions(delimiter=delimiter)


def test_a_table_is_limited_and_in_utf_8() -> None:
    with pytest.raises(MessageTooLarge):
        read_csv(b" " * (CSV_BYTES_MAX + 1), CsvOptions())
    with pytest.raises(FormatUnreadable, match="no UTF-8"):
        read_csv(HEAD.encode("utf-16"), CsvOptions())

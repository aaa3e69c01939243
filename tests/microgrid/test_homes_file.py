"""Real homes from a CSV file: exact numbers, the days asked for, refusals that say what to do."""

import gzip
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commonwatt.errors import InputError
from commonwatt.microgrid import flows_of, homes_lines, homes_survey, read_homes
from commonwatt.microgrid.errors import HomesFileUnusable, HomesFileWrong, SpanUnavailable

HEADER = "home,interval_start,load_kwh,pv_kwh"
DAY = datetime(2016, 8, 1, tzinfo=UTC)
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
REAL_HOMES = SHARED / "citylearn2022_17homes_hourly.csv.gz"


def row(home: str, hours: float, load: str = "0.5", pv: str = "0.25") -> str:
    """A row some hours after the first day began."""
    at = (DAY + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{home},{at},{load},{pv}"


def two_days(*homes: str) -> list[str]:
    """Rows of 48 hours of each home."""
    return [row(home, hour) for home in homes for hour in range(48)]


@pytest.fixture
def file(tmp_path: Path) -> "FileMaker":
    """Writes a file of homes."""
    return FileMaker(tmp_path)


class FileMaker:
    """Writes rows below the header, or any text, to a file."""

    def __init__(self, folder: Path) -> None:
        """Remember the folder."""
        self.path = folder / "homes.csv"

    def of(self, *rows: str, header: str = HEADER) -> Path:
        """A file with these rows."""
        return self.text("\n".join([header, *rows]) + "\n")

    def text(self, text: str) -> Path:
        """A file with this text."""
        self.path.write_text(text, encoding="utf-8")
        return self.path


def refusal(path: Path, start: date | None = None, days: int | None = None) -> str:
    """The message with which the file is refused: always one line, always an input error."""
    with pytest.raises(InputError) as refused:
        read_homes(path, start=start, days=days)
    message = str(refused.value)
    assert "\n" not in message
    assert str(path) in message or isinstance(refused.value, SpanUnavailable)
    return message


def test_two_homes_are_read_exactly(file: FileMaker) -> None:
    path = file.of(
        row("1", 0, "0.1234567", "0"), row("1", 1, "2", "1e-3"), row("Hut", 0), row("Hut", 1)
    )
    neighbourhood = read_homes(path)
    first, hut = neighbourhood.homes
    assert (neighbourhood.name, neighbourhood.source) == ("homes", "file homes.csv")
    assert (neighbourhood.interval_s, neighbourhood.start) == (3_600, int(DAY.timestamp()))
    assert (neighbourhood.intervals, neighbourhood.utc_offset_s) == (2, 0)
    assert (first.name, hut.name, hut.kind) == ("Home 01", "Hut", "home")
    assert first.load_mwh.tolist() == [123_456, 2_000_000]
    assert first.pv_mwh is not None
    assert first.pv_mwh.tolist() == [0, 1_000]
    assert first.battery is None


def test_columns_may_come_in_any_order_and_with_a_byte_order_mark(file: FileMaker) -> None:
    path = file.text(
        "\ufeffPV_kWh,interval_start,home,load_kWh\r\n"
        "0,2016-08-01 00:00+00:00,1,3\r\n0,2016-08-01T02:00:00+01:00,1,4\r\n\r\n"
    )
    (home,) = read_homes(path).homes
    assert home.load_mwh.tolist() == [3_000_000, 4_000_000]


def test_a_packed_file_reads_the_same(file: FileMaker, tmp_path: Path) -> None:
    plain = file.of(*two_days("1", "2"))
    packed = tmp_path / "homes.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    ours, same = read_homes(plain), read_homes(packed)
    assert ours.name == same.name == "homes"
    assert ours.homes[1].load_mwh.tolist() == same.homes[1].load_mwh.tolist()


def test_homes_may_alternate_row_by_row(file: FileMaker) -> None:
    rows = [row(home, hour, load=home) for hour in range(3) for home in ("1", "2")]
    one, two = read_homes(file.of(*rows)).homes
    assert one.load_mwh.tolist() == [1_000_000] * 3
    assert two.load_mwh.tolist() == [2_000_000] * 3


def test_a_home_whose_pv_is_always_zero_has_none(file: FileMaker) -> None:
    (home,) = read_homes(file.of(row("1", 0, pv="0.0"), row("1", 1, pv="0"))).homes
    assert home.pv_mwh is None
    assert home.pv_peak_w == 0


def test_ratings_come_from_the_whole_file_with_their_margin(file: FileMaker) -> None:
    rows = two_days("1")
    rows[30] = row("1", 30, "20", "8.01")
    whole, part = read_homes(file.of(*rows)), read_homes(file.of(*rows), days=1)
    assert whole.homes[0].pv_peak_w == part.homes[0].pv_peak_w == 10_100
    assert whole.homes[0].connection_w == part.homes[0].connection_w == 25_000


def test_quarter_hours_are_read_as_quarter_hours(file: FileMaker) -> None:
    path = file.of(*(row("1", quarter / 4, "0.25", "0.5") for quarter in range(96)))
    neighbourhood = read_homes(path, days=1)
    assert (neighbourhood.interval_s, neighbourhood.intervals) == (900, 96)
    assert neighbourhood.homes[0].pv_peak_w == 2_500


def test_days_choose_a_part(file: FileMaker) -> None:
    rows = [row("1", hour, load=str(hour)) for hour in range(7, 80)]
    path = file.of(*rows)
    first_whole = read_homes(path, days=1)
    assert first_whole.homes[0].load_mwh.tolist() == [h * 1_000_000 for h in range(24, 48)]
    second = read_homes(path, start=date(2016, 8, 3), days=1)
    assert second.homes[0].load_mwh[0] == 48_000_000
    assert read_homes(path, start=date(2016, 8, 3)).intervals == 80 - 48
    assert read_homes(path).intervals == 73


def test_a_gap_outside_the_days_asked_for_does_no_harm(file: FileMaker) -> None:
    rows = two_days("1")
    del rows[40]
    path = file.of(*rows)
    assert read_homes(path, start=date(2016, 8, 1), days=1).intervals == 24
    message = refusal(path)
    assert "line 42" in message
    assert "no row for 2016-08-02T16:00:00Z" in message
    assert "clock change" in message


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "is empty: write 0"),
        ("1,5", "has 5 columns instead of 4"),
        ("abc", "is not a decimal number"),
        ("-0.1", "is negative"),
        ("nan", "is not a decimal number"),
        ("inf", "is not a decimal number"),
        ("1e9", "above 100,000 kWh"),
        ("1e99999", "is not a decimal number"),
        ("1_0.5", "is not a decimal number"),
        ("9" * 500, "is not a decimal number"),
        ("٣", "is not a decimal number"),
        ("0x10", "is not a decimal number"),
    ],
)
def test_a_value_that_is_no_energy_is_refused_with_its_place(
    file: FileMaker, value: str, told: str
) -> None:
    message = refusal(file.of(row("1", 0), row("1", 1, load=value), row("1", 2)))
    assert "line 3" in message
    assert told in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2016-08-01T01:00:00", "has no offset from UTC"),
        ("2016-08-01", "has no offset from UTC"),
        ("yesterday", "is not a time"),
        ("1.8.2016 01:00", "is not a time"),
        ("", "is not a time"),
        ("1969-12-31T23:00:00Z", "before 1970"),
        ("9999-12-31T23:00:00Z", "after 2199"),
        ("0001-01-01T00:00:00+23:00", "before 1970"),
        ("2016-08-01T01:00:00.5Z", "parts of a second"),
    ],
)
def test_a_time_that_is_none_is_refused_with_its_place(
    file: FileMaker, text: str, told: str
) -> None:
    message = refusal(file.of(row("1", 0), f"1,{text},1,1"))
    assert "line 3, column interval_start" in message
    assert told in message


def test_the_hour_that_a_clock_change_repeats_is_refused(file: FileMaker) -> None:
    message = refusal(file.of(row("1", 0), row("1", 1), row("1", 1), row("1", 2)))
    assert "line 4" in message
    assert "line 3" in message
    assert "clock change" in message


def test_rows_out_of_order_are_refused(file: FileMaker) -> None:
    assert "time order" in refusal(file.of(row("1", 1), row("1", 0)))


def test_rows_off_the_grid_are_refused(file: FileMaker) -> None:
    message = refusal(file.of(row("1", 0.25), row("1", 1.25)))
    assert "not a multiple of the interval length, 3600 s" in message


def test_a_gap_at_the_end_of_a_day_is_refused(file: FileMaker) -> None:
    message = refusal(file.of(*two_days("1")[:20], row("1", 30)), days=1)
    assert "no row for 2016-08-01T20:00:00Z" in message


def test_two_interval_lengths_are_refused(file: FileMaker) -> None:
    hourly = [row("1", hour) for hour in range(24)]
    quarters = [row("1", 24 + quarter / 4) for quarter in range(96)]
    assert "two interval lengths, 900 s and 3600 s" in refusal(file.of(*hourly, *quarters))
    mostly_hourly = [row("1", hour) for hour in range(24)] + [row("1", 23.25)]
    assert "two interval lengths, 3600 s and 900 s" in refusal(file.of(*mostly_hourly))
    two_homes = hourly + [row("2", quarter / 4) for quarter in range(96)]
    assert "3600 s (home 1) and 900 s (home 2)" in refusal(file.of(*two_homes))


@pytest.mark.parametrize("minutes", [0.5, 7, 90, 1_440])
def test_an_interval_length_that_does_not_divide_the_hour_is_refused(
    file: FileMaker, minutes: float
) -> None:
    path = file.of(*(row("1", step * minutes / 60) for step in range(4)))
    assert "divide the hour" in refusal(path)


def test_a_single_row_has_no_length(file: FileMaker) -> None:
    assert "needs at least two" in refusal(file.of(row("1", 0)))


def test_homes_with_different_spans_are_refused_unless_the_days_suit_all(file: FileMaker) -> None:
    path = file.of(*two_days("1"), *(row("2", hour) for hour in range(24, 48)))
    assert "home 2 begins at 2016-08-02T00:00:00Z" in refusal(path)
    assert "cover different times" in refusal(path, start=date(2016, 8, 1), days=1)
    assert read_homes(path, start=date(2016, 8, 2), days=1).intervals == 24
    assert read_homes(path, days=1).start == int(DAY.timestamp()) + 86_400


@pytest.mark.parametrize(
    ("start", "days", "told"),
    [
        (date(2016, 7, 31), 1, "runs from 2016-08-01T00:00:00Z up to"),
        (date(2016, 8, 3), None, "does not hold 2016-08-03"),
        (date(2016, 8, 2), 2, "2 whole days from 2016-08-01"),
        (None, 3, "does not hold 3 days"),
        (None, 10**15, "does not hold"),
        (date(9999, 12, 31), 1, "does not hold"),
        (date(1, 1, 1), 1, "does not hold"),
        (None, 0, "at least one day"),
        (date(2016, 8, 1), -1, "at least one day"),
    ],
)
def test_days_that_the_file_does_not_hold_are_refused(
    file: FileMaker, start: date | None, days: int | None, told: str
) -> None:
    assert told in refusal(file.of(*two_days("1")), start, days)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        (HEADER + "\n", "no rows"),
        ("home;interval_start;load_kwh;pv_kwh\n", "the columns must be"),
        ("home,interval_start,load_kwh\n", "the columns must be"),
        ("home,home,load_kwh,pv_kwh\n", "the columns must be"),
        (f'{HEADER}\n"1,2016', "has 1 columns"),
        (f"{HEADER}\n1,2016-08-01T00:00Z,{'0' * 2_000},0\n", "longer than 1,000 characters"),
        (f"{HEADER}\n ,2016-08-01T00:00Z,0,0\n", "name the home"),
        (f"{HEADER}\n\x07,2016-08-01T00:00Z,0,0\n", "name the home"),
        (HEADER + "\n" + '"' + "0\n" * 200_000, "quote that is never closed"),
    ],
)
def test_a_file_of_another_shape_is_refused(file: FileMaker, text: str, told: str) -> None:
    assert told in refusal(file.text(text))


def test_files_that_cannot_be_read_are_refused(tmp_path: Path, file: FileMaker) -> None:
    plain = file.of(*two_days("1"))
    packed = gzip.compress(plain.read_bytes())
    assert "no such file" in refusal(tmp_path / "nowhere.csv")
    assert "is not a file" in refusal(tmp_path)

    named_packed = tmp_path / "plain.csv.gz"
    named_packed.write_bytes(plain.read_bytes())
    assert "is named .gz but is not gzip" in refusal(named_packed)

    named_plain = tmp_path / "packed.csv"
    named_plain.write_bytes(packed)
    assert "name it .csv.gz" in refusal(named_plain)

    cut_short = tmp_path / "cut.csv.gz"
    cut_short.write_bytes(packed[: len(packed) // 2])
    assert "cut short" in refusal(cut_short)

    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(packed[:20] + b"\xff" * 40 + packed[60:])
    assert "cannot be unpacked" in refusal(broken)

    latin = tmp_path / "latin.csv"
    latin.write_bytes(f"{HEADER}\nH\xfctte,2016-08-01T00:00Z,0,0\n".encode("latin-1"))
    assert "not UTF-8" in refusal(latin)


def test_a_file_that_the_system_refuses_is_refused(
    file: FileMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file.of(*two_days("1"))

    def locked(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", locked)
    assert "cannot be read: Permission denied" in refusal(path)


def test_a_file_that_changes_between_the_two_readings_is_refused(
    file: FileMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file.of(*two_days("1"))
    surveyed = homes_survey.survey(path, {})
    monkeypatch.setattr("commonwatt.microgrid.homes_file.survey", lambda *_: surveyed)
    assert "changed while it was read" in refusal(path)


def test_limits_keep_a_large_file_from_filling_the_memory(
    file: FileMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file.of(*two_days("1", "2", "3"))
    with monkeypatch.context() as limited:
        limited.setattr(homes_lines, "ROWS_MAX", 100)
        assert "more than 100 rows" in refusal(path)
    with monkeypatch.context() as limited:
        limited.setattr(homes_survey, "HOMES_MAX", 2)
        assert "more than 2 homes" in refusal(path)
    with monkeypatch.context() as limited:
        limited.setattr(homes_survey, "TIMES_MAX", 10)
        assert "more than 10 different times" in refusal(path)


def test_two_homes_that_would_look_the_same_are_refused(file: FileMaker) -> None:
    assert "same name" in refusal(file.of(*two_days("1", "01")))


one_file_for_all_examples = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

decimals = st.decimals(0, 100_000, allow_nan=False, allow_infinity=False).filter(
    lambda value: len(str(value)) <= homes_lines.NUMBER_CHARACTERS_MAX
)


@given(loads=st.lists(decimals, min_size=2, max_size=24))
@one_file_for_all_examples
def test_every_decimal_becomes_the_whole_number_below_it(
    file: FileMaker, loads: list[Decimal]
) -> None:
    path = file.of(*(row("1", hour, load=str(load)) for hour, load in enumerate(loads)))
    (home,) = read_homes(path).homes
    for load, got in zip(loads, home.load_mwh.tolist(), strict=True):
        numerator, denominator = load.as_integer_ratio()
        assert got == numerator * 1_000_000 // denominator


cells = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["1", "2", "0.5", "-1", "nan", "1e400", "2016-08-01T00:00Z", '"', "\r", "\0"]),
    st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
)


names = st.sampled_from(["any.csv", "any.csv.gz"])


@given(rows=st.lists(st.lists(cells, max_size=5), max_size=8), name=names)
@one_file_for_all_examples
def test_whatever_a_file_holds_it_is_read_or_refused_in_one_line(
    tmp_path: Path, rows: list[list[str]], name: str
) -> None:
    text = "\n".join([HEADER, *(",".join(cell for cell in cells) for cells in rows)])
    raw = text.encode("utf-8", "surrogatepass")
    path = tmp_path / name
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    told = ""
    try:
        read_homes(path)
    except InputError as refused:
        told = str(refused)
    assert len(told.splitlines()) <= 1


@given(raw=st.binary(max_size=200), name=names)
@one_file_for_all_examples
def test_arbitrary_bytes_are_refused_in_one_line(tmp_path: Path, raw: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises((HomesFileUnusable, HomesFileWrong)) as refused:
        read_homes(path)
    assert len(str(refused.value).splitlines()) == 1


real_homes = pytest.mark.skipif(not REAL_HOMES.exists(), reason=f"{REAL_HOMES} is not here")


@real_homes
def test_a_day_of_17_real_homes_is_read_quickly() -> None:
    before = time.process_time()
    neighbourhood = read_homes(REAL_HOMES, start=date(2016, 8, 2), days=1)
    spent = time.process_time() - before
    assert (len(neighbourhood.homes), neighbourhood.intervals) == (17, 24)
    assert neighbourhood.interval_s == 3_600
    # 0.4 s where it was measured; the rest is room for a slow machine.
    assert spent < 4


@real_homes
def test_a_year_of_17_real_homes_sums_to_what_its_description_says() -> None:
    neighbourhood = read_homes(REAL_HOMES)
    flows = [flows_of(neighbourhood, home) for home in neighbourhood.homes]
    imported = sum(int(flow.import_mwh.sum()) for flow in flows)
    exported = sum(int(flow.export_mwh.sum()) for flow in flows)
    assert neighbourhood.intervals == 8_760
    assert imported // 10**8 == 1_121  # 112.1 MWh
    assert exported // 10**8 == 459  # 45.9 MWh
    for home, flow in zip(neighbourhood.homes, flows, strict=True):
        assert flow.import_mwh.max() <= home.connection_w * 1_000
        assert flow.export_mwh.max() <= home.pv_peak_w * 1_000

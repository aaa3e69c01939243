"""NEM12 files: days of intervals from the Australian market."""

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.driver.failure import (
    ChecksumWrong,
    FormatUnreadable,
    MessageCut,
    MessageTooLarge,
    NumberUnreadable,
    ReadingsContradict,
    RegisterMissing,
    TimeUnreadable,
    UnitUnknown,
)
from commonwatt.meter.driver.nem12 import (
    NEM12_BYTES_MAX,
    nmi_check_digit,
    read_channels,
    read_nem12,
)
from commonwatt.meter.record import Quality
from commonwatt.quantity import decimal_text
from effort import effort
from meter.driver.samples import nem12, nem12_channel, nem12_day

DAY = int(datetime(2024, 1, 14, 14, tzinfo=UTC).timestamp())
"""2024-01-15 begins at 14:00 UTC of the day before."""
OF_MINUTES = {5: 288, 15: 96, 30: 48}


@effort(0.5)
@given(
    st.sampled_from(sorted(OF_MINUTES)),
    st.sampled_from([("Wh", 3), ("KWH", 6), ("MWh", 9)]),
    st.data(),
)
def test_a_day_that_is_written_is_read_back_exactly(
    minutes: int, unit: tuple[str, int], data: st.DataObject
) -> None:
    name, places = unit
    energies = data.draw(
        st.lists(st.integers(min_value=0, max_value=10**12), min_size=4, max_size=9)
    )
    energies = (energies * 288)[: OF_MINUTES[minutes]]
    row = ",".join(decimal_text(energy, places) for energy in energies)
    readings = read_nem12(nem12(nem12_channel("B1", name, minutes), f"300,20240115,{row},A,,,,"))
    assert [reading.export_mwh for reading in readings] == energies
    assert [reading.start for reading in readings] == [
        DAY + n * minutes * 60 for n in range(len(energies))
    ]
    assert {(r.source, r.duration, r.import_mwh, r.quality) for r in readings} == {
        ("VABD000163", minutes * 60, None, Quality.MEASURED)
    }


def test_registers_of_one_metering_point_are_added_up_and_directions_joined() -> None:
    readings = read_nem12(
        nem12(
            nem12_channel("E1"),
            nem12_day(),
            nem12_channel("E2"),
            nem12_day(value="0.389"),
            nem12_channel("B1", "Wh"),
            nem12_day(value="7"),
            nem12_channel("Q1", "kVArh"),
            nem12_day(),
            nem12_channel("F1"),
            nem12_day(value="99"),
        )
    )
    assert len(readings) == 48
    assert {(r.import_mwh, r.export_mwh) for r in readings} == {(1_500_000, 7_000)}


@pytest.mark.parametrize(
    ("flag", "quality"),
    [
        ("A", Quality.MEASURED),
        ("E52", Quality.ESTIMATED),
        ("S14", Quality.SUBSTITUTED),
        ("F14", Quality.SUBSTITUTED),
    ],
)
def test_flags_of_quality(flag: str, quality: Quality) -> None:
    readings = read_nem12(nem12(nem12_channel(), nem12_day(flag=flag)))
    assert {reading.quality for reading in readings} == {quality}


def test_a_day_of_varying_quality_is_told_by_its_ranges() -> None:
    ranges = ("400,1,10,A,,", "400,11,11,N,,", "400,12,48,S14,32,")
    readings = read_nem12(nem12(nem12_channel(), nem12_day(flag="V"), *ranges))
    assert len(readings) == 47
    assert [r.quality for r in readings] == [Quality.MEASURED] * 10 + [Quality.SUBSTITUTED] * 37
    assert readings[10].start - readings[9].start == 2 * 1_800


def test_a_sum_is_only_as_good_as_its_worst_part_and_unknown_where_one_is() -> None:
    ranges = ("400,1,24,E52,,", "400,25,48,N,,")
    readings = read_nem12(
        nem12(nem12_channel("E1"), nem12_day(), nem12_channel("E2"), nem12_day(flag="V"), *ranges,
              nem12_channel("B1"), nem12_day())
    )  # fmt: skip
    assert {r.quality for r in readings[:24]} == {Quality.MEASURED | Quality.ESTIMATED}
    assert {(r.import_mwh, r.export_mwh) for r in readings[24:]} == {(None, 1_111_000)}


def test_days_without_data_give_no_readings() -> None:
    assert read_nem12(nem12(nem12_channel(), nem12_day(flag="N", value=""))) == ()


@pytest.mark.parametrize("first", [date(2024, 4, 6), date(2024, 10, 5)], ids=["autumn", "spring"])
def test_no_hour_is_lost_or_doubled_when_clocks_in_sydney_change(first: date) -> None:
    days = [(first + timedelta(n)).strftime("%Y%m%d") for n in range(3)]
    readings = read_nem12(nem12(nem12_channel(), *[nem12_day(day) for day in days]))
    assert len(readings) == 3 * 48
    assert all(b.start == a.end for a, b in itertools.pairwise(readings))
    midnight = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(hours=10)
    assert readings[0].start == midnight.timestamp()


@pytest.mark.parametrize(
    ("nmi", "digit"),
    [("2001985732", 8), ("2001985733", 6), ("3075621875", 8), ("4316854005", 9), ("6305888444", 6),
     ("7102000001", 7), ("NAAAMYS582", 6), ("NBBBX11110", 0), ("QAAAVZZZZZ", 3), ("VAAA000065", 7),
     ("VKTS786150", 2), ("VKTS876510", 8)],
)  # fmt: skip
def test_check_digits_of_the_market_operator(nmi: str, digit: int) -> None:
    assert nmi_check_digit(nmi) == digit


def test_a_check_digit_is_held_against_its_metering_point() -> None:
    good = nem12_channel().replace("VABD000163", "20019857328")
    assert read_nem12(nem12(good, nem12_day()))[0].source == "2001985732"
    with pytest.raises(ChecksumWrong, match="not its check digit 8"):
        read_nem12(nem12(good.replace("57328", "57327"), nem12_day()))


def test_visits_and_what_stands_after_the_fields_are_passed_over() -> None:
    visit = "500,O,S01009,20040202120025,1001.2"
    assert len(read_nem12(nem12(nem12_channel() + "20240201,x,y", nem12_day(), visit))) == 48


def test_every_channel_can_be_looked_at() -> None:
    [channel] = read_channels(nem12(nem12_channel("Q1", "kVArh", 15), nem12_day(number=96)))
    assert (channel.suffix, channel.unit, channel.minutes, channel.is_energy) == (
        "Q1",
        "kVArh",
        15,
        False,
    )
    assert len(channel.days[0].values) == 96


CHANNEL, WHOLE_DAY, OPEN_DAY = nem12_channel(), nem12_day(), nem12_day(flag="V")


@pytest.mark.parametrize(
    ("lines", "failure", "told"),
    [
        (("200,VABD000163,E1,1,E1,N1,M,kWh",), FormatUnreadable, "line 2: a 200 line has 9 fields"),
        ((CHANNEL.replace("VABD000163", "VABD0001"),), FormatUnreadable, "no metering point"),
        ((CHANNEL.replace("VABD000163", "VABDO00163"),), FormatUnreadable, "no metering point"),
        ((CHANNEL.replace(",E1,N1", ",E,N1"),), FormatUnreadable, "no suffix like E1"),
        ((nem12_channel(minutes=10),), FormatUnreadable, "5, 15 or 30"),
        ((CHANNEL.replace(",30,", ",thirty,"),), FormatUnreadable, "5, 15 or 30"),
        ((WHOLE_DAY,), FormatUnreadable, "before the first 200 line"),
        (("500,O,,,",), FormatUnreadable, "before the first 200 line"),
        ((CHANNEL, nem12_day(number=47)), FormatUnreadable, "no quality like A"),
        ((CHANNEL, "300,20240115,1,2"), FormatUnreadable, "has 48 values"),
        ((CHANNEL, nem12_day(flag="X")), FormatUnreadable, "no quality like A"),
        ((CHANNEL, nem12_day("20240230")), TimeUnreadable, "line 3: '20240230' is no day"),
        ((CHANNEL, nem12_day("2024011")), TimeUnreadable, "is no day"),
        ((CHANNEL, nem12_day("19690101")), TimeUnreadable, "no time read here"),
        (
            (CHANNEL, nem12_day(value="-1")),
            NumberUnreadable,
            "line 3, interval 1: '-1' is below zero",
        ),
        ((CHANNEL, nem12_day(value="")), NumberUnreadable, "no decimal number"),
        ((nem12_channel(unit="kVArh"), WHOLE_DAY), UnitUnknown, "line 2: E1 of VABD000163"),
        ((CHANNEL, OPEN_DAY), MessageCut, "0 of 48 intervals"),
        ((CHANNEL, OPEN_DAY, "400,1,20,A,,"), MessageCut, "20 of 48 intervals"),
        ((CHANNEL, OPEN_DAY, "400,1,20,A,,", WHOLE_DAY), MessageCut, "20 of 48 intervals"),
        ((CHANNEL, OPEN_DAY, "400,2,48,A,,"), FormatUnreadable, "do not follow interval 0"),
        ((CHANNEL, OPEN_DAY, "400,1,49,A,,"), FormatUnreadable, "do not follow"),
        ((CHANNEL, OPEN_DAY, "400,1,x,A,,"), FormatUnreadable, "do not follow"),
        ((CHANNEL, OPEN_DAY, "400,1,0,A,,"), FormatUnreadable, "do not follow"),
        ((CHANNEL, OPEN_DAY, "400,1,48,V,,"), FormatUnreadable, "V says nothing"),
        ((CHANNEL, OPEN_DAY, "400,1"), FormatUnreadable, "a 400 line has 4 fields"),
        ((CHANNEL, WHOLE_DAY, "400,1,48,A,,"), FormatUnreadable, "without a 300 line of quality V"),
        ((CHANNEL, "400,1,48,A,,"), FormatUnreadable, "without a 300 line of quality V"),
        (("600,x",), FormatUnreadable, "'600' is no kind of line"),
        (("900", CHANNEL), FormatUnreadable, "nothing follows the 900 line"),
        ((CHANNEL, WHOLE_DAY, WHOLE_DAY), ReadingsContradict, "E1 of VABD000163 has a day twice"),
        (
            (CHANNEL, WHOLE_DAY, nem12_channel(minutes=15), nem12_day(number=96)),
            ReadingsContradict,
            "overlap",
        ),
        (
            (CHANNEL, WHOLE_DAY, nem12_channel("E2"), nem12_day("20240116")),
            RegisterMissing,
            "no 2024-01-16",
        ),
        ((nem12_channel("Q1"), WHOLE_DAY), RegisterMissing, "no channel of active energy"),
        ((CHANNEL,), RegisterMissing, "no channel of active energy"),
    ],
)
def test_what_is_no_such_file_is_refused(lines: tuple[str, ...], failure: type, told: str) -> None:
    with pytest.raises(failure, match=told):
        read_nem12(nem12(*lines))


@pytest.mark.parametrize(
    ("payload", "failure"),
    [
        (b"", FormatUnreadable),
        (b"\n\n", FormatUnreadable),
        (b"100,NEM13,x", FormatUnreadable),
        (b"\xff\xfe1\x000\x000\x00", FormatUnreadable),
        (b"100,NEM12,x\n", MessageCut),
        (nem12(CHANNEL, WHOLE_DAY)[:-5], MessageCut),
        (b" " * (NEM12_BYTES_MAX + 1), MessageTooLarge),
    ],
)
def test_a_file_without_its_begin_or_end_is_refused(payload: bytes, failure: type) -> None:
    with pytest.raises(failure):
        read_nem12(payload)

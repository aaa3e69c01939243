"""P1 telegrams, whole and out of a line that loses bytes."""

import itertools
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.driver import open_driver
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
from commonwatt.meter.driver.p1 import TELEGRAM_BYTES_MAX, crc16, read_p1, read_telegram
from commonwatt.meter.driver.p1_stream import Splitter
from commonwatt.meter.driver.reading import Message, Reading
from commonwatt.quantity import decimal_text
from meter.driver.samples import P1_LINES, RECEIVED, SAMPLES, telegram

NOON = 1_705_316_400
WHOLE = telegram(*P1_LINES)
OLD = (
    b"/KMP5 KA6U001511209910\r\n\r\n"
    b"0-0:96.1.1(204B413655303031353131323039393130)\r\n"
    b"1-0:1.8.1(00001.001*kWh)\r\n1-0:1.8.2(00002.001*kWh)\r\n"
    b"1-0:2.8.1(00000.500*kWh)\r\n1-0:2.8.2(00000.000*kWh)\r\n"
    b"0-1:24.3.0(121030140000)(00)(60)(1)(0-1:24.2.1)(m3)\r\n(00001.001)\r\n!\r\n"
)
"""DSMR 2.2: no version, no time, no check sum."""


def clock(text: str) -> bytes:
    return telegram(f"0-0:1.0.0({text})", *P1_LINES[1:])


def test_a_telegram_gives_both_registers_time_and_meter() -> None:
    assert read_p1(WHOLE, RECEIVED) == Reading("K8EG004046395507", NOON, 6_825_000, 2_444_000)


def test_the_check_sum_is_the_standard_one() -> None:
    assert crc16(b"") == 0
    assert crc16(b"123456789") == 0xBB3D  # the check value of CRC-16/ARC


@given(*[st.integers(min_value=0, max_value=999_999_999) for _ in range(4)])
def test_registers_that_a_meter_writes_are_read_back(t1: int, t2: int, r1: int, r2: int) -> None:
    values = {"1.8.1": t1, "1.8.2": t2, "2.8.1": r1, "2.8.2": r2}
    lines = [f"1-0:{c}({decimal_text(v, 3).rjust(10, '0')}*kWh)" for c, v in values.items()]
    reading = read_p1(telegram(*P1_LINES[:2], *lines), RECEIVED)
    assert reading.import_mwh == (t1 + t2) * 1_000
    assert reading.export_mwh == (r1 + r2) * 1_000


def test_registers_of_all_tariffs_go_before_single_ones() -> None:
    lines = ("1-0:1.8.0(000010.000*kWh)", "1-0:1.8.1(000004.000*kWh)", "1-0:2.8.0(7*Wh)")
    reading = read_p1(telegram(*P1_LINES[:2], *lines), RECEIVED)
    assert (reading.import_mwh, reading.export_mwh) == (10_000_000, 7_000)


def test_a_meter_that_counts_one_way_says_nothing_of_the_other() -> None:
    reading = read_p1(telegram(*P1_LINES[:2], "1-0:1.8.0(000010.000*kWh)"), RECEIVED)
    assert reading.export_mwh is None


def test_an_old_telegram_has_the_time_at_which_it_came() -> None:
    assert read_p1(OLD, RECEIVED) == Reading("KA6U001511209910", RECEIVED, 3_002_000, 500_000)
    assert not read_telegram(OLD).checked


def test_in_an_old_telegram_a_lost_line_or_digit_is_noticed() -> None:
    """Nothing else protects it: half the energy would look like a register that fell."""
    with pytest.raises(RegisterMissing, match=r"one is missing.*without check sum"):
        read_p1(OLD.replace(b"1-0:1.8.2(00002.001*kWh)\r\n", b""), RECEIVED)
    with pytest.raises(NumberUnreadable, match="some may be lost"):
        read_p1(OLD.replace(b"00002.001", b"0002.001"), RECEIVED)


def test_the_night_in_autumn_has_both_hours_and_the_night_in_spring_lacks_one() -> None:
    def at(text: str) -> int:
        return read_p1(clock(text), RECEIVED).time

    assert at("241027023000W") - at("241027023000S") == 3_600
    assert at("241027023000S") == datetime(2024, 10, 27, 0, 30, tzinfo=UTC).timestamp()
    assert at("240331030000S") - at("240331015959W") == 1
    quarters = [at(f"241027{h:02}{m:02}00{s}") for h, s in ((1, "S"), (2, "S"), (2, "W"), (3, "W"))
                for m in (0, 15, 30, 45)]  # fmt: skip
    assert [b - a for a, b in itertools.pairwise(quarters)] == [900] * 15


def test_a_meter_elsewhere_has_its_own_winter_time() -> None:
    assert read_p1(WHOLE, RECEIVED, 7_200).time == NOON - 3_600


@pytest.mark.parametrize(
    "text", ["240115120000", "240115120000X", "", "241315120000W", "240230120000W"]
)
def test_a_time_without_its_season_or_that_is_not_there_is_refused(text: str) -> None:
    with pytest.raises(TimeUnreadable):
        read_p1(clock(text), RECEIVED)


def test_a_german_meter_that_writes_in_the_same_way_is_read() -> None:
    data = (
        b"/ESY5Q3DB1024 V3.04\r\n\r\n1-0:1.8.0*255(00052185.7825309*kWh)\r\n"
        b"1-0:2.8.0*255(00019949.3221493*kWh)\r\n0-0:96.1.255*255(1ESY1313002565)\r\n!\r\n"
    )
    assert read_p1(data, RECEIVED) == Reading(
        "1ESY1313002565", RECEIVED, 52_185_782_530, 19_949_322_149
    )
    with pytest.raises(NumberUnreadable, match="some may be lost"):
        read_p1(data.replace(b"0005", b"005"), RECEIVED)


@pytest.mark.parametrize(
    ("lines", "source"),
    [
        (("0-0:96.1.1(4B384547)",), "K8EG"),
        (("0-0:96.1.1(3960221976967177)",), "3960221976967177"),
        (("0-0:96.1.1()", "0-0:96.1.0(number 7)"), "number 7"),
        ((), "ISk5\\2MT382-1000"),
    ],
)
def test_the_meter_is_named_by_its_number_or_else_by_its_type(
    lines: tuple[str, ...], source: str
) -> None:
    assert read_p1(telegram(*lines, "1-0:1.8.0(1*kWh)"), RECEIVED).source == source


def test_a_damaged_telegram_is_refused_with_both_check_sums() -> None:
    given_sum = WHOLE[-6:-2].decode()
    with pytest.raises(ChecksumWrong, match=f"'{given_sum}' .*[0-9A-F]{{4}} computed"):
        read_p1(WHOLE.replace(b"4.426", b"5.426"), RECEIVED)
    with pytest.raises(ChecksumWrong, match="no letters"):
        read_p1(OLD.replace(b"KMP5", b"KM\xff5"), RECEIVED)


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (b"", FormatUnreadable),
        (WHOLE[1:], FormatUnreadable),
        (WHOLE[: WHOLE.index(b"!")], MessageCut),
        (WHOLE[: WHOLE.index(b"!") + 1], MessageCut),
        (WHOLE[: WHOLE.index(b"!") + 3], ChecksumWrong),
        (telegram("0-0:96.1.4(50217)", "1-0:1.8.0(1*kWh)", version="2")[:-6], MessageCut),
        (b"/" + b"x" * TELEGRAM_BYTES_MAX, MessageTooLarge),
        (telegram(*P1_LINES[:2]), RegisterMissing),
        (telegram("1-0:1.8.0(000001.000*kWh)", "1-0:1.8.0(000002.000*kWh)"), ReadingsContradict),
        (telegram("1-0:1.8.0(000001.000*J)"), UnitUnknown),
        (telegram("1-0:1.8.0(1,5*kWh)"), NumberUnreadable),
        (telegram("1-0:1.8.0(1)"), NumberUnreadable),
        (telegram("1-0:1.8.0(1*kWh)(2*kWh)"), NumberUnreadable),
    ],
)
def test_what_is_no_whole_telegram_is_refused(data: bytes, failure: type) -> None:
    with pytest.raises(failure):
        read_p1(data, RECEIVED)


def test_a_line_that_stands_twice_alike_is_one() -> None:
    assert read_p1(telegram(*P1_LINES, P1_LINES[2]), RECEIVED).import_mwh == 6_825_000


# Out of a line


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """The telegrams of a stream that arrives in pieces of these sizes, again and again."""
    splitter, found, at, turn = Splitter(), [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        found += splitter.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    return found


noise = st.binary(max_size=60).map(lambda data: re.sub(rb"[/!]", b"", data))


@given(
    st.lists(st.tuples(noise, st.sampled_from([WHOLE, OLD])), max_size=4),
    noise,
    st.lists(st.integers(min_value=1, max_value=900), min_size=1, max_size=5),
)
def test_every_telegram_comes_out_of_a_noisy_line_once(
    parts: list[tuple[bytes, bytes]], end: bytes, sizes: list[int]
) -> None:
    line = b"".join(dirt + whole for dirt, whole in parts) + end
    assert cut(line, sizes) == [whole for _, whole in parts]


@given(st.integers(min_value=0, max_value=len(WHOLE)), st.integers(min_value=1, max_value=50))
def test_a_telegram_that_is_cut_anywhere_does_not_spoil_the_next(at: int, size: int) -> None:
    found = cut(WHOLE[:at] + WHOLE + OLD, [size])
    assert found[-2:] == [WHOLE, OLD]
    assert len(found) == (3 if at == len(WHOLE) else 2)


def test_the_end_of_a_telegram_is_awaited_and_noise_is_not_kept() -> None:
    splitter = Splitter()
    assert splitter.feed(WHOLE[:-1]) == []
    assert splitter.feed(WHOLE[-1:]) == [WHOLE]
    assert splitter.left_behind == 0
    for _ in range(100):
        assert splitter.feed(b"\x00" * 10_000) == []
    assert len(splitter._held) == 0
    assert splitter.left_behind == 1_000_000
    splitter.feed(b"/" + b"x" * 10 * TELEGRAM_BYTES_MAX)
    assert len(splitter._held) <= TELEGRAM_BYTES_MAX + 4_096
    assert splitter.feed(b"!0000\r\n" + WHOLE) == [WHOLE]


def test_a_driver_reads_the_good_telegrams_of_a_piece_and_tells_of_the_bad() -> None:
    bad = WHOLE.replace(b"4.426", b"5.426")
    taken = SAMPLES["p1"].taken(bad + WHOLE + bad + OLD)
    assert [reading.import_mwh for reading in taken.readings] == [6_825_000, 3_002_000]
    assert [type(error) for error in taken.refused] == [ChecksumWrong] * 2


def test_a_flood_of_broken_telegrams_is_told_of_only_in_part() -> None:
    taken = SAMPLES["p1"].taken(b"/no such telegram\n!0000\n" * 1_000)
    assert taken.readings == ()
    assert len(taken.refused) == 20


def test_pieces_of_one_line_go_to_one_driver() -> None:
    driver = open_driver("p1", {"winter_offset_s": 3_600})
    assert driver.take(Message(WHOLE[:100], RECEIVED)).readings == ()
    assert len(driver.take(Message(WHOLE[100:], RECEIVED)).readings) == 1

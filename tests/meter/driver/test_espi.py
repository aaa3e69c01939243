"""Green Button feeds, and what hides in XML."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.driver.espi import EspiOptions, read_espi
from commonwatt.meter.driver.espi_feed import DEPTH_MAX, ESPI_BYTES_MAX, TEXT_MAX
from commonwatt.meter.driver.failure import (
    FormatUnreadable,
    MessageCut,
    MessageTooLarge,
    NumberUnreadable,
    ReadingsContradict,
    RegisterMissing,
    TimeUnreadable,
    UnitUnknown,
)
from commonwatt.meter.driver.reading import IntervalReading
from commonwatt.meter.record import Quality
from meter.driver.samples import block, feed

START = 1_330_578_000
TYPE = '<ReadingType xmlns="http://naesb.org/espi">{}</ReadingType>'


def read(payload: bytes, interval_s: int = 0) -> tuple[IntervalReading, ...]:
    return read_espi(payload, EspiOptions(interval_s=interval_s))


def kind(path: str = "/ReadingType/07", **fields: object) -> str:
    """An entry of a reading type in Wh, delivered, unless said otherwise."""
    said = {"uom": 72, "flowDirection": 1} | fields
    inside = "".join(
        f"<{name}>{value}</{name}>" for name, value in said.items() if value is not None
    )
    return (
        f'<entry><link rel="self" href="{path}"/><content>{TYPE.format(inside)}</content></entry>'
    )


@given(
    st.lists(st.integers(min_value=0, max_value=10**9), min_size=1, max_size=20),
    st.integers(min_value=-3, max_value=6),
    st.sampled_from([1, 19]),
)
def test_intervals_that_are_written_are_read_back_exactly(
    values: list[int], power: int, flow: int
) -> None:
    intervals = [(START + n * 900, 900, value) for n, value in enumerate(values)]
    readings = read(feed(block(*intervals), flow=flow, power=power))
    energies = [value * 10 ** (3 + power) for value in values]
    assert [r.import_mwh if flow == 1 else r.export_mwh for r in readings] == energies
    assert [(r.start, r.duration) for r in readings] == [(start, 900) for start, _, _ in intervals]
    assert {r.source for r in readings} == {"/UsagePoint/1"}
    assert {r.export_mwh if flow == 1 else r.import_mwh for r in readings} == {None}


def meter_reading(number: int, kind_path: str) -> str:
    own = f"/UsagePoint/1/MeterReading/{number}"
    return (
        f'<entry><link rel="self" href="{own}"/><link rel="up" href="/UsagePoint/1/MeterReading"/>'
        f'<link rel="related" href="{kind_path}"/>'
        '<content><MeterReading xmlns="http://naesb.org/espi"/></content></entry>'
    )


def two_streams(first: str, second: str) -> bytes:
    """Two meter readings of one usage point, with types `/T/1` and `/T/2`."""
    readings = meter_reading(1, "/T/1") + meter_reading(2, "/T/2")
    own = "/UsagePoint/1/MeterReading/{}/IntervalBlock"
    blocks = block((START, 900, 5), up=own.format(1)) + block((START, 900, 7), up=own.format(2))
    return feed(blocks, types=first + second, readings=readings)


def test_both_directions_of_a_usage_point_make_one_reading() -> None:
    payload = two_streams(kind("/T/1"), kind("/T/2", flowDirection=19))
    assert read(payload) == (IntervalReading("/UsagePoint/1", START, 900, 5_000, 7_000),)


@pytest.mark.parametrize(
    "other",
    [
        {"uom": 38},
        {"commodity": 7},
        {"flowDirection": 4},
        {"accumulationBehaviour": 3},
        {"flowDirection": None},
    ],
)
def test_other_quantities_are_passed_over(other: dict) -> None:
    assert read(two_streams(kind("/T/1"), kind("/T/2", **other)))[0].export_mwh is None
    with pytest.raises(RegisterMissing, match="uom 72, flow 1 or 19"):
        read(feed(block((START, 900, 1)), types=kind(**other)))


def test_two_values_for_one_interval_are_refused_and_the_same_twice_is_one() -> None:
    with pytest.raises(ReadingsContradict):
        read(two_streams(kind("/T/1"), kind("/T/2")))
    assert len(read(feed(block((START, 900, 1), (START, 900, 1))))) == 1


def test_where_a_feed_has_two_lengths_one_can_be_chosen() -> None:
    payload = feed(block((START, 3_600, 10), (START, 900, 2)))
    with pytest.raises(ReadingsContradict, match="overlap"):
        read(payload)
    assert [reading.import_mwh for reading in read(payload, 900)] == [2_000]


def test_links_may_be_whole_addresses() -> None:
    payload = feed(block((START, 900, 1))).replace(b'href="/', b'href="https://utility.example/')
    assert read(payload)[0].source == "/UsagePoint/1"


def test_a_single_meter_reading_and_type_need_no_links() -> None:
    lost = block((START, 900, 1), up="/elsewhere")
    readings = meter_reading(1, "/nowhere")
    assert len(read(feed(lost, readings=readings))) == 1


def test_links_that_lead_nowhere_are_refused_where_they_are_needed() -> None:
    readings = meter_reading(1, "/T/1") + meter_reading(2, "/T/2")
    types = kind("/T/1") + kind("/T/2")
    with pytest.raises(FormatUnreadable, match="leads to no meter reading"):
        read(feed(block((START, 900, 1), up="/elsewhere"), types, readings=readings))
    own = block((START, 900, 1), up="/UsagePoint/1/MeterReading/1")
    with pytest.raises(FormatUnreadable, match="links to no reading type"):
        read(feed(own, kind("/T/3") + kind("/T/4"), readings=readings))


def test_an_interval_without_its_period_follows_the_one_before() -> None:
    inside = "<interval><duration>1800</duration><start>1330578000</start></interval>" + (
        "<IntervalReading><value>1</value></IntervalReading>" * 2
    )
    entry = (
        '<entry><link rel="up" href="/UsagePoint/1/MeterReading/01/IntervalBlock"/><content>'
        f'<IntervalBlock xmlns="http://naesb.org/espi">{inside}</IntervalBlock></content></entry>'
    )
    assert [(r.start, r.duration) for r in read(feed(entry))] == [(START, 900), (START + 900, 900)]


@pytest.mark.parametrize(
    ("codes", "quality"),
    [
        ((), Quality.MEASURED),
        ((0,), Quality.MEASURED),
        ((19,), Quality.MEASURED),
        ((8,), Quality.ESTIMATED),
        ((7,), Quality.MANUAL | Quality.SUBSTITUTED),
        ((10,), Quality.METER_ERROR),
        ((11,), Quality.CALCULATED),
        ((17, 9), Quality.ESTIMATED),
    ],
)
def test_codes_of_quality(codes: tuple[int, ...], quality: Quality) -> None:
    more = "".join(f"<ReadingQuality><quality>{code}</quality></ReadingQuality>" for code in codes)
    assert read(feed(block((START, 900, 1), more=more)))[0].quality == quality


def test_the_type_says_the_quality_of_intervals_that_say_none() -> None:
    payload = feed(block((START, 900, 1)), types=kind(defaultQuality=8))
    assert read(payload)[0].quality == Quality.ESTIMATED


def test_a_day_of_twenty_five_hours_has_a_hundred_quarters() -> None:
    """In autumn a local day is longer; seconds since 1970 do not mind."""
    readings = read(feed(block(*[(1_730_606_400 + n * 900, 900, 1) for n in range(100)])))
    assert len(readings) == 100
    assert all(b.start == a.end for a, b in itertools.pairwise(readings))


BOMB = b'<!DOCTYPE feed [<!ENTITY a "ha">' + b"".join(
    b'<!ENTITY %c "&%c;&%c;&%c;">' % (n, n - 1, n - 1, n - 1) for n in range(98, 120)
) + b"]><feed>&w;</feed>"  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "failure", "told"),
    [
        (BOMB, FormatUnreadable, "document type"),
        (b'<!DOCTYPE feed SYSTEM "file:///etc/passwd"><feed/>', FormatUnreadable, "document type"),
        (
            b'<!DOCTYPE feed [<!ENTITY x SYSTEM "http://x/">]><feed>&x;</feed>',
            FormatUnreadable,
            "document",
        ),
        (b"", MessageCut, "ends at line 1"),
        (b"<feed>", MessageCut, "ends at line 1"),
        (feed(block((START, 900, 1)))[:-1], MessageCut, "get it whole"),
        (b"hello", FormatUnreadable, "is no XML"),
        (b"<feed></food>", FormatUnreadable, "is no XML"),
        (b"<feed>&x;</feed>", FormatUnreadable, "is no XML"),
        (b'<?xml version="1.0" encoding="x-none"?><feed/>', FormatUnreadable, "no XML"),
        (b"<feed/>", RegisterMissing, "uom 72"),
        (b"<a>" * (DEPTH_MAX + 1), MessageTooLarge, "deep"),
        (b" " * (ESPI_BYTES_MAX + 1), MessageTooLarge, "divide it"),
        (feed(block((START, 900, "1" * (TEXT_MAX + 1)))), MessageTooLarge, "it is a number"),
        (feed(block((START, 900, "1.5.5"))), NumberUnreadable, "value at 1330578000"),
        (feed(block((START, 900, -1))), NumberUnreadable, "below zero"),
        (feed(block((START, 0, 1))), TimeUnreadable, "end after it starts"),
        (feed(block((-1, 900, 1))), TimeUnreadable, "start '-1'"),
        (feed(block((START, 900, 1)), types=kind(powerOfTenMultiplier=13)), UnitUnknown, "'13'"),
        (feed(block((START, 900, 1)), types=kind(powerOfTenMultiplier="x")), UnitUnknown, "'x'"),
        (
            feed(
                block(
                    (START, 900, 1), more="<ReadingQuality><quality>99</quality></ReadingQuality>"
                )
            ),
            FormatUnreadable,
            "none of ESPI",
        ),
        (feed(block((START, 900, "1</value><value>2"))), FormatUnreadable, "value stands twice"),
        (
            feed(block((START, 900, 1))).replace(b"<value>1</value>", b""),
            FormatUnreadable,
            "no value",
        ),
    ],
)
def test_what_is_no_such_feed_is_refused(payload: bytes, failure: type, told: str) -> None:
    with pytest.raises(failure, match=told):
        read(payload)


def test_texts_that_are_not_read_may_be_long() -> None:
    payload = feed(block((START, 900, 1))).replace(
        b"<entry>", b"<title>" + b"x" * 9_999 + b"</title><entry>", 1
    )
    assert len(read(payload)) == 1


@pytest.mark.parametrize("unit", [b"<entry/>", b"<entry><link/></entry>"])
def test_the_parts_of_a_feed_are_limited(unit: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("commonwatt.meter.driver.espi_feed.PARTS_MAX", 100)
    with pytest.raises(MessageTooLarge, match="more than 100 parts"):
        read(b'<feed xmlns="http://www.w3.org/2005/Atom">' + unit * 101 + b"</feed>")

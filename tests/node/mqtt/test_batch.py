"""What a message holds and may bring, without a broker."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.acceptance import Duplicate
from commonwatt.meter.record import SignedRecord
from commonwatt.node.gateway.answers import Fate, NoAnswer, name_of, read_answers
from commonwatt.node.mqtt.batch import (
    ENTRY_BYTES,
    TopicReason,
    Unfit,
    answer_to,
    answer_unfit,
    read_batch,
)
from commonwatt.node.mqtt.limits import Allowance, IntakeLimits
from commonwatt.node.mqtt.topics import (
    acks_topic,
    meter_in,
    records_filter,
    records_topic,
    status_topic,
)
from street import Street

METER = bytes(range(20))
entries = st.binary(min_size=ENTRY_BYTES, max_size=ENTRY_BYTES)


def test_topics_are_as_the_wire_interface_has_them() -> None:
    assert records_topic("hill", METER) == f"commonwatt/hill/records/{METER.hex()}"
    assert acks_topic("hill", METER) == f"commonwatt/hill/acks/{METER.hex()}"
    assert records_filter("hill") == "commonwatt/hill/records/+"
    assert status_topic("hill") == "commonwatt/hill/status"


@given(st.binary(min_size=20, max_size=20))
def test_a_topic_names_its_meter(meter: bytes) -> None:
    assert meter_in(records_topic("hill", meter)) == meter


@given(st.text(max_size=50))
def test_another_topic_names_none_or_exactly_forty_small_hex_digits(level: str) -> None:
    found = meter_in(f"commonwatt/hill/records/{level}")
    assert found is None or found.hex() == level.rpartition("/")[2]


@given(st.lists(entries, min_size=1, max_size=5))
def test_a_batch_is_its_records_in_order(found: list[bytes]) -> None:
    batch = read_batch(b"".join(found), METER)
    assert batch is not None
    assert [signed.record + signed.signature for signed in batch.records] == found
    assert list(batch.is_own) == [entry[12:32] == METER for entry in found]


@given(st.binary(max_size=400).filter(lambda payload: len(payload) % ENTRY_BYTES or not payload))
def test_anything_else_is_no_batch(payload: bytes) -> None:
    assert read_batch(payload, METER) is None


def test_a_gateway_understands_the_answers() -> None:
    street = Street()
    first, second, _ = street.measure([0, 0, 0], [0, 0, 0])
    meter = first.record[12:32]
    batch = read_batch(b"".join(s.record + s.signature for s in (second, first)), meter)
    assert batch is not None
    answers = read_answers(answer_to(batch, [Duplicate(first)]))
    assert [(answer.name, answer.fate) for answer in answers] == [
        (name_of(second), Fate.REFUSED),
        (name_of(first), Fate.TAKEN),
    ]
    assert answers[0].reason == "METER_OF_ANOTHER_TOPIC"
    assert batch.own == [SignedRecord(*first)]


@pytest.mark.parametrize("why", Unfit)
def test_a_gateway_understands_that_nothing_was_judged(why: Unfit) -> None:
    with pytest.raises(NoAnswer) as told:
        read_answers(answer_unfit(why, 1.2))
    assert why.value in str(told.value)
    assert (told.value.retry_after_s, told.value.is_too_large) == (2, why is Unfit.TOO_LARGE)


def test_an_answer_to_what_is_unfit_says_what_to_do() -> None:
    assert json.loads(answer_unfit(Unfit.TOO_FAST, 1.2)) == {
        "results": [],
        "error": "TOO_FAST",
        "detail": Unfit.TOO_FAST.value,
        "retry_after_s": 2,
    }


@given(
    steps=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 40)), max_size=60),
    per_s=st.integers(1, 20),
    burst=st.integers(1, 50),
)
def test_over_any_time_no_more_than_burst_and_rate_come_through(
    steps: list[tuple[float, int]], per_s: int, burst: int
) -> None:
    allowance = Allowance(IntakeLimits(records_per_s=per_s, records_burst=burst), 0.0)
    now = taken = 0.0
    for pause, records in steps:
        now += pause
        wait = allowance.take(records, now)
        if not wait:
            taken += min(records, burst)
        assert taken <= burst + now * per_s + 1e-6


@pytest.mark.parametrize("records", [1, 7, 10])
def test_whoever_waits_as_long_as_told_comes_through(records: int) -> None:
    allowance = Allowance(IntakeLimits(records_per_s=2, records_burst=10), 0.0)
    assert allowance.take(10, 0.0) == 0
    wait = allowance.take(records, 0.0)
    assert wait == records / 2
    assert allowance.take(records, wait) == 0


def test_every_limit_reason_and_error_is_on_the_page_with_its_figure() -> None:
    page = (Path(__file__).parents[3] / "docs" / "mqtt.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", page, re.MULTILINE))
    limits = IntakeLimits()
    names = [field.name for field in fields(limits)]
    assert {name: float(value) for name, value in shown.items()} == {
        name: float(getattr(limits, name)) for name in names
    }
    told = set(re.findall(r"^\| ([A-Z_]+) \|", page, re.MULTILINE))
    assert told == {one.name for one in (*Unfit, *TopicReason)}

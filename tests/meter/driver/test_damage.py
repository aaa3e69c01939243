"""Damaged messages: each cut, each changed byte, and whatever else a fuzzer thinks of."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effort import effort
from meter.driver.damage import require_clear
from meter.driver.samples import QUIET, SAMPLES, Sample

EVERY = {**SAMPLES, **QUIET}
by_name = pytest.mark.parametrize("name", EVERY)
PROTECTED = ("ocmf", "p1")
"""A signature or a check sum covers every byte that a reading comes from."""
ONE_ERROR = 1


@by_name
def test_a_message_cut_anywhere_is_the_same_another_or_one_clear_error(name: str) -> None:
    sample = EVERY[name]
    for end in range(len(sample.payload)):
        taken = sample.taken(sample.payload[:end])
        require_clear(taken)
        assert not (taken.readings and taken.refused)
        assert len(taken.refused) <= ONE_ERROR
        if sample.driver == "nem12":
            assert taken.readings in ((), sample.taken().readings), "the end is marked"
        if sample.driver in PROTECTED:
            assert taken.readings == (), "nothing of a part"


@by_name
@pytest.mark.parametrize("flip", [0x01, 0x04, 0x10, 0x80, 0xFF])
def test_a_message_with_a_changed_byte_is_the_same_another_or_one_clear_error(
    name: str, flip: int
) -> None:
    sample, whole = EVERY[name], EVERY[name].taken()
    for at in range(len(sample.payload)):
        changed = bytearray(sample.payload)
        changed[at] ^= flip
        taken = sample.taken(bytes(changed))
        require_clear(taken)
        assert not (taken.readings and taken.refused)
        assert len(taken.refused) <= ONE_ERROR
        if sample.driver in PROTECTED:
            assert taken.readings in ((), whole.readings), "a change is noticed"


TOKENS = [
    b"",
    b"0",
    b"-1",
    b"1e999",
    b"9" * 30,
    b"null",
    b"true",
    b"{}",
    b"[]",
    b'"',
    b"\\",
    b",",
    b";",
    b"|",
    b"!",
    b"/",
    b"(",
    b")",
    b"*kWh",
    b"\n",
    b"\r\n",
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"<a>",
    b"</a>",
    b"<!DOCTYPE a>",
    b"&amp;",
    b"2024-01-15T12:00:00Z",
    b"900\n",
    b"400,1,48,A,,\n",
    b"NaN",
]
edits = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=10**6),
        st.integers(min_value=0, max_value=40),
        st.sampled_from(TOKENS) | st.binary(max_size=6),
    ),
    min_size=1,
    max_size=5,
)


@by_name
@effort(0.7)
@given(edits)
def test_a_message_edited_at_random_never_breaks_a_driver(
    name: str, edits: list[tuple[int, int, bytes]]
) -> None:
    payload = EVERY[name].payload
    for place, length, put in edits:
        at = place % (len(payload) + 1)
        payload = payload[:at] + put + payload[at + length :]
    require_clear(EVERY[name].taken(payload))


@by_name
@effort(0.3)
@given(
    st.binary(max_size=300)
    | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace"))
)
def test_noise_never_breaks_a_driver(name: str, payload: bytes) -> None:
    require_clear(EVERY[name].taken(payload))


SIZE = 300_000
LONG = [
    ("csv intervals", b'",\n'),
    ("csv intervals", b"\n"),
    ("csv intervals", b"a;"),
    ("espi", b"<a>"),
    ("espi", b"<a b='&lt;'/>"),
    ("espi", b"<a "),
    ("nem12", b"100,NEM12\n"),
    ("nem12", b","),
    ("ocpp values", b"["),
    ("ocpp values", b'"\\'),
    ("ocpp values", b'{"a":'),
    ("ocpp values", b"[[],"),
    ("ocpp values", b"9"),
    ("p1", b"/"),
    ("p1", b"!"),
    ("p1", b"/a telegram of nothing\n!0000\n"),
    ("p1", b"/!\n"),
    ("shelly total", b" "),
]
"""Shapes that make careless readers compare each part with each other part."""
CPU_S_MAX = 5.0
"""They take some milliseconds; each with each would take minutes."""


@pytest.mark.parametrize(("name", "unit"), LONG)
@pytest.mark.parametrize("begin", ["bare", "after a sample"])
def test_no_shape_of_a_long_message_takes_long(name: str, unit: bytes, begin: str) -> None:
    payload = (EVERY[name].payload if begin == "after a sample" else b"") + unit * (
        SIZE // len(unit)
    )
    before = process_time()
    require_clear(EVERY[name].taken(payload))
    assert process_time() - before < CPU_S_MAX


@pytest.mark.parametrize(
    "topic", ["a/" * 32_000, "/" * 65_000, "tele/" * 13_000, "a/status/" * 7_000]
)
@pytest.mark.parametrize("name", ["shelly emdata", "tasmota", "homeassistant"])
def test_no_shape_of_a_topic_takes_long(name: str, topic: str) -> None:
    sample = EVERY[name]
    before = process_time()
    require_clear(Sample(sample.driver, sample.payload, topic, sample.options).taken())
    assert process_time() - before < CPU_S_MAX


@pytest.mark.parametrize("name", ["shelly emdata", "tasmota", "homeassistant", "ocpp values"])
@effort(0.3)
@given(st.text(max_size=60))
def test_no_topic_breaks_a_driver(name: str, topic: str) -> None:
    sample = EVERY[name]
    for changed in (topic, topic + sample.topic):
        require_clear(Sample(sample.driver, sample.payload, changed, sample.options).taken())

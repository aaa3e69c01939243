"""The record: 100 bytes, to the byte."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.record import (
    NO_PREVIOUS,
    FieldUnfit,
    Kind,
    Quality,
    Record,
    RecordUnreadable,
    SignedRecord,
    ledger_id,
)

NOON = Record(
    version=1,
    kind=2,
    quality=0x0381,
    ledger=bytes.fromhex("1112131415161718"),
    meter=bytes(range(0x20, 0x34)),
    sequence=0x4142434445464748,
    time_end=0x5152535455565758,
    duration=0x61626364,
    import_mwh=0x7172737475767778,
    export_mwh=0x8182838485868788,
    previous=bytes(range(0xA0, 0xC0)),
)
NOON_BYTES = bytes.fromhex(
    "01"
    "02"
    "0381"
    "1112131415161718"
    "202122232425262728292a2b2c2d2e2f30313233"
    "4142434445464748"
    "5152535455565758"
    "61626364"
    "7172737475767778"
    "8182838485868788"
    "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
)
OFFSETS = {
    "version": (0, 1),
    "kind": (1, 1),
    "quality": (2, 2),
    "ledger": (4, 8),
    "meter": (12, 20),
    "sequence": (32, 8),
    "time_end": (40, 8),
    "duration": (48, 4),
    "import_mwh": (52, 8),
    "export_mwh": (60, 8),
    "previous": (68, 32),
}


def number(size: int) -> st.SearchStrategy[int]:
    return st.integers(0, 256**size - 1)


def octets(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


records = st.builds(
    Record,
    number(1),
    number(1),
    number(2),
    octets(8),
    octets(20),
    number(8),
    number(8),
    number(4),
    number(8),
    number(8),
    octets(32),
)


def test_a_record_is_laid_out_to_the_byte() -> None:
    assert NOON.encode() == NOON_BYTES
    assert len(NOON_BYTES) == 100
    assert sha256(NOON_BYTES).hexdigest() == (
        "a55d73cf0862749db9b50c786624c08d9f0d9370b988c36e0e978473dbb0cab0"
    )


@pytest.mark.parametrize("field", OFFSETS)
def test_each_field_stands_at_its_offset(field: str) -> None:
    at, size = OFFSETS[field]
    value = getattr(NOON, field)
    expected = value if isinstance(value, bytes) else value.to_bytes(size)
    assert NOON_BYTES[at : at + size] == expected


def test_the_offsets_leave_no_byte_out() -> None:
    assert tuple(OFFSETS) == Record._fields
    assert sum(size for _, size in OFFSETS.values()) == 100


@given(records)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert Record.decode(record.encode()) == record


@given(octets(100))
def test_any_100_bytes_are_written_as_they_were_read(data: bytes) -> None:
    assert Record.decode(data).encode() == data


@given(st.binary(max_size=220).filter(lambda data: len(data) != 100))
def test_bytes_of_another_length_are_no_record(data: bytes) -> None:
    with pytest.raises(RecordUnreadable, match=f"100 bytes, this one {len(data)}"):
        Record.decode(data)


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": -1},
        {"sequence": 2**64},
        {"import_mwh": 2**64},
        {"quality": 65_536},
        {"kind": 256},
        {"duration": 2**32},
        {"time_end": "noon"},
        {"ledger": b"short"},
        {"meter": bytes(21)},
        {"previous": b""},
    ],
    ids=str,
)
def test_a_value_is_refused_rather_than_cut_or_filled(change: dict) -> None:
    with pytest.raises(FieldUnfit):
        NOON._replace(**change).encode()


def test_a_record_counts_on_one_ledger_only() -> None:
    registry, other = b"R" * 20, b"Q" * 20
    own = ledger_id(31_337, registry)
    assert own == sha256((31_337).to_bytes(32) + registry).digest()[:8]
    assert own != ledger_id(31_338, registry)
    assert own != ledger_id(31_337, other)


def test_a_record_is_known_by_its_bytes_and_not_by_its_signature() -> None:
    first, second = SignedRecord(NOON_BYTES, bytes(64)), SignedRecord(NOON_BYTES, b"s" * 64)
    assert first.digest == second.digest == sha256(NOON_BYTES).digest()


def test_kinds_and_qualities_keep_their_numbers() -> None:
    assert [kind.value for kind in Kind] == [0, 1, 2, 3, 4]
    assert [quality.name for quality in Quality] == [
        "MEASURED",
        "CALCULATED",
        "ESTIMATED",
        "SUBSTITUTED",
        "CLOCK_NOT_SYNCHRONISED",
        "METER_ERROR",
        "MANUAL",
        "VOUCHED",
    ]
    assert [quality.value for quality in Quality] == [2**bit for bit in range(8)]
    assert bytes(32) == NO_PREVIOUS

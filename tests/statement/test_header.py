"""The header: 488 bytes, to the byte, and the anchor they lead to."""

from dataclasses import fields, replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.statement.header import (
    BODY_BYTES,
    HEADER_BYTES,
    TAIL_BYTES,
    Header,
    HeaderUnreadable,
    SectionRoot,
    anchor_of,
    seal_of,
)

# Offset and size of each field, as the contracts read them.
LAYOUT = {
    "version": (0, 1),
    "rule": (1, 1),
    "decimals": (2, 1),
    "flags": (3, 1),
    "ledger": (4, 8),
    "retail": (12, 8),
    "feed_in": (20, 8),
    "fee_local": (28, 8),
    "fee_supplier": (36, 8),
    "local_price": (44, 8),
    "imported_wh": (52, 8),
    "exported_wh": (60, 8),
    "local_wh": (68, 8),
    "issued_wh": (76, 8),
    "retired_wh": (84, 8),
    "free_wh": (92, 8),
    "supplier_in": (100, 8),
    "supplier_out": (108, 8),
    "grid_in": (116, 8),
    "members_owe": (124, 8),
    "supplier_owes": (132, 8),
    "flows": (140, 8),
    "deltas_hash": (148, 32),
    "roll": (180, 32),
    "inputs_hash": (212, 32),
    "previous": (244, 32),
    "records": (276, 36),
    "positions": (312, 36),
    "trades": (348, 36),
    "adjustments": (384, 36),
    "community": (420, 20),
    "start": (440, 8),
    "duration": (448, 4),
    "certificates": (452, 36),
}


def octets(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def number(size: int) -> st.SearchStrategy[int]:
    return st.integers(0, 256**size - 1)


def field_values(name: str) -> st.SearchStrategy[object]:
    _, size = LAYOUT[name]
    if name == "version":
        return st.just(1)
    if size == 36:
        return st.builds(SectionRoot, number(4), octets(32))
    if name in ("ledger", "community") or size == 32:
        return octets(size)
    return number(size)


headers = st.builds(Header, **{name: field_values(name) for name in LAYOUT})


def as_bytes(value: object, size: int) -> bytes:
    if isinstance(value, SectionRoot):
        return value.size.to_bytes(4) + value.root
    return value if isinstance(value, bytes) else value.to_bytes(size)  # type: ignore[attr-defined]


def test_the_layout_leaves_no_byte_out() -> None:
    assert tuple(LAYOUT) == tuple(field.name for field in fields(Header))
    end = 0
    for at, size in LAYOUT.values():
        assert at == end
        end = at + size
    assert end == HEADER_BYTES == 488
    assert (BODY_BYTES, TAIL_BYTES) == (420, 68)


@given(headers)
def test_each_field_stands_at_its_offset(header: Header) -> None:
    written = header.encode()
    for name, (at, size) in LAYOUT.items():
        assert written[at : at + size] == as_bytes(getattr(header, name), size), name


@given(headers)
def test_a_header_is_read_as_it_was_written(header: Header) -> None:
    assert Header.decode(header.encode()) == header
    assert header.encode() == header.body + header.tail


@given(octets(487))
def test_any_bytes_of_this_version_are_written_as_they_were_read(data: bytes) -> None:
    assert Header.decode(b"\1" + data).encode() == b"\1" + data


@given(st.binary(max_size=600).filter(lambda data: len(data) != 488))
def test_bytes_of_another_length_are_no_header(data: bytes) -> None:
    with pytest.raises(HeaderUnreadable, match=f"488 bytes, this one {len(data)}"):
        Header.decode(data)


@pytest.mark.parametrize("version", [0, 2, 255])
def test_a_header_of_another_version_is_not_read(version: int) -> None:
    with pytest.raises(HeaderUnreadable, match=f"version {version}"):
        Header.decode(bytes([version]) + bytes(487))


@given(headers)
def test_the_anchor_is_the_hash_of_the_seal(header: Header) -> None:
    written = header.encode()
    seal = sha256(written[:420]).digest() + written[420:]
    assert seal_of(written) == seal
    assert len(seal) == 100
    assert header.anchor == anchor_of(written) == sha256(seal).digest()


@given(headers, st.integers(0, 487), st.integers(1, 255))
def test_any_changed_byte_changes_the_anchor(header: Header, place: int, change: int) -> None:
    written = bytearray(header.encode())
    written[place] ^= change
    assert anchor_of(bytes(written)) != header.anchor


@given(headers)
def test_two_statements_that_differ_in_one_field_differ_in_their_anchor(header: Header) -> None:
    assert replace(header, start=header.start ^ 1).anchor != header.anchor
    assert replace(header, grid_in=header.grid_in ^ 1).anchor != header.anchor

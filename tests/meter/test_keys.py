"""P-256 keys, against the vectors of RFC 6979 and against forgers."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.keys import (
    CURVE_ORDER,
    KeyUnusable,
    MeterKey,
    low_s,
    meter_id,
    other_form,
    require_public_key,
    verify,
    verify_batch,
)
from commonwatt.meter.record import SignedRecord
from effort import effort

# RFC 6979, A.2.5: the curve P-256 with SHA-256.
RFC_SCALAR = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
RFC_PUBLIC = bytes.fromhex(
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
RFC_SIGNATURES = {
    b"sample": (
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    ),
    b"test": (
        "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
        "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
    ),
}
HALF = CURVE_ORDER // 2
RECORD = bytes(range(100))


@pytest.fixture
def meter() -> MeterKey:
    return MeterKey.from_seed(b"the producer's meter")


@pytest.fixture
def forger() -> MeterKey:
    return MeterKey.from_seed(b"a forger")


def test_a_published_key_is_ours() -> None:
    key = MeterKey(RFC_SCALAR)
    assert key.public_key == RFC_PUBLIC
    assert key.scalar == RFC_SCALAR
    assert key.meter == meter_id(RFC_PUBLIC) == sha256(RFC_PUBLIC).digest()[12:]


@pytest.mark.parametrize("message", RFC_SIGNATURES)
def test_published_signatures_are_ours_up_to_the_low_form(message: bytes) -> None:
    r, s = RFC_SIGNATURES[message]
    published = bytes.fromhex(r + s)
    assert MeterKey(RFC_SCALAR).sign(message).signature == low_s(published)
    assert verify(RFC_PUBLIC, SignedRecord(message, published))


@given(st.binary(max_size=120), st.binary(min_size=1, max_size=8))
@effort(0.5)
def test_signing_repeats_to_the_byte_and_gives_the_low_form(record: bytes, seed: bytes) -> None:
    key = MeterKey.from_seed(seed)
    signed = key.sign(record)
    assert signed == MeterKey.from_seed(seed).sign(record)
    assert 0 < int.from_bytes(signed.signature[32:]) <= HALF
    assert verify(key.public_key, signed)


def test_both_forms_of_a_signature_verify_and_are_one_record(meter: MeterKey) -> None:
    signed = meter.sign(RECORD)
    other = SignedRecord(RECORD, other_form(signed.signature))
    assert other.signature != signed.signature
    assert verify(meter.public_key, other)
    assert low_s(other.signature) == low_s(signed.signature) == signed.signature
    assert other.digest == signed.digest


@given(st.integers(0, CURVE_ORDER - 1))
def test_the_low_form_is_low_and_its_own_low_form(s: int) -> None:
    low = low_s(bytes(32) + s.to_bytes(32))
    assert low_s(low) == low
    assert int.from_bytes(low[32:]) in (s, CURVE_ORDER - s)
    assert int.from_bytes(low[32:]) <= HALF


def test_a_forger_cannot_sign_for_the_meter(meter: MeterKey, forger: MeterKey) -> None:
    assert not verify(meter.public_key, forger.sign(RECORD))


@given(st.integers(0, 99), st.integers(1, 255))
def test_no_byte_of_a_signed_record_can_be_changed(place: int, change: int) -> None:
    key = MeterKey.from_seed(b"the producer's meter")
    signed = key.sign(RECORD)
    record = bytearray(RECORD)
    record[place] ^= change
    assert not verify(key.public_key, SignedRecord(bytes(record), signed.signature))


@pytest.mark.parametrize(
    ("r", "s"),
    [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (CURVE_ORDER, CURVE_ORDER),
        (2**256 - 1, 2**256 - 1),
        (HALF, HALF),
    ],
)
def test_numbers_that_are_no_signature_are_told_so(meter: MeterKey, r: int, s: int) -> None:
    signature = r.to_bytes(32) + s.to_bytes(32)
    assert not verify(meter.public_key, SignedRecord(RECORD, signature))


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 72, 128])
def test_a_signature_of_another_length_is_none(meter: MeterKey, length: int) -> None:
    signature = (meter.sign(RECORD).signature * 2)[:length]
    assert not verify(meter.public_key, SignedRecord(RECORD, signature))


@pytest.mark.parametrize(
    "public_key",
    [
        b"",
        bytes(63),
        bytes(65),
        bytes(64),
        b"\xff" * 64,
        RFC_PUBLIC[:-1] + b"\x98",
        RFC_PUBLIC[32:] + RFC_PUBLIC[:32],
    ],
    ids=["empty", "short", "long", "zero", "beyond the field", "beside the curve", "swapped"],
)
def test_what_is_no_point_of_the_curve_is_no_key(meter: MeterKey, public_key: bytes) -> None:
    with pytest.raises(KeyUnusable):
        require_public_key(public_key)
    with pytest.raises(KeyUnusable):
        verify(public_key, meter.sign(RECORD))


@pytest.mark.parametrize("scalar", [0, -1, CURVE_ORDER, CURVE_ORDER + 1])
def test_a_number_outside_the_curves_order_is_no_private_key(scalar: int) -> None:
    with pytest.raises(KeyUnusable, match="from 1 to the curve's order - 1"):
        MeterKey(scalar)


def test_the_smallest_and_the_largest_private_key_sign() -> None:
    for scalar in (1, CURVE_ORDER - 1):
        key = MeterKey(scalar)
        assert verify(key.public_key, key.sign(RECORD))


def test_generated_keys_differ_and_sign() -> None:
    first, second = MeterKey.generate(), MeterKey.generate()
    assert first.meter != second.meter
    assert verify(first.public_key, first.sign(RECORD))


def test_many_signatures_are_judged_each_by_itself(meter: MeterKey, forger: MeterKey) -> None:
    own, forged = meter.sign(RECORD), forger.sign(RECORD)
    pairs = [(meter.public_key, own), (meter.public_key, forged), (forger.public_key, forged)]
    assert verify_batch(pairs) == [True, False, True]

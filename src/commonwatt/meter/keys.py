"""P-256 keys: signing for meters, verifying for everybody.

Signatures are raw `r || s` with the low `s`: both forms of an ECDSA signature verify, so one of
them is chosen, and (meter, sequence) identifies a record. Where we sign, we sign as RFC 6979 says,
so that runs repeat to the byte.
"""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from commonwatt.errors import InputError
from commonwatt.meter.record import METER_BYTES, SIGNATURE_BYTES, SignedRecord

PUBLIC_KEY_BYTES = 64
KEYS_KEPT = 1 << 14
"""Loaded public keys that are remembered, at 4 kB each once they have verified something."""
CURVE_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_HALF_ORDER = CURVE_ORDER // 2
_CURVE = ec.SECP256R1()
_VERIFY = ec.ECDSA(hashes.SHA256())
_SIGN = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


class KeyUnusable(InputError):
    """Bytes that are no P-256 key."""


def meter_id(public_key: bytes) -> bytes:
    """The 20-byte name of the meter with this 64-byte public key `x || y`."""
    return sha256(public_key).digest()[-METER_BYTES:]


def low_s(signature: bytes) -> bytes:
    """The form of a 64-byte signature whose `s` is at most half the curve's order."""
    s = int.from_bytes(signature[32:])
    if s <= _HALF_ORDER:
        return signature
    return signature[:32] + ((CURVE_ORDER - s) % CURVE_ORDER).to_bytes(32)


def in_low_form(signed: SignedRecord) -> SignedRecord:
    """A record with the low form of its signature."""
    low = low_s(signed.signature)
    return signed if low is signed.signature else SignedRecord(signed.record, low)


def other_form(signature: bytes) -> bytes:
    """The other valid form `(r, n - s)` of a signature; what a forger would try."""
    return signature[:32] + (CURVE_ORDER - int.from_bytes(signature[32:])).to_bytes(32)


class MeterKey:
    """A meter's private key."""

    __slots__ = ("_private", "meter", "public_key")

    def __init__(self, scalar: int) -> None:
        """Take the private scalar, 1 to the curve's order less one."""
        if not 0 < scalar < CURVE_ORDER:
            raise KeyUnusable("a private P-256 key is a number from 1 to the curve's order - 1")
        self._private = ec.derive_private_key(scalar, _CURVE)
        numbers = self._private.public_key().public_numbers()
        self.public_key = numbers.x.to_bytes(32) + numbers.y.to_bytes(32)
        self.meter = meter_id(self.public_key)

    @classmethod
    def from_seed(cls, seed: bytes) -> "MeterKey":
        """A key that a demonstration can repeat. Never for a real meter."""
        return cls(int.from_bytes(sha256(seed).digest()) % (CURVE_ORDER - 1) + 1)

    @classmethod
    def generate(cls) -> "MeterKey":
        """A new random key."""
        return cls(ec.generate_private_key(_CURVE).private_numbers().private_value)

    @property
    def scalar(self) -> int:
        """The private number; keep it secret."""
        return self._private.private_numbers().private_value

    def sign(self, record: bytes) -> SignedRecord:
        """Sign a record's bytes: ECDSA over SHA-256, deterministic, low `s`."""
        r, s = decode_dss_signature(self._private.sign(record, _SIGN))
        return SignedRecord(record, r.to_bytes(32) + min(s, CURVE_ORDER - s).to_bytes(32))


@lru_cache(maxsize=KEYS_KEPT)
def _loaded(public_key: bytes) -> ec.EllipticCurvePublicKey:
    # Loading checks that the point is on the curve and costs a third of a verification.
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise KeyUnusable(f"a public key x || y has 64 bytes, this one {len(public_key)}")
    x, y = int.from_bytes(public_key[:32]), int.from_bytes(public_key[32:])
    try:
        return ec.EllipticCurvePublicNumbers(x, y, _CURVE).public_key()
    except ValueError:
        raise KeyUnusable(f"public key {public_key.hex()[:16]}… is no point of P-256") from None


def require_public_key(public_key: bytes) -> None:
    """Raise `KeyUnusable` unless the 64 bytes are a point of P-256."""
    _loaded(public_key)


def verify(public_key: bytes, signed: SignedRecord) -> bool:
    """Whether the signature, in either form, is this key's over these bytes."""
    if len(signed.signature) != SIGNATURE_BYTES:
        return False
    r, s = int.from_bytes(signed.signature[:32]), int.from_bytes(signed.signature[32:])
    try:
        _loaded(public_key).verify(encode_dss_signature(r, s), signed.record, _VERIFY)
    except InvalidSignature:
        return False
    return True


def verify_batch(pairs: Iterable[tuple[bytes, SignedRecord]]) -> list[bool]:
    """Verdicts for many (public key, signed record) pairs; keys are loaded once."""
    return [verify(public_key, signed) for public_key, signed in pairs]

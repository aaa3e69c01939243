"""Public keys of devices and the ECDSA signatures under them, over the curves of OCMF.

Keys come as DER SubjectPublicKeyInfo, as a point `04 || x || y` or `02 || x`, or as bare
`x || y`; in hex, base64 or PEM, with spaces anywhere. Signatures come as DER or as bare `r || s`.
Some meters write the numbers of a DER signature without their sign byte; they are read as what
they mean, because nothing here depends on a signature's form.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from commonwatt.meter.driver.failure import (
    DeviceKeyUnusable,
    SignatureUnreadable,
    SignatureWrong,
    shown,
)
from commonwatt.meter.driver.reading import Check, SignedBy

KEY_TEXT_MAX = 2_000
SIGNATURE_TEXT_MAX = 2_000
DEFAULT_SCHEME = "ECDSA-secp256r1-SHA256"
"""What OCMF means where a record names no algorithm."""
_SCHEME = re.compile(r"ECDSA-([A-Za-z0-9]{1,20})-SHA(256|384|512)")
_PEM = re.compile(r"-----(?:BEGIN|END) PUBLIC KEY-----")
_HEX = re.compile(r"[0-9A-Fa-f]+")
_HASHES: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}
LEGACY_BYTES = 24
_DER_SEQUENCE, _DER_INTEGER = 0x30, 0x02
_DER_HEAD_BYTES, _DER_LONG, _DER_ONE_BYTE = 2, 0x80, 0x81
"""A tag and a length; lengths of 128 and more, as of P-521, stand in bytes of their own."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve that OCMF, or a device in the field, names."""

    name: str
    """As `cryptography` calls it."""
    field_bytes: int
    make: Callable[[], ec.EllipticCurve] | None
    """None where the library does not have it."""

    @property
    def legacy(self) -> bool:
        """192 bits resist 2^96 steps: not enough to vouch for anything today."""
        return self.field_bytes <= LEGACY_BYTES


CURVES = {
    "secp192k1": Curve("secp192k1", 24, None),
    "secp192r1": Curve("secp192r1", 24, ec.SECP192R1),
    "secp224r1": Curve("secp224r1", 28, ec.SECP224R1),
    "secp256k1": Curve("secp256k1", 32, ec.SECP256K1),
    "secp256r1": Curve("secp256r1", 32, ec.SECP256R1),
    "secp384r1": Curve("secp384r1", 48, ec.SECP384R1),
    "secp521r1": Curve("secp521r1", 66, ec.SECP521R1),
    "brainpoolp256r1": Curve("brainpoolP256r1", 32, ec.BrainpoolP256R1),
    "brainpoolp384r1": Curve("brainpoolP384r1", 48, ec.BrainpoolP384R1),
    "brainpoolp512r1": Curve("brainpoolP512r1", 64, ec.BrainpoolP512R1),
}
"""By name in small letters; OCMF writes `brainpool256r1`, devices also `brainpoolP256r1`."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A signature algorithm: ECDSA over one curve with one hash."""

    name: str
    """As the device wrote it."""
    curve: Curve
    hash_bits: str


def read_scheme(name: str) -> Scheme:
    """The scheme that a record names, such as `ECDSA-secp256r1-SHA256`.

    Raises:
        SignatureUnreadable: not ECDSA, or over a curve that nobody here knows.
    """
    found = _SCHEME.fullmatch(name)
    spelled = found.group(1).lower() if found else ""
    curve = CURVES.get(spelled) or CURVES.get(spelled.replace("brainpool", "brainpoolp"))
    if found is None or curve is None:
        raise SignatureUnreadable(
            f"signature algorithm {shown(name)} is not known: use one like {DEFAULT_SCHEME}"
        )
    return Scheme(name, curve, found.group(2))


def read_bytes(text: str, what: str) -> bytes:
    """The bytes of hex or base64 text, with spaces anywhere.

    Raises:
        SignatureUnreadable: neither of the two.
    """
    packed = "".join(text.split())
    if _HEX.fullmatch(packed) and len(packed) % 2 == 0:
        return bytes.fromhex(packed)
    return from_base64(packed, what)


def from_base64(text: str, what: str) -> bytes:
    """The bytes of base64 text, whether padded or not."""
    packed = "".join(text.split()).rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureUnreadable(f"{what} {shown(text)} is neither hex nor base64") from None


def check_signature(scheme: Scheme, signature: bytes, message: bytes, key_text: str) -> SignedBy:
    """Check a device's signature over exactly these bytes.

    Args:
        scheme: as the signed record names it.
        signature: DER or `r || s`.
        message: what was signed.
        key_text: the device's public key as it was published; empty for none.

    Raises:
        DeviceKeyUnusable: no key, or one of another curve.
        SignatureUnreadable: not two numbers.
        SignatureWrong: not this key's over these bytes.
    """
    r, s = read_signature(signature, scheme.curve.field_bytes)
    if not key_text:
        return SignedBy(scheme.name, b"", Check.NO_KEY)
    key = read_public_key(key_text, scheme.curve)
    if key is None:
        return SignedBy(scheme.name, b"", Check.LEGACY_UNCHECKED)
    try:
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(_HASHES[scheme.hash_bits]()))
    except InvalidSignature:
        raise SignatureWrong(
            f"the {scheme.name} signature is not this key's over these bytes: "
            "is it the key of this device, and the text as it was signed?"
        ) from None
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return SignedBy(scheme.name, der, Check.LEGACY if scheme.curve.legacy else Check.HOLDS)


def read_signature(signature: bytes, field_bytes: int) -> tuple[int, int]:
    """The two numbers of an ECDSA signature in DER, or bare side by side.

    Raises:
        SignatureUnreadable: neither of the two forms.
    """
    numbers = _der_numbers(signature, field_bytes)
    if numbers is None and len(signature) == 2 * field_bytes:
        numbers = signature[:field_bytes], signature[field_bytes:]
    if numbers is None:
        raise SignatureUnreadable(
            f"a signature of {len(signature)} bytes is neither DER nor two numbers of "
            f"{field_bytes} bytes: send it as the meter made it"
        )
    return int.from_bytes(numbers[0]), int.from_bytes(numbers[1])


def _der_numbers(data: bytes, field_bytes: int) -> tuple[bytes, bytes] | None:
    """The contents of the two INTEGERs of a SEQUENCE that fills `data`."""
    sequence = _der_value(data, _DER_SEQUENCE)
    if sequence is None or sequence[1]:
        return None
    first = _der_value(sequence[0], _DER_INTEGER)
    second = _der_value(first[1], _DER_INTEGER) if first else None
    if first is None or second is None or second[1]:
        return None
    numbers = first[0], second[0]
    fits = all(0 < len(number) <= field_bytes + 1 for number in numbers)
    return numbers if fits else None


def _der_value(data: bytes, tag: int) -> tuple[bytes, bytes] | None:
    """The content of the element that `data` begins with, and what follows it."""
    if len(data) < _DER_HEAD_BYTES or data[0] != tag:
        return None
    length, start = data[1], _DER_HEAD_BYTES
    if length == _DER_ONE_BYTE and len(data) > start:
        length, start = data[start], start + 1
    elif length >= _DER_LONG:
        return None
    content = data[start : start + length]
    return (content, data[start + length :]) if len(content) == length else None


def read_public_key(text: str, curve: Curve) -> ec.EllipticCurvePublicKey | None:
    """A device's public key, or None for an old curve that the library does not have.

    Raises:
        DeviceKeyUnusable: no key, or one of another curve than `curve`.
    """
    data = _key_bytes(text)
    loaded: object
    try:
        if data[:1] == bytes([_DER_SEQUENCE]):
            loaded = load_der_public_key(data)
        elif curve.make is None:
            return None
        else:
            point = data if len(data) != 2 * curve.field_bytes else b"\x04" + data
            loaded = ec.EllipticCurvePublicKey.from_encoded_point(curve.make(), point)
    except UnsupportedAlgorithm:
        if curve.legacy:
            return None
        raise _no_key(text) from None
    except (ValueError, TypeError):
        raise _no_key(text) from None
    if not isinstance(loaded, ec.EllipticCurvePublicKey):
        raise DeviceKeyUnusable(
            f"public key {shown(text)} is not one of ECDSA: give the meter's own"
        )
    if loaded.curve.name != curve.name:
        raise DeviceKeyUnusable(
            f"the key is of curve {loaded.curve.name}, the signature of {curve.name}: "
            "give the key of this device"
        )
    return loaded


def _key_bytes(text: str) -> bytes:
    if len(text) > KEY_TEXT_MAX:
        raise _no_key(text)
    try:
        return read_bytes(_PEM.sub("", text), "public key")
    except SignatureUnreadable:
        raise _no_key(text) from None


def _no_key(text: str) -> DeviceKeyUnusable:
    return DeviceKeyUnusable(
        f"{shown(text)} is no public key: give it as printed on the meter, in hex or base64"
    )

"""Private keys in files: PKCS8 PEM, for their owner's eyes only, encrypted where a password is."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from commonwatt.meter.keys import MeterKey
from commonwatt.node.gateway.errors import VouchingKeyUnusable

KEY_MODE = 0o600
PASSWORD_NAME = "COMMONWATT_PASSWORD"  # noqa: S105 - where the password is, not what it is
PASSWORD_FILE_NAME = "COMMONWATT_PASSWORD_FILE"  # noqa: S105 - the name of a file with it
KEY_BYTES_MAX = 16 * 1_024


def write_key(path: Path, key: MeterKey, password: str | None) -> None:
    """Write a private key to a new file, on the disk on return; never over an old one.

    Raises:
        VouchingKeyUnusable: the file is there, or cannot be written.
    """
    private = ec.derive_private_key(key.scalar, ec.SECP256R1())
    encryption: KeySerializationEncryption = NoEncryption()
    if password:
        encryption = BestAvailableEncryption(password.encode())
    text = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    if path.exists():
        raise VouchingKeyUnusable(
            f"{path}: is there already; a key is never overwritten, so name the meter otherwise"
        )
    # Under another name first: a key that is half there after a power cut would block its meter.
    # Nobody else writes here meanwhile: the folder has one process at a time.
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, KEY_MODE), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise VouchingKeyUnusable(
            f"{path}: cannot be written ({error.strerror}); choose another directory"
        ) from None


def read_key(path: Path, password: str | None) -> MeterKey:
    """The private key in a file.

    Raises:
        VouchingKeyUnusable: no such file, no P-256 key, or a password that does not open it.
    """
    try:
        with path.open("rb") as file:
            text = file.read(KEY_BYTES_MAX)
    except OSError as error:
        raise VouchingKeyUnusable(
            f"{path}: cannot be read ({error.strerror}); bring it back, or make a new meter"
        ) from None
    encrypted = b"ENCRYPTED" in text
    if encrypted and not password:
        raise VouchingKeyUnusable(
            f"{path}: is encrypted; set {PASSWORD_NAME} to its password, or "
            f"{PASSWORD_FILE_NAME} to a file with it"
        )
    try:
        private = load_pem_private_key(text, password.encode() if encrypted and password else None)
    except (ValueError, TypeError):
        step = f"set {PASSWORD_NAME} to its password" if encrypted else "bring the right file back"
        raise VouchingKeyUnusable(f"{path}: cannot be opened; {step}") from None
    curve = isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name
    if not isinstance(private, ec.EllipticCurvePrivateKey) or curve != ec.SECP256R1.name:
        raise VouchingKeyUnusable(f"{path}: not a private key of P-256; bring the right one back")
    return MeterKey(private.private_numbers().private_value)

"""Private keys in files: encrypted as every Ethereum wallet does it, or plain for test beds."""

import json
import os
from hashlib import scrypt
from pathlib import Path
from secrets import token_bytes
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from commonwatt.chain.account import Account
from commonwatt.chain.encoding import keccak
from commonwatt.node.wiring import KeyFileUnusable, read_key

PASSWORD_VARIABLE = "COMMONWATT_PASSWORD"  # noqa: S105 - where it is, not what it is
PASSWORD_FILE_VARIABLE = "COMMONWATT_PASSWORD_FILE"  # noqa: S105
VERSION = 3
SCRYPT_N, SCRYPT_R, SCRYPT_P, KEY_BYTES = 2**17, 8, 1, 32
"""The cost that wallets use: a quarter of a second and 128 MB for each guess."""
SCRYPT_BYTES_MAX = 512 * 1024 * 1024


def read_account(path: Path) -> Account:
    """The account whose key is in a file: an encrypted keystore (version 3), or 64 hex digits.

    The password of a keystore comes from the environment: `COMMONWATT_PASSWORD`, or the file that
    `COMMONWATT_PASSWORD_FILE` names.

    Raises:
        KeyFileUnusable: naming the file and what is wrong with it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise KeyFileUnusable(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise KeyFileUnusable(f"{path}: not a key") from None
    if not text.lstrip().startswith("{"):
        return read_key(path)
    try:
        return Account.from_key(_opened(json.loads(text), password_for(path), path))
    except (KeyError, TypeError, ValueError) as error:
        raise KeyFileUnusable(f"{path}: not a keystore of version 3 ({error})") from None


def write_keystore(path: Path, key: bytes, password: str) -> None:
    """Keep a private key encrypted (Web3 Secret Storage, version 3), readable by its owner alone.

    Args:
        path: a file that is not there yet.
        key: 32 bytes.
        password: what opens it again.

    Raises:
        KeyFileUnusable: the file is there already, or cannot be written.
    """
    salt, counter = token_bytes(32), token_bytes(16)
    derived = _derived(password, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P)
    hidden = _cipher(derived[:16], counter, key)
    document = {
        "version": VERSION,
        "id": str(uuid4()),
        "address": Account.from_key(key).address_bytes.hex(),
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": counter.hex()},
            "ciphertext": hidden.hex(),
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": KEY_BYTES,
                "n": SCRYPT_N,
                "r": SCRYPT_R,
                "p": SCRYPT_P,
                "salt": salt.hex(),
            },
            "mac": keccak(derived[16:] + hidden).hex(),
        },
    }
    write_secret(path, json.dumps(document, indent=2).encode() + b"\n")


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read; raises `KeyFileUnusable`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise KeyFileUnusable(
            f"{path}: cannot be written ({error.strerror}); a key is never written over"
        ) from None


def password_for(path: Path) -> str:
    """The password of a key file out of the environment; raises `KeyFileUnusable`."""
    said, file = os.environ.get(PASSWORD_VARIABLE), os.environ.get(PASSWORD_FILE_VARIABLE)
    # Empty beside a file it means nothing: the keys of whoever named a file are encrypted.
    if said or (said is not None and not file):
        return said
    if not file:
        raise KeyFileUnusable(
            f"{path}: is encrypted; give its password in {PASSWORD_VARIABLE}, or a file with it "
            f"in {PASSWORD_FILE_VARIABLE}"
        )
    try:
        found = Path(file).read_text(encoding="utf-8").rstrip("\n")
    except (OSError, ValueError) as error:
        raise KeyFileUnusable(
            f"{PASSWORD_FILE_VARIABLE} {file}: cannot be read ({error})"
        ) from None
    if not found:
        raise KeyFileUnusable(
            f"{PASSWORD_FILE_VARIABLE} {file}: is empty; write the password in it"
        )
    return found


def _opened(document: dict[str, Any], password: str, path: Path) -> bytes:
    if document["version"] != VERSION:
        raise ValueError(f"version {document['version']}")
    crypto = document["crypto"]
    if (crypto["cipher"], crypto["kdf"]) != ("aes-128-ctr", "scrypt"):
        raise ValueError(f"cipher {crypto['cipher']}, kdf {crypto['kdf']}: aes-128-ctr and scrypt")
    costs = crypto["kdfparams"]
    n, r, p = int(costs["n"]), int(costs["r"]), int(costs["p"])
    if 128 * n * r > SCRYPT_BYTES_MAX:
        raise ValueError("its scrypt parameters need more memory than any wallet asks for")
    derived = _derived(password, bytes.fromhex(costs["salt"]), n, r, p)
    hidden = bytes.fromhex(crypto["ciphertext"])
    if keccak(derived[16:] + hidden).hex() != crypto["mac"].removeprefix("0x"):
        raise KeyFileUnusable(f"{path}: the password does not open it")
    return _cipher(derived[:16], bytes.fromhex(crypto["cipherparams"]["iv"]), hidden)


def _derived(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    memory = 128 * n * r + 1024 * 1024
    return scrypt(password.encode(), salt=salt, n=n, r=r, p=p, dklen=KEY_BYTES, maxmem=memory)


def _cipher(key: bytes, counter: bytes, text: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor()
    return encryptor.update(text) + encryptor.finalize()

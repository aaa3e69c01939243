"""Private keys in files: as wallets keep them, and never readable by others."""

import json
import stat
from pathlib import Path

import pytest
from eth_account import Account as Wallet

from commonwatt.chain.account import Account
from commonwatt.node import keystore
from commonwatt.node.keystore import (
    PASSWORD_FILE_VARIABLE,
    PASSWORD_VARIABLE,
    read_account,
    write_keystore,
    write_secret,
)
from commonwatt.node.wiring import KeyFileUnusable

KEY = bytes(range(1, 33))

WALLETS_OWN = Wallet.encrypt(KEY, "testpassword", kdf="scrypt", iterations=2**12)
"""As a wallet that nobody here wrote keeps it."""


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore, "SCRYPT_N", 2**12)
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    monkeypatch.delenv(PASSWORD_FILE_VARIABLE, raising=False)


def test_a_wallets_keystore_is_opened_and_ours_by_a_wallet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "wallet.json"
    file.write_text(json.dumps(WALLETS_OWN))
    monkeypatch.setenv(PASSWORD_VARIABLE, "testpassword")
    assert read_account(file).address == Account.from_key(KEY).address
    own = tmp_path / "own.json"
    write_keystore(own, KEY, "another")
    assert bytes(Wallet.decrypt(own.read_text(), "another")) == KEY


def test_what_is_written_is_opened_with_its_password_and_with_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "operator.json"
    write_keystore(file, KEY, "a good one")
    assert KEY.hex() not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(KeyFileUnusable, match=PASSWORD_VARIABLE):
        read_account(file)
    monkeypatch.setenv(PASSWORD_VARIABLE, "a bad one")
    with pytest.raises(KeyFileUnusable, match="the password does not open it"):
        read_account(file)
    secret = tmp_path / "password"
    secret.write_text("a good one\n")
    monkeypatch.delenv(PASSWORD_VARIABLE)
    monkeypatch.setenv(PASSWORD_FILE_VARIABLE, str(secret))
    assert read_account(file).address == Account.from_key(KEY).address
    monkeypatch.setenv(PASSWORD_FILE_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(KeyFileUnusable, match="nowhere"):
        read_account(file)


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "operator.key"
    write_secret(file, b"precious")
    for write in (lambda: write_secret(file, b"other"), lambda: write_keystore(file, KEY, "x")):
        with pytest.raises(KeyFileUnusable, match="never written over"):
            write()
    assert file.read_bytes() == b"precious"


def test_plain_digits_are_read_for_test_beds(tmp_path: Path) -> None:
    file = tmp_path / "operator.key"
    file.write_text(KEY.hex() + "\n")
    assert read_account(file).address == Account.from_key(KEY).address


@pytest.mark.parametrize(
    "change",
    [
        {"version": 4},
        {"crypto": {**WALLETS_OWN["crypto"], "kdf": "pbkdf2"}},  # type: ignore[dict-item]
        {"crypto": {}},
        {"crypto": "none"},
        {
            "crypto": {
                **WALLETS_OWN["crypto"],  # type: ignore[dict-item]
                "kdfparams": {"n": 2**30, "r": 8, "p": 1, "salt": "00", "dklen": 32},
            }
        },
    ],
)
def test_another_document_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    file = tmp_path / "wallet.json"
    file.write_text(json.dumps({**WALLETS_OWN, **change}))
    monkeypatch.setenv(PASSWORD_VARIABLE, "testpassword")
    with pytest.raises(KeyFileUnusable, match=r"wallet\.json") as refused:
        read_account(file)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "not a key", "ab" * 31])
def test_what_is_no_key_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "operator.key"
    file.write_text(text)
    with pytest.raises(KeyFileUnusable, match=r"operator\.key"):
        read_account(file)
    with pytest.raises(KeyFileUnusable, match="cannot be read"):
        read_account(tmp_path / "absent")

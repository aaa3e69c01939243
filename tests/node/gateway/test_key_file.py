"""A gateway's private keys: for their owner's eyes, encrypted where a password is."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from commonwatt.cli import gateway_run
from commonwatt.errors import InputError
from commonwatt.meter.keys import MeterKey
from commonwatt.node.gateway.errors import VouchingKeyUnusable
from commonwatt.node.gateway.key_file import (
    PASSWORD_FILE_NAME,
    PASSWORD_NAME,
    read_key,
    write_key,
)

KEY = MeterKey.from_seed(b"a gateway's")
PASSWORD = "tulip and windmill"


@pytest.mark.parametrize("password", [None, PASSWORD])
def test_a_key_comes_back_as_it_was_written(tmp_path: Path, password: str | None) -> None:
    path = tmp_path / "home.pem"
    write_key(path, KEY, password)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key(path, password).scalar == KEY.scalar
    assert [entry.name for entry in tmp_path.iterdir()] == ["home.pem"]


def test_with_a_password_the_key_is_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "home.pem"
    write_key(path, KEY, PASSWORD)
    assert path.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    for wrong in (None, "", "rose"):
        with pytest.raises(VouchingKeyUnusable, match="COMMONWATT_PASSWORD") as refusal:
            read_key(path, wrong)
        assert PASSWORD not in str(refusal.value)


def test_a_password_that_is_not_needed_does_no_harm(tmp_path: Path) -> None:
    write_key(tmp_path / "home.pem", KEY, None)
    assert read_key(tmp_path / "home.pem", PASSWORD).scalar == KEY.scalar


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "home.pem"
    write_key(path, KEY, None)
    before = path.read_bytes()
    with pytest.raises(VouchingKeyUnusable, match="never overwritten"):
        write_key(path, MeterKey.generate(), None)
    assert path.read_bytes() == before


def test_what_a_power_cut_left_half_written_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "home.pem.part").write_text("-----BEGIN PRIV")
    write_key(tmp_path / "home.pem", KEY, None)
    assert read_key(tmp_path / "home.pem", None).scalar == KEY.scalar


def test_another_curve_no_key_and_no_file_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "home.pem"
    with pytest.raises(VouchingKeyUnusable, match="cannot be read"):
        read_key(path, None)
    path.write_text("hello")
    with pytest.raises(VouchingKeyUnusable, match="cannot be opened"):
        read_key(path, None)
    other = ec.generate_private_key(ec.SECP384R1())
    text = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(text)
    with pytest.raises(VouchingKeyUnusable, match="P-256"):
        read_key(path, None)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(VouchingKeyUnusable, match="nowhere"):
        write_key(tmp_path / "nowhere" / "home.pem", KEY, None)


def test_the_password_may_be_in_a_file_as_it_may_for_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSWORD_NAME, raising=False)
    monkeypatch.delenv(PASSWORD_FILE_NAME, raising=False)
    assert gateway_run.meter_password() is None
    (tmp_path / "password").write_text("tulip\n")
    monkeypatch.setenv(PASSWORD_FILE_NAME, str(tmp_path / "password"))
    assert gateway_run.meter_password() == "tulip"
    monkeypatch.setenv(PASSWORD_NAME, "rose")
    assert gateway_run.meter_password() == "rose"
    monkeypatch.setenv(PASSWORD_NAME, "")
    assert gateway_run.meter_password() == "tulip", "an empty one beside a file means nothing"
    (tmp_path / "empty").write_text("\n")
    monkeypatch.setenv(PASSWORD_FILE_NAME, str(tmp_path / "empty"))
    with pytest.raises(InputError, match="is empty"):
        gateway_run.meter_password()
    monkeypatch.setenv(PASSWORD_FILE_NAME, str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="cannot be read"):
        gateway_run.meter_password()

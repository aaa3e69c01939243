"""An installer's tools: keys and records by hand."""

import json
from pathlib import Path

from commandline import commonwatt

LEDGER = "0011223344556677"


def test_a_key_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    key = tmp_path / "meter.key"
    made = commonwatt("meter", "keygen", key)
    assert made.code == 0
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_text()
    assert before.strip() not in made.out
    assert commonwatt("meter", "keygen", key).code == 2
    assert key.read_text() == before


def test_a_signed_record_is_genuine_until_a_digit_changes(tmp_path: Path) -> None:
    key, file = tmp_path / "meter.key", tmp_path / "record.json"
    commonwatt("meter", "keygen", key)
    signed = commonwatt(
        "meter", "sign", "--key", key, "--ledger", LEDGER, "--sequence", 0,
        "--time-end", "2016-06-21T12:00:00Z", "--import-mwh", 5_000, "--export-mwh", 7_000,
    )  # fmt: skip
    assert signed.code == 0, signed.err
    file.write_text(signed.out)
    genuine = commonwatt("meter", "verify", file)
    assert genuine.code == 0
    assert "5000 mWh" in genuine.out
    other = json.loads(signed.out)
    other["record"] = other["record"].replace("1388", "1389")
    file.write_text(json.dumps(other))
    assert commonwatt("meter", "verify", file).code == 1


def test_another_key_and_bad_numbers_are_refused(tmp_path: Path) -> None:
    key, other = tmp_path / "meter.key", tmp_path / "other.key"
    commonwatt("meter", "keygen", key)
    public = commonwatt("meter", "keygen", other).out.split("public key")[1].split()[0]
    words = [
        "meter",
        "sign",
        "--key",
        key,
        "--ledger",
        LEDGER,
        "--time-end",
        "2016-06-21T12:00:00Z",
    ]
    good = ["--sequence", 1, "--import-mwh", 1, "--export-mwh", 1]
    file = tmp_path / "record.json"
    file.write_text(commonwatt(*words, *good).out)
    assert commonwatt("meter", "verify", file, "--public-key", public).code == 1
    for bad in (
        ["--sequence", -1, "--import-mwh", 1, "--export-mwh", 1],
        ["--sequence", 1, "--import-mwh", 2**64, "--export-mwh", 1],
        [*good, "--previous", "12"],
        [*good, "--duration", 7],
    ):
        answer = commonwatt(*words, *bad)
        assert answer.code == 2, bad
        assert len(answer.err.splitlines()) == 1

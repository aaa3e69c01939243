"""From nothing to a node that is ready to be served: the real commands, as a person gives them."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commonwatt.cli.doctor import run_doctor
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.record import NO_PREVIOUS, Kind, Quality, Record
from commonwatt.node.service.additions import place_of

COMMAND = [sys.executable, "-m", "commonwatt.cli.main"]
ANSWER_S = 30.0


def told(folder: Path, *words: object, given: str = "", **environment: str) -> tuple[int, str, str]:
    """One command's exit code and what it said; its standard input is no terminal."""
    done = subprocess.run(
        [*COMMAND, *map(str, words)],
        input=given, capture_output=True, text=True, timeout=120, check=False, cwd=folder,
        env={**os.environ, **environment},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def a_meter(ledger: str) -> str:
    """What `commonwatt gateway init` prints of a meter."""
    key = MeterKey.from_seed(b"roof")
    record = Record(
        version=1, kind=Kind.REGISTERS, quality=Quality.MEASURED, ledger=bytes.fromhex(ledger),
        meter=key.meter, sequence=0, time_end=1_798_761_600, duration=900, import_mwh=0,
        export_mwh=0, previous=NO_PREVIOUS,
    )  # fmt: skip
    signed = key.sign(record.encode())
    return json.dumps({
        "public_key": key.public_key.hex(), "role": "generation",
        "opening": signed.record.hex(), "signature": signed.signature.hex(),
    })  # fmt: skip


def test_a_node_is_made_filled_and_found_well(tmp_path: Path) -> None:
    code, out, err = told(tmp_path, "init", "elm street", "--members", 1, "--listen", "127.0.0.1:0")
    assert (code, err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines() if line[:1].strip())
    assert lines["written"].startswith("elm street/node.toml, elm street/community.toml, 2 key")
    assert lines["community"].startswith("elm-street: 1 member, EUR, mid_market_rate")
    assert lines["keys"].startswith("NOT encrypted")
    assert "commonwatt doctor 'elm street'" in out, "it can be copied as it stands"
    ledger = lines["ledger"]
    assert len(bytes.fromhex(ledger)) == 8

    add = ("init", "elm street", "--member", 0, "--rated-w", 9_000, "--zone", "DE-LU")
    code, out, err = told(tmp_path, *add, "--meter", "-", "--tokens", given=a_meter(ledger))
    assert (code, err) == (0, "")
    assert "generation of member 0, 9000 W, zone DE-LU, T010100" in out
    code, out, err = told(tmp_path, "init", "elm street", "--show", "--json")
    shown = json.loads(out)
    assert (shown["stage"], shown["ledger"], shown["meters"]) == ("planned", ledger, 1)
    [missing] = shown["missing"]
    assert missing.startswith("no meter of role grid stands at the connection of member 0: add it")
    assert "commonwatt init 'elm street' --meter FILE.json, or take the member out" in missing

    code, out, err = told(tmp_path, "doctor", "elm street")
    assert (code, err) == (1, "")
    assert out.splitlines()[-3:] == [
        "WRONG  members    elm-street: no meter of role grid stands at the connection of member 0",
        f"{'':18}do: {missing.rpartition(': ')[2]}",
        "1 of 10 checks found something to do",
    ]
    assert sum(line.startswith("ok ") for line in out.splitlines()) == 9


def test_on_a_terminal_it_asks_and_asks_again(tmp_path: Path) -> None:
    own, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "init", "hill", "--members", "1", "--retail", "0.30"],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    said = b""
    answers = iter(
        [
            (b"Name of the community [hill]: ", b"Hill\n"),
            (b"Name of the community [hill]: ", b"\n"),
            (b"Currency [EUR]: ", b"\n"),
            (b"Seconds of an interval [900]: ", b"7\n"),
            (b"Seconds of an interval [900]: ", b"300\n"),
            (b"How neighbours trade [mid_market_rate]: ", b"uniform_price\n"),
            (b"it gets from the supplier [0.08000]: ", b"0.07\n"),
            (b"among neighbours [0.03440]: ", b"\n"),
            (b"Grid fee per kWh from the supplier [0.08000]: ", b"\n"),
            (b"pays in beforehand [50]: ", b"20\n"),
            (b"in this directory []: ", b"\n"),
        ]
    )
    deadline, seen = time.monotonic() + ANSWER_S, 0
    question, answer = next(answers)
    while time.monotonic() < deadline:
        if not select.select([own], [], [], 0.1)[0]:
            continue
        try:
            more = os.read(own, 4_096)
        except OSError:  # the other end is closed
            break
        said += more
        if question in said[seen:]:
            seen = said.index(question, seen) + len(question)
            os.write(own, answer)
            question, answer = next(answers, (b"\0", b""))
    os.close(own)
    assert process.wait(ANSWER_S) == 0, said.decode()
    assert question == b"\0", "every question was asked"
    assert b"use lower-case letters" in said
    assert b"divide the hour" in said
    file = place_of(tmp_path / "hill", None).community
    assert (file.interval_s, file.market.rule) == (300, "uniform_price")
    assert (file.tariff.retail, file.tariff.feed_in) == ("0.30", "0.07")
    assert [member.advance for member in file.members] == ["20"]


def test_what_cannot_be_is_said_in_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = told(tmp_path, "init", "elm", "--retail", "dear")
    assert (code, out) == (2, "")
    assert err == "commonwatt: a price per kWh: 'dear' is not a decimal number like 0.30\n"
    assert list(tmp_path.iterdir()) == []
    assert run_doctor(tmp_path / "elm", as_json=True) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["well"] is False
    [check] = found["checks"]
    assert check["check"] == "settings"
    assert f"commonwatt init {tmp_path / 'elm'} writes one" in check["says"]
    assert check["do"]

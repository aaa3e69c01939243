"""`kill -9` at random moments: nothing acknowledged is lost, nothing is paid twice."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commandline import anchors, commonwatt
from commonwatt.audit.published import read_community
from commonwatt.node.folder import FolderFiles
from commonwatt.node.wiring import opened_ledger

KILLS = 50 if os.environ.get("COMMONWATT_SOAK") else 2
IMPORT_SECONDS = 0.5


def start(*words: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "commonwatt.cli.main", "demo", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def balances(folder: Path) -> tuple[object, ...]:
    with opened_ledger(folder, None, read_community(FolderFiles(folder)).chain) as ledger:
        facts = ledger.facts()
    closes = [close.start for close in facts.closes]
    assert len(closes) == len(set(closes)), "an interval was closed twice"
    heads = tuple((post.count, post.head) for post in facts.posts)
    lanes = facts.balances, facts.supplier, facts.grid_operator, facts.wallets
    return *lanes, tuple(closes), heads


def book(folder: Path) -> dict[str, bytes]:
    """What was published of the book of certificates."""
    files = (folder / "audit").glob("*.certificates.jsonl")
    return {path.name: path.read_bytes() for path in files}


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_killed_run_resumes_to_the_same_roots_and_balances(
    tmp_path: Path, street_file: Path, street_run: Path, kill: int
) -> None:
    dice = random.Random(kill)
    run = tmp_path / "run"
    words: tuple[object, ...] = ("--homes", street_file, "--out", run)
    # Each run is killed twice: somewhere in it, and somewhere in its resumption.
    for _ in range(2):
        process = start(*words)
        time.sleep(IMPORT_SECONDS + dice.random() * 3.0)
        process.send_signal(signal.SIGKILL)
        process.wait()
        words = ("--resume", run) if (run / "run.json").exists() else words
    answer = commonwatt("demo", *words, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["audit"] == "ok"
    assert anchors(run) == anchors(street_run)
    assert balances(run) == balances(street_run)
    assert book(run) == book(street_run)
    assert book(run)

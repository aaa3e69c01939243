"""Whoever changes what was published is found, through the real files and the real chain."""

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from commandline import commonwatt
from commonwatt.audit.certificates import audit_all
from commonwatt.audit.facts import ChainFacts
from commonwatt.audit.published import read_community
from commonwatt.audit.recompute import Audit
from commonwatt.chain.account import signer_of
from commonwatt.node.folder import PUBLISHED, FolderFiles
from commonwatt.node.wiring import opened_ledger
from commonwatt.statement.publication import BOOK_SUFFIX

TRIES = 200


@pytest.fixture(scope="module")
def facts(street_run: Path) -> ChainFacts:
    with opened_ledger(street_run, None, read_community(FolderFiles(street_run)).chain) as ledger:
        return ledger.facts()


@pytest.fixture
def copy(tmp_path: Path, street_run: Path) -> Iterator[Path]:
    for top in PUBLISHED:
        shutil.copytree(street_run / top, tmp_path / "copy" / top)
    return tmp_path / "copy"


def audited(folder: Path, facts: ChainFacts) -> Audit:
    """The audit of statements and of the book of certificates."""
    return audit_all(FolderFiles(folder), facts, signer_of)[0]


def files_in(folder: Path) -> list[Path]:
    return sorted(path for top in PUBLISHED for path in (folder / top).rglob("*") if path.is_file())


def test_every_one_of_200_flipped_bytes_is_found_and_placed(copy: Path, facts: ChainFacts) -> None:
    assert audited(copy, facts).verdict == "ok"
    dice = random.Random(28)
    paths = files_in(copy)
    weights = [path.stat().st_size for path in paths]
    for attempt in range(TRIES):
        # Half of the tries by size, half by file, so that small files have their turn too.
        path = dice.choices(paths, weights if attempt % 2 else None)[0]
        whole = path.read_bytes()
        at, bit = dice.randrange(len(whole)), 1 << dice.randrange(8)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        found = audited(copy, facts)
        assert found.verdict != "ok", f"{path}, byte {at}"
        assert found.place is not None
        if path.name.endswith(BOOK_SUFFIX):
            assert found.place.startswith((f"audit/{path.name}", "entry", "the book"))
        elif path.name.startswith("2016"):
            assert found.place.startswith("2016-06-21T"), found.verdict
        path.write_bytes(whole)
    assert audited(copy, facts).verdict == "ok"


def test_a_removed_record_is_named_by_interval_and_leaf(copy: Path, facts: ChainFacts) -> None:
    path = copy / "audit/2016-06-21.inputs.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    first = json.loads(lines[0])
    first["records"] -= 1
    changed = json.dumps(first, separators=(",", ":")).encode() + b"\n"
    path.write_bytes(b"".join([changed, *lines[1:3], *lines[4:]]))
    found = audited(copy, facts)
    assert found.difference is not None
    assert found.place is not None
    assert "2016-06-21T09:00:00Z" in found.place


def test_a_changed_price_is_named(copy: Path, facts: ChainFacts) -> None:
    path = copy / "audit/2016-06-21.inputs.jsonl"
    path.write_bytes(path.read_bytes().replace(b"[24000,", b"[24001,", 1))
    found = audited(copy, facts)
    assert found.place == "2016-06-21T09:00:00Z, header"
    assert "retail is published as 24000, recomputed as 24001" in found.verdict


def test_swapped_statements_are_named(copy: Path, facts: ChainFacts) -> None:
    path = copy / "public/2016-06-21.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4], lines[5] = lines[5], lines[4]
    path.write_bytes(b"".join(lines))
    found = audited(copy, facts)
    assert found.place == "2016-06-21T10:00:00Z, header"


def test_the_command_says_where_and_ends_with_1(street_run: Path, tmp_path: Path) -> None:
    shutil.copytree(street_run, tmp_path / "run")
    path = tmp_path / "run/members/001/2016-06-21.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"index":1', b'"index":2', 1))
    answer = commonwatt("audit", tmp_path / "run")
    assert answer.code == 1
    assert answer.out.startswith("different: 2016-06-21T09:00:00Z, positions, leaf 1")
    asked = commonwatt("audit", tmp_path / "run", "--json").json
    assert asked["place"] == "2016-06-21T09:00:00Z, positions, leaf 1"


def test_a_proof_is_true_false_or_undecided(street_run: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    taken = commonwatt(
        "proof", street_run, "--member", 1, "--at", "2016-06-21T12:00:00Z", "--out", proof
    )
    assert taken.code == 0, taken.err
    anchor = json.loads(proof.read_text())["anchor"]
    assert commonwatt("verify", proof).code == 0
    asked = commonwatt("anchor", street_run, "--at", "2016-06-21T12:00:00Z")
    assert asked.out.strip() == anchor
    assert commonwatt("verify", proof, "--anchor", anchor).code == 0
    assert commonwatt("verify", proof, "--anchor", "0" * 64).code == 1
    whole_day = commonwatt("verify", street_run / "members/001/2016-06-21.jsonl")
    assert (whole_day.code, "24 intervals" in whole_day.out) == (0, True)
    text = json.loads(proof.read_text())
    text["leaves"][0]["leaf"] = "00" + text["leaves"][0]["leaf"][2:]
    text["leaves"][0]["leaf"] = text["leaves"][0]["leaf"][:-2] + "00"
    proof.write_text(json.dumps(text))
    false = commonwatt("verify", proof)
    assert (false.code, "leaf 1" in false.out) == (1, True)
    proof.write_text("{}")
    undecided = commonwatt("verify", proof)
    assert (undecided.code, len(undecided.err.splitlines())) == (2, 1)
    assert commonwatt("verify", tmp_path / "nothing.json").code == 2

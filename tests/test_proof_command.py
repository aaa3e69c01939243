"""`commonwatt proof` where there is no such proof: it says which there are."""

from pathlib import Path

import pytest

from commonwatt.cli import verify
from commonwatt.quantity import time_text
from commonwatt.statement.proof import Proof
from in_process import here

pytestmark = pytest.mark.filterwarnings(
    "ignore:Cyclopts application invoked without tokens:UserWarning"
)
NOON = 1_466_510_400
TWELVE = "2016-06-21T12:00:00Z"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A published directory of two members; the second has two days."""
    for member, days in ((0, ()), (1, ("2016-06-21", "2016-06-23"))):
        folder = tmp_path / "members" / f"{member:03d}"
        folder.mkdir(parents=True)
        for day in days:
            (folder / f"{day}.jsonl").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("member", "at", "expected"),
    [
        (7, TWELVE, "--member 7: there are 2, numbered from 0"),
        (0, TWELVE, "nothing is published of this day; of this member there is none yet"),
        (1, "2016-06-22T12:00:00Z", "there are 2, 2016-06-21 to 2016-06-23"),
    ],
)
def test_which_members_and_days_there_are_is_said(
    run: Path, member: int, at: str, expected: str
) -> None:
    answer = here("proof", run, "--member", member, "--at", at)
    assert answer.code == 2
    assert expected in answer.err


def test_a_directory_without_members_is_named(tmp_path: Path) -> None:
    answer = here("proof", tmp_path, "--member", 0, "--at", TWELVE)
    assert answer.code == 2
    assert f"{tmp_path / 'members'}: cannot be read" in answer.err
    assert "name the directory of a community" in answer.err


def test_which_starts_a_day_has_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = [Proof(start=NOON + n * 900, header="", anchor="", leaves=()) for n in (0, 3)]
    monkeypatch.setattr(verify, "_proofs_in", lambda _: known)
    answer = here("proof", run, "--member", 1, "--at", time_text(NOON + 60))
    assert answer.code == 2
    assert (
        "no interval starts at 2016-06-21T12:01:00Z; this file has 2, the first from "
        "2016-06-21T12:00:00Z, the last from 2016-06-21T12:45:00Z"
    ) in answer.err

"""What `make lint` says of the packages the program is built from."""

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "check_dependencies.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_dependencies", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "licence",
    [
        "AGPL-3.0-or-later", "GNU Affero General Public License v3", "MIT AND GPL-2.0-only",
        "GNU General Public License v2 (GPLv2)", "GPLv3+",
    ],
)  # fmt: skip
def test_a_licence_that_leaves_no_choice_but_gpl_is_refused(tool: ModuleType, licence: str) -> None:
    assert tool.is_refused(licence)


@pytest.mark.parametrize(
    "licence",
    [
        "Apache-2.0", "MIT OR GPL-2.0-only", "LGPL-3.0-only", "EPL-2.0 OR BSD-3-Clause",
        "GNU Lesser General Public License v3 (LGPLv3)",
    ],
)  # fmt: skip
def test_other_licences_and_those_that_leave_a_choice_are_not(
    tool: ModuleType, licence: str
) -> None:
    assert not tool.is_refused(licence)


def test_a_long_licence_is_told_by_its_classifiers(tool: ModuleType) -> None:
    classifiers = ["Topic :: Home", "License :: OSI Approved :: MIT License"]
    assert tool.licence_of({"License": "Permission is hereby " * 99}, classifiers) == "MIT License"
    assert tool.licence_of({"License-Expression": "MIT"}, []) == "MIT"
    assert tool.licence_of({}, []) == ""


def test_nothing_that_ships_is_under_such_a_licence(tool: ModuleType) -> None:
    packages = tool.closure(["fastapi", "sqlalchemy", "web3", "psycopg[binary]"])
    assert {"starlette", "eth-account", "psycopg-binary"} <= packages.keys()
    assert tool.licence_flaws(packages) == []


def test_a_known_weakness_is_told_with_what_mends_it(tool: ModuleType) -> None:
    found: list[dict[str, Any]] = [
        {"name": "sound", "version": "1", "vulns": []},
        {"name": "weak", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]},
        {"name": "ours", "skip_reason": "not found"},
    ]
    is_well, lines = tool.verdict(found, "osv")
    assert not is_well
    assert lines == [
        "weaknesses: 2 packages looked up at osv",
        "weaknesses: 1 NOT LOOKED UP, unknown there: ours",
        "weak 2: PYSEC-1, mended in 2.1",
    ]


@pytest.mark.parametrize(
    "answer", ["", "Traceback", '{"dependencies": [{"name": "a", "skip_reason": "not found"}]}']
)
def test_a_service_that_does_not_answer_is_told_and_only_fails_where_it_must(
    tool: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
) -> None:
    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, 1, answer, "")

    monkeypatch.setattr(tool.subprocess, "run", run)
    monkeypatch.delenv("COMMONWATT_AUDIT", raising=False)
    assert tool.main() == 0
    assert capsys.readouterr().out.count("NOT LOOKED UP") == len(tool.SERVICES)
    monkeypatch.setenv("COMMONWATT_AUDIT", "required")
    assert tool.main() == 1

"""Runs that several tests look at, made once."""

from pathlib import Path

import pytest

from commandline import Answer, commonwatt, street_csv


@pytest.fixture(scope="session")
def village(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """The village's midsummer day: its folder, and what `--json` printed."""
    folder = tmp_path_factory.mktemp("village") / "run"
    answer = commonwatt("demo", "--scenario", "village", "--out", folder, "--json")
    assert answer.code == 0, answer.err
    return folder, answer


@pytest.fixture(scope="session")
def street_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four homes, six hours, a quarter hour each."""
    return street_csv(tmp_path_factory.mktemp("homes") / "street.csv")


@pytest.fixture(scope="session")
def street_run(tmp_path_factory: pytest.TempPathFactory, street_file: Path) -> Path:
    """A finished run over the street's file."""
    folder = tmp_path_factory.mktemp("street") / "run"
    answer = commonwatt("demo", "--homes", street_file, "--out", folder, "--json")
    assert answer.code == 0, answer.err
    return folder

"""The fuzzer of the drivers where atheris is installed: briefly, and for a while in the soak."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from commonwatt.meter.driver import DRIVERS
from effort import SOAKING

FUZZER = Path(__file__).with_name("fuzz_drivers.py")


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize("name", DRIVERS if SOAKING else ["all"])
def test_a_fuzzer_breaks_no_driver(name: str, tmp_path: Path) -> None:
    chosen, runs = ([name], 50_000) if SOAKING else ([], 500)
    done = subprocess.run(
        [sys.executable, str(FUZZER), *chosen, f"-runs={runs}", "-max_total_time=60"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "Done " in done.stderr

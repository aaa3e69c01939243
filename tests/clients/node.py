"""Runs the clients beside this file with Node.js, and `commonwatt chain serve` for them.

Their libraries are npm packages (`make test-tools` puts them into `.tools`). Where they are not
installed, the tests that need them are skipped and say so.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
LIBRARIES = ("ethers", "viem")
CLIENT_SECONDS = 60
END_SECONDS = 20


def node_modules() -> Path | None:
    """Where the libraries are: COMMONWATT_NODE_MODULES, or `.tools` in the project."""
    named = os.environ.get("COMMONWATT_NODE_MODULES")
    places = [folder / ".tools" / "node_modules" for folder in HERE.resolve().parents]
    for place in [Path(named)] if named else places:
        if all((place / library / "package.json").is_file() for library in LIBRARIES):
            return place
    return None


def run_client(name: str, task: dict[str, Any]) -> dict[str, Any]:
    """What one client saw; the test is skipped where it cannot run."""
    modules, node = _require_node()
    done = subprocess.run(
        [node, str(HERE / f"{name}.mjs")],
        input=json.dumps({**task, "modules": str(modules)}),
        capture_output=True,
        text=True,
        timeout=CLIENT_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run_program(program: str) -> str:
    """What a short JavaScript program prints that imports from the libraries."""
    modules, node = _require_node()
    required = re.sub(
        r'^import (\{.*\}) from ("\w+");',
        rf'const \1 = require("node:module").createRequire({json.dumps(f"{modules}/")})(\2);',
        program,
        flags=re.MULTILINE,
    )
    program = f"(async () => {{ {required} }})();"
    done = subprocess.run(
        [node, "-e", program], capture_output=True, text=True, timeout=CLIENT_SECONDS, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def _require_node() -> tuple[Path, str]:
    modules, node = node_modules(), shutil.which("node")
    if modules is None or node is None:
        pytest.skip("ethers and viem are not installed: make test-tools, with Node.js and npm")
    return modules, node


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A run's chain behind the real command, while inside; gives its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "commonwatt.cli.main", "chain", "serve", str(folder), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert " at http://127.0.0.1:" in said, process.communicate(timeout=END_SECONDS)[1]
        yield said.split()[-1]
    finally:
        process.terminate()
        _, error = process.communicate(timeout=END_SECONDS)
    assert (process.returncode, error.split()[:3]) == (0, ["ended", "after", "block"]), error

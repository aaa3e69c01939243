"""What is installed: the wheel in an environment of its own has all it needs and runs.

Its dependencies are those of the tests' environment, put on the path; that pip finds them by itself
is not tried here. `tools/check_dependencies.py` compares what is imported with what is declared,
and the doctor what is declared with what is there.
"""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path
from venv import EnvBuilder

import pytest

PROJECT = Path(__file__).parents[1]
NO_REGISTRY = "No matching distribution found for hatchling"


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and a folder to work in that is nobody's."""

    wheel: Path
    programs: Path
    site: Path
    folder: Path

    def run(self, program: str, *words: object) -> "subprocess.CompletedProcess[str]":
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        return subprocess.run(
            [self.programs / program, *map(str, words)],
            env={**kept, "PATH": f"{self.programs}{os.pathsep}{os.defpath}"},
            cwd=self.folder, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip


def pip(*words: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    built = pip("wheel", "--no-deps", "--wheel-dir", folder, PROJECT)
    if built.returncode and NO_REGISTRY in built.stdout + built.stderr:
        pytest.skip("no package registry is there, and hatchling comes from it")
    assert built.returncode == 0, built.stderr
    [wheel] = folder.glob("*.whl")
    environment = folder / "environment"
    EnvBuilder(with_pip=False).create(environment)
    put = pip(
        "--python", environment / "bin" / "python", "install", "--no-deps", "--no-index", wheel
    )
    assert put.returncode == 0, put.stderr
    [site] = environment.glob("lib/python*/site-packages")
    # Files like this are only read in the environment's own directory, so that the development
    # install beside the dependencies is not found.
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "dependencies.pth").write_text("".join(f"{path}\n" for path in sorted(paths)))
    (folder / "work").mkdir()
    return Installed(wheel, environment / "bin", site, folder / "work")


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        held = {name for name in wheel.namelist() if not name.partition("/")[0].endswith("-info")}
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "src"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    ).stdout.splitlines()  # fmt: skip
    if not tracked:
        pytest.skip("not a clone: nobody says which files are the package's")
    ours = {name for name in tracked if (PROJECT / name).is_file()}
    assert held == {name.removeprefix("src/") for name in ours}
    for kind in (".vy", ".json", ".xz", ".j2", ".css", ".js"):
        assert any(name.endswith(kind) for name in held), kind


def test_it_is_the_wheel_that_runs_and_every_module_of_it_can_be_imported(
    installed: Installed,
) -> None:
    lines = (
        "import importlib, pkgutil, commonwatt",
        "print(commonwatt.__file__)",
        "found = pkgutil.walk_packages(commonwatt.__path__, 'commonwatt.')",
        "names = [one.name for one in found]",
        "[importlib.import_module(name) for name in names if not name.endswith('__main__')]",
        "from commonwatt.chain.abi import contract",
        "assert contract('Settlement').data('close', b'', b'')",
        "print(len(names))",
    )
    done = installed.run("python", "-c", "\n".join(lines))
    assert done.returncode == 0, done.stderr
    place, count = done.stdout.split()
    assert Path(place).is_relative_to(installed.site)
    assert int(count) > 100
    version = installed.run("commonwatt", "--version").stdout.strip()
    assert installed.wheel.name.startswith(f"commonwatt-{version}-")


def test_a_node_is_made_and_looked_at_with_what_was_installed(installed: Installed) -> None:
    made = installed.run(
        "commonwatt", "init", "bed", "--scenario", "village", "--yes", "--listen", "127.0.0.1:0"
    )
    assert made.returncode == 0, made.stderr
    looked = installed.run("commonwatt", "doctor", "bed", "--json")
    told = {check["check"]: check for check in json.loads(looked.stdout)["checks"]}
    assert looked.returncode == 0, looked.stdout
    # Each library that the wheel asks for is there, of a version that it takes.
    assert told["programs"]["well"]
    assert installed.run("commonwatt", "demo", "--help").returncode == 0

"""Running a process and measuring all of it: CPU, time, memory."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
BYTES_PER_MB, BYTES_PER_KB = 1_000_000, 1_024


class ChildFailed(Exception):
    """A process that did not do what is measured."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A process that has ended."""

    output: bytes
    cpu_seconds: float
    """User and system time, of it and of the children it waited for."""
    wall_seconds: float
    peak_mb: float
    """The most memory it had at once, in units of 10**6 bytes."""


def commonwatt(*arguments: str | Path) -> Ran:
    """Run the installed command."""
    beside = str(Path(sys.executable).parent)
    command = shutil.which("commonwatt", path=beside) or shutil.which("commonwatt")
    if command is None:
        raise ChildFailed("commonwatt is not installed here: pip install -e .")
    return run([command, *map(str, arguments)])


def module(name: str, *arguments: str | Path, code: int = 0) -> Ran:
    """Run a module of this package."""
    return run([sys.executable, "-m", f"bench.{name}", *map(str, arguments)], code=code)


def run(command: list[str], *, code: int = 0) -> Ran:
    """Run a command and wait for it.

    Args:
        command: the program's path, then its arguments.
        code: how it should end: its exit code, or less than zero for the signal that ends it.

    Raises:
        ChildFailed: it ended in another way.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        # Only programs named in this package are run, none that a user gives.
        process = subprocess.Popen(command, stdout=output, stderr=errors, cwd=REPOSITORY)  # noqa: S603
        # Only wait4 tells this one child's usage; getrusage would sum up all that ever ran.
        _, status, usage = os.wait4(process.pid, 0)
        wall_seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode != code:
            said = errors.read().decode(errors="replace").strip().splitlines()
            why = said[-1] if said else f"exit code {process.returncode}"
            raise ChildFailed(f"{Path(command[0]).name} {' '.join(command[1:])}: {why}")
        return Ran(
            output=output.read(),
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            wall_seconds=wall_seconds,
            peak_mb=usage.ru_maxrss * BYTES_PER_KB / BYTES_PER_MB,
        )

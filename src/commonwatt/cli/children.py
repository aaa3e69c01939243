"""Processes of this program that another one begins and ends."""

import subprocess
import sys
from collections.abc import Iterable

STOP_S = 60.0
"""So long one may take to put everything down; then it is killed, and nothing is lost either."""


def begin(*words: object) -> subprocess.Popen[bytes]:
    """This program with a command line, in a group of its own: Ctrl-C is ours to pass on."""
    command = [sys.executable, "-m", "commonwatt.cli.main", *map(str, words)]
    return subprocess.Popen(command, start_new_session=True)  # noqa: S603


def end(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """Ask all to stop, and wait for them."""
    running = list(processes)
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

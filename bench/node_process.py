"""`commonwatt serve` as processes of its own, and what they have used of the machine so far."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from bench.child import BYTES_PER_KB, BYTES_PER_MB, REPOSITORY, ChildFailed

START_S, STOP_S, LOOK_S = 300.0, 120.0, 0.05
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_UTIME, _STIME = 11, 12
"""Places in /proc/PID/stat, counted from what follows the name."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A node at work."""

    pids: tuple[int, ...]
    """Of all its processes, the one that only looks after workers included."""
    ports: tuple[int, ...]
    """Of its workers, in order; one without workers."""
    folder: Path

    @property
    def cpu_seconds(self) -> float:
        """User and system time until now, of all its threads."""
        stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2] for pid in self.pids]
        ticks = sum(int(s.split()[_UTIME]) + int(s.split()[_STIME]) for s in stats)
        return ticks / TICKS_PER_S

    @property
    def peak_mb(self) -> float:
        """The most memory each process has had at once, summed, in units of 10**6 bytes."""
        return self._status_mb("VmHWM")

    @property
    def resident_mb(self) -> float:
        """What they have now."""
        return self._status_mb("VmRSS")

    def _status_mb(self, key: str) -> float:
        lines = [
            line
            for pid in self.pids
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith(f"{key}:")
        ]
        return sum(int(line.split()[1]) for line in lines) * BYTES_PER_KB / BYTES_PER_MB

    def port_of(self, community: int) -> int:
        """Where a community is worked for, by its place in the settings."""
        return self.ports[community % len(self.ports)]

    def communities(self) -> list[dict]:
        """How all of them are doing."""
        return [one for port in self.ports for one in _ask(port, "/v1/health")["communities"]]

    def await_paid(self, open_interval: int, seconds: float) -> None:
        """Wait until every community has paid everything before an interval.

        Raises:
            ChildFailed: it did not come to that in time.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if all(
                one["open_interval"] >= open_interval and not one["waiting"]
                for one in self.communities()
            ):
                return
            time.sleep(LOOK_S)
        raise ChildFailed(f"not everything was closed and paid within {seconds:.0f} s")


def _ask(port: int, path: str) -> dict:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        found: dict = json.load(answer)
        return found


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(folder: Path, port: int, communities: int, workers: int = 1) -> Iterator[Serving]:
    """Serve a node's directory while inside.

    Args:
        folder: the node's.
        port: at which its settings let it listen.
        communities: it is there once it works for so many.
        workers: processes that share them out.

    Raises:
        ChildFailed: it ended, or did not begin.
    """
    beside = Path(sys.executable).with_name("commonwatt")
    command = str(beside) if beside.exists() else shutil.which("commonwatt") or "commonwatt"
    log, ports = folder / "serve.log", tuple(range(port, port + workers))
    with log.open("ab") as told:
        # Only the program of this package is run.
        process = subprocess.Popen(  # noqa: S603
            [command, "serve", str(folder), "--workers", str(workers)],
            stdout=told, stderr=told, cwd=REPOSITORY,
        )  # fmt: skip
    try:
        _await(Serving((), ports, folder), process, log, communities)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield Serving((process.pid, *map(int, children)), ports, folder)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(node: Serving, process: subprocess.Popen[bytes], log: Path, communities: int) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if len(node.communities()) >= communities:
                return
        except (URLError, OSError):
            time.sleep(LOOK_S)
    said = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
    raise ChildFailed(f"commonwatt serve, port {node.ports[0]}: {said[-1]}")

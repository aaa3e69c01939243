"""A node at work for an hour, as a process: its meters send, people look, its memory stays.

`make soak` runs it; COMMONWATT_SOAK_S sets another length in seconds.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from bed import SCENARIO, init

SECONDS = float(os.environ.get("COMMONWATT_SOAK_S", "3600"))
DAYS = 10
SPEED = DAYS * 86_400 / SECONDS
"""Simulated seconds in a second: the days last as long as the test."""
WARM_UP = 0.3
"""Of the time: the first days, until each file of a day has been as long as it gets."""
GROWTH_MB_MAX = 32.0
"""From the most memory in the warm-up to the most in the rest: what a node may keep of a week."""
POLLERS, POLL_S, LOOK_S, START_S = 20, 0.5, 0.5, 60.0
KB_PER_MB = 1_024
PATHS = (
    f"/v1/communities/{SCENARIO}",
    f"/v1/communities/{SCENARIO}/intervals?limit=4",
    f"/v1/communities/{SCENARIO}/prices",
    "/v1/health",
    "/metrics",
)


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "commonwatt.cli.main", *map(str, words)]


@contextmanager
def serving(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    with (folder.parent / "serve.log").open("wb") as log:
        process = subprocess.Popen(command("serve", folder), stdout=log, stderr=log)
    try:
        until = time.monotonic() + START_S
        while not answers(port):
            assert time.monotonic() < until, "it never answered"
            assert process.poll() is None, "it ended at once"
            time.sleep(LOOK_S)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def poll(port: int, number: int, stopping: Event, statuses: list[int]) -> None:
    """Look again and again, from an address of its own and now and then by a new connection."""
    turn = number
    while not stopping.wait(POLL_S):
        connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=30, source_address=(f"127.2.0.{number + 1}", 0)
        )
        for path in PATHS:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            statuses[answer.status // 100] += 1
            turn += 1
        connection.close()


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [found] = [line for line in lines if line.startswith("VmRSS:")]
    return int(found.split()[1]) / KB_PER_MB


@pytest.mark.soak
def test_a_node_at_work_for_an_hour_needs_no_more_memory_than_after_its_first_days(
    tmp_path: Path,
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    init(tmp_path / "node", scenario=SCENARIO, days=DAYS, listen=f"127.0.0.1:{port}")
    stopping, statuses = Event(), [0] * 6
    simulate = command(
        "meter", "simulate", "--scenario", SCENARIO, "--community", SCENARIO, "--days", DAYS,
        "--to", f"http://127.0.0.1:{port}", "--speed", SPEED, "--state", tmp_path / "state",
    )  # fmt: skip
    with serving(tmp_path / "node", port) as node:
        pollers = [
            Thread(target=poll, args=(port, number, stopping, statuses), daemon=True)
            for number in range(POLLERS)
        ]
        for poller in pollers:
            poller.start()
        seen: list[float] = []
        with (tmp_path / "meters.log").open("wb") as log:
            meters = subprocess.Popen(simulate, stdout=log, stderr=log)
        try:
            while meters.poll() is None:
                assert node.poll() is None, (tmp_path / "serve.log").read_text()
                seen.append(resident_mb(node.pid))
                time.sleep(LOOK_S)
        finally:
            meters.kill()
            meters.wait()
            stopping.set()
            for poller in pollers:
                poller.join()
    assert meters.returncode == 0, (tmp_path / "meters.log").read_text()
    assert statuses[2] > len(seen), "hardly anybody was answered"
    assert not any(statuses[4:]), f"not everybody was answered: {statuses}"
    warm = int(len(seen) * WARM_UP)
    grown = max(seen[warm:]) - max(seen[:warm])
    few = [round(mb) for mb in seen[:: max(1, len(seen) // 40)]]
    found = f"{grown:+.1f} MB after the first days, {max(seen):.0f} at most, {sum(statuses)} asked"
    sys.stdout.write(f"{found}\n")  # `pytest -s` shows it
    assert grown <= GROWTH_MB_MAX, f"{few} MB; answers by hundreds: {statuses}"

"""A node as a service, for tests: its process, simulated meters, and what they leave behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from commandline import Answer, commonwatt
from commonwatt.node.service.members import community_key
from commonwatt.node.service.service import SALTS_NOTE
from commonwatt.node.store import Store, file_url
from commonwatt.node.wiring import DATABASE_FILE

SOAK = bool(os.environ.get("COMMONWATT_SOAK"))
VILLAGE = "village"
METERS, INTERVALS = 31, 96
"""The village's, and a day's."""
START_S, DAY_S = 60.0, 300.0
LOOK_S = 0.02


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


PROGRAM = (sys.executable, "-m", "commonwatt.cli.main")


def start(*words: object, log: Path, program: tuple[str, ...] = PROGRAM) -> subprocess.Popen[bytes]:
    """The program with a command line, in a process of its own that writes into a log."""
    with log.open("ab") as file:
        return subprocess.Popen([*program, *map(str, words)], stdout=file, stderr=file)


def await_that(holds: Callable[[], Any], why: Callable[[], str], seconds: float = DAY_S) -> Any:
    """Wait until something is there; the test fails where it does not come in time."""
    until = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < until, why()
        time.sleep(LOOK_S)
    return found


MOVED = """
import sys, time
from pathlib import Path
seconds, nanoseconds, file = time.time, time.time_ns, Path(sys.argv.pop(1))
time.time = lambda: seconds() + int(file.read_text())
time.time_ns = lambda: nanoseconds() + int(file.read_text()) * 10**9
from commonwatt.cli.main import run
run()
"""


class Clock:
    """What a process of ours takes for the time: a file moves its `time.time`.

    The service takes the time from there alone. Debian's libfaketime would reach further, but it
    breaks `time.sleep` of Python 3.11.
    """

    def __init__(self, file: Path, now: int) -> None:
        """Begin at a UTC second; it goes on by itself."""
        self._file = file
        self.program = (sys.executable, "-c", MOVED, str(file))
        self._ahead = now - int(time.time())
        self.set_by(0)

    def set_by(self, seconds: int) -> None:
        """Set it forward, or back."""
        self._ahead += seconds
        part = self._file.with_suffix(".part")
        part.write_text(f"{self._ahead}\n")
        part.rename(self._file)


class Node:
    """A node's directory, and the process that serves it."""

    def __init__(self, folder: Path, *options: object) -> None:
        """Make the village's test bed, or with options another community."""
        self.folder, self.port, self.program = folder, free_port(), PROGRAM
        is_bed = "--name" not in options
        self.name = VILLAGE if is_bed else str(options[options.index("--name") + 1])
        bed = ("--scenario", VILLAGE) if is_bed else ()
        made = commonwatt(
            "init", folder, *bed, "--yes", "--listen", f"127.0.0.1:{self.port}", *options
        )
        assert made.code == 0, made.err
        [self.ledger] = re.findall(r"^ledger +([0-9a-f]{16})$", made.out, re.MULTILINE)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def published(self) -> Path:
        """What can be audited once it is stopped."""
        return self.folder / self.name

    @property
    def log_file(self) -> Path:
        return self.folder.parent / f"{self.folder.name}.log"

    def say(self, **settings: str) -> None:
        """Change entries of `node.toml` that are there, or put them before all others."""
        file = self.folder / "node.toml"
        lines = file.read_text().splitlines()
        for name, value in settings.items():
            lines = [line for line in lines if not line.startswith(f"{name} = ")]
            lines.insert(0, f'{name} = "{value}"')
        file.write_text("\n".join(lines) + "\n")

    def resemble_demonstration(self) -> None:
        """From the same records the same roots as those of `commonwatt demo`.

        The secret that salts the leaves is drawn at the first start, unless there is one.
        """
        store = Store(file_url(self.folder / DATABASE_FILE))
        secret = sha256(b"secret/" + VILLAGE.encode()).digest()
        store.database(community_key(VILLAGE)).take_note(SALTS_NOTE, secret)
        store.close()

    def launch(self) -> None:
        """Start the process; it does not answer yet."""
        self.process = start("serve", self.folder, log=self.log_file, program=self.program)

    def start(self) -> None:
        """Start it; it works for its communities on return."""
        self.launch()
        self.await_health()

    def await_health(self, seconds: float = START_S) -> dict:
        def found() -> dict | None:
            assert self.process.poll() is None, self.log()
            answer = self.health()
            return answer if answer is not None and answer["communities"] else None

        answer: dict = await_that(found, self.log, seconds)
        return answer

    def health(self) -> dict | None:
        return self._get("/v1/health")

    @property
    def open_interval(self) -> int:
        """Start of its community's open interval, UTC seconds; 0 while it does not say."""
        told = self.community()
        return 0 if told is None else int(told["open_interval"])

    def community(self) -> dict | None:
        """What it says of its community; None while it cannot."""
        return self._get(f"/v1/communities/{self.name}")

    def figure(self, name: str) -> int:
        """One of its metrics, summed over their labels."""
        with urlopen(f"{self.url}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return sum(int(float(line.split()[-1])) for line in lines if line.startswith(f"{name}{{"))

    def _get(self, path: str) -> dict | None:
        try:
            with urlopen(self.url + path, timeout=5) as answer:
                found: dict = json.load(answer)
                return found
        except (URLError, OSError):
            return None

    def log(self) -> str:
        return self.log_file.read_text()

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """In order: what it has published can be audited then."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=60)


@contextmanager
def serving(node: Node) -> Iterator[Node]:
    node.start()
    try:
        yield node
    finally:
        node.stop()


class Meters:
    """`commonwatt meter simulate`: each interval is sent once the one before is answered."""

    def __init__(self, node: Node, to: str, state: Path, *options: object) -> None:
        """Begin, or go on where the state says."""
        self.state, self.log_file = state, state.parent / f"{state.name}.log"
        self.process = start(
            "meter", "simulate", "--scenario", VILLAGE, "--community", VILLAGE, "--to", to,
            "--node", node.url, "--speed", "0", "--state", state, *options, log=self.log_file,
        )  # fmt: skip

    @property
    def done(self) -> int:
        """So many intervals were answered in full."""
        if not self.state.exists():
            return 0
        done: int = json.loads(self.state.read_text())["done"]
        return done

    def log(self) -> str:
        return self.log_file.read_text()

    def await_done(self, intervals: int, seconds: float = DAY_S) -> None:
        def enough() -> bool:
            assert self.process.poll() in {None, 0}, self.log()
            return self.done >= intervals

        await_that(enough, lambda: f"{self.done} of {intervals}: {self.log()}", seconds)

    def await_end(self) -> None:
        """All of the day was taken, and nothing of it refused."""
        assert self.process.wait(timeout=2 * DAY_S) == 0, self.log()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """They say nothing while inside, and forget nothing."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self, intervals: int) -> int:
        """Stop after so many intervals, or where the day ends; gives how many were answered."""
        if intervals >= INTERVALS:
            self.await_end()
        else:
            self.await_done(intervals)
            self.kill()
        return self.done


@contextmanager
def simulated(node: Node, to: str, state: Path, *options: object) -> Iterator[Meters]:
    meters = Meters(node, to, state, *options)
    try:
        yield meters
    finally:
        if meters.process.poll() is None:
            meters.kill()


def require_whole(folder: Path, *options: object, answered: int = INTERVALS) -> Answer:
    """Every interval is closed once, no acknowledged record is lost, everything agrees.

    Args:
        folder: what a community has published, its node stopped.
        options: of the audit.
        answered: so many intervals were answered in full. Where they are fewer than the day's, one
            more may be closed: its answer was on the way when the meters were stopped.
    """
    found = commonwatt("audit", folder, "--certificates", "--json", *options)
    assert found.code == 0, found.out + found.err
    more = 0 if answered % INTERVALS == 0 else 1
    assert answered <= found.json["intervals"] <= answered + more
    assert found.json["records"] == METERS * found.json["intervals"]
    assert found.json["refused"] == 0
    assert found.json["certificates"]["entries"] == found.json["certificates"]["posted"]
    return found

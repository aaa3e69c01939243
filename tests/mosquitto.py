"""A real Mosquitto broker for the tests: started on a free port, killed, started again.

It comes from Debian's package `mosquitto`. Where it is not installed, the tests that need it are
skipped and say so.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PACKAGED = Path("/usr/sbin/mosquitto")
START_SECONDS = 20.0


def mosquitto_program() -> Path | None:
    """Where Mosquitto is: COMMONWATT_MOSQUITTO, Debian's place, or the PATH."""
    named = os.environ.get("COMMONWATT_MOSQUITTO")
    if named:
        return Path(named)
    if PACKAGED.is_file():
        return PACKAGED
    found = shutil.which("mosquitto")
    return Path(found) if found else None


class Broker:
    """A broker of our own, always at the same port; a new one remembers nothing."""

    def __init__(self, program: Path, folder: Path) -> None:
        """Write its settings below a folder; `start` runs it."""
        self._program, self._settings = program, folder / "mosquitto.conf"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        lines = (f"listener {self.port} 127.0.0.1", "allow_anonymous true", "set_tcp_nodelay true")
        self._settings.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run it; it answers on return."""
        self._process = subprocess.Popen(
            [str(self._program), "-c", str(self._settings)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None


@contextmanager
def running_mosquitto() -> Iterator[Broker]:
    """Run Mosquitto while inside."""
    program = mosquitto_program()
    if program is None:
        pytest.skip("Mosquitto is not installed: apt-get install mosquitto")
    with tempfile.TemporaryDirectory(prefix="mosquitto-") as folder:
        broker = Broker(program, Path(folder))
        try:
            broker.start()
            yield broker
        finally:
            broker.kill()

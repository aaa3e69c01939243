"""Foundry's Anvil as a second opinion: finds the program, starts it on a free port, stops it.

It comes as an npm package (`npm install --no-save --prefix .tools @foundry-rs/anvil`). Where it is
not installed, the tests that need it are skipped and say so.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commonwatt.chain.connection import Connection
from commonwatt.chain.errors import ChainUnreachable

PACKAGED = Path("node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil")
START_SECONDS = 20.0
DEV_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""The first of the accounts Anvil gives coins to; the same on every machine."""


def anvil_program() -> Path | None:
    """Where Anvil is: COMMONWATT_ANVIL, `.tools` in the project, or the PATH."""
    named = os.environ.get("COMMONWATT_ANVIL")
    if named:
        return Path(named)
    for folder in Path(__file__).resolve().parents:
        if (folder / ".tools" / PACKAGED).is_file():
            return folder / ".tools" / PACKAGED
    found = shutil.which("anvil")
    return Path(found) if found else None


class Anvil:
    """A chain of our own, always at the same port; it can be stopped, frozen, and started again."""

    def __init__(self, program: Path, chain_id: int, *more: str, state: Path | None = None) -> None:
        """Name its options; `start` runs it.

        Args:
            program: where it is.
            chain_id: as in the signatures of the transactions to be sent.
            more: further options; free gas unless there are any.
            state: a file that keeps the chain while it is stopped; None forgets it.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        free = ("--gas-price", "0", "--block-base-fee-per-gas", "0", "--disable-min-priority-fee")
        self._command = [
            str(program), "--quiet", "--host", "127.0.0.1", "--port", str(port),
            "--hardfork", "osaka", "--chain-id", str(chain_id), "--timestamp", "1700000000",
            "--gas-limit", "36000000", *(more or free),
        ]  # fmt: skip
        if state is not None:
            self._command += ["--state", str(state)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it; it answers on return."""
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, stdout=quiet, stderr=quiet)
        _await_answer(self.url, self._process)

    def stop(self) -> None:
        """End it; with a file for its state it goes on from there."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None

    def freeze(self) -> None:
        """From now on it takes requests and answers none."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It answers again, late."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "it does not run"
        self._process.send_signal(number)


@contextmanager
def anvil(chain_id: int, *more: str, state: Path | None = None) -> Iterator[Anvil]:
    """Run Anvil with Osaka rules while inside; see `Anvil`."""
    program = anvil_program()
    if program is None:
        pytest.skip("Anvil is not installed: make test-tools installs it")
    chain = Anvil(program, chain_id, *more, state=state)
    try:
        chain.start()
        yield chain
    finally:
        chain.stop()


@contextmanager
def running_anvil(chain_id: int, *more: str) -> Iterator[str]:
    """Run Anvil with Osaka rules and free gas while inside; gives its URL.

    Args:
        chain_id: as in the signatures of the transactions to be sent.
        more: further options, for example `--block-base-fee-per-gas 7`.
    """
    with anvil(chain_id, *more) as chain:
        yield chain.url


def _await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            Connection.http(url).close()
        except ChainUnreachable:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return

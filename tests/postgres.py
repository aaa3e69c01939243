"""A real PostgreSQL server for the tests: started in a folder of its own, killed, started again.

It comes from Debian's package `postgresql`. Where it is not installed, the tests that need it are
skipped and say so. The server refuses to run as root, so root starts it as another user.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

PACKAGED = Path("/usr/lib/postgresql")
USERS = ("postgres", "nobody")
NAME = "commonwatt"
MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 2**30
START_SECONDS = 30.0
GONE = "ZX"
"""States of a process that holds nothing any more."""

on_postgres = pytest.mark.xdist_group("postgres")
"""Tests with this mark share one server, also where several workers run tests."""


def postgres_programs() -> Path | None:
    """The folder of the newest server's programs: COMMONWATT_POSTGRES, or Debian's."""
    named = os.environ.get("COMMONWATT_POSTGRES")
    if named:
        return Path(named)
    found = [path for path in PACKAGED.glob("*/bin") if (path / "initdb").is_file()]
    return max(found, key=lambda path: float(path.parent.name), default=None)


class PostgresServer:
    """A server of our own."""

    def __init__(self, programs: Path, folder: Path) -> None:
        """Make a cluster below a folder; `start` runs it."""
        self._programs, self._folder, self._data = programs, folder, folder / "data"
        self._user: str | None = None
        if os.geteuid() == 0:
            known = [name for name in USERS if _is_user(name)]
            self._user = known[0]
            shutil.chown(folder, self._user)
        # Small log segments, so that a limit on the size of files meets tables first.
        self._run(
            "initdb", f"--pgdata={self._data}", f"--username={NAME}", "--auth=trust",
            "--encoding=UTF8", "--locale=C", "--no-sync", "--wal-segsize=1",
        )  # fmt: skip
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            check=True, capture_output=True, user=self._user, cwd=self._folder,
        )  # fmt: skip

    def start(self) -> None:
        """Run the server until it answers."""
        assert self._process is None, "it runs already"
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self._folder),
            "port": str(self.port),
            "shared_buffers": "32MB",
            "max_connections": "40",
            "autovacuum": "off",
            "dynamic_shared_memory_type": "mmap",  # goes away with the folder
        }
        options = [word for pair in settings.items() for word in ("-c", "=".join(pair))]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *options],
                stdout=log, stderr=log, user=self._user, cwd=self._folder,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect("postgres").close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """End the server at once, with all that works for it; nothing where it does not run."""
        if self._process is None:
            return
        # Whoever starts them again goes first.
        children = _children(self._process.pid)
        for pid in (self._process.pid, *children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        # Until the last one is gone the memory they share is in use, and none can be started.
        while any(_state(pid)[0] not in GONE for pid in children):
            time.sleep(0.01)

    def stop(self) -> None:
        """End the server in order but at once: nobody needs its data any more."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=START_SECONDS)
            self._process = None

    @contextmanager
    def file_size_limit(self, worker: int, size: int) -> Iterator[None]:
        """As on a full disk: no file grows beyond `size` bytes by one of the server's processes."""
        # By the server's own user: root of a container may not do it for others.
        limit = ["prlimit", f"--pid={worker}"]
        subprocess.run([*limit, f"--fsize={size}:"], check=True, user=self._user)
        try:
            yield
        finally:
            subprocess.run([*limit, "--fsize=unlimited:"], check=True, user=self._user)

    def connect(self, database: str) -> psycopg.Connection:
        """A connection past the program under test."""
        return psycopg.connect(
            f"host=127.0.0.1 port={self.port} user={NAME} dbname={database}", autocommit=True
        )

    def new_database(self) -> str:
        """The name of a database with nothing in it."""
        return self._new("CREATE DATABASE {} TEMPLATE template0")

    def new_schema(self) -> str:
        """The URL of a schema with nothing in it: as good as a database, and made sooner."""
        schema = self._new("CREATE SCHEMA {}")
        return f"{self.url('postgres')}?options=-csearch_path%3D{schema}"

    def _new(self, command: str) -> str:
        name = f"test_{next(self._numbers)}"
        with self.connect("postgres") as connection:
            connection.execute(sql.SQL(command).format(sql.Identifier(name)))
        return name

    def url(self, database: str) -> str:
        """Of one of its databases."""
        return f"postgresql+psycopg://{NAME}@127.0.0.1:{self.port}/{database}"

    def program(self, name: str) -> Path:
        """One of the programs that come with the server, such as `pg_dump`."""
        return self._programs / name


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server while inside; skips the test where none is installed."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    # In memory where there is room: a killed process loses nothing there either, and the disk is
    # left to others. With COMMONWATT_POSTGRES_FOLDER it is a folder below the one that it names.
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES_MIN
    place = os.environ.get("COMMONWATT_POSTGRES_FOLDER") or (MEMORY if in_memory else None)
    folder = Path(tempfile.mkdtemp(prefix="commonwatt-postgres-", dir=place))
    try:
        server = PostgresServer(programs, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of a session; import it into a `conftest.py`."""
    with running_postgres() as server:
        yield server


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _state(pid: int) -> tuple[str, int]:
    """A process's state and its parent; X where there is none any more."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "X", 0
    # pid (name) state parent ...; a name may hold spaces and brackets.
    state, parent, *_ = text.rpartition(")")[2].split()
    return state, int(parent)


def _children(parent: int) -> list[int]:
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if _state(pid)[1] == parent]

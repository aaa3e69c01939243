"""Checks of the machine: programs, keys, disk, clock, the address to listen at."""

import json
import os
import re
import shutil
import socket
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from tempfile import NamedTemporaryFile

from sqlalchemy import func, select

from commonwatt.node.keystore import read_account
from commonwatt.node.service.finding import Finding, Patient
from commonwatt.node.service.redaction import secrets_in
from commonwatt.node.service.settings import NODE_FILE, address_in
from commonwatt.node.service.setup import KEYS_FOLDER
from commonwatt.node.store.dialect import is_postgresql, now_ms
from commonwatt.node.store.schema import journal
from commonwatt.quantity import SECONDS_PER_DAY

PYTHON_MIN, SQLITE_MIN = (3, 11), (3, 35)
BYTES_PER_RECORD = 6_000
"""What a record leaves on the disk with all that follows from it, statements and proofs above all:
5,191 in a day of the scenario suburb, 3,600 of village."""
DAYS_FREE_MIN = 30
FSYNC_S_MAX = 0.25
"""Every batch of records waits for one."""
CLOCK_S_MAX = 5.0
"""Two clocks further apart are not both right."""
ANSWER_S = 3.0
HEALTH_BYTES_MAX = 10_000_000
"""A node keeps some thousand communities at most, and says some hundred bytes of each."""
BYTES_PER_MB = 1_000_000
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?([^;]*)(;.*)?")
_BOUND = re.compile(r"(>=|<=|==|!=|~=|>|<)\s*([0-9][0-9.]*)")


def programs(_: Patient) -> Iterator[Finding]:
    """Python, SQLite, and every library that the package asks for."""
    python = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < PYTHON_MIN or sqlite3.sqlite_version_info[:2] < SQLITE_MIN:
        yield Finding(
            "programs",
            f"Python {python}, SQLite {sqlite3.sqlite_version}",
            "use Python 3.11 or later with SQLite 3.35 or later",
        )
        return
    try:
        needed = requires("commonwatt") or []
    except PackageNotFoundError:
        yield Finding("programs", f"Python {python}; not installed, so its libraries are unknown")
        return
    wrong = [text for text in map(library_fault, needed) if text]
    if wrong:
        step = "install commonwatt again in an environment of its own: pip install commonwatt"
        yield Finding("programs", "; ".join(wrong), step)
    else:
        yield Finding(
            "programs",
            f"Python {python}, SQLite {sqlite3.sqlite_version}, {len(needed)} libraries as needed",
        )


def library_fault(requirement: str) -> str:
    """What is wrong with a library; empty where its version is within the bounds.

    >>> library_fault("no-such-library>=1,<2")
    'no-such-library is missing'
    """
    found = _REQUIREMENT.match(requirement)
    if found is None or "extra" in (found[3] or ""):
        return ""
    name, bounds = found[1], found[2]
    try:
        have = version(name)
    except PackageNotFoundError:
        return f"{name} is missing"
    own = _numbers(have)
    for sign, bound in _BOUND.findall(bounds):
        if not _holds(own, sign, _numbers(bound)):
            return f"{name} is {have}, needed is {bounds.strip()}"
    return ""


def _numbers(text: str) -> list[int]:
    leading = re.match(r"[0-9]+(?:\.[0-9]+)*", text)
    return [int(part) for part in leading[0].split(".")] if leading else [0]


def _holds(own: list[int], sign: str, bound: list[int]) -> bool:
    width = max(len(own), len(bound))
    left, right = (part + [0] * (width - len(part)) for part in (own, bound))
    if sign == "~=":
        return left >= right and own[: len(bound) - 1] == bound[:-1]
    return {
        ">=": left >= right,
        "<=": left <= right,
        "==": left == right,
        "!=": left != right,
        ">": left > right,
        "<": left < right,
    }[sign]


def keys(patient: Patient) -> Iterator[Finding]:
    """The operator's key opens, and nobody else can read it or what else is secret."""
    path = patient.folder / patient.settings.chain.key
    account = read_account(path)
    encrypted = path.read_text(encoding="utf-8").lstrip().startswith("{")
    urls = (patient.settings.database, patient.settings.mqtt, patient.settings.chain.url)
    secret = [patient.folder / NODE_FILE] if any(map(secrets_in, urls)) else []
    secret += [path, *sorted((patient.folder / KEYS_FOLDER).glob("*.key"))]
    open_ = [found for found in secret if stat.S_IMODE(found.stat().st_mode) & 0o077]
    how = "encrypted" if encrypted else "not encrypted"
    if open_:
        more = f" and {len(open_) - 1} more" if len(open_) > 1 else ""
        yield Finding(
            "keys",
            f"{open_[0]}{more}: others on this machine can read it",
            "take their rights away: chmod 600 FILE",
        )
    else:
        yield Finding("keys", f"{path.name} opens, account {account.address}, {how}")


def disk(patient: Patient) -> Iterator[Finding]:
    """Writable, fast enough, and room for the days to come."""
    folder = patient.data
    free = shutil.disk_usage(folder).free
    day = BYTES_PER_RECORD * sum(
        len(file.meters) * SECONDS_PER_DAY // file.interval_s for file in patient.files
    )
    days = free // max(day, 1)
    told = f"{free // BYTES_PER_MB:,} MB free, a day takes about {-(-day // BYTES_PER_MB):,} MB"
    try:
        seconds = sync_seconds(folder)
    except OSError as error:
        yield Finding(
            "disk",
            f"{folder}: cannot be written ({error.strerror})",
            "free some space, or give the node's user the right to write there",
        )
        return
    told += f", {seconds * 1_000:.1f} ms to be on the disk"
    if day and days < DAYS_FREE_MIN:
        yield Finding("disk", f"{told}: enough for {days} days", "make room or move the directory")
    elif seconds > FSYNC_S_MAX:
        yield Finding(
            "disk", told, "use a disk of this machine, not a network's: each batch waits so long"
        )
    else:
        yield Finding("disk", told)


def sync_seconds(folder: Path, times: int = 5) -> float:
    """Seconds until 64 kB are on the disk, the median of some; raises OSError."""
    taken = []
    with NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(bytes(65_536))
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return sorted(taken)[times // 2]


def clock(patient: Patient) -> Iterator[Finding]:
    """Not behind what the node has written, nor apart from the database server's.

    The chain's clock is compared where the chain is looked at.
    """
    if patient.is_test_bed:
        yield Finding("clock", "a test bed: the records drive the time")
        return
    told = "nothing is there yet to compare it with"
    if patient.database.version():
        with patient.database.transactions.reading() as connection:
            before = patient.now()
            theirs = now_ms(connection) / 1_000
            ahead = (before + patient.now()) / 2 - theirs
            last = connection.scalar(select(func.max(journal.c.written_ms)))
            on_server = is_postgresql(connection)
        # Of a file it is the clock that the node wrote with; of a server, the server's.
        behind = 0.0 if last is None else last / 1_000 - theirs
        if behind > CLOCK_S_MAX:
            yield Finding(
                "clock",
                f"{behind:,.0f} s behind what the node has written: it was set back",
                "set it right, with a time service such as chrony, before the node goes on",
            )
            return
        if on_server and abs(ahead) > CLOCK_S_MAX:
            where = "ahead of" if ahead > 0 else "behind"
            yield Finding(
                "clock",
                f"{abs(ahead):,.1f} s {where} the database server's",
                "set both by one time service, such as chrony",
            )
            return
        agrees = ["what the node wrote"] if last is not None else []
        agrees += ["the database server's"] if on_server else []
        told = f"agrees with {' and '.join(agrees)}" if agrees else told
    yield Finding("clock", told)


def address(patient: Patient) -> Iterator[Finding]:
    """Where the node listens: free, or taken by this very node, as far as names tell."""
    host, port = address_in(patient.settings.listen)
    shown = f"{host}:{port}"
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - to connect to
    if port and _answers(target, port):
        names = _names_at(target, port)
        if names is not None and names <= patient.names:
            told = ", ".join(sorted(names)) or "no community for now"
            yield Finding("address", f"a node answers at {shown}, with {told}")
            return
        told = "" if names is None else f", a node with {', '.join(sorted(names))!r:.80}"
        yield Finding(
            "address",
            f"another program listens at {shown}{told}",
            f"stop it, or change listen in {NODE_FILE}",
        )
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        yield Finding(
            "address",
            f"{shown}: cannot listen there ({error.strerror})",
            f"change listen in {NODE_FILE} to an address of this machine and a port above 1023",
        )
    else:
        yield Finding("address", f"{shown} is free; no node runs there")


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), ANSWER_S).close()
    except OSError:
        return False
    return True


def _names_at(host: str, port: int) -> frozenset[str] | None:
    """Which communities a node works for; None where it is no node that answers."""
    connection = HTTPConnection(host, port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/v1/health")
        found = json.loads(connection.getresponse().read(HEALTH_BYTES_MAX))
        return frozenset(str(one["name"]) for one in found["communities"])
    except (HTTPException, OSError, ValueError, TypeError, KeyError):
        return None
    finally:
        with suppress(OSError):
            connection.close()

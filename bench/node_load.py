"""A node under load, as real processes: records over HTTP, closes, two workers, people who look.

The records were signed before and come over keep-alive connections from processes that only send;
what the node used is read from /proc. So `CPU s` here is that of the node's processes alone.
"""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from bench.child import REPOSITORY, ChildFailed, module
from bench.figure import Figure, Section
from bench.node_process import Serving, free_port, serving
from bench.node_sender import Sent
from bench.node_town import INTERVAL_S, batch_files, name_of
from commonwatt.merkle import Tree
from commonwatt.statement.leaves import record_leaf
from commonwatt.web.api.routes.records import of_bytes

RECORDS_MIN, WORKERS_TIMES_MIN = 7_000, 1.8
CLOSE_S_MAX, POLL_S_MAX = 2.0, 0.1
HOMES, ROOFS, INTERVALS, QUICK_INTERVALS = 1_000, 300, 20, 4
QUARTERS, QUARTER_HOMES, QUARTER_ROOFS, QUARTER_INTERVALS, QUICK_QUARTER_INTERVALS = (
    4, 950, 100, 10, 3,
)  # fmt: skip
"""Of the town for two workers: four communities of 1,050 meters, so that 1,000 close nothing."""
ROUNDS = 3
POLLERS, POLLS_S, QUICK_POLLS_S = 200, 15, 4
BUSY_INTERVALS = 3
"""Of the one community, while people look: a quarter hour in a few seconds."""
START_S, SETTLED_S = 1.0, 60.0
BEGUN_S = 3.0
"""A node that answers is not done with beginning: that work is not the records'."""
ADVANCE = ("--advance", "1", "--every", "6")
_SECONDS = re.compile(r"interval_closed .* seconds=([0-9.]+)")


def measure(folder: Path, *, quick: bool) -> list[Section]:
    """All of it; the folder is made."""
    folder.mkdir()
    return [
        _one_community(folder / "one", QUICK_INTERVALS if quick else INTERVALS, quick=quick),
        _workers(
            folder / "quarters",
            QUICK_QUARTER_INTERVALS if quick else QUARTER_INTERVALS,
            1 if quick else ROUNDS,
        ),
    ]


def _one_community(folder: Path, intervals: int, *, quick: bool) -> Section:
    """Intake without a close, then every close, then people who look."""
    port = free_port()
    make(folder, port, (1, HOMES, ROOFS, intervals + BUSY_INTERVALS))
    files = [batch_files(folder, 0, n) for n in range(intervals + BUSY_INTERVALS)]
    files, later = files[:intervals], files[intervals:]
    with serving(folder, port, 1) as node:
        first = node.communities()[0]["open_interval"]
        time.sleep(BEGUN_S)
        before = node.cpu_seconds
        taken = send(node, [[(0, paths[0]) for paths in files]])
        intake = node.cpu_seconds - before
        records = sum(sent.accepted for sent in taken)
        for interval, paths in enumerate(files, 1):
            taken += send(node, [[(0, path) for path in paths[1:]]])
            node.await_paid(first + interval * INTERVAL_S, SETTLED_S)
        whole = node.cpu_seconds - before
        everything = sum(sent.accepted for sent in taken)
        polls = _polls(node, QUICK_POLLS_S if quick else POLLS_S)
        with ThreadPoolExecutor(1) as pool:
            polling = pool.submit(_polls, node, QUICK_POLLS_S if quick else POLLS_S)
            for interval, paths in enumerate(later, intervals + 1):
                send(node, [[(0, path) for path in paths]])
                node.await_paid(first + interval * INTERVAL_S, SETTLED_S)
            busy = polling.result()
        peak = node.peak_mb
    require(everything == intervals * (HOMES + ROOFS), f"{everything} records were accepted")
    closes = sorted(map(float, _SECONDS.findall((folder / "serve.log").read_text())))
    require(len(closes) == intervals + BUSY_INTERVALS, f"{len(closes)} intervals were closed")
    tree = _tree_seconds([paths[0] for paths in files])
    rate = records / (intake + tree)
    return Section(
        f"a node with {HOMES:,} homes and {ROOFS} roofs, over HTTP: {intervals} intervals",
        (
            Figure(
                name="node_records_per_cpu_second",
                what="records, from socket to disk and tree",
                unit="/ CPU s",
                runs=(rate,),
                target=RECORDS_MIN,
                at_least=True,
                digits=0,
                cpu_seconds=intake,
            ),
            Figure(
                name="node_percent_of_verification",
                what="of what verifying alone does just now",
                unit="%",
                runs=(100 * rate / _verified_per_second(),),
                digits=0,
            ),
            Figure(
                name="node_everything_records_per_cpu_second",
                what="the same with close, chain and book",
                unit="/ CPU s",
                runs=(everything / whole,),
                digits=0,
                cpu_seconds=whole,
            ),
            Figure(
                name="node_close_p99_seconds",
                what="close, paid and published, 99 of 100",
                unit="s",
                runs=(closes[len(closes) * 99 // 100],),
                target=CLOSE_S_MAX,
            ),
            Figure(
                name="node_poll_p99_seconds",
                what=f"{POLLERS} clients poll each second, 99 of 100",
                unit="s",
                runs=(polls[len(polls) * 99 // 100],),
                target=POLL_S_MAX,
                digits=3,
            ),
            Figure(
                name="node_busy_poll_p99_seconds",
                what=f"the same while {BUSY_INTERVALS} intervals come in and close",
                unit="s",
                runs=(busy[len(busy) * 99 // 100],),
                digits=3,
            ),
            Figure(
                name="node_peak_mb",
                what="memory at most",
                unit="MB",
                runs=(peak,),
                digits=0,
            ),
        ),
    )


def _workers(folder: Path, intervals: int, rounds: int) -> Section:
    """The same batches to one process and to two workers, as fast as they take them, in turn."""
    port = free_port()
    make(folder, port, (QUARTERS, QUARTER_HOMES, QUARTER_ROOFS, intervals))
    taken = [
        (_rate(folder, port, intervals, 1), _rate(folder, port, intervals, 2))
        for _ in range(rounds)
    ]
    ones, twos = ([pair[place] for pair in taken] for place in (0, 1))
    return Section(
        f"{QUARTERS} communities of {QUARTER_HOMES + QUARTER_ROOFS:,} meters in one process and "
        "in two",
        (
            *(
                Figure(
                    name=name,
                    what=f"records in a second, {who}",
                    unit="/ s",
                    runs=tuple(rate for rate, _ in rounds_of),
                    digits=0,
                    cpu_seconds=sum(cpu for _, cpu in rounds_of),
                )
                for name, who, rounds_of in (
                    ("node_records_per_second", "one process", ones),
                    ("node_records_per_second_two_workers", "two workers", twos),
                )
            ),
            Figure(
                name="node_two_workers_times",
                what="as many times as with one",
                unit="",
                runs=tuple(two / one for (one, _), (two, _) in taken),
                target=WORKERS_TIMES_MIN,
                at_least=True,
            ),
        ),
    )


def _rate(folder: Path, port: int, intervals: int, workers: int) -> tuple[float, float]:
    """Records in a second, from the first batch sent to the last answer, and CPU seconds."""
    copy = folder.with_name(f"{folder.name}-{workers}")
    shutil.copytree(folder, copy)
    with serving(copy, port, QUARTERS, workers) as node:
        work = [
            [(number, batch_files(copy, number, interval)[0]) for interval in range(intervals)]
            for number in range(QUARTERS)
        ]
        before = node.cpu_seconds
        sent = send(node, work)
        cpu = node.cpu_seconds - before
    shutil.rmtree(copy)
    seconds = max(one.ended for one in sent) - min(one.began for one in sent)
    return sum(one.accepted for one in sent) / seconds, cpu


def make(folder: Path, port: int, town: tuple[int, int, int, int]) -> None:
    """Make a town of so many communities, homes, roofs and intervals."""
    names = ("--communities", "--homes", "--roofs", "--intervals")
    options = [word for name, n in zip(names, town, strict=True) for word in (name, str(n))]
    module("node_town", folder, str(port), *options, *ADVANCE)


def send(node: Serving, work: Sequence[Sequence[tuple[int, Path]]]) -> list[Sent]:
    """Send each list of (community, file) from a process of its own, all at the same time."""
    at = time.monotonic() + START_S
    senders = [
        subprocess.Popen(  # noqa: S603 - a module of this package
            [
                *(sys.executable, "-m", "bench.node_sender"),
                *(str(node.port_of(files[0][0])), str(at)),
                *(f"{name_of(number)}={file}" for number, file in files),
            ],
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
        )
        for files in work
    ]
    outputs = [sender.communicate()[0] for sender in senders]
    require(not any(sender.returncode for sender in senders), "a sender has failed")
    return [sent for output in outputs for sent in msgspec.json.decode(output, type=list[Sent])]


def _polls(node: Serving, seconds: float) -> list[float]:
    """Seconds that each poll took, in order, while `POLLERS` clients ask once a second."""
    words = (node.ports[0], POLLERS, seconds, name_of(0))
    return msgspec.json.decode(module("node_pollers", *map(str, words)).output, type=list[float])


def _tree_seconds(files: Sequence[Path]) -> float:
    """CPU seconds to put the records of each file in a tree, as a close does."""
    batches = [of_bytes(file.read_bytes()) for file in files]
    began = time.process_time()
    for batch in batches:
        Tree([record_leaf(signed) for signed in batch])
    return time.process_time() - began


def _verified_per_second() -> float:
    """Signatures verified in a CPU second: on a machine with guests, a second is not a second."""
    sections = msgspec.json.decode(module("signatures", "--quick").output, type=list[Section])
    figures = {figure.name: figure.value for section in sections for figure in section.figures}
    return figures["verify_batch_per_second"] or 0.0


def require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - a condition
    """Raise `ChildFailed` unless what was to be measured has happened."""
    if not holds:
        raise ChildFailed(otherwise)

"""Restart after ten days of the suburb: opening the journal again, cleanly closed or killed."""

import signal
from pathlib import Path

import msgspec

from bench.child import ChildFailed, commonwatt, module
from bench.figure import Figure, Section

DAYS = 10
RUNS = 5
RESTART_CPU_SECONDS_MAX = 3.0
JOURNAL = Path("node", "chain.sqlite")
BYTES_PER_MB = 1_000_000


class _Summary(msgspec.Struct):
    """What the bench reads of `commonwatt demo --json`."""

    intervals: int
    audit: str


def measure(folder: Path) -> list[Section]:
    """Run ten days into an empty folder, then open their chain again and again."""
    ten_days = commonwatt("demo", "--json", "--days", str(DAYS), "--out", folder)
    summary = msgspec.json.decode(ten_days.output, type=_Summary)
    size = (folder / JOURNAL).stat().st_size
    clean, clean_block = _reopen(folder)
    crash = module("crash", folder, code=-signal.SIGKILL)
    killed, killed_block = _reopen(folder)
    if killed_block != int(crash.output):
        raise ChildFailed(f"acknowledged up to block {int(crash.output)}, kept {killed_block}")
    figures = (
        Figure(
            name="restart_clean_cpu_seconds",
            what="open after a clean close",
            unit="CPU s",
            target=RESTART_CPU_SECONDS_MAX,
            cpu_seconds=sum(clean),
            runs=tuple(clean),
        ),
        Figure(
            name="restart_killed_cpu_seconds",
            what="open after kill -9 before a snapshot",
            unit="CPU s",
            target=RESTART_CPU_SECONDS_MAX,
            cpu_seconds=crash.cpu_seconds + sum(killed),
            runs=tuple(killed),
        ),
        Figure(
            name="ten_days_cpu_seconds",
            what=f"the {DAYS} days before",
            unit="CPU s",
            runs=(ten_days.cpu_seconds,),
            cpu_seconds=ten_days.cpu_seconds,
        ),
        Figure(
            name="journal_mb",
            what="their journal",
            unit="MB",
            runs=(size / BYTES_PER_MB,),
            digits=1,
        ),
    )
    title = (
        f"restart after {DAYS} days of the suburb, with imports: {summary.intervals} closes, "
        f"{clean_block:,} blocks; {killed_block - clean_block} more"
    )
    return [Section(title, figures)]


def _reopen(folder: Path) -> tuple[list[float], int]:
    """CPU seconds of each restart, and the latest block's number."""
    seconds = []
    for _ in range(RUNS):
        ran = module("reopen", folder / JOURNAL)
        number, cpu = msgspec.json.decode(ran.output, type=tuple[int, float])
        seconds.append(cpu)
    return seconds, number

"""The suburb's day, from signed meters to paid sellers; its audit; how soon `--help` answers."""

from pathlib import Path

import msgspec

from bench.child import Ran, commonwatt, module
from bench.figure import Figure, Section

DAY_CPU_SECONDS_MAX, DAY_PEAK_MB_MAX, CLOSE_P99_SECONDS_MAX = 10.0, 300.0, 0.2
AUDIT_CPU_SECONDS_MAX = 2.0
HELP_SECONDS_MAX, HELP_RUNS = 0.3, 7


class _Summary(msgspec.Struct):
    """What the bench reads of `commonwatt demo --json`."""

    participants: int
    intervals: int
    records: int
    transactions: int
    close_seconds_p50: float
    close_seconds_p99: float


def measure(folder: Path, runs: int) -> list[Section]:
    """Run the day and its audit `runs` times each, below an empty folder."""
    folders = [folder / f"day{number}" for number in range(runs)]
    days = [commonwatt("demo", "--json", "--out", out) for out in folders]
    audits = [commonwatt("audit", out) for out in folders]
    inside = [module("recompute", out) for out in folders]
    return [_day(days), _audit(audits, inside)]


def _day(days: list[Ran]) -> Section:
    told = [msgspec.json.decode(day.output, type=_Summary) for day in days]
    one = told[0]
    title = (
        f"a day of the suburb: {one.participants} participants, {one.intervals} intervals, "
        f"{one.records:,} records, {one.transactions} transactions"
    )
    cpu = [day.cpu_seconds for day in days]
    figures = (
        Figure(
            name="day_cpu_seconds",
            what="sign, verify, settle, publish, audit",
            unit="CPU s",
            target=DAY_CPU_SECONDS_MAX,
            cpu_seconds=sum(cpu),
            runs=tuple(cpu),
        ),
        Figure(
            name="day_peak_mb",
            what="most memory at once",
            unit="MB",
            target=DAY_PEAK_MB_MAX,
            digits=0,
            runs=tuple(day.peak_mb for day in days),
        ),
        Figure(
            name="close_p99_seconds",
            what="one interval, gate to paid: p99",
            unit="s",
            target=CLOSE_P99_SECONDS_MAX,
            digits=3,
            runs=tuple(summary.close_seconds_p99 for summary in told),
        ),
        Figure(
            name="close_p50_seconds",
            what="the same: median",
            unit="s",
            digits=3,
            runs=tuple(summary.close_seconds_p50 for summary in told),
        ),
    )
    return Section(title, figures)


def _audit(audits: list[Ran], inside: list[Ran]) -> Section:
    whole = [audit.cpu_seconds for audit in audits]
    alone = [msgspec.json.decode(ran.output, type=float) for ran in inside]
    figures = (
        Figure(
            name="audit_cpu_seconds",
            what="commonwatt audit, the whole process",
            unit="CPU s",
            target=AUDIT_CPU_SECONDS_MAX,
            cpu_seconds=sum(whole),
            runs=tuple(whole),
        ),
        Figure(
            name="audit_inside_cpu_seconds",
            what="the same without start and imports",
            unit="CPU s",
            target=AUDIT_CPU_SECONDS_MAX,
            cpu_seconds=sum(ran.cpu_seconds for ran in inside),
            runs=tuple(alone),
        ),
    )
    return Section("audit of that day: open the chain, recompute and compare everything", figures)


def measure_help() -> list[Section]:
    """Ask the command for its commands."""
    runs = [commonwatt("--help") for _ in range(HELP_RUNS)]
    cpu = [ran.cpu_seconds for ran in runs]
    figures = (
        Figure(
            name="help_cpu_seconds",
            what="commonwatt --help",
            unit="CPU s",
            target=HELP_SECONDS_MAX,
            cpu_seconds=sum(cpu),
            runs=tuple(cpu),
        ),
        Figure(
            name="help_seconds",
            what="the same by the clock",
            unit="s",
            target=HELP_SECONDS_MAX,
            runs=tuple(ran.wall_seconds for ran in runs),
        ),
    )
    return [Section("the first answer", figures)]

"""`commonwatt demo`: the run, its summary, its report."""

import resource
import shutil
import statistics
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import msgspec

from commonwatt.cli.main import DEMO_FOLDER
from commonwatt.errors import InputError
from commonwatt.market.settings import MarketSettings, settings_named
from commonwatt.node.demo import Demonstration, Outcome
from commonwatt.node.errors import FolderUnusable
from commonwatt.node.folder import PART_SUFFIX, PUBLISHED, write_whole
from commonwatt.node.plan import PLAN_FILE, Plan, load_plan, make_plan, read_market, save_plan
from commonwatt.node.wiring import NODE_FOLDER, require_idle
from commonwatt.quantity import decimal_text
from commonwatt.web.report import render
from commonwatt.web.run_report import report_data

REPORT_FILE, SUMMARY_FILE = "report.html", "summary.json"
BYTES_PER_MB, KB_PER_MB = 1_000_000, 1_024
PROGRESS_SECONDS = 0.1
COLUMN = 22
KWH_PLACES = 3
"""A Wh is a thousandth of a kWh: nothing is cut from what is shown."""


class OptionsUnusable(InputError):
    """Options that do not go together."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What `commonwatt demo` was told."""

    scenario: str | None
    days: int | None
    start: str | None
    homes: Path | None
    rule: str | None
    market: Path | None
    chain: str | None
    key: Path | None


def run_demo(options: DemoOptions, out: Path | None, resume: Path | None, *, as_json: bool) -> int:
    """Run it; returns 0 if the audit agrees, 1 if it does not."""
    progress = _Progress(quiet=as_json)
    if resume is not None:
        if out is not None or options != DemoOptions(*[None] * 8):
            raise OptionsUnusable("--resume DIR goes on as DIR was begun: leave other options away")
        folder, plan = resume, load_plan(resume)
        run = Demonstration(plan, folder, progress)
    else:
        folder, plan = out or DEMO_FOLDER, _plan_of(options)
        _require_free(folder, is_default=out is None)
        run = Demonstration(plan, folder, progress, prepare=_begin)
    try:
        outcome = run.run()
    finally:
        progress.finish()
    summary = summary_of(plan, outcome)
    write_whole(folder / REPORT_FILE, [render(report_data(plan, outcome)).encode()])
    text = msgspec.json.encode(summary) + b"\n"
    write_whole(folder / SUMMARY_FILE, [msgspec.json.format(text), b"\n"])
    if as_json:
        sys.stdout.buffer.write(text)
        sys.stdout.flush()
    else:
        _print(summary, outcome, folder)
    return 0 if outcome.audit.difference is None else 1


def _plan_of(options: DemoOptions) -> Plan:
    if options.days is not None and options.days < 1:
        raise OptionsUnusable(f"--days {options.days}: use 1 or more")
    if options.start is not None:
        try:
            date.fromisoformat(options.start)
        except ValueError:
            message = f"--start {options.start!r}: write a day like 2016-06-21"
            raise OptionsUnusable(message) from None
    if (options.chain is None) != (options.key is None):
        raise OptionsUnusable("--chain and --key go together: the key pays for the transactions")
    if options.homes is not None and options.scenario is not None:
        raise OptionsUnusable("--homes and --scenario name two neighbourhoods: leave one away")
    if options.rule is not None and options.market is not None:
        raise OptionsUnusable("--rule and --market name two rules: write the rule into the file")
    market = MarketSettings()
    if options.rule is not None:
        market = settings_named(options.rule)
    elif options.market is not None:
        market = read_market(options.market)
    return make_plan(
        scenario=options.scenario or "suburb",
        days=options.days,
        start=options.start,
        homes=options.homes,
        market=market,
        chain_url=options.chain,
        key_file=options.key,
    )


def _require_free(folder: Path, *, is_default: bool) -> None:
    """Raise `FolderUnusable` rather than write over what somebody keeps."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FolderUnusable(f"{folder}: is a file; choose a directory with --out")
    ours = (folder / PLAN_FILE).is_file()
    # A half-written file is what a crash at the very start leaves: nobody's work.
    kept = [path for path in folder.iterdir() if path.suffix != PART_SUFFIX]
    if not kept or (is_default and ours):
        return
    if ours:
        raise FolderUnusable(
            f"{folder}: holds a run; go on with --resume {folder}, or choose another --out"
        )
    raise FolderUnusable(f"{folder}: is not empty; choose another directory with --out")


def _begin(plan: Plan, folder: Path) -> None:
    """Make the folder a run's, once everything that can be wrong with the input has been found."""
    if (folder / PLAN_FILE).is_file():
        # Only ever the default directory's run before this one; what else is in there stays.
        require_idle(folder)
        for name in (*PUBLISHED, NODE_FOLDER):
            shutil.rmtree(folder / name, ignore_errors=True)
        # The plan goes last: without it, a crash in between would leave files that look foreign.
        for name in (REPORT_FILE, SUMMARY_FILE, PLAN_FILE):
            (folder / name).unlink(missing_ok=True)
    save_plan(plan, folder)


class _Progress:
    """One line on a terminal, written over as things go on; nothing elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._shown = not quiet and sys.stderr.isatty()
        self._last = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._shown or (done < total and now - self._last < PROGRESS_SECONDS):
            return
        self._last = now
        sys.stderr.write(f"\r\033[K{what} {done} of {total}" if total > 1 else f"\r\033[K{what}")
        sys.stderr.flush()

    def finish(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\033[K")


def summary_of(plan: Plan, outcome: Outcome) -> dict[str, object]:
    """What `--json` prints; energy in Wh, money in units and as decimal strings."""
    tally, seconds = outcome.tally, sorted(outcome.close_seconds)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    currency = outcome.community.currency
    bill_with = sum(member.bill_with for member in tally.members)
    bill_without = sum(member.bill_without for member in tally.members)
    return {
        "scenario": outcome.neighbourhood.name,
        "rule": plan.market.rule,
        "key": outcome.community.charter.key_name,
        "chain": outcome.chain_name,
        "participants": len(outcome.community.accounts),
        "meters": len(outcome.community.registrations),
        "intervals": outcome.audit.intervals,
        "interval_s": outcome.community.interval_s,
        "records": outcome.audit.records,
        "rejected": outcome.audit.refused,
        "generation_wh": sum(interval.generation_wh for interval in tally.intervals),
        "consumption_wh": sum(interval.consumption_wh for interval in tally.intervals),
        "exported_wh": tally.exported_wh,
        "imported_wh": tally.imported_wh,
        "local_wh": tally.local_wh,
        "certificates_issued_wh": sum(interval.issued_wh for interval in tally.intervals),
        "certificates_retired_wh": sum(interval.retired_wh for interval in tally.intervals),
        "certificates_stored_wh": sum(interval.stored_wh for interval in tally.intervals),
        "certificates_free_wh": sum(interval.free_wh for interval in tally.intervals),
        "certificates_claimed_wh": outcome.claimed.wh,
        "book_entries": outcome.booked.entries,
        "book_posted": outcome.booked.posted,
        "book_head": outcome.booked.head.hex(),
        "currency": currency.code,
        "paid_total": currency.amount_text(outcome.paid_total),
        "bills_total": currency.amount_text(bill_with),
        "bills_total_without_community": currency.amount_text(bill_without),
        "debt_total": currency.amount_text(sum(max(m.arrears, 0) for m in tally.members)),
        "transactions": outcome.transactions,
        "gas_total": outcome.gas_total,
        "close_seconds_p50": round(statistics.median(seconds), 4) if seconds else 0.0,
        "close_seconds_p99": round(seconds[len(seconds) * 99 // 100], 4) if seconds else 0.0,
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_rss_mb": usage.ru_maxrss * KB_PER_MB // BYTES_PER_MB,
        "root": outcome.audit.last_anchor.hex(),
        "audit": outcome.audit.verdict,
    }


def _print(summary: dict[str, object], outcome: Outcome, folder: Path) -> None:
    """The summary for a person."""
    kwh = {
        key: f"{decimal_text(value, KWH_PLACES)} kWh"
        for key, value in summary.items()
        if key.endswith("_wh") and isinstance(value, int)
    }
    currency, code = outcome.community.currency, outcome.community.currency.code
    members = outcome.tally.members
    bill_with = sum(member.bill_with for member in members)
    saved = sum(member.bill_without for member in members) - bill_with

    def money(units: int) -> str:
        return f"{currency.amount_text(units, 2)} {code}"

    rows = {
        "neighbourhood": f"{summary['scenario']}: {summary['participants']} participants, "
        f"{summary['meters']} meters",
        "closed": f"{summary['intervals']} intervals from {summary['records']:,} signed records "
        f"({summary['rejected']} refused)",
        "made and used": f"{kwh['generation_wh']} generated, {kwh['consumption_wh']} used",
        "through the street": f"{kwh['imported_wh']} taken, {kwh['exported_wh']} given",
        "among neighbours": f"{kwh['local_wh']}, by {summary['rule']}",
        "certificates": f"{kwh['certificates_issued_wh']} issued = "
        f"{kwh['certificates_retired_wh']} retired for neighbours + "
        f"{kwh['certificates_stored_wh']} put into batteries + "
        f"{kwh['certificates_free_wh']} free",
        "kept where": f"{kwh['certificates_claimed_wh']} as tokens on the chain, the rest in the "
        f"book: {summary['book_entries']:,} entries, {summary['book_posted']:,} anchored",
        "bills": f"{money(bill_with)} in all, {money(saved)} less than without the community",
        "paid": f"{money(outcome.paid_total)} moved; 99 of 100 intervals within "
        f"{summary['close_seconds_p99']} s, {outcome.community.grace_s} s after they ended",
        "chain": f"{summary['chain']}: {summary['transactions']} transactions, "
        f"{summary['gas_total']:,} gas",
        "this machine": f"{summary['cpu_seconds']} CPU s, {summary['peak_rss_mb']} MB",
        "last anchor": str(summary["root"]),
        "audit": str(summary["audit"]),
    }
    if not outcome.is_embedded:
        rows["note"] = (
            "a demonstration's members have keys that anybody can compute: test networks only"
        )
    for label, text in rows.items():
        print(f"{label:<{COLUMN}}{text}")
    print()
    print(f"report                {(folder / REPORT_FILE).resolve()}")
    print(f"check it yourself     commonwatt audit {folder}")
    print(f"one member's proofs   commonwatt verify {_a_members_file(folder)}")


def _a_members_file(folder: Path) -> Path:
    """The fullest one: a producer's day with the most trades."""
    files = sorted((folder / "members").glob("*/*.jsonl"))
    return max(files, key=lambda path: path.stat().st_size, default=folder)

"""Take all figures and print them; see the package."""

import argparse
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bench import day, market, node_load, node_quarter_hour, restart
from bench.child import ChildFailed, module
from bench.figure import Figure, Section, failed
from bench.table import lines_of, machine

RUNS = 3

Measurement = tuple[str, Callable[[], list[Section]]]


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--quick", action="store_true", help="fewer runs, no ten days, no pymarket")
    parser.add_argument(
        "--large", action="store_true", help="also a quarter hour of 100,000 meters: ten minutes"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="commonwatt-bench-") as folder:
        sections = [
            section
            for title, take in _measurements(Path(folder), quick=options.quick, large=options.large)
            for section in _taken(title, take)
        ]
    cpu_seconds = _cpu_seconds()
    if options.json:
        text = msgspec.json.format(msgspec.json.encode(_told(sections, cpu_seconds)))
        sys.stdout.write(text.decode() + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines_of(sections, cpu_seconds))


def _measurements(folder: Path, *, quick: bool, large: bool) -> list[Measurement]:
    """What is measured, in order."""
    few = ["--quick"] if quick else []
    taken: list[Measurement] = [
        ("a day of the suburb", lambda: day.measure(folder, 1 if quick else RUNS)),
        ("the first answer", day.measure_help),
        (
            "verification of signed records",
            lambda: msgspec.json.decode(module("signatures", *few).output, type=list[Section]),
        ),
        ("gas", lambda: msgspec.json.decode(module("gas").output, type=list[Section])),
        ("auctions", lambda: market.measure_auctions(folder, quick=quick)),
        ("allocation keys", lambda: market.measure_keys(quick=quick)),
        (
            "the book of certificates",
            lambda: msgspec.json.decode(module("certificates", *few).output, type=list[Section]),
        ),
        (
            "a service's intake",
            lambda: msgspec.json.decode(module("intake", *few).output, type=list[Section]),
        ),
        ("a node under load", lambda: node_load.measure(folder / "node", quick=quick)),
    ]
    if large:
        taken.append(
            (
                "a quarter hour of 100,000 meters",
                lambda: node_quarter_hour.measure(folder / "large", workers=2),
            )
        )
    if not quick:
        taken.append(("restart", lambda: restart.measure(folder / "ten-days")))
    return taken


def _taken(title: str, take: Callable[[], list[Section]]) -> list[Section]:
    """Figures, or one that says why there are none: the others are worth having."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[Kmeasuring {title} ")
        sys.stderr.flush()
    try:
        return take()
    except (ChildFailed, msgspec.DecodeError) as error:
        return [Section(title, (failed(title.replace(" ", "_"), "all of it", str(error)),))]
    finally:
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")


def _cpu_seconds() -> float:
    """Of this process and of all that it ran."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _told(sections: list[Section], cpu_seconds: float) -> dict[str, Any]:
    """For programs: every figure under its name."""
    return {
        "machine": machine(),
        "cpu_seconds": round(cpu_seconds, 2),
        "figures": {
            figure.name: {"value": figure.value, "verdict": figure.verdict, **_without_name(figure)}
            for section in sections
            for figure in section.figures
        },
    }


def _without_name(figure: Figure) -> dict[str, Any]:
    told = msgspec.structs.asdict(figure)
    del told["name"]
    return told


if __name__ == "__main__":
    main()

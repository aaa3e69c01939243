"""The market engine: auctions beside plain Python and pymarket, growth, memory, allocation keys.

All of it is measured in children. What starts them stays small, for a process's peak memory is
never less than what its parent had when it began.
"""

from pathlib import Path

import msgspec

from bench import peer
from bench.auctions import MILLION, Sized
from bench.child import ChildFailed, module
from bench.figure import Figure, Section, failed

RULES = {
    "uniform_price": "an auction at one price, beside others on the same book",
    "pay_as_bid": "an auction pay as bid, beside others on the same book",
}
MEMORY_MB_MAX = 500.0


def measure_auctions(folder: Path, *, quick: bool) -> list[Section]:
    """Both rules at all sizes, and preference rounds.

    A quick run takes the first rule only, and leaves out growth and pymarket.
    """
    rules = list(RULES)[:1] if quick else RULES
    missing: list[Section] = []
    python = None
    if not quick:
        try:
            python = peer.environment()
        except ChildFailed as error:
            # Ours are worth having without it.
            why = failed("pymarket", "installing it", str(error))
            missing.append(Section("pymarket on the same books", (why,)))
    sections = [_auctions(rule, folder, python, quick=quick) for rule in rules]
    preferences = msgspec.json.decode(module("auctions", "preferences").output, type=list[Figure])
    title = "preference rounds (partners, places, qualities), then one price for the rest"
    return [*sections, *missing, Section(title, tuple(preferences))]


def measure_keys(*, quick: bool) -> list[Section]:
    """Every key over a month of 500 members, each in a process of its own."""
    few = ["--quick"] if quick else []
    figures: list[Figure] = []
    peaks: dict[str, float] = {}
    for name in msgspec.json.decode(module("allocation", *few).output, type=list[str]):
        ran = module("allocation", name, *few)
        figures.append(msgspec.json.decode(ran.output, type=Figure))
        peaks[name] = ran.peak_mb
    largest = max(peaks, key=peaks.__getitem__)
    most = _memory("allocation_memory_mb", f"most memory ({largest})", peaks[largest])
    return [Section("allocation keys: 500 members, 2,976 quarter hours", (*figures, most))]


def _auctions(rule: str, folder: Path, python: Path | None, *, quick: bool) -> Section:
    """One rule; `python` is pymarket's, where there is one."""
    few = ["--quick"] if quick else []
    sizes = msgspec.json.decode(module("auctions", rule, *few).output, type=list[Sized])
    figures: list[Figure] = []
    for size in sizes:
        figures += size.figures
        if python is not None:
            figures += peer.figures(python, rule, size.orders, size.gain, folder)
    if not quick:
        grown = module("auctions", rule, "--growth").output
        figures += msgspec.json.decode(grown, type=list[Figure])
    peak_mb = module("auctions", rule, "--once").peak_mb
    figures.append(_memory(f"{rule}_memory_mb", f"memory at {MILLION:,}", peak_mb))
    return Section(RULES[rule], tuple(figures))


def _memory(name: str, what: str, peak_mb: float) -> Figure:
    """A whole process: interpreter, libraries, the book."""
    return Figure(name=name, what=what, unit="MB", target=MEMORY_MB_MAX, runs=(peak_mb,), digits=0)

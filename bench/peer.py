"""pymarket on the same books, as far as it comes.

pymarket (https://github.com/gus0k/pymarket, MIT) holds three double auctions for research. Two have
a counterpart here: Huang's, with one price for all buyers and one for all sellers, beside our one
price; its peer-to-peer trading, which lets pairs meet at random and trade midway between their
limits, beside our pay as bid. MUDA clears each half of the book at the other half's price. Their
gain is counted by the limits, so what they keep for the market's operator is part of it. None of
them bars a participant from trading with itself.

It is only run here, never imported nor shipped: it gets an environment of its own in `.tools`,
which is made on the first run and kept.
"""

import sys
from pathlib import Path

import msgspec

from bench.child import REPOSITORY, ChildFailed, module, run
from bench.figure import Figure, failed

HOME = REPOSITORY / ".tools" / "pymarket"
PINS = ("pymarket==0.7.6", "pandas==2.3.3", "numpy>=2,<3")
"""With pandas 3 it fails: it writes to values that are read-only since."""
BESIDE = {"uniform_price": ("huang", "muda"), "pay_as_bid": ("p2p",)}
"""Its mechanisms, by our rule that comes closest."""
ORDERS = (1_000, 10_000)
PERCENT = 100


class Told(msgspec.Struct):
    """What `in_pymarket` prints."""

    ms: float = 0.0
    gain: float = 0.0
    failure: str | None = None


def figures(python: Path, rule: str, orders: int, best_gain: int, folder: Path) -> list[Figure]:
    """Its mechanisms on the book of so many orders.

    Args:
        python: the interpreter of its environment.
        rule: ours, beside which they are shown.
        orders: how many; none but `ORDERS` are tried.
        best_gain: the most that any matching of that book gains, in units.
        folder: for the book.
    """
    if orders not in ORDERS:
        return []
    book = folder / f"book-{orders}.json"
    book.write_bytes(module("books", str(orders)).output)
    return [
        figure
        for mechanism in BESIDE[rule]
        for figure in _run(
            python, mechanism, book, f"{rule}_{orders}_pymarket_{mechanism}", best_gain
        )
    ]


def _run(python: Path, mechanism: str, book: Path, name: str, best_gain: int) -> list[Figure]:
    """How long one mechanism takes and what it gains, or why neither can be told."""
    what, script = f"  pymarket, {mechanism}", Path(__file__).with_name("in_pymarket.py")
    try:
        # -I, or the modules beside the script would hide others of the same name.
        ran = run([str(python), "-I", "-W", "ignore", str(script), mechanism, str(book)])
    except ChildFailed as error:
        return [failed(f"{name}_ms", what, str(error))]
    told = msgspec.json.decode(ran.output, type=Told)
    if told.failure is not None:
        return [failed(f"{name}_ms", what, told.failure)]
    time = Figure(
        name=f"{name}_ms",
        what=what,
        unit="CPU ms",
        runs=(told.ms,),
        digits=0,
        cpu_seconds=ran.cpu_seconds,
    )
    gain = Figure(
        name=f"{name}_gain_percent",
        what="    its gain, of the most there is",
        unit="%",
        runs=(PERCENT * told.gain / best_gain,),
        digits=1,
    )
    return [time, gain]


def environment() -> Path:
    """Its Python; installs it where it is not yet, or with other pins; raises `ChildFailed`."""
    python, marker, pins = HOME / "bin" / "python", HOME / ".installed", "\n".join(PINS)
    if not marker.exists() or marker.read_text() != pins:
        run([sys.executable, "-m", "venv", "--clear", str(HOME)])
        pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        run([*pip, "install", *PINS])
        marker.write_text(pins)
    return python

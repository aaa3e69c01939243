"""A child: seconds of one allocation key over a month of 500 members.

`allocation` prints the names of what there is to measure, `allocation NAME` the figure, as JSON;
with `--quick` fewer names, and fewer runs.

Half of the members have a roof; a plant of the community's runs day and night, so that no interval
is without energy to deal out. In more than half of the intervals there is less than is needed.
"""

import sys
import time
from collections.abc import Callable

import msgspec
import numpy as np

from bench.figure import Figure
from commonwatt.market.columns import IntColumn
from commonwatt.market.keys import KEYS, PERCENT_ALL, SHARE_ONE, Key, Pairs
from commonwatt.market.share import Pool, share

MEMBERS, STEPS, STEPS_PER_DAY, STEPS_PER_HOUR = 500, 2_976, 96, 4
"""A month of quarter hours."""
RUNS, QUICK_RUNS = 3, 1
SECONDS_MAX = 3.0
USE_MAX, ROOF_MAX, PLANT_MAX = 1_500, 8_000, 400_000
"""Wh in a quarter hour."""
SHARE_MAX = SHARE_ONE // MEMBERS
"""Shares below this sum to less than 1."""
RANKS = 20
PRODUCERS, MANY_PRODUCERS = 10, 50
BEYOND = "pairs_of_many"
"""More pairs than the target is about."""


def main(name: str, runs: int) -> Figure:
    """Checking the energies and dealing them out, several times."""
    spent = time.process_time()
    draw = np.random.default_rng(MEMBERS)
    used = draw.integers(0, USE_MAX, (STEPS, MEMBERS))
    roofs = draw.integers(0, ROOF_MAX, MEMBERS) * draw.integers(0, 2, MEMBERS)
    produced = draw.integers(0, _sun_percent()[:, np.newaxis] + 1, (STEPS, MEMBERS))
    produced = produced * roofs // PERCENT_ALL
    plant = draw.integers(0, PLANT_MAX, STEPS)
    what, made = _cases()[name]
    key = made(draw)
    taken = []
    for _ in range(1 if name == BEYOND else runs):
        started = time.process_time()
        share(Pool(produced, used, plant), key)
        taken.append(time.process_time() - started)
    return Figure(
        name=f"allocation_{name}_seconds",
        what=what,
        unit="CPU s",
        target=None if name == BEYOND else SECONDS_MAX,
        runs=tuple(taken),
        cpu_seconds=time.process_time() - spent,
    )


def _cases() -> dict[str, tuple[str, Callable[[np.random.Generator], Key]]]:
    """Every key there is, and what needs more work than its plain form."""
    cases = {name: (name, _plain(name)) for name in KEYS}
    pairs = f"pairs, {PRODUCERS} producers to all"
    return cases | {
        "participation": (
            "dynamic, taking part by percent",
            lambda draw: Key("dynamic", percent=draw.integers(1, PERCENT_ALL + 1, MEMBERS)),
        ),
        "pairs": (pairs, lambda draw: Key("pairs", pairs=_pairs(draw, PRODUCERS, 1))),
        "pairs_by_step": (
            f"{pairs}, by step",
            lambda draw: Key("pairs", pairs=_pairs(draw, PRODUCERS, STEPS)),
        ),
        BEYOND: (
            f"pairs, {MANY_PRODUCERS} producers to all",
            lambda draw: Key("pairs", pairs=_pairs(draw, MANY_PRODUCERS, 1)),
        ),
    }


def _plain(name: str) -> Callable[[np.random.Generator], Key]:
    """A key by name, by step wherever it can be."""
    needs = KEYS[name]

    def made(draw: np.random.Generator) -> Key:
        shape = (STEPS, MEMBERS) if needs.steps else (MEMBERS,)
        return Key(
            name,
            shares=draw.integers(1, SHARE_MAX, shape) if needs.shares else None,
            priority=draw.integers(0, RANKS, MEMBERS) if needs.priority else None,
            steps_per_hour=STEPS_PER_HOUR,
        )

    return made


def _pairs(draw: np.random.Generator, producers: int, steps: int) -> Pairs:
    """The plant and the first members, each to all members."""
    producer = np.repeat(np.append(np.arange(producers - 1), MEMBERS), MEMBERS)
    shares = draw.integers(1, SHARE_MAX, (steps, len(producer)))
    consumer = np.tile(np.arange(MEMBERS), producers)
    return Pairs(producer, consumer, shares if steps > 1 else shares[0])


def _sun_percent() -> IntColumn:
    """Of a roof's most, by step: a triangle from six to eighteen hours."""
    of_day = np.abs(np.arange(STEPS) % STEPS_PER_DAY - STEPS_PER_DAY // 2)
    percent: IntColumn = PERCENT_ALL - np.minimum(
        of_day * 4 * PERCENT_ALL // STEPS_PER_DAY, PERCENT_ALL
    )
    return percent


if __name__ == "__main__":
    quick = "--quick" in sys.argv
    if sys.argv[1:2] in ([], ["--quick"]):
        names = [name for name in _cases() if name != BEYOND or not quick]
        sys.stdout.buffer.write(msgspec.json.encode(names))
    else:
        figure = main(sys.argv[1], QUICK_RUNS if quick else RUNS)
        sys.stdout.buffer.write(msgspec.json.encode(figure))

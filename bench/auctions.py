"""A child: seconds of one auction, beside plain Python on the same books, in turns.

`auctions RULE [--quick]` times a rule at all sizes; `--growth` compares two of them; `--once`
clears one book of a million orders and prints nothing, for its memory; `auctions preferences` times
an auction with preference rounds before it. A timed run begins with columns and ends with the
result: checking the orders before and the trades after is part of it. Prints figures as JSON.
"""

import gc
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

import msgspec

from bench import books, yardstick
from bench.figure import Figure
from commonwatt.market.auction import PAY_AS_BID, UNIFORM_PRICE, Terms, auction
from commonwatt.market.orders import OrderBook

ROUNDS = {1_000: (101, 21), 10_000: (31, 7), 100_000: (9, 3), 1_000_000: (3, 1)}
"""By number of orders, and how many of them in a quick run."""
MILLION = 1_000_000
TARGETS_MS = {1_000: 2.0, 10_000: 15.0, 100_000: 150.0, MILLION: 2_000.0}
"""For one price; nobody has asked for others."""
GROWTH_FROM, GROWTH_ROUNDS, GROWTH_CALLS = 10_000, 5, 20
"""From how many orders, in how many rounds, with how many calls at the lesser size in each."""
GROWTH_MAX = 1.0
"""Of n log n."""
PREFERENCE_ORDERS, PREFERENCE_ROUNDS, PREFERENCE_MS = 10_000, 9, 300.0
MS_PER_S = 1_000
DIGITS_UP_TO = 10_000
"""Books up to this size are cleared in a few milliseconds, and shown with decimals."""


Work: TypeAlias = Callable[[], object]
"""One run of what is timed."""


class Sized(msgspec.Struct):
    """The figures of one size."""

    orders: int
    figures: tuple[Figure, ...]
    gain: int
    """The most that any matching gains, in units."""


def main(rule: str, *, quick: bool) -> list[Sized]:
    """One rule, at all sizes."""
    return [_sized(rule, orders, ROUNDS[orders][quick], large=not quick) for orders in ROUNDS]


def growth(rule: str) -> list[Figure]:
    """How much longer a million orders take than ten thousand, by how much more n log n is."""
    more = MILLION * math.log(MILLION) / (GROWTH_FROM * math.log(GROWTH_FROM))
    few, many = _works(rule, GROWTH_FROM), _works(rule, MILLION)
    named = (
        ("growth", f"growth from {GROWTH_FROM:,}, n log n is 1", GROWTH_MAX),
        ("growth_plain", "  plain Python", None),
    )
    figures = []
    for (name, what, target), less, work in zip(named, few, many, strict=True):
        spent = time.process_time()
        ratios = []
        for _ in range(GROWTH_ROUNDS):
            [longer] = _turns([work], 1)
            [shorter] = _turns([less], GROWTH_CALLS)
            ratios.append(longer[0] / statistics.median(shorter) / more)
        figures.append(
            Figure(
                name=f"{rule}_{name}",
                what=what,
                unit="x",
                target=target,
                runs=tuple(ratios),
                cpu_seconds=time.process_time() - spent,
            )
        )
    return figures


def once(rule: str) -> None:
    """A million orders, cleared once."""
    auction(OrderBook(*books.sides(MILLION)), Terms(rule))


def preferences() -> list[Figure]:
    """Everybody has partners; places, qualities and premiums are drawn."""
    wishes, sides = books.wishes(PREFERENCE_ORDERS), books.sides(PREFERENCE_ORDERS)
    spent = time.process_time()
    runs = _turns([lambda: auction(OrderBook(*sides), Terms(), wishes)], PREFERENCE_ROUNDS)
    return [
        Figure(
            name="preference_rounds_ms",
            what=f"{PREFERENCE_ORDERS:,} orders",
            unit="CPU ms",
            target=PREFERENCE_MS,
            runs=runs[0],
            digits=1,
            cpu_seconds=time.process_time() - spent,
        )
    ]


def _works(rule: str, orders: int) -> tuple[Work, Work]:
    """Ours and plain Python's, on the same book."""
    sides, terms = books.sides(orders), Terms(rule)
    bids, offers = map(books.rows, sides)
    plain = yardstick.at_one_price if rule == UNIFORM_PRICE else yardstick.at_own_prices
    pairs = yardstick.matched(bids, offers)
    if auction(OrderBook(*sides), terms).gain != yardstick.gain_of(pairs, bids, offers):
        raise RuntimeError(f"{rule}: another gain than plain Python's on the same book")
    return lambda: auction(OrderBook(*sides), terms), partial(plain, bids, offers)


def _sized(rule: str, orders: int, rounds: int, *, large: bool) -> Sized:
    spent = time.process_time()
    sides, terms = books.sides(orders), Terms(rule)
    ours, theirs = _turns(_works(rule, orders), rounds)
    digits = 2 if orders <= DIGITS_UP_TO else 0
    name = f"{rule}_{orders}"
    figure = partial(Figure, unit="CPU ms", digits=digits)
    figures = [
        figure(
            name=f"{name}_ms",
            what=f"{orders:,} orders",
            target=TARGETS_MS[orders] if rule == UNIFORM_PRICE else None,
            runs=ours,
        ),
        figure(name=f"{name}_plain_ms", what="  plain Python", runs=theirs),
    ]
    if large and orders == MILLION:
        held = books.with_large(*sides)
        runs = _turns([lambda: auction(OrderBook(*held), terms)], rounds)
        what = f"  {books.LARGE_PERCENT} % are one participant's"
        figures.append(figure(name=f"{name}_one_large_ms", what=what, runs=runs[0]))
    figures[0] = msgspec.structs.replace(figures[0], cpu_seconds=time.process_time() - spent)
    return Sized(orders, tuple(figures), auction(OrderBook(*sides), terms).gain)


def _turns(works: Iterable[Work], rounds: int) -> list[tuple[float, ...]]:
    """Milliseconds of each, taking turns: whatever else the machine does hits all of them."""
    listed = [(work, list[float]()) for work in works]
    for _ in range(rounds):
        for work, taken in listed:
            gc.collect()
            started = time.process_time()
            result = work()
            taken.append(MS_PER_S * (time.process_time() - started))
            del result
    return [tuple(taken) for _, taken in listed]


if __name__ == "__main__":
    what = sys.argv[1]
    if "--once" in sys.argv:
        once(what)
    elif "--growth" in sys.argv:
        sys.stdout.buffer.write(msgspec.json.encode(growth(what)))
    elif what in {UNIFORM_PRICE, PAY_AS_BID}:
        sys.stdout.buffer.write(msgspec.json.encode(main(what, quick="--quick" in sys.argv)))
    else:
        sys.stdout.buffer.write(msgspec.json.encode(preferences()))

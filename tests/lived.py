"""A street that has lived through an evening and past midnight, for auditors to look at."""

from collections.abc import Callable
from dataclasses import replace

from commonwatt.audit.facts import SUPPLIER_LANE, ChainFacts
from commonwatt.audit.recompute import Audit, audit
from commonwatt.quantity import Interval
from commonwatt.statement.close import Inputs
from street import EURO, MemoryFiles, Street

EVENING = Interval.parse("2016-06-21T23:15:00Z", 900)
DAYS = ("2016-06-21", "2016-06-22")
PRODUCER, NEIGHBOUR, POOR = range(3)

Rewriting = Callable[[int, Inputs], Inputs]
"""What an operator makes of the inputs of the interval with this number."""


def honest(_: int, inputs: Inputs) -> Inputs:
    return inputs


def lived_in(rewriting: Rewriting = honest) -> Street:
    """Five intervals: trades, a deposit, a withdrawal, a lost record, a forgery, a gap."""
    street = Street(members=3, producers=2, batteries=1, start=EVENING, balance=EURO // 2)
    for number in range(5):
        taken = [0, 30 * number, 700 + number]
        gave = [900 + number, 40, 0]
        batch = street.measure(taken, gave, [1_000 + number, 25], [-10 * number])
        if number == 1:
            forger = street.grid[PRODUCER].key
            batch[NEIGHBOUR] = forger.sign(batch[NEIGHBOUR].record)
            street.move(POOR, 3 * EURO)
        if number == 3:
            street.move(SUPPLIER_LANE, -EURO)
        street.conclude(rewriting(number, street.inputs(batch)))
    return street


def judged(files: dict[str, bytes], facts: ChainFacts) -> Audit:
    """The audit of these files against these facts."""
    return audit(MemoryFiles(files), facts)


def only_in(number: int, **changes: object) -> Rewriting:
    """Change the inputs of one interval."""
    return lambda at, inputs: replace(inputs, **changes) if at == number else inputs

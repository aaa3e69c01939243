"""A street that has lived through an evening and past midnight, for auditors to look at."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from commonwatt.audit.facts import SUPPLIER_LANE, ChainFacts
from commonwatt.audit.recompute import Audit, audit
from commonwatt.market.book import Limits
from commonwatt.market.settings import (
    ContractSettings,
    GridSettings,
    LevelSettings,
    MarketSettings,
    MemberSettings,
    WindowSettings,
)
from commonwatt.quantity import Interval
from commonwatt.statement.close import Inputs
from street import EURO, MemoryFiles, Street

EVENING = Interval.parse("2016-06-21T23:15:00Z", 900)
DAYS = ("2016-06-21", "2016-06-22")
PRODUCER, NEIGHBOUR, POOR = range(3)

GRID = GridSettings(
    levels=(
        LevelSettings("building", fee="0.01"),
        LevelSettings("transformer", reduction_percent=57),
    ),
    windows=(WindowSettings("23:30", "24:00", factor_percent=80),),
)
PLACES = (("north", "one"), ("north", "one"), ("south", "one"))
PROMISED = ContractSettings(
    seller=PRODUCER,
    buyer=POOR,
    price="0.1",
    start="2016-06-21T23:30:00Z",
    end="2016-06-22T00:15:00Z",
    volume_wh=90,
)
BY_SHARES = MarketSettings(
    key="static",
    grid=GRID,
    contracts=(PROMISED,),
    members=(
        MemberSettings(PRODUCER, place=PLACES[PRODUCER], participation_percent=90),
        MemberSettings(NEIGHBOUR, place=PLACES[NEIGHBOUR], share="0.3"),
        MemberSettings(POOR, place=PLACES[POOR], share="0.6"),
    ),
)
BY_BIDS = MarketSettings(
    rule="uniform_price",
    grid=GRID,
    building_level="building",
    contracts=(PROMISED,),
    members=(
        MemberSettings(PRODUCER, place=PLACES[PRODUCER], sells="green"),
        MemberSettings(NEIGHBOUR, place=PLACES[NEIGHBOUR]),
        MemberSettings(
            POOR, place=PLACES[POOR], partners=(NEIGHBOUR,), quality="green", premium="0.02"
        ),
    ),
)
USUAL = MarketSettings()
LIMITS = (Limits(20_000, 9_000), Limits(18_000, 10_000), Limits(15_000, 8_000))

Rewriting = Callable[[int, Inputs], Inputs]
"""What an operator makes of the inputs of the interval with this number."""


def honest(_: int, inputs: Inputs) -> Inputs:
    return inputs


def lived_in(
    rewriting: Rewriting = honest,
    market: MarketSettings = USUAL,
    limits: Sequence[Limits] = (),
) -> Street:
    """Five intervals: trades, a deposit, a withdrawal, a lost record, a forgery, a gap."""
    street = Street(
        members=3, producers=2, batteries=1, market=market, start=EVENING, balance=EURO // 2
    )
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
        street.conclude(rewriting(number, street.inputs(batch, limits)))
    return street


def judged(files: dict[str, bytes], facts: ChainFacts) -> Audit:
    """The audit of these files against these facts."""
    return audit(MemoryFiles(files), facts)


def only_in(number: int, **changes: object) -> Rewriting:
    """Change the inputs of one interval."""
    return lambda at, inputs: replace(inputs, **changes) if at == number else inputs

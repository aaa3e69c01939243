"""The rules a community can trade by, and the numbers that stand for them in a statement."""

from typing import NamedTuple

from commonwatt.errors import InputError
from commonwatt.market.auction import AUCTIONS, PAY_AS_BID, PAY_AS_OFFER, UNIFORM_PRICE

DEFAULT_RULE = "mid_market_rate"


class RuleUnknown(InputError):
    """No clearing rule has this name."""


class Rule(NamedTuple):
    """What is known of a rule before anything is cleared by it."""

    number: int
    """In a statement's header, and in its trades."""
    needs_limits: bool
    """Whether members have standing limit prices: it is an auction."""


RULES = {
    DEFAULT_RULE: Rule(1, needs_limits=False),
    UNIFORM_PRICE: Rule(2, needs_limits=True),
    "supply_demand_ratio": Rule(3, needs_limits=False),
    "fixed_price": Rule(4, needs_limits=False),
    "bill_sharing": Rule(5, needs_limits=False),
    PAY_AS_BID: Rule(6, needs_limits=True),
    PAY_AS_OFFER: Rule(7, needs_limits=True),
}
PREFERENCE, CONTRACT = 100, 101
"""In a trade's leaf, for what preference rounds and contracts moved before the rule."""
AUCTIONED = frozenset(AUCTIONS)


def rule_named(name: str) -> Rule:
    """The rule of this name; `RuleUnknown` lists the ones there are."""
    try:
        return RULES[name]
    except KeyError:
        raise RuleUnknown(f"no clearing rule {name!r}: use one of {', '.join(RULES)}") from None

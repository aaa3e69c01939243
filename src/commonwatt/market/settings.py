"""What a community writes down about its market: one document, the same in TOML and published.

Prices and shares are decimal strings, times are ISO 8601 with their offset, members are numbers
from 0. What is left away has the value named here.
"""

import msgspec

from commonwatt.errors import InputError
from commonwatt.market.auction import MIDPOINT
from commonwatt.market.catalogue import DEFAULT_RULE, rule_named
from commonwatt.market.keys import KEYS

SETTINGS_BYTES_MAX = 16_000_000


class SettingsUnusable(InputError):
    """A community's market settings that cannot be read, or do not go together."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the document; what has its usual value is not written."""


class MemberSettings(_Part, frozen=True):
    """One member's part."""

    member: int
    share: str | None = None
    """Of the pool, for the keys that ask; equal shares where no member has one."""
    priority: int = 1
    """Lower numbers are served first by the key `priority`."""
    participation_percent: int = 100
    """The part of its energy with which it takes part here."""
    place: tuple[str, ...] = ()
    """Where it is in the grid, outermost level first."""
    partners: tuple[int, ...] = ()
    """Members it would buy from first, best first."""
    quality: str | None = None
    """What it asks for: `green` or `local`."""
    premium: str = "0"
    """What it pays above its bid for that, per kWh."""
    takes_rest: bool = True
    """Whether it buys in the auction over all, too."""
    sells: str | None = None
    """What its offers carry: `green` or `local`."""


class LevelSettings(_Part, frozen=True):
    """One level of the grid."""

    name: str
    fee: str | None = None
    """Per kWh; or else ..."""
    reduction_percent: int | None = None
    """... how much less than the supplier's grid fee."""


class WindowSettings(_Part, frozen=True):
    """Hours of other grid fees, in UTC."""

    start: str
    """As 17:00."""
    end: str
    """The first minute outside, as 21:00; 24:00 is midnight."""
    factor_percent: int
    weekdays: tuple[int, ...] = tuple(range(7))
    """Monday is 0."""


class GridSettings(_Part, frozen=True):
    """Grid fees by nearness."""

    levels: tuple[LevelSettings, ...]
    """Innermost first."""
    windows: tuple[WindowSettings, ...] = ()
    rounded_to: str | None = None
    """Reduced fees are multiples of this, per kWh; whole units, rounded down, unless given."""


class ContractSettings(_Part, frozen=True):
    """A long-term contract."""

    seller: int
    buyer: int
    price: str
    """Per kWh, without grid fee."""
    start: str
    end: str
    volume_wh: int | None = None
    """Per interval; or else ..."""
    share: str | None = None
    """... of what the seller has to offer."""


class PairSettings(_Part, frozen=True):
    """How much of a producer's offer a consumer gets, by the key `pairs`."""

    producer: int
    consumer: int
    share: str


class StepSettings(_Part, frozen=True):
    """Shares that hold from a time on, fixed beforehand, for the key `coefficients`."""

    start: str
    shares: tuple[str, ...]
    """By member."""


class MarketSettings(_Part, frozen=True):
    """The document."""

    rule: str = DEFAULT_RULE
    key: str | None = None
    """How energy without bids is shared; `dynamic` unless given."""
    price: str | None = None
    """The local price per kWh, for the rule `fixed_price`."""
    price_rule: str = MIDPOINT
    split: str = "1/2"
    building_level: str | None = None
    """The grid level whose members trade with each other first, for auctions."""
    grid: GridSettings | None = None
    contracts: tuple[ContractSettings, ...] = ()
    """In the order in which they were signed."""
    members: tuple[MemberSettings, ...] = ()
    pairs: tuple[PairSettings, ...] = ()
    coefficients: tuple[StepSettings, ...] = ()
    """In order of time; each holds until the next begins."""


def settings_named(name: str) -> MarketSettings:
    """A rule by its name, with everything else as usual; an allocation key by its name, too.

    A key alone means that what it deals out costs the mid-market rate.
    """
    if name in KEYS:
        return MarketSettings(key=name)
    rule_named(name)
    return MarketSettings(rule=name)

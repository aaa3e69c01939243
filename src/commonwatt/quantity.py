"""Whole numbers: energy, money, prices, intervals, and how a division ends.

Energy is integer milliwatt-hours inside records and integer watt-hours everywhere else. Money is
an integer count of the ledger's unit, 10**-decimals of its currency. A price is whole units per
watt-hour, so `wh * price` is exact and money is never rounded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import NewType

from commonwatt.errors import InputError

MilliWattHours = NewType("MilliWattHours", int)
WattHours = NewType("WattHours", int)
Units = NewType("Units", int)
UnitsPerWh = NewType("UnitsPerWh", int)

MWH_PER_WH = 1_000
WH_PER_KWH = 1_000
SECONDS_PER_HOUR = 3_600
SECONDS_PER_DAY = 24 * SECONDS_PER_HOUR
INTERVAL_SECONDS_MIN, INTERVAL_SECONDS_MAX = 60, SECONDS_PER_HOUR
TIME_MAX = 2**37
"""No time we read is later: some four thousand years from 1970."""
PRICE_PER_WH_MAX = 10**9
"""No price above this, 10,000 euro a kWh: with up to 18 GWh an amount stays below 2**64."""
DECIMALS_MIN, DECIMALS_MAX = 3, 18
"""A price per kWh has three decimals fewer than an amount; no token has more than 18."""
NUMBER_TEXT_MAX = 60
"""No price or amount needs more characters."""


class NotANumber(InputError):
    """A decimal string that is not one, or has more places than the ledger can hold."""


class BadInterval(InputError):
    """A time or length that no interval can have."""


class CurrencyUnusable(InputError):
    """A currency with so few or so many decimals that no ledger can count in it."""


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """The half-open time `[start, start + duration)` in UTC seconds.

    >>> Interval.parse("2016-06-21T12:00:00Z", 900).end_text
    '2016-06-21T12:15:00Z'
    """

    start: int
    """First second inside."""
    duration: int
    """Length in seconds; divides the hour."""

    def __post_init__(self) -> None:
        """Refuse lengths that do not divide the hour and starts off the grid (rule R6)."""
        lengths = INTERVAL_SECONDS_MIN <= self.duration <= INTERVAL_SECONDS_MAX
        if not lengths or SECONDS_PER_HOUR % self.duration:
            raise BadInterval(
                f"an interval of {self.duration} s: use 60 to 3600 s that divide the hour"
            )
        if self.start % self.duration:
            raise BadInterval(
                f"an interval of {self.duration} s cannot start at {self.start}: it is off the grid"
            )
        if not 0 <= self.start < TIME_MAX:
            raise BadInterval(f"an interval cannot start at {self.start}: use 0 to {TIME_MAX - 1}")

    @classmethod
    def parse(cls, text: str, duration: int) -> "Interval":
        """The interval of `duration` seconds that starts at an ISO 8601 time with its offset."""
        return cls(parse_time(text), duration)

    @property
    def end(self) -> int:
        """The first second after the interval."""
        return self.start + self.duration

    @property
    def before(self) -> "Interval":
        """The one that ends where this one starts."""
        return Interval(self.start - self.duration, self.duration)

    @property
    def next(self) -> "Interval":
        """The interval that starts where this one ends."""
        return Interval(self.end, self.duration)

    @property
    def start_text(self) -> str:
        """The start as ISO 8601 in UTC."""
        return time_text(self.start)

    @property
    def end_text(self) -> str:
        """The end as ISO 8601 in UTC."""
        return time_text(self.end)


def time_text(seconds: int) -> str:
    """UTC seconds as ISO 8601.

    >>> time_text(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> int:
    """UTC seconds of an ISO 8601 time that names its offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInterval(f"{text!r} is not a time: write 2016-06-21T12:00:00Z") from None
    if moment.tzinfo is None:
        raise BadInterval(f"{text!r} has no time zone: add Z for UTC, or an offset like +02:00")
    if moment.microsecond:
        raise BadInterval(f"{text!r} is between two seconds: write whole ones")
    return int(moment.timestamp())


@dataclass(frozen=True, slots=True)
class Currency:
    """The money of a ledger: an ISO 4217 code and how many decimals a unit has."""

    code: str = "EUR"
    decimals: int = 8

    def __post_init__(self) -> None:
        """Refuse decimals in which prices cannot be written."""
        if not DECIMALS_MIN <= self.decimals <= DECIMALS_MAX:
            raise CurrencyUnusable(
                f"{self.code} with {self.decimals} decimals: use {DECIMALS_MIN} to {DECIMALS_MAX}"
            )

    def price(self, text: str) -> UnitsPerWh:
        """Whole units per Wh from a decimal string per kWh.

        >>> Currency().price("0.30")
        30000
        """
        return UnitsPerWh(scaled(text, self.decimals - 3, "a price per kWh", PRICE_PER_WH_MAX))

    def amount(self, text: str) -> Units:
        """Whole units from a decimal string of the currency."""
        return Units(scaled(text, self.decimals, "an amount", 2**63 - 1))

    def price_text(self, price: int) -> str:
        """A price as a decimal string per kWh.

        >>> Currency().price_text(30_000)
        '0.30000'
        """
        return decimal_text(price, self.decimals - 3)

    def amount_text(self, units: int, places: int | None = None) -> str:
        """An amount as a decimal string; `places` cuts it towards zero, for display only.

        >>> Currency().amount_text(-123_456_789), Currency().amount_text(-123_456_789, 2)
        ('-1.23456789', '-1.23')
        """
        if places is not None and places < self.decimals:
            cut = 10 ** (self.decimals - places)
            units = -(-units // cut) if units < 0 else units // cut
            return decimal_text(units, places)
        return decimal_text(units, self.decimals)


def scaled(text: str, places: int, what: str, limit: int) -> int:
    """A decimal string as a whole count of 10**-places, from 0 to `limit`.

    Raises:
        NotANumber: for other texts, too many decimals, and what is outside; names `what` it is.

    >>> scaled("0.5", 9, "a share", 10**9)
    500000000
    """
    try:
        value = Decimal(text)
        readable = value.is_finite() and len(text) <= NUMBER_TEXT_MAX
    except (InvalidOperation, ValueError, TypeError):
        readable = False
    # An exponent of a billion is written in ten characters and fills the memory.
    if not readable or abs(value.adjusted()) > NUMBER_TEXT_MAX:
        raise NotANumber(f"{what}: {text!r:.80} is not a decimal number like 0.30")
    scaled = Fraction(value) * 10**places
    if scaled.denominator != 1:
        raise NotANumber(f"{what}: {text!r} has more than {places} decimals; shorten it")
    if not 0 <= scaled <= limit:
        raise NotANumber(f"{what}: {text!r} is outside 0 to {decimal_text(limit, places)}")
    return int(scaled)


def decimal_text(value: int, places: int) -> str:
    """An integer count of 10**-places as a decimal string.

    >>> decimal_text(-5, 2)
    '-0.05'
    """
    sign, digits = "-" if value < 0 else "", str(abs(value)).rjust(places + 1, "0")
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


def register_difference(before: MilliWattHours, now: MilliWattHours) -> WattHours:
    """Whole Wh between two readings, floored each, so that intervals add up to the register.

    >>> register_difference(MilliWattHours(1_999), MilliWattHours(2_000))
    1
    """
    return WattHours(now // MWH_PER_WH - before // MWH_PER_WH)


def split_exactly(total: int, weights: Sequence[int]) -> list[int]:
    """Divide `total` in proportion to `weights`: largest remainder, ties to the lower index.

    Each share is the floor of its exact part, plus one where (remainder, earlier index) lies at or
    above a threshold; so a claimed result can be checked without sorting. Shares sum to `total`.

    Args:
        total: what to divide, >= 0.
        weights: whole numbers >= 0, one per share; their sum is > 0 unless `total` is 0.

    >>> split_exactly(10, [1, 1, 1])
    [4, 3, 3]
    """
    whole = sum(weights)
    if total == 0:
        return [0] * len(weights)
    if whole <= 0 or total < 0:
        raise ValueError(f"cannot split {total} over weights that sum to {whole}")
    shares, remainders = [], []
    for index, weight in enumerate(weights):
        share, remainder = divmod(total * weight, whole)
        shares.append(share)
        remainders.append((-remainder, index))
    left = total - sum(shares)
    if left:
        for _, index in sorted(remainders)[:left]:
            shares[index] += 1
    return shares


def side_by_side(left: Iterable[int], right: Iterable[int]) -> list[tuple[int, int, int]]:
    """Pair two lists of amounts with equal sums by laying them along one line.

    Returns `(left index, right index, amount)` for each overlap, at most one fewer than there are
    amounts: the shortest canonical pairing of a pool's givers with its takers.

    >>> side_by_side([3, 2], [1, 4])
    [(0, 0, 1), (0, 1, 2), (1, 1, 2)]
    """
    lefts = [(index, amount) for index, amount in enumerate(left) if amount]
    rights = [(index, amount) for index, amount in enumerate(right) if amount]
    if sum(amount for _, amount in lefts) != sum(amount for _, amount in rights):
        raise ValueError("side_by_side: the two sides have different sums")
    pairs: list[tuple[int, int, int]] = []
    position, open_right = 0, 0
    for left_index, amount in lefts:
        wanted = amount
        while wanted:
            right_index, offered = rights[position]
            overlap = min(wanted, offered - open_right)
            pairs.append((left_index, right_index, overlap))
            wanted -= overlap
            open_right += overlap
            if open_right == offered:
                position, open_right = position + 1, 0
    return pairs

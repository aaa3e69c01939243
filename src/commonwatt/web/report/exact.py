"""Numbers as a reader sees them, from integers, every digit; only shares are cut, never rounded up.

A minus is the typographic one, thousands are set apart by commas (both languages do so), and an
amount carries its plain decimal string in the `value` of a `<data>` element for machines.
"""

# ruff: noqa: RUF002 - the examples show the minus and the dash that are printed

from markupsafe import Markup

from commonwatt.quantity import WH_PER_KWH, decimal_text

MINUS = "\N{MINUS SIGN}"
ABSENT = "\N{EN DASH}"
"""Printed where there is no number, such as a share of nothing."""

PLACES_OF_KWH = 3
PLACES_EVERYDAY = 2
CURRENCIES_WITHOUT_CENTS = frozenset({"KRW", "JPY"})
PER_MILLE = 1_000


def everyday_places(currency: str) -> int:
    """How many decimals people use when they pay in this currency."""
    return 0 if currency in CURRENCIES_WITHOUT_CENTS else PLACES_EVERYDAY


def grouped(value: int, places: int, shown_min: int | None = None) -> str:
    """An integer count of 10**-places as a decimal with commas, exactly.

    Zeros at the end are dropped down to `shown_min` decimals; None keeps all.

    >>> grouped(-1_234_567_890, 6), grouped(1_500, 3, 0), grouped(2_000, 3, 0)
    ('−1,234.567890', '1.5', '2')
    """
    whole, _, part = decimal_text(abs(value), places).partition(".")
    if shown_min is not None:
        part = part.rstrip("0").ljust(min(shown_min, places), "0")
    text = f"{int(whole):,}" + (f".{part}" if part else "")
    return MINUS + text if value < 0 else text


def kwh(wh: int) -> str:
    """Energy in kWh with all three decimals; nothing at all is a plain 0, which rests the eye.

    >>> kwh(1_234_567), kwh(0)
    ('1,234.567', '0')
    """
    return grouped(wh, PLACES_OF_KWH) if wh else "0"


def short_kwh(wh: int) -> str:
    """Energy in kWh without zeros at the end, for axes.

    >>> short_kwh(2_500)
    '2.5'
    """
    return grouped(wh, PLACES_OF_KWH, 0)


def price(units_per_wh: int, decimals: int, currency: str) -> str:
    """A price per kWh, exact, with at least the decimals people pay in.

    >>> price(30_000, 8, "EUR"), price(18_750, 8, "EUR"), price(1_500, 4, "KRW")
    ('0.30', '0.1875', '150')
    """
    return grouped(units_per_wh * WH_PER_KWH, decimals, everyday_places(currency))


def money(units: int, decimals: int) -> str:
    """An amount, exact, with every decimal of the ledger.

    >>> money(-123_456_789, 8)
    '−1.23456789'
    """
    return grouped(units, decimals)


def money_markup(units: int, decimals: int, currency: str) -> Markup:
    """An amount for a page: all its digits, those below the coin set smaller.

    >>> print(money_markup(-123_456_789, 8, "EUR"))
    <data value="-1.23456789">−1.23<small>456789</small></data>
    """
    text = money(units, decimals)
    fine = max(0, decimals - everyday_places(currency))
    coin, rest = (text[:-fine], text[-fine:]) if fine else (text, "")
    if coin.endswith("."):
        coin, rest = coin[:-1], f".{rest}"
    small = Markup("<small>{}</small>").format(rest) if rest else ""
    value = decimal_text(units, decimals)
    return Markup('<data value="{}">{}{}</data>').format(value, coin, small)


def share(part: int, whole: int) -> str:
    """`part` of `whole` in per cent with one decimal, cut: 100.0 only if it is all of it.

    >>> share(2, 3), share(99_999, 100_000), share(0, 0)
    ('66.6%', '99.9%', '–')
    """
    if whole <= 0:
        return ABSENT
    sign = MINUS if part < 0 else ""
    return f"{sign}{grouped(abs(part) * PER_MILLE // whole, 1)}%"

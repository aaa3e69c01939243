"""The parts of a community's market settings in whole numbers: grid, contracts, terms, keys."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from commonwatt.market.auction import AUCTIONS, MIDPOINT, MIDWAY, UNIFORM_PRICE, Terms, read_split
from commonwatt.market.columns import IntColumn, column
from commonwatt.market.contract import Contract
from commonwatt.market.grid import Grid, Level, Window
from commonwatt.market.keys import SHARE_DECIMALS, SHARE_ONE, Key, Pairs, needs_of
from commonwatt.market.settings import (
    ContractSettings,
    GridSettings,
    MarketSettings,
    MemberSettings,
    SettingsUnusable,
)
from commonwatt.quantity import Currency, parse_time, scaled, split_exactly

DYNAMIC = "dynamic"
EQUAL_PAIRS_MEMBERS_MAX = 200
"""A larger community would have a pair for almost everybody with everybody."""
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")


def grid_of(settings: GridSettings, currency: Currency) -> Grid:
    """Levels and hours of grid fees."""
    return Grid(
        levels=tuple(
            Level(
                one.name,
                fee=None if one.fee is None else currency.price(one.fee),
                reduction_percent=one.reduction_percent,
            )
            for one in settings.levels
        ),
        windows=tuple(
            Window(
                weekdays=one.weekdays,
                start_minute=_minute(one.start),
                end_minute=_minute(one.end),
                factor_percent=one.factor_percent,
            )
            for one in settings.windows
        ),
        rounded_to=None if settings.rounded_to is None else currency.price(settings.rounded_to),
    )


def _minute(text: str) -> int:
    """Minute of the day."""
    if not _CLOCK.fullmatch(text):
        raise SettingsUnusable(f"{text!r} is no time of day: write 17:00, or 24:00 for midnight")
    hours, minutes = map(int, text.split(":"))
    return hours * 60 + minutes


def contract_of(settings: ContractSettings, currency: Currency) -> Contract:
    """A long-term contract."""
    return Contract(
        seller=settings.seller,
        buyer=settings.buyer,
        price=currency.price(settings.price),
        first=parse_time(settings.start),
        end=parse_time(settings.end),
        volume_wh=settings.volume_wh,
        share=None if settings.share is None else _share(settings.share),
    )


def _share(text: str) -> int:
    return scaled(text, SHARE_DECIMALS, "a share", SHARE_ONE)


def terms_of(settings: MarketSettings) -> Terms:
    """The auction's terms; the usual ones where the rule is none."""
    rule = settings.rule if settings.rule in AUCTIONS else UNIFORM_PRICE
    terms = Terms(rule, settings.price_rule, read_split(settings.split))
    if terms.price_rule != MIDPOINT and settings.rule != UNIFORM_PRICE:
        raise SettingsUnusable(
            f"price_rule {terms.price_rule} means nothing under {settings.rule}: leave it away"
        )
    if terms.split != MIDWAY and settings.rule not in AUCTIONS:
        raise SettingsUnusable(f"split means nothing under {settings.rule}: leave it away")
    return terms


def keys_of(
    settings: MarketSettings, listed: Sequence[MemberSettings]
) -> Iterator[tuple[int, Key]]:
    """The allocation keys and the UTC seconds from which they hold."""
    name = settings.key or DYNAMIC
    pairs = None
    if needs_of(name).pairs:
        pairs = _pairs(settings, len(listed))
    usual = Key(
        name,
        shares=_shares(listed) if needs_of(name).shares else None,
        priority=column([one.priority for one in listed], "priority"),
        pairs=pairs,
        percent=column([one.participation_percent for one in listed], "participation_percent"),
    )
    if not settings.coefficients:
        yield 0, usual
    starts = [parse_time(step.start) for step in settings.coefficients]
    if sorted(set(starts)) != starts:
        raise SettingsUnusable("coefficients: begin each step later than the one before")
    for since, step in zip(starts, settings.coefficients, strict=True):
        yield since, replace(usual, shares=column(map(_share, step.shares), "coefficients"))


def _shares(listed: Sequence[MemberSettings]) -> IntColumn:
    """Each member's share; equal ones where nobody has any."""
    if all(one.share is None for one in listed):
        return column(split_exactly(SHARE_ONE, [1] * len(listed)))
    return column([_share(one.share or "0") for one in listed])


def _pairs(settings: MarketSettings, members: int) -> Pairs:
    """Each producer's shares; equal ones for all others where there are none."""
    if settings.pairs:
        rows = sorted((one.producer, one.consumer, _share(one.share)) for one in settings.pairs)
    elif members > EQUAL_PAIRS_MEMBERS_MAX:
        raise SettingsUnusable(
            f"no pairs for {members} members: name them; equal ones are made for at most "
            f"{EQUAL_PAIRS_MEMBERS_MAX}"
        )
    else:
        equal = SHARE_ONE // max(members - 1, 1)
        everybody = range(members)
        rows = [(one, other, equal) for one in everybody for other in everybody if one != other]
    producers, consumers, shares = zip(*rows, strict=True) if rows else ((0,), (0,), (0,))
    if max(*producers, *consumers) >= members:
        raise SettingsUnusable(f"pairs: there are only members 0 to {members - 1}")
    return Pairs(column(producers), column(consumers), column(shares))

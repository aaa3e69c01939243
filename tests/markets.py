"""Every rule and key, and everything else a community can write down about its market."""

from typing import NamedTuple

import msgspec
from hypothesis import strategies as st

from commonwatt.market.book import Book, Limits, Tariff
from commonwatt.market.catalogue import AUCTIONED, RULES
from commonwatt.market.charter import FIXED_PRICE, HOURLY, Charter, charter_of
from commonwatt.market.keys import KEYS
from commonwatt.market.settings import (
    ContractSettings,
    GridSettings,
    LevelSettings,
    MarketSettings,
    MemberSettings,
    PairSettings,
    StepSettings,
    WindowSettings,
)
from commonwatt.quantity import Currency, decimal_text, time_text

EURO = Currency()
QUARTER_S, HOUR_S = 900, 3_600
NOON = 1_466_510_400
"""2016-06-21T12:00:00Z, a Tuesday."""
FULL = 2**40 - 1
"""A full lane."""


class Choice(NamedTuple):
    """A rule, and a key where it takes one."""

    rule: str
    key: str | None

    @property
    def interval_s(self) -> int:
        return HOUR_S if self.key == HOURLY else QUARTER_S

    def settings(self, **more: object) -> MarketSettings:
        price = {"price": "0.15"} if self.rule == FIXED_PRICE else {}
        return MarketSettings(**{"rule": self.rule, "key": self.key, **price, **more})

    def charter(self, members: int, **more: object) -> Charter:
        return charter_of(self.settings(**more), EURO, members, self.interval_s)


def levels_apart(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many levels out, from the innermost, until two places have the same names."""
    levels = range(len(one) + 1)
    return next(out for out in levels if one[: len(one) - out] == other[: len(one) - out])


PRICED = tuple(rule for rule in RULES if rule not in AUCTIONED)
CHOICES = tuple(
    Choice(rule, key) for rule in RULES for key in ([None] if rule in AUCTIONED else KEYS)
)
SYMMETRIC = tuple(choice for choice in CHOICES if choice.key in (None, "dynamic", HOURLY))
"""Those that know nothing of their members but their energy and limits."""

prices = st.integers(0, 60_000)
energies = st.one_of(st.just(0), st.integers(0, 30), st.integers(0, 8_000))
purses = st.one_of(st.just(0), st.integers(0, 10**6), st.integers(0, 10**9), st.just(FULL))
percents = st.one_of(st.just(100), st.integers(1, 100))


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    low, high = sorted((draw(prices), draw(prices)))
    fees = st.sampled_from([0, 1, 3_440, 60_000])
    return Tariff(high, low, draw(fees), draw(fees))


@st.composite
def books(
    draw: st.DrawFn,
    *,
    limits: bool,
    purse: st.SearchStrategy[int] = purses,
    least: int = 1,
    most: int = 12,
) -> Book:
    """Each member takes or gives, as net energy is; some neither."""
    size = draw(st.integers(least, most))
    sides = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    sizes = draw(st.lists(energies, min_size=size, max_size=size))
    # Few prices, so that members often share the marginal one.
    price = st.one_of(st.integers(0, 6).map(lambda step: step * 5_000), prices)
    return Book(
        need_wh=tuple(wh if takes else 0 for wh, takes in zip(sizes, sides, strict=True)),
        offer_wh=tuple(0 if takes else wh for wh, takes in zip(sizes, sides, strict=True)),
        purse=tuple(draw(st.lists(purse, min_size=size, max_size=size))),
        limits=tuple(draw(st.lists(st.builds(Limits, price, price), min_size=size, max_size=size)))
        if limits
        else (),
    )


def book_for(choice: Choice, **options: object) -> st.SearchStrategy[Book]:
    return books(limits=RULES[choice.rule].needs_limits, **options)


@st.composite
def plain_markets(
    draw: st.DrawFn, choices: tuple[Choice, ...] = CHOICES, **options: object
) -> tuple[Charter, Book, Tariff]:
    """A rule and key with everything else as usual."""
    choice = draw(st.sampled_from(choices))
    book = draw(book_for(choice, **options))
    return choice.charter(len(book.need_wh)), book, draw(tariffs())


def share_text(parts: int) -> str:
    """Parts of 10^9 as settings write them."""
    return decimal_text(parts, 9)


@st.composite
def shares(draw: st.DrawFn, size: int) -> list[int]:
    """Parts of 10^9 that sum to at most all of it."""
    cuts = sorted(draw(st.lists(st.integers(0, 10**9), min_size=size, max_size=size)))
    return [high - low for low, high in zip([0, *cuts], cuts, strict=False)]


grid_settings = st.builds(
    lambda fees, windows, rounded_to: GridSettings(
        levels=tuple(LevelSettings(f"level {n}", **fee) for n, fee in enumerate(fees)),
        windows=tuple(windows),
        rounded_to=rounded_to,
    ),
    st.lists(
        st.one_of(
            st.builds(lambda fee: {"fee": EURO.price_text(fee)}, st.integers(0, 9_000)),
            st.builds(lambda percent: {"reduction_percent": percent}, st.integers(0, 100)),
        ),
        min_size=1,
        max_size=3,
    ),
    st.lists(
        st.builds(
            WindowSettings,
            start=st.sampled_from(["00:00", "12:00", "12:01", "11:59"]),
            end=st.sampled_from(["12:30", "24:00", "06:00"]),
            factor_percent=st.sampled_from([0, 33, 80, 150]),
            weekdays=st.sampled_from([tuple(range(7)), (1,), (5, 6), (0,)]),
        ),
        max_size=2,
    ),
    st.sampled_from([None, "0.0001", "0.00003"]),
)


@st.composite
def member_settings(
    draw: st.DrawFn, member: int, members: int, levels: int, *, bids: bool, ranked: bool
) -> MemberSettings:
    others = [other for other in range(members) if other != member]
    wishes = {}
    if bids:
        partners = draw(st.lists(st.sampled_from(others), max_size=2, unique=True))
        qualities = st.sampled_from([None, "green", "local"])
        wishes = {
            "partners": tuple(partners),
            "quality": draw(qualities),
            "sells": draw(qualities),
            "takes_rest": draw(st.booleans()),
        }
        if wishes["quality"] is not None:
            wishes["premium"] = EURO.price_text(draw(st.sampled_from([0, 1, 5_000])))
    return MemberSettings(
        member,
        participation_percent=draw(percents),
        priority=draw(st.integers(1, 3)) if ranked else 1,
        place=tuple(draw(st.sampled_from(["a", "b"])) for _ in range(levels)),
        **wishes,
    )


@st.composite
def contract_settings(draw: st.DrawFn, members: int) -> ContractSettings:
    seller, buyer = draw(st.lists(st.integers(0, members - 1), min_size=2, max_size=2, unique=True))
    first = NOON + draw(st.sampled_from([-HOUR_S, 0, HOUR_S]))
    how_much = draw(
        st.one_of(
            st.builds(lambda wh: {"volume_wh": wh}, st.integers(1, 5_000)),
            # Three contracts of one seller promise all of its offer at most.
            st.builds(lambda part: {"share": share_text(part)}, st.integers(1, 10**9 // 3)),
        )
    )
    return ContractSettings(
        seller=seller,
        buyer=buyer,
        price=EURO.price_text(draw(prices)),
        start=time_text(first),
        end=time_text(first + draw(st.sampled_from([QUARTER_S, 2 * HOUR_S]))),
        **how_much,
    )


@st.composite
def of_the_key(draw: st.DrawFn, key: str | None, members: int) -> dict[str, object]:
    """What only one key takes."""
    if key == "pairs":
        parts = [draw(shares(members)) for _ in range(members)]
        return {
            "pairs": tuple(
                PairSettings(one, other, share_text(parts[one][other]))
                for one in range(members)
                for other in range(members)
                if draw(st.booleans())
            )
        }
    if key == "coefficients":
        steps = [draw(shares(members)) for _ in range(2)]
        starts = (0, NOON + draw(st.sampled_from([0, 1])))
        return {
            "coefficients": tuple(
                StepSettings(time_text(start), tuple(map(share_text, step)))
                for start, step in zip(starts, steps, strict=True)
            )
        }
    return {}


@st.composite
def rich_settings(draw: st.DrawFn, choice: Choice, members: int) -> MarketSettings:
    """All parts of the settings at once: grid, contracts, shares, participation, wishes."""
    bids = choice.key is None
    grid = draw(st.none() | grid_settings)
    levels = 0 if grid is None else len(grid.levels)
    building = bids and grid is not None and draw(st.booleans())
    ranked = choice.key == "priority"
    listed = [
        draw(member_settings(n, members, levels, bids=bids, ranked=ranked)) for n in range(members)
    ]
    if choice.key is not None and KEYS[choice.key].shares and choice.key != "coefficients":
        parts = draw(shares(members))
        listed = [
            msgspec.structs.replace(one, share=draw(st.sampled_from([None, share_text(part)])))
            for one, part in zip(listed, parts, strict=True)
        ]
    return choice.settings(
        grid=grid,
        building_level=draw(st.sampled_from(grid.levels)).name if building else None,
        contracts=tuple(draw(st.lists(contract_settings(members), max_size=3))),
        members=tuple(listed),
        split=draw(st.sampled_from(["0", "1/2", "0.3", "1"])) if bids else "1/2",
        **draw(of_the_key(choice.key, members)),
    )


@st.composite
def rich_markets(
    draw: st.DrawFn, choices: tuple[Choice, ...] = CHOICES
) -> tuple[MarketSettings, Charter, Book, Tariff]:
    """Rich settings, a book that goes with them, and the prices around."""
    choice = draw(st.sampled_from(choices))
    book = draw(book_for(choice, least=2, most=8))
    settings = draw(rich_settings(choice, len(book.need_wh)))
    charter = charter_of(settings, EURO, len(book.need_wh), choice.interval_s)
    return settings, charter, book, draw(tariffs())

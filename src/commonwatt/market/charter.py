"""A community's market settings, checked and in whole numbers: what its clearing goes by."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from commonwatt.market.auction import AUCTIONS, Terms
from commonwatt.market.catalogue import Rule, rule_named
from commonwatt.market.columns import IntColumn, column
from commonwatt.market.contract import Contract, require_usable
from commonwatt.market.grid import Grid, Place, require_places
from commonwatt.market.keys import Key, needs_of
from commonwatt.market.parts import DYNAMIC, contract_of, grid_of, keys_of, terms_of
from commonwatt.market.preference import NONE, QUALITIES, Wishes
from commonwatt.market.settings import MarketSettings, MemberSettings, SettingsUnusable
from commonwatt.quantity import SECONDS_PER_HOUR, Currency, time_text

ORGANISER, HOURLY = "organiser", "hourly_minimum"
FIXED_PRICE = "fixed_price"


@dataclass(frozen=True, slots=True)
class Preferences:
    """What members would rather have, by member."""

    partners: tuple[tuple[int, ...], ...]
    building: IntColumn
    wants: IntColumn
    """A place in `preference.QUALITIES`, or `NONE`."""
    carries: IntColumn
    premium: IntColumn
    takes_rest: NDArray[np.bool_]

    def of(self, buyers: IntColumn, sellers: IntColumn) -> Wishes:
        """The wishes that go with orders of these members, in this order."""
        return Wishes(
            partners=tuple(self.partners[member] for member in buyers.tolist()),
            buy_place=self.building[buyers],
            sell_place=self.building[sellers],
            buy_quality=self.wants[buyers],
            sell_quality=self.carries[sellers],
            premium=self.premium[buyers],
            takes_rest=self.takes_rest[buyers],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Charter:
    """How one community's intervals are cleared."""

    rule_name: str
    rule: Rule
    terms: Terms
    """Of the auction, where the rule is one; of its preference rounds, too."""
    keys: tuple[tuple[int, Key], ...]
    """How energy without bids is shared: each from a UTC second on, ascending."""
    fixed_price: int | None
    """Units per Wh; None where the rule asks for none."""
    grid: Grid | None
    places: tuple[Place, ...] | None
    """By member, where there is a grid."""
    contracts: tuple[Contract, ...]
    """In the order of signing."""
    preferences: Preferences | None
    """None where nobody has any."""

    @property
    def key_name(self) -> str | None:
        """The allocation key; None where an auction shares by bids."""
        return None if self.rule.needs_limits else self.keys[0][1].name

    def key_at(self, start: int, named: Sequence[int]) -> Key:
        """The allocation key of the interval that starts at a UTC second.

        Args:
            start: of the interval.
            named: the organiser's shares of this interval, by member, out of `SHARE_ONE`; without
                any, those in the settings hold.

        Raises:
            SettingsUnusable: shares where the key takes none, or before the first there are.
            AllocationKeyUnusable: shares that are none.
        """
        begun = [key for since, key in self.keys if since <= start]
        if not begun:
            raise SettingsUnusable(f"no coefficients hold at {time_text(start)}: add earlier ones")
        if not named:
            return begun[-1]
        if begun[-1].name != ORGANISER:
            raise SettingsUnusable(
                f"shares for one interval, but the key is {begun[-1].name}: only {ORGANISER} "
                "takes them"
            )
        return replace(begun[-1], shares=column(named, "the organiser's shares"))


def charter_of(
    settings: MarketSettings, currency: Currency, members: int, interval_s: int
) -> Charter:
    """Read and check a community's market settings.

    Args:
        settings: the document.
        currency: in which its prices are.
        members: how many there are.
        interval_s: length of an interval.

    Raises:
        SettingsUnusable: what is written does not go together.
        RuleUnknown, TermsUnusable, AllocationKeyUnusable, GridUnusable, ContractUnusable: a part
            of it cannot be used.
        NotANumber, BadInterval: a price, share or time is not one.
    """
    rule = rule_named(settings.rule)
    _require_together(settings, rule, interval_s)
    listed = _by_member(settings, members)
    grid = None if settings.grid is None else grid_of(settings.grid, currency)
    places = None
    if grid is not None:
        places = tuple(one.place for one in listed)
        require_places(places, grid)
    contracts = tuple(contract_of(one, currency) for one in settings.contracts)
    require_usable(contracts, members)
    keys = tuple(keys_of(settings, listed))
    for _, key in keys:
        key.require_for(members, steps=1)
    return Charter(
        rule_name=settings.rule,
        rule=rule,
        terms=terms_of(settings),
        keys=keys,
        fixed_price=None if settings.price is None else currency.price(settings.price),
        grid=grid,
        places=places,
        contracts=contracts,
        preferences=_preferences(settings, listed, currency, grid),
    )


def _require_together(settings: MarketSettings, rule: Rule, interval_s: int) -> None:
    """Raise `SettingsUnusable` for a part that nothing would come of."""
    key = settings.key
    if rule.needs_limits and key is not None:
        raise SettingsUnusable(
            f"the key {key!r:.80} with the auction {settings.rule}: an auction shares by bids, "
            "leave one"
        )
    if settings.rule == FIXED_PRICE and settings.price is None:
        raise SettingsUnusable(f"{FIXED_PRICE} needs a price: write both into a file for --market")
    if settings.rule != FIXED_PRICE and settings.price is not None:
        raise SettingsUnusable(
            f"rule {settings.rule} with price {settings.price!r:.80}: only {FIXED_PRICE} takes one"
        )
    if key == HOURLY and interval_s != SECONDS_PER_HOUR:
        raise SettingsUnusable(
            f"the key {HOURLY} with intervals of {interval_s} s: it settles by the hour, so use "
            f"intervals of {SECONDS_PER_HOUR} s"
        )
    for what, given, needed in (
        ("pairs", settings.pairs, "pairs"),
        ("coefficients", settings.coefficients, "coefficients"),
    ):
        if given and key != needed:
            raise SettingsUnusable(f"{what} where the key is not {needed}: leave them away")
    if settings.building_level is not None and (
        settings.grid is None
        or settings.building_level not in [level.name for level in settings.grid.levels]
    ):
        raise SettingsUnusable(
            f"building_level {settings.building_level!r} is no level of the grid: name one"
        )


def _require_used(settings: MarketSettings, one: MemberSettings) -> None:
    """Raise `SettingsUnusable` for what one member writes and nothing reads."""
    needs, auction = needs_of(settings.key or DYNAMIC), settings.rule in AUCTIONS
    shared = needs.shares and not settings.coefficients
    for what, is_given, is_read in (
        ("share", one.share is not None, shared),
        ("priority", one.priority != 1, needs.priority),
        ("place", bool(one.place), settings.grid is not None),
        ("sells", one.sells is not None, auction),
        ("premium", one.premium != "0", auction and one.quality is not None),
    ):
        if is_given and not is_read:
            raise SettingsUnusable(f"{what} of member {one.member} means nothing here: leave it")


def _by_member(settings: MarketSettings, members: int) -> list[MemberSettings]:
    """One part for each member, as usual where nothing is written."""
    if members < 1:
        raise SettingsUnusable("a community of nobody: a market needs members")
    listed: dict[int, MemberSettings] = {}
    for one in settings.members:
        if not 0 <= one.member < members:
            raise SettingsUnusable(
                f"settings for member {one.member}: there are members 0 to {members - 1}"
            )
        if one.member in listed:
            raise SettingsUnusable(f"settings for member {one.member} twice: write them once")
        strangers = [partner for partner in one.partners if not 0 <= partner < members]
        if strangers or one.member in one.partners or len(set(one.partners)) != len(one.partners):
            raise SettingsUnusable(
                f"partners {list(one.partners)} of member {one.member}: name other members, "
                "each once"
            )
        for quality in (one.quality, one.sells):
            if quality is not None and quality not in QUALITIES:
                raise SettingsUnusable(
                    f"quality {quality!r} of member {one.member}: use one of {', '.join(QUALITIES)}"
                )
        _require_used(settings, one)
        listed[one.member] = one
    return [listed.get(member, MemberSettings(member)) for member in range(members)]


def _preferences(
    settings: MarketSettings,
    listed: Sequence[MemberSettings],
    currency: Currency,
    grid: Grid | None,
) -> Preferences | None:
    wished = any(one.partners or one.quality or not one.takes_rest for one in listed)
    if not wished and settings.building_level is None:
        return None
    if settings.rule not in AUCTIONS:
        raise SettingsUnusable(
            f"partners, qualities or a building_level with {settings.rule}: only auctions "
            f"({', '.join(AUCTIONS)}) know preferences"
        )
    building = [NONE] * len(listed)
    if settings.building_level is not None and grid is not None:
        inside = [level.name for level in grid.levels].index(settings.building_level)
        outer = [one.place[: len(grid.levels) - inside] for one in listed]
        numbers = {place: number for number, place in enumerate(sorted(set(outer)))}
        building = [numbers[place] for place in outer]

    def code(quality: str | None) -> int:
        return NONE if quality is None else QUALITIES.index(quality)

    return Preferences(
        partners=tuple(one.partners for one in listed),
        building=column(building),
        wants=column([code(one.quality) for one in listed]),
        carries=column([code(one.sells) for one in listed]),
        premium=column([currency.price(one.premium) for one in listed]),
        takes_rest=np.array([one.takes_rest for one in listed], dtype=np.bool_),
    )

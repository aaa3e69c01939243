"""A scenario's neighbourhood as a community's file: simulated meters, accounts anybody can use."""

from datetime import date

from commonwatt.market.settings import MarketSettings
from commonwatt.meter.registration import Registration
from commonwatt.microgrid import Neighbourhood, load_scenario
from commonwatt.node.fleet import Fleet
from commonwatt.node.plan import (
    EURO,
    GRACE_S,
    TARIFF,
    advance_of,
    storage_permille_of,
    supplier_advance_of,
)
from commonwatt.node.service.members import (
    ROLES,
    CommunityFile,
    MemberEntry,
    MeterEntry,
    TariffEntry,
)
from commonwatt.node.service.setup import SetupUnusable
from commonwatt.node.wiring import demonstration_account
from commonwatt.quantity import SECONDS_PER_DAY, time_text

OPERATOR, SUPPLIER, GRID_OPERATOR = "operator", "supplier", "grid operator"
"""Demonstration accounts, the same ones as in `commonwatt demo`."""
_NAMES = {role: name for name, role in ROLES.items()}


def neighbourhood_named(scenario: str, start: str | None, days: int | None) -> Neighbourhood:
    """A scenario's homes on some days.

    Args:
        scenario: its name.
        start: the first day, as 2016-06-21; midsummer's unless given.
        days: how many; one unless given.

    Raises:
        ScenarioUnknown, SpanUnavailable: no such scenario, or no such days in its data.
        SetupUnusable: what is no day, or fewer than one.
    """
    if days is not None and days < 1:
        raise SetupUnusable(f"--days {days}: use 1 or more")
    try:
        first = date.fromisoformat(start) if start else None
    except ValueError:
        raise SetupUnusable(f"--start {start!r:.40}: write a day like 2016-06-21") from None
    return load_scenario(scenario, start=first, days=days or 1)


def community_of_scenario(
    neighbourhood: Neighbourhood, *, name: str, market: MarketSettings, tariff: TariffEntry | None
) -> CommunityFile:
    """The community of a neighbourhood, still without its meters.

    Args:
        neighbourhood: its homes and days.
        name: of the community.
        market: how its members trade.
        tariff: what energy costs; as in the demonstration where it is None.
    """
    amount = EURO.amount_text
    return CommunityFile(
        name=name,
        first_start=time_text(neighbourhood.start),
        supplier=demonstration_account(SUPPLIER).address,
        grid_operator=demonstration_account(GRID_OPERATOR).address,
        tariff=tariff or usual_tariff(),
        members=tuple(
            MemberEntry(
                name=home.name,
                account=demonstration_account(f"{neighbourhood.name}/{number}").address,
                advance=amount(advance_of(neighbourhood, home)),
            )
            for number, home in enumerate(neighbourhood.homes)
        ),
        currency=EURO.code,
        decimals=EURO.decimals,
        interval_s=neighbourhood.interval_s,
        grace_s=GRACE_S,
        storage_permille=storage_permille_of(neighbourhood),
        supplier_advance=amount(supplier_advance_of(neighbourhood)),
        market=market,
    )


def usual_tariff() -> TariffEntry:
    """A household's tariff as common in Central Europe."""
    return TariffEntry(
        retail=EURO.price_text(TARIFF.retail),
        feed_in=EURO.price_text(TARIFF.feed_in),
        fee_local=EURO.price_text(TARIFF.fee_local),
        fee_supplier=EURO.price_text(TARIFF.fee_supplier),
    )


def simulated_meters(neighbourhood: Neighbourhood, ledger: bytes) -> tuple[MeterEntry, ...]:
    """The meters that `commonwatt meter simulate` speaks for, set up for a ledger of 8 bytes."""
    return tuple(map(_entry, Fleet(neighbourhood, ledger).registrations))


def _entry(registration: Registration) -> MeterEntry:
    return MeterEntry(
        member=registration.member,
        role=_NAMES[registration.role],
        rated_w=registration.rated_w,
        zone=registration.zone,
        in_service=time_text(registration.first_day * SECONDS_PER_DAY),
        public_key=registration.public_key.hex(),
        opening=registration.opening.record.hex(),
        signature=registration.opening.signature.hex(),
        source=f"T{registration.source:06X}" if registration.source else "",
    )

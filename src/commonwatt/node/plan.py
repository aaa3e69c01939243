"""What a demonstration runs: its options, fixed at the start and kept beside its results."""

from datetime import date
from hashlib import sha256
from pathlib import Path

import msgspec

from commonwatt.market.book import Limits, Tariff
from commonwatt.market.charter import charter_of
from commonwatt.market.settings import SETTINGS_BYTES_MAX, MarketSettings, SettingsUnusable
from commonwatt.microgrid import Home, Neighbourhood, flows_of, load_scenario, read_homes
from commonwatt.microgrid.neighbourhood import rounded_up
from commonwatt.node.errors import FolderUnusable, RunUnusable
from commonwatt.node.folder import write_whole
from commonwatt.node.toml_file import read_toml
from commonwatt.quantity import MWH_PER_WH, Currency
from commonwatt.settlement.account import LANE_MAX

PLAN_FILE = "run.json"
GRACE_S = 60
EURO = Currency()
TARIFF = Tariff(
    retail=EURO.price("0.24"),
    feed_in=EURO.price("0.08"),
    fee_local=EURO.price("0.0344"),
    fee_supplier=EURO.price("0.08"),
)
"""A household's tariff as common in Central Europe; the local grid fee is 57 % lower, as Austria
grants it to communities behind one transformer."""
ADVANCE_STEP = EURO.amount("5")
"""Members pay what the days would cost them at the supplier in advance, in steps of 5 euro."""
SUPPLIER_RESERVE = EURO.amount("100")


class Plan(msgspec.Struct, frozen=True):
    """The options of one run."""

    scenario: str
    days: int | None
    start: str | None
    homes: str | None
    """Absolute path of the CSV file."""
    homes_digest: str | None
    """SHA-256 of the file, so that a resumed run reads the same homes."""
    market: MarketSettings
    chain_url: str | None
    key_file: str | None
    format: str = "commonwatt-run-2"


def make_plan(
    *,
    scenario: str,
    days: int | None,
    start: str | None,
    homes: Path | None,
    market: MarketSettings,
    chain_url: str | None,
    key_file: Path | None,
) -> Plan:
    """The plan of a run; `neighbourhood_of` checks what it says before anything is written."""
    return Plan(
        scenario=scenario,
        days=days,
        start=start,
        homes=str(homes.resolve()) if homes else None,
        homes_digest=_digest(homes) if homes else None,
        market=market,
        chain_url=chain_url,
        key_file=str(key_file.resolve()) if key_file else None,
    )


def _digest(path: Path) -> str | None:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None  # reading the homes themselves says what is wrong, better than this could


def save_plan(plan: Plan, folder: Path) -> None:
    """Keep the plan beside what will come of it."""
    write_whole(folder / PLAN_FILE, [msgspec.json.format(msgspec.json.encode(plan)), b"\n"])


def load_plan(folder: Path) -> Plan:
    """The plan of a run; raises `RunUnusable` where there is none."""
    path = folder / PLAN_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except FileNotFoundError:
        raise RunUnusable(f"{folder}: no run to resume here; start one with --out") from None
    except (OSError, msgspec.DecodeError) as error:
        raise RunUnusable(f"{path}: cannot be read ({error}); start again with --out") from None


def read_market(path: Path) -> MarketSettings:
    """Market settings out of a TOML file.

    Raises:
        SettingsUnusable: where it cannot be read, or says something that settings do not.
    """
    return read_toml(
        path,
        MarketSettings,
        SettingsUnusable,
        most_bytes=SETTINGS_BYTES_MAX,
        advice="see docs/market.md",
    )


def neighbourhood_of(plan: Plan) -> Neighbourhood:
    """The homes and days that the plan names, once its market is known to go with them."""
    try:
        start = date.fromisoformat(plan.start) if plan.start else None
    except ValueError:
        raise RunUnusable(f"--start {plan.start!r} is not a day: write 2016-06-21") from None
    if plan.homes is None:
        neighbourhood = load_scenario(plan.scenario, start=start, days=plan.days or 1)
    else:
        path = Path(plan.homes)
        neighbourhood = read_homes(path, start=start, days=plan.days)
        if plan.homes_digest != _digest(path):
            raise FolderUnusable(f"{path}: changed since the run was started; start a new one")
    charter_of(plan.market, EURO, len(neighbourhood.homes), neighbourhood.interval_s)
    return neighbourhood


def advance_of(neighbourhood: Neighbourhood, home: Home) -> int:
    """What a member pays in at the founding, in units."""
    taken_wh = int(flows_of(neighbourhood, home).import_mwh.sum()) // MWH_PER_WH
    cost = taken_wh * (TARIFF.retail + TARIFF.fee_supplier)
    return min(rounded_up(cost + 1, ADVANCE_STEP), LANE_MAX)


def storage_permille_of(neighbourhood: Neighbourhood) -> int:
    """The efficiency published for the batteries: the least of theirs; 0 where there are none."""
    batteries = [home.battery for home in neighbourhood.homes if home.battery is not None]
    return min((battery.efficiency_permille for battery in batteries), default=0)


def supplier_advance_of(neighbourhood: Neighbourhood) -> int:
    """What the supplier pays in: every export at the feed-in price, and a reserve."""
    given_mwh = sum(
        int(flows_of(neighbourhood, home).export_mwh.sum()) for home in neighbourhood.homes
    )
    return given_mwh // MWH_PER_WH * TARIFF.feed_in + SUPPLIER_RESERVE


def limits_of(neighbourhood: Neighbourhood) -> tuple[Limits, ...]:
    """Standing limits for the call auction: members differ in what a local Wh is worth to them."""
    limits = []
    spread = TARIFF.retail - TARIFF.feed_in
    for member in range(len(neighbourhood.homes)):
        taste = sha256(f"{neighbourhood.name}/{member}/limits".encode()).digest()
        bid = TARIFF.feed_in + spread * (500 + int.from_bytes(taste[:4]) % 501) // 1_000
        ask = TARIFF.feed_in + spread * (int.from_bytes(taste[4:8]) % 501) // 1_000
        limits.append(Limits(bid, ask))
    return tuple(limits)

"""What `commonwatt init` is told, or asks on a terminal; every answer is one that can be used."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from commonwatt.chain.account import checksum
from commonwatt.errors import InputError
from commonwatt.market.settings import MarketSettings, settings_named
from commonwatt.node.plan import read_market
from commonwatt.node.service.members import NAME, TariffEntry, account_in
from commonwatt.node.service.setup import SetupUnusable, decimals_of, name_from
from commonwatt.node.service.testbed import usual_tariff
from commonwatt.quantity import Currency, Interval
from commonwatt.settlement.account import LANE_MAX

MEMBERS_MAX = 1_500
"""So many lanes fit into one close."""
EURO = "EUR"
ADVANCE, SUPPLIER_ADVANCE = "50", "100"
"""What is paid in at a founding in euro unless told: neighbours' energy is sold for money that is
there, and for nothing else."""
_CURRENCY = re.compile(r"[A-Z]{3,6}")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class InitOptions:
    """What a new node or community was told; None: nothing."""

    name: str | None = None
    members: int | None = None
    currency: str | None = None
    interval: int | None = None
    rule: str | None = None
    market: Path | None = None
    retail: str | None = None
    feed_in: str | None = None
    fee_local: str | None = None
    fee_supplier: str | None = None
    advance: str | None = None
    supplier_advance: str | None = None
    supplier: str | None = None
    grid_operator: str | None = None
    first_start: str | None = None
    chain: str | None = None
    key: Path | None = None
    listen: str | None = None
    database: str | None = None
    mqtt: str | None = None
    scenario: str | None = None
    start: str | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """What a community needs, and no two have alike."""

    name: str
    members: int
    currency: Currency
    interval_s: int
    market: MarketSettings
    tariff: TariffEntry
    advance: str
    """Of each member."""
    supplier_advance: str


class Questions:
    """Answers from the options, from a person, or as usual."""

    def __init__(self, options: InitOptions, *, asks: bool) -> None:
        """Ask a person for what the options leave open, if there is one."""
        self._options, self._asks = options, asks
        if asks:
            print("Enter takes what is in brackets.", file=sys.stderr)

    def community(self, folder: Path) -> Answers:
        """All that a community needs; its name is the directory's unless told."""
        options = self._options
        name = self._answer(options.name, "Name of the community", name_from(folder), _name)
        members = self._answer(options.members, "How many members", "2", _members)
        code = self._answer(options.currency, "Currency", EURO, _currency)
        interval_s = self._answer(options.interval, "Seconds of an interval", "900", _interval)
        currency = Currency(code, decimals_of(code))
        market, tariff = self._market(), self.tariff(currency)
        in_euro = code == EURO
        question = "What each member pays in beforehand"

        def read(text: str) -> str:
            return advance_told(text, currency)

        advance = self._answer(options.advance, question, ADVANCE if in_euro else "0", read)
        supplier_advance = options.supplier_advance or (SUPPLIER_ADVANCE if in_euro else "0")
        currency.amount(supplier_advance)
        return Answers(
            name, members, currency, interval_s, market, tariff, advance, supplier_advance
        )  # fmt: skip

    def chain(self) -> str | None:
        """The URL of its chain; None: embedded."""
        question = "JSON-RPC URL of its chain, or empty for one of its own in this directory"
        return self._answer(self._options.chain, question, "", _url) or None

    def _market(self) -> MarketSettings:
        options = self._options
        if options.market is not None or not self._asks:
            return market_of(options)
        usual = MarketSettings().rule
        return self._answer(options.rule, "How neighbours trade", usual, settings_named)

    def tariff(self, currency: Currency) -> TariffEntry:
        """Prices and fees; those of a household in Central Europe are the usual ones in euro."""
        usual = usual_tariff() if currency.code == EURO else None
        questions = {
            "retail": "Price per kWh a member pays the supplier",
            "feed_in": "Price per kWh it gets from the supplier",
            "fee_local": "Grid fee per kWh among neighbours",
            "fee_supplier": "Grid fee per kWh from the supplier",
        }

        def price(text: str) -> str:
            currency.price(text)
            return text

        found = {}
        for name, question in questions.items():
            said = getattr(self._options, name)
            if said is None and usual is None and not self._asks:
                raise SetupUnusable(
                    f"prices in {currency.code}: give --retail, --feed-in, --fee-local and "
                    "--fee-supplier"
                )
            found[name] = self._answer(said, question, getattr(usual, name, ""), price)
        return TariffEntry(**found)

    def _answer(
        self, said: object | None, question: str, usual: str, read: Callable[[str], _T]
    ) -> _T:
        if said is not None:
            return read(str(said))
        return _ask(question, usual, read) if self._asks else read(usual)


def _ask(question: str, usual: str, read: Callable[[str], _T]) -> _T:
    """Ask until the answer can be used; questions go to standard error."""
    while True:
        sys.stderr.write(f"{question} [{usual}]: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise SetupUnusable("no answer; give the options, or --yes to take what is usual")
        try:
            return read(line.strip() or usual)
        except InputError as error:
            print(f"  {error}", file=sys.stderr)


def market_of(options: InitOptions) -> MarketSettings:
    """How neighbours trade, as told or as usual."""
    if options.rule is not None and options.market is not None:
        raise SetupUnusable("--rule and --market name two rules: write the rule into the file")
    if options.market is not None:
        return read_market(options.market)
    return MarketSettings() if options.rule is None else settings_named(options.rule)


def account_told(text: str, option: str) -> str:
    """An account as it is written into a file; raises `SetupUnusable`."""
    try:
        return checksum(account_in(text, option))
    except ValueError as error:
        raise SetupUnusable(str(error)) from None


def advance_told(text: str, currency: Currency) -> str:
    """What a member pays in at the founding; raises `SetupUnusable`, `NotANumber`."""
    if currency.amount(text) > LANE_MAX:
        raise SetupUnusable(
            f"advance {text}: a lane holds at most {currency.amount_text(LANE_MAX)} {currency.code}"
        )
    return text


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise SetupUnusable(f"name {text!r:.80}: use lower-case letters, digits and hyphens")
    return text


def _members(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MEMBERS_MAX:
        raise SetupUnusable(f"members {text!r:.40}: use 1 to {MEMBERS_MAX}")
    return int(text)


def _currency(text: str) -> str:
    if not _CURRENCY.fullmatch(text):
        raise SetupUnusable(f"currency {text!r:.40}: write its code, as EUR")
    return text


def _interval(text: str) -> int:
    if not text.isdecimal():
        raise SetupUnusable(f"interval {text!r:.40}: write seconds, as 900")
    return Interval(0, int(text)).duration


def _url(text: str) -> str:
    if text and not text.startswith(("http://", "https://")):
        raise SetupUnusable("a chain's URL begins with http:// or https://")
    return text

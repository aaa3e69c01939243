"""Worked examples of laws and papers, with their source, through the functions behind the commands.

What is expected was published, or worked out by hand from the rule; never by this program.
"""

import json
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pytest

from commonwatt.market.auction import AUCTIONS, PRICE_RULES
from commonwatt.market.book import Book, Tariff
from commonwatt.market.book_answer import answer_of, clear_book
from commonwatt.market.book_file import read_book
from commonwatt.market.charter import Charter, charter_of
from commonwatt.market.clearing import clear
from commonwatt.market.grid import common_level, fees_at, nearest_pairs
from commonwatt.market.keys import KEYS
from commonwatt.market.pool_file import price_document, share_document
from commonwatt.market.price import PRICE_RULES as COMMUNITY_PRICES
from commonwatt.market.settings import MarketSettings
from commonwatt.quantity import Currency, parse_time

VECTORS = Path(__file__).parents[1] / "vectors" / "market"
GROUPS = ("prices", "auctions", "keys", "grid", "contracts")
PUBLISHED, BY_HAND = "published", "by hand from the rule"
QUARTER_HOUR = 900
EURO = Currency()

Entry = dict[str, Any]


def entries(group: str) -> list[Entry]:
    return json.loads((VECTORS / f"{group}.json").read_text(encoding="utf-8"))


def every(group: str) -> pytest.MarkDecorator:
    found = entries(group)
    return pytest.mark.parametrize("entry", found, ids=[entry["name"] for entry in found])


def document(entry: Entry) -> bytes:
    return json.dumps(entry["input"]).encode()


def some(wh: dict[str, int]) -> dict[str, int]:
    """Without those that got nothing: an example need not name them."""
    return {who: amount for who, amount in wh.items() if amount}


def in_units(price: str | None) -> int | None:
    return None if price is None else EURO.price(price)


def trade_in_units(trade: dict[str, Any]) -> tuple[Any, ...]:
    amount, price = EURO.amount(trade["amount"]), EURO.price(trade["price"])
    return trade["buy"], trade["sell"], trade["energy_wh"], price, amount


READ = {
    "price": in_units,
    "buy_price": in_units,
    "sell_price": in_units,
    "buy": in_units,
    "sell": in_units,
    "gain": EURO.amount,
    "surplus": EURO.amount,
    "trades": lambda trades: list(map(trade_in_units, trades)),
}
"""How to compare a field of an answer; all others are Wh."""


def require_same(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    for field, value in expected.items():
        read = READ.get(field, some if isinstance(value, dict) else lambda wh: wh)
        assert read(answer[field]) == read(value), field


@every("prices")
def test_a_community_price_is_what_its_paper_says(entry: Entry) -> None:
    require_same(dict(price_document(document(entry), EURO)), entry["expected"])


@every("auctions")
def test_an_auction_ends_as_worked_out(entry: Entry) -> None:
    answer = answer_of(clear_book(read_book(document(entry))))
    require_same(msgspec.to_builtins(answer), entry["expected"])


@every("keys")
def test_a_key_shares_as_its_law_says(entry: Entry) -> None:
    require_same(dict(share_document(document(entry))), entry["expected"])


def charter(settings: Entry, members: int) -> Charter:
    read = msgspec.convert(settings, MarketSettings)
    return charter_of(read, EURO, members, QUARTER_HOUR)


@every("grid")
def test_a_grid_fee_is_that_of_the_lowest_level_in_common(entry: Entry) -> None:
    given, expected = entry["input"], entry["expected"]
    if "grid" not in given:
        pairs = nearest_pairs(given["sold"], given["bought"], list(map(tuple, given["places"])))
        assert pairs == list(map(tuple, expected["pairs"]))
        return
    anywhere = {"A": ["here"] * len(given["grid"]["levels"])}
    places = {who: tuple(place) for who, place in given.get("places", anywhere).items()}
    members = [{"member": number, "place": place} for number, place in enumerate(places.values())]
    grid = charter({"grid": given["grid"], "members": members}, len(places)).grid
    assert grid is not None
    fees = fees_at(grid, EURO.price(given["full_fee"]), parse_time(given["start"]))
    assert [EURO.price(fee) for fee in expected["fees"]] == list(fees)
    for pair, fee in expected.get("between", {}).items():
        seller, buyer = (places[who] for who in pair.split())
        assert fees[common_level(seller, buyer)] == EURO.price(fee)
        if "price" in given:
            paid = EURO.price(given["price"]) + EURO.price(fee)
            assert paid == EURO.price(expected["buyer_pays"])


@every("contracts")
def test_contracts_come_before_the_rule_and_the_rule_before_the_supplier(entry: Entry) -> None:
    given = entry["input"]
    book = Book(
        need_wh=tuple(given["need_wh"]),
        offer_wh=tuple(given["offer_wh"]),
        purse=tuple(map(EURO.amount, given["purse"])),
        limits=(),
    )
    tariff = Tariff(**{name: EURO.price(text) for name, text in given["tariff"].items()})
    settled = charter(given["settings"], len(book.need_wh))
    clearing = clear(settled, book, tariff, parse_time(given["start"]))
    expected = [
        (seller, buyer, wh, EURO.price(price), EURO.price(fee))
        for seller, buyer, wh, price, fee in entry["expected"]["trades"]
    ]
    assert sorted(trade[:5] for trade in clearing.trades) == sorted(expected)


# The collection


def test_every_example_says_where_it_is_from_and_how_it_was_worked_out() -> None:
    everything = list(chain.from_iterable(map(entries, GROUPS)))
    assert {path.stem for path in VECTORS.glob("*.json")} == set(GROUPS)
    for entry in everything:
        assert entry["source"], entry["name"]
        assert entry["worked"] in {PUBLISHED, BY_HAND}, entry["name"]
        assert entry["input"], entry["name"]
        assert entry["expected"], entry["name"]
    assert len({entry["name"] for entry in everything}) == len(everything)
    assert sum(entry["worked"] == PUBLISHED for entry in everything) >= 15


def test_every_rule_key_and_price_rule_has_an_example() -> None:
    auctions = [entry["input"] for entry in entries("auctions")]
    assert {given["rule"] for given in auctions} == {*AUCTIONS, "truthful"}
    assert {given["price_rule"] for given in auctions if "price_rule" in given} == {*PRICE_RULES}
    assert {entry["input"]["key"] for entry in entries("keys")} == KEYS.keys()
    assert {entry["input"]["rule"] for entry in entries("prices")} == set(COMMUNITY_PRICES)

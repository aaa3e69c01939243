"""The JSON document of an order book, as `commonwatt market clear` reads it.

>>> text = b'''{"orders": [
...     {"id": "s1", "side": "sell", "participant": "C", "energy_wh": 500, "price": "0.10"},
...     {"id": "b1", "side": "buy", "participant": "A", "energy_wh": 400, "price": "0.22"}
... ]}'''
>>> read = read_book(text)
>>> read.rule, read.buy_ids, list(read.book.buy.orders())
('uniform_price', ('b1',), [Order(participant=0, wh=400, price=22000)])

Orders are brought into the order of their ids and participants into that of their names, both by
code point: the same orders are the same book, in whatever order they stand in the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

from commonwatt.market.auction import (
    AUCTIONS,
    MIDPOINT,
    MIDWAY,
    PAY_AS_BID,
    UNIFORM_PRICE,
    Terms,
    read_split,
)
from commonwatt.market.book_columns import Prices, require_summable, side_of, wishes_of
from commonwatt.market.book_line import (
    BUY,
    SELL,
    TRUTHFUL,
    BookFileUnusable,
    OrderLine,
    require_line,
)
from commonwatt.market.orders import OrderBook
from commonwatt.market.preference import Wishes
from commonwatt.quantity import Currency

RULES = (*AUCTIONS, TRUTHFUL)
"""What a book can be cleared by."""
FILE_ORDERS_MAX = 1_000_000
"""No file has more orders."""
FILE_BYTES_MAX = 2**29
"""No file is longer: 512 bytes for each of the most orders."""
_HINT = 'energy is in whole Wh, and prices are texts such as "0.30"'


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file; None where it says nothing."""

    orders: list[OrderLine]
    rule: str = UNIFORM_PRICE
    price_rule: str | None = None
    split: str | None = None
    allow_self_trade: bool = False


_decoder = msgspec.json.Decoder(_Document)


@dataclass(frozen=True, slots=True)
class BookFile:
    """An order book as read, with the names that its rows stand for."""

    rule: str
    """One of `RULES`."""
    terms: Terms | None
    """None under the truthful auction, which has none."""
    book: OrderBook
    """In the order of ids."""
    buy_ids: tuple[str, ...]
    """By row of the buy side."""
    sell_ids: tuple[str, ...]
    participants: tuple[str, ...]
    """By number; partners without an order are among them."""
    wishes: Wishes | None
    """None where no buy order prefers anything."""
    unpriced: NDArray[np.bool_]
    """Buy orders that take what is offered: their limit is the highest price there can be."""
    currency: Currency


def read_book(text: bytes) -> BookFile:
    """Read an order book.

    Raises:
        BookFileUnusable: with what is wrong, and the order in which it is.
        TermsUnusable: where there is no such price rule or split.
    """
    document = _decode(text)
    if document.rule not in RULES:
        raise BookFileUnusable(f"no rule {document.rule!r:.60}: use one of {', '.join(RULES)}")
    for place, line in enumerate(document.orders):
        require_line(line, place, document.rule)
    lines = sorted(document.orders, key=attrgetter("id"))
    for one, other in pairwise(lines):
        if one.id == other.id:
            raise BookFileUnusable(f"two orders have the id {one.id!r}: give each its own")
    buys = [line for line in lines if line.side == BUY]
    sells = [line for line in lines if line.side == SELL]
    _require_several(buys, sells, document.rule)
    named = {line.participant for line in lines}.union(*(line.partners or () for line in buys))
    participants = {name: number for number, name in enumerate(sorted(named))}
    currency = Currency()
    prices = Prices(currency)
    book = OrderBook(side_of(buys, participants, prices), side_of(sells, participants, prices))
    wishes = wishes_of(buys, sells, participants, prices)
    require_summable(buys, book, wishes)
    return BookFile(
        rule=document.rule,
        terms=_terms(document, has_wishes=wishes is not None),
        book=book,
        buy_ids=tuple(line.id for line in buys),
        sell_ids=tuple(line.id for line in sells),
        participants=tuple(participants),
        wishes=wishes,
        unpriced=np.array([line.price is None for line in buys], dtype=np.bool_),
        currency=currency,
    )


def _decode(text: bytes) -> _Document:
    if len(text) > FILE_BYTES_MAX:
        raise BookFileUnusable(f"longer than {FILE_BYTES_MAX} bytes: no order book is")
    try:
        document = _decoder.decode(text)
    except (msgspec.ValidationError, RecursionError) as error:
        # What it quotes from the file may hold line feeds.
        reason = " ".join(str(error).split())
        raise BookFileUnusable(f"not an order book: {reason:.200}; {_HINT}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BookFileUnusable(f"not JSON: {error}") from None
    if not document.orders:
        raise BookFileUnusable("no orders: there is nothing to clear; add buy and sell orders")
    if len(document.orders) > FILE_ORDERS_MAX:
        raise BookFileUnusable(f"{len(document.orders)} orders: use at most {FILE_ORDERS_MAX}")
    return document


def _terms(document: _Document, *, has_wishes: bool) -> Terms | None:
    """The auction's terms; what is not the default must mean something under the rule."""
    rule, split = document.rule, MIDWAY
    if document.split is not None:
        split = read_split(document.split)
    terms = Terms(
        rule=UNIFORM_PRICE if rule == TRUTHFUL else rule,
        price_rule=document.price_rule or MIDPOINT,
        split=split,
        allow_self_trade=document.allow_self_trade,
    )
    if terms.price_rule != MIDPOINT and rule != UNIFORM_PRICE:
        raise BookFileUnusable(f"price_rule means nothing under {rule}: leave it away")
    splits = rule == PAY_AS_BID or (rule == UNIFORM_PRICE and has_wishes)
    if terms.split != MIDWAY and not splits:
        raise BookFileUnusable(
            f"split means nothing under {rule} without preferences: use {PAY_AS_BID}, or leave it "
            "away"
        )
    if terms.allow_self_trade and rule == TRUTHFUL:
        raise BookFileUnusable(f"allow_self_trade means nothing under {rule}: leave it away")
    return None if rule == TRUTHFUL else terms


def _require_several(buys: Sequence[OrderLine], sells: Sequence[OrderLine], rule: str) -> None:
    """Raise `BookFileUnusable` unless there are two sides, and one order each where it must be."""
    for side, lines in ((BUY, buys), (SELL, sells)):
        if not lines:
            raise BookFileUnusable(f"no {side} orders: an auction needs both sides, add some")
    if rule == TRUTHFUL:
        ordered = sorted((line.participant, line.id) for line in (*buys, *sells))
        for (one, first_id), (other, second_id) in pairwise(ordered):
            if one == other:
                raise BookFileUnusable(
                    f"orders {first_id!r} and {second_id!r} are both of {one!r}: under {TRUTHFUL} "
                    "each participant has one"
                )

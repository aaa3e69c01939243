"""Auctions over an order book, by name.

>>> from commonwatt.market.orders import OrderBook, Side
>>> bids = Side.of([(0, 400, 22_000), (1, 300, 19_000)])
>>> result = auction(OrderBook(bids, sell=Side.of([(2, 500, 10_000)])), Terms())
>>> result.price, [tuple(trade) for trade in result]
(14500, [(0, 0, 400, 14500), (1, 0, 100, 14500)])
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from commonwatt.errors import InputError
from commonwatt.market.columns import IntColumn
from commonwatt.market.crossing import crossed
from commonwatt.market.orders import OrderBook
from commonwatt.market.own_trade import Served, best_at_one_price
from commonwatt.market.pairing import paired_by_price, paired_by_row, without_own_trades
from commonwatt.market.preference import Wishes, matched_apart, preference_rounds
from commonwatt.market.result import Result, TradeColumns, gain_of, require_sound

UNIFORM_PRICE, PAY_AS_BID, PAY_AS_OFFER = "uniform_price", "pay_as_bid", "pay_as_offer"
AUCTIONS = (UNIFORM_PRICE, PAY_AS_BID, PAY_AS_OFFER)
MIDPOINT, LAST_ACCEPTED_OFFER, MARGINAL_ORDER = "midpoint", "last_accepted_offer", "marginal_order"
PRICE_RULES = (MIDPOINT, LAST_ACCEPTED_OFFER, MARGINAL_ORDER)
SELLERS_PRICE, MIDWAY, BUYERS_PRICE = Fraction(0), Fraction(1, 2), Fraction(1)
SPLIT_DENOMINATOR_MAX = 1_000_000
_SPLIT_TEXT = re.compile(r"[0-9]{1,7}(/[0-9]{1,7}|\.[0-9]{1,6})?")


class TermsUnusable(InputError):
    """No auction has this name, this price rule, or this split."""


def read_split(text: str) -> Fraction:
    """A split as text, like 1/2 or 0.5; raises `TermsUnusable` for what is none.

    >>> read_split("1/3")
    Fraction(1, 3)
    """
    try:
        return Fraction(text if _SPLIT_TEXT.fullmatch(text) else "")
    except (ValueError, ZeroDivisionError):
        raise TermsUnusable(f"split {text!r:.60}: not a fraction from 0 to 1 like 1/2") from None


@dataclass(frozen=True, slots=True)
class Terms:
    """Which auction, and how its prices are found."""

    rule: str = UNIFORM_PRICE
    price_rule: str = MIDPOINT
    """Only `uniform_price` has one."""
    split: Fraction = MIDWAY
    """Where between the seller's limit (0) and the buyer's (1) a trade of its own price lies."""
    allow_self_trade: bool = False

    def __post_init__(self) -> None:
        """Refuse what is not there; raises `TermsUnusable`."""
        if self.rule not in AUCTIONS:
            raise TermsUnusable(f"no auction {self.rule!r}: use one of {', '.join(AUCTIONS)}")
        if self.price_rule not in PRICE_RULES:
            raise TermsUnusable(
                f"no price rule {self.price_rule!r}: use one of {', '.join(PRICE_RULES)}"
            )
        if not SELLERS_PRICE <= self.split <= BUYERS_PRICE:
            raise TermsUnusable(f"a split of {self.split}: use 0, the seller's, to 1, the buyer's")
        if self.split.denominator > SPLIT_DENOMINATOR_MAX:
            raise TermsUnusable(
                f"a split of {self.split}: use a denominator of at most {SPLIT_DENOMINATOR_MAX}"
            )

    @property
    def trade_split(self) -> Fraction:
        """The split of trades with prices of their own."""
        return SELLERS_PRICE if self.rule == PAY_AS_OFFER else self.split


class _Priced(NamedTuple):
    trades: TradeColumns
    rounded: bool


def auction(book: OrderBook, terms: Terms, wishes: Wishes | None = None) -> Result:
    """Clear a book.

    Args:
        book: the orders of one interval.
        terms: which auction.
        wishes: what goes first, in rounds of its own; nothing unless given. Trades of these rounds
            have prices of their own, whatever the auction.

    Raises:
        BookUnusable: where the wishes do not go with the book.
        InvariantBroken: where the result would not keep to every order.
    """
    nothing = TradeColumns(*(np.zeros(0, dtype=np.int64) for _ in TradeColumns._fields))
    preferred, bid, left = _Priced(nothing, rounded=False), nothing.price, book
    if wishes is not None:
        allowed = terms.allow_self_trade
        trades, bid, left = preference_rounds(book, wishes, allow_self_trade=allowed)
        preferred = _between(book, trades, bid, terms.trade_split)
    price = None
    if terms.rule == UNIFORM_PRICE:
        price, main = _at_one_price(left, terms)
    else:
        matched = _matched(left, terms)
        main = _between(left, matched, left.buy.price[matched.buy], terms.trade_split)
    pairs = zip(preferred.trades, main.trades, strict=True)
    trades = TradeColumns(*map(np.concatenate, pairs))
    bid = np.concatenate((bid, book.buy.price[main.trades.buy]))
    bought, sold = require_sound(trades, book, bid, allow_self_trade=terms.allow_self_trade)
    return Result(
        rule=terms.rule,
        price_rule=terms.price_rule if terms.rule == UNIFORM_PRICE else None,
        split=None if terms.rule == UNIFORM_PRICE and wishes is None else terms.trade_split,
        allow_self_trade=terms.allow_self_trade,
        price=price,
        rounded_down=preferred.rounded or main.rounded,
        trades=trades,
        preferred=len(preferred.trades.wh),
        buy_filled=bought,
        sell_filled=sold,
        buy_open=book.buy.wh - bought,
        sell_open=book.sell.wh - sold,
        gain=gain_of(trades, bid, book.sell.price[trades.sell]),
    )


def _at_one_price(book: OrderBook, terms: Terms) -> tuple[int | None, _Priced]:
    """All trades at one price, by row."""
    served = Served(crossed(book)) if terms.allow_self_trade else best_at_one_price(book)
    fills = served.fills
    if served.buy_group is None:
        trades = paired_by_row(fills)
        if not terms.allow_self_trade:
            trades = without_own_trades(book, trades)
    else:
        trades = paired_by_price(book, fills, served.buy_group, served.sell_group)
    if not trades.wh.size:
        return None, _Priced(trades, rounded=False)
    last_bid = int(book.buy.price[fills.buy > 0].min())
    last_offer = int(book.sell.price[fills.sell > 0].max())
    rounded = False
    if terms.price_rule == MIDPOINT:
        price, rest = divmod(last_bid + last_offer, 2)
        rounded = bool(rest)
    elif terms.price_rule == MARGINAL_ORDER and _in_part(
        book.buy.price, book.buy.wh, fills.buy, last_bid
    ):
        price = last_bid
    else:
        price = last_offer
    return price, _Priced(trades._replace(price=np.full_like(trades.wh, price)), rounded)


def _in_part(price: IntColumn, wh: IntColumn, filled: IntColumn, level: int) -> bool:
    """Whether the orders at this price are served in part."""
    return bool((filled < wh)[price == level].any())


def _matched(book: OrderBook, terms: Terms) -> TradeColumns:
    """Cheapest offer with dearest bid."""
    if terms.allow_self_trade:
        return paired_by_price(book, crossed(book))
    return matched_apart(book)


def _between(book: OrderBook, trades: TradeColumns, bid: IntColumn, split: Fraction) -> _Priced:
    """Each trade at its own price: the seller's limit and a part of what lies above it."""
    ask = book.sell.price[trades.sell]
    above, rest = np.divmod((bid - ask) * split.numerator, split.denominator)
    return _Priced(trades._replace(price=ask + above), bool(rest.any()))

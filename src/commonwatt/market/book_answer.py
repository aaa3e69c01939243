"""A cleared order book, and the JSON document that `commonwatt market clear` answers with.

>>> from commonwatt.market.book_file import read_book
>>> text = b'''{"orders": [
...     {"id": "b1", "side": "buy", "participant": "A", "energy_wh": 400, "price": "0.22"},
...     {"id": "s1", "side": "sell", "participant": "C", "energy_wh": 500, "price": "0.10"}
... ]}'''
>>> answer = answer_of(clear_book(read_book(text)))
>>> answer.price, answer.gain, answer.open_wh
('0.16000', '0.04800000', {'b1': 0, 's1': 100})
>>> answer.trades
[TradeLine(buy='b1', sell='s1', energy_wh=400, price='0.16000', amount='0.06400000')]
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import msgspec
import numpy as np

from commonwatt.market.auction import PAY_AS_OFFER, auction
from commonwatt.market.book_file import BookFile
from commonwatt.market.columns import IntColumn, exact_sum
from commonwatt.market.result import Result, TradeColumns
from commonwatt.market.truthful import truthful_auction


@dataclass(frozen=True, slots=True, eq=False)
class ClearedBook:
    """An order book and what its rule made of it."""

    file: BookFile
    price_rule: str | None
    """None where no price rule finds the price."""
    split: Fraction | None
    """None where no trade has a price of its own, or none but the seller's."""
    allow_self_trade: bool
    buy_price: int | None
    """What all buyers pay, units per Wh; None where there is no one price, or no trade."""
    sell_price: int | None
    """What all sellers get; other than the buyers' price under the truthful auction only."""
    rounded_down: bool
    """Whether a price fell between two units."""
    trades: TradeColumns
    """With what the buyer pays; trades of the preference rounds first."""
    preferred: int
    """How many trades come from the preference rounds."""
    buy_filled: IntColumn
    """Wh served, by row."""
    sell_filled: IntColumn
    gain: int
    """Units. Buy orders without a price do not say what energy is worth: they count for nothing."""

    @property
    def volume_wh(self) -> int:
        """All that was traded."""
        return exact_sum(self.trades.wh)

    @property
    def surplus(self) -> int:
        """Units that buyers pay beyond what sellers get."""
        return self.volume_wh * ((self.buy_price or 0) - (self.sell_price or 0))

    def open_orders(self) -> Iterator[tuple[str, str, int]]:
        """Id, side and Wh of what stayed open, buy orders first, each side by id."""
        book, file = self.file.book, self.file
        for name, ids, left in (
            ("buy", file.buy_ids, book.buy.wh - self.buy_filled),
            ("sell", file.sell_ids, book.sell.wh - self.sell_filled),
        ):
            for row in np.flatnonzero(left):
                yield ids[row], name, int(left[row])


def clear_book(file: BookFile) -> ClearedBook:
    """Clear a book by the rule it names.

    Raises:
        InvariantBroken: where the result would not keep to every order.
    """
    if file.terms is None:
        return _truthful(file)
    result = auction(file.book, file.terms, file.wishes)
    return ClearedBook(
        file=file,
        price_rule=result.price_rule,
        split=None if result.rule == PAY_AS_OFFER else result.split,
        allow_self_trade=result.allow_self_trade,
        buy_price=result.price,
        sell_price=result.price,
        rounded_down=result.rounded_down,
        trades=result.trades,
        preferred=result.preferred,
        buy_filled=result.buy_filled,
        sell_filled=result.sell_filled,
        gain=result.gain - _unnamed_worth(file, result),
    )


def _unnamed_worth(file: BookFile, result: Result) -> int:
    """What the gain holds of buy orders without a price, at the highest price there can be."""
    buy, sell, wh, _ = result.trades
    unpriced = file.unpriced[buy]
    above = file.book.buy.price[buy] - file.book.sell.price[sell]
    return exact_sum(above[unpriced] * wh[unpriced])


def _truthful(file: BookFile) -> ClearedBook:
    result = truthful_auction(file.book)
    price = np.full_like(result.trades.wh, result.buy_price or 0)
    return ClearedBook(
        file=file,
        price_rule=None,
        split=None,
        allow_self_trade=False,
        buy_price=result.buy_price,
        sell_price=result.sell_price,
        rounded_down=False,
        trades=TradeColumns(*result.trades, price),
        preferred=0,
        buy_filled=result.buy_filled,
        sell_filled=result.sell_filled,
        gain=result.gain,
    )


class TradeLine(msgspec.Struct, frozen=True, gc=False):
    """One trade: the price per kWh that the buyer pays, and the amount."""

    buy: str
    sell: str
    energy_wh: int
    price: str
    amount: str


class Answer(msgspec.Struct, frozen=True):
    """The document; prices per kWh and amounts are decimal texts. Fields as in `ClearedBook`."""

    rule: str
    price_rule: str | None
    split: str | None
    allow_self_trade: bool
    price: str | None
    """The one price of all trades; None where there is none."""
    rounded_down: bool
    volume_wh: int
    gain: str
    trades: list[TradeLine]
    filled_wh: dict[str, int]
    """Of every order, by id."""
    open_wh: dict[str, int]
    buy_price: str | msgspec.UnsetType | None = msgspec.UNSET
    """Only under the truthful auction, as are the next two."""
    sell_price: str | msgspec.UnsetType | None = msgspec.UNSET
    surplus: str | msgspec.UnsetType = msgspec.UNSET


def answer_of(cleared: ClearedBook) -> Answer:
    """The document of a cleared book; the same orders in any order give the same document."""
    file = cleared.file
    currency, book = file.currency, file.book

    def price(units: int | None) -> str | None:
        return None if units is None else currency.price_text(units)

    two_prices = file.terms is None
    answer = Answer(
        rule=file.rule,
        price_rule=cleared.price_rule,
        split=None if cleared.split is None else str(cleared.split),
        allow_self_trade=cleared.allow_self_trade,
        price=None if two_prices else price(cleared.buy_price),
        rounded_down=cleared.rounded_down,
        volume_wh=cleared.volume_wh,
        gain=currency.amount_text(cleared.gain),
        trades=list(trade_lines(cleared)),
        filled_wh=_by_id(file, cleared.buy_filled, cleared.sell_filled),
        open_wh=_by_id(file, book.buy.wh - cleared.buy_filled, book.sell.wh - cleared.sell_filled),
    )
    if not two_prices:
        return answer
    return msgspec.structs.replace(
        answer,
        buy_price=price(cleared.buy_price),
        sell_price=price(cleared.sell_price),
        surplus=currency.amount_text(cleared.surplus),
    )


def trade_lines(cleared: ClearedBook, most: int | None = None) -> Iterator[TradeLine]:
    """The trades, or the first so many of them."""
    file, currency = cleared.file, cleared.file.currency
    columns = (part[:most].tolist() for part in cleared.trades)
    for buy, sell, wh, price in zip(*columns, strict=True):
        yield TradeLine(
            buy=file.buy_ids[buy],
            sell=file.sell_ids[sell],
            energy_wh=wh,
            price=currency.price_text(price),
            amount=currency.amount_text(wh * price),
        )


def _by_id(file: BookFile, of_buys: IntColumn, of_sells: IntColumn) -> dict[str, int]:
    both = {
        **dict(zip(file.buy_ids, of_buys.tolist(), strict=True)),
        **dict(zip(file.sell_ids, of_sells.tolist(), strict=True)),
    }
    return {name: both[name] for name in sorted(both)}

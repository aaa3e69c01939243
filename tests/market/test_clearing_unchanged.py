"""The two rules there were from the beginning, trade for trade as they were written then.

They are written out here as plainly as can be, with no code of the program in them: a community
that never touches its settings trades as it did before there was anything else to choose.
"""

from collections.abc import Iterable, Sequence

from hypothesis import given

from commonwatt.market.book import Book, Tariff
from commonwatt.market.clearing import clear
from effort import effort
from markets import NOON, Choice, books, tariffs

Row = tuple[int, int, int, int]
"""Seller, buyer, Wh, price."""
Ranked = tuple[int, int]
"""Rank, lower first, and Wh."""


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Largest remainder, ties to the lower index."""
    whole = sum(weights)
    if not total:
        return [0] * len(weights)
    shares = [total * weight // whole for weight in weights]
    by_rest = sorted(range(len(weights)), key=lambda n: (-(total * weights[n] % whole), n))
    for index in by_rest[: total - sum(shares)]:
        shares[index] += 1
    return shares


def trades_at(price: int, sold: Iterable[int], bought: Iterable[int]) -> list[Row]:
    """Sellers and buyers side by side along one line, found Wh by Wh."""
    sellers = [member for member, wh in enumerate(sold) for _ in range(wh)]
    buyers = [member for member, wh in enumerate(bought) for _ in range(wh)]
    trades: list[Row] = []
    for pair in zip(sellers, buyers, strict=True):
        if trades and trades[-1][:2] == pair:
            trades[-1] = (*pair, trades[-1][2] + 1, price)
        else:
            trades.append((*pair, 1, price))
    return trades


def affordable(need: int, purse: int, unit_cost: int) -> int:
    return need if need * unit_cost <= purse else purse // unit_cost


def mid_market_rate(book: Book, tariff: Tariff) -> list[Row]:
    price = (tariff.retail + tariff.feed_in) // 2
    wanted = [
        affordable(need, purse, price + tariff.fee_local)
        for need, purse in zip(book.need_wh, book.purse, strict=True)
    ]
    volume = min(sum(wanted), sum(book.offer_wh))
    return trades_at(price, split(volume, book.offer_wh), split(volume, wanted))


def uniform_price(book: Book, tariff: Tariff) -> list[Row]:
    wanted = [
        affordable(need, purse, limit.bid + tariff.fee_local)
        for need, purse, limit in zip(book.need_wh, book.purse, book.limits, strict=True)
    ]
    bids = [(-limit.bid, wh) for limit, wh in zip(book.limits, wanted, strict=True)]
    asks = [(limit.ask, wh) for limit, wh in zip(book.limits, book.offer_wh, strict=True)]
    volume, last_bid, last_ask = cross(bids, asks)
    return trades_at((last_ask - last_bid) // 2, serve(volume, asks), serve(volume, bids))


def cross(bids: Sequence[Ranked], asks: Sequence[Ranked]) -> tuple[int, int, int]:
    """Volume, last matched -bid and last matched ask."""
    demand = [rank for rank, wh in sorted(bids) for _ in range(wh)]
    supply = [rank for rank, wh in sorted(asks) for _ in range(wh)]
    matched = [pair for pair in zip(demand, supply, strict=False) if -pair[0] >= pair[1]]
    last_bid, last_ask = matched[-1] if matched else (0, 0)
    return len(matched), last_bid, last_ask


def serve(volume: int, orders: Sequence[Ranked]) -> list[int]:
    """Better ranks in full, the marginal rank shares what is left pro rata."""
    served = [0] * len(orders)
    for rank in sorted({rank for rank, wh in orders if wh}):
        level = [index for index, order in enumerate(orders) if order[0] == rank]
        sizes = [orders[index][1] for index in level]
        taken = min(volume, sum(sizes))
        for index, share in zip(level, split(taken, sizes), strict=True):
            served[index] = share
        volume -= taken
    return served


def found(rule: str, book: Book, tariff: Tariff) -> list[Row]:
    clearing = clear(Choice(rule, None).charter(len(book.need_wh)), book, tariff, NOON)
    number = {"mid_market_rate": 1, "uniform_price": 2}[rule]
    assert {trade[4:] for trade in clearing.trades} <= {(tariff.fee_local, number)}
    assert clearing.price == (clearing.trades[0].price if clearing.trades else 0)
    return [trade[:4] for trade in clearing.trades]


@given(books(limits=False), tariffs())
@effort(4)
def test_the_mid_market_rate_trades_as_it_always_did(book: Book, tariff: Tariff) -> None:
    assert found("mid_market_rate", book, tariff) == mid_market_rate(book, tariff)


@given(books(limits=True), tariffs())
@effort(4)
def test_the_uniform_price_trades_as_it_always_did(book: Book, tariff: Tariff) -> None:
    assert found("uniform_price", book, tariff) == uniform_price(book, tariff)

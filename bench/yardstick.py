"""What the auctions are measured against: sort and sweep in plain Python, trades as tuples.

It is written to be fast, and does less than the auctions of this project: it neither divides the
marginal level in proportion, nor bars a participant from trading with itself, nor checks its
result. Its gain is the largest there is all the same, so the two can be compared.
"""

from collections.abc import Sequence
from typing import TypeAlias

Row: TypeAlias = tuple[int, int, int]
"""Participant, Wh, limit."""
Pair: TypeAlias = tuple[int, int, int]
"""Row of the buy order, row of the sell order, Wh."""
Trade: TypeAlias = tuple[int, int, int, int]
"""The same, and the price."""


def at_one_price(bids: Sequence[Row], offers: Sequence[Row]) -> tuple[int | None, list[Pair]]:
    """All at one price, midway between the last bid and the last offer matched."""
    pairs = matched(bids, offers)
    if not pairs:
        return None, pairs
    buy, sell, _ = pairs[-1]
    return (bids[buy][-1] + offers[sell][-1]) // 2, pairs


def at_own_prices(bids: Sequence[Row], offers: Sequence[Row]) -> list[Trade]:
    """Each trade midway between its own bid and its own offer."""
    return [
        (buy, sell, wh, (bids[buy][-1] + offers[sell][-1]) // 2)
        for buy, sell, wh in matched(bids, offers)
    ]


def matched(bids: Sequence[Row], offers: Sequence[Row]) -> list[Pair]:
    """The dearest bid with the cheapest offer, as long as it is not below it."""
    bid_limits, ask_limits = [bid[-1] for bid in bids], [offer[-1] for offer in offers]
    dearest = sorted(range(len(bids)), key=bid_limits.__getitem__, reverse=True)
    cheapest = iter(sorted(range(len(offers)), key=ask_limits.__getitem__))
    pairs: list[Pair] = []
    sell = left = ask = 0
    for buy in dearest:
        _, wanted, bid = bids[buy]
        while wanted:
            if not left:
                sell = next(cheapest, -1)
                if sell < 0:
                    return pairs
                _, left, ask = offers[sell]
            if bid < ask:
                return pairs
            if wanted < left:
                pairs.append((buy, sell, wanted))
                left -= wanted
                break
            pairs.append((buy, sell, left))
            wanted -= left
            left = 0
    return pairs


def gain_of(pairs: Sequence[Pair], bids: Sequence[Row], offers: Sequence[Row]) -> int:
    """The gain from trade in units, given each order's limit."""
    return sum((bids[buy][-1] - offers[sell][-1]) * wh for buy, sell, wh in pairs)

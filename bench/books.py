"""Seeded books of orders, the same in every run; as a child, one of them as JSON for other systems.

Half of the orders buy and half sell. Limits are drawn from 0.08 to 0.30 currency units per kWh and
energy from 1 to 5,000 Wh. There are four orders to a participant, on either side: so some would
trade with themselves, as homes with a battery do.
"""

import sys

import msgspec
import numpy as np

from commonwatt.market.columns import IntColumn
from commonwatt.market.orders import Side
from commonwatt.market.preference import NONE, QUALITIES, Wishes

LIMIT_MIN, LIMIT_MAX = 8_000, 30_000
WH_MAX = 5_000
ORDERS_EACH = 4
LARGE_PERCENT, PERCENT = 60, 100
PARTNERS_EACH = 3
PLACES = 200
PREMIUM_MAX = 3_000


def sides(orders: int) -> tuple[Side, Side]:
    """The buy and the sell orders of a book of so many."""
    draw = np.random.default_rng(orders)
    each = orders // 2

    def side() -> Side:
        return Side(
            draw.integers(0, orders // ORDERS_EACH, each),
            draw.integers(1, WH_MAX + 1, each),
            draw.integers(LIMIT_MIN, LIMIT_MAX + 1, each),
        )

    return side(), side()


def with_large(buy: Side, sell: Side) -> tuple[Side, Side]:
    """The same orders where more than half of each side are one participant's."""
    draw = np.random.default_rng(LARGE_PERCENT)

    def taken_over(side: Side) -> Side:
        its = draw.integers(0, PERCENT, len(side.wh)) < LARGE_PERCENT
        return side._replace(participant=np.where(its, 0, side.participant))

    return taken_over(buy), taken_over(sell)


def wishes(orders: int) -> Wishes:
    """Partners, places and qualities for the book of so many orders, all of them in use."""
    draw = np.random.default_rng(orders + 1)
    each = orders // 2
    chosen = draw.integers(0, orders // ORDERS_EACH, (each, PARTNERS_EACH))

    def codes(count: int) -> IntColumn:
        return draw.integers(NONE, count, each)

    return Wishes(
        partners=tuple(map(tuple, chosen.tolist())),
        buy_place=codes(PLACES),
        sell_place=codes(PLACES),
        buy_quality=codes(len(QUALITIES)),
        sell_quality=codes(len(QUALITIES)),
        premium=draw.integers(0, PREMIUM_MAX, each),
        takes_rest=draw.integers(0, 2, each).astype(bool),
    )


def rows(side: Side) -> list[tuple[int, int, int]]:
    """Participant, Wh and limit of each order."""
    participants, wh, limits = (part.tolist() for part in side)
    return list(zip(participants, wh, limits, strict=True))


def as_rows(orders: int) -> dict[str, list[tuple[int, int, int]]]:
    """A book for other systems, the participants numbered without a gap."""
    buy, sell = sides(orders)
    both = np.concatenate((buy.participant, sell.participant))
    buying, selling = np.split(np.unique(both, return_inverse=True)[1], 2)
    return {
        "buy": rows(buy._replace(participant=buying)),
        "sell": rows(sell._replace(participant=selling)),
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(as_rows(int(sys.argv[1]))))

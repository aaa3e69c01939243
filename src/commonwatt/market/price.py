"""Community prices without bids: one local price for what is shared, the supplier's for the rest.

What the community makes and uses at the same time is shared; what it lacks comes at retail, what
it has left over goes at feed-in. Each rule is a local price, and what each side pays or gets on
average follows from it.

| rule | local price | source |
|---|---|---|
| `mid_market_rate` | the middle of retail and feed-in | Long et al. 2017; Zhou, Wu, Long 2018 |
| `supply_demand_ratio` | falls from retail to feed-in as more is made | Liu et al. 2017 |
| `fixed_price` | what the community agreed on | |
| `bill_sharing` | nothing: the community pays one bill, as one customer | Long et al. 2017 |

Long et al., "Peer-to-peer energy trading in a community microgrid", IEEE PES General Meeting
(2017); Liu et al., "Energy-sharing model with price-based demand response for microgrids of
peer-to-peer prosumers", IEEE Transactions on Power Systems 32(5) (2017); Zhou, Wu, Long,
"Evaluation of peer-to-peer energy sharing mechanisms", Applied Energy 222 (2018).

>>> price = local_price("mid_market_rate", 30_000, 8_000, produced_wh=10_000, used_wh=4_000).price
>>> averages(price, 30_000, 8_000, produced_wh=10_000, used_wh=4_000)
Averages(buy=19000, sell=12400, buy_rounded=False, sell_rounded=False)
"""

from typing import NamedTuple

from commonwatt.errors import InputError, require
from commonwatt.market.columns import INT64_MAX
from commonwatt.quantity import PRICE_PER_WH_MAX

PRICE_RULES = ("mid_market_rate", "supply_demand_ratio", "fixed_price", "bill_sharing")


class PriceUnusable(InputError):
    """No community price has this name, or none can be found from these prices and Wh."""


class LocalPrice(NamedTuple):
    """What a Wh shared inside the community costs."""

    price: int
    """Units per Wh."""
    rounded: bool
    """Whether it fell between two units and was rounded down."""


class Averages(NamedTuple):
    """What each side pays or gets per Wh on average, the supplier's part included."""

    buy: int | None
    """Units per Wh used, rounded down; None where nothing is used."""
    sell: int | None
    """Units per Wh made, rounded down; None where nothing is made."""
    buy_rounded: bool
    sell_rounded: bool


def local_price(
    rule: str,
    retail: int,
    feed_in: int,
    produced_wh: int,
    used_wh: int,
    *,
    fixed: int | None = None,
) -> LocalPrice:
    """The price of what is shared.

    Args:
        rule: one of `PRICE_RULES`.
        retail: what the supplier asks, units per Wh.
        feed_in: what the supplier pays, units per Wh.
        produced_wh: what the community made.
        used_wh: what it used.
        fixed: the price agreed on, for `fixed_price`; the other rules find their own.

    Raises:
        PriceUnusable: an unknown rule, a price or energy outside its limits, feed-in above retail.
    """
    _require_usable(retail, feed_in, produced_wh, used_wh)
    match rule:
        case "mid_market_rate":
            return _divided(retail + feed_in, 2)
        case "supply_demand_ratio":
            return _by_ratio(retail, feed_in, produced_wh, used_wh)
        case "fixed_price":
            if fixed is None:
                raise PriceUnusable("fixed_price needs the price agreed on: give it")
            _require_price("the fixed price", fixed)
            return LocalPrice(fixed, rounded=False)
        case "bill_sharing":
            return LocalPrice(0, rounded=False)
        case _:
            raise PriceUnusable(
                f"no community price {rule!r:.80}: use one of {', '.join(PRICE_RULES)}"
            )


def _by_ratio(retail: int, feed_in: int, produced_wh: int, used_wh: int) -> LocalPrice:
    """From retail to feed-in: r f / ((r - f) SDR + f) with SDR = made / used; then feed-in."""
    if produced_wh > used_wh:
        return LocalPrice(feed_in, rounded=False)
    if not produced_wh:
        # The curve starts at retail, also where feed-in is nothing and the fraction is 0/0.
        return LocalPrice(retail, rounded=False)
    divisor = (retail - feed_in) * produced_wh + feed_in * used_wh
    # Nothing to divide by means that retail and feed-in are nothing, and so is what lies between.
    return _divided(retail * feed_in * used_wh, divisor or 1)


def averages(price: int, retail: int, feed_in: int, produced_wh: int, used_wh: int) -> Averages:
    """What both sides pay and get on average at a local price, in surplus as in shortage.

    Args:
        price: the local price, units per Wh.
        retail: what the supplier asks, units per Wh.
        feed_in: what the supplier pays, units per Wh.
        produced_wh: what the community made.
        used_wh: what it used.

    Raises:
        PriceUnusable: as of `local_price`, or an amount beyond 2^63 units.
    """
    _require_usable(retail, feed_in, produced_wh, used_wh)
    _require_price("the local price", price)
    shared = min(produced_wh, used_wh)
    to_supplier, from_supplier = retail * (used_wh - shared), feed_in * (produced_wh - shared)
    paid, received = price * shared + to_supplier, price * shared + from_supplier
    if max(paid, received) > INT64_MAX:
        raise PriceUnusable(f"{max(produced_wh, used_wh)} Wh at these prices are beyond 2^63 units")
    passed_on = paid - to_supplier == received - from_supplier
    require("what buyers pay for shared energy is what its makers get", passed_on, price=price)
    buy, sell = (
        _divided(amount, wh) if wh else LocalPrice(0, rounded=False)
        for amount, wh in ((paid, used_wh), (received, produced_wh))
    )
    return Averages(
        buy=buy.price if used_wh else None,
        sell=sell.price if produced_wh else None,
        buy_rounded=buy.rounded,
        sell_rounded=sell.rounded,
    )


def _divided(dividend: int, divisor: int) -> LocalPrice:
    price, rest = divmod(dividend, divisor)
    return LocalPrice(price, rounded=rest > 0)


def _require_usable(retail: int, feed_in: int, produced_wh: int, used_wh: int) -> None:
    _require_price("retail", retail)
    _require_price("feed-in", feed_in)
    if feed_in > retail:
        raise PriceUnusable(
            f"the feed-in price {feed_in} is above retail {retail}: "
            "everybody would sell to the supplier and buy back; lower it"
        )
    for what, wh in (("produced", produced_wh), ("used", used_wh)):
        if not 0 <= wh <= INT64_MAX:
            raise PriceUnusable(f"{what} Wh: use 0 to less than 2^63")


def _require_price(what: str, price: int) -> None:
    if not 0 <= price <= PRICE_PER_WH_MAX:
        raise PriceUnusable(f"{what} of {price} units per Wh: use 0 to {PRICE_PER_WH_MAX}")

"""One order in an order book's JSON document, and everything that can be wrong with it alone."""

from collections.abc import Iterator

import msgspec

from commonwatt.errors import InputError
from commonwatt.market.auction import PAY_AS_OFFER
from commonwatt.market.columns import INT64_MAX
from commonwatt.market.orders import ORDER_WH_MAX
from commonwatt.market.preference import PARTNERS_MAX, QUALITIES

BUY, SELL = "buy", "sell"
TRUTHFUL = "truthful"
"""The rule of `market/truthful.py`, which is no auction among the others."""
NAME_MAX = 100
"""No id, participant or place has more characters."""
_NAME_WANTED = f"use 1 to {NAME_MAX} printable characters"


class BookFileUnusable(InputError):
    """A document that is no order book, or one that nothing can be made of."""


class OrderLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One order as it stands in the file."""

    id: str
    """Unique in the book."""
    side: str
    """`buy` or `sell`."""
    participant: str
    """Whose order it is: one name is one participant, on both sides."""
    energy_wh: int
    price: str | None = None
    """The limit, currency per kWh; only under pay-as-offer a buy order may do without."""
    partners: tuple[str, ...] | None = None
    """Participants it would buy from first, best first."""
    quality: str | None = None
    """What a buy order prefers, and what a sell order carries: green or local."""
    premium: str | None = None
    """What a buy order pays above its limit for that quality, currency per kWh."""
    takes_rest: bool | None = None
    """Whether a buy order goes on to the auction over all; it does unless it says otherwise."""
    place: str | None = None
    """The building."""

    @property
    def prefers(self) -> bool:
        """Whether a buy order names anything it would rather have."""
        return bool(self.partners) or self.quality is not None or self.place is not None


def require_line(line: OrderLine, place: int, rule: str) -> None:
    """Raise `BookFileUnusable` with the first thing that is wrong with an order.

    Args:
        line: the order.
        place: where it stands in the file, from 0; names it where its id cannot.
        rule: the rule of the book.
    """
    if not _is_name(line.id):
        raise BookFileUnusable(f"orders[{place}]: id {line.id!r:.60}: {_NAME_WANTED}")
    flaw = next(_flaws(line, rule), None)
    if flaw is not None:
        raise BookFileUnusable(f"order {line.id!r}: {flaw}")


def _is_name(text: str) -> bool:
    return 0 < len(text) <= NAME_MAX and text.isprintable() and text == text.strip()


def _flaws(line: OrderLine, rule: str) -> Iterator[str]:
    if line.side not in (BUY, SELL):
        yield f"side {line.side!r:.60}: use {BUY} or {SELL}"
    if not _is_name(line.participant):
        yield f"participant {line.participant!r:.60}: {_NAME_WANTED}"
    if not 0 < line.energy_wh <= ORDER_WH_MAX:
        # A number of thousands of digits is valid JSON.
        beyond = abs(line.energy_wh) > INT64_MAX
        shown = "is beyond 2^63" if beyond else f"of {line.energy_wh}"
        yield f"energy_wh {shown}: use 1 to {ORDER_WH_MAX}"
    if line.quality is not None and line.quality not in QUALITIES:
        yield f"quality {line.quality!r:.60}: use {' or '.join(QUALITIES)}"
    if line.place is not None and not _is_name(line.place):
        yield f"place {line.place!r:.60}: {_NAME_WANTED}"
    yield from _sell_flaws(line) if line.side == SELL else _buy_flaws(line, rule)


def _sell_flaws(line: OrderLine) -> Iterator[str]:
    if line.price is None:
        yield "no price: a sell order names the least it sells for"
    for field in ("partners", "premium", "takes_rest"):
        if getattr(line, field) is not None:
            yield f"{field} on a sell order: only buy orders have it, leave it away"


def _buy_flaws(line: OrderLine, rule: str) -> Iterator[str]:
    if line.price is None and rule != PAY_AS_OFFER:
        yield f"no price: only under {PAY_AS_OFFER} may a buy order do without"
    if line.partners:
        yield from _partner_flaws(line, line.partners)
    if line.premium is not None and line.quality is None:
        yield f"a premium for no quality: name one, {' or '.join(QUALITIES)}"
    if line.premium is not None and line.price is None:
        yield "a premium above no price: name the limit too, or leave the premium away"
    if line.takes_rest is False and not line.prefers:
        yield (
            "takes_rest is false and it prefers nothing, so it could never trade: name partners, "
            "a place or a quality"
        )
    if rule == TRUTHFUL and line.prefers:
        yield (
            f"partners, place and quality of buy orders mean nothing under {TRUTHFUL}: "
            "leave them away"
        )


def _partner_flaws(line: OrderLine, partners: tuple[str, ...]) -> Iterator[str]:
    if len(partners) > PARTNERS_MAX:
        yield f"{len(partners)} partners: name at most {PARTNERS_MAX}"
    for partner in partners:
        if not _is_name(partner):
            yield f"partner {partner!r:.60}: {_NAME_WANTED}"
        if partner == line.participant:
            yield f"partner {partner!r} is the bidder itself: name others"
    if len(set(partners)) < len(partners):
        yield "a partner is named twice: once says when its turn is"

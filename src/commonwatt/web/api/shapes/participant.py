"""What a participant sees of itself, and of its neighbours as sums."""

from typing import Annotated, Literal

from msgspec import Meta

from commonwatt.web.api.shapes.base import (
    Account,
    Amount,
    Day,
    Digest,
    Hex,
    Price,
    Second,
    Shape,
    Wh,
)
from commonwatt.web.api.shapes.community import MeterDetail


class Sums(Shape, frozen=True):
    """All members' energy of a day: neighbours are seen as sums only."""

    day: Day
    intervals: int
    imported_wh: Wh
    exported_wh: Wh
    local_wh: Wh
    issued_wh: Wh
    retired_wh: Wh
    free_wh: Wh


class Participants(Shape, frozen=True):
    """Who takes part, and what all of them together did in a day."""

    members: int
    accounts: tuple[Account, ...]
    sums: Sums


class Position(Shape, frozen=True):
    """A member's energy and money in one interval: the line of a bill."""

    start: Second
    end: Second
    silent: bool
    gap: bool
    imported_wh: Wh
    exported_wh: Wh
    own_wh: Wh
    bought_local_wh: Wh
    sold_local_wh: Wh
    bought_supplier_wh: Wh
    sold_supplier_wh: Wh
    green_wh: Wh
    local_cost: Amount
    local_income: Amount
    fee: Amount
    supplier_cost: Amount
    supplier_income: Amount
    adjusted: Annotated[
        Amount, Meta(description="For intervals before, of which records came late.")
    ]
    bill: Annotated[Amount, Meta(description="What it cost; below zero it earned.")]
    balance_before: Amount
    balance_after: Amount
    arrears_before: Amount
    arrears_after: Amount


class Participant(Shape, frozen=True):
    """A member, as it sees itself."""

    member: int
    account: Account
    meters: tuple[MeterDetail, ...]
    last: Annotated[Position | None, Meta(description="Of the last closed interval.")]


class TradeOf(Shape, frozen=True):
    """Energy a member sold to a neighbour or bought of one; who it was stays hidden."""

    start: Second
    end: Second
    side: Literal["sold", "bought"]
    wh: Wh
    price: Price
    fee: Annotated[Price, Meta(description="The grid operator's, paid by the buyer.")]
    amount: Annotated[Amount, Meta(description="Wh times price, without fee.")]
    rule: Annotated[int, Meta(description="Number of what brought the two together.")]


class AdjustmentOf(Shape, frozen=True):
    """What a late record or a correction moved, at the prices of its interval."""

    start: Annotated[Second, Meta(description="Of the interval it was settled with.")]
    meter: Annotated[str, Meta(pattern="^[0-9a-f]{40}$", max_length=40)]
    of_start: Annotated[Second, Meta(description="Of the interval the record is of.")]
    of_end: Second
    record: Digest
    imported_wh: Annotated[
        int,
        Meta(
            description="Whole Wh its interval gains, and the next one counted loses; or below 0."
        ),
    ]
    exported_wh: Annotated[
        int,
        Meta(
            description="Whole Wh its interval gains, and the next one counted loses; or below 0."
        ),
    ]
    amount: Annotated[
        Amount, Meta(description="Less what was paid for it before; below zero it came back.")
    ]
    issued_wh: Annotated[Wh, Meta(description="Certificates that came of it.")]


class PaymentOf(Shape, frozen=True):
    """What an interval moved in a member's lane, and in which transaction."""

    start: Second
    end: Second
    amount: Annotated[Amount, Meta(description="Above zero: paid in.")]
    balance_after: Amount
    arrears_after: Amount
    transaction: Digest


class ProvenLeafOf(Shape, frozen=True):
    """A leaf with its path."""

    section: str
    index: int
    leaf: Hex
    path: tuple[Digest, ...]
    record: Hex = ""


class ProofOf(Shape, frozen=True):
    """A proof, as `commonwatt verify` reads it."""

    start: Second
    header: Hex
    anchor: Digest
    leaves: tuple[ProvenLeafOf, ...]
    format: str

"""What the operator sees and decides: refused records, webhooks."""

from typing import Annotated, Literal

from msgspec import Meta

from commonwatt.web.api.shapes.base import Hex, Second, Shape, Wanted


class QuarantinedOf(Shape, frozen=True):
    """A refused record."""

    number: int
    start: Annotated[int, Meta(description="Of the interval that was open when it came.")]
    meter: str
    sequence: int
    reason: str
    record: Hex
    signature: Hex
    ruling: Literal["released", "rejected"] | None
    decided_by: str | None
    readmitted: Annotated[int | None, Meta(description="Start of the interval it counted in.")]


class DecisionOf(Shape, frozen=True):
    """A line of the operator's log."""

    number: int
    refusal: int
    ruling: Literal["released", "rejected"]
    by: str
    at: Second
    remark: str


class DecisionMade(Shape, frozen=True):
    """A decision, and what came of it."""

    decision: DecisionOf
    readmitted: Annotated[
        int | None, Meta(description="Start of the interval its record counts in, if it does now.")
    ]
    reason: Annotated[
        str | None, Meta(description="Why a released record does not count all the same.")
    ]


class DecisionWanted(Wanted, frozen=True):
    """What the operator decides about a refused record."""

    ruling: Literal["released", "rejected"]
    remark: Annotated[str, Meta(max_length=500, description="Why; for the log.")] = ""


class HookWanted(Wanted, frozen=True):
    """A webhook to be registered."""

    url: Annotated[
        str, Meta(min_length=9, max_length=1_000, description="https, or http on this machine.")
    ]
    kinds: tuple[Literal["interval", "refused", "chain", "book"], ...] = ("interval",)


class HookOf(Shape, frozen=True):
    """A webhook."""

    number: int
    url: str
    kinds: tuple[str, ...]
    registered: Second
    by: str


class HookMade(Shape, frozen=True):
    """A new webhook; its secret is told once."""

    number: int
    url: str
    kinds: tuple[str, ...]
    registered: Second
    by: str
    secret: str

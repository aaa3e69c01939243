"""What all documents are made of: kinds of values, and what goes in and what comes out."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Hex = Annotated[str, Meta(pattern="^[0-9a-f]*$")]
Meter = Annotated[str, Meta(pattern="^[0-9a-f]{40}$", description="A meter's id, 20 bytes.")]
Account = Annotated[str, Meta(pattern="^[0-9a-f]{40}$", description="An account, 20 bytes.")]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="32 bytes.")]
Second = Annotated[int, Meta(description="UTC second.")]
Wh = Annotated[int, Meta(description="Whole Wh.")]
Price = Annotated[
    str, Meta(pattern="^-?[0-9]+(\\.[0-9]+)?$", description="Per kWh, in the currency.")
]
Amount = Annotated[str, Meta(pattern="^-?[0-9]+(\\.[0-9]+)?$", description="In the currency.")]
Day = Annotated[
    str,
    Meta(
        pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        max_length=10,
        description="A UTC day.",
        examples=["2016-06-21"],
    ),
]
MeterRole = Literal["grid", "generation", "storage"]


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is answered."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document or query that is sent to us: what it does not know is refused, not passed over."""


class Problem(Shape, frozen=True):
    """What is answered instead of what was asked for (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class ProblemKind(Shape, frozen=True):
    """A kind of problem."""

    type: str
    title: str
    status: int
    step: Annotated[str, Meta(description="What to do next.")]


EventText = Annotated[str, Meta(description="Blocks of id, event and data; data is JSON.")]
LinesText = Annotated[str, Meta(description="JSON, one document on each line.")]

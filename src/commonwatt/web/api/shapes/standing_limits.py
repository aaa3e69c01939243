"""Standing limit prices: what a member's energy is bought and sold at, at most and at least."""

from typing import Annotated, Literal

from msgspec import Meta

from commonwatt.web.api.shapes.base import Price, Second, Shape, Wanted

_Limit = Annotated[
    str,
    Meta(
        pattern="^[0-9]{1,18}(\\.[0-9]{1,18})?$",
        max_length=37,
        description="Per kWh, in the currency, without grid fee.",
        examples=["0.24000"],
    ),
]


class LimitsWanted(Wanted, frozen=True):
    """Limit prices that a member is to have."""

    bid: Annotated[_Limit, Meta(description="Pays at most this for local energy.")]
    ask: Annotated[_Limit, Meta(description="Sells locally for at least this.")]


class LimitsOf(Shape, frozen=True):
    """A member's limit prices, as they are for the open interval."""

    member: int
    bid: Annotated[Price | None, Meta(description="null where the market's rule takes none.")]
    ask: Annotated[Price | None, Meta(description="null where the market's rule takes none.")]
    source: Annotated[
        Literal["file", "set", "rule"],
        Meta(description="The community's file; set by somebody; or the rule takes no limits."),
    ]
    start: Annotated[
        Second | None, Meta(description="The first interval since the last change; null for none.")
    ]
    set_by: Annotated[str | None, Meta(description="Who made the last change.")]
    set_at: Annotated[Second | None, Meta(description="When.")]


class LimitChangeOf(Shape, frozen=True):
    """One change of a member's limit prices."""

    number: int
    member: int
    start: Annotated[Second, Meta(description="The first interval that it held for.")]
    bid: Annotated[Price | None, Meta(description="null: back to the community's file.")]
    ask: Annotated[Price | None, Meta(description="null: back to the community's file.")]
    set_by: str
    set_at: Second

"""Closed intervals, prices, and the days of which there are statements."""

from typing import Annotated, Literal

from msgspec import Meta

from commonwatt.web.api.shapes.base import Day, Digest, Hex, Price, Second, Shape, Wh


class ClosedInterval(Shape, frozen=True):
    """A closed interval's header, decoded, and where it is anchored."""

    start: Second
    end: Second
    anchor: Digest
    transaction: Digest
    retail: Price
    feed_in: Price
    fee_local: Price
    fee_supplier: Price
    local_price: Annotated[Price | None, Meta(description="null where nothing was traded.")]
    imported_wh: Wh
    exported_wh: Wh
    local_wh: Wh
    issued_wh: Wh
    retired_wh: Wh
    free_wh: Wh
    records: int
    trades: int
    certificates: int
    header: Hex


class PricesOf(Shape, frozen=True):
    """What energy cost in an interval."""

    start: Second
    end: Second
    retail: Price
    feed_in: Price
    fee_local: Price
    fee_supplier: Price
    local_price: Price | None


class StatementDay(Shape, frozen=True):
    """A UTC day of which statements are published."""

    day: Day
    parts: tuple[Literal["inputs", "leaves", "certificates"], ...]

"""A community, its meters, and records on their way in."""

from typing import Annotated, Literal

from msgspec import Meta

from commonwatt.web.api.shapes.base import (
    Account,
    Day,
    Digest,
    Hex,
    Meter,
    MeterRole,
    Second,
    Shape,
    Wanted,
)


class CommunityItem(Shape, frozen=True):
    """A community in the list."""

    name: str
    members: int
    meters: int
    currency: str
    interval_s: int


class MeterOf(Shape, frozen=True):
    """A meter, as everybody may know it."""

    meter: Meter
    member: int
    role: MeterRole


class Community(Shape, frozen=True):
    """A community: what a meter, a wallet and an auditor start from."""

    name: str
    ledger: Annotated[str, Meta(pattern="^[0-9a-f]{16}$", description="Records must name it.")]
    interval_s: int
    grace_s: int
    open_interval: Second
    first_start: Second
    currency: str
    decimals: int
    rule: str
    chain_id: int
    registry: Account
    settlement: Account
    certificate: Account
    token: Account
    book: Account
    members: int
    meters: tuple[MeterOf, ...]


class MeterDetail(Shape, frozen=True):
    """A meter, as its owner knows it."""

    meter: Meter
    member: int
    role: MeterRole
    public_key: Hex
    source: Annotated[str, Meta(description="AIB technology code; empty for none.")]
    rated_w: int
    in_service: Day
    zone: str
    direct: bool
    opening: Hex
    opening_signature: Hex


class RecordSent(Wanted, frozen=True):
    """A record as its meter signed it."""

    record: Annotated[Hex, Meta(min_length=200, max_length=200)]
    signature: Annotated[Hex, Meta(min_length=128, max_length=128, description="r || s.")]


class BatchSent(Wanted, frozen=True):
    """A batch of records."""

    records: tuple[RecordSent, ...]


class Result(Shape, frozen=True):
    """What became of a record."""

    record: Annotated[Digest, Meta(description="SHA-256 of the record.")]
    meter: Meter
    sequence: int
    verdict: Literal["accepted", "duplicate", "refused"]
    reason: Annotated[str | None, Meta(description="Why it was refused; see docs/errors.md.")]


class Results(Shape, frozen=True):
    """In the order of the batch; sent once all that is accepted is on the disk."""

    results: tuple[Result, ...]

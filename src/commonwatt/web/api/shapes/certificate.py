"""Certificates and the book they are in."""

from typing import Annotated, Literal

from msgspec import Meta

from commonwatt.certificate.actions import Action
from commonwatt.web.api.shapes.base import Account, Digest, Meter, Second, Shape, Wanted, Wh


class BundleOf(Shape, frozen=True):
    """Consecutive units of one issuance with one holder and one fate."""

    number: int
    meter: Meter
    start: Second
    end: Second
    first: Annotated[int, Meta(description="First unit of the issuance.")]
    unit_end: Annotated[int, Meta(description="The unit after the last.")]
    wh: Wh
    holder: Account
    status: Literal[
        "active", "reserved", "retired", "claimed", "stored", "withdrawn", "exported", "split"
    ]
    is_expired: bool
    by: Annotated[int, Meta(description="Entry of the log that made it what it is.")]
    parent: int | None


class BookOf(Shape, frozen=True):
    """The book of certificates: what an action is signed for."""

    identity: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    issuer: Account
    lifetime_s: Annotated[int, Meta(description="Units expire so long after; 0 for never.")]
    entries: int
    head: Digest


class BookAccount(Shape, frozen=True):
    """Which action of an account is its next."""

    account: Account
    next_action: int


class ActionDone(Shape, frozen=True):
    """What came of an action."""

    entries: Annotated[int, Meta(description="Of the log, with this one.")]
    bundles: tuple[BundleOf, ...]


class ActionText(Shape, frozen=True):
    """What a wallet is to sign."""

    number: int
    action: Action
    text: str


class EnergyTagQuery(Wanted, frozen=True):
    """EnergyTag's query for bundles of an account."""

    source_id: Account
    user_id: Account
    localise_time: bool | None = None
    issuance_ids: tuple[Annotated[str, Meta(max_length=80)], ...] | None = None
    device_id: Meter | None = None
    energy_source: Annotated[str, Meta(max_length=40)] | None = None
    certificate_period_start: Annotated[str, Meta(max_length=40)] | None = None
    certificate_period_end: Annotated[str, Meta(max_length=40)] | None = None
    certificate_bundle_status: Annotated[str, Meta(max_length=40)] | None = None

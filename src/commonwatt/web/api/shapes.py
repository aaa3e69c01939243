"""What goes over the wire, in and out: one struct per document, and nothing else in it.

Bytes are lower-case hex digits, times UTC seconds, energy whole Wh. Prices are decimal strings per
kWh and amounts decimal strings of the community's currency, since JSON's numbers are not exact.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from commonwatt.certificate.actions import Action

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


# Queries


class NoQuery(Wanted, frozen=True):
    """Nothing can be asked for."""


class PageQuery(Wanted, frozen=True):
    """A page of a list."""

    limit: Annotated[int, Meta(ge=1, le=1_000, description="Entries at most.")] = 100
    cursor: (
        Annotated[
            str,
            Meta(
                pattern="^[0-9]{1,18}(\\.[0-9]{1,18})?$",
                max_length=40,
                description="`next` of the page before.",
            ),
        ]
        | None
    ) = None


class DayQuery(PageQuery, frozen=True):
    """A page of a day's intervals."""

    day: Annotated[
        Day | None, Meta(description="A UTC day; unless given, that of the last closed interval.")
    ] = None


class CertificateQuery(PageQuery, frozen=True):
    """Bundles of an account or of a day, or of both."""

    account: (
        Annotated[
            str,
            Meta(
                pattern="^[0-9a-f]{40}$",
                max_length=40,
                description="Whose; a participant sees its own only.",
            ),
        ]
        | None
    ) = None
    day: Annotated[Day | None, Meta(description="UTC day in which they were produced.")] = None
    status: Annotated[
        Literal[
            "active", "reserved", "retired", "claimed", "stored", "withdrawn", "exported", "split"
        ]
        | None,
        Meta(description="Only these; unless given, all that were not divided."),
    ] = None


class EventQuery(Wanted, frozen=True):
    """Which events."""

    kind: Annotated[
        Literal["interval", "refused", "chain", "book"] | None, Meta(description="Only these.")
    ] = None
    after: (
        Annotated[
            int,
            Meta(ge=0, le=2**62, description="Like Last-Event-ID, for who cannot set headers."),
        ]
        | None
    ) = None


class QuarantineQuery(PageQuery, frozen=True):
    """Refused records."""

    state: Annotated[
        Literal["waiting", "released", "all"],
        Meta(description="Undecided; released and not yet accepted; or all."),
    ] = "waiting"


# The node


class CommunityHealth(Shape, frozen=True):
    """How a community is doing."""

    name: str
    now: Second
    open_interval: Second
    waiting: Annotated[int, Meta(description="Intervals stated and not yet on the chain.")]
    chain: Literal["ok", "away"]
    silent: Annotated[int, Meta(description="Meters not heard of in the open interval.")]
    accepted: Annotated[int, Meta(description="Records since the node started.")]
    refused: int
    book_entries: int


class Health(Shape, frozen=True):
    """How the node is doing."""

    status: Literal["ok", "degraded"]
    version: str
    communities: tuple[CommunityHealth, ...]


class Nonce(Shape, frozen=True):
    """For the message that signs in."""

    nonce: str
    expires_in: Annotated[int, Meta(description="Seconds.")]
    domain: str
    uri: str
    chain_ids: tuple[int, ...]


class SignInRequest(Wanted, frozen=True):
    """A signed message of EIP-4361."""

    message: Annotated[str, Meta(max_length=2_048)]
    signature: Annotated[str, Meta(max_length=132, description="r, s, v in hex digits.")]


class Membership(Shape, frozen=True):
    """What somebody is in a community."""

    community: str
    members: tuple[int, ...]
    roles: tuple[Literal["participant", "operator", "issuer", "auditor"], ...]


class SignedIn(Shape, frozen=True):
    """A token, told once."""

    token: str
    token_type: Literal["Bearer"]
    expires_in: int
    account: Account
    communities: tuple[Membership, ...]


class WhoAmI(Shape, frozen=True):
    """Whose token it is."""

    actor: str
    account: Account | None
    expires_in: int | None
    communities: tuple[Membership, ...]


# Communities


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
    """What a record that came after its interval's close moved, at that interval's prices."""

    start: Annotated[Second, Meta(description="Of the interval it was settled with.")]
    meter: Annotated[str, Meta(pattern="^[0-9a-f]{40}$", max_length=40)]
    of_start: Annotated[Second, Meta(description="Of the interval the record is of.")]
    of_end: Second
    record: Digest
    imported_wh: Wh
    exported_wh: Wh
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


class RecordSent(Wanted, frozen=True):
    """A record as its meter signed it."""

    record: Annotated[Hex, Meta(min_length=200, max_length=200)]
    signature: Annotated[Hex, Meta(min_length=128, max_length=128, description="r || s.")]


class BatchSent(Wanted, frozen=True):
    """A batch of records."""

    records: tuple[RecordSent, ...]


class Result(Shape, frozen=True):
    """What became of a record."""

    meter: Meter
    sequence: int
    verdict: Literal["accepted", "duplicate", "refused"]
    reason: Annotated[str | None, Meta(description="Why it was refused; see docs/errors.md.")]


class Results(Shape, frozen=True):
    """In the order of the batch; sent once all that is accepted is on the disk."""

    results: tuple[Result, ...]


# Statements


class StatementDay(Shape, frozen=True):
    """A UTC day of which statements are published."""

    day: Day
    parts: tuple[Literal["inputs", "leaves", "certificates"], ...]


# Certificates


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


# The operator's


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


EventText = Annotated[str, Meta(description="Blocks of id, event and data; data is JSON.")]
LinesText = Annotated[str, Meta(description="JSON, one document on each line.")]

"""What the chain says: the only thing an audit believes without recomputing it.

Plain data, so that an audit needs no chain client; `chain/ledger.py` reads it from event logs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from commonwatt.meter.registration import ZONE_BYTES, Registration

WIDE_LANES = 2**32
"""Lane numbers from here on are wide: the supplier's, then the grid operator's."""
SUPPLIER_LANE, GRID_LANE = WIDE_LANES, WIDE_LANES + 1


@dataclass(frozen=True, slots=True)
class Flow:
    """One deposit (amount above zero) or withdrawal (below)."""

    number: int
    """1 for the first; statements say how many they have seen."""
    lane: int
    account: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class AnchoredClose:
    """One interval that the chain closed."""

    start: int
    duration: int
    anchor: bytes
    transaction: bytes
    block: int
    timestamp: int
    """UTC seconds of the block."""


@dataclass(frozen=True, slots=True)
class RegisteredMeter:
    """A meter as the chain registered it."""

    public_key: bytes
    member: int
    role: int
    source: int
    rated_w: int
    first_day: int
    zone: bytes
    direct: bool
    opening: bytes
    """SHA-256 of the opening record."""

    @classmethod
    def of(cls, registration: Registration) -> "RegisteredMeter":
        """A registration as the chain should have it."""
        return cls(
            public_key=registration.public_key,
            member=registration.member,
            role=registration.role,
            source=registration.source,
            rated_w=registration.rated_w,
            first_day=registration.first_day,
            zone=registration.zone.encode("ascii").ljust(ZONE_BYTES, b"\0"),
            direct=registration.direct,
            opening=registration.opening.digest,
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """Free units that became tokens."""

    meter: bytes
    start: int
    duration: int
    owner: bytes
    wh: int


@dataclass(frozen=True, slots=True)
class Retirement:
    """Tokens retired on the chain."""

    meter: bytes
    start: int
    duration: int
    owner: bytes
    wh: int


class Act(Enum):
    """What happened to units on the chain."""

    ISSUED = "issued"
    MOVED = "moved"
    RETIRED = "retired"
    REINSTATED = "reinstated"
    """Retired units given back to their holder by the issuer."""
    WITHDRAWN = "withdrawn"
    EXPORTED = "exported"
    RESTORED = "restored"
    """Exported units that came back."""


@dataclass(frozen=True, slots=True)
class Movement:
    """One thing that happened to units of one certificate."""

    act: Act
    meter: bytes
    start: int
    duration: int
    wh: int
    giver: bytes | None
    """Whose held units became fewer; None if nobody's did."""
    taker: bytes | None
    """Whose held units became more; None if nobody's did."""
    words: bytes = b""
    """Claim data of a retirement, reason of a withdrawal or reinstatement, message of an export
    or a return."""
    destination: bytes = b""
    """Registry to which units were exported."""
    transaction: bytes = field(default=b"", compare=False)
    block: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Escrow:
    """Who put units into an escrow, and who alone can take them out."""

    agent: bytes
    holder: bytes
    number: int


@dataclass(frozen=True, slots=True)
class DirectRecord:
    """A record of a meter that writes to the chain itself, as the chain took it down."""

    meter: bytes
    sequence: int
    time_end: int
    export_mwh: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class BookPost:
    """The head of the book, as the issuer posted it."""

    count: int
    head: bytes
    transaction: bytes
    block: int


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """All that an audit of one community asks of the chain."""

    chain_id: int
    registry: bytes
    settlement: bytes
    certificate: bytes
    token: bytes
    exchange: bytes
    """Empty where what stands at its address does not sell these certificates for this token."""
    book: bytes
    """Empty where what stands at its address is not this registry's book."""
    roll: bytes
    accounts: tuple[bytes, ...]
    """Members' accounts by index."""
    meters: tuple[RegisteredMeter, ...]
    """In the order of registration."""
    flows: tuple[Flow, ...]
    closes: tuple[AnchoredClose, ...]
    balances: tuple[int, ...]
    """Members' lanes now, in units."""
    supplier: int
    grid_operator: int
    token_supply: int
    wallets: Mapping[bytes, int]
    """Token balances by account, the settlement contract's included."""
    claims: tuple[Claim, ...]
    retirements: tuple[Retirement, ...]
    """What is retired now of the claims: reinstated units are not in it any more."""
    issues: tuple[Claim, ...] = ()
    """Units issued on records that meters wrote to the chain themselves."""
    movements: tuple[Movement, ...] = ()
    """All that happened to units of this community's meters, in order."""
    escrows: Mapping[bytes, Escrow] = field(default_factory=dict)
    """By the address under which their units are held."""
    kept: Mapping[bytes, int] = field(default_factory=dict)
    """Meters whose certificates are kept in the book, and the start from which they are."""
    records: tuple[DirectRecord, ...] = ()
    posts: tuple[BookPost, ...] = ()
    """Heads of the book, in order."""
    issuer: bytes = b""
    """Account of the registry's issuer now."""
    lifetime_s: int = 0
    """A unit expires so long after its interval (R22); 0 for never."""

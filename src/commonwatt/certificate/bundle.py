"""Bundles: consecutive units of one issuance with one holder and one fate.

A unit is 1 Wh (R2). An issuance numbers its units from 0; a bundle is a half-open range of them, so
that bundles of one issuance never overlap and a range's length is its quantity. Dividing a bundle
leaves it behind as `SPLIT` and makes two of it (R15).
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Origin(NamedTuple):
    """What an issuance is of: one meter and one interval, half-open, UTC (R3, R6)."""

    meter: bytes
    """The meter's 20-byte id."""
    start: int
    """UTC second."""
    duration: int
    """Seconds."""

    @property
    def end(self) -> int:
        """The first second after the interval."""
        return self.start + self.duration

    def overlaps(self, start: int, end: int) -> bool:
        """Whether any second of the interval lies in `[start, end)`."""
        return self.start < end and start < self.end


class Status(Enum):
    """What has become of a bundle. Expiry is no status: it follows from the time (R22)."""

    ACTIVE = "active"
    """Its holder's, to do with as it likes."""
    RESERVED = "reserved"
    """Frozen: offered, or promised to somebody (R14)."""
    RETIRED = "retired"
    """Used up for a beneficiary and a purpose (R18)."""
    CLAIMED = "claimed"
    """Retired, and its use claimed by that beneficiary (R18)."""
    STORED = "stored"
    """Put into a charge; what is discharged gets certificates of its own (R24)."""
    WITHDRAWN = "withdrawn"
    """Taken back by the issuer, with a reason (R23)."""
    EXPORTED = "exported"
    """Dead here, to live in another registry (R26)."""
    SPLIT = "split"
    """Divided; its parts carry on."""


LIVE = frozenset({Status.ACTIVE, Status.RESERVED})
"""What can still expire."""
FINAL = frozenset({Status.STORED, Status.WITHDRAWN, Status.SPLIT})
"""Nothing ever leads out of these (R17). Out of the others only R23 and R26 lead, by the issuer."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Units `[first, end)` of one issuance."""

    number: int
    """Its name in the book."""
    origin: Origin
    first: int
    end: int
    holder: bytes
    """Account, 20 bytes."""
    status: Status
    by: int
    """Number of the entry that made it what it is."""
    parent: int | None = None
    """The bundle it was part of."""

    @property
    def wh(self) -> int:
        """How many units."""
        return self.end - self.first

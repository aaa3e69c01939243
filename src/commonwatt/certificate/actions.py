"""What can be done in the book of certificates: one structure for each action.

Accounts, meters, digests and messages are lower-case hex digits, times are UTC seconds, quantities
whole Wh. An action says what is wanted; whose it is, is the entry's `actor`, proven by a signature.
"""

from typing import TypeAlias

import msgspec


class _Action(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="action", omit_defaults=True
):
    """One action; its name in the log is its tag. What is not said is not written."""


class Admit(_Action, frozen=True, tag="admit"):
    """The issuer admits a device: one meter, once, for one owner (R11, R12)."""

    meter: str
    owner: str
    source: int
    """AIB technology code; 0 for a storage device."""
    rated_w: int
    zone: str
    first_start: int
    """No certificate for an interval that starts before."""
    support: str = ""
    """The support scheme it is under, if any."""
    storage_permille: int = 0
    """For a storage device: how much of what is put in comes out again, at most, published."""
    key: str = ""
    """Public key `x || y` of a meter that signs, 64 bytes; the meter is named after it."""
    voucher: str = ""
    """Who vouches for a meter that cannot sign: either this or a key."""
    commissioned: str = ""
    """ISO day on which the plant began to produce, if known."""


class Close(_Action, frozen=True, tag="close"):
    """The issuer takes a device out of service; its debt stays visible."""

    meter: str
    from_start: int
    """No certificate for an interval that starts at or after."""


class Hand(_Action, frozen=True, tag="hand"):
    """An owner offers a device to somebody; to itself, to take the offer back (R13)."""

    meter: str
    to: str


class Accept(_Action, frozen=True, tag="accept"):
    """Whom a device was offered to takes it: what is issued from now on is the new owner's."""

    meter: str


class Replace(_Action, frozen=True, tag="replace"):
    """The issuer puts another meter in the place of one, at the same plant (R12)."""

    meter: str
    successor: str
    """The meter that counts from then on."""
    from_start: int
    """The old meter counts no interval that starts at or after, the new one none before."""
    key: str
    """The successor's public key; empty where whoever vouched for the old meter vouches for it."""
    reason: str


class Put(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units put into a storage device's charge of the very interval they were issued for (R24)."""

    meter: str
    """The storage device's."""
    wh: int


class Issue(_Action, frozen=True, tag="issue"):
    """The issuer takes over what an anchored statement says of one meter and interval (R1, R4)."""

    meter: str
    start: int
    duration: int
    metered_wh: int
    """Net energy of the interval at the boundary, as recorded."""
    retired_wh: int
    """Used up within the community, for those who bought the energy."""
    free_wh: int
    """Left to the producer: what the book keeps."""
    record: str
    """SHA-256 of the proving record."""
    stored: tuple[Put, ...] = ()
    """Put into storage at once, as the statement says; each charge is entered before."""


class Transfer(_Action, frozen=True, tag="transfer"):
    """A holder gives units away (R14)."""

    bundle: int
    wh: int
    to: str


class Reserve(_Action, frozen=True, tag="reserve"):
    """A holder freezes units for somebody, until a time (R14)."""

    bundle: int
    wh: int
    for_whom: str
    until: int


class Release(_Action, frozen=True, tag="release"):
    """Whom it is for, or anybody after its time, ends a reservation."""

    bundle: int


class Take(_Action, frozen=True, tag="take"):
    """The one units are reserved for takes them."""

    bundle: int


class Retire(_Action, frozen=True, tag="retire"):
    """A holder uses units up, for good (R18), for a consumption if it names one (R19 to R21)."""

    bundle: int
    wh: int
    beneficiary: str
    """Account of whoever may claim the use."""
    purpose: str
    meter: str = ""
    """The consumption's, if any."""
    start: int = 0
    duration: int = 0


class Claim(_Action, frozen=True, tag="claim"):
    """The beneficiary of a retirement claims its use (R18)."""

    bundle: int


class Consume(_Action, frozen=True, tag="consume"):
    """The issuer takes over what a meter consumed in an interval; once (R19)."""

    meter: str
    start: int
    duration: int
    wh: int
    zone: str
    owner: str
    """Whose consumption it is: the only beneficiary of what is retired for it."""
    covered_wh: int = 0
    """Of `wh`, what the interval's statement retired for it within the community."""
    voucher: str = ""
    """Who vouches for it, where no signed record stands behind it."""


class Revoke(_Action, frozen=True, tag="revoke"):
    """The issuer withdraws a consumption, with a reason; its certificates may return (R23)."""

    meter: str
    start: int
    duration: int
    reason: str


class Border(_Action, frozen=True, tag="border"):
    """The issuer publishes how much one zone may take from another in an interval (R21)."""

    from_zone: str
    to_zone: str
    start: int
    duration: int
    wh: int


class Withdraw(_Action, frozen=True, tag="withdraw"):
    """The issuer takes units back, with a reason (R23)."""

    bundle: int
    wh: int
    reason: str


class Reinstate(_Action, frozen=True, tag="reinstate"):
    """The issuer undoes a retirement whose consumption was withdrawn; same owner (R23)."""

    bundle: int
    reason: str


class Export(_Action, frozen=True, tag="export"):
    """A holder moves units to another registry: dead here first, once per message (R26)."""

    bundle: int
    wh: int
    registry: str
    message: str


class Restore(_Action, frozen=True, tag="restore"):
    """The issuer brings back what a message exported, to whoever sent it (R26)."""

    message: str
    reason: str


class Charge(_Action, frozen=True, tag="charge"):
    """The issuer takes over what a storage device took in within an interval (R24)."""

    meter: str
    start: int
    duration: int
    wh: int


class Store(_Action, frozen=True, tag="store"):
    """A holder puts units into a charge of the same interval and zone (R24)."""

    bundle: int
    wh: int
    meter: str
    """The storage device."""
    start: int
    duration: int


class Discharge(_Action, frozen=True, tag="discharge"):
    """The issuer takes over what a storage device gave out; green as far as stored (R24, R25)."""

    meter: str
    start: int
    duration: int
    wh: int
    """All that came out of the device."""
    given_wh: int
    """Of it, what left the home into the grid; the home used the rest itself."""
    retired_wh: int
    """Of the units issued, those used up within the community, for who bought the energy."""
    record: str


class Correct(_Action, frozen=True, tag="correct"):
    """The issuer takes over a corrected reading (R10)."""

    meter: str
    start: int
    duration: int
    metered_wh: int
    free_wh: int
    corrects: str
    """SHA-256 of the record that is corrected: the last one known."""
    record: str
    """SHA-256 of the correcting record."""


Single: TypeAlias = (
    Admit
    | Close
    | Hand
    | Accept
    | Replace
    | Issue
    | Transfer
    | Reserve
    | Release
    | Take
    | Retire
    | Claim
    | Consume
    | Revoke
    | Border
    | Withdraw
    | Reinstate
    | Export
    | Restore
    | Charge
    | Store
    | Discharge
    | Correct
)


class Together(_Action, frozen=True, tag="together"):
    """Several actions of one account, one after the other: all of them, or none (R14)."""

    actions: tuple[Single, ...]


Action: TypeAlias = Single | Together

"""What a community knows of a meter before its first record."""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from struct import Struct

from commonwatt.errors import InputError
from commonwatt.meter.keys import meter_id, require_public_key
from commonwatt.meter.record import RECORD_BYTES, SIGNATURE_BYTES, Record, SignedRecord

SOLAR_ROOFTOP = 0x010100
"""AIB fuel-free technology code T010100: photovoltaic, on roofs; codes are kept as hex digits."""
NO_SOURCE = 0
ZONE_BYTES = 16
RATED_W_MAX = 2**40 - 1
_U32_MAX = 2**32 - 1
_ROLL_FIELDS = Struct(">64sIBI5sI16sB32s")


class RegistrationUnusable(InputError):
    """A meter that no registry could have registered."""


class Role(IntEnum):
    """What a meter stands at."""

    GRID = 0
    """The participant's connection: what it takes from and gives to the street."""
    GENERATION = 1
    """A generator of its own, behind the connection; export is what it made."""
    STORAGE = 2
    """A battery; import is charge, export is discharge."""


@dataclass(frozen=True)
class Registration:
    """A meter as registered: whose it is, what it measures, where its registers stood."""

    public_key: bytes
    """64 bytes `x || y`."""
    member: int
    """Index of the participant whose meter it is."""
    role: Role
    source: int
    """Technology code of the generator, or `NO_SOURCE`."""
    rated_w: int
    """No more power than this, in W, can flow through it."""
    first_day: int
    """Days since 1970-01-01 on which it was put in service."""
    zone: str
    """Bidding zone, at most 16 ASCII characters."""
    direct: bool
    """Whether it writes its records to the chain itself; then the community certifies none."""
    opening: SignedRecord
    """Sequence 0: the registers at installation."""

    def __post_init__(self) -> None:
        """Refuse what the fixed fields of the roll and of the registry would cut or fill.

        Raises:
            RegistrationUnusable: where a value fits no field.
            KeyUnusable: where the key is no point of P-256.
        """
        require_public_key(self.public_key)
        ranges = (
            ("member", self.member, 0, _U32_MAX),
            ("source", self.source, 0, _U32_MAX),
            ("rated power in W", self.rated_w, 1, RATED_W_MAX),
            ("first day", self.first_day, 0, _U32_MAX),
        )
        for name, value, least, most in ranges:
            if not least <= value <= most:
                raise RegistrationUnusable(f"a meter's {name} of {value}: use {least} to {most}")
        fits = self.zone.isascii() and self.zone.isprintable() and len(self.zone) <= ZONE_BYTES
        if not fits:
            raise RegistrationUnusable(
                f"zone {self.zone!r:.40}: use at most {ZONE_BYTES} printable ASCII characters"
            )
        lengths = (len(self.opening.record), len(self.opening.signature))
        if lengths != (RECORD_BYTES, SIGNATURE_BYTES):
            raise RegistrationUnusable(
                f"an opening record has {RECORD_BYTES} bytes and a signature of "
                f"{SIGNATURE_BYTES}, this one {lengths[0]} and {lengths[1]}"
            )

    @cached_property
    def meter(self) -> bytes:
        """The meter's 20-byte id."""
        return meter_id(self.public_key)

    @cached_property
    def opening_record(self) -> Record:
        """The opening record, decoded."""
        return Record.decode(self.opening.record)

    def roll_entry(self) -> bytes:
        """The bytes that the member roll absorbs when this meter is registered."""
        return b"\x02" + _ROLL_FIELDS.pack(
            self.public_key,
            self.member,
            self.role,
            self.source,
            self.rated_w.to_bytes(5),
            self.first_day,
            self.zone.encode("ascii"),
            self.direct,
            self.opening.digest,
        )

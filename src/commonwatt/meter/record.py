"""The record: 100 bytes that a meter signs once per interval.

All fields are big-endian; the layout is in `docs/internals.md`. A record is identified by
(meter, sequence), never by its signature.
"""

import struct
from enum import IntEnum, IntFlag
from hashlib import sha256
from typing import NamedTuple

from commonwatt.errors import InputError

RECORD_BYTES = 100
RECORD_VERSION = 1
METER_BYTES, LEDGER_BYTES, DIGEST_BYTES, SIGNATURE_BYTES = 20, 8, 32, 64
NO_PREVIOUS = bytes(DIGEST_BYTES)
"""What an opening record says of the record before it."""

_LAYOUT = struct.Struct(">BBH8s20sQQIQQ32s")


class Kind(IntEnum):
    """How the record's registers came to be."""

    REGISTERS = 0
    """Read from the meter's own registers."""
    INTERVAL_ONLY = 1
    """The source counts intervals only; a gateway keeps the running sum."""
    SUBSTITUTED = 2
    CORRECTION = 3
    METER_EXCHANGE = 4


class Quality(IntFlag):
    """What is known of the reading; several may hold."""

    MEASURED = 1
    CALCULATED = 2
    ESTIMATED = 4
    SUBSTITUTED = 8
    CLOCK_NOT_SYNCHRONISED = 16
    METER_ERROR = 32
    MANUAL = 64
    VOUCHED = 128
    """A gateway signed for a meter that cannot sign."""


CERTIFIABLE = Quality.MEASURED | Quality.CALCULATED
"""A certificate comes only from a record with one of these (rule R4) ..."""
NOT_CERTIFIABLE = Quality.ESTIMATED | Quality.SUBSTITUTED | Quality.METER_ERROR
"""... and with none of these; `Certificate.vy` asks the same."""
CERTIFIABLE_KINDS = frozenset({Kind.REGISTERS, Kind.INTERVAL_ONLY})
"""The other kinds restate or restart a register, and prove no production."""


class RecordUnreadable(InputError):
    """Bytes that are not a record."""


class FieldUnfit(InputError):
    """A value that its field of the record cannot hold."""


class Record(NamedTuple):
    """One meter's registers at the end of one interval."""

    version: int
    kind: int
    quality: int
    ledger: bytes
    """First 8 bytes of SHA-256(chain id, registry address): it counts on one ledger only."""
    meter: bytes
    """Last 20 bytes of SHA-256(public key)."""
    sequence: int
    time_end: int
    """UTC seconds, end of the interval."""
    duration: int
    import_mwh: int
    """Cumulative register 1.8.0, in mWh."""
    export_mwh: int
    """Cumulative register 2.8.0, in mWh."""
    previous: bytes
    """SHA-256 of the meter's previous record."""

    def encode(self) -> bytes:
        """The 100 bytes; raises `FieldUnfit` rather than cut or fill a value."""
        lengths = (len(self.ledger), len(self.meter), len(self.previous))
        if lengths != (LEDGER_BYTES, METER_BYTES, DIGEST_BYTES):
            raise FieldUnfit(f"ledger, meter and previous have 8, 20 and 32 bytes, not {lengths}")
        try:
            return _LAYOUT.pack(*self)
        except struct.error as error:
            raise FieldUnfit(f"a record cannot hold a field's value: {error}") from None

    @classmethod
    def decode(cls, data: bytes) -> "Record":
        """Read 100 bytes; raises `RecordUnreadable` for any other length."""
        if len(data) != RECORD_BYTES:
            raise RecordUnreadable(f"a record has {RECORD_BYTES} bytes, this one {len(data)}")
        return cls._make(_LAYOUT.unpack(data))


class SignedRecord(NamedTuple):
    """A record's bytes and the meter's signature `r || s` over them."""

    record: bytes
    signature: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of the record."""
        return sha256(self.record).digest()

    @property
    def meter(self) -> bytes:
        """The meter it names; fewer than 20 bytes where the record is cut short."""
        return self.record[12:32]


def ledger_id(chain_id: int, registry: bytes) -> bytes:
    """The 8 bytes that tie a record to one registry on one chain.

    Args:
        chain_id: EIP-155 chain id.
        registry: the contract's 20-byte address.
    """
    return sha256(chain_id.to_bytes(32, "big") + registry).digest()[:LEDGER_BYTES]

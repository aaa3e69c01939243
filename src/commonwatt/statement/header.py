"""The header of a statement: 488 bytes, and how they become the anchor on the chain.

The header is a body of 420 bytes and a tail of 68. The seal is SHA-256(body) followed by the tail,
and the anchor is SHA-256(seal): whoever shows one certificate shows 100 bytes instead of 488.
"""

from dataclasses import dataclass, fields
from hashlib import sha256
from struct import Struct
from typing import NamedTuple

from commonwatt.errors import InputError

HEADER_VERSION = 1
_SECTION = "I32s"
_BODY = Struct(">BBBB8s" + "Q" * 17 + "32s32s32s32s" + _SECTION * 4)
_TAIL = Struct(">20sQI" + _SECTION)
_PLAIN = 26
"""Fields of the body before the roots."""
BODY_BYTES, TAIL_BYTES = _BODY.size, _TAIL.size
HEADER_BYTES = BODY_BYTES + TAIL_BYTES


class HeaderUnreadable(InputError):
    """Bytes that are not a statement's header."""


class SectionRoot(NamedTuple):
    """How many leaves a section has and the root over them."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """One statement's sums, prices, hashes and roots; the layout is the order of the fields."""

    version: int
    rule: int
    """Number of the clearing rule."""
    decimals: int
    """A unit of money is 10**-decimals of the currency."""
    flags: int
    ledger: bytes
    retail: int
    feed_in: int
    fee_local: int
    fee_supplier: int
    local_price: int
    """Units per Wh; 0 where nothing was traded."""
    imported_wh: int
    """All members', as their grid meters counted."""
    exported_wh: int
    local_wh: int
    """Traded between members."""
    issued_wh: int
    retired_wh: int
    """For neighbours, or into their owners' batteries (R24)."""
    free_wh: int
    supplier_in: int
    supplier_out: int
    grid_in: int
    members_owe: int
    supplier_owes: int
    flows: int
    """Deposits and withdrawals that the statement has seen."""
    deltas_hash: bytes
    roll: bytes
    """Running hash over members, lanes and meter keys; the same one is on the chain."""
    inputs_hash: bytes
    previous: bytes
    """The anchor before, or 32 zero bytes."""
    records: SectionRoot
    positions: SectionRoot
    trades: SectionRoot
    adjustments: SectionRoot
    community: bytes
    """Address of the community's settlement contract."""
    start: int
    duration: int
    certificates: SectionRoot

    @property
    def body(self) -> bytes:
        """The first 420 bytes."""
        values = [getattr(self, field.name) for field in fields(self)[:_PLAIN]]
        sections = (self.records, self.positions, self.trades, self.adjustments)
        return _BODY.pack(*values, *(part for section in sections for part in section))

    @property
    def tail(self) -> bytes:
        """The last 68 bytes."""
        return _TAIL.pack(self.community, self.start, self.duration, *self.certificates)

    def encode(self) -> bytes:
        """The 488 bytes."""
        return self.body + self.tail

    @property
    def anchor(self) -> bytes:
        """The 32 bytes on the chain."""
        return anchor_of(self.encode())

    @classmethod
    def decode(cls, data: bytes) -> "Header":
        """Read 488 bytes; raises `HeaderUnreadable` for another length or version."""
        if len(data) != HEADER_BYTES:
            raise HeaderUnreadable(f"a header has {HEADER_BYTES} bytes, this one {len(data)}")
        if data[0] != HEADER_VERSION:
            raise HeaderUnreadable(f"a header of version {data[0]}; this program reads 1")
        body, tail = _BODY.unpack_from(data), _TAIL.unpack_from(data, BODY_BYTES)
        roots = [SectionRoot(*body[at : at + 2]) for at in range(_PLAIN, len(body), 2)]
        values = [*body[:_PLAIN], *roots, *tail[:3], SectionRoot(*tail[3:])]
        return cls(*values)


def seal_of(header: bytes) -> bytes:
    """The 100 bytes that the anchor is the hash of: SHA-256(body) and the tail."""
    return sha256(header[:BODY_BYTES]).digest() + header[BODY_BYTES:]


def anchor_of(header: bytes) -> bytes:
    """The anchor of an encoded header."""
    return sha256(seal_of(header)).digest()

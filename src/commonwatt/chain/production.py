"""What shows a contract that a generator made what its certificate says."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from commonwatt.chain.errors import ChainError

METER_BYTES, RECORD_BYTES, SEAL_BYTES, SIGNATURE_BYTES = 20, 100, 100, 64
RUN_MAX = 32
"""Intervals in one `claim_run`."""
COUNTRY_BYTES, PURPOSE_BYTES_MAX = 2, 309
"""Of the claim data of a retirement: three texts of 96 bytes fit behind 21."""

_METER_AT, _START_AT, _DURATION_AT = 96, 32, 0
_NO_SEAL = bytes(SEAL_BYTES)
_TEXTS = 3
_PURPOSE_HEAD = struct.Struct(f">QQ{COUNTRY_BYTES}s{_TEXTS}B")


class TokenId(NamedTuple):
    """Which certificate a token is: one meter, one interval."""

    meter: bytes
    start: int
    duration: int

    @property
    def number(self) -> int:
        """The token's id on the chain.

        >>> hex(TokenId(bytes.fromhex("ab" * 20), 900, 900).number)
        '0xabababababababababababababababababababab000000000000038400000384'
        """
        meter = int.from_bytes(self.meter)
        return meter << _METER_AT | self.start << _START_AT | self.duration << _DURATION_AT

    @classmethod
    def of(cls, number: int) -> "TokenId":
        """Read a token's id."""
        meter = (number >> _METER_AT).to_bytes(METER_BYTES)
        return cls(meter, number >> _START_AT & 0xFFFF_FFFF_FFFF_FFFF, number & 0xFFFF_FFFF)


@dataclass(frozen=True, slots=True)
class Production:
    """One interval of a generator: its record, and the certificate leaf that names it."""

    record: bytes
    """100 bytes."""
    seal: bytes = _NO_SEAL
    """SHA-256 of the statement's body and the statement's tail, 100 bytes."""
    index: int = 0
    """Place of the leaf among the statement's certificates."""
    path: tuple[bytes, ...] = ()
    issued_wh: int = 0
    free_wh: int = 0
    """What is claimed; 0 in a run: the record only links the next to the one before."""

    def as_step(self) -> tuple[object, ...]:
        """As `claim_run` takes it: what the contract cannot rebuild by itself."""
        record, seal = self.record, self.seal
        return (
            record[1],
            int.from_bytes(record[2:4]),
            int.from_bytes(record[52:60]),
            int.from_bytes(record[60:68]),
            seal[:32],
            seal[68:],
            int.from_bytes(seal[64:68]),
            self.index,
            self.issued_wh,
            self.free_wh,
            self.path,
        )


@dataclass(frozen=True, slots=True)
class Purpose:
    """For whom and for what units are retired: the claim data of a retirement."""

    beneficiary: str
    location: str
    country: str
    """ISO 3166-1 code, two letters."""
    period_start: int
    period_end: int
    """Of the consumption, UTC seconds, half-open; the production must lie inside it."""
    purpose: str

    def encode(self) -> bytes:
        """The bytes that `retire` takes: period, country and lengths of the texts, then the texts.

        Raises:
            ChainError: a field is too long for them.

        >>> Purpose("me", "", "DE", 900, 1800, "tea").encode().hex()
        '0000000000000384000000000000070844450200036d65746561'
        """
        texts = [text.encode() for text in (self.beneficiary, self.location, self.purpose)]
        country = self.country.encode()
        try:
            head = _PURPOSE_HEAD.pack(
                self.period_start, self.period_end, country, *(len(text) for text in texts)
            )
        except struct.error as error:
            raise ChainError(f"purpose of a retirement: {error}; shorten it") from None
        if len(country) != COUNTRY_BYTES or len(head) + sum(map(len, texts)) > PURPOSE_BYTES_MAX:
            raise ChainError(
                f"purpose of a retirement: the country code has {COUNTRY_BYTES} letters, all of it "
                f"at most {PURPOSE_BYTES_MAX} bytes; shorten it"
            )
        return head + b"".join(texts)

    @classmethod
    def decode(cls, data: bytes) -> "Purpose":
        """Read the claim data of a retirement.

        Raises:
            ChainError: not the bytes of a purpose; the contract lets none in.
        """
        head = _PURPOSE_HEAD.size
        lengths = data[head - _TEXTS : head] if len(data) >= head else b""
        if len(lengths) != _TEXTS or len(data) != head + sum(lengths):
            raise ChainError(f"claim data of a retirement, {data.hex()}: not in its form")
        start, end, country, *_ = _PURPOSE_HEAD.unpack_from(data)
        texts, at = [], head
        for length in lengths:
            texts.append(data[at : at + length].decode(errors="replace"))
            at += length
        beneficiary, location, purpose = texts
        return cls(beneficiary, location, country.decode("ascii", "replace"), start, end, purpose)


def runs(productions: Sequence[Production]) -> list[Sequence[Production]]:
    """Cut a chain of consecutive productions into runs that one transaction takes.

    Runs without anything to claim are left out; each run starts after the record before it.
    """
    cut = [productions[at : at + RUN_MAX] for at in range(0, len(productions), RUN_MAX)]
    return [run for run in cut if any(production.free_wh for production in run)]

"""What shows a contract that a generator made what its certificate says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

METER_BYTES, RECORD_BYTES, SEAL_BYTES, SIGNATURE_BYTES = 20, 100, 100, 64
RUN_MAX = 32
"""Intervals in one `claim_run`."""

_METER_AT, _START_AT, _DURATION_AT = 96, 32, 0
_NO_SEAL = bytes(SEAL_BYTES)


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
    """For whom and for what units are retired."""

    beneficiary: str
    location: str
    country: str
    """ISO 3166-1 code, two letters."""
    period_start: int
    period_end: int
    """Of the consumption, UTC seconds, half-open; the production must lie inside it."""
    purpose: str


def runs(productions: Sequence[Production]) -> list[Sequence[Production]]:
    """Cut a chain of consecutive productions into runs that one transaction takes.

    Runs without anything to claim are left out; each run starts after the record before it.
    """
    cut = [productions[at : at + RUN_MAX] for at in range(0, len(productions), RUN_MAX)]
    return [run for run in cut if any(production.free_wh for production in run)]

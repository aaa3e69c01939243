"""A community's constitution: what every close and every audit starts from."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from commonwatt.certificate.home import PERMILLE
from commonwatt.market.charter import Charter, charter_of
from commonwatt.market.settings import MarketSettings
from commonwatt.meter.record import ledger_id
from commonwatt.meter.registration import Registration
from commonwatt.quantity import Currency

EMPTY_ROLL = bytes(32)


@dataclass(frozen=True, slots=True)
class ChainAddress:
    """Where a community lives: a chain and its contracts (20-byte addresses)."""

    chain_id: int
    registry: bytes
    settlement: bytes
    certificate: bytes
    token: bytes
    exchange: bytes
    book: bytes

    @property
    def ledger(self) -> bytes:
        """The 8 bytes in every record that counts here."""
        return ledger_id(self.chain_id, self.registry)


@dataclass(frozen=True)
class Community:
    """Members, meters and rules. Nothing in it is secret but `members` accounts' owners."""

    chain: ChainAddress
    currency: Currency
    interval_s: int
    grace_s: int
    """Seconds after an interval's end until its gate closes."""
    market: MarketSettings
    """How its members trade."""
    accounts: tuple[bytes, ...]
    """Each member's 20-byte account, by member index."""
    registrations: tuple[Registration, ...]
    """Meters in the order in which they were registered."""
    supplier: bytes
    grid_operator: bytes
    first_start: int
    """Start of the first interval, UTC seconds."""
    storage_permille: int = 0
    """Of a thousand Wh put into a battery so many come out with certificates; 0: none (R24)."""

    def __post_init__(self) -> None:
        """Raise ValueError for an efficiency that no battery has."""
        if not 0 <= self.storage_permille <= PERMILLE:
            raise ValueError(f"an efficiency of {self.storage_permille} permille: use 0 to 1000")

    @cached_property
    def charter(self) -> Charter:
        """The market settings, checked and in whole numbers."""
        return charter_of(self.market, self.currency, len(self.accounts), self.interval_s)

    @cached_property
    def by_meter(self) -> dict[bytes, Registration]:
        """Registrations by meter id."""
        return {registration.meter: registration for registration in self.registrations}

    @cached_property
    def roll(self) -> bytes:
        """The member roll: members first, then meters, each absorbed by a hash."""
        roll = EMPTY_ROLL
        for index, account in enumerate(self.accounts):
            roll = sha256(roll + b"\x01" + index.to_bytes(4) + account).digest()
        for registration in self.registrations:
            roll = sha256(roll + registration.roll_entry()).digest()
        return roll

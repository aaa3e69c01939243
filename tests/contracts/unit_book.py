"""Who holds, has retired, offers or has ended which units: plain dictionaries, and what they say of
every storage slot of the contracts."""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from commonwatt.chain.abi import contract
from commonwatt.chain.encoding import keccak
from commonwatt.chain.production import TokenId
from contracts.ground import QUARTER, ROOFTOP

Key = tuple[bytes, int]
"""Meter and start of the interval; all are quarter hours."""
LANE_BITS, INTERVALS_PER_SLOT = 37, 3


class Sale(NamedTuple):
    """An offer at the exchange."""

    seller: bytes
    key: Key
    price: int
    expires: int


@dataclass(frozen=True)
class Step:
    """The last record of a meter that writes to the chain itself."""

    number: int
    end: int
    export_mwh: int
    reached: int
    digest: bytes


class UnitBook:
    """Every method answers whether something may be done, and does it if so."""

    def __init__(self, lifetime: int, exchange: bytes) -> None:
        self.lifetime, self.exchange = lifetime, exchange
        self.issued: Counter[Key] = Counter()
        self.held: Counter[tuple[bytes, Key]] = Counter()
        self.retired: Counter[tuple[bytes, Key]] = Counter()
        self.withdrawn: Counter[Key] = Counter()
        self.exported: Counter[Key] = Counter()
        self.messages: dict[bytes, tuple[Key, int] | None] = {}
        self.approved: set[tuple[bytes, bytes]] = set()
        self.kept: dict[bytes, int] = {}
        self.steps: dict[bytes, Step] = {}
        self.sales: dict[int, Sale] = {}
        self.escrows: set[bytes] = set()
        self.reserved: dict[tuple[bytes, bytes, int, Key], None] = {}
        self.offers = 0
        self.money: Counter[bytes] = Counter()

    def alive(self, key: Key, now: int) -> bool:
        """Whether units can be used (rule R22)."""
        return now < key[1] + QUARTER + self.lifetime

    def may(self, caller: bytes, holder: bytes) -> bool:
        """Whether somebody may dispose of a holder's units (rule R13)."""
        return caller == holder or (holder, caller) in self.approved

    def has(self, holder: bytes, key: Key, amount: int) -> bool:
        return 0 < amount <= self.held[holder, key]

    def mint(self, owner: bytes, key: Key, amount: int) -> None:
        """Issue: only once a key (rule R3); callers ask first."""
        assert key not in self.issued
        self.issued[key] = amount
        self.held[owner, key] += amount

    def move(
        self, caller: bytes, holder: bytes, receiver: bytes, key: Key, amount: int, now: int
    ) -> bool:
        """Transfer, if the receiver takes it."""
        if not self.may(caller, holder) or not self.alive(key, now):
            return False
        if not self.has(holder, key, amount):
            return False
        self.held[holder, key] -= amount
        self.held[receiver, key] += amount
        return True

    def retire(self, caller: bytes, holder: bytes, key: Key, amount: int, now: int) -> bool:
        if not self.may(caller, holder) or not self.alive(key, now):
            return False
        if not self.has(holder, key, amount):
            return False
        self.held[holder, key] -= amount
        self.retired[holder, key] += amount
        return True

    def withdraw(self, holder: bytes, key: Key, amount: int) -> bool:
        if not self.has(holder, key, amount):
            return False
        self.held[holder, key] -= amount
        self.withdrawn[key] += amount
        return True

    def reinstate(self, holder: bytes, key: Key, amount: int) -> bool:
        if not 0 < amount <= self.retired[holder, key]:
            return False
        self.retired[holder, key] -= amount
        self.held[holder, key] += amount
        return True

    def export(
        self, caller: bytes, holder: bytes, key: Key, amount: int, message: bytes, now: int
    ) -> bool:
        if not self.may(caller, holder) or not self.alive(key, now) or message in self.messages:
            return False
        if not self.has(holder, key, amount):
            return False
        self.held[holder, key] -= amount
        self.exported[key] += amount
        self.messages[message] = key, amount
        return True

    def restore(self, holder: bytes, key: Key, amount: int, message: bytes) -> bool:
        if self.messages.get(message) != (key, amount):
            return False
        self.messages[message] = None
        self.exported[key] -= amount
        self.held[holder, key] += amount
        return True

    def reserve(
        self, agent: bytes, holder: bytes, number: int, key: Key, amount: int, now: int
    ) -> bool:
        escrow = escrow_of(agent, holder, number)
        if not self.move(agent, holder, escrow, key, amount, now):
            return False
        self.escrows.add(escrow)
        return True

    def release(
        self, agent: bytes, holder: bytes, number: int, receiver: bytes, key: Key, amount: int,
        now: int,
    ) -> bool:  # fmt: skip
        escrow = escrow_of(agent, holder, number)
        if receiver != holder and not self.alive(key, now):
            return False
        if not self.has(escrow, key, amount):
            return False
        self.held[escrow, key] -= amount
        self.held[receiver, key] += amount
        return True

    def offer(
        self, seller: bytes, key: Key, amount: int, price: int, expires: int, now: int
    ) -> bool:
        if not 0 < price < 2**64 or not now < expires < 2**32:
            return False
        if not self.reserve_for(seller, key, amount, now):
            return False
        self.offers += 1
        self.sales[self.offers] = Sale(seller, key, price, expires)
        return True

    def reserve_for(self, seller: bytes, key: Key, amount: int, now: int) -> bool:
        """What the exchange does for a seller who has approved it."""
        if (seller, self.exchange) not in self.approved:
            return False
        return self.reserve(self.exchange, seller, self.offers + 1, key, amount, now)

    def buy(self, buyer: bytes, number: int, amount: int, most: int, now: int) -> bool:
        sale = self.sales.get(number)
        if sale is None or now >= sale.expires or buyer == sale.seller:
            return False
        paid = amount * sale.price
        if paid > most or paid > self.money[buyer]:
            return False
        args = self.exchange, sale.seller, number, buyer, sale.key, amount, now
        if not self.release(*args):
            return False
        self.money[buyer] -= paid
        self.money[sale.seller] += paid
        if self.left(number) == 0:
            del self.sales[number]
        return True

    def cancel(self, caller: bytes, number: int, now: int) -> bool:
        sale = self.sales.get(number)
        if sale is None or (caller != sale.seller and now < sale.expires):
            return False
        left = self.left(number)
        if left:
            self.release(self.exchange, sale.seller, number, sale.seller, sale.key, left, now)
        del self.sales[number]
        return True

    def left(self, number: int) -> int:
        """Wh in an offer's escrow."""
        sale = self.sales[number]
        return self.held[escrow_of(self.exchange, sale.seller, number), sale.key]

    def require_conserved(self) -> None:
        """R1: of each certificate, what was issued is somewhere, once."""
        there = Counter(self.withdrawn)
        for (_, key), wh in (*self.held.items(), *self.retired.items()):
            there[key] += wh
        there.update(self.exported)
        assert +there == +self.issued
        assert min((*self.held.values(), *self.retired.values(), 0)) == 0

    # What the contracts keep, slot by slot

    def certificate_slots(self) -> dict[bytes, int]:
        """All storage of the certificate contract."""
        at = contract("Certificate").storage
        words: Counter[bytes] = Counter()
        for lane, units in enumerate((self.held, self.retired)):
            for (holder, (meter, start)), wh in units.items():
                if wh:
                    third, place = divmod(start // QUARTER, INTERVALS_PER_SLOT)
                    number = TokenId(meter, third, QUARTER).number
                    slot = slot_of(at["units"], holder, number)
                    words[slot] |= ROOFTOP << 224 | wh << LANE_BITS * (2 * place + lane)
        for meter, start in self.issued:
            high, low = divmod(start // QUARTER, 256)
            number = TokenId(meter, high, QUARTER).number
            words[slot_of(at["issued"], number)] |= 1 << low
        for holder, operator in self.approved:
            words[slot_of(at["isApprovedForAll"], holder, operator)] = 1
        for meter, start in self.kept.items():
            words[slot_of(at["kept_from"], int.from_bytes(meter))] = start
        for message, gone in self.messages.items():
            slot = slot_of(at["exported"], int.from_bytes(message))
            words[slot] = 1
            if gone is not None:
                number = TokenId(*gone[0], QUARTER).number
                words[slot] = int.from_bytes(keccak(number.to_bytes(32) + gone[1].to_bytes(32)))
        for meter, step in self.steps.items():
            slot = int.from_bytes(slot_of(at["progress"], int.from_bytes(meter)))
            state = step.number << 192 | step.end << 128 | step.export_mwh << 64 | step.reached
            words[slot.to_bytes(32)] = state
            words[(slot + 1).to_bytes(32)] = int.from_bytes(step.digest)
        return dict(words)

    def exchange_slots(self) -> dict[bytes, int]:
        """All storage of the exchange."""
        at = contract("Exchange").storage
        words = {at["count"].to_bytes(32): self.offers} if self.offers else {}
        for number, sale in self.sales.items():
            terms = int.from_bytes(sale.seller) << 96 | sale.price << 32 | sale.expires
            words[slot_of(at["terms"], number)] = terms
            words[slot_of(at["ids"], number)] = TokenId(*sale.key, QUARTER).number
        return words


@cache
def slot_of(base: int, *keys: int | bytes) -> bytes:
    """Where a mapping in Vyper keeps what belongs to its keys."""
    slot = base.to_bytes(32)
    for key in keys:
        part = key if isinstance(key, bytes) else key.to_bytes(32)
        slot = keccak(slot + part.rjust(32, b"\0"))
    return slot


@cache
def escrow_of(agent: bytes, holder: bytes, number: int) -> bytes:
    """The address of an escrow, as the contract computes it."""
    parts = agent.rjust(32, b"\0"), holder.rjust(32, b"\0"), number.to_bytes(32)
    return keccak(b"".join(parts))[-20:]

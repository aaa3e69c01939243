"""The contracts of one community, as a client: typed in, typed out, one method a call.

Money is in ledger units, energy in Wh, accounts and contracts are 20-byte addresses, times UTC
seconds. What a contract refuses raises `TransactionReverted` or `CallReverted` with its reason.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import groupby
from typing import TypeVar

from commonwatt.audit.facts import GRID_LANE, SUPPLIER_LANE, ChainFacts, RegisteredMeter
from commonwatt.chain.abi import contract
from commonwatt.chain.calls import Addresses, address_of
from commonwatt.chain.connection import Account, Message, Receipt
from commonwatt.chain.holdings import Holdings

__all__ = ("GRID_LANE", "SUPPLIER_LANE", "Addresses", "Ledger")

ACCOUNTS_PER_CALL_MAX, METERS_PER_CALL_MAX = 128, 48
NAMED_LANE_SLOTS_MIN = 25
"""A close of so many lane slots names them beforehand (EIP-2930): 100 gas less for each, 2,400 more
for the list. Below it there is hardly a gain; at 1,000 members it is 15 gas for each of them."""

LANE_BITS, LANES_PER_WORD, LANE_BIAS = 42, 6, 2**40
LEDGER_BYTES = 8
_LANE_MASK = 2**LANE_BITS - 1
_T = TypeVar("_T")


class Ledger(Holdings):
    """One community on one chain; certificates are in `Holdings`."""

    @property
    def ledger_id(self) -> bytes:
        """The 8 bytes in every record and statement that count here."""
        identity = self.chain_id.to_bytes(32) + self.addresses.registry
        return sha256(identity).digest()[:LEDGER_BYTES]

    # Members and meters

    def join(self, operator: Account, accounts: Sequence[bytes]) -> list[Receipt]:
        """Admit members in this order, with the next free indexes."""
        batches = _batches(accounts, ACCOUNTS_PER_CALL_MAX)
        return self._send_many(
            operator,
            [("registry", "join", (self.addresses.settlement, batch)) for batch in batches],
        )

    def register_meters(
        self, meters: Iterable[RegisteredMeter], *, operator: Account, issuer: Account
    ) -> list[Receipt]:
        """Register meters in this order: those with a source by the issuer, others by the operator.

        Each change between the two starts a new transaction: give those of one kind together.
        """

        def sender(meter: RegisteredMeter) -> Account:
            return issuer if meter.source else operator

        receipts = []
        for account, group in groupby(meters, key=sender):
            batches = _batches([new_meter(meter) for meter in group], METERS_PER_CALL_MAX)
            calls = [
                ("registry", "register_meters", (self.addresses.settlement, batch))
                for batch in batches
            ]
            receipts += self._send_many(account, calls)
        return receipts

    def offer_meter(self, owner: Account, meter: bytes, member: int) -> Receipt:
        """Offer a meter to another member; to oneself: take the offer back."""
        return self._send(owner, "registry", "offer_meter", int.from_bytes(meter), member)

    def accept_meter(self, member: Account, meter: bytes) -> Receipt:
        """Become the owner of a meter on offer."""
        return self._send(member, "registry", "accept_meter", int.from_bytes(meter))

    def set_operator(self, sender: Account, operator: bytes) -> Receipt:
        """Hand the community over; the new operator is its closer until it names another."""
        return self._send(sender, "registry", "set_operator", self.addresses.settlement, operator)

    def set_issuer(self, issuer: Account, successor: bytes) -> Receipt:
        """Hand the registry over."""
        return self._send(issuer, "registry", "set_issuer", successor)

    def set_closer(self, operator: Account, closer: bytes) -> Receipt:
        """Name who closes intervals."""
        return self._send(operator, "settlement", "set_closer", closer)

    # Money

    def mint(self, minter: Account, amounts: Iterable[tuple[bytes, int]]) -> list[Receipt]:
        """Create tokens for several accounts; only for a token of ours."""
        return self._send_many(minter, [("token", "mint", entry) for entry in amounts])

    def deposit(self, account: Account, lane: int, amount: int) -> Receipt:
        """Allow and pay tokens into a lane, one's own or another's."""
        calls = [
            ("token", "approve", (self.addresses.settlement, amount)),
            ("settlement", "deposit", (lane, amount)),
        ]
        return self._send_many(account, calls)[-1]

    def withdraw(self, account: Account, lane: int, amount: int) -> Receipt:
        """Take tokens out of one's lane."""
        return self._send(account, "settlement", "withdraw", lane, amount)

    def close(self, closer: Account, header: bytes, deltas: Sequence[bytes]) -> Receipt:
        """Close an interval: anchor its statement and pay everybody.

        Args:
            closer: the account that may.
            header: 488 bytes.
            deltas: words of 32 bytes, six lanes each.
        """
        data = contract("Settlement").data("close", header, b"".join(deltas))
        message = Message(self._at("settlement"), data, slots=slots_of_close(len(deltas)))
        return self.connection.send_many(closer, [message])[0]

    # Reading

    def balances(self) -> tuple[int, ...]:
        """The members' lanes."""
        (words,) = self._ask("settlement", "lane_words")
        lanes = [
            (word >> at * LANE_BITS & _LANE_MASK) - LANE_BIAS
            for word in words
            for at in range(LANES_PER_WORD)
        ]
        return tuple(lanes[: self.members()])

    def balance(self, lane: int) -> int:
        """One lane, `SUPPLIER_LANE` and `GRID_LANE` among them."""
        return int(self._ask("settlement", "balance_of", lane)[0])

    def members(self) -> int:
        """How many members there are."""
        return int(self._ask("settlement", "members")[0])

    def flows(self) -> int:
        """How many deposits and withdrawals there have been."""
        return int(self._ask("settlement", "flows")[0])

    def roll(self) -> bytes:
        """The community's roll."""
        return bytes(self._ask("registry", "roll", self.addresses.settlement)[0])

    def anchor(self, start: int) -> bytes | None:
        """The anchor of the interval that starts then; None if it is not closed."""
        anchor = bytes(self._ask("settlement", "anchors", start)[0])
        return anchor if any(anchor) else None

    def last(self) -> tuple[int, int, bytes, int]:
        """The last closed interval: start, duration, anchor, flows seen; zeros before the first."""
        start, duration, anchor, flows = self._ask("settlement", "last")
        return start, duration, bytes(anchor), flows

    def operator(self) -> bytes:
        """The operator's account."""
        return address_of(self._ask("registry", "operator_of", self.addresses.settlement)[0])

    def closer(self) -> bytes:
        """The account that closes intervals."""
        return address_of(self._ask("settlement", "closer")[0])

    def issuer(self) -> bytes:
        """The registry's issuer."""
        return address_of(self._ask("registry", "issuer")[0])

    def wallet(self, account: bytes) -> int:
        """Tokens an account has outside the lanes."""
        return int(self._ask("token", "balanceOf", account)[0])

    def token_supply(self) -> int:
        """All tokens there are."""
        return int(self._ask("token", "totalSupply")[0])

    def facts(self) -> ChainFacts:
        """All that an audit asks of the chain, read from its event logs and lanes."""
        from commonwatt.chain.facts import read_facts  # noqa: PLC0415 - it needs this module

        return read_facts(self)


def slots_of_close(words: int) -> tuple[int, ...]:
    """What a close with so many words of deltas names beforehand; nothing where it does not pay.

    The two anchors it touches are left out: one of them lies where only the last statement knows.
    """
    if words < NAMED_LANE_SLOTS_MIN:
        return ()
    first = contract("Settlement").storage
    lanes = range(first["slots"], first["slots"] + words)
    return (first["roll"], first["tally"], first["roster"], *lanes)


def new_meter(meter: RegisteredMeter) -> tuple[object, ...]:
    """A meter as `register_meters` takes it."""
    key = meter.public_key
    return (
        int.from_bytes(key[:32]),
        int.from_bytes(key[32:]),
        meter.member,
        meter.role,
        meter.source,
        meter.rated_w,
        meter.first_day,
        meter.zone,
        meter.direct,
        meter.opening,
    )


def _batches(entries: Sequence[_T], size: int) -> list[Sequence[_T]]:
    return [entries[at : at + size] for at in range(0, len(entries), size)]

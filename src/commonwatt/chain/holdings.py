"""The client's methods for certificates: issuing, holding, selling, using up.

Units are whole Wh of one meter and interval. R numbers are the rules of `docs/certificates.md`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from commonwatt.chain.abi import contract
from commonwatt.chain.calls import CONTRACT_OF, Calls, address_of, halves
from commonwatt.chain.connection import Account, Receipt
from commonwatt.chain.errors import CallReverted, ChainError
from commonwatt.chain.production import Production, Purpose, TokenId

_TEXT_BYTES_MAX = 96


class Offer(NamedTuple):
    """Units on offer at the exchange."""

    seller: bytes
    token: TokenId
    left_wh: int
    price: int
    """Token units for one Wh."""
    expires: int
    """UTC seconds."""


class LastRecord(NamedTuple):
    """Where a meter that writes to the chain itself has come to."""

    sequence: int
    time_end: int
    export_mwh: int
    digest: bytes


class Holdings(Calls):
    """Everything that can be done with certificates on a chain."""

    # Issuing

    def claim(
        self, sender: Account, previous: bytes, production: Production, signature: bytes
    ) -> Receipt:
        """Mint one interval's free units to the meter's owner (rules R1 to R7, R11).

        Args:
            sender: anyone.
            previous: the meter's record before, 100 bytes.
            production: the interval.
            signature: `r || s` of the meter over the interval's record, in its low form.
        """
        p = production
        return self._send(
            sender,
            "certificate",
            "claim",
            p.seal,
            p.index,
            p.path,
            p.record,
            previous,
            p.issued_wh,
            p.free_wh,
            *halves(signature),
        )

    def claim_run(
        self,
        sender: Account,
        previous: bytes,
        productions: Sequence[Production],
        signature: bytes,
    ) -> Receipt:
        """Mint the free units of up to 32 consecutive intervals under the last one's signature.

        Args:
            sender: anyone.
            previous: the meter's record before the first, 100 bytes.
            productions: consecutive intervals of one meter.
            signature: `r || s` of the meter over the last record, in its low form.
        """
        duration = int.from_bytes(productions[-1].record[48:52])
        return self._send(
            sender,
            "certificate",
            "claim_run",
            self.addresses.settlement,
            duration,
            previous,
            [production.as_step() for production in productions],
            *halves(signature),
        )

    def start_direct(self, sender: Account, opening: bytes) -> Receipt:
        """Begin with the opening record, 100 bytes, of a meter that writes to the chain itself."""
        return self._send(sender, "certificate", "start_direct", opening)

    def issue_direct(self, sender: Account, record: bytes, signature: bytes) -> Receipt:
        """Give the chain the next record of such a meter; what it proves is minted (rule R5).

        Args:
            sender: anyone, the meter's own device for one.
            record: 100 bytes; names the record before it.
            signature: `r || s` of the meter over it, in its low form.
        """
        return self._send(sender, "certificate", "issue_direct", record, *halves(signature))

    def keep(self, owner: Account, meter: bytes, from_start: int) -> Receipt:
        """Keep a meter's certificates in the book from a start on, for ever (rule R3)."""
        return self._send(owner, "certificate", "keep", int.from_bytes(meter), from_start)

    # Holding

    def transfer(
        self, sender: Account, holder: bytes, receiver: bytes, token: TokenId, amount: int
    ) -> Receipt:
        """Move units of one certificate; the holder or an approved account may (rule R13)."""
        values = (holder, receiver, token.number, amount, b"")
        return self._send(sender, "certificate", "safeTransferFrom", *values)

    def transfer_many(
        self, sender: Account, holder: bytes, receiver: bytes, units: Sequence[tuple[TokenId, int]]
    ) -> Receipt:
        """Move units of up to 64 certificates at once, or none (rule R14)."""
        ids, amounts = [token.number for token, _ in units], [amount for _, amount in units]
        values = (holder, receiver, ids, amounts, b"")
        return self._send(sender, "certificate", "safeBatchTransferFrom", *values)

    def approve(self, holder: Account, other: bytes, *, approved: bool = True) -> Receipt:
        """Let another account dispose of all of the holder's certificates, or stop it."""
        return self._send(holder, "certificate", "setApprovalForAll", other, approved)

    def reserve(
        self, agent: Account, holder: bytes, number: int, token: TokenId, amount: int
    ) -> Receipt:
        """Put units into an escrow of the agent's, whom the holder has approved or is (rule R14).

        Args:
            agent: only this account can take them out again.
            holder: whose units.
            number: which of the agent's escrows for this holder.
            token: which certificate.
            amount: Wh.
        """
        values = (holder, number, token.number, amount)
        return self._send(agent, "certificate", "reserve", *values)

    def release(
        self,
        agent: Account,
        holder: bytes,
        number: int,
        token: TokenId,
        amount: int,
        *,
        receiver: bytes,
    ) -> Receipt:
        """Take units out of an escrow of the agent's; expired ones only return to their holder."""
        values = (holder, number, receiver, token.number, amount)
        return self._send(agent, "certificate", "release", *values)

    def retire(
        self, sender: Account, holder: bytes, token: TokenId, amount: int, purpose: Purpose
    ) -> Receipt:
        """Use units up; the holder or an approved account may (rules R17, R18)."""
        values = (holder, token.number, amount, purpose.encode())
        return self._send(sender, "certificate", "retire", *values)

    # What only the issuer does, and other registries

    def withdraw_units(
        self, issuer: Account, holder: bytes, token: TokenId, amount: int, reason: str
    ) -> Receipt:
        """Take units away that should not have been issued, from an escrow, too (rule R23)."""
        values = (holder, token.number, amount, _reason(reason))
        return self._send(issuer, "certificate", "withdraw", *values)

    def reinstate(
        self, issuer: Account, holder: bytes, token: TokenId, amount: int, reason: str
    ) -> Receipt:
        """Give retired units back to whoever retired them (rule R23)."""
        values = (holder, token.number, amount, _reason(reason))
        return self._send(issuer, "certificate", "reinstate", *values)

    def export_units(
        self,
        sender: Account,
        holder: bytes,
        token: TokenId,
        amount: int,
        *,
        destination: bytes,
        message: bytes,
    ) -> Receipt:
        """End units here so that they can live in another registry (rule R26).

        Args:
            sender: the holder or an approved account.
            holder: whose units.
            token: which certificate.
            amount: Wh.
            destination: which registry, 32 bytes as agreed with it.
            message: what names this export in both registries, 32 bytes; used once.
        """
        values = (holder, token.number, amount, destination, message)
        return self._send(sender, "certificate", "export_units", *values)

    def restore(
        self, issuer: Account, holder: bytes, token: TokenId, amount: int, message: bytes
    ) -> Receipt:
        """Bring back exactly what a message exported, once (rule R26)."""
        values = (holder, token.number, amount, message)
        return self._send(issuer, "certificate", "restore", *values)

    def post(self, issuer: Account, count: int, head: bytes) -> Receipt:
        """Post the book's head: how many entries, and the hash of the last (rule R28)."""
        return self._send(issuer, "book", "post", count, head)

    # Selling

    def offer(
        self, seller: Account, token: TokenId, amount: int, price: int, expires: int
    ) -> Receipt:
        """Offer units at the exchange, letting it dispose of them first where that is new.

        Args:
            seller: their holder.
            token: which certificate.
            amount: Wh; they go into escrow.
            price: token units for one Wh.
            expires: when the offer ends, UTC seconds.
        """
        exchange = address_of(self._at("exchange"))
        own = seller.address_bytes
        calls: list[tuple[str, str, Sequence[object]]] = []
        if not self._ask("certificate", "isApprovedForAll", own, exchange)[0]:
            calls.append(("certificate", "setApprovalForAll", (exchange, True)))
        calls.append(("exchange", "offer", (token.number, amount, price, expires)))
        return self._send_many(seller, calls)[-1]

    def number_of(self, offered: Receipt) -> int:
        """The number of the offer that a transaction made.

        Raises:
            ChainError: it made none.
        """
        at, topic = self._at("exchange"), contract("Exchange").topics["Offered"]
        for log in offered.logs:
            if (log.address.lower(), log.topics[0]) == (at, topic):
                return int.from_bytes(log.topics[1])
        raise ChainError(f"transaction 0x{offered.tx_hash.hex()} made no offer at {at}")

    def buy(self, buyer: Account, number: int, amount: int, most: int) -> Receipt:
        """Allow the payment, pay, and get units of an offer (rule R14).

        Args:
            buyer: anyone but the seller.
            number: which offer.
            amount: Wh of it.
            most: token units, at most, for all of them.
        """
        calls = [
            ("token", "approve", (address_of(self._at("exchange")), most)),
            ("exchange", "buy", (number, amount, most)),
        ]
        return self._send_many(buyer, calls)[-1]

    def cancel_offer(self, sender: Account, number: int) -> Receipt:
        """End an offer; the seller may at any time, anybody once it is over."""
        return self._send(sender, "exchange", "cancel", number)

    # Reading

    def units(self, holder: bytes, token: TokenId) -> int:
        """Units of a certificate an account holds; expired ones, too."""
        return int(self._ask("certificate", "balanceOf", holder, token.number)[0])

    def retired(self, holder: bytes, token: TokenId) -> int:
        """Units of a certificate an account has retired."""
        return int(self._ask("certificate", "claimedBalanceOf", holder, token.number)[0])

    def is_issued(self, token: TokenId) -> bool:
        """Whether a certificate has ever been issued on the chain."""
        return bool(self._ask("certificate", "is_issued", token.number)[0])

    def expires_at(self, token: TokenId) -> int | None:
        """When its units expire, UTC seconds; None: never (rule R22)."""
        end = int(self._ask("certificate", "expires_at", token.number)[0])
        return None if end >= 2**64 - 1 else end

    def kept_from(self, meter: bytes) -> int | None:
        """Start from which a meter's certificates are kept in the book; None: in none."""
        return int(self._ask("certificate", "kept_from", int.from_bytes(meter))[0]) or None

    def last_record(self, meter: bytes) -> LastRecord | None:
        """The last record of a meter that writes to the chain itself; None before its first."""
        last = LastRecord(*self._ask("certificate", "last_of", int.from_bytes(meter)))
        return last if any(last.digest) else None

    def escrow(self, agent: bytes, holder: bytes, number: int) -> bytes:
        """The address under which the units of an escrow are held."""
        return address_of(self._ask("certificate", "escrow_of", agent, holder, number)[0])

    def escrow_of_offer(self, seller: bytes, number: int) -> bytes:
        """The address under which the units of an offer are held."""
        return self.escrow(address_of(self._at("exchange")), seller, number)

    def offer_of(self, number: int) -> Offer | None:
        """An offer; None if it is sold, cancelled or was never made."""
        (said,) = self._ask("exchange", "offer_of", number)
        seller, token, left, price, expires = said
        if not expires:
            return None
        return Offer(address_of(seller), TokenId.of(token), left, price, expires)

    def book_head(self) -> tuple[int, bytes]:
        """Entries of the book and the hash of the last, as posted; (0, zeros) before the first."""
        return int(self._ask("book", "count")[0]), bytes(self._ask("book", "head")[0])

    def sells_certificates(self) -> bool:
        """Whether the exchange is one of these certificates, for this token."""
        own = self.addresses
        return self._is("exchange", certificate=own.certificate, token=own.token)

    def keeps_book(self) -> bool:
        """Whether the book is this registry's."""
        return self._is("book", registry=self.addresses.registry)

    def _is(self, where: str, **expected: bytes) -> bool:
        """Whether a contract answers with these addresses."""
        at, known = self._at(where), contract(CONTRACT_OF[where])
        try:
            return all(
                self.connection.call(at, known.data(function))[-len(own) :] == own
                for function, own in expected.items()
            )
        except CallReverted:
            return False

    def lifetime_s(self) -> int:
        """Seconds from the end of its interval after which a unit has expired (R22).

        0: never, or there is no certificate contract at the address.
        """
        try:
            lifetime = int(self._ask("certificate", "lifetime")[0])
        except CallReverted:
            return 0
        return 0 if lifetime >= 2**64 - 1 else lifetime

    def uri(self, token: TokenId) -> str:
        """The metadata of a certificate, as wallets ask for it."""
        return str(self._ask("certificate", "uri", token.number)[0])


def _reason(text: str) -> str:
    if len(text.encode()) > _TEXT_BYTES_MAX:
        raise ChainError(f"reason {text[:20]!r}...: above {_TEXT_BYTES_MAX} bytes; shorten it")
    return text

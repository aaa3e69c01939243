"""The certificate commands that change something: each signs, sends, and says what happened.

Whatever a contract would refuse is asked before it is sent, so that a refusal leaves nothing
behind, not even an approval.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from commonwatt.chain.abi import contract
from commonwatt.chain.account import Account, checksum
from commonwatt.chain.calls import CONTRACT_OF
from commonwatt.chain.connection import Receipt
from commonwatt.chain.errors import CallReverted, Reverted
from commonwatt.chain.holdings import Offer
from commonwatt.chain.production import Purpose, TokenId
from commonwatt.cli.certificate_list import moment, price_text
from commonwatt.cli.certificate_run import (
    CertificateInputUnusable,
    CertificateUnknown,
    Run,
    Where,
    Who,
    address_from,
    id_text,
    opened_run,
    print_json,
    printable,
    require_exchange,
    short,
    signer_of,
    token_from,
    whole_from,
)
from commonwatt.errors import InputError
from commonwatt.quantity import parse_time

OFFERS_MAX = 2**63
OFFER_END_MAX = 2**32 - 1
TEXT_BYTES_MAX, TEXTS_BYTES_MAX = 255, 288
"""Of the three texts of a retirement: of one, of all."""
ANY_OFFER = 0
"""Offers are numbered from 1: the escrow of this one stays empty."""


class CertificateRefused(InputError):
    """A contract refused, in its own words."""


class FundsMissing(InputError):
    """The buyer's wallet holds too little to pay."""


@dataclass(frozen=True, slots=True)
class RetireOptions:
    """For whom and for what units are retired."""

    beneficiary: str
    purpose: str
    period_from: str
    period_until: str
    country: str | None
    location: str


def run_transfer(where: Where, who: Who, text: str, wh: int, to: str, *, as_json: bool) -> int:
    """Give units to another account."""
    receiver = address_from(to, "--to")
    with _acting(where, who) as act:
        token, own = token_from(act.run, text), act.account.address_bytes
        whole_from(wh, "WH")
        act.ask("certificate", "safeTransferFrom", own, receiver, token.number, wh, b"")
        with act.refusals():
            receipt = act.run.ledger.transfer(act.account, own, receiver, token, wh)
        act.tell(
            f"transferred {wh:,} Wh of {short(token)} to {act.run.account_text(receiver)}",
            {"act": "transfer", **_units(token, wh), "to": checksum(receiver)},
            receipt,
            as_json=as_json,
        )
    return 0


def run_retire(
    where: Where, who: Who, text: str, wh: int, options: RetireOptions, *, as_json: bool
) -> int:
    """Use units up."""
    start, end = parse_time(options.period_from), parse_time(options.period_until)
    if min(start, end) < 0:
        raise CertificateInputUnusable("--from and --until: give times after 1970")
    _require_texts(options)
    with _acting(where, who) as act:
        token, own = token_from(act.run, text), act.account.address_bytes
        whole_from(wh, "WH")
        country = options.country or _country_of(act.run, token)
        if not re.fullmatch(r"[A-Z]{2}", country):
            raise CertificateInputUnusable(
                f"--country {country!r:.20}: write the two capital letters of ISO 3166-1, as DE"
            )
        purpose = Purpose(
            options.beneficiary, options.location, country, start, end, options.purpose
        )
        act.ask("certificate", "retire", own, token.number, wh, purpose.encode())
        with act.refusals():
            receipt = act.run.ledger.retire(act.account, own, token, wh, purpose)
        act.tell(
            f"retired {wh:,} Wh of {short(token)} for {options.beneficiary}: {options.purpose}",
            {
                "act": "retire",
                **_units(token, wh),
                "beneficiary": options.beneficiary,
                "purpose": options.purpose,
            },
            receipt,
            as_json=as_json,
        )
    return 0


def run_offer(
    where: Where, who: Who, text: str, wh: int, *, price: str, until: str, as_json: bool
) -> int:
    """Put units up for sale."""
    ends = parse_time(until)
    with _acting(where, who) as act:
        run, own = act.run, act.account.address_bytes
        require_exchange(run)
        token = token_from(run, text)
        whole_from(wh, "WH")
        units = run.community.currency.price(price)
        if not units:
            raise CertificateInputUnusable(f"--price {price}: an offer asks for more than 0")
        if ends <= run.now():
            raise CertificateInputUnusable(
                f"--until {until}: has passed, on the chain it is {moment(run.now())}"
            )
        if ends > OFFER_END_MAX:
            raise CertificateInputUnusable(
                f"--until {until}: no offer can last beyond {moment(OFFER_END_MAX)}"
            )
        # Into an escrow that stays empty: what the certificate contract refuses, it says here.
        escrow = run.ledger.escrow_of_offer(own, ANY_OFFER)
        act.ask("certificate", "safeTransferFrom", own, escrow, token.number, wh, b"")
        with act.refusals("nothing was offered"):
            receipt = run.ledger.offer(act.account, token, wh, units, ends)
        number = run.ledger.number_of(receipt)
        act.tell(
            f"offer {number}: {wh:,} Wh of {short(token)} at {price_text(run, units)} "
            f"until {moment(ends)}",
            {
                "act": "offer",
                "offer": number,
                **_units(token, wh),
                "price": run.community.currency.price_text(units),
                "until": moment(ends),
            },
            receipt,
            as_json=as_json,
        )
    return 0


def run_buy(where: Where, who: Who, number: int, wh: int, *, from_lane: bool, as_json: bool) -> int:
    """Pay for units of an offer and get them."""
    with _acting(where, who) as act:
        run, currency = act.run, act.run.community.currency
        offer = _offer_of(run, number)
        whole_from(wh, "WH")
        if wh > offer.left_wh:
            raise CertificateRefused(
                f"offer {number} has {offer.left_wh:,} Wh left, not {wh:,}; nothing was changed"
            )
        cost = wh * offer.price
        _ask_to_buy(act, number, wh, cost, offer)
        _require_funds(act, cost, from_lane=from_lane)
        with act.refusals("nothing was bought"):
            receipt = run.ledger.buy(act.account, number, wh, cost)
        paid = f"{currency.amount_text(cost)} {currency.code}"
        act.tell(
            f"bought {wh:,} Wh of {short(offer.token)} from {run.account_text(offer.seller)} "
            f"for {paid}",
            {
                "act": "buy",
                "offer": number,
                **_units(offer.token, wh),
                "seller": checksum(offer.seller),
                "paid": currency.amount_text(cost),
            },
            receipt,
            as_json=as_json,
        )
    return 0


def run_cancel(where: Where, who: Who, number: int, *, as_json: bool) -> int:
    """End an offer."""
    with _acting(where, who) as act:
        offer = _offer_of(act.run, number)
        act.ask("exchange", "cancel", number)
        with act.refusals():
            receipt = act.run.ledger.cancel_offer(act.account, number)
        act.tell(
            f"cancelled offer {number}: {offer.left_wh:,} Wh of {short(offer.token)} are back "
            f"with {act.run.account_text(offer.seller)}",
            {"act": "cancel", "offer": number, **_units(offer.token, offer.left_wh)},
            receipt,
            as_json=as_json,
        )
    return 0


@dataclass(frozen=True, slots=True)
class _Act:
    """A run, and who acts on it."""

    run: Run
    account: Account

    def ask(self, where: str, function: str, *values: object) -> None:
        """Raise `CertificateRefused` if a contract would refuse; nothing is sent."""
        with self.refusals():
            self.call(where, function, *values)

    def call(self, where: str, function: str, *values: object) -> None:
        """Call a function in this account's name, and throw away what it does."""
        at = "0x" + getattr(self.run.ledger.addresses, where).hex()
        data = contract(CONTRACT_OF[where]).data(function, *values)
        self.run.ledger.connection.call(at, data, self.account.address)

    @contextmanager
    def refusals(self, left: str = "nothing was changed") -> Iterator[None]:
        """Put a contract's reason into one line; `left` says how things are then."""
        try:
            yield
        except Reverted as refusal:
            raise CertificateRefused(
                f"{self.account.address}: refused: {refusal.reason}; {left}"
            ) from None

    def tell(
        self, words: str, answer: dict[str, object], receipt: Receipt, *, as_json: bool
    ) -> None:
        """Say what happened, with its transaction."""
        transaction = "0x" + receipt.tx_hash.hex()
        if as_json:
            sender = self.account.address
            print_json(
                {
                    **answer,
                    "account": sender,
                    "transaction": transaction,
                    "block": receipt.block_number,
                    "gas": receipt.gas_used,
                }
            )
        else:
            print(f"{printable(words)}; transaction {transaction}")


@contextmanager
def _acting(where: Where, who: Who) -> Iterator[_Act]:
    with opened_run(where) as run:
        yield _Act(run, signer_of(run, who))


def _units(token: TokenId, wh: int) -> dict[str, object]:
    return {
        "id": id_text(token),
        "meter": token.meter.hex(),
        "start": moment(token.start),
        "wh": wh,
    }


def _require_texts(options: RetireOptions) -> None:
    """Refuse texts that do not fit a retirement, or are not text."""
    sizes = []
    for name in ("beneficiary", "purpose", "location"):
        try:
            sizes.append(len(getattr(options, name).encode()))
        except UnicodeEncodeError:
            raise CertificateInputUnusable(f"--{name}: not text in UTF-8") from None
    if max(sizes) > TEXT_BYTES_MAX or sum(sizes) > TEXTS_BYTES_MAX:
        raise CertificateInputUnusable(
            f"--beneficiary, --purpose, --location: {' + '.join(map(str, sizes))} bytes; shorten "
            f"them to {TEXT_BYTES_MAX} each and {TEXTS_BYTES_MAX} in all"
        )


def _country_of(run: Run, token: TokenId) -> str:
    """The country in the meter's bidding zone, such as DE-LU; empty where it names none."""
    registration = run.community.by_meter.get(token.meter)
    zone = "" if registration is None else registration.zone
    found = re.fullmatch(r"([A-Z]{2})(-.*)?", zone)
    if found is None:
        raise CertificateInputUnusable(
            f"--country: the meter's zone {zone!r} names none; give two letters, as DE"
        )
    return found[1]


def _offer_of(run: Run, number: int) -> Offer:
    """An open offer; raises `CertificateUnknown` where there is none."""
    require_exchange(run)
    whole_from(number, "OFFER", OFFERS_MAX)
    offer = run.ledger.offer_of(number)
    if offer is None:
        raise CertificateUnknown(
            f"offer {number}: sold, cancelled or never made; commonwatt certificate list tells "
            "those that are open"
        )
    return offer


def _ask_to_buy(act: _Act, number: int, wh: int, cost: int, offer: Offer) -> None:
    """Raise `CertificateRefused` for what the exchange refuses before it takes the payment."""
    try:
        act.call("exchange", "buy", number, wh, cost)
    except CallReverted as refusal:
        # Without an allowance the token always refuses; each token in words of its own.
        if refusal.reason.startswith(("exchange: offer", "exchange: costs", "certificate: ")):
            raise CertificateRefused(
                f"offer {number}: refused: {refusal.reason}; nothing was changed"
            ) from None
    expires = act.run.ledger.expires_at(offer.token)
    if expires is not None and expires <= act.run.now():
        raise CertificateRefused(
            f"offer {number}: its units have expired at {moment(expires)}; nothing was changed"
        )


def _require_funds(act: _Act, cost: int, *, from_lane: bool) -> None:
    """Raise `FundsMissing` unless the wallet can pay, topped up from the own lane if allowed."""
    run, own = act.run, act.account.address_bytes
    currency = run.community.currency
    missing = cost - run.ledger.wallet(own)
    if missing <= 0:
        return

    def text(amount: int) -> str:
        return f"{currency.amount_text(amount)} {currency.code}"

    if not from_lane:
        raise FundsMissing(
            f"{act.account.address}: its wallet is {text(missing)} short of the {text(cost)} they "
            "cost; nothing was changed: members take it out of their lane with --from-lane"
        )
    accounts = run.community.accounts
    lane = accounts.index(own) if own in accounts else None
    held = 0 if lane is None else run.ledger.balance(lane)
    if lane is None or held < missing:
        raise FundsMissing(
            f"{act.account.address}: wallet and lane are {text(missing - held)} short of the "
            f"{text(cost)} they cost; nothing was changed"
        )
    with act.refusals():
        run.ledger.withdraw(act.account, lane, missing)

"""`commonwatt certificate offer`, `buy`, `cancel`: tokens for money, both or neither."""

from commonwatt.chain.account import checksum
from commonwatt.chain.errors import CallReverted
from commonwatt.chain.holdings import Offer
from commonwatt.cli.certificate_acting import Act, acting, units_json
from commonwatt.cli.certificate_run import (
    CertificateInputUnusable,
    CertificateRefused,
    CertificateUnknown,
    Run,
    Where,
    Who,
    token_from,
    whole_from,
)
from commonwatt.cli.certificate_words import (
    moment,
    price_text,
    short,
)
from commonwatt.errors import InputError
from commonwatt.quantity import parse_time

OFFERS_MAX = 2**63
OFFER_END_MAX = 2**32 - 1
ANY_OFFER = 0
"""Offers are numbered from 1: the escrow of this one stays empty."""


class FundsMissing(InputError):
    """The buyer's wallet holds too little to pay."""


def run_offer(
    where: Where, who: Who, text: str, wh: int, *, price: str, until: str, as_json: bool
) -> int:
    """Put units up for sale."""
    ends = parse_time(until)
    with acting(where, who) as act:
        run, own = act.run, act.account.address_bytes
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
                **units_json(token, wh),
                "price": run.community.currency.price_text(units),
                "until": moment(ends),
            },
            receipt,
            as_json=as_json,
        )
    return 0


def run_buy(where: Where, who: Who, number: int, wh: int, *, from_lane: bool, as_json: bool) -> int:
    """Pay for units of an offer and get them."""
    with acting(where, who) as act:
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
                **units_json(offer.token, wh),
                "seller": checksum(offer.seller),
                "paid": currency.amount_text(cost),
            },
            receipt,
            as_json=as_json,
        )
    return 0


def run_cancel(where: Where, who: Who, number: int, *, as_json: bool) -> int:
    """End an offer."""
    with acting(where, who) as act:
        offer = _offer_of(act.run, number)
        act.ask("exchange", "cancel", number)
        with act.refusals():
            receipt = act.run.ledger.cancel_offer(act.account, number)
        act.tell(
            f"cancelled offer {number}: {offer.left_wh:,} Wh of {short(offer.token)} are back "
            f"with {act.run.account_text(offer.seller)}",
            {"act": "cancel", "offer": number, **units_json(offer.token, offer.left_wh)},
            receipt,
            as_json=as_json,
        )
    return 0


def _offer_of(run: Run, number: int) -> Offer:
    """An open offer; raises `CertificateUnknown` where there is none."""
    whole_from(number, "OFFER", OFFERS_MAX)
    offer = run.ledger.offer_of(number)
    if offer is None:
        raise CertificateUnknown(
            f"offer {number}: sold, cancelled or never made; commonwatt certificate list tells "
            "those that are open"
        )
    return offer


def _ask_to_buy(act: Act, number: int, wh: int, cost: int, offer: Offer) -> None:
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


def _require_funds(act: Act, cost: int, *, from_lane: bool) -> None:
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

"""`commonwatt certificate transfer` and `retire`: of tokens; of the book in `book_acts.py`.

Whatever a contract would refuse is asked before it is sent, so that a refusal leaves nothing
behind, not even an approval.
"""

import re

from commonwatt.chain.account import checksum
from commonwatt.chain.production import Purpose, TokenId
from commonwatt.cli.book_acts import retire_bundle, transfer_bundle
from commonwatt.cli.book_run import bundle_from
from commonwatt.cli.certificate_acting import acting, units_json
from commonwatt.cli.certificate_run import (
    CertificateInputUnusable,
    RetireOptions,
    Run,
    Where,
    Who,
    address_from,
    token_from,
    whole_from,
)
from commonwatt.cli.certificate_words import short
from commonwatt.quantity import parse_time

TEXT_BYTES_MAX, TEXTS_BYTES_MAX = 255, 288
"""Of the three texts of a retirement: of one, of all."""


def run_transfer(where: Where, who: Who, text: str, wh: int, to: str, *, as_json: bool) -> int:
    """Give units to another account."""
    receiver, number = address_from(to, "--to"), bundle_from(text)
    if number is not None:
        transfer_bundle(where, who, number, wh, receiver, as_json=as_json)
        return 0
    with acting(where, who) as act:
        token, own = token_from(act.run, text), act.account.address_bytes
        whole_from(wh, "WH")
        act.ask("certificate", "safeTransferFrom", own, receiver, token.number, wh, b"")
        with act.refusals():
            receipt = act.run.ledger.transfer(act.account, own, receiver, token, wh)
        act.tell(
            f"transferred {wh:,} Wh of {short(token)} to {act.run.account_text(receiver)}",
            {"act": "transfer", **units_json(token, wh), "to": checksum(receiver)},
            receipt,
            as_json=as_json,
        )
    return 0


def run_retire(
    where: Where, who: Who, text: str, wh: int, options: RetireOptions, *, as_json: bool
) -> int:
    """Use units up."""
    number = bundle_from(text)
    if number is not None:
        retire_bundle(where, who, number, wh, options, as_json=as_json)
        return 0
    start, end = _period(options)
    _require_texts(options)
    with acting(where, who) as act:
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
                **units_json(token, wh),
                "beneficiary": options.beneficiary,
                "purpose": options.purpose,
            },
            receipt,
            as_json=as_json,
        )
    return 0


def _period(options: RetireOptions) -> tuple[int, int]:
    """The time in which a token is used up."""
    if options.meter is not None:
        raise CertificateInputUnusable(
            "--meter: only a bundle of the book, as b17, is retired for a meter's consumption; "
            "a token takes --from and --until alone"
        )
    if options.period_from is None or options.period_until is None:
        raise CertificateInputUnusable(
            "--from and --until: a token is retired for a period of consumption, give both, as "
            "2016-06-21T10:00:00Z; only a bundle of the book, as b17, can do without"
        )
    start, end = parse_time(options.period_from), parse_time(options.period_until)
    if min(start, end) < 0:
        raise CertificateInputUnusable("--from and --until: give times after 1970")
    return start, end


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

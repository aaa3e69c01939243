"""`commonwatt certificate transfer` and `retire` of a bundle of the book."""

from collections.abc import Mapping

from commonwatt.certificate.actions import Retire, Transfer
from commonwatt.certificate.bundle import Bundle, Origin
from commonwatt.certificate.using import PURPOSE_MAX
from commonwatt.chain.account import checksum
from commonwatt.cli.book_run import (
    OpenBook,
    act,
    bundle_text,
    meter_among,
    opened_book,
    published_text,
)
from commonwatt.cli.book_statements import write_statements
from commonwatt.cli.certificate_run import (
    CertificateInputUnusable,
    CertificateUnknown,
    RetireOptions,
    Where,
    Who,
    address_from,
    signer_of,
    whole_from,
)
from commonwatt.cli.certificate_words import moment, print_json, printable
from commonwatt.quantity import parse_time


def transfer_bundle(
    where: Where, who: Who, number: int, wh: int, receiver: bytes, *, as_json: bool
) -> None:
    """Give units of a bundle to another account."""
    with opened_book(where) as book:
        account = signer_of(book.run, who)
        before = book.bundle(number)
        whole_from(wh, "WH")
        made = act(book, account, f"b{number}", Transfer(number, wh, receiver.hex()))
        whom = book.run.account_text(receiver)
        words = f"transferred {wh:,} Wh of {bundle_text(before)} to {whom}, as b{made.number}"
        answer = {"act": "transfer", "to": checksum(receiver), "account": account.address}
        _tell(book, made, words, answer, as_json=as_json)


def retire_bundle(
    where: Where, who: Who, number: int, wh: int, options: RetireOptions, *, as_json: bool
) -> None:
    """Use units of a bundle up, and write the statement of it."""
    if options.country is not None or options.location:
        raise CertificateInputUnusable(
            "--country and --location: only a token's retirement names them; of a bundle the book "
            "knows the zone"
        )
    beneficiary = address_from(options.beneficiary, "--beneficiary")
    require_purpose(options.purpose)
    with opened_book(where) as book:
        account = signer_of(book.run, who)
        before = book.bundle(number)
        whole_from(wh, "WH")
        used = _consumption(book, options)
        meter, start, duration = ("", 0, 0) if used is None else (used[0].hex(), *used[1:])
        action = Retire(
            number, wh, beneficiary.hex(), options.purpose, meter, start, duration
        )  # fmt: skip
        made = act(book, account, f"b{number}", action)
        [path] = write_statements(book, [made.number])
        whom = book.run.account_text(beneficiary)
        words = (
            f"retired {wh:,} Wh of {bundle_text(before)} for {whom}: {options.purpose}, as "
            f"b{made.number}; statement {path}, page beside it"
        )
        answer = {
            "act": "retire",
            "beneficiary": checksum(beneficiary),
            "purpose": options.purpose,
            "account": account.address,
            "statement": str(path),
            "page": str(path.with_suffix(".html")),
        }
        _tell(book, made, words, answer, as_json=as_json)


def require_purpose(text: str) -> None:
    """Refuse what no retirement can say it is for (R18)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CertificateInputUnusable("--purpose: not text in UTF-8") from None
    if not 0 < len(text.strip()) <= len(text) <= PURPOSE_MAX:
        raise CertificateInputUnusable(f"--purpose: say for what, in 1 to {PURPOSE_MAX} characters")


def _consumption(book: OpenBook, options: RetireOptions) -> Origin | None:
    """The consumption that units are used up for, if one is named."""
    given = (options.meter, options.period_from, options.period_until)
    if given == (None, None, None):
        return None
    meter, begins, ends = given
    if meter is None or begins is None or ends is None:
        raise CertificateInputUnusable(
            "--meter, --from, --until: a consumption is named by all three, or leave all three out"
        )
    start, end = parse_time(begins), parse_time(ends)
    if end <= start:
        raise CertificateInputUnusable(
            f"--until {ends}: not after --from {begins}; name the interval of one consumption"
        )
    known = {origin.meter for origin in book.state.consumptions}
    used = Origin(meter_among(meter, known, "--meter"), start, end - start)
    if used not in book.state.consumptions:
        raise CertificateUnknown(
            f"--meter {meter}: the book knows no consumption of it from {begins} until {ends}; "
            "name the very interval that was recorded or imported"
        )
    return used


def _tell(
    book: OpenBook, made: Bundle, words: str, answer: Mapping[str, object], *, as_json: bool
) -> None:
    if as_json:
        print_json(
            {
                **answer,
                "bundle": made.number,
                "meter": made.origin.meter.hex(),
                "start": moment(made.origin.start),
                "wh": made.wh,
                "entry": made.by,
            }
        )
    else:
        print(printable(words))
        print(published_text(book, made.by))

"""`commonwatt certificate match`: units of the book for the consumption of the same intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from commonwatt.certificate.bundle import Bundle
from commonwatt.certificate.matching import Period, consumptions_of
from commonwatt.chain.account import Account
from commonwatt.cli.book_matching import LABELS, Matched, Matching, sources_of
from commonwatt.cli.book_run import OpenBook, opened_book, published_text
from commonwatt.cli.book_statements import RETIREMENTS
from commonwatt.cli.certificate_run import Where, Who, days_from, signer_of
from commonwatt.cli.certificate_words import moment, print_json, print_table, short_meter
from commonwatt.node.time_zone import calendar_of


@dataclass(frozen=True, slots=True)
class MatchOptions:
    """What is matched, as it was typed."""

    first: str
    until: str
    zone: str
    contracts: Sequence[str]
    dry_run: bool


def run_match(where: Where, who: Who, options: MatchOptions, *, as_json: bool) -> int:
    """Retire an account's units for its consumption, interval by interval."""
    first, until = days_from(options.first, options.until)
    calendar = calendar_of(options.zone)
    period = Period(calendar.midnight(first), calendar.midnight(until))
    with opened_book(where) as book:
        account = signer_of(book.run, who)
        matching = Matching(book, account, sources_of(book, options.contracts), period)
        before = matching.open_wh(book.state)
        found = matching.dry_run() if options.dry_run else matching.carry_out()
        retired = sum(bundle.wh for bundle in found.bundles)
        used = consumptions_of(book.state, account.address_bytes, period)
        sums = {
            "consumed_wh": sum(one.wh for one in used),
            "covered_wh": sum(one.covered_wh for one in used),
            "open_before_wh": before,
            "retired_wh": retired,
            "open_wh": before - retired,
        }
        if as_json:
            print_json(_as_json(account, options, found, sums))
        else:
            _print(book, account, options, found, sums)
    return 0


def _print(
    book: OpenBook,
    account: Account,
    options: MatchOptions,
    found: Matched,
    sums: dict[str, int],
) -> None:
    whom = book.run.account_text(account.address_bytes)
    print(
        f"matching of {whom}, {options.first} until before {options.until}, days of {options.zone}"
    )
    rows = [("consumed", sums["consumed_wh"]), ("matched before", _before(sums))]
    rows += [(label, found.by_source[label]) for label in LABELS.values()]
    rows += [("still open", sums["open_wh"])]
    width = max(len(f"{wh:,}") for _, wh in rows)
    for label, wh in rows:
        print(f"  {label:<16}{wh:>{width},} Wh")
    if not sums["consumed_wh"]:
        print("the book knows no consumption of this account in these days")
    elif not found.bundles:
        print("nothing to retire: no units of these intervals that it holds and can use here")
    elif options.dry_run:
        print(f"would be retired, in {len(found.bundles):,} parts; nothing was changed:")
        _print_proposals(found.bundles)
    else:
        last = found.bundles[-1]
        where = book.run.where.folder
        print(
            f"{len(found.bundles):,} retirements, the last is b{last.number}; statements and pages "
            f"in {where / RETIREMENTS}"
        )
        print(published_text(book, last.by))


def _before(sums: dict[str, int]) -> int:
    return sums["consumed_wh"] - sums["open_before_wh"]


def _print_proposals(bundles: Sequence[Bundle]) -> None:
    rows = [
        (f"{short_meter(b.origin.meter)}@{moment(b.origin.start)}", f"{b.wh:,}") for b in bundles
    ]
    print_table(("produced", "Wh"), rows, right=range(1, 2))


def _as_json(
    account: Account, options: MatchOptions, found: Matched, sums: dict[str, int]
) -> dict[str, object]:
    return {
        "account": account.address,
        "from": options.first,
        "until": options.until,
        "zone": options.zone,
        "dry_run": options.dry_run,
        **sums,
        "sources": {label: found.by_source[label] for label in LABELS.values()},
        "retirements": [
            {
                "bundle": None if options.dry_run else bundle.number,
                "meter": bundle.origin.meter.hex(),
                "start": moment(bundle.origin.start),
                "wh": bundle.wh,
            }
            for bundle in found.bundles
        ],
        "statements": [str(path) for path in found.written],
    }

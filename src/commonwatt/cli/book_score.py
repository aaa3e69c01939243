"""`commonwatt certificate score`: how much of what an account used was matched in its interval."""

from commonwatt.certificate.score import Row, Score, score_of
from commonwatt.chain.account import checksum
from commonwatt.cli.book_run import OpenBook, opened_book
from commonwatt.cli.certificate_run import SignerUnusable, Where, address_from, days_from
from commonwatt.cli.certificate_words import moment, print_json, print_table
from commonwatt.node.time_zone import calendar_of

UTC = "UTC"
"""The time zone unless another is named."""


def run_score(
    where: Where,
    member: int | None,
    account: str | None,
    days: tuple[str, str],
    zone: str | None,
    *,
    as_json: bool,
) -> int:
    """Print a score and what it follows from."""
    first, until = days_from(*days)
    calendar = calendar_of(zone or UTC)
    given = None if account is None else address_from(account, "--account")
    with opened_book(where) as book:
        whose = _account(book, member, given)
        found = score_of(book.state, whose, first, until, calendar)
        if as_json:
            print_json(_as_json(whose, found))
        else:
            _print(book, whose, found, is_usual=zone is None)
    return 0


def _account(book: OpenBook, member: int | None, account: bytes | None) -> bytes:
    if (member is None) == (account is None):
        raise SignerUnusable("whose score: give either --member N or --account ADDRESS")
    if account is not None:
        return account
    accounts, number = book.run.community.accounts, member or 0
    if not 0 <= number < len(accounts):
        raise SignerUnusable(f"--member {number}: there are members 0 to {len(accounts) - 1}")
    return accounts[number]


def _print(book: OpenBook, account: bytes, found: Score, *, is_usual: bool) -> None:
    other = "; --zone names another" if is_usual else ""
    print(f"hourly score of {book.run.account_text(account)}, days of {found.zone}{other}")
    rows = [_row(row) for row in (found.whole, *found.months, *found.days)]
    heads = ("period", "score", "consumed Wh", "matched Wh", "intervals")
    print_table(heads, rows, right=range(1, 5))
    if not found.whole.intervals:
        print("the book knows no consumption of this account in these days")


def _row(row: Row) -> tuple[str, ...]:
    return (
        row.label,
        row.text or "none",
        f"{row.consumed_wh:,}",
        f"{row.matched_wh:,}",
        f"{row.intervals:,}",
    )


def _as_json(account: bytes, found: Score) -> dict[str, object]:
    return {
        "account": checksum(account),
        "zone": found.zone,
        "whole": _row_json(found.whole),
        "months": [_row_json(row) for row in found.months],
        "days": [_row_json(row) for row in found.days],
    }


def _row_json(row: Row) -> dict[str, object]:
    return {
        "period": row.label,
        "start": moment(row.start),
        "end": moment(row.end),
        "score": row.text or None,
        "consumed_wh": row.consumed_wh,
        "matched_wh": row.matched_wh,
        "intervals": row.intervals,
    }

"""The book's part of `commonwatt certificate list`: sums per account, or bundles page by page."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from commonwatt.certificate.bundle import LIVE, Bundle, Status
from commonwatt.chain.account import checksum
from commonwatt.cli.book_run import OpenBook
from commonwatt.cli.certificate_words import moment, print_row, print_table, short_meter
from commonwatt.quantity import TIME_MAX

EXPIRED, RETIRED_AT_ISSUE = "expired", "retired at issue"
STATES = (
    Status.ACTIVE.value,
    Status.RESERVED.value,
    EXPIRED,
    Status.RETIRED.value,
    RETIRED_AT_ISSUE,
    Status.CLAIMED.value,
    Status.STORED.value,
    Status.WITHDRAWN.value,
    Status.EXPORTED.value,
)
"""What a bundle can be, to a person; one that was divided is told by its parts."""
_HEADS = ("bundle", "produced", "Wh", "holder", "state")
_WIDTHS = (7, 29, 9, 54, 0)
"""Pages are printed as they come: no width can depend on what follows."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which bundles are listed: of one account, of one UTC day, of both."""

    account: bytes | None = None
    start: int = 0
    end: int = TIME_MAX

    @property
    def is_all(self) -> bool:
        """Whether nothing was chosen."""
        return self == Choice()


def state_of(book: OpenBook, bundle: Bundle) -> str:
    """What has become of a bundle: one of `STATES` (R22)."""
    if bundle.status in LIVE and book.context().is_expired(bundle.origin):
        return EXPIRED
    if bundle.status is Status.RETIRED and bundle.number not in book.state.retirements:
        return RETIRED_AT_ISSUE
    return bundle.status.value


def print_book(book: OpenBook, choice: Choice) -> None:
    """The book for a person."""
    posted, _ = book.run.ledger.book_head()
    print(f"book: {book.entries:,} entries; the head on the chain covers {posted:,}")
    if choice.is_all:
        _print_sums(book)
        return
    listed = 0
    for bundle in _bundles(book, choice):
        if not listed:
            print_row(_HEADS, _WIDTHS, right=range(2, 3))
        print_row(_row(book, bundle), _WIDTHS, right=range(2, 3))
        listed += 1
    if not listed:
        print("no bundles")


def write_book_json(book: OpenBook, choice: Choice) -> None:
    """The same as one JSON object, written while it is read."""
    count, head = book.run.ledger.book_head()
    begun: dict[str, object] = {
        "id": book.store.log.identity.hex(),
        "entries": book.entries,
        "head": book.store.log.head.hex(),
        "posted": {"entries": count, "head": head.hex()},
    }
    if choice.is_all:
        begun["accounts"] = [
            {"account": checksum(account), "wh": dict(sorted(wh.items(), key=_by_state))}
            for account, wh in _sums(book)
        ]
        _write(msgspec.json.encode(begun))
        return
    _write(msgspec.json.encode(begun).removesuffix(b"}") + b',"bundles":[')
    for index, bundle in enumerate(_bundles(book, choice)):
        _write((b"," if index else b"") + msgspec.json.encode(_bundle_json(book, bundle)))
    _write(b"]}")


def _write(text: bytes) -> None:
    sys.stdout.buffer.write(text)


def _pages(book: OpenBook, choice: Choice) -> Iterator[list[Bundle]]:
    """Bundles from the store, by number of an account, else by time."""
    days = choice.start > 0 or choice.end < TIME_MAX
    if choice.account is not None and not days:
        after = -1
        while page := book.store.held(choice.account, after=after):
            yield page
            after = page[-1].number
        return
    last = (-1, -1)
    while page := book.store.produced(choice.start, choice.end, after=last):
        yield page
        last = (page[-1].origin.start, page[-1].number)


def _bundles(book: OpenBook, choice: Choice) -> Iterator[Bundle]:
    for page in _pages(book, choice):
        for bundle in page:
            is_wanted = choice.account in (None, bundle.holder)
            if is_wanted and bundle.status is not Status.SPLIT:
                yield bundle


def _sums(book: OpenBook) -> list[tuple[bytes, Counter[str]]]:
    """Per account all its units by state, Wh; members first, in their order."""
    sums: dict[bytes, Counter[str]] = {}
    for bundle in _bundles(book, Choice()):
        sums.setdefault(bundle.holder, Counter())[state_of(book, bundle)] += bundle.wh
    return sorted(sums.items(), key=lambda entry: _member(book, entry[0]))


def _by_state(entry: tuple[str, int]) -> int:
    return STATES.index(entry[0])


def _print_sums(book: OpenBook) -> None:
    sums = _sums(book)
    if not sums:
        print("no bundles")
        return
    used = [state for state in STATES if any(state in wh for _, wh in sums)]
    rows = [
        (book.run.account_text(account), *(f"{wh[state]:,}" for state in used))
        for account, wh in sums
    ]
    heads = ("account, Wh", *used)
    print_table(heads, rows, right=range(1, len(heads)))


def _member(book: OpenBook, account: bytes) -> tuple[int, bytes]:
    """Members in their order, then strangers."""
    accounts = book.run.community.accounts
    place = accounts.index(account) if account in accounts else len(accounts)
    return place, account


def _row(book: OpenBook, bundle: Bundle) -> tuple[str, ...]:
    origin = bundle.origin
    return (
        f"b{bundle.number}",
        f"{short_meter(origin.meter)}@{moment(origin.start)}",
        f"{bundle.wh:,}",
        book.run.account_text(bundle.holder),
        state_of(book, bundle),
    )


def _bundle_json(book: OpenBook, bundle: Bundle) -> Mapping[str, object]:
    return {
        "bundle": bundle.number,
        "meter": bundle.origin.meter.hex(),
        "start": moment(bundle.origin.start),
        "end": moment(bundle.origin.end),
        "first": bundle.first,
        "wh": bundle.wh,
        "account": checksum(bundle.holder),
        "state": state_of(book, bundle),
    }

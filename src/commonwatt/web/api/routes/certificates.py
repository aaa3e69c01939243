"""The book of certificates: bundles, retirements, and signed actions."""

from collections.abc import Iterator, Sequence

import msgspec

from commonwatt.certificate.bundle import LIVE, Bundle, Status
from commonwatt.certificate.context import account_of
from commonwatt.certificate.log import Entry, SignedAction, read_line, signed_text
from commonwatt.certificate.retirement import (
    StatementUnusable,
    entries_of,
    retirement_statement,
    statement_bytes,
)
from commonwatt.chain.account import signer_of
from commonwatt.node.book_store import BookStore
from commonwatt.node.service.hosted import Hosted
from commonwatt.web.api import shapes
from commonwatt.web.api.documents import read_document
from commonwatt.web.api.idempotency import once
from commonwatt.web.api.limits import PAGE_MAX, SCANNED_MAX
from commonwatt.web.api.parameters import account_named, cursor_of, cursor_text, day_named, day_span
from commonwatt.web.api.problem import Problem, later
from commonwatt.web.api.route import FRESH, PRIVATE, Answer, Call, Page, unknown

_decode = msgspec.json.Decoder(SignedAction).decode
TIME_END = 2**62
"""After every interval."""


# Whose it is


def lists_own(call: Call) -> bool:
    """Whether no other account's bundles are asked for; the list leaves others out."""
    account = call.query.account
    return account is None or account_named(account) in call.principal.accounts(call.hosted)


def is_own_bundle(call: Call) -> bool:
    """R13, R18: whether the bundle is held by the asker, or was retired for it."""
    own, number = call.principal.accounts(call.hosted), call.path["number"]
    bundle = call.hosted.book.bundle(number)
    if bundle is None:
        return False
    retirement = call.hosted.book.log.book.state.retirements.get(number)
    return bundle.holder in own or (retirement is not None and retirement.beneficiary in own)


def is_own_account(call: Call) -> bool:
    """Whether the account in the path is the asker's."""
    return call.path["account"] in call.principal.accounts(call.hosted)


# Bundles


def bundles(call: Call) -> Page:
    """Bundles of an account, of a day, or of both."""
    query, own = call.query, None
    if not call.sees_all:
        own = call.principal.accounts(call.hosted)
    elif query.account is not None:
        own = frozenset({account_named(query.account)})
    if query.day is not None:
        found, more = _of_day(call, own)
    elif own is not None:
        found, more = _of_accounts(call, sorted(own))
    else:
        found, more = _of_day(call, None)
    items = [bundle_of(bundle, call) for bundle in found]
    return Page(items, shapes.BundleOf, more, PRIVATE)


def _of_day(call: Call, own: frozenset[bytes] | None) -> tuple[list[Bundle], str | None]:
    """Bundles by the start of their interval, of a day or of all time."""
    day, book = call.query.day, call.hosted.book
    start, end = (0, TIME_END) if day is None else day_span(day_named(day))
    cursor = cursor_of(call.query.cursor, 2)
    after = (-1, -1) if cursor is None else (cursor[0], cursor[1])
    found: list[Bundle] = []
    for _ in range(SCANNED_MAX // PAGE_MAX):
        page = book.produced(start, end, after=after, limit=PAGE_MAX)
        for bundle in page:
            if len(found) == call.query.limit:
                return found, cursor_text(*after)
            after = bundle.origin.start, bundle.number
            if (own is None or bundle.holder in own) and _is_asked(call, bundle):
                found.append(bundle)
        if len(page) < PAGE_MAX:
            return found, None
    return found, cursor_text(*after)


def _of_accounts(call: Call, own: Sequence[bytes]) -> tuple[list[Bundle], str | None]:
    """Bundles by their number, account after account."""
    cursor = cursor_of(call.query.cursor, 2) or (0, 0)
    first, after = cursor[0], cursor[1] - 1
    found: list[Bundle] = []
    scanned = 0
    for place in range(first, len(own)):
        for bundle in _held(call.hosted.book, own[place], after):
            if len(found) == call.query.limit or scanned == SCANNED_MAX:
                return found, cursor_text(place, after + 1)
            scanned, after = scanned + 1, bundle.number
            if _is_asked(call, bundle):
                found.append(bundle)
        after = -1
    return found, None


def _held(book: BookStore, holder: bytes, after: int) -> Iterator[Bundle]:
    while True:
        page = book.held(holder, after=after, limit=PAGE_MAX)
        yield from page
        if len(page) < PAGE_MAX:
            return
        after = page[-1].number


def _is_asked(call: Call, bundle: Bundle) -> bool:
    status: str | None = call.query.status
    if status is None:
        return bundle.status is not Status.SPLIT
    return bundle.status.value == status


def bundle(call: Call) -> Answer:
    """One bundle as it is now."""
    return Answer(bundle_of(_bundle(call), call), cache=PRIVATE)


def _bundle(call: Call) -> Bundle:
    number: int = call.path["number"]
    found = call.hosted.book.bundle(number)
    if found is None:
        raise unknown(f"bundle {number}: not in this book")
    return found


def bundle_of(bundle: Bundle, call: Call) -> shapes.BundleOf:
    """A bundle as it is told (R22: whether it has expired follows from the time)."""
    scheme, origin = call.hosted.book.log.book.scheme, bundle.origin
    now = call.api.status(call.hosted).now
    is_over = bool(scheme.lifetime_s) and now >= origin.end + scheme.lifetime_s
    return shapes.BundleOf(
        number=bundle.number,
        meter=origin.meter.hex(),
        start=origin.start,
        end=origin.end,
        first=bundle.first,
        unit_end=bundle.end,
        wh=bundle.wh,
        holder=bundle.holder.hex(),
        status=bundle.status.value,
        is_expired=bundle.status in LIVE and is_over,
        by=bundle.by,
        parent=bundle.parent,
    )


def retirement(call: Call) -> Answer:
    """R18: the statement for a retirement, byte for byte as its digest is of."""
    number, book = _bundle(call).number, call.hosted.book
    state = book.log.book.state
    try:
        issued, retired = entries_of(state, number)
        statement = retirement_statement(state, number, _entry(book, issued), _entry(book, retired))
    except StatementUnusable as error:
        raise unknown(str(error)) from None
    return Answer(statement_bytes(statement), cache=PRIVATE)


def _entry(book: BookStore, number: int) -> Entry:
    return read_line(next(iter(book.lines(number))), number)


# The book


def book(call: Call) -> Answer:
    """What an action is signed for, and where the log ends."""
    log = call.hosted.book.log
    return Answer(
        shapes.BookOf(
            identity=log.identity.hex(),
            issuer=log.book.scheme.issuer.hex(),
            lifetime_s=log.book.scheme.lifetime_s,
            entries=log.book.entries,
            head=log.head.hex(),
        ),
        cache=FRESH,
    )


def account(call: Call) -> Answer:
    """R5: which action of an account is its next."""
    asked: bytes = call.path["account"]
    number = call.hosted.book.log.nonces.get(asked, 0)
    return Answer(shapes.BookAccount(account=asked.hex(), next_action=number), cache=PRIVATE)


def act(call: Call) -> Answer:
    """A signed action: its signature is its login (R5, R13)."""
    signed = read_document(_decode, call.body)
    actor = proven(call.hosted, signed)
    wait = call.api.by_actor.take(f"0x{actor.hex()}")
    if wait:
        raise later("too-many", f"account {signed.actor}", wait)
    return once(call, f"0x{actor.hex()}", lambda: done(call, signed))


def proven(hosted: Hosted, signed: SignedAction) -> bytes:
    """R13: who signed an action.

    Asked before the book is: how many actions an account has done is nobody else's business.
    """
    actor = account_of(signed.actor)
    try:
        signature = bytes.fromhex(signed.signature)
    except ValueError:
        signature = b""
    text = signed_text(hosted.book.log.identity, signed.nonce, signed.action)
    if signer_of(text, signature) != actor:
        raise Problem(
            "refused",
            f"actor {signed.actor}: the signature is not this account's (R13)",
            rule="R13",
        )
    return actor


def done(call: Call, signed: SignedAction) -> Answer:
    """What came of an action; durable on return."""
    with call.api.acting:
        made = call.hosted.submit(signed)
    bundles = made if isinstance(made, tuple) else ()
    return Answer(
        shapes.ActionDone(
            entries=call.hosted.book.log.book.entries,
            bundles=tuple(bundle_of(bundle, call) for bundle in bundles),
        ),
        status=201,
    )

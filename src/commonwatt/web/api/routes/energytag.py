"""The same book in the names of the EnergyTag API v2, as far as it has them.

An action is signed like any other. Sent without a signature it is answered with the text to sign;
sent again with the two headers it is done. What is signed must not change between the two, so a
reservation names its end.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from commonwatt.certificate.bundle import Bundle, Status
from commonwatt.certificate.energytag import (
    BundleDocument,
    bundle_document,
    encode,
    energy_source,
    issuance_id,
    status_word,
    statuses_of,
)
from commonwatt.certificate.energytag_actions import (
    ActionDocument,
    Terms,
    action_of,
    read_action,
)
from commonwatt.certificate.log import SignedAction, signed_text
from commonwatt.node.book_store import BookStore
from commonwatt.quantity import parse_time, time_text
from commonwatt.web.api import shapes
from commonwatt.web.api.documents import read_document
from commonwatt.web.api.idempotency import once
from commonwatt.web.api.limits import PAGE_MAX, SCANNED_MAX
from commonwatt.web.api.parameters import account_named, cursor_of, cursor_text
from commonwatt.web.api.problem import Problem, later
from commonwatt.web.api.route import (
    NUMBER_HEADER,
    PRIVATE,
    SIGNATURE_HEADER,
    Answer,
    Call,
    unknown,
)
from commonwatt.web.api.routes.certificates import done, proven

_NUMBER = re.compile(r"[0-9]{1,15}")
_SIGNATURE = re.compile(r"(?:0x)?([0-9a-fA-F]{130})")
_read_query = msgspec.json.Decoder(shapes.EnergyTagQuery).decode


class QueryAnswer(shapes.Shape, frozen=True):
    """A query, and the bundles it found."""

    query: shapes.EnergyTagQuery
    granular_certificate_bundles: tuple[BundleDocument, ...]
    total_certificate_volume: shapes.Wh
    next: str | None


class ActionAnswer(shapes.Shape, frozen=True):
    """An action that was done."""

    action: ActionDocument
    granular_certificate_bundles: tuple[BundleDocument, ...]


# Whose it is


def asks_as_itself(call: Call) -> bool:
    """Whether a query or an action names the asker as its user, and an account of its own."""
    own = call.principal.accounts(call.hosted)
    if call.route.path.endswith("/query"):
        query = read_document(_read_query, call.body)
        return {account_named(query.user_id), account_named(query.source_id)} <= own
    document = read_action(call.body)
    # A beneficiary claims what another account retired for it, and the issuer takes back what
    # others hold: there the book decides (R18, R23).
    of_others = call.route.path.endswith(("/claim", "/withdraw"))
    named = {document.user_id} if of_others else {document.user_id, document.source_id}
    return {account_named(account) for account in named} <= own


# Questions


@dataclass(frozen=True, slots=True)
class _Filter:
    """What a query asks for, read once."""

    query: shapes.EnergyTagQuery
    start: int
    end: int
    statuses: frozenset[Status] | None


def bundle(call: Call) -> Answer:
    """One bundle's document."""
    number: int = call.path["number"]
    found = call.hosted.book.bundle(number)
    if found is None:
        raise unknown(f"bundle {number}: not in this book")
    return Answer(encode(_document(call, found)), cache=PRIVATE)


def query(call: Call) -> Answer:
    """The bundles of an account that a query describes."""
    asked = read_document(_read_query, call.body)
    wanted = _filter(asked)
    cursor = cursor_of(call.query.cursor, 1)
    after = -1 if cursor is None else cursor[0]
    found: list[BundleDocument] = []
    scanned, more = 0, None
    for bundle in _held(call.hosted.book, account_named(asked.source_id), after):
        if len(found) == call.query.limit or scanned == SCANNED_MAX:
            more = cursor_text(after)
            break
        scanned, after = scanned + 1, bundle.number
        if _fits(call, wanted, bundle):
            found.append(_document(call, bundle))
    answer = QueryAnswer(
        query=asked,
        granular_certificate_bundles=tuple(found),
        total_certificate_volume=sum(document.bundle_quantity for document in found),
        next=more,
    )
    return Answer(encode(answer))


def _filter(asked: shapes.EnergyTagQuery) -> _Filter:
    start, end = asked.certificate_period_start, asked.certificate_period_end
    if asked.issuance_ids and (start or end):
        raise Problem("input-unusable", "issuance_ids: name them or a period, not both.")
    account_named(asked.user_id)
    word = asked.certificate_bundle_status
    return _Filter(
        query=asked,
        start=0 if start is None else parse_time(start),
        end=2**62 if end is None else parse_time(end),
        statuses=None if word is None else statuses_of(word),
    )


def _fits(call: Call, wanted: _Filter, bundle: Bundle) -> bool:
    asked, origin = wanted.query, bundle.origin
    log = call.hosted.book.log
    word = asked.certificate_bundle_status
    if wanted.statuses is None:
        is_status = bundle.status is not Status.SPLIT
    else:
        now = call.api.status(call.hosted).now
        is_status = bundle.status in wanted.statuses and (
            status_word(log.book.scheme, log.book.state, bundle, now) == word
        )
    return (
        is_status
        and wanted.start <= origin.start < wanted.end
        and asked.device_id in {None, origin.meter.hex()}
        and (not asked.issuance_ids or issuance_id(origin) in asked.issuance_ids)
        and asked.energy_source in {None, energy_source(log.book.state.devices[origin.meter])}
    )


def _held(book: BookStore, holder: bytes, after: int) -> Iterator[Bundle]:
    while page := book.held(holder, after=after, limit=PAGE_MAX):
        yield from page
        after = page[-1].number


def _document(call: Call, bundle: Bundle) -> BundleDocument:
    log, now = call.hosted.book.log, call.api.status(call.hosted).now
    facts = call.api.settings.energytag.facts
    try:
        return bundle_document(log.book.state, bundle, log.book.scheme, facts, now)
    except KeyError:
        # After a disk error the book is read again from its first line.
        raise later("busy", "The book is being read again", 5) from None


# Actions


def act(call: Call) -> Answer:
    """An action in EnergyTag's names, once it is signed."""
    document = read_action(call.body)
    kind = call.route.path.rpartition("/")[2]
    if kind == "reserve" and document.reserved_until is None:
        raise Problem("input-unusable", "reserved_until is missing: what is signed names its end.")
    now = call.api.status(call.hosted).now
    log, settings = call.hosted.book.log, call.api.settings.energytag
    terms = Terms(settings.purpose, settings.reservation_s)
    action = action_of(document, log.book.state, terms, now, kind)
    actor = account_named(document.user_id)
    number, signature = _signature(call)
    if signature is None:
        next_number = log.nonces.get(actor, 0)
        text = signed_text(log.identity, next_number, action)
        raise Problem(
            "signature-missing",
            f"user_id {document.user_id}: action {next_number} of this account",
            number=next_number,
            action=action,
            text=text.decode(),
        )
    signed = SignedAction(document.user_id, number, action, signature)
    proven(call.hosted, signed)
    return once(call, call.principal.actor, lambda: _done(call, document, signed, kind))


def _signature(call: Call) -> tuple[int, str | None]:
    """The two headers; no signature where there is none."""
    number, text = call.headers.get(NUMBER_HEADER), call.headers.get(SIGNATURE_HEADER)
    if number is None and text is None:
        return 0, None
    found = _SIGNATURE.fullmatch(text or "")
    if found is None or not _NUMBER.fullmatch(number or ""):
        raise Problem(
            "input-unusable",
            "Commonwatt-Action-Number and -Signature: send a number, and 65 bytes in hex digits",
        )
    return int(number or ""), found[1].lower()


def _done(call: Call, document: ActionDocument, signed: SignedAction, kind: str) -> Answer:
    asked = time_text(call.api.status(call.hosted).now)
    made = done(call, signed).content
    numbers = [one.number for one in made.bundles]
    found = (call.hosted.book.bundle(number) for number in numbers)
    answer = ActionAnswer(
        action=msgspec.structs.replace(
            document,
            action_type=kind,
            action_request_datetime=document.action_request_datetime or asked,
            action_completed_datetime=asked,
        ),
        granular_certificate_bundles=tuple(
            _document(call, bundle) for bundle in found if bundle is not None
        ),
    )
    return Answer(encode(answer), status=201)

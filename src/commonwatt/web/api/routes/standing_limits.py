"""Standing limit prices of a member: what they are, who changed them, and changing them."""

import msgspec

from commonwatt.market.book import Limits
from commonwatt.node.service.standing_limits import MemberLimits, Unchangeable
from commonwatt.node.store import LimitChange, TooManyChanges
from commonwatt.quantity import NotANumber
from commonwatt.web.api import shapes
from commonwatt.web.api.conditional import is_conditional, require_as_seen, tag_of
from commonwatt.web.api.documents import read_document
from commonwatt.web.api.parameters import cursor_of, cursor_text
from commonwatt.web.api.problem import Problem, later
from commonwatt.web.api.route import NO_STORE, PRIVATE, Answer, Call, Page
from commonwatt.web.api.routes.participants import member_of

MS_PER_S = 1_000
_decode = msgspec.json.Decoder(shapes.LimitsWanted).decode


def limits(call: Call) -> Answer:
    """A member's limits as they are for the open interval."""
    return _answer(call, call.hosted.limits.of(member_of(call)), PRIVATE)


def set_limits(call: Call) -> Answer:
    """Other limits, from the open interval on; durable on return."""
    wanted = read_document(_decode, call.body)
    return _change(call, Limits(_price(call, "bid", wanted.bid), _price(call, "ask", wanted.ask)))


def reset(call: Call) -> Answer:
    """Again what the community's file says, from the open interval on; durable on return."""
    return _change(call, None)


def changes(call: Call) -> Page:
    """Every change of a member's limits, in the order they were made."""
    member, limit = member_of(call), call.query.limit
    cursor = cursor_of(call.query.cursor, 1) or (0,)
    found = call.hosted.limits.changes(member, cursor[0], limit)
    # A full page may be the last one: then the next is empty.
    more = cursor_text(found[-1].number) if len(found) == limit else None
    return Page([_changed(call, one) for one in found], shapes.LimitChangeOf, more, PRIVATE)


def _change(call: Call, limits: Limits | None) -> Answer:
    hosted, member = call.hosted, member_of(call)
    before = hosted.limits.of(member)
    require_as_seen(call.headers, _document(call, before))
    seen = before.number if is_conditional(call.headers) else None
    done = hosted.change_limits(member, limits, call.principal.actor, seen=seen)
    match done:
        case MemberLimits():
            return _answer(call, done, NO_STORE)
        case TooManyChanges(most):
            what = f"member {member}: {most} changes while one interval is open"
            raise later("too-many", what, hosted.due_in)
        case Unchangeable.NOT_TAKEN:
            rule = hosted.community.market.rule
            raise Problem("no-limits", f"member {member}, market {rule}: {done.value}")
        case Unchangeable.CHANGED_MEANWHILE:
            raise Problem("changed", f"member {member}: {done.value}")


def _price(call: Call, name: str, text: str) -> int:
    try:
        return call.hosted.community.currency.price(text)
    except NotANumber as error:
        raise Problem("input-unusable", f"{name}: {error}") from None


def _answer(call: Call, found: MemberLimits, cache: str) -> Answer:
    document = _document(call, found)
    return Answer(document, cache=cache, headers={"etag": tag_of(document)})


def _document(call: Call, found: MemberLimits) -> shapes.LimitsOf:
    limits, change = found.limits, found.change
    bid, ask = _texts(call, limits)
    is_set = change is not None and change.limits is not None
    return shapes.LimitsOf(
        member=member_of(call),
        bid=bid,
        ask=ask,
        source="rule" if limits is None else "set" if is_set else "file",
        start=None if change is None else change.start,
        set_by=None if change is None else change.by,
        set_at=None if change is None else change.at_ms // MS_PER_S,
    )


def _changed(call: Call, one: LimitChange) -> shapes.LimitChangeOf:
    bid, ask = _texts(call, one.limits)
    return shapes.LimitChangeOf(
        number=one.number,
        member=one.member,
        start=one.start,
        bid=bid,
        ask=ask,
        set_by=one.by,
        set_at=one.at_ms // MS_PER_S,
    )


def _texts(call: Call, limits: Limits | None) -> tuple[str | None, str | None]:
    if limits is None:
        return None, None
    text = call.hosted.community.currency.price_text
    return text(limits.bid), text(limits.ask)

"""Refused records, and what the operator decides about each; all of it is logged."""

import msgspec

from commonwatt.meter.acceptance import Refused
from commonwatt.node.store import Decision, Quarantined, Ruling, Undecidable
from commonwatt.web.api import shapes
from commonwatt.web.api.documents import read_document
from commonwatt.web.api.parameters import cursor_of, cursor_text
from commonwatt.web.api.problem import Problem
from commonwatt.web.api.route import PRIVATE, Answer, Call, Page, unknown

MS_PER_S = 1_000
NUMBER_MAX = 2**62
_decode = msgspec.json.Decoder(shapes.DecisionWanted).decode
_METER, _SEQUENCE = slice(12, 32), slice(32, 40)
"""Where a record has them."""


def refused(call: Call) -> Page:
    """Refused records, in the order they came."""
    quarantine = call.api.quarantine(call.hosted.name)
    ask = {
        "waiting": quarantine.waiting,
        "released": quarantine.released,
        "all": quarantine.all,
    }[call.query.state]
    cursor = cursor_of(call.query.cursor, 1) or (0,)
    limit = call.query.limit
    found = ask(cursor[0], limit)
    # A full page may be the last one: then the next is empty.
    more = cursor_text(found[-1].number) if len(found) == limit else None
    return Page([_refused(one) for one in found], shapes.QuarantinedOf, more, PRIVATE)


def one(call: Call) -> Answer:
    """One refused record."""
    return Answer(_refused(_find(call)), cache=PRIVATE)


def decisions(call: Call) -> Page:
    """The operator's log."""
    cursor = cursor_of(call.query.cursor, 1) or (0,)
    limit = call.query.limit
    found = call.api.quarantine(call.hosted.name).decisions(cursor[0], limit)
    more = cursor_text(found[-1].number) if len(found) == limit else None
    return Page([_decision(one) for one in found], shapes.DecisionOf, more, PRIVATE)


def decide(call: Call) -> Answer:
    """A decision, added to the log; durable on return."""
    wanted = read_document(_decode, call.body)
    refusal = _find(call)
    number = refusal.number
    ruling = Ruling.RELEASED if wanted.ruling == "released" else Ruling.REJECTED
    quarantine = call.api.quarantine(call.hosted.name)
    if "\0" in wanted.remark:
        raise Problem("input-unusable", "remark: a NUL character cannot be kept")
    done = quarantine.decide(number, ruling, call.principal.actor, wanted.remark)
    if isinstance(done, Undecidable):
        raise Problem("decided", f"refusal {number}: {done.value}")
    why = None
    if ruling is Ruling.RELEASED:
        verdict = call.hosted.release(number, refusal.signed)
        why = verdict.reason.name if isinstance(verdict, Refused) else None
    found = quarantine.find(number)
    made = shapes.DecisionMade(
        decision=_decision(done),
        readmitted=None if found is None else found.readmitted,
        reason=why,
    )
    return Answer(made, status=201)


def _find(call: Call) -> Quarantined:
    number: int = call.path["number"]
    found = call.api.quarantine(call.hosted.name).find(number) if number < NUMBER_MAX else None
    if found is None:
        raise unknown(f"refusal {number}: {Undecidable.NOT_THERE.value}")
    return found


def _refused(one: Quarantined) -> shapes.QuarantinedOf:
    record, signature = one.signed
    return shapes.QuarantinedOf(
        number=one.number,
        start=one.start,
        meter=record[_METER].hex(),
        sequence=int.from_bytes(record[_SEQUENCE]),
        reason=one.reason.name,
        record=record.hex(),
        signature=signature.hex(),
        ruling=None if one.decision is None else _ruling(one.decision.ruling),  # type: ignore[arg-type]
        decided_by=None if one.decision is None else one.decision.by,
        readmitted=one.readmitted,
    )


def _decision(one: Decision) -> shapes.DecisionOf:
    return shapes.DecisionOf(
        number=one.number,
        refusal=one.refusal,
        ruling=_ruling(one.ruling),  # type: ignore[arg-type]
        by=one.by,
        at=one.at_ms // MS_PER_S,
        remark=one.remark,
    )


def _ruling(ruling: Ruling) -> str:
    return ruling.name.lower()

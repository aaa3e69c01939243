"""Webhooks: registered by the operator, told what happens by `delivery.py`."""

import msgspec

from commonwatt.web.api import shapes
from commonwatt.web.api.documents import read_document
from commonwatt.web.api.hooks import Hook, Hooks, TooManyHooks
from commonwatt.web.api.parameters import cursor_of, cursor_text
from commonwatt.web.api.problem import Problem
from commonwatt.web.api.receiver import ReceiverUnusable, receiver_of
from commonwatt.web.api.route import PRIVATE, Answer, Call, Page, unknown

_decode = msgspec.json.Decoder(shapes.HookWanted).decode


def hooks(call: Call) -> Page:
    """Those that are registered; their secrets are not told again."""
    cursor = cursor_of(call.query.cursor, 1) or (0,)
    every = [hook for hook in _hooks(call).all() if hook.number > cursor[0]]
    page = every[: call.query.limit]
    more = cursor_text(page[-1].number) if len(every) > len(page) else None
    return Page([_hook(hook) for hook in page], shapes.HookOf, more, PRIVATE)


def register(call: Call) -> Answer:
    """A new webhook, with the secret its messages are signed with."""
    wanted = read_document(_decode, call.body)
    try:
        receiver_of(wanted.url)
    except ReceiverUnusable as error:
        raise Problem("input-unusable", f"url: {error}") from None
    kinds = tuple(dict.fromkeys(wanted.kinds))
    if not kinds:
        raise Problem("input-unusable", "kinds: name one at least")
    now = call.api.status(call.hosted).now
    try:
        hook = _hooks(call).register(wanted.url, kinds, call.principal.actor, now)
    except TooManyHooks as error:
        raise Problem("full", str(error)) from None
    made = shapes.HookMade(
        number=hook.number,
        url=hook.url,
        kinds=hook.kinds,
        registered=hook.registered,
        by=hook.by,
        secret=hook.secret,
    )
    return Answer(made, status=201)


def remove(call: Call) -> Answer:
    """A webhook is told nothing any more."""
    number: int = call.path["number"]
    if not _hooks(call).remove(number):
        raise unknown(f"webhook {number}: none is registered under this number")
    return Answer(None, status=204)


def _hooks(call: Call) -> Hooks:
    return Hooks(call.api.database(call.hosted.name))


def _hook(hook: Hook) -> shapes.HookOf:
    return shapes.HookOf(
        number=hook.number,
        url=hook.url,
        kinds=hook.kinds,
        registered=hook.registered,
        by=hook.by,
    )

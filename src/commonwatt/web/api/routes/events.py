"""Server-sent events: what happens, as it happens, and what was missed meanwhile."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from commonwatt.node.service.events import Event, Events
from commonwatt.web.api.problem import later
from commonwatt.web.api.route import Call, Stream

LOOK_S = 0.2
"""A stream looks so often for something new."""
EVENTS_AT_ONCE = 200
"""Encoded in one piece."""
RETRY_MS = 3_000
"""After so long a reader that was cut off comes again."""
_NUMBER = re.compile(r"[0-9]{1,18}")
_encode = msgspec.json.Encoder().encode


def told(event: Event) -> Mapping[str, Any]:
    """What everybody may know of an event.

    Why a chain is away may name its address, with a key in it.
    """
    if event.kind != "chain":
        return event.data
    return {**event.data, "state": "ok" if event.data.get("state") == "ok" else "away"}


def stream(call: Call) -> Stream:
    """Events after the last one the reader has seen, and then those to come."""
    sent = call.headers.get("last-event-id", "")
    number = int(sent) if _NUMBER.fullmatch(sent) else call.query.after
    events = call.hosted.events
    if not call.api.streams.take(call.address):
        raise later("busy", "Too many streams of events are open", 30)
    return Stream(_pieces(call, events, events.last if number is None else number))


async def _pieces(call: Call, events: Events, number: int) -> AsyncIterator[bytes]:
    bounds, steady = call.api.bounds, call.api.steady
    end = steady() + bounds.stream_s
    heard = steady()
    yield b"retry: %d\n\n" % RETRY_MS
    while (now := steady()) < end:
        found = events.after(number)[:EVENTS_AT_ONCE] if events.last > number else []
        if found:
            number, heard = found[-1].number, now
            wanted = [e for e in found if call.query.kind in {None, e.kind}]
            yield b"".join(map(text_of, wanted)) or b": %d\n\n" % number
            continue
        if now - heard >= bounds.heartbeat_s:
            heard = now
            yield b": alive\n\n"
        await asyncio.sleep(LOOK_S)


def text_of(event: Event) -> bytes:
    """An event as it is sent."""
    data = _encode({"time": event.time, **told(event)})
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.number, event.kind.encode(), data)

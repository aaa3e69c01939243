"""A thread that tells webhooks what happens, and tries again where nobody answers.

A message is kept in the database before it is sent, under a name that follows from what happened:
the same interval is told once, also by the node that takes over. It is sent at least once, so who
receives it twice knows it by its id. It is signed as Standard Webhooks has it: HMAC-SHA-256 over
id, time and body.
"""

import base64
import hmac
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Signal
from threading import Thread

import msgspec

from commonwatt.errors import CommonwattError
from commonwatt.node.service.events import Event, Events
from commonwatt.node.service.hosted import Hosted
from commonwatt.node.service.members import community_key
from commonwatt.node.store import Deliveries, Delivery
from commonwatt.web.api.hooks import Hook, Hooks
from commonwatt.web.api.ports import Service
from commonwatt.web.api.receiver import Receiver, ReceiverUnusable, post, receiver_of
from commonwatt.web.api.routes.events import told

LOOK_S = 1.0
"""It looks so often for what happened and what is due."""
AT_ONCE = 8
"""Messages on their way at the same time."""
RETRY_S = (5, 30, 120, 600, 3_600, 3 * 3_600, 6 * 3_600, 12 * 3_600)
"""When a message is tried again; after the last it is given up, a day after the first."""
HOOKS_S = 5.0
"""A webhook that was removed may get a message for so long."""
HOUSEKEEPING_S = 3_600
MS_PER_S = 1_000
KEEP_DELIVERED_S = 7 * 86_400
"""What arrived is remembered so long, so that it is not told again."""
_OK = range(200, 300)
_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("commonwatt.webhooks")

Post = Callable[[Receiver, bytes, Mapping[str, str]], int]


def signature(key: bytes, message_id: str, seconds: int, body: bytes) -> str:
    """The header `webhook-signature` of a message.

    >>> signature(b"key", "street:1:interval:900", 1466510400, b"{}")
    'v1,EjOCwLn0OSEaGwlwtfEwq6jcW/j/xP4P3Jne9cXEAL8='
    """
    text = f"{message_id}.{seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, text, "sha256")).decode()


class Deliverer:
    """Works for all communities of a node until it is stopped."""

    def __init__(
        self, service: Service, *, post: Post = post, clock: Callable[[], float] = time.time
    ) -> None:
        """Nothing starts yet.

        Args:
            service: the node.
            post: sends a message.
            clock: UTC seconds.
        """
        self._service, self._post, self._clock = service, post, clock
        self._seen: dict[str, tuple[Events, int]] = {}
        """Per community its events, and the last one that was looked at."""
        self._hooks: dict[str, tuple[dict[str, Hook], float]] = {}
        """Per community its webhooks, and when they were looked up."""
        self._cleaned: dict[str, float] = {}
        """Per community when old messages and answers were dropped."""
        self._stopping = Signal()
        self._pool = ThreadPoolExecutor(AT_ONCE, "webhook")
        self._thread = Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Work from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being sent, and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(cancel_futures=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.step()
            self._stopping.wait(LOOK_S)

    def step(self) -> None:
        """Keep what happened for those who want to know, and send what is due."""
        for name, hosted in dict(self._service.communities).items():
            try:
                self._tell(name, hosted)
            except CommonwattError as error:
                # Without the database nothing is lost: it is tried again.
                _log.warning("%s: %s", name, error)
            except Exception:  # noqa: BLE001 - one community's trouble is not the others'
                _log.exception("%s: webhooks", name)

    def _tell(self, name: str, hosted: Hosted) -> None:
        store, key = self._service.store, community_key(name)
        deliveries = store.deliveries(key)
        is_new = hosted.events.last > self._seen_of(name, hosted)
        hooks, looked_up = self._hooks.get(name, ({}, 0.0))
        # What happened is for all that are registered by now; otherwise an old list will do.
        is_stale = is_new or self._clock() - looked_up >= HOOKS_S
        if is_stale:
            hooks = {str(hook.number): hook for hook in Hooks(store.database(key)).all()}
            self._hooks[name] = hooks, self._clock()
        if is_new:
            self._keep(name, hosted, hooks, deliveries)
        due = deliveries.due(AT_ONCE) if hooks or is_stale else []
        if due:
            list(self._pool.map(lambda one: self._send(name, one, hooks, deliveries), due))
        if self._clock() - self._cleaned.get(name, 0.0) >= HOUSEKEEPING_S:
            self._cleaned[name] = now = self._clock()
            deliveries.forget(int(now - KEEP_DELIVERED_S) * MS_PER_S)
            store.answers(key).forget_expired()

    def _keep(
        self, name: str, hosted: Hosted, hooks: Mapping[str, Hook], deliveries: Deliveries
    ) -> None:
        last = hosted.events.last
        found = hosted.events.after(self._seen_of(name, hosted))
        for event, key, data in _messages(found) if hooks else ():
            body = _encode(
                {"community": name, "kind": event.kind, "time": event.time, "data": data}
            )
            for number, hook in hooks.items():
                if event.kind in hook.kinds and _ended(event) >= hook.registered:
                    deliveries.add(number, key, body)
        # Only now: what could not be kept is looked at again.
        self._seen[name] = hosted.events, max([last, *(event.number for event in found[-1:])])

    def _seen_of(self, name: str, hosted: Hosted) -> int:
        events, seen = self._seen.get(name, (hosted.events, 0))
        return seen if events is hosted.events else 0

    def _send(
        self, name: str, one: Delivery, hooks: Mapping[str, Hook], deliveries: Deliveries
    ) -> None:
        hook = hooks.get(one.hook)
        if hook is None:
            deliveries.mark_failed(one.number, "the webhook was removed", None)
            return
        why = self._try(name, one, hook)
        if why is None:
            deliveries.mark_delivered(one.number)
            return
        again = RETRY_S[one.failures] if one.failures < len(RETRY_S) else None
        if again is None:
            _log.warning("%s: webhook %s: %s given up (%s)", name, one.hook, one.event, why)
        deliveries.mark_failed(one.number, why, again)

    def _try(self, name: str, one: Delivery, hook: Hook) -> str | None:
        """Send a message; why it did not arrive, if it did not."""
        message_id, seconds = f"{name}:{one.hook}:{one.event}", int(self._clock())
        headers = {
            "content-type": "application/json",
            "user-agent": "commonwatt",
            "webhook-id": message_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": signature(hook.key, message_id, seconds, one.body),
        }
        try:
            status = self._post(receiver_of(hook.url), one.body, headers)
        except (OSError, ReceiverUnusable) as error:
            return " ".join(str(error).split()) or type(error).__name__
        return None if status in _OK else f"answered {status}"


def _messages(events: Sequence[Event]) -> Iterator[tuple[Event, str, Mapping[str, object]]]:
    """What is told of events, each under a name of its own; refusals as one sum.

    Anybody can have records refused, and must not be able to fill the database with messages.
    """
    refused = [event for event in events if event.kind == "refused"]
    for event in events:
        if event.kind == "interval":
            yield event, f"interval:{event.data['start']}", event.data
        elif event.kind != "refused":
            yield event, f"{event.kind}:{event.number}", told(event)
    if refused:
        reasons = Counter(str(event.data["reason"]) for event in refused)
        last = refused[-1]
        yield last, f"refused:{last.number}", {"count": len(refused), "reasons": dict(reasons)}


def _ended(event: Event) -> int:
    """When it happened: an interval when it was over, however late that was heard of."""
    if event.kind == "interval":
        return int(str(event.data["start"])) + int(str(event.data["duration"]))
    return event.time

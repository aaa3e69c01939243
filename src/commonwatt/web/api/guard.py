"""Around the whole application: how often, how many at once, and headers on every answer."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commonwatt.web.api.limits import QUERY_BYTES_MAX, address_name
from commonwatt.web.api.problem import Problem, later
from commonwatt.web.api.render import Rendered, of_problem
from commonwatt.web.api.state import Api

BUSY_S = 1
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    # Nothing here is a page: whatever an answer holds, a browser runs none of it.
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"referrer-policy", b"no-referrer"),
]


class Guard:
    """Middleware of the application."""

    def __init__(self, app: ASGIApp, api: Api) -> None:
        """Around an application."""
        self._app, self._api = app, api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        watch = _Watch(scope, receive, send)
        client = scope.get("client")
        address = "" if client is None else address_name(client[0])
        try:
            self._admit(scope, address)
        except Problem as problem:
            await watch.answer(of_problem(problem))
            return
        if not self._api.requests.take(""):
            busy = later("busy", "As many requests as can be worked on are under way", BUSY_S)
            await watch.answer(of_problem(busy))
            return
        try:
            await self._app(scope, watch.receive, watch.send)
        finally:
            self._api.requests.give_back("")

    def _admit(self, scope: Scope, address: str) -> None:
        wait = self._api.by_address.take(address)
        if wait:
            raise later("too-many", f"Requests from {address}", wait)
        if len(scope.get("query_string", b"")) > QUERY_BYTES_MAX:
            raise Problem("input-unusable", f"The query has more than {QUERY_BYTES_MAX} bytes")


class _Watch:
    """One request: whether its body was received, and headers for its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        names = {name for name, _ in scope["headers"]}
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        self._is_left = b"transfer-encoding" in names or any(v != b"0" for v in lengths)

    async def receive(self) -> Message:
        """What comes next."""
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._is_left = False
        return message

    async def send(self, message: Message) -> None:
        """Send on, with headers for every answer."""
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", []), *_HEADERS]
            if self._is_left:
                # Nobody wants the rest of the body: without this it would be read to its end.
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)

    async def answer(self, rendered: Rendered) -> None:
        """Answer without the application."""
        headers = [(name.encode(), text.encode()) for name, text in rendered.headers.items()]
        headers.append((b"content-length", b"%d" % len(rendered.body)))
        await self.send(
            {"type": "http.response.start", "status": rendered.status, "headers": headers}
        )
        await self.send({"type": "http.response.body", "body": rendered.body})

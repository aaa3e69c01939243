"""How uvicorn is to be run: with limits on what a connection may keep it waiting for.

uvicorn itself waits for ever for the first request of a connection, for the rest of a header, and
for a receiver that takes nothing. A look at each connection every few seconds ends that.
"""

import asyncio
from collections import Counter
from typing import Any, ClassVar

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from commonwatt.web.api.limits import (
    HEADER_BYTES_MAX,
    KEEP_ALIVE_S,
    SHUTDOWN_S,
    Limits,
    address_name,
)
from commonwatt.web.api.problem import PROBLEM_JSON
from commonwatt.web.api.route import STREAM_MARK
from commonwatt.web.api.settings import ApiSettings

LOOKS_PER_LIMIT = 4
"""A connection is looked at so often within the shortest of its limits."""
PROGRESS_BYTES = 16 * 1024
"""So much a receiver must take while one limit lasts."""


def server_options(
    settings: ApiSettings | None = None, limits: Limits | None = None
) -> dict[str, Any]:
    """Arguments for `uvicorn.Config`, beside the application, host and port.

    Args:
        settings: the operator's.
        limits: what a stranger may use up; the named constants unless given.
    """
    settings, limits = settings or ApiSettings(), limits or Limits()
    return {
        "http": guarded(limits, frozenset(settings.proxies)),
        "ws": "none",
        "lifespan": "on",
        "interface": "asgi3",
        "limit_concurrency": limits.connections,
        "backlog": min(2_048, limits.connections),
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": SHUTDOWN_S,
        "h11_max_incomplete_event_size": HEADER_BYTES_MAX,
        "proxy_headers": bool(settings.proxies),
        "forwarded_allow_ips": list(settings.proxies),
        "server_header": False,
        # Addresses of requests are nobody's business, and what goes wrong is logged anyway.
        "access_log": False,
        "log_config": None,
    }


class Guarded(H11Protocol):
    """One connection, with its limits."""

    limits: ClassVar[Limits]
    proxies: ClassVar[frozenset[str]]
    open_by_address: ClassVar[Counter[str]]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._address = ""
        self._header_since: float | None = None
        self._stuck_since, self._stuck_at = 0.0, 0
        self._look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count it, and look after it from now on."""
        super().connection_made(transport)
        host = self.client[0] if self.client else ""
        self._address = address_name(host)
        self.open_by_address[self._address] += 1
        mine = self.open_by_address[self._address]
        is_one_too_many = mine > self.limits.connections_per_address and host not in self.proxies
        if is_one_too_many or len(self.connections) > self.limits.connections:
            transport.abort()
            return
        self._header_since = self._stuck_since = self.loop.time()
        self._look_again()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self.open_by_address[self._address] -= 1
        if not self.open_by_address[self._address]:
            del self.open_by_address[self._address]
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Remember when a header began to come."""
        if self._is_between and self._header_since is None:
            self._header_since = self.loop.time()
        super().data_received(data)
        if not self._is_between:
            self._header_since = None

    def on_response_complete(self) -> None:
        """The next header begins now, if a part of it is there already."""
        self._header_since = None
        super().on_response_complete()
        if self._is_between and self.conn.trailing_data[0]:
            self._header_since = self.loop.time()

    @property
    def _is_between(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _look_again(self) -> None:
        pause = min(self.limits.header_s, self.limits.send_s) / LOOKS_PER_LIMIT
        self._look = self.loop.call_later(pause, self._check)

    def _check(self) -> None:
        now = self.loop.time()
        waiting = self.transport.get_write_buffer_size()
        if not waiting or waiting <= self._stuck_at - PROGRESS_BYTES:
            self._stuck_since, self._stuck_at = now, waiting
        self._stuck_at = max(self._stuck_at, waiting)
        since = self._header_since
        is_late = self._is_between and since is not None and now - since >= self.limits.header_s
        if is_late or (waiting and now - self._stuck_since >= self.limits.send_s):
            self.transport.abort()
            return
        self._look_again()

    def shutdown(self) -> None:
        """The node stops: answers are finished, but a stream would go on for an hour."""
        if not self._is_between and self.scope.get(STREAM_MARK):
            self.transport.close()
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP, answered as everything else is."""
        document = msgspec.json.encode(
            {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": msg}
        )
        head = (
            f"HTTP/1.1 400 Bad Request\r\ncontent-type: {PROBLEM_JSON}\r\n"
            f"content-length: {len(document)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + document)
        self.transport.close()


def guarded(limits: Limits, proxies: frozenset[str]) -> type[Guarded]:
    """A server's own kind of connection: its counts are no other server's."""
    own = {"limits": limits, "proxies": proxies, "open_by_address": Counter[str]()}
    return type("GuardedHere", (Guarded,), own)

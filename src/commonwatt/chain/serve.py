"""The embedded chain over HTTP, so that any Ethereum wallet or library can be its client.

JSON-RPC in the body of a POST, one thread a connection, nothing but the standard library. Meant for
this machine: who reaches the port may read everything and send signed transactions, as with any
node that is not behind something.
"""

import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingTCPServer
from threading import BoundedSemaphore, Condition
from typing import Any

from commonwatt.chain.connection import Rpc
from commonwatt.chain.errors import ChainError
from commonwatt.chain.serve_handler import Handler
from commonwatt.chain.serve_requests import REQUEST_SECONDS, Requests

CONNECTIONS_MAX = 64
GRACE_SECONDS = REQUEST_SECONDS
"""How long requests that have begun are waited for in the end."""

PORT_MAX = 65_535
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_FULL_SECONDS = 0.1


class RpcServer(ThreadingTCPServer):
    """Answers JSON-RPC requests about one chain until it is stopped."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = CONNECTIONS_MAX

    def __init__(self, chain: Rpc, host: str, port: int, *, origin: str | None = None) -> None:
        """Listen; answering begins with `serve_forever`.

        Args:
            chain: answers the requests.
            host: a name or an address of this machine.
            port: 0 takes any free one.
            origin: web pages of this origin may ask, too, as `https://example.org`; `*`: of any.

        Raises:
            ChainError: it cannot listen there, or the origin is none.
        """
        if not 0 <= port <= PORT_MAX:
            raise ChainError(f"port {port}: give 1 to {PORT_MAX}, or 0 for any that is free")
        if origin is not None and not re.fullmatch(r"\*|https?://[^/\s?#@]+", origin):
            raise ChainError(f"origin {origin}: write it as https://example.org, or * for any")
        self.requests = Requests(chain)
        self.origin = origin
        self.names = {"localhost", host.lower()}
        self._places = BoundedSemaphore(CONNECTIONS_MAX)
        self._idle = Condition()
        self._busy = 0
        self._stopping = False
        try:
            family, _, _, _, at = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self.address_family = family
            super().__init__(at[:2], Handler)  # type: ignore[arg-type] # of an IPv6 address, too
        except OSError as why:
            raise ChainError(
                f"{host}:{port}: cannot listen there ({why.strerror}); choose another with --port "
                "or --host"
            ) from why

    @property
    def url(self) -> str:
        """Where it answers."""
        host, port = self.server_address[:2]
        shown = str(host)
        return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"

    def stop(self) -> None:
        """Take no more requests, and let those that have begun end. Not from `serve_forever`."""
        self.shutdown()
        with self._idle:
            self._stopping = True
            self._idle.wait_for(lambda: self._busy == 0, GRACE_SECONDS)
        self.server_close()

    @contextmanager
    def working(self) -> Iterator[bool]:
        """Whether what is done inside may still begin; if so, `stop` waits for its end."""
        with self._idle:
            begins = not self._stopping
            self._busy += begins
        try:
            yield begins
        finally:
            with self._idle:
                self._busy -= begins
                self._idle.notify_all()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection a thread, if there is a place left."""
        if not self._places.acquire(blocking=False):
            request.settimeout(_FULL_SECONDS)
            request.sendall(_FULL)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection's requests."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Say in one line what nobody expected; that a client hung up is none of it."""
        why = sys.exception()
        if not isinstance(why, OSError):
            sys.stderr.write(f"commonwatt: {type(why).__name__}: {why}\n")

"""One connection to the embedded chain's server: HTTP around the bodies of requests."""

import io
import socket
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from commonwatt.chain.serve import RpcServer

BODY_BYTES_MAX = 5 * 1024 * 1024
"""The largest transaction there can be, written in hexadecimal, and some."""

READ_SECONDS = 30.0
"""How long a request may take to arrive, and a connection be kept without one."""

WRITE_SECONDS = 30.0
JSON_TYPES = ("application/json", "application/json-rpc", "application/jsonrequest")


class _Patience(io.RawIOBase):
    """Reads a connection up to a moment: nobody holds a place by sending a byte now and then."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.until = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: "RpcServer"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    error_message_format, error_content_type = "%(message)s\n", "text/plain; charset=utf-8"

    def setup(self) -> None:
        """Read with patience that ends."""
        super().setup()
        self._patience = _Patience(self.connection)
        self.rfile = io.BufferedReader(self._patience)

    def handle_one_request(self) -> None:
        """Wait for a request and answer it."""
        self._patience.until = time.monotonic() + READ_SECONDS
        super().handle_one_request()

    def do_POST(self) -> None:
        """Answer the requests in the body."""
        size = self.headers.get("Content-Length", "")
        if not (size.isascii() and size.isdecimal()):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "no Content-Length")
            return
        if len(size) > len(str(BODY_BYTES_MAX)) or int(size) > BODY_BYTES_MAX:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {BODY_BYTES_MAX} bytes")
            return
        self._patience.until = time.monotonic() + READ_SECONDS
        body = self.rfile.read(int(size))
        if len(body) < int(size):
            self.close_connection = True
        elif not self._is_named():
            self._refuse(HTTPStatus.FORBIDDEN, "this server has another name")
        # No page can send this type without asking first: so none sends a request unseen.
        elif self.headers.get_content_type() not in JSON_TYPES:
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send it as application/json")
        else:
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        with self.server.working() as begins:
            if not begins:
                self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "this server is ending")
                return
            answer = self.server.requests.answer(body)
            self.connection.settimeout(WRITE_SECONDS)
            self.send_response(HTTPStatus.OK if answer else HTTPStatus.NO_CONTENT)
            self._allow_origin()
            if answer is not None:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer or b"")

    def do_OPTIONS(self) -> None:
        """Tell a browser whether a page may ask."""
        if not self._is_named() or not self._is_allowed_origin():
            self._refuse(HTTPStatus.FORBIDDEN, "web pages may not ask; see --origin")
            return
        self.connection.settimeout(WRITE_SECONDS)
        self.send_response(HTTPStatus.NO_CONTENT)
        self._allow_origin()
        self.send_header("Access-Control-Allow-Methods", "POST")
        self.send_header("Access-Control-Allow-Headers", "content-type")
        self.end_headers()

    def do_GET(self) -> None:
        """Say what is here to whoever looks with a browser."""
        self._refuse(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "JSON-RPC of a Commonwatt chain: POST requests as application/json",
        )

    do_HEAD = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815 - names the library looks up

    def version_string(self) -> str:
        """Who answers."""
        return "commonwatt"

    def log_message(self, *_: object) -> None:
        """Say nothing: a client that polls would fill the screen."""

    def _is_named(self) -> bool:
        """Whether we are called by an address or by our name.

        A page elsewhere can point a name of its own to this machine, and would then be of the same
        origin; but it cannot keep its browser from saying that name.
        """
        name = ""
        try:
            name = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
            ip_address(name)
        except ValueError:
            return name in self.server.names
        return True

    def _is_allowed_origin(self) -> bool:
        known = self.server.origin
        return known is not None and known in ("*", self.headers.get("Origin"))

    def _allow_origin(self) -> None:
        if self.headers.get("Origin") and self._is_allowed_origin():
            self.send_header("Access-Control-Allow-Origin", str(self.server.origin))
            self.send_header("Vary", "Origin")

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        """Answer in words and hang up: a body may be on its way that nobody reads."""
        self.connection.settimeout(WRITE_SECONDS)
        text = f"{why}\n".encode()
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "POST")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

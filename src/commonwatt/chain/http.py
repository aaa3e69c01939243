"""JSON-RPC over HTTP with nothing but the standard library, one kept-alive connection."""

import json
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from commonwatt.chain.errors import ChainError, ChainUnreachable

ANSWER_BYTES_MAX = 64 * 1024 * 1024
HTTP_ERROR = 400


class HttpRpc:
    """Requests to one node."""

    def __init__(self, url: str, *, timeout: float) -> None:
        """Name the node; nothing is sent yet.

        Args:
            url: `http://` or `https://`.
            timeout: seconds to wait for an answer.

        Raises:
            ChainError: the URL is not of a kind we can talk to.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            msg = f"{url}: not the URL of a node; write it as http://host:port or https://host/path"
            raise ChainError(msg)
        self.url = url
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._http = kind(parts.hostname, parts.port, timeout=timeout)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._lock = Lock()
        self._count = 0

    def make_request(self, method: str, params: Sequence[object] = ()) -> dict[str, Any]:
        """Send one request and wait for the answer.

        Raises:
            ChainUnreachable: no answer, or not a JSON-RPC one.
        """
        with self._lock:
            self._count += 1
            body = json.dumps(
                {"jsonrpc": "2.0", "id": self._count, "method": method, "params": list(params)}
            )
            fresh = self._http.sock is None
            try:
                return self._exchange(body)
            except (HTTPException, OSError, ValueError) as why:
                self._http.close()
                # A connection kept open is often closed by the node meanwhile: once more, then.
                if fresh or isinstance(why, (TimeoutError, ValueError)):
                    raise ChainUnreachable(self.url, why) from why
            try:
                return self._exchange(body)
            except (HTTPException, OSError, ValueError) as why:
                self._http.close()
                raise ChainUnreachable(self.url, why) from why

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            self._http.close()

    def _exchange(self, body: str) -> dict[str, Any]:
        self._http.request("POST", self._path, body.encode(), {"Content-Type": "application/json"})
        response = self._http.getresponse()
        content = response.read(ANSWER_BYTES_MAX)
        if response.status >= HTTP_ERROR:
            msg = f"HTTP {response.status}"
            raise ValueError(msg)
        answer = json.loads(content)
        if not isinstance(answer, dict) or not ("result" in answer or "error" in answer):
            msg = "the answer is not JSON-RPC"
            raise ValueError(msg)
        return answer

"""A request's body, received with a limit on everything: its type, its bytes, its time."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from commonwatt.web.api.problem import Problem, later
from commonwatt.web.api.route import Body
from commonwatt.web.api.state import Api

BUSY_S = 2
"""Until bodies of others are done with, most likely."""


class Received:
    """A body that counts against everybody's share of memory until it is let go."""

    def __init__(self, api: Api, address: str) -> None:
        """Nothing has come yet."""
        self._api, self._address = api, address
        self._bytes = 0
        self._parts: list[bytes] = []

    def add(self, part: bytes) -> None:
        """Keep another part; raises `Problem` where there is no room for it."""
        if not self._api.bodies.take(self._address, len(part)):
            raise later("busy", "Too many bodies are being received", BUSY_S)
        self._bytes += len(part)
        self._parts.append(part)

    def __len__(self) -> int:
        """Bytes so far."""
        return self._bytes

    def whole(self) -> bytes:
        """All of it."""
        return b"".join(self._parts)

    def let_go(self) -> None:
        """Others may have the room."""
        self._parts.clear()
        self._api.bodies.give_back(self._address, self._bytes)
        self._bytes = 0


async def receive(request: Request, body: Body, received: Received, seconds: float) -> None:
    """Receive a body.

    Args:
        request: whose body it is.
        body: what the route takes.
        received: where it is kept.
        seconds: in which it must have come.

    Raises:
        Problem: its type, length or time is not what it may be.
    """
    headers = request.headers
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in body.media:
        raise Problem("media-unknown", f"Content-Type {media!r:.80}: use {' or '.join(body.media)}")
    packing = headers.get("content-encoding", "identity")
    if packing != "identity":
        # What is unpacked could be any size.
        raise Problem("media-unknown", f"Content-Encoding {packing!r:.40}: send it as it is")
    length = headers.get("content-length", "")
    if not length.isascii() or not length.isdigit():
        raise Problem("length-missing", "Content-Length is missing")
    if int(length[:20]) > body.bytes_max:
        raise _too_large(body)
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                if len(received) + len(part) > body.bytes_max:
                    raise _too_large(body)
                received.add(part)
    except TimeoutError:
        raise Problem(
            "body-too-slow", f"{len(received)} of {length} bytes in {seconds} s"
        ) from None
    except ClientDisconnect:
        raise Problem("body-too-slow", "the connection was closed in the middle") from None


def _too_large(body: Body) -> Problem:
    return Problem("body-too-large", f"body: at most {body.bytes_max} bytes")

"""Records to a node over HTTP, and what it says of its community."""

import asyncio
import http.client
import json
import re
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeVar
from urllib.parse import quote, unquote, urlsplit

import msgspec

from commonwatt.meter.record import LEDGER_BYTES, METER_BYTES, SignedRecord
from commonwatt.node.gateway.answers import (
    ANSWER_BYTES_MAX,
    BATCH_TYPE,
    Answer,
    NoAnswer,
    encode_batch,
    read_answers,
)
from commonwatt.node.gateway.errors import AddressUnusable, NodeUnusable
from commonwatt.node.gateway.link import BatchTooLarge, LinkDown

ANSWER_S = 60.0
"""A node that has not answered a batch within this time is away."""
RETRY_AFTER_S_MAX = 3_600
OK, SENT_ON, PAYLOAD_TOO_LARGE = 200, 307, 413
HOPS_MAX = 3
"""So often a request is sent on before the node counts as away."""

_T = TypeVar("_T")
_CLOSED = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


class Answered(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    retry_after: str
    location: str = ""


class _MeterOfCommunity(msgspec.Struct, frozen=True):
    meter: str


class _CommunityAnswer(msgspec.Struct, frozen=True):
    name: str
    ledger: str
    interval_s: int
    meters: tuple[_MeterOfCommunity, ...] = ()


class CommunityFacts(NamedTuple):
    """What whoever signs records has to know of a community."""

    ledger: bytes
    interval_s: int
    meters: frozenset[bytes]
    """Those that are registered; empty where the node does not say."""


class NodeAddress(NamedTuple):
    """Where a node answers."""

    host: str
    port: int | None
    tls: bool
    path: str
    """Without a slash at its end."""

    @classmethod
    def parse(cls, url: str) -> "NodeAddress":
        """Read `http://HOST[:PORT][/PATH]` or `https://...`.

        Raises:
            AddressUnusable: any other text.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        plain = parts.username is None and not parts.query + parts.fragment
        if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
            raise AddressUnusable(
                f"{url!r:.200}: write a node's address as http://HOST:PORT or https://HOST"
            )
        return cls(parts.hostname, port, parts.scheme == "https", quote(parts.path.rstrip("/")))

    @property
    def shown(self) -> str:
        """The address for messages and logs."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{'https' if self.tls else 'http'}://{host}{port}{self.path}"


class HttpNode:
    """One connection to a node, kept open as long as the node likes."""

    def __init__(self, address: NodeAddress, answer_s: float = ANSWER_S) -> None:
        """Name the node; nothing is sent yet.

        Args:
            address: the node's.
            answer_s: seconds to wait for a whole answer.
        """
        self.address, self._answer_s = address, answer_s
        self._open: http.client.HTTPConnection | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> Answered:
        """One request; raises `LinkDown` where no whole answer comes in time."""
        try:
            async with asyncio.timeout(self._answer_s):
                if self._open is not None:
                    # A connection kept open is often closed by the node meanwhile: once more, then.
                    with suppress(*_CLOSED):
                        return await self._exchange(self._open, method, path, body, kind)
                    self._hang_up()
                self._open = self._connection()
                return await self._exchange(self._open, method, path, body, kind)
        except (http.client.HTTPException, OSError, ValueError) as error:
            self._hang_up()
            raise LinkDown(_why(error)) from None
        except BaseException:
            self._hang_up()
            raise

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self.address.tls else http.client.HTTPConnection
        return kind(self.address.host, self.address.port, timeout=self._answer_s)

    async def _exchange(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes, kind: str
    ) -> Answered:
        headers = {"Accept": "application/json"}
        if kind:
            headers["Content-Type"] = kind

        def exchange() -> Answered:
            try:
                connection.request(method, self.address.path + path, body or None, headers)
                response = connection.getresponse()
                content = response.read(ANSWER_BYTES_MAX + 1)
            finally:
                if self._open is not connection:
                    connection.close()  # nobody waits any more, and nobody else has it
            if response.length or len(content) > ANSWER_BYTES_MAX:
                raise http.client.IncompleteRead(content[:0], response.length)
            said = response.headers
            return Answered(
                response.status, content, said.get("Retry-After", ""), said.get("Location", "")
            )

        return await _in_thread(exchange)

    def _hang_up(self) -> None:
        connection, self._open = self._open, None
        if connection is None:
            return
        # A thread may still be waiting for bytes: shutting the socket down wakes it up.
        if isinstance(connection.sock, socket.socket):
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()

    def at_port(self, port: int) -> "HttpNode":
        """Another connection, to the same host at another port."""
        return HttpNode(self.address._replace(port=port), self._answer_s)

    async def close(self) -> None:
        """Hang up."""
        self._hang_up()


class WorkerOfNode:
    """The worker of a node that works for one community, wherever the node sends requests on to.

    Only the port of such an answer is believed: scheme, host and path have to stay what they are,
    so nobody is led to another machine, or from TLS to none. The worker is remembered until it does
    not answer as it should; then the configured address is asked again.
    """

    def __init__(self, node: HttpNode) -> None:
        """Take the connection to the configured address; nothing is sent yet."""
        self._node = node
        self._worker: HttpNode | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> Answered:
        """One request, sent on at most `HOPS_MAX` times.

        Raises:
            LinkDown: no whole answer in time, or one that sends on where nobody may be followed.
        """
        try:
            answered = await self._current.ask(method, path, body, kind)
            for _ in range(HOPS_MAX):
                if answered.status != SENT_ON:
                    break
                await self._follow(answered.location, path)
                answered = await self._current.ask(method, path, body, kind)
        except BaseException:
            await self._forget()
            raise
        if answered.status not in (OK, PAYLOAD_TOO_LARGE):
            await self._forget()
        return answered

    @property
    def _current(self) -> HttpNode:
        return self._worker or self._node

    async def _follow(self, location: str, path: str) -> None:
        own = self._node.address
        try:
            found = NodeAddress.parse(location)
        except AddressUnusable:
            raise LinkDown("the node sends on to what is no address") from None
        is_same = (found.tls, unquote(found.path)) == (own.tls, own.path + path)
        if not is_same or found.port is None:
            raise LinkDown(
                f"the node sends on to {found.shown:.200}, which is not followed: only the port "
                f"may differ from {own.shown}; name the worker's own address"
            )
        # The host is the configured one: a node knows itself by number, or by an inner name.
        await self._forget()
        self._worker = self._node.at_port(found.port)

    async def _forget(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.close()

    async def close(self) -> None:
        """Hang up."""
        await self._forget()
        await self._node.close()


class HttpLink:
    """Sends records to one community of a node."""

    def __init__(self, node: HttpNode, community: str) -> None:
        """Take the connection; nothing is sent yet."""
        self._node = WorkerOfNode(node)
        self._path = f"/v1/communities/{quote(community)}/records"

    async def send(self, batch: Sequence[SignedRecord]) -> list[Answer]:
        """Send records and wait for answers; see `Link`."""
        answered = await self._node.ask("POST", self._path, encode_batch(batch), BATCH_TYPE)
        if answered.status == PAYLOAD_TOO_LARGE:
            raise BatchTooLarge
        if answered.status != OK:
            raise LinkDown(_problem(answered), _retry_after(answered.retry_after))
        try:
            return read_answers(answered.body)
        except NoAnswer as error:
            raise LinkDown(error) from None

    async def close(self) -> None:
        """Hang up."""
        await self._node.close()


async def ask_community(address: NodeAddress, community: str) -> CommunityFacts:
    """What a node says of its community: `GET /v1/communities/NAME`.

    Raises:
        NodeUnusable: no answer, no such community, or not what a node answers.
    """
    node = WorkerOfNode(HttpNode(address))
    try:
        answered = await node.ask("GET", f"/v1/communities/{quote(community)}")
    except LinkDown as error:
        raise NodeUnusable(
            f"{address.shown}: no answer ({error}); start the node, or correct its address"
        ) from None
    finally:
        await node.close()
    if answered.status != OK:
        raise NodeUnusable(
            f"{address.shown}: says {_problem(answered)} when asked for community {community!r}; "
            "correct its name or the address"
        )
    try:
        facts = msgspec.json.decode(answered.body, type=_CommunityAnswer)
        ledger = bytes.fromhex(facts.ledger)
        meters = frozenset(bytes.fromhex(entry.meter) for entry in facts.meters)
        sizes = {len(meter) for meter in meters} <= {METER_BYTES} and len(ledger) == LEDGER_BYTES
    except (msgspec.DecodeError, ValueError):
        sizes = False
    if not sizes:
        raise NodeUnusable(f"{address.shown}: does not answer as a node does; correct the address")
    return CommunityFacts(ledger, facts.interval_s, meters)


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = error.strerror if isinstance(error, OSError) else str(error)
    return text or type(error).__name__


def _problem(answered: Answered) -> str:
    """What an answer that is none says: its status, and the title of a problem (RFC 9457)."""
    try:
        found = json.loads(answered.body)
        title = found["detail"] if found.get("detail") else found["title"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        title = http.client.responses.get(answered.status, "")
    return f"HTTP {answered.status} {str(title)[:200]!a}" if title else f"HTTP {answered.status}"


def _retry_after(text: str) -> float | None:
    """Seconds to wait as the node asks; None where it says none, or a date."""
    if not re.fullmatch("[0-9]{1,9}", text):
        return None
    return float(min(int(text), RETRY_AFTER_S_MAX))


async def _in_thread(work: Callable[[], _T]) -> _T:
    """Do something that waits in a thread that nobody has to wait for at the end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def tell(result: _T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            result, error = work(), None
        except BaseException as caught:  # noqa: BLE001 - whatever it is, the caller gets it
            result, error = None, caught
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=run, daemon=True).start()
    return await done

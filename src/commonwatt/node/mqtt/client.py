"""A connection to an MQTT broker from its address, for whoever listens or speaks there."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from aiomqtt import Client, MqttError
from aiomqtt.message import Message

from commonwatt.errors import InputError

PORT, TLS_PORT = 1_883, 8_883
ANSWER_S = 10.0
"""A broker that has not answered within this time is away."""
KEEPALIVE_S = 30
QUEUED_MESSAGES_MAX = 10_000
"""More than this in memory, in or out, and the newest are dropped."""

AT_LEAST_ONCE = 1

__all__ = [
    "BrokerAddress",
    "BrokerAddressUnusable",
    "Client",
    "Message",
    "MqttError",
    "connected",
    "listen_to",
    "say",
]


class BrokerAddressUnusable(InputError):
    """Not the address of an MQTT broker."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is, and as whom to talk to it."""

    host: str
    port: int
    tls: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "BrokerAddress":
        """Read `mqtt://HOST[:PORT]` or `mqtts://...`, with `USER:PASSWORD@` before the host or not.

        Raises:
            BrokerAddressUnusable: any other text; the password in it is not repeated.

        >>> BrokerAddress.parse("mqtts://gateway:secret@broker.example").shown
        'mqtts://broker.example:8883'
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        usable = parts.hostname and parts.path in ("", "/") and not parts.query + parts.fragment
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or not usable:
            raise BrokerAddressUnusable(
                "a broker's address is written as mqtt://HOST:1883 or mqtts://HOST:8883, "
                "with USER:PASSWORD@ before the host if it asks for them"
            )
        tls = parts.scheme == "mqtts"
        return cls(
            host=parts.hostname,
            port=port if port is not None else (TLS_PORT if tls else PORT),
            tls=tls,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )

    @property
    def shown(self) -> str:
        """The address without user and password, for messages and logs."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


@asynccontextmanager
async def connected(
    address: BrokerAddress, identifier: str | None = None, *, clean_session: bool | None = None
) -> AsyncIterator[Client]:
    """A client that is connected while inside.

    Args:
        address: the broker's.
        identifier: the client's own name at the broker; the broker chooses one unless given.
        clean_session: False: the broker keeps subscriptions and what came meanwhile.

    Raises:
        MqttError: no connection, or it broke; try again later.
    """
    client = Client(
        address.host,
        address.port,
        username=address.user,
        password=address.password,
        identifier=identifier,
        clean_session=clean_session,
        tls_context=ssl.create_default_context() if address.tls else None,
        timeout=ANSWER_S,
        keepalive=KEEPALIVE_S,
        max_queued_incoming_messages=QUEUED_MESSAGES_MAX,
        max_queued_outgoing_messages=QUEUED_MESSAGES_MAX,
        # Small messages one after another: none waits for the acknowledgement of the one before.
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    )
    async with client:
        _require_wanted()
        yield client


async def listen_to(client: Client, topics: Iterable[str]) -> None:
    """Hear of every message on some topics, at least once each; raises `MqttError`."""
    await client.subscribe([(topic, AT_LEAST_ONCE) for topic in topics])
    _require_wanted()


async def say(client: Client, topic: str, payload: bytes) -> None:
    """Publish a message; the broker has it on return. Raises `MqttError`."""
    await client.publish(topic, payload, qos=AT_LEAST_ONCE)
    _require_wanted()


def _require_wanted() -> None:
    # What the library waits with loses a cancellation that comes together with the answer, in
    # Python before 3.12: whoever was to stop would go on for ever.
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError

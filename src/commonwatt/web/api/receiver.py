"""Who a message is sent to, and sending it: https, or this machine, and no way round.

The name is looked up once and the connection goes to the very address that was checked, so a name
that changes its mind in between leads nowhere. Redirections are not followed.
"""

import re
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address, IPv6Address, ip_address
from threading import Timer
from urllib.parse import urlsplit

from commonwatt.errors import InputError

DELIVERY_S = 10.0
"""From the look-up of the name to the answer's header."""
URL_MAX = 1_000
_URL = re.compile(r"[\x21-\x7e]+")
_HTTP, _HTTPS = 80, 443
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class ReceiverUnusable(InputError):
    """A webhook's address that no message is sent to."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where a webhook is."""

    host: str
    port: int
    target: str
    """Path and query."""
    is_secure: bool
    is_local: bool
    """On this machine by name."""


def receiver_of(url: str) -> Receiver:
    """The receiver at a URL.

    Raises:
        ReceiverUnusable: what is wrong with it; nothing is looked up.
    """
    if len(url) > URL_MAX or not _URL.fullmatch(url):
        raise ReceiverUnusable(f"{url!r:.80}: use at most {URL_MAX} visible ASCII characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ReceiverUnusable(f"{url!r:.80}: not an address; write https://HOST/PATH") from None
    is_local = host in _LOCAL_NAMES
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
        raise ReceiverUnusable(f"{url!r:.80}: use https, or http on this machine")
    if not host or "@" in parts.netloc or parts.fragment:
        raise ReceiverUnusable(f"{url!r:.80}: name a host, and neither a user nor a fragment")
    with suppress(ValueError):
        if not is_local and not _is_public(ip_address(host)):
            raise ReceiverUnusable(f"{url!r:.80}: {host} is no public address")
    is_secure = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Receiver(host, port or (_HTTPS if is_secure else _HTTP), target, is_secure, is_local)


def address_of(receiver: Receiver) -> str:
    """The address to connect to.

    Raises:
        ReceiverUnusable: the name has none, or one that is not public.
    """
    try:
        found = socket.getaddrinfo(receiver.host, receiver.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ReceiverUnusable(f"{receiver.host}: has no address ({error}); check it") from None
    addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        fits = address.is_loopback if receiver.is_local else _is_public(address)
        if not fits:
            raise ReceiverUnusable(
                f"{receiver.host}: leads to {address}, which is no public address; use another"
            )
    return str(addresses[0])


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    if inner is not None:
        return _is_public(inner)
    return address.is_global and not address.is_multicast


class _Pinned(HTTPConnection):
    """A connection to the address that was checked, under the name that was asked for."""

    def __init__(self, receiver: Receiver, address: str, timeout: float) -> None:
        super().__init__(receiver.host, receiver.port, timeout=timeout)
        self._receiver, self._address = receiver, address

    def connect(self) -> None:
        """Connect, with TLS where the receiver has it."""
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._receiver.is_secure:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self._receiver.host)

    def cut(self) -> None:
        """End it, whoever is waiting for something."""
        with suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)


def post(
    receiver: Receiver, body: bytes, headers: Mapping[str, str], timeout: float = DELIVERY_S
) -> int:
    """Send a message; returns the status of the answer, whose body is not read.

    Raises:
        ReceiverUnusable: its name leads nowhere, or where no message goes.
        OSError: it cannot be reached, or did not answer in time.
    """
    connection = _Pinned(receiver, address_of(receiver), timeout)
    # Each step has its time; a receiver that answers a byte now and then must not have more.
    end = Timer(timeout, connection.cut)
    end.daemon = True
    end.start()
    try:
        connection.request("POST", receiver.target, body, dict(headers))
        return connection.getresponse().status
    except HTTPException as error:
        raise OSError(f"no answer of HTTP: {error!r:.200}") from None
    finally:
        end.cancel()
        connection.close()

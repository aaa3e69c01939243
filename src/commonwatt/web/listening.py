"""The address that a node listens on, taken before anything else is begun."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from commonwatt.errors import InputError


class CannotListen(InputError):
    """The address that the API should listen on is taken, or not ours."""


@contextmanager
def bound(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Have an address while inside, before anything answers there.

    Whoever cannot have it must know before a community is founded or taken from another process.

    Args:
        host: an address or a name of this machine; all that a name stands for are taken.
        port: the same at each.

    Raises:
        CannotListen: naming the address.
    """
    with ExitStack() as stack:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            # Named as TCP: asyncio sends at once, without delay, only on what is called so.
            taken = [
                stack.enter_context(socket.socket(family, kind, socket.IPPROTO_TCP))
                for family, kind, *_ in found
            ]
            for own, (family, *_, address) in zip(taken, found, strict=True):
                own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                own.bind(address)
        except OSError as error:
            raise cannot(host, port, error) from None
        yield taken


def cannot(host: str, port: int, error: OSError) -> CannotListen:
    """What keeps us from an address, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return CannotListen(
            f"{host}:{port}: another program listens there; stop it, or name another address with "
            "listen in node.toml"
        )
    return CannotListen(
        f"{host}:{port}: cannot be listened on ({error.strerror}); name an address of this machine "
        "and a port above 1023 with listen in node.toml"
    )

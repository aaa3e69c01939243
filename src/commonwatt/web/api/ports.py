"""What the API needs of a node, and under which key a community's rows are kept."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Protocol

from commonwatt.node.service.hosted import Hosted
from commonwatt.node.store import Store

KEY_BYTES = 20


class Service(Protocol):
    """A node with its communities; `node.service.service.Service` is one."""

    @property
    def communities(self) -> Mapping[str, Hosted]:
        """Those this node works for, by name; changes when another node takes one over."""

    @property
    def store(self) -> Store:
        """The node's database."""


def row_key(name: str) -> bytes:
    """The key of a community's rows, as the service has it; a test compares the two."""
    return sha256(b"community/" + name.encode()).digest()[:KEY_BYTES]

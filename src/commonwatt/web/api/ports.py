"""What the API needs of a node."""

from collections.abc import Mapping
from typing import Protocol

from commonwatt.node.service.hosted import Hosted
from commonwatt.node.store import Store


class Service(Protocol):
    """A node with its communities; `node.service.service.Service` is one."""

    @property
    def communities(self) -> Mapping[str, Hosted]:
        """Those this node works for, by name; changes when another node takes one over."""

    @property
    def store(self) -> Store:
        """The node's database."""

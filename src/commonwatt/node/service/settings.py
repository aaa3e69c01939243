"""The node's file, `node.toml`: where it listens, what it keeps its memory in, on which chain."""

from pathlib import Path
from typing import Literal

import msgspec

from commonwatt.errors import InputError
from commonwatt.node.toml_file import read_toml

NODE_FILE = "node.toml"
NODE_FILE_BYTES_MAX = 1024 * 1024


class NodeFileUnusable(InputError):
    """A node's file that cannot be read, or says something that no node understands."""


class ChainSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which chain, and whose key signs."""

    url: str | None = None
    """JSON-RPC URL; the embedded chain unless given."""
    key: str = "operator.key"
    """File with the operator's private key, beside `node.toml`."""
    confirmations: int = 1
    """Blocks, its own included, that must hold a close before it counts."""


class NodeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    name: str = "node"
    """Of this node, among those that share a database."""
    listen: str = "127.0.0.1:8080"
    database: str | None = None
    """SQLAlchemy URL; a SQLite file beside `node.toml` unless given."""
    data: str = "."
    """Directory of the communities' files and of what is published, seen from that of `node.toml`.
    Nodes that share a database may share it or have their own."""
    communities: tuple[str, ...] = ("community.toml",)
    """Their files in `data`."""
    chain: ChainSettings = ChainSettings()
    mqtt: str | None = None
    """URL of the broker, as mqtt://host:1883; no MQTT unless given."""
    clock: Literal["system", "records"] = "system"
    """`records`: a test bed, where an interval ends as soon as all meters have spoken."""


def read_node_file(folder: Path) -> NodeSettings:
    """The node's settings out of its folder.

    Raises:
        NodeFileUnusable: naming the file and what to do.
    """
    return read_toml(
        folder / NODE_FILE,
        NodeSettings,
        NodeFileUnusable,
        most_bytes=NODE_FILE_BYTES_MAX,
        advice=f"commonwatt init {folder} writes one, docs/service.md explains it",
    )


def address_in(listen: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; raises `NodeFileUnusable`."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) < 2**16:
        raise NodeFileUnusable(f"listen {listen!r:.80}: write HOST:PORT, as 127.0.0.1:8080")
    return host.strip("[]"), int(port)

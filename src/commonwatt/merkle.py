"""Merkle trees as RFC 9162 (section 2.1) defines them, over SHA-256.

A leaf is `SHA-256(0x00 || leaf)`, a node `SHA-256(0x01 || left || right)`; a list that is not a
power of two long splits at the largest power of two below its length. The empty tree's root is
SHA-256 of nothing.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

T = TypeVar("T", bytes, str)

DIGEST_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """The 32-byte hash of one leaf."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The 32-byte hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree over a list of leaves: its root, and the path of any leaf.

    >>> tree = Tree([b"a", b"b", b"c"])
    >>> verify(b"b", 1, 3, tree.path(1), tree.root)
    True
    """

    __slots__ = ("_levels", "_texts", "size")

    def __init__(self, leaves: Sequence[bytes]) -> None:
        """Hash all levels once: 2n hashes for n leaves."""
        self.size = len(leaves)
        self._texts: list[list[str]] = []
        level = [leaf_hash(leaf) for leaf in leaves]
        self._levels = [level]
        # Pairing from the left and carrying an odd last node up gives the same tree as the
        # RFC's recursive split, because the split is at a power of two.
        while len(level) > 1:
            odd = level[-1:] if len(level) % 2 else []
            level = [
                sha256(b"\x01" + level[i] + level[i + 1]).digest()
                for i in range(0, len(level) - 1, 2)
            ] + odd
            self._levels.append(level)

    @property
    def root(self) -> bytes:
        """The 32-byte root."""
        return self._levels[-1][0] if self.size else EMPTY_ROOT

    def path(self, index: int) -> list[bytes]:
        """The siblings from leaf `index` up to the root (RFC 9162, 2.1.3.1)."""
        return self._siblings(self._levels, index)

    def path_text(self, index: int) -> list[str]:
        """The same as hex digits, each written once however many paths it is in."""
        if not self._texts:
            self._texts = [[node.hex() for node in level] for level in self._levels]
        return self._siblings(self._texts, index)

    def _siblings(self, levels: Sequence[Sequence[T]], index: int) -> list[T]:
        if not 0 <= index < self.size:
            raise IndexError(f"leaf {index} of a tree with {self.size}")
        siblings = []
        for level in levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                siblings.append(level[sibling])
            index >>= 1
        return siblings


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over a list of leaves."""
    return Tree(leaves).root


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The siblings of leaf `index`."""
    return Tree(leaves).path(index)


def root_from_path(leaf: bytes, index: int, size: int, siblings: Sequence[bytes]) -> bytes | None:
    """The root that a leaf and its path lead to, or None if the path has a wrong length.

    The algorithm is RFC 9162, 2.1.3.2.
    """
    if not 0 <= index < size:
        return None
    first, last, result = index, size - 1, leaf_hash(leaf)
    for sibling in siblings:
        if last == 0:
            return None
        if first & 1 or first == last:
            result = node_hash(sibling, result)
            while not first & 1 and first:
                first >>= 1
                last >>= 1
        else:
            result = node_hash(result, sibling)
        first >>= 1
        last >>= 1
    return result if last == 0 else None


def verify(
    leaf: bytes, index: int, size: int, siblings: Sequence[bytes], expected_root: bytes
) -> bool:
    """Whether `leaf` is the one at `index` of the `size` leaves under `expected_root`."""
    return root_from_path(leaf, index, size, siblings) == expected_root

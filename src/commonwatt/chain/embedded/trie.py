"""Merkle Patricia tries that recompute only what changed.

The specification rebuilds every trie to find a state root: seconds, once a chain holds some
ten thousand storage slots. Here each node remembers its hash until something below it changes,
so a root costs in proportion to what a block touched, and every header can carry one. A test
compares the roots with the specification's.

Keys are hashed, hence all of 64 nibbles: no key is the beginning of another, and no branch holds
a value. Paths are strings of hexadecimal digits, one a nibble.
"""

from commonwatt.chain.encoding import keccak, rlp, rlp_list

EMPTY_ROOT = keccak(b"\x80")
_EMBEDDED_MAX = 31
"""A node of up to 31 bytes stands in its parent itself, a larger one by its hash."""


class _Leaf:
    """The end of one path: the rest of the key and the value."""

    __slots__ = ("path", "reference", "value")

    def __init__(self, path: str, value: bytes) -> None:
        self.path, self.value, self.reference = path, value, b""


class _Extension:
    """A piece of path that all keys below share."""

    __slots__ = ("child", "path", "reference")

    def __init__(self, path: str, child: "_Branch") -> None:
        self.path, self.child, self.reference = path, child, b""


class _Branch:
    """A fork: one child per next nibble."""

    __slots__ = ("children", "reference")

    def __init__(self) -> None:
        self.children: list[_Node | None] = [None] * 16
        self.reference = b""


_Node = _Leaf | _Extension | _Branch


class Trie:
    """One trie: 32-byte hashed keys to values in RLP."""

    __slots__ = ("_top",)

    def __init__(self) -> None:
        """Start empty."""
        self._top: _Node | None = None

    def put(self, key: bytes, value: bytes | None) -> None:
        """Set or, with None, remove what is under a key (already hashed)."""
        if value is None:
            self._top = _without(self._top, key.hex())
        else:
            self._top = _with(self._top, key.hex(), value)

    def root(self) -> bytes:
        """The hash over everything, 32 bytes."""
        if self._top is None:
            return EMPTY_ROOT
        reference = _reference(self._top)
        return reference[1:] if len(reference) > _EMBEDDED_MAX else keccak(reference)


def _with(node: _Node | None, path: str, value: bytes) -> _Node:
    if node is None:
        return _Leaf(path, value)
    node.reference = b""
    if isinstance(node, _Branch):
        nibble = int(path[0], 16)
        node.children[nibble] = _with(node.children[nibble], path[1:], value)
        return node
    shared = _shared(node.path, path)
    if shared == len(node.path):
        if isinstance(node, _Leaf):
            node.value = value
        else:
            _with(node.child, path[shared:], value)
        return node
    fork = _Branch()
    nibble = int(node.path[shared], 16)
    fork.children[nibble] = _shortened(node, shared + 1)
    fork.children[int(path[shared], 16)] = _Leaf(path[shared + 1 :], value)
    return _Extension(path[:shared], fork) if shared else fork


def _without(node: _Node | None, path: str) -> _Node | None:
    if node is None:
        return None
    if isinstance(node, _Leaf):
        return None if node.path == path else node
    if isinstance(node, _Extension):
        if not path.startswith(node.path):
            return node
        return _joined(node.path, _without(node.child, path[len(node.path) :]))
    nibble = int(path[0], 16)
    node.reference = b""
    node.children[nibble] = _without(node.children[nibble], path[1:])
    left = [index for index, child in enumerate(node.children) if child is not None]
    if len(left) > 1:
        return node
    return _joined(f"{left[0]:x}", node.children[left[0]])


def _joined(path: str, node: _Node | None) -> _Node | None:
    """Put a piece of path in front of a node."""
    if node is None:
        return None
    if isinstance(node, _Branch):
        return _Extension(path, node)
    node.path = path + node.path
    node.reference = b""
    return node


def _shortened(node: _Leaf | _Extension, nibbles: int) -> _Node:
    """Take a piece off the front of a node's path."""
    rest = node.path[nibbles:]
    if isinstance(node, _Extension) and not rest:
        return node.child
    node.path = rest
    return node


def _shared(one: str, other: str) -> int:
    """How many nibbles two paths begin with alike."""
    for index, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return index
    return min(len(one), len(other))


def _reference(node: _Node | None) -> bytes:
    """What stands for a node in its parent."""
    if node is None:
        return b"\x80"
    if node.reference:
        return node.reference
    if isinstance(node, _Branch):
        encoded = rlp_list(b"".join(map(_reference, node.children)) + b"\x80")
    elif isinstance(node, _Leaf):
        encoded = rlp_list(rlp(_compact(node.path, 2)) + rlp(node.value))
    else:
        encoded = rlp_list(rlp(_compact(node.path, 0)) + _reference(node.child))
    node.reference = encoded if len(encoded) <= _EMBEDDED_MAX else b"\xa0" + keccak(encoded)
    return node.reference


def _compact(path: str, flag: int) -> bytes:
    """A path as bytes, behind a nibble: 2 for a leaf, else 0, plus 1 if the length is odd."""
    return bytes.fromhex(f"{flag + 1}{path}" if len(path) % 2 else f"{flag}0{path}")


def single_root(value: bytes) -> bytes:
    """The root of a trie over a list of one item: the only transaction or receipt of a block."""
    # The key is the index 0 in RLP (0x80), unhashed: a leaf with the two nibbles 8 and 0.
    return keccak(rlp_list(rlp(b"\x20\x80") + rlp(value)))

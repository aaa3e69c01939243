"""RFC 9162 paths: the contract's own function against the floor's, leaf by leaf."""

import re
from collections.abc import Callable
from hashlib import sha256

import pytest
from eth_abi.abi import encode

from commonwatt.chain.build import SOURCES
from commonwatt.chain.encoding import keccak
from commonwatt.chain.errors import CallReverted
from commonwatt.merkle import Tree, leaf_hash
from contracts.ground import Ground
from contracts.helpers import deploy_source

SIZES = [*range(1, 18), 33, 64, 100, 1000]
Root = Callable[[bytes, int, int, list[bytes]], bytes]


@pytest.fixture(scope="module")
def root(ground: Ground) -> Root:
    """`_root` as it stands in Certificate.vy, with a door to it."""
    text = (SOURCES / "Certificate.vy").read_text()
    found = re.search(r"@internal\n@pure\ndef _root\(.*?\n\n\n", text, re.DOTALL)
    assert found
    source = (
        "# pragma version 0.4.3\n"
        "PATH_MAX: constant(uint256) = 20\n\n"
        "@external\n@pure\n"
        "def root(leaf: bytes32, index: uint256, size: uint256, path: DynArray[bytes32, 20]) "
        "-> bytes32:\n    return self._root(leaf, index, size, path)\n\n" + found.group()
    )
    connection = ground.ledger.connection
    at = "0x" + deploy_source(connection, ground.stranger, source).hex()
    selector = keccak(b"root(bytes32,uint256,uint256,bytes32[])")[:4]

    def ask(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
        types = ["bytes32", "uint256", "uint256", "bytes32[]"]
        return connection.call(at, selector + encode(types, [leaf, index, size, path]))

    return ask


@pytest.mark.parametrize("size", SIZES)
def test_every_path_leads_to_the_root_and_no_other_place_does(root: Root, size: int) -> None:
    leaves = [sha256(b"%d" % index).digest() for index in range(size)]
    tree = Tree(leaves)
    step = max(1, size // 12)
    for index in {*range(0, size, step), size - 1}:
        path, leaf = tree.path(index), leaf_hash(leaves[index])
        assert root(leaf, index, size, path) == tree.root
        assert _root_or_nothing(root, leaf, (index + 1) % size, size, path) != tree.root or (
            size == 1
        )
        assert _root_or_nothing(root, leaf, index, size, [*path, bytes(32)]) is None
        if path:
            assert _root_or_nothing(root, leaf, index, size, path[:-1]) is None


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (5, 5), (2**32, 2**32)])
def test_a_place_outside_the_tree_is_refused(root: Root, index: int, size: int) -> None:
    with pytest.raises(CallReverted, match="no such leaf"):
        root(bytes(32), index, size, [])


def test_the_largest_tree_has_a_million_leaves(root: Root) -> None:
    size = 2**20
    path = [sha256(b"%d" % level).digest() for level in range(20)]
    for index in (0, 1, size // 3, size - 1):
        node = bytes(32)
        for level, sibling in enumerate(path):
            pair = sibling + node if index >> level & 1 else node + sibling
            node = sha256(b"\x01" + pair).digest()
        assert root(bytes(32), index, size, path) == node


def _root_or_nothing(
    root: Root, leaf: bytes, index: int, size: int, path: list[bytes]
) -> bytes | None:
    try:
        return root(leaf, index, size, path)
    except CallReverted:
        return None

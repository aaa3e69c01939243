"""Trees as RFC 9162 defines them, against published roots and against its own words."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.merkle import (
    EMPTY_ROOT,
    Tree,
    leaf_hash,
    node_hash,
    path,
    root,
    root_from_path,
    verify,
)

# The leaves and roots of Certificate Transparency's reference implementation.
REFERENCE_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
REFERENCE_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# Paths of (leaf, size) from the same source.
REFERENCE_PATHS = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
SIZES = range(1, 71)


def leaves(size: int) -> list[bytes]:
    return [b"leaf %d" % number for number in range(size)]


def root_by_the_rfc(leaves: list[bytes]) -> bytes:
    """MTH as section 2.1.1 writes it: split at the largest power of two below the length."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = root_by_the_rfc(leaves[:split]), root_by_the_rfc(leaves[split:])
    return sha256(b"\x01" + left + right).digest()


def path_by_the_rfc(leaves: list[bytes], index: int) -> list[bytes]:
    """PATH as section 2.1.3.1 writes it."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*path_by_the_rfc(leaves[:split], index), root_by_the_rfc(leaves[split:])]
    return [*path_by_the_rfc(leaves[split:], index - split), root_by_the_rfc(leaves[:split])]


@pytest.mark.parametrize("size", range(len(REFERENCE_LEAVES) + 1))
def test_published_roots_are_ours(size: int) -> None:
    assert root(REFERENCE_LEAVES[:size]).hex() == REFERENCE_ROOTS[size]


@pytest.mark.parametrize(("index", "size"), REFERENCE_PATHS)
def test_published_paths_are_ours(index: int, size: int) -> None:
    found = [sibling.hex() for sibling in path(REFERENCE_LEAVES[:size], index)]
    assert found == REFERENCE_PATHS[index, size]


@pytest.mark.parametrize("size", SIZES)
def test_every_leaf_of_a_tree_leads_to_its_root(size: int) -> None:
    tree = Tree(leaves(size))
    assert tree.root == root_by_the_rfc(leaves(size))
    for index, leaf in enumerate(leaves(size)):
        siblings = tree.path(index)
        assert siblings == path_by_the_rfc(leaves(size), index)
        assert verify(leaf, index, size, siblings, tree.root)


@pytest.mark.parametrize("size", SIZES)
def test_no_leaf_stands_at_another_place_or_in_another_tree(size: int) -> None:
    tree = Tree(leaves(size))
    for index, leaf in enumerate(leaves(size)):
        siblings = tree.path(index)
        wrong_places = {0, index - 1, index + 1, index ^ 1, size - 1, size, -1} - {index}
        for place in wrong_places:
            assert not verify(leaf, place, size, siblings, tree.root)
        assert not verify(b"another leaf", index, size, siblings, tree.root)
        assert not verify(leaf, index, size, [*siblings, bytes(32)], tree.root)
        assert not verify(leaf, index, size, siblings, EMPTY_ROOT)
        if siblings:
            assert not verify(leaf, index, size, siblings[:-1], tree.root)
            assert not verify(leaf, index, size, siblings[1:], tree.root)
            flipped = bytes([siblings[0][0] ^ 1]) + siblings[0][1:]
            assert not verify(leaf, index, size, [flipped, *siblings[1:]], tree.root)


@given(st.integers(1, 70), st.integers(1, 70), st.data())
def test_a_path_never_fits_a_size_that_needs_another_length(size, other, data) -> None:
    index = data.draw(st.integers(0, size - 1))
    siblings = path(leaves(size), index)
    if len(siblings) != (len(path(leaves(other), index)) if index < other else -1):
        assert root_from_path(leaves(size)[index], index, other, siblings) is None


def test_a_node_cannot_be_passed_off_as_a_leaf() -> None:
    tree = Tree(leaves(8))
    inner = tree.path(0)[0], tree.path(1)[0]
    node = inner[1] + inner[0]
    assert node_hash(inner[1], inner[0]) == tree.path(2)[1]
    assert not verify(node, 0, 4, tree.path(0)[1:], tree.root)
    assert leaf_hash(node) != node_hash(inner[1], inner[0])
    assert not verify(b"\x01" + node, 0, 4, tree.path(0)[1:], tree.root)


def test_two_lists_that_only_join_differently_have_different_roots() -> None:
    assert root([b"ab", b"c"]) != root([b"a", b"bc"])
    assert root([b"a"]) != root([b"a", b"a"])
    assert root([]) != root([b""])


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=40))
def test_any_change_of_any_leaf_changes_the_root(content: list[bytes]) -> None:
    before = root(content)
    for index in range(len(content)):
        changed = [*content]
        changed[index] += b"!"
        assert root(changed) != before


def test_the_empty_tree_has_a_root_and_no_leaves() -> None:
    assert root([]) == EMPTY_ROOT == sha256(b"").digest()
    assert root_from_path(b"", 0, 0, []) is None
    for index in (0, -1, 3):
        with pytest.raises(IndexError):
            Tree([]).path(index)


@pytest.mark.parametrize("index", [-1, 3, 4])
def test_a_leaf_that_is_not_there_has_no_path(index: int) -> None:
    with pytest.raises(IndexError, match="of a tree with 3"):
        path(leaves(3), index)


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=40), st.data())
def test_a_path_as_text_is_the_path_in_hex_digits(leaves: list[bytes], data: st.DataObject) -> None:
    tree = Tree(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    assert tree.path_text(index) == [node.hex() for node in tree.path(index)]
    with pytest.raises(IndexError):
        tree.path_text(len(leaves))

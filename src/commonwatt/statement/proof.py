"""A proof: some leaves of one statement, their paths, and the header that leads to the anchor.

Checking one needs SHA-256 and nothing else: no node, no chain client. What remains to be done by
whoever checks is to compare the anchor with the one on the chain.
"""

import struct
from hashlib import sha256

import msgspec

from commonwatt.errors import InputError
from commonwatt.merkle import root_from_path
from commonwatt.statement.header import Header, HeaderUnreadable, SectionRoot, anchor_of
from commonwatt.statement.leaves import PositionLeaf, Section

PROOF_FORMAT = "commonwatt-proof-1"


class ProofUnreadable(InputError):
    """Text that is not a proof."""


class ProvenLeaf(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One leaf and its path; bytes as lower-case hex digits."""

    section: str
    index: int
    leaf: str
    path: tuple[str, ...]
    record: str = ""
    """In the records section: the record itself, which the leaf only names by its digest."""


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one person gets to see of one statement."""

    start: int
    header: str
    anchor: str
    leaves: tuple[ProvenLeaf, ...]
    format: str = PROOF_FORMAT


_decoder = msgspec.json.Decoder(Proof)
_SECTIONS = {section.label: section for section in Section}


def read_proof(text: bytes) -> Proof:
    """Decode one proof; raises `ProofUnreadable` with what is wrong."""
    try:
        proof = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProofUnreadable(f"not a proof: {error}") from None
    if proof.format != PROOF_FORMAT:
        raise ProofUnreadable(f"a proof of format {proof.format!r}; this program reads 1")
    return proof


def section_root(header: Header, section: Section) -> SectionRoot:
    """The size and root that the header names for a section."""
    root: SectionRoot = getattr(header, section.label)
    return root


def first_flaw(proof: Proof) -> str | None:
    """The first thing in the proof that does not lead to its anchor, or None if all does.

    Raises:
        ProofUnreadable: where the proof cannot even be followed.
    """
    header_bytes = _hex(proof.header, "header")
    try:
        header = Header.decode(header_bytes)
    except HeaderUnreadable as error:
        raise ProofUnreadable(str(error)) from None
    if anchor_of(header_bytes).hex() != proof.anchor:
        return "the header does not lead to the anchor"
    if header.start != proof.start:
        return "the header is of another interval"
    if not proof.leaves:
        raise ProofUnreadable("the proof has no leaves, so it proves nothing")
    for entry in proof.leaves:
        flaw = _leaf_flaw(entry, header)
        if flaw:
            return f"{entry.section}, leaf {entry.index}: {flaw}"
    return None


def _leaf_flaw(entry: ProvenLeaf, header: Header) -> str | None:
    try:
        section = _SECTIONS[entry.section]
    except KeyError:
        raise ProofUnreadable(f"no section {entry.section!r} in a statement") from None
    leaf = _hex(entry.leaf, "leaf")
    siblings = [_hex(sibling, "path") for sibling in entry.path]
    expected = section_root(header, section)
    if root_from_path(leaf, entry.index, expected.size, siblings) != expected.root:
        return "the path does not lead to the section's root"
    if entry.record and sha256(_hex(entry.record, "record")).digest() != leaf[:32]:
        return "the record is not the one in the leaf"
    if section is Section.POSITIONS:
        try:
            member = PositionLeaf.decode(leaf).position.member
        except struct.error:
            return "the leaf is not a position"
        if member != entry.index:
            return "the position is another member's"
    return None


def _hex(text: str, what: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    # One way to write a proof: no blanks and no capitals, which `fromhex` would take.
    if value.hex() != text:
        raise ProofUnreadable(f"the {what} is not written in lower-case hex digits")
    return value

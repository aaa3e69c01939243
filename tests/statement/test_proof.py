"""A proof: what one person can check with a hash and nothing else."""

from dataclasses import replace
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.merkle import root
from commonwatt.statement.close import Statement
from commonwatt.statement.header import SectionRoot
from commonwatt.statement.leaves import PositionLeaf, Section
from commonwatt.statement.proof import (
    Proof,
    ProofUnreadable,
    ProvenLeaf,
    first_flaw,
    read_proof,
)
from effort import SOAKING, effort
from street import Street

PRODUCER, NEIGHBOUR = 0, 2


def closed_street() -> tuple[Street, Statement]:
    street = Street(members=5, producers=2)
    batch = street.measure([0, 10, 300, 500, 0], [1_000, 200, 0, 0, 50], made=[900, 200])
    return street, street.close(batch)


STREET, STATEMENT = closed_street()
HEADER = STATEMENT.header


def proof_of(*entries: ProvenLeaf, **changes: object) -> Proof:
    proof = Proof(HEADER.start, HEADER.encode().hex(), HEADER.anchor.hex(), entries)
    return msgspec.structs.replace(proof, **changes)


def entry_of(section: Section, index: int) -> ProvenLeaf:
    leaf = STATEMENT.sections[section][index].hex()
    siblings = STATEMENT.trees[section].path(index)
    return ProvenLeaf(section.label, index, leaf, tuple(sibling.hex() for sibling in siblings))


ENTRIES = [
    entry_of(section, index)
    for section in Section
    for index in range(len(STATEMENT.sections[section]))
]
MEMBERS_LINE = STREET.files["members/002/2016-06-21.jsonl"].splitlines()[0]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.section} {entry.index}")
def test_every_leaf_of_a_statement_leads_to_its_anchor(entry: ProvenLeaf) -> None:
    assert first_flaw(proof_of(entry)) is None


def test_all_leaves_together_lead_to_the_anchor() -> None:
    assert len(ENTRIES) == sum(len(leaves) for leaves in STATEMENT.sections)
    assert first_flaw(proof_of(*ENTRIES)) is None


@pytest.mark.parametrize("member", range(5))
def test_what_is_published_to_a_member_is_a_proof(member: int) -> None:
    (line,) = STREET.files[f"members/{member:03d}/2016-06-21.jsonl"].splitlines()
    proof = read_proof(line)
    assert first_flaw(proof) is None
    assert proof.anchor == HEADER.anchor.hex()
    assert msgspec.json.encode(proof) == line


@given(st.data())
@effort(2)
def test_no_byte_of_any_leaf_can_be_changed(data: st.DataObject) -> None:
    entry = data.draw(st.sampled_from(ENTRIES))
    leaf = bytearray.fromhex(entry.leaf)
    leaf[data.draw(st.integers(0, len(leaf) - 1))] ^= data.draw(st.integers(1, 255))
    changed = msgspec.structs.replace(entry, leaf=leaf.hex())
    flaw = first_flaw(proof_of(changed))
    assert flaw is not None
    assert flaw.startswith(f"{entry.section}, leaf {entry.index}: ")


@given(st.data())
def test_no_byte_of_any_path_can_be_changed(data: st.DataObject) -> None:
    entry = data.draw(st.sampled_from([entry for entry in ENTRIES if entry.path]))
    path = [bytearray.fromhex(sibling) for sibling in entry.path]
    sibling = data.draw(st.sampled_from(path))
    sibling[data.draw(st.integers(0, 31))] ^= data.draw(st.integers(1, 255))
    changed = msgspec.structs.replace(entry, path=tuple(sibling.hex() for sibling in path))
    assert first_flaw(proof_of(changed)) is not None


@given(st.integers(0, 487), st.integers(1, 255))
def test_no_byte_of_the_header_can_be_changed(place: int, change: int) -> None:
    header = bytearray(HEADER.encode())
    header[place] ^= change
    forged = proof_of(ENTRIES[0], header=header.hex())
    if place:
        assert first_flaw(forged) == "the header does not lead to the anchor"
    else:
        with pytest.raises(ProofUnreadable, match="header of version"):
            first_flaw(forged)


def holds(text: bytes) -> bool:
    try:
        return first_flaw(read_proof(text)) is None
    except ProofUnreadable:
        return False


def test_no_byte_of_a_published_proof_can_be_changed() -> None:
    assert holds(MEMBERS_LINE)
    chance = Random(20_160_621)
    for place in range(0, len(MEMBERS_LINE), 1 if SOAKING else 2):
        changed = bytearray(MEMBERS_LINE)
        changed[place] ^= 1 << chance.randrange(8)
        assert not holds(bytes(changed)), (place, bytes(changed[max(place - 20, 0) : place + 20]))


def test_a_capital_letter_is_a_change_too() -> None:
    """A flipped bit turns a hex digit into the same digit in capitals."""
    entry = ENTRIES[0]
    for changed in (
        msgspec.structs.replace(entry, leaf=entry.leaf.upper()),
        msgspec.structs.replace(entry, path=tuple(sibling.upper() for sibling in entry.path)),
        msgspec.structs.replace(entry, leaf=" " + entry.leaf),
    ):
        with pytest.raises(ProofUnreadable, match="lower-case hex digits"):
            first_flaw(proof_of(changed))
    with pytest.raises(ProofUnreadable, match="the header is not written"):
        first_flaw(proof_of(entry, header=HEADER.encode().hex().upper()))
    assert first_flaw(proof_of(entry, anchor=HEADER.anchor.hex().upper())) is not None


def test_a_leaf_of_another_section_or_place_does_not_hold() -> None:
    for entry in ENTRIES:
        for section in Section:
            if section.label != entry.section:
                moved = msgspec.structs.replace(entry, section=section.label)
                assert first_flaw(proof_of(moved)) is not None
        for index in (entry.index + 1, entry.index - 1, -1, 2**70):
            moved = msgspec.structs.replace(entry, index=index)
            assert first_flaw(proof_of(moved)) is not None


@pytest.mark.parametrize("section", ["", "Records", "RECORDS", "record", "sums", "position\u0455"])
def test_a_section_that_no_statement_has_is_unreadable(section: str) -> None:
    strange = msgspec.structs.replace(ENTRIES[0], section=section)
    with pytest.raises(ProofUnreadable, match="no section"):
        first_flaw(proof_of(strange))


def test_a_neighbours_position_cannot_be_shown_as_ones_own() -> None:
    proof = proof_of(entry_of(Section.POSITIONS, PRODUCER))
    assert first_flaw(proof) is None
    relabelled = msgspec.structs.replace(entry_of(Section.POSITIONS, PRODUCER), index=NEIGHBOUR)
    assert first_flaw(proof_of(relabelled)) == (
        "positions, leaf 2: the path does not lead to the section's root"
    )


def section_of(leaf: bytes, section: Section) -> Proof:
    """A statement whose section is this one leaf: what a forging operator could anchor."""
    header = replace(HEADER, **{section.label: SectionRoot(1, root([leaf]))})
    entry = ProvenLeaf(section.label, 0, leaf.hex(), ())
    return Proof(header.start, header.encode().hex(), header.anchor.hex(), (entry,))


def test_a_position_that_stands_at_anothers_place_is_told_so() -> None:
    misplaced = STATEMENT.sections[Section.POSITIONS][NEIGHBOUR]
    assert PositionLeaf.decode(misplaced).position.member == NEIGHBOUR
    assert first_flaw(section_of(misplaced, Section.POSITIONS)) == (
        "positions, leaf 0: the position is another member's"
    )


@pytest.mark.parametrize("leaf", [b"", b"\0" * 174, b"\0" * 31, b"\0" * 500])
def test_a_position_leaf_that_is_none_is_told_so(leaf: bytes) -> None:
    flaw = first_flaw(section_of(leaf, Section.POSITIONS))
    assert flaw == "positions, leaf 0: the leaf is not a position"


def test_the_record_shown_is_the_one_that_was_counted() -> None:
    own = read_proof(MEMBERS_LINE)
    (entry,) = (leaf for leaf in own.leaves if leaf.section == "records")
    assert entry.record
    other = bytearray.fromhex(entry.record)
    other[-33] ^= 1
    forged = msgspec.structs.replace(entry, record=other.hex())
    assert first_flaw(proof_of(entry)) is None
    assert first_flaw(proof_of(forged)) is not None
    assert "the record is not the one in the leaf" in str(first_flaw(proof_of(forged)))


def test_a_proof_of_another_interval_is_told_so() -> None:
    assert first_flaw(proof_of(ENTRIES[0], start=HEADER.start + 900)) == (
        "the header is of another interval"
    )


@pytest.mark.parametrize(
    ("proof", "why"),
    [
        (proof_of(), "no leaves"),
        (proof_of(ENTRIES[0], header="zz"), "lower-case hex digits"),
        (proof_of(ENTRIES[0], header=""), "488 bytes, this one 0"),
        (proof_of(ENTRIES[0], header="01" * 487), "488 bytes, this one 487"),
        (proof_of(ProvenLeaf("records", 0, "zz", ())), "the leaf is not written"),
        (proof_of(ProvenLeaf("records", 0, "00", ("é",))), "the path is not written"),
    ],
)
def test_a_proof_that_cannot_be_followed_says_why(proof: Proof, why: str) -> None:
    with pytest.raises(ProofUnreadable, match=why):
        first_flaw(proof)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        MEMBERS_LINE[:-1],
        MEMBERS_LINE + b"x",
        MEMBERS_LINE.replace(b"proof-1", b"proof-2"),
        MEMBERS_LINE.replace(b'"format"', b'"fromat"'),
        MEMBERS_LINE.replace(b'"record"', b'"recore"'),
        MEMBERS_LINE.replace(b'"start":', b'"start":1', 1).replace(b"1466", b"1e66"),
        MEMBERS_LINE.replace(b'"leaves":[', b'"leaves":[[],'),
    ],
)
def test_text_that_is_no_proof_is_refused_in_one_line(text: bytes) -> None:
    with pytest.raises(ProofUnreadable) as refusal:
        read_proof(text)
    assert "\n" not in str(refusal.value)


@given(st.binary(min_size=1, max_size=300))
def test_random_text_never_raises_anything_else(text: bytes) -> None:
    assert not holds(text)
    spliced = MEMBERS_LINE[: len(text)] + text + MEMBERS_LINE[len(text) * 2 :]
    assert holds(spliced) == (spliced == MEMBERS_LINE)

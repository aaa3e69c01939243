"""Whatever is changed in the published files afterwards is found, and its place is named."""

import json
from collections.abc import Callable
from random import Random

import pytest

from commonwatt.audit.recompute import Audit
from commonwatt.meter.keys import other_form
from commonwatt.statement.publication import CONSTITUTION_PATH, MARKET_PATH, REGISTER_PATH
from effort import SOAKING
from lived import DAYS, judged, lived_in

STREET = lived_in()
FACTS = STREET.facts()
FILES = STREET.files
EVENING, NEXT_DAY = DAYS
FLIPS = 4_000 if SOAKING else 200


def found_in(path: str, content: bytes | None) -> Audit:
    """The audit with one file changed, or taken away."""
    files = dict(FILES)
    if content is None:
        del files[path]
    else:
        assert content != files.get(path)
        files[path] = content
    found = judged(files, FACTS)
    assert found.difference is not None, path
    assert found.place, path
    assert found.difference.startswith(found.place)
    assert "\n" not in found.difference
    return found


def any_byte(chance: Random) -> tuple[str, int]:
    """Each byte of all files is as likely as any other."""
    place = chance.randrange(sum(map(len, FILES.values())))
    for path, content in sorted(FILES.items()):
        if place < len(content):
            return path, place
        place -= len(content)
    raise AssertionError


def test_any_flipped_bit_anywhere_is_found() -> None:
    chance = Random(907_692)
    for _ in range(FLIPS):
        path, place = any_byte(chance)
        content = bytearray(FILES[path])
        content[place] ^= 1 << chance.randrange(8)
        found_in(path, bytes(content))


@pytest.mark.parametrize("path", sorted(FILES))
def test_a_flip_in_every_file_is_found(path: str) -> None:
    """Small files too, which a random byte seldom hits; first and last byte included."""
    chance = Random(path)
    size = len(FILES[path])
    for place in (0, 1, size // 2, size - 2, size - 1, *(chance.randrange(size) for _ in range(5))):
        content = bytearray(FILES[path])
        content[place] ^= 1 << chance.randrange(8)
        found_in(path, bytes(content))


NEEDED_FIRST = {CONSTITUTION_PATH, REGISTER_PATH, MARKET_PATH}


@pytest.mark.parametrize("path", sorted(set(FILES) - NEEDED_FIRST))
def test_a_missing_file_is_found_by_its_name(path: str) -> None:
    assert found_in(path, None).place == path


@pytest.mark.parametrize(
    "path",
    [
        "public/2016-06-23.jsonl",
        "public/notes.txt",
        "members/003/2016-06-21.jsonl",
        "members/000/2016-06-23.jsonl",
        "audit/register.jsonl.bak",
        "audit/2016-06-20.leaves.jsonl",
    ],
)
def test_a_file_too_many_is_found_by_its_name(path: str) -> None:
    assert found_in(path, b"").place == path


@pytest.mark.parametrize("path", sorted(FILES))
def test_an_empty_a_cut_and_a_longer_file_are_found(path: str) -> None:
    content = FILES[path]
    found_in(path, b"")
    found_in(path, content[:-1])
    found_in(path, content[: len(content) // 2])
    found_in(path, content + b"\n")
    found_in(path, content + content.splitlines(keepends=True)[-1])


LINES = [
    (path, number)
    for path, content in sorted(FILES.items())
    for number in range(len(content.splitlines()))
    if path.endswith(".jsonl")
]


def test_a_removed_line_is_found_wherever_it_was() -> None:
    for path, number in LINES:
        lines = FILES[path].splitlines(keepends=True)
        del lines[number]
        found_in(path, b"".join(lines))


def test_a_doubled_line_is_found_wherever_it_is() -> None:
    for path, number in LINES:
        lines = FILES[path].splitlines(keepends=True)
        lines.insert(number, lines[number])
        found_in(path, b"".join(lines))


def test_two_lines_that_changed_places_are_found() -> None:
    for path, number in LINES:
        lines = FILES[path].splitlines(keepends=True)
        if number + 1 < len(lines):
            lines[number], lines[number + 1] = lines[number + 1], lines[number]
            found_in(path, b"".join(lines))


@pytest.mark.parametrize("path", [f"audit/{EVENING}.leaves.jsonl", f"audit/{EVENING}.inputs.jsonl"])
def test_lines_in_reverse_or_sorted_are_found(path: str) -> None:
    lines = FILES[path].splitlines(keepends=True)
    found_in(path, b"".join(reversed(lines)))
    found_in(path, b"".join(sorted(lines)))


def edited(path: str, number: int, change: Callable[[dict], object]) -> bytes:
    """The file with one line read, changed and written again."""
    lines = FILES[path].splitlines()
    entry = json.loads(lines[number])
    change(entry)
    lines[number] = json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode()
    return b"\n".join(lines) + b"\n"


INPUTS = f"audit/{EVENING}.inputs.jsonl"


def line_numbers(path: str, key: str) -> list[int]:
    return [n for n, line in enumerate(FILES[path].splitlines()) if key in json.loads(line)]


@pytest.mark.parametrize("price", range(4))
@pytest.mark.parametrize("by", [1, -1, 10**13, -(10**13)])
def test_a_changed_price_is_found_where_it_was(price: int, by: int) -> None:
    def dearer(entry: dict) -> None:
        entry["tariff"][price] += by

    found = found_in(INPUTS, edited(INPUTS, 0, dearer))
    assert found.place.startswith("2016-06-21T23:15:00Z, ")


def test_an_added_record_is_found() -> None:
    """One too many for its meter, well signed and well counted in the first line."""
    spare = STREET.grid[0].key.sign(STREET.grid[0].record(STREET.closes[0].start + 900).encode())
    lines = FILES[INPUTS].splitlines()
    first = json.loads(lines[0])
    first["records"] += 1
    lines[0] = json.dumps(first, separators=(",", ":")).encode()
    added = {"record": spare.record.hex(), "signature": spare.signature.hex()}
    lines.insert(1, json.dumps(added, separators=(",", ":")).encode())
    found = found_in(INPUTS, b"\n".join(lines) + b"\n")
    assert "records, leaf" in found.place
    assert "refused" in found.difference


def test_a_removed_record_is_found_even_if_the_count_is_changed_too() -> None:
    lines = FILES[INPUTS].splitlines()
    first = json.loads(lines[0])
    first["records"] -= 1
    lines[0] = json.dumps(first, separators=(",", ":")).encode()
    del lines[1]
    found = found_in(INPUTS, b"\n".join(lines) + b"\n")
    assert found.place.startswith("2016-06-21T23:15:00Z")


QUARANTINED = line_numbers(INPUTS, "reason")[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.update(reason="OFF_GRID"),
        lambda entry: entry.update(reason="IN_THE_FUTURE"),
        lambda entry: entry.update(reason="OPERATOR_S_MOOD"),
        lambda entry: entry.update(reason=""),
        lambda entry: entry.update(signature="00" * 64),
        lambda entry: entry.update(signature=""),
        lambda entry: entry.update(refused=entry["refused"][:-2] + "00"),
        lambda entry: entry.update(refused=entry["refused"][:-2]),
        lambda entry: entry.update(refused=""),
        lambda entry: entry.update(refused=entry["refused"] + entry["signature"], signature=""),
        lambda entry: entry.update(refused="zz"),
    ],
)
def test_a_changed_quarantine_is_found_in_its_interval(change) -> None:
    found = found_in(INPUTS, edited(INPUTS, QUARANTINED, change))
    assert found.place.startswith("2016-06-21T23:30:00Z")


def test_an_emptied_quarantine_is_found() -> None:
    lines = FILES[INPUTS].splitlines()
    del lines[QUARANTINED]
    for number in line_numbers(INPUTS, "tariff"):
        first = json.loads(FILES[INPUTS].splitlines()[number])
        if first["refused"]:
            first["refused"] = 0
            lines[number] = json.dumps(first, separators=(",", ":")).encode()
    found = found_in(INPUTS, b"\n".join(lines) + b"\n")
    assert found.place.startswith("2016-06-21T23:30:00Z, header")
    assert "inputs_hash is published as" in found.difference


@pytest.mark.parametrize(
    "kind", ["public/{}.jsonl", "audit/{}.leaves.jsonl", "members/002/{}.jsonl"]
)
def test_one_days_statements_passed_off_as_anothers_are_found(kind: str) -> None:
    found_in(kind.format(EVENING), FILES[kind.format(NEXT_DAY)])


def test_one_members_proofs_passed_off_as_anothers_are_found() -> None:
    found = found_in(f"members/001/{EVENING}.jsonl", FILES[f"members/002/{EVENING}.jsonl"])
    assert found.place == "2016-06-21T23:15:00Z, positions, leaf 1"


def test_a_swapped_header_is_named_by_its_first_different_field() -> None:
    path = f"public/{EVENING}.jsonl"
    lines = FILES[path].splitlines(keepends=True)
    found = found_in(path, lines[1] + lines[0] + lines[2])
    assert found.place == "2016-06-21T23:15:00Z, header"
    assert "is published as" in found.difference


HEADER_OFFSETS = {
    "retail": 12,
    "local_price": 44,
    "issued_wh": 76,
    "members_owe": 124,
    "deltas_hash": 148,
    "roll": 180,
    "inputs_hash": 212,
    "previous": 244,
    "positions": 316,
    "community": 420,
    "start": 440,
    "duration": 448,
    "certificates": 456,
}


@pytest.mark.parametrize("field", HEADER_OFFSETS)
def test_a_changed_header_says_which_field_was_changed(field: str) -> None:
    path = f"public/{EVENING}.jsonl"

    def change(entry: dict) -> None:
        header = bytearray.fromhex(entry["header"])
        header[HEADER_OFFSETS[field]] ^= 1
        entry["header"] = header.hex()

    found = found_in(path, edited(path, 1, change))
    assert found.place == "2016-06-21T23:30:00Z, header"
    assert f": {field} is published as " in found.difference


def test_a_header_written_differently_is_found() -> None:
    path = f"public/{EVENING}.jsonl"
    for change in (
        lambda entry: entry.update(header=entry["header"].upper()),
        lambda entry: entry.update(anchor=entry["anchor"].upper()),
        lambda entry: entry.update(transaction="00" * 32),
        lambda entry: entry.update(header="nonsense"),
        lambda entry: entry.update(header=""),
    ):
        assert found_in(path, edited(path, 0, change)).place == "2016-06-21T23:15:00Z, header"


@pytest.mark.parametrize("section", ["records", "positions", "trades", "certificates"])
def test_a_changed_leaf_is_named_by_section_and_number(section: str) -> None:
    path = f"audit/{EVENING}.leaves.jsonl"

    def change(entry: dict) -> None:
        leaf = bytearray.fromhex(entry["leaf"])
        leaf[0] ^= 1
        entry["leaf"] = leaf.hex()

    for number, line in enumerate(FILES[path].splitlines()):
        entry = json.loads(line)
        if entry["section"] == section:
            found = found_in(path, edited(path, number, change))
            assert f", {section}, leaf {entry['index']}" in found.place


def test_the_other_form_of_a_signature_is_found() -> None:
    def turn(entry: dict) -> None:
        entry["signature"] = other_form(bytes.fromhex(entry["signature"])).hex()

    found_in(INPUTS, edited(INPUTS, 1, turn))
    found_in("audit/register.jsonl", edited("audit/register.jsonl", 0, turn))

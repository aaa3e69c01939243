"""The reference street, byte for byte as it was written down."""

import json
from hashlib import sha256

import pytest

from commonwatt.audit.recompute import audit
from reference import NEIGHBOUR, PATH, POOR, as_json, reference_street
from street import MemoryFiles

WRITTEN = json.loads(PATH.read_text())


def test_the_reference_street_closes_to_the_same_bytes() -> None:
    found = json.loads(as_json())
    assert [interval["anchor"] for interval in found["intervals"]] == [
        interval["anchor"] for interval in WRITTEN["intervals"]
    ]
    assert found == WRITTEN


def test_it_holds_all_that_can_happen_to_a_street() -> None:
    street, intervals = reference_street()
    assert [interval["refused"] for interval in intervals] == [0, 0, 1, 0]
    assert any(interval["arrears"][POOR] > 0 for interval in intervals)
    assert street.last_inputs.accepted
    gaps = [v.gap for v in street.last_inputs.accepted]
    assert sum(gaps) == 1
    certified = [bool(interval["certificates"]) for interval in intervals]
    assert certified == [True, True, True, True]
    buyers = [{buyer for _, buyer, *_ in interval["trades"]} for interval in intervals]
    assert NEIGHBOUR in buyers[0]
    assert NEIGHBOUR not in buyers[2] | buyers[3]


def test_it_passes_an_audit() -> None:
    street, _ = reference_street()
    found = audit(MemoryFiles(street.files), street.facts())
    assert found.verdict == "ok"
    assert (found.intervals, found.records, found.refused) == (4, 19, 1)
    assert found.last_anchor.hex() == WRITTEN["intervals"][-1]["anchor"]


@pytest.mark.parametrize("number", range(4))
def test_each_anchor_follows_from_its_header_by_three_hashes(number: int) -> None:

    interval = WRITTEN["intervals"][number]
    header = bytes.fromhex(interval["header"])
    seal = sha256(header[:420]).digest() + header[420:]
    assert sha256(seal).hexdigest() == interval["anchor"]
    deltas = b"".join(bytes.fromhex(word) for word in interval["deltas"])
    assert header[148:180] == sha256(deltas).digest()
    previous = WRITTEN["intervals"][number - 1]["anchor"] if number else "00" * 32
    assert header[244:276].hex() == previous

"""What ships in the wheel is what the contracts compile to, and small enough for any chain."""

import json
import re
from hashlib import sha256

import pytest

from commonwatt.chain.abi import ARTEFACTS, CONTRACTS, contract
from commonwatt.chain.build import SOURCES, compiled, text_of

CODE_BYTES_MAX = 24_576
"""EIP-170."""

ORDER = [
    "pragma", "import", "interface", "constant", "immutable", "struct", "storage", "event",
    "__init__", "external", "internal",
]  # fmt: skip


@pytest.mark.parametrize("name", CONTRACTS)
def test_an_artefact_is_what_its_source_compiles_to(name: str) -> None:
    written = (ARTEFACTS / f"{name}.json").read_text(encoding="utf-8")
    assert written == text_of(compiled(name)), "run `python -m commonwatt.chain.build`"


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_is_below_the_size_limit(name: str) -> None:
    artefact = json.loads((ARTEFACTS / f"{name}.json").read_text(encoding="utf-8"))
    source = (SOURCES / f"{name}.vy").read_bytes()
    assert artefact["source_sha256"] == sha256(source).hexdigest()
    # Immutables are appended to the code: five words at most.
    assert artefact["runtime_bytes"] + 5 * 32 < CODE_BYTES_MAX


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_is_written_in_the_usual_order(name: str) -> None:
    text = (SOURCES / f"{name}.vy").read_text(encoding="utf-8")
    kinds = [kind for line in text.splitlines() if (kind := _kind_of(line))]
    places = [ORDER.index(kind) for kind in kinds]
    assert places == sorted(places)
    assert {"pragma", "storage", "event", "__init__", "external", "internal"} <= set(kinds)


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_function_says_what_it_does_and_every_refusal_says_why(name: str) -> None:
    text = (SOURCES / f"{name}.vy").read_text(encoding="utf-8")
    for body in re.split(r"\n(?=@(?:deploy|external|internal)\n)", text)[1:]:
        assert re.search(r'"""\n    @notice \w', body), body[:80]
    refusals = re.findall(r'"(\w+): [a-z]', text)
    assert set(refusals) == {name.lower()}
    code = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)
    assert len(re.findall(r"\b(?:assert|raise) ", code)) <= len(
        re.findall(rf'"{name.lower()}: ', code)
    )


def test_selectors_and_events_are_those_of_the_standards() -> None:
    certificate, euro = contract("Certificate"), contract("Euro")
    assert certificate.selectors["safeTransferFrom"].hex() == "f242432a"
    assert certificate.selectors["safeBatchTransferFrom"].hex() == "2eb2c2d6"
    assert certificate.selectors["balanceOfBatch"].hex() == "4e1273f4"
    assert certificate.topics["TransferSingle"].hex().startswith("c3d58168c5ae7397")
    assert certificate.topics["TransferBatch"].hex().startswith("4a39dc06d4c0dbc6")
    assert certificate.inputs["claimedBalanceOf"] == ("address", "uint256")
    assert certificate.outputs["getCertificate"] == ("address", "uint256", "bytes", "bytes")
    assert euro.selectors["transferFrom"].hex() == "23b872dd"
    assert euro.topics["Transfer"].hex().startswith("ddf252ad1be2c89b")


def _kind_of(line: str) -> str | None:
    for start, kind in (
        ("# pragma", "pragma"), ("from ", "import"), ("implements:", "import"),
        ("interface ", "interface"),
        ("struct ", "struct"), ("event ", "event"), ("def __init__", "__init__"),
        ("@external", "external"), ("@internal", "internal"),
    ):  # fmt: skip
        if line.startswith(start):
            return kind
    declared = re.match(r"\w+: (.*)", line)
    if declared is None:
        return None
    for kind in ("constant", "immutable"):
        if f"{kind}(" in declared[1]:
            return kind
    return "storage"

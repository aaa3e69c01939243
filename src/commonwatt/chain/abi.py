"""The compiled contracts, and how their calls and events are written in bytes.

Only what the ledger needs: eth-abi does the encoding and is loaded with the first call. Events of
ours have whole words, so they are read with slices, some fifty times faster.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ARTEFACTS = Path(__file__).parent / "artefacts"
CONTRACTS = ("Euro", "Registry", "Settlement", "Certificate", "Exchange", "Book")
WORD = 32


@dataclass(frozen=True, slots=True)
class Contract:
    """One compiled contract."""

    name: str
    bytecode: bytes
    constructor: tuple[str, ...]
    """Types of what its constructor takes."""
    selectors: Mapping[str, bytes]
    """Four bytes per function."""
    inputs: Mapping[str, tuple[str, ...]]
    """Types each function takes."""
    outputs: Mapping[str, tuple[str, ...]]
    """Types each function answers with."""
    topics: Mapping[str, bytes]
    """32 bytes per event."""
    storage: Mapping[str, int]
    """The first slot of each variable."""

    def creation(self, *values: object) -> bytes:
        """What to send to make this contract, with its constructor's values."""
        return self.bytecode + encode(self.constructor, values)

    def data(self, function: str, *values: object) -> bytes:
        """What to send to call a function."""
        return self.selectors[function] + encode(self.inputs[function], values)

    def answer(self, function: str, returned: bytes) -> tuple[Any, ...]:
        """What a function answered."""
        from eth_abi.abi import decode  # noqa: PLC0415 - slow to load

        return tuple(decode(self.outputs[function], returned))


@cache
def contract(name: str) -> Contract:
    """A contract of ours, as compiled into the package."""
    artefact = json.loads((ARTEFACTS / f"{name}.json").read_text(encoding="utf-8"))
    functions = {e["name"]: e for e in artefact["abi"] if e["type"] == "function"}
    made = [e for e in artefact["abi"] if e["type"] == "constructor"]
    return Contract(
        name=name,
        bytecode=_blob(artefact["bytecode"]),
        constructor=_types(made[0]["inputs"]) if made else (),
        selectors={key: _blob(value) for key, value in artefact["selectors"].items()},
        inputs={key: _types(entry["inputs"]) for key, entry in functions.items()},
        outputs={key: _types(entry["outputs"]) for key, entry in functions.items()},
        topics={key: _blob(value) for key, value in artefact["topics"].items()},
        storage=artefact["storage"],
    )


def encode(types: Sequence[str], values: Sequence[object]) -> bytes:
    """Values in the contracts' call encoding."""
    if not types:
        return b""
    from eth_abi.abi import encode as encoded  # noqa: PLC0415 - slow to load

    return bytes(encoded(types, values))


def canonical_type(entry: Mapping[str, Any]) -> str:
    """The type of one input or output as signatures name it: structs by their parts.

    >>> canonical_type({"type": "tuple[]", "components": [{"type": "uint8"}, {"type": "bool"}]})
    '(uint8,bool)[]'
    """
    kind: str = entry["type"]
    if not kind.startswith("tuple"):
        return kind
    parts = ",".join(canonical_type(part) for part in entry["components"])
    return f"({parts}){kind.removeprefix('tuple')}"


def word(data: bytes, index: int) -> int:
    """The word at `index` as a number."""
    return int.from_bytes(data[WORD * index : WORD * index + WORD])


def signed_word(data: bytes, index: int) -> int:
    """The word at `index` as a signed number."""
    return int.from_bytes(data[WORD * index : WORD * index + WORD], signed=True)


def _types(entries: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(canonical_type(entry) for entry in entries)


def _blob(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))

"""Compile the contracts into `artefacts/`: a development task, needing Vyper.

Run `python -m commonwatt.chain.build` after changing a contract. The artefacts are part of the
package, so that nobody who uses Commonwatt needs a compiler; a test compiles again and compares.
"""

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from commonwatt.chain.abi import ARTEFACTS, CONTRACTS, canonical_type
from commonwatt.chain.encoding import keccak

EVM_VERSION = "prague"
"""The latest Vyper 0.4.3 knows; the precompile of Osaka is called by its address."""

SOURCES = Path(__file__).parent / "contracts"


def compiled(name: str) -> dict[str, Any]:
    """One contract's artefact: interface, bytecode, and what it was made from.

    Args:
        name: the contract, as the file is named.
    """
    import vyper  # noqa: PLC0415 - a development dependency
    from vyper.compiler.settings import OptimizationLevel, Settings  # noqa: PLC0415

    source = (SOURCES / f"{name}.vy").read_text(encoding="utf-8")
    made = vyper.compile_code(
        source,
        contract_path=f"{name}.vy",
        output_formats=["abi", "bytecode", "bytecode_runtime", "layout", "method_identifiers"],
        settings=Settings(evm_version=EVM_VERSION, optimize=OptimizationLevel.GAS),
    )
    return {
        "contract": name,
        "compiler": f"vyper {vyper.__version__}+commit.{vyper.__commit__}",
        "evm_version": EVM_VERSION,
        "optimize": "gas",
        "source_sha256": sha256(source.encode()).hexdigest(),
        "runtime_bytes": len(made["bytecode_runtime"]) // 2 - 1,
        "selectors": {
            signature.partition("(")[0]: f"0x{int(selector, 16):08x}"
            for signature, selector in sorted(made["method_identifiers"].items())
        },
        "topics": {
            entry["name"]: "0x" + keccak(_signature(entry).encode()).hex()
            for entry in made["abi"]
            if entry["type"] == "event"
        },
        "storage": {
            name: entry["slot"] for name, entry in made["layout"].get("storage_layout", {}).items()
        },
        "abi": made["abi"],
        "bytecode": made["bytecode"],
    }


def text_of(artefact: dict[str, Any]) -> str:
    """An artefact as it is written: the same text for the same contract, everywhere."""
    return json.dumps(artefact, indent=1) + "\n"


def main() -> int:
    """Write all artefacts; 0 if nothing changed, 1 if something did."""
    changed = 0
    for name in CONTRACTS:
        artefact = compiled(name)
        text, path = text_of(artefact), ARTEFACTS / f"{name}.json"
        same = path.is_file() and path.read_text(encoding="utf-8") == text
        if not same:
            path.write_text(text, encoding="utf-8")
            changed = 1
        state = "unchanged" if same else "written"
        sys.stdout.write(f"{name:12} {artefact['runtime_bytes']:6} bytes  {state}\n")
    return changed


def _signature(event: dict[str, Any]) -> str:
    return f"{event['name']}({','.join(canonical_type(entry) for entry in event['inputs'])})"


if __name__ == "__main__":
    sys.exit(main())

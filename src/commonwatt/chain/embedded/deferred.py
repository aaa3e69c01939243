"""Pairing-curve precompiles, imported when a contract calls one and not before.

They take a third of a second to import, which every command that opens an embedded chain would
wait for, and no contract of ours ever calls them. They stay what the specification says they are.
"""

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

PACKAGE = "ethereum.forks.osaka.vm.precompiled_contracts"
PRECOMPILES = {
    "bls12_381.bls12_381_g1": ("bls12_g1_add", "bls12_g1_msm", "bls12_map_fp_to_g1"),
    "bls12_381.bls12_381_g2": ("bls12_g2_add", "bls12_g2_msm", "bls12_map_fp2_to_g2"),
    "bls12_381.bls12_381_pairing": ("bls12_pairing",),
    "point_evaluation": ("point_evaluation",),
}
"""By module: the functions that the table of precompiles takes from it."""


def defer_curves() -> None:
    """Put something in the modules' place that loads them; nothing if they are loaded already."""
    for module, functions in PRECOMPILES.items():
        name = f"{PACKAGE}.{module}"
        if name not in sys.modules:
            place = ModuleType(name)
            for function in functions:
                setattr(place, function, _deferred(module, function))
            sys.modules[name] = place


def _deferred(module: str, function: str) -> Callable[[Any], None]:
    def precompile(evm: Any) -> None:
        getattr(_loaded(module), function)(evm)

    return precompile


@cache
def _loaded(module: str) -> ModuleType:
    """The specification's own module; it imports nothing of the others that stand in."""
    del sys.modules[f"{PACKAGE}.{module}"]
    return import_module(f"{PACKAGE}.{module}")

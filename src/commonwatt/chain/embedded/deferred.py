"""Parts of the specification that no transaction of ours needs, imported only when called.

Pairing curves take half a second to import, the tries of all forks before this one a third: every
command that opens an embedded chain would wait for them. They stay what the specification says.
"""

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

_PRECOMPILES = "ethereum.forks.osaka.vm.precompiled_contracts"
DEFERRED = {
    f"{_PRECOMPILES}.alt_bn128": ("alt_bn128_add", "alt_bn128_mul", "alt_bn128_pairing_check"),
    f"{_PRECOMPILES}.bls12_381.bls12_381_g1": (
        "bls12_g1_add",
        "bls12_g1_msm",
        "bls12_map_fp_to_g1",
    ),
    f"{_PRECOMPILES}.bls12_381.bls12_381_g2": (
        "bls12_g2_add",
        "bls12_g2_msm",
        "bls12_map_fp2_to_g2",
    ),
    f"{_PRECOMPILES}.bls12_381.bls12_381_pairing": ("bls12_pairing",),
    f"{_PRECOMPILES}.point_evaluation": ("point_evaluation",),
    # Asked for accounts in the forms of earlier forks.
    "ethereum.forks.prague.trie": ("encode_node",),
}
"""By module: the functions that others take from it."""


def defer() -> None:
    """Put something in the modules' place that loads them; nothing if they are loaded already."""
    for name, functions in DEFERRED.items():
        if name not in sys.modules:
            place = ModuleType(name)
            for function in functions:
                setattr(place, function, _deferred(name, function))
            sys.modules[name] = place


def _deferred(name: str, function: str) -> Callable[..., Any]:
    def stand_in(*arguments: Any) -> Any:
        return getattr(_loaded(name), function)(*arguments)

    return stand_in


@cache
def _loaded(name: str) -> ModuleType:
    """The specification's own module; it imports nothing of the others that stand in."""
    del sys.modules[name]
    return import_module(name)

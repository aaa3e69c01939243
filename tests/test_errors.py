"""The one error tree."""

import ast
import importlib
from pathlib import Path

import pytest

import commonwatt
from commonwatt.errors import CommonwattError, InputError, InvariantBroken, require

ROOT = Path(commonwatt.__file__).parent
FLOORS = ("meter", "market", "settlement", "certificate", "statement", "audit")


def test_a_law_that_holds_says_nothing() -> None:
    require("money is moved, never made", holds=True, residue=0)


def test_a_broken_law_names_itself_and_its_operands() -> None:
    with pytest.raises(InvariantBroken, match=r"never made \(residue=3, member=1\)") as broken:
        require("money is moved, never made", holds=False, residue=3, member=1)
    assert broken.value.law == "money is moved, never made"
    assert broken.value.operands == {"residue": 3, "member": 1}


def test_a_broken_law_is_a_defect_and_not_bad_input() -> None:
    assert not issubclass(InvariantBroken, InputError)
    assert issubclass(InvariantBroken, CommonwattError)


def test_every_error_of_the_lower_floors_hangs_in_the_one_tree() -> None:
    paths = [path for floor in FLOORS for path in (ROOT / floor).rglob("*.py")]
    paths += [ROOT / "quantity.py", ROOT / "merkle.py"]
    found = 0
    for path in paths:
        name = ".".join(("commonwatt", *path.relative_to(ROOT).with_suffix("").parts))
        for node in ast.parse(path.read_text()).body:
            kind = isinstance(node, ast.ClassDef) and getattr(
                importlib.import_module(name), node.name
            )
            # A `Difference` is what an audit finds: an answer, not an error of the program.
            if kind and issubclass(kind, Exception) and kind.__name__ != "Difference":
                assert issubclass(kind, CommonwattError), kind
                found += 1
    assert found >= 8

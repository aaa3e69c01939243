"""The specification's whole numbers and PUSH instructions, with less ceremony.

Every number in the specification is an object of a sized type. Making one asks a method whether
it is in range, comparing two asks a `typing` protocol first, and a PUSH makes eight of them: half
of the time of a transaction. Here the same is done in fewer steps, with the same results and the
same errors.
"""
# ruff: noqa: SLF001 - the specification keeps a number in a field with an underscore

from collections.abc import Callable
from typing import Any

from ethereum.forks.osaka.vm import gas, stack
from ethereum.forks.osaka.vm.instructions import Ops, op_implementation
from ethereum_types.numeric import U256, Uint, Unsigned

_PUSH0 = 0x5F
_PUSHES = 33
_published_equal = Unsigned.__eq__
_published_pushes = {Ops(_PUSH0 + n): op_implementation[Ops(_PUSH0 + n)] for n in range(_PUSHES)}
_is_on = False


def put_on() -> None:
    """Use what is here; anybody who uses the specification gets the same results as before."""
    global _is_on  # noqa: PLW0603 - the specification exists once in a process, and so does this
    if not _is_on:
        Uint.__init__, U256.__init__ = _make_uint, _make_u256
        Unsigned.__eq__ = _equal
        op_implementation.update(_QUICK_PUSHES)
        _is_on = True


def take_off() -> None:
    """Use what was published."""
    global _is_on  # noqa: PLW0603 - see above
    if _is_on:
        # Their own ones go; the one they inherit is there again.
        del Uint.__init__, U256.__init__
        Unsigned.__eq__ = _published_equal
        op_implementation.update(_published_pushes)
        _is_on = False


def _make_uint(self: Any, value: Any) -> None:
    number = value if type(value) is int else int(value)
    if number < 0:
        raise OverflowError
    self._number = number


def _make_u256(self: Any, value: Any, _limit: int = U256.MAX_VALUE._number) -> None:
    number = value if type(value) is int else int(value)
    if number < 0 or number > _limit:
        raise OverflowError
    self._number = number


def _equal(self: Any, other: object) -> Any:
    kind = type(other)
    if kind is type(self):
        return self._number == other._number  # type: ignore[attr-defined] # of our own type
    if kind is int:
        return self._number == other
    return _published_equal(self, other)


def _push(size: int) -> Callable[[Any], None]:
    """The instruction that puts `size` bytes of the code on the stack."""
    cost = gas.GAS_VERY_LOW if size else gas.GAS_BASE
    step = Uint(1 + size)

    def push(evm: Any) -> None:
        gas.charge_gas(evm, cost)
        start = evm.pc._number + 1
        # Behind its end, code reads as zeros.
        found = evm.code[start : start + size].ljust(size, b"\0")
        stack.push(evm.stack, U256(int.from_bytes(found, "big")))
        evm.pc += step

    return push


_QUICK_PUSHES = {Ops(_PUSH0 + n): _push(n) for n in range(_PUSHES)}

"""Things Ethereum's specification does again and again, done once.

The specification is written to be read. Two of its habits cost more than all the rest:

- it analyses the jump table of a contract's whole code in **every call frame**;
- it copies **the whole state** at the start of every call frame, to be able to undo the frame.

Here the first is remembered, and the second is an undo log: the state's dictionaries note what
each write replaces, and undoing a frame replays the notes backwards. A third, the ceremony around
every whole number, is in `arithmetic`.

Nothing else of the specification is touched, and the same process can run it exactly as published
(`taken_off`) beside all this (`applied`); a test compares the two.
"""
# ruff: noqa: SLF001 - the specification keeps its state in fields with underscores

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import RLock
from types import ModuleType
from typing import Any

from ethereum.forks.osaka import state as spec_state
from ethereum.forks.osaka.fork_types import Address
from ethereum.forks.osaka.state import State, TransientStorage
from ethereum.forks.osaka.trie import copy_trie
from ethereum.forks.osaka.vm import interpreter
from ethereum.forks.osaka.vm.instructions import storage
from ethereum.forks.osaka.vm.runtime import get_valid_jump_destinations
from ethereum_types.bytes import Bytes32
from ethereum_types.numeric import U256

from commonwatt.chain.embedded import arithmetic

JUMP_TABLES_KEPT = 256
"""Contracts whose jump table is remembered; a community uses four."""

SPEC_LOCK = RLock()
"""Held while the specification runs: its functions are swapped for the whole process."""

_MISSING: Any = object()


class _NotingDict(dict[Any, Any]):
    """A dictionary that notes in a log what each write replaces."""

    __slots__ = ("log", "owner")

    def __init__(self, log: "Log", owner: bytes | None, data: Any = ()) -> None:
        super().__init__(data)
        self.log = log
        self.owner = owner

    def __setitem__(self, key: Any, value: Any) -> None:
        self.log.append((self, key, self.get(key, _MISSING)))
        dict.__setitem__(self, key, value)

    def __delitem__(self, key: Any) -> None:
        self.log.append((self, key, self[key]))
        dict.__delitem__(self, key)


class _Tries(_NotingDict):
    """The storage tries by account; a trie that is put in begins to note, too."""

    __slots__ = ()

    def __setitem__(self, key: Any, trie: Any) -> None:
        if type(trie._data) is not _NotingDict:
            trie._data = _NotingDict(self.log, bytes(key), trie._data)
        super().__setitem__(key, trie)


Log = list[tuple[_NotingDict, Any, Any]]
"""Which dictionary was written to, at which key, and what was there before."""


class UndoState(State):  # type: ignore[misc] # the specification is untyped for us
    """A state that can be taken back write by write instead of being copied."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.log: Log = []
        self.originals: dict[tuple[Address, Bytes32], U256] = {}
        self._main_trie._data = _NotingDict(self.log, None)
        self._storage_tries = _Tries(self.log, None)

    def undo_to(self, mark: int) -> None:
        """Take back every write since the log had `mark` entries."""
        log = self.log
        while len(log) > mark:
            target, key, before = log.pop()
            if before is _MISSING:
                dict.__delitem__(target, key)
            else:
                dict.__setitem__(target, key, before)

    def touched(self) -> frozenset[tuple[bytes, bytes | None]]:
        """The places in the log: (address, storage key), or (address, None) for an account."""
        return frozenset(
            (bytes(key), None) if target.owner is None else (target.owner, bytes(key))
            for target, key, _ in self.log
        )

    def frame_ended(self) -> None:
        """Forget what belongs to one transaction once its outermost frame is over."""
        if not self._snapshots:
            self.created_accounts.clear()
            self.originals.clear()


def _begin(state: UndoState, transient: TransientStorage) -> None:
    state._snapshots.append(len(state.log))  # a mark, not a copy
    transient._snapshots.append({k: copy_trie(t) for k, t in transient._tries.items()})


def _commit(state: UndoState, transient: TransientStorage) -> None:
    state._snapshots.pop()
    state.frame_ended()
    transient._snapshots.pop()


def _rollback(state: UndoState, transient: TransientStorage) -> None:
    mark: Any = state._snapshots.pop()
    state.undo_to(mark)
    state.frame_ended()
    transient._tries = transient._snapshots.pop()


def _storage_original(state: UndoState, address: Address, key: Bytes32) -> U256:
    # SSTORE asks before its first write to a slot, so the first value seen is the original one.
    if address in state.created_accounts:
        return U256(0)
    found = state.originals.get((address, key))
    if found is None:
        found = state.originals[address, key] = spec_state.get_storage(state, address, key)
    return found


# Functions are imported by name all over the specification: each name has to be swapped.
_SWAPS: tuple[tuple[ModuleType, str, Callable[..., Any]], ...] = (
    (interpreter, "begin_transaction", _begin),
    (interpreter, "commit_transaction", _commit),
    (interpreter, "rollback_transaction", _rollback),
    (
        interpreter,
        "get_valid_jump_destinations",
        lru_cache(JUMP_TABLES_KEPT)(get_valid_jump_destinations),
    ),
    (spec_state, "begin_transaction", _begin),
    (spec_state, "commit_transaction", _commit),
    (spec_state, "rollback_transaction", _rollback),
    (storage, "get_storage_original", _storage_original),
)


@contextmanager
def applied() -> Iterator[None]:
    """Run the specification with the speed-ups; its state must be an `UndoState`.

    What works on an `UndoState` only is taken off again in the end; the arithmetic, which makes no
    difference to anybody, stays, because Python would have to learn its types anew each time.
    """
    with SPEC_LOCK:
        arithmetic.put_on()
        before = [(module, name, getattr(module, name)) for module, name, _ in _SWAPS]
        for module, name, quick in _SWAPS:
            setattr(module, name, quick)
        try:
            yield
        finally:
            for module, name, original in before:
                setattr(module, name, original)


@contextmanager
def taken_off() -> Iterator[None]:
    """Run the specification exactly as published."""
    with SPEC_LOCK:
        arithmetic.take_off()
        yield

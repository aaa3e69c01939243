"""The state of the chain: accounts and storage, what changed in them, and their root.

Two of them with the same face. `CachedWorld` runs the specification with the speed-ups and keeps
incremental tries; `PlainWorld` runs it exactly as published and copies, compares and rebuilds
everything: slow, and the yardstick for the other one.
"""
# ruff: noqa: SLF001 - the specification keeps its state in fields with underscores

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from ethereum.forks.osaka.fork_types import Account
from ethereum.forks.osaka.state import State, state_root
from ethereum.forks.osaka.trie import Trie as SpecTrie
from ethereum.forks.osaka.trie import copy_trie
from ethereum_types.bytes import Bytes, Bytes20, Bytes32
from ethereum_types.numeric import U256, Uint

from commonwatt.chain.embedded import speedups
from commonwatt.chain.embedded.trie import EMPTY_ROOT, Trie
from commonwatt.chain.encoding import keccak, rlp

Touched = frozenset[tuple[bytes, bytes | None]]
"""Places written to: (address, storage key), or (address, None) for the account itself."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One account, as it is stored."""

    address: bytes
    nonce: int
    balance: int
    code: bytes


@dataclass(frozen=True, slots=True)
class SlotRow:
    """One storage slot that is not zero, as it is stored."""

    address: bytes
    key: bytes
    value: int


class World(Protocol):
    """A state that one transaction at a time may change."""

    state: State

    def rules(self) -> AbstractContextManager[None]:
        """The specification, as this world runs it."""
        ...

    def mark(self) -> None:
        """Remember the state as it is now."""
        ...

    def touched(self) -> Touched:
        """The places written to since the mark."""
        ...

    def keep(self) -> None:
        """What happened since the mark stands."""
        ...

    def undo(self) -> None:
        """Take everything since the mark back."""
        ...

    def root(self) -> bytes:
        """The root over all accounts and storage, 32 bytes."""
        ...

    def load(self, accounts: Iterable[AccountRow], slots: Iterable[SlotRow]) -> None:
        """Fill an empty state."""
        ...


class PlainWorld:
    """The specification and nothing else."""

    def __init__(self) -> None:
        """Start empty."""
        self.state = State()
        self._before: tuple[Any, Any] = (None, None)

    def rules(self) -> AbstractContextManager[None]:
        """As published."""
        return speedups.taken_off()

    def mark(self) -> None:
        """Copy everything."""
        state = self.state
        tries = {address: copy_trie(trie) for address, trie in state._storage_tries.items()}
        self._before = copy_trie(state._main_trie), tries

    def touched(self) -> Touched:
        """Compare everything with the copy."""
        accounts, tries = self._before
        now = self.state._storage_tries
        touched: set[tuple[bytes, bytes | None]] = {
            (address, None) for address in _differing(accounts, self.state._main_trie)
        }
        for address in tries.keys() | now.keys():
            before, after = tries.get(address), now.get(address)
            touched |= {(address, key) for key in _differing(before, after)}
        return frozenset(touched)

    def keep(self) -> None:
        """Nothing to do: the next mark copies anew."""

    def undo(self) -> None:
        """Put the copy back."""
        state = self.state
        state._snapshots.clear()
        state.created_accounts.clear()
        state._main_trie, state._storage_tries = self._before

    def root(self) -> bytes:
        """Rebuild every trie: 0.1 s per thousand slots."""
        return bytes(state_root(self.state))

    def load(self, accounts: Iterable[AccountRow], slots: Iterable[SlotRow]) -> None:
        """Fill the empty state."""
        _fill(self.state, accounts, slots)


class CachedWorld:
    """The specification with an undo log and remembered jump tables, and incremental tries."""

    def __init__(self) -> None:
        """Start empty."""
        self.state = speedups.UndoState()
        self._accounts = Trie()
        self._storage: dict[bytes, Trie] = {}
        self._root_asked = False

    def rules(self) -> AbstractContextManager[None]:
        """With the speed-ups."""
        return speedups.applied()

    def mark(self) -> None:
        """Begin the undo log anew."""
        self.state.log.clear()
        self._root_asked = False

    def touched(self) -> Touched:
        """Read the places from the undo log."""
        return self.state.touched()

    def keep(self) -> None:
        """Nothing to do: the next mark begins the log anew."""

    def undo(self) -> None:
        """Replay the undo log backwards, and set the tries right if they had followed it."""
        state = self.state
        touched = state.touched() if self._root_asked else frozenset()
        state._snapshots.clear()
        state.created_accounts.clear()
        state.originals.clear()
        state.undo_to(0)
        self._follow(touched)

    def root(self) -> bytes:
        """Bring the tries up to date where the undo log says so; costs what was changed."""
        self._follow(self.state.touched())
        self._root_asked = True
        return self._accounts.root()

    def load(self, accounts: Iterable[AccountRow], slots: Iterable[SlotRow]) -> None:
        """Fill the empty state and build the tries."""
        _fill(self.state, accounts, slots)
        self._follow(self.state.touched())
        self.state.log.clear()

    def _follow(self, touched: Touched) -> None:
        """Make the tries agree with the state at the places named; may be done twice."""
        addresses = set()
        for address, key in touched:
            addresses.add(address)
            if key is not None:
                trie = self._storage.setdefault(address, Trie())
                spec_trie: Any = self.state._storage_tries.get(Bytes20(address))
                value = None if spec_trie is None else spec_trie._data.get(key)
                trie.put(_hashed(key), None if value is None else rlp(int(value)))
        for address in addresses:
            account = self.state._main_trie._data.get(Bytes20(address))
            self._accounts.put(_hashed(address), self._encoded(address, account))

    def _encoded(self, address: bytes, account: Account | None) -> bytes | None:
        if account is None:
            self._storage.pop(address, None)
            return None
        trie = self._storage.get(address)
        storage_root = EMPTY_ROOT if trie is None else trie.root()
        code_hash = _hashed(bytes(account.code))
        return rlp((int(account.nonce), int(account.balance), storage_root, code_hash))


def account_row(state: State, address: bytes) -> AccountRow | None:
    """An account, as it is stored; None if there is none."""
    found = state._main_trie._data.get(Bytes20(address))
    if found is None:
        return None
    return AccountRow(address, int(found.nonce), int(found.balance), bytes(found.code))


def slot_row(state: State, address: bytes, key: bytes) -> SlotRow | None:
    """A storage slot, as it is stored; None if it is zero."""
    trie: Any = state._storage_tries.get(Bytes20(address))
    value = None if trie is None else trie._data.get(key)
    return None if value is None else SlotRow(address, key, int(value))


def _fill(state: State, accounts: Iterable[AccountRow], slots: Iterable[SlotRow]) -> None:
    for row in accounts:
        state._main_trie._data[Bytes20(row.address)] = Account(
            nonce=Uint(row.nonce), balance=U256(row.balance), code=Bytes(row.code)
        )
    for slot in slots:
        address = Bytes20(slot.address)
        if address not in state._storage_tries:
            state._storage_tries[address] = SpecTrie(secured=True, default=U256(0))
        state._storage_tries[address]._data[Bytes32(slot.key)] = U256(slot.value)


def _differing(before: Any, after: Any) -> set[bytes]:
    old = {} if before is None else before._data
    new = {} if after is None else after._data
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


@lru_cache(4096)
def _hashed(data: bytes) -> bytes:
    """Keys and code are hashed again and again: the same lanes are written at each close."""
    return keccak(data)

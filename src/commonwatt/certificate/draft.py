"""A draft of a book: whatever is done to it, the book itself stays as it is.

Nothing is copied but what the draft touches: its tables lie over the book's, answer from them, and
keep to themselves what is written.
"""

from collections.abc import Iterator, MutableMapping
from dataclasses import fields
from typing import Any, TypeVar

from commonwatt.certificate.state import State

K = TypeVar("K")
V = TypeVar("V")


def draft_of(state: State) -> State:
    """A state that can be acted on, with the book's as its beginning (R14)."""
    tables = {field.name: _Over(getattr(state, field.name)) for field in fields(state)}
    return State(**tables)


class _Over(MutableMapping[K, V]):
    """A table over another one."""

    def __init__(self, under: MutableMapping[K, V]) -> None:
        self._under = under
        self._own: dict[K, V] = {}
        self._gone: set[K] = set()

    def __getitem__(self, key: K) -> V:
        if key in self._own:
            return self._own[key]
        if key in self._gone:
            raise KeyError(key)
        found = self._under[key]
        apart: V = _apart(found)
        if apart is not found:
            # What is handed out may be written to: only the draft's own is handed out.
            self._own[key] = apart
        return apart

    def __setitem__(self, key: K, value: V) -> None:
        self._gone.discard(key)
        self._own[key] = value

    def __delitem__(self, key: K) -> None:
        if key not in self:
            raise KeyError(key)
        self._own.pop(key, None)
        self._gone.add(key)

    def __contains__(self, key: object) -> bool:
        return key in self._own or (key not in self._gone and key in self._under)

    def __iter__(self) -> Iterator[K]:
        yield from (key for key in self._under if key not in self._gone)
        yield from (key for key in self._own if key not in self._under)

    def __len__(self) -> int:
        new = sum(key not in self._under for key in self._own)
        gone = sum(key in self._under for key in self._gone)
        return len(self._under) - gone + new


def _apart(value: Any) -> Any:
    """A list's copy, a draft of a table; anything else cannot be changed."""
    if isinstance(value, list):
        return list(value)
    if isinstance(value, MutableMapping):
        return _Over(value)
    return value

"""Which webhooks a community has.

A registration is a note in the community's database, its removal another one: nothing is ever
changed, so nodes that share a database agree without asking each other.
"""

import base64
import secrets
from collections.abc import Iterator

import msgspec

from commonwatt.errors import CommonwattError
from commonwatt.node.store import Database

HOOKS_MAX = 20
"""At the same time."""
HOOKS_EVER_MAX = 1_000
SECRET_BYTES = 32
SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret begins with (Standard Webhooks)


class TooManyHooks(CommonwattError):
    """A community has as many webhooks as it may."""


class Hook(msgspec.Struct, frozen=True):
    """Somebody who is told what happens."""

    number: int
    url: str
    kinds: tuple[str, ...]
    registered: int
    """UTC second; what happened before is not told."""
    by: str
    secret: str
    """What its messages are signed with; base64 behind a prefix."""

    @property
    def key(self) -> bytes:
        """The secret's bytes."""
        return base64.b64decode(self.secret.removeprefix(SECRET_PREFIX))


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Hook).decode


class Hooks:
    """One community's."""

    def __init__(self, database: Database) -> None:
        """In its database."""
        self._database = database

    def all(self) -> list[Hook]:
        """Those that are registered and were not removed."""
        return [hook for hook in self._ever() if not self._is_removed(hook.number)]

    def register(self, url: str, kinds: tuple[str, ...], by: str, now: int) -> Hook:
        """A new one; durable on return.

        Args:
            url: where messages go; whoever calls has checked it.
            kinds: of events.
            by: who registers it.
            now: UTC second.

        Raises:
            TooManyHooks: remove one first.
        """
        if len(self.all()) >= HOOKS_MAX:
            raise TooManyHooks(f"a community has at most {HOOKS_MAX} webhooks")
        secret = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        for number in range(1 + sum(1 for _ in self._ever()), HOOKS_EVER_MAX + 1):
            hook = Hook(number, url, kinds, now, by, SECRET_PREFIX + secret)
            # A note keeps its first value: of two that register at once, one gets the next number.
            self._database.take_note(_note(number), _encode(hook))
            if self._find(number) == hook:
                return hook
        raise TooManyHooks(f"a community registers {HOOKS_EVER_MAX} webhooks in its life")

    def remove(self, number: int) -> bool:
        """Tell one nothing any more; whether there was one."""
        if number > HOOKS_EVER_MAX or self._find(number) is None or self._is_removed(number):
            return False
        self._database.take_note(f"{_note(number)}/removed", b"1")
        return True

    def _ever(self) -> Iterator[Hook]:
        for number in range(1, HOOKS_EVER_MAX + 1):
            hook = self._find(number)
            if hook is None:
                return
            yield hook

    def _find(self, number: int) -> Hook | None:
        kept = self._database.note(_note(number))
        return None if kept is None else _decode(kept)

    def _is_removed(self, number: int) -> bool:
        return self._database.note(f"{_note(number)}/removed") is not None


def _note(number: int) -> str:
    return f"webhook/{number}"

"""Standing limits in force: what the community's file says, and what was set since.

The database has every change, so whichever node or worker takes a community over finds them there.
Memory only has each member's last one, brought up to date whenever somebody asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from threading import Lock
from typing import TypeAlias

from commonwatt.errors import require
from commonwatt.market.book import Limits, LimitsUnusable
from commonwatt.node.store import LimitChange, StandingLimits, TooManyChanges
from commonwatt.quantity import PRICE_PER_WH_MAX


class Unchangeable(Enum):
    """Why nothing was changed."""

    NOT_TAKEN = "the market's rule takes no limit prices"
    CHANGED_MEANWHILE = "the limits were changed since they were looked up"


@dataclass(frozen=True, slots=True)
class MemberLimits:
    """One member's limits, as they are for the open interval."""

    limits: Limits | None
    """None where the market's rule takes none."""
    change: LimitChange | None
    """The last one; None where the community's file was never departed from."""

    @property
    def number(self) -> int:
        """Of the last change; 0 for none."""
        return 0 if self.change is None else self.change.number


Changed: TypeAlias = MemberLimits | Unchangeable | TooManyChanges


class LimitsInForce:
    """All members'; any thread may ask."""

    def __init__(self, kept: StandingLimits, of_file: Sequence[Limits]) -> None:
        """Nothing is read yet.

        Args:
            kept: every change.
            of_file: by member, as the community's file has it; empty where the rule takes none.
        """
        self._kept, self._of_file = kept, tuple(of_file)
        self._last: dict[int, LimitChange] = {}
        self._known = 0
        """Number of the last change that memory knows."""
        self._lock = Lock()

    def all(self) -> tuple[Limits, ...]:
        """By member; empty where the rule takes none."""
        if not self._of_file:
            return ()
        self._look()
        return tuple(self._limits(member) for member in range(len(self._of_file)))

    def of(self, member: int) -> MemberLimits:
        """One member's."""
        if not self._of_file:
            return MemberLimits(None, None)
        self._look()
        return MemberLimits(self._limits(member), self._last.get(member))

    def changes(self, member: int, after: int, limit: int) -> list[LimitChange]:
        """Every change of a member's limits from a number on, at most `limit`."""
        return self._kept.changes(member, after, limit)

    def change(
        self, member: int, start: int, limits: Limits | None, by: str, seen: int | None
    ) -> Changed:
        """Set a member's limits, or go back to the community's file; durable on return.

        What is so already is not set again.

        Args:
            member: whose.
            start: the open interval's; no interval is concluded meanwhile.
            limits: in units per Wh; None for what the community's file says.
            by: who wants it.
            seen: number of the change that it is based on; None for whichever.

        Raises:
            LimitsUnusable: no clearing takes such prices.
            DatabaseUnusable: it may be tried again.
        """
        if not self._of_file:
            return Unchangeable.NOT_TAKEN
        if limits is not None:
            _require_usable(limits)
        before = self.of(member)
        if seen not in {None, before.number}:
            return Unchangeable.CHANGED_MEANWHILE
        said = None if before.change is None else before.change.limits
        if said == limits:
            return before
        added = self._kept.add(member, start, limits, by)
        return added if isinstance(added, TooManyChanges) else self.of(member)

    def _look(self) -> None:
        """Learn of changes since the last time."""
        with self._lock:
            for change in self._kept.last(self._known):
                require("limits are a member's", change.member < len(self._of_file), change=change)
                self._last[change.member] = change
                self._known = change.number

    def _limits(self, member: int) -> Limits:
        change = self._last.get(member)
        if change is None or change.limits is None:
            return self._of_file[member]
        return change.limits


def _require_usable(limits: Limits) -> None:
    """Raise `LimitsUnusable` for prices with which no interval could be closed any more."""
    if not 0 <= min(limits) <= max(limits) <= PRICE_PER_WH_MAX:
        raise LimitsUnusable(f"limit prices {tuple(limits)}: use 0 to {PRICE_PER_WH_MAX}")

"""The book: a pure state machine over actions, the specification of the registry.

Every action is authorised by the holder of the very units, or by the issuer where only the issuer
may (R11, R13); a refused action changes nothing. Rules R1 to R28 are in `docs/certificates.md`;
each check names the one it enforces.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from commonwatt.certificate import actions, devices, issuing, storing, using
from commonwatt.certificate.bundle import Bundle
from commonwatt.certificate.context import Context, Scheme
from commonwatt.certificate.draft import draft_of
from commonwatt.certificate.refusal import ActionRefused, refuse_unless
from commonwatt.certificate.state import State

_Act = Callable[[Context, Any], tuple[Bundle, ...] | None]
_ACTS: dict[type, _Act] = {
    actions.Admit: devices.admit,
    actions.Close: devices.close,
    actions.Hand: devices.hand,
    actions.Accept: devices.accept,
    actions.Replace: devices.exchange,
    actions.Issue: issuing.issue,
    actions.Correct: issuing.correct,
    actions.Transfer: using.transfer,
    actions.Reserve: using.reserve,
    actions.Release: using.release,
    actions.Take: using.take,
    actions.Retire: using.retire,
    actions.Claim: using.claim,
    actions.Consume: using.consume,
    actions.Revoke: using.revoke,
    actions.Border: using.border,
    actions.Withdraw: using.withdraw,
    actions.Reinstate: using.reinstate,
    actions.Export: using.export,
    actions.Restore: using.restore,
    actions.Charge: storing.charge,
    actions.Store: storing.store,
    actions.Discharge: storing.discharge,
}
TOGETHER_MAX = 100
"""Actions in one entry."""


class Book:
    """All certificates under one issuer, from the first entry to the last."""

    def __init__(self, scheme: Scheme) -> None:
        """Start empty, under rules fixed beforehand."""
        self.scheme, self.state = scheme, State()
        self.entries = 0
        """How many actions have been done."""
        self.now = 0
        """UTC second of the last one."""

    def act(self, action: actions.Action, actor: bytes, now: int) -> tuple[Bundle, ...]:
        """Do one action, or nothing of it.

        Args:
            action: what is wanted.
            actor: account that signed it, 20 bytes; whoever calls has checked the signature.
            now: UTC second, not before the last action's.

        Returns:
            The bundles that came of it, as they are now.

        Raises:
            ActionRefused: it would break a rule; the book is as it was.
        """
        if now < self.now:
            raise ActionRefused("R28", f"an entry at {now}, after one at {self.now}")
        context = Context(self.state, self.scheme, actor, now, self.entries)
        made = _do(context, action)
        self.entries, self.now = self.entries + 1, now
        return made


def _do(context: Context, action: actions.Action) -> tuple[Bundle, ...]:
    if isinstance(action, actions.Together):
        return _together(context, action)
    return _ACTS[type(action)](context, action) or ()


def _together(context: Context, action: actions.Together) -> tuple[Bundle, ...]:
    """R14: all or none. They are done in a draft first, so a refusal leaves the book as it was."""
    many = len(action.actions)
    few = 0 < many <= TOGETHER_MAX
    refuse_unless(few, "R14", f"{many} actions together: use 1 to {TOGETHER_MAX}")
    draft = replace(context, state=draft_of(context.state))
    for place, one in enumerate(action.actions, 1):
        try:
            _do(draft, one)
        except ActionRefused as refused:
            raise ActionRefused(refused.rule, f"{place} of {many}: {refused.why}") from None
    # The same actions on the same book: what the draft did, the book does.
    made = {bundle.number for one in action.actions for bundle in _do(context, one)}
    return tuple(context.state.bundles[number] for number in sorted(made))

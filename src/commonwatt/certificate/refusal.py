"""Why the book refuses an action."""

from commonwatt.errors import InputError


class ActionRefused(InputError):
    """An action that would break a rule; the book is as it was."""

    def __init__(self, rule: str, why: str) -> None:
        """Name the rule and the reason."""
        super().__init__(f"{why} ({rule})")
        self.rule, self.why = rule, why


def refuse_unless(holds: bool, rule: str, why: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise `ActionRefused` under this rule unless it is kept."""
    if not holds:
        raise ActionRefused(rule, why)

"""The entries of the log that made a bundle what it is."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from commonwatt.certificate.actions import (
    Action,
    Correct,
    Discharge,
    Export,
    Issue,
    Restore,
    Retire,
    Single,
    Together,
)
from commonwatt.certificate.bundle import Bundle
from commonwatt.certificate.log import Entry, read_line
from commonwatt.chain.account import checksum
from commonwatt.cli.book_run import OpenBook
from commonwatt.cli.certificate_words import moment, printable, short_meter

_ACCOUNTS = {"to": "to", "for_whom": "for", "beneficiary": "for"}
"""Fields that name an account, and the word before it."""
_TEXTS = ("purpose", "reason", "registry")


@dataclass(frozen=True, slots=True)
class Step:
    """One entry, as far as it is about a bundle."""

    number: int
    time: int
    actor: bytes
    action: Single

    @property
    def words(self) -> str:
        """The action for a person; what others wrote without anything a terminal would obey."""
        return printable(_words(self.action))

    def as_json(self) -> dict[str, object]:
        """The same as JSON."""
        return {
            "entry": self.number,
            "time": moment(self.time),
            "account": checksum(self.actor),
            **msgspec.to_builtins(self.action),
        }


def history_of(book: OpenBook, bundle: Bundle) -> list[Step]:
    """What issued a bundle's units and what was done with them since, in order.

    An action names a bundle: this one, or one that it was part of. Of a division both parts have
    the entry that made it, whichever of them went away.
    """
    line = {bundle.number}
    while (parent := book.state.bundles[min(line)].parent) is not None:
        line.add(parent)
    issued = book.state.issuances[bundle.origin].numbering(bundle.first).by
    messages: set[str] = set()
    steps = []
    for number, text in enumerate(book.store.lines(issued), issued):
        entry = read_line(text, number)
        for action in _single(entry.action):
            if isinstance(action, Export) and action.bundle in line:
                messages.add(action.message)
            by_message = isinstance(action, Restore) and action.message in messages
            if _is_issue(action, bundle) or by_message or getattr(action, "bundle", None) in line:
                steps.append(_step(entry, action))
    return steps


def _step(entry: Entry, action: Single) -> Step:
    return Step(entry.number, entry.time, bytes.fromhex(entry.actor), action)


def _single(action: Action) -> Iterator[Single]:
    if isinstance(action, Together):
        yield from action.actions
    else:
        yield action


def _is_issue(action: Single, bundle: Bundle) -> bool:
    """Whether an action is the issue of the bundle's interval, or a correction of it."""
    if not isinstance(action, Issue | Discharge | Correct):
        return False
    meter, start, duration = bundle.origin
    return (action.meter, action.start, action.duration) == (meter.hex(), start, duration)


def _words(action: Single) -> str:
    """One action on one line: what, how much, of what, to whom, why."""
    fields = {name: getattr(action, name) for name in action.__struct_fields__}
    parts = [str(type(action).__struct_config__.tag)]
    if "free_wh" in fields:
        parts.append(f"{fields['metered_wh']:,} Wh metered, {fields['free_wh']:,} Wh free")
    elif "given_wh" in fields:
        parts.append(f"{fields['wh']:,} Wh, {fields['given_wh']:,} Wh of them to the grid")
    elif "wh" in fields:
        parts.append(f"{fields['wh']:,} Wh")
    if fields.get("retired_wh"):
        parts[-1] += f", {fields['retired_wh']:,} Wh retired at once"
    if fields.get("stored"):
        parts[-1] += f", {sum(put.wh for put in fields['stored']):,} Wh put into storage"
    if "bundle" in fields:
        parts.append(f"of b{fields['bundle']}")
    parts += [
        f"{word} {checksum(bytes.fromhex(fields[name]))}"
        for name, word in _ACCOUNTS.items()
        if name in fields
    ]
    if fields.get("meter") and "bundle" in fields:
        parts.append(f"in {short_meter(bytes.fromhex(fields['meter']))}@{moment(fields['start'])}")
    said = [fields[name] for name in _TEXTS if name in fields]
    if isinstance(action, Retire) and action.meter:
        parts[-1] = f"used {parts[-1]}"
    return " ".join(parts) + "".join(f": {text}" for text in said)

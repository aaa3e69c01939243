"""TOML that a person likes to read, and that reads back as what was meant."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

Value: TypeAlias = str | int | bool | Sequence["Value"] | Mapping[str, "Value"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def value_text(value: object) -> str:
    """A value on one line.

    >>> value_text("Elm Row"), value_text([1, True]), value_text({"share": "1/2"})
    ('"Elm Row"', '[1, true]', '{ share = "1/2" }')
    """
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {value_text(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(value_text, value)) + "]"
    # JSON and TOML write numbers, booleans and texts alike, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def lines_of(values: Mapping[str, object], notes: Mapping[str, str] | None = None) -> list[str]:
    """A line for each value, with its note above it.

    >>> lines_of({"grace_s": 60}, {"grace_s": "Seconds after an interval's end."})
    ["# Seconds after an interval's end.", 'grace_s = 60']
    """
    lines = []
    for key, value in values.items():
        lines += [f"# {line}" for line in (notes or {}).get(key, "").splitlines()]
        lines.append(f"{_key(key)} = {value_text(value)}")
    return lines


def table_lines(name: str, values: Mapping[str, object]) -> list[str]:
    """A table, with the tables in it after its own values; an empty line before each.

    >>> table_lines("market", {"rule": "fixed_price", "members": [{"member": 0}]})
    ['', '[market]', 'rule = "fixed_price"', '', '[[market.members]]', 'member = 0']
    """
    return _part(name, f"[{name}]", values)


def entry_lines(name: str, values: Mapping[str, object]) -> list[str]:
    """One more entry of a list of tables; it may stand at the end of any file.

    >>> entry_lines("members", {"name": "no. 4"})
    ['', '[[members]]', 'name = "no. 4"']
    """
    return _part(name, f"[[{name}]]", values)


def _part(name: str, heading: str, values: Mapping[str, object]) -> list[str]:
    own = {key: value for key, value in values.items() if not _is_table(value)}
    lines = ["", heading, *lines_of(own)]
    for key, value in values.items():
        below = f"{name}.{_key(key)}"
        if isinstance(value, Mapping):
            lines += table_lines(below, value)
        elif _is_table(value) and isinstance(value, Iterable):
            for entry in value:
                lines += entry_lines(below, entry)
    return lines


def _is_table(value: object) -> bool:
    """Whether it is written as a table, or as a list of them."""
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(entry, Mapping) for entry in value)
    return isinstance(value, Mapping)


def _key(text: str) -> str:
    return text if _BARE.fullmatch(text) else value_text(text)

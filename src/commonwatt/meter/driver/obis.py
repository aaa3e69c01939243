"""OBIS codes (IEC 62056-61) of active energy, in the spellings that devices use.

`1-0:1.8.0`, `1-0:1.8.0*255`, `1-b:1.8.e`, `01-00:01.08.00.FF` and `1.8.0` all name the same
register: energy in, all tariffs, now. OCMF adds B0 to B3 and C0 to C3.
"""

import re
from dataclasses import dataclass
from enum import Enum

CODE_MAX = 30
_CODE = re.compile(
    r"(?:0?1-[0-9a-zA-Z]{1,3}:)?([0-9A-Ca-c]{1,2})\.([0-9]{1,2})\.([0-9a-zA-Z]{1,2})"
    r"(?:[*.&]([0-9a-zA-Z]{1,3}))?"
)
_ENERGY = "8"
"""Value group D: the time integral over active power since the meter began to count."""
_ALL_TARIFFS = frozenset({"0", "E"})
_NOW = frozenset({"", "255", "FF", "F"})
"""Value group F: the running value, not one stored at the end of a period."""


class Flow(Enum):
    """Which way the energy went, seen from the connection."""

    IMPORT = "in"
    EXPORT = "out"


class Scope(Enum):
    """Since when a register counts."""

    LIFETIME = "since the meter was built"
    SESSION = "since the charging session began"


@dataclass(frozen=True, slots=True, order=True)
class Register:
    """One register of active energy."""

    group: str
    """Value group C: 1 or 2, B0 to B3, C0 to C3."""
    tariff: int
    """0 for all tariffs together."""
    stored: str
    """Value group F where it is not the running value."""

    @property
    def flow(self) -> Flow:
        """Energy in for 1 and B, energy out for 2 and C."""
        return Flow.IMPORT if self.group[0] in "1B" else Flow.EXPORT

    @property
    def scope(self) -> Scope:
        """OCMF's B2, B3, C2 and C3 and stored values begin again with each session."""
        session = self.group[1:] in {"2", "3"} or self.stored
        return Scope.SESSION if session else Scope.LIFETIME


_GROUPS = frozenset({"1", "2", *(letter + digit for letter in "BC" for digit in "0123")})


def read_register(code: str) -> Register | None:
    """The register of active energy that a code names, or None for any other quantity.

    >>> read_register("01-00:01.08.00.FF").flow.value, read_register("1-0:31.7.0")
    ('in', None)
    """
    found = _CODE.fullmatch(code) if len(code) <= CODE_MAX else None
    if found is None:
        return None
    group, quantity, tariff, stored = (part.upper() for part in found.groups(default=""))
    group, quantity = group.lstrip("0"), quantity.lstrip("0")
    tariff, stored = tariff.lstrip("0") or "0", "" if stored in _NOW else stored
    if group not in _GROUPS or quantity != _ENERGY:
        return None
    if tariff in _ALL_TARIFFS:
        return Register(group, 0, stored)
    return Register(group, int(tariff), stored) if tariff.isdecimal() else None

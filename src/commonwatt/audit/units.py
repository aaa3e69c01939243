"""Where the units on a chain are: their movements, followed one after the other."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from commonwatt.audit.facts import Act, Escrow, Movement
from commonwatt.certificate.bundle import Origin
from commonwatt.errors import require

HELD, ESCROWED, RETIRED, WITHDRAWN, EXPORTED = (
    "held",
    "escrowed",
    "retired",
    "withdrawn",
    "exported",
)
STATES = (HELD, ESCROWED, RETIRED, WITHDRAWN, EXPORTED)
"""What a unit can be; issued is the sum of them."""


class Place(NamedTuple):
    """Where units are."""

    state: str
    """One of `STATES`."""
    holder: bytes
    """Whose they are; of ended ones, whose they were."""
    escrow: Escrow | None = None


@dataclass(slots=True)
class Units:
    """The units of one certificate."""

    origin: Origin
    issued_wh: int = 0
    places: Counter[Place] = field(default_factory=Counter)
    history: list[Movement] = field(default_factory=list)


def units_of(movements: Iterable[Movement], escrows: Mapping[bytes, Escrow]) -> list[Units]:
    """Every certificate with the places of its units, by meter and interval.

    Raises:
        InvariantBroken: units came from where there were none, or are not all somewhere.
    """
    found: dict[Origin, Units] = {}
    exporters: dict[bytes, bytes] = {}
    for m in movements:
        origin = Origin(m.meter, m.start, m.duration)
        units = found.setdefault(origin, Units(origin))
        units.history.append(m)
        source, target = _ends(m, escrows, exporters)
        if source is not None:
            units.places[source] -= m.wh
            require("units leave where they are", units.places[source] >= 0, origin=origin)
        if target is not None:
            units.places[target] += m.wh
        if m.act is Act.ISSUED:
            units.issued_wh += m.wh
    for units in found.values():
        units.places = +units.places
        whole = units.places.total() == units.issued_wh
        require("every issued unit is in one place", whole, origin=units.origin)
    return [found[origin] for origin in sorted(found)]


def _ends(
    m: Movement, escrows: Mapping[bytes, Escrow], exporters: dict[bytes, bytes]
) -> tuple[Place | None, Place | None]:
    """From which place to which a movement takes its units; None: from or to no place."""

    def held(account: bytes | None) -> Place | None:
        if account is None:
            return None
        escrow = escrows.get(account)
        return Place(HELD, account) if escrow is None else Place(ESCROWED, escrow.holder, escrow)

    giver, taker = held(m.giver), held(m.taker)
    if giver is not None and m.act in _ENDS:
        if m.act is Act.EXPORTED:
            exporters[m.words] = giver.holder
        return giver, Place(_ENDS[m.act], giver.holder)
    if taker is not None and m.act is Act.REINSTATED:
        return Place(RETIRED, taker.holder), taker
    if taker is not None and m.act is Act.RESTORED:
        return Place(EXPORTED, exporters.get(m.words, taker.holder)), taker
    return giver, taker


_ENDS = {Act.RETIRED: RETIRED, Act.WITHDRAWN: WITHDRAWN, Act.EXPORTED: EXPORTED}

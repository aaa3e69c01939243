"""Where the units of certificates are: the chain's events, followed one after the other."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from commonwatt.audit.facts import Act, Escrow, Movement
from commonwatt.chain.abi import contract
from commonwatt.chain.ledger import Ledger
from commonwatt.chain.production import TokenId
from commonwatt.chain.unit_events import UnitEvents
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


class Happened(NamedTuple):
    """One movement of units, and the transaction that made it."""

    movement: Movement
    transaction: bytes
    block: int


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

    token: TokenId
    issued_wh: int = 0
    places: Counter[Place] = field(default_factory=Counter)
    history: list[Happened] = field(default_factory=list)


def read_history(
    ledger: Ledger, meters: Container[bytes]
) -> tuple[list[Happened], Mapping[bytes, Escrow]]:
    """All that happened to units of some meters, in order, and the escrows they were in."""
    events = UnitEvents(meters)
    known = contract("Certificate").topics
    readers = {known[name]: read for name, read in events.readers().items()}
    at = "0x" + ledger.addresses.certificate.hex()
    happened: list[Happened] = []
    for log in ledger.connection.logs(at, [list(readers)]):
        readers[log.topics[0]](log)
        new = events.movements[len(happened) :]
        happened += [Happened(movement, log.tx_hash, log.block_number) for movement in new]
    return happened, events.used_escrows()


def units_of(happened: Iterable[Happened], escrows: Mapping[bytes, Escrow]) -> list[Units]:
    """Every certificate with the places of its units, by meter and interval.

    Raises:
        InvariantBroken: units came from where there were none, or are not all somewhere.
    """
    found: dict[TokenId, Units] = {}
    exporters: dict[bytes, bytes] = {}
    for entry in happened:
        m = entry.movement
        token = TokenId(m.meter, m.start, m.duration)
        units = found.setdefault(token, Units(token))
        units.history.append(entry)
        source, target = _ends(m, escrows, exporters)
        if source is not None:
            units.places[source] -= m.wh
            require("units leave where they are", units.places[source] >= 0, token=token)
        if target is not None:
            units.places[target] += m.wh
        if m.act is Act.ISSUED:
            units.issued_wh += m.wh
    for units in found.values():
        units.places = +units.places
        whole = units.places.total() == units.issued_wh
        require("every issued unit is in one place", whole, token=units.token)
    return [found[token] for token in sorted(found)]


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

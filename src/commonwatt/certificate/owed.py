"""What producers owe in certificates: a correction found less than was issued (R10).

What was issued is not taken back by a statement: it may be sold, or retired in good faith. The
producer's next certificates pay for it, as far as they are free.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from commonwatt.certificate.lots import draw
from commonwatt.meter.acceptance import Late
from commonwatt.meter.registration import Registration, Role

Owed: TypeAlias = Mapping[int, int]
"""Wh by member; nobody who owes nothing."""


def owed_after(
    owed: Owed, late: Iterable[Late], registrations: Mapping[bytes, Registration]
) -> dict[int, int]:
    """What each member owes once records are corrected.

    Of an interval was issued the smaller of what a home's generators made and what its connections
    gave, so no more is missing than the greater of what either lost. A correction upwards pays
    nothing: whether more could have been issued is the issuer's to say.
    """
    made: dict[tuple[int, int], int] = {}
    given: dict[tuple[int, int], int] = {}
    for verdict in late:
        if verdict.corrects is None:
            continue
        registration = registrations[verdict.record.meter]
        home = registration.member, verdict.record.time_end
        if registration.role is Role.GENERATION:
            made[home] = made.get(home, 0) + verdict.export_wh
        elif registration.role is Role.GRID:
            given[home] = given.get(home, 0) + verdict.export_wh - verdict.import_wh
    after = dict(owed)
    for home in made.keys() | given.keys():
        missing = -min(made.get(home, 0), given.get(home, 0), 0)
        if missing:
            after[home[0]] = after.get(home[0], 0) + missing
    return after


def withhold(owed: dict[int, int], member: int, free: list[int]) -> list[int]:
    """What is left of a member's free units, in Wh, once it has paid what it owes.

    `owed` is left as that leaves it.
    """
    paid = draw(free, owed.get(member, 0))
    left = owed.pop(member, 0) - sum(paid)
    if left:
        owed[member] = left
    return [wh - part for wh, part in zip(free, paid, strict=True)]

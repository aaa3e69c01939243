"""A member's figures, from its own published lines and nothing else.

One line is one closed interval. What is counted from lines in order is the same after every
restart, so a total never falls: there is nothing in it that a restart could forget.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from commonwatt.certificate.score import Calendar
from commonwatt.errors import require
from commonwatt.quantity import WH_PER_KWH, Currency, decimal_text, time_text
from commonwatt.settlement.account import Position
from commonwatt.settlement.adjustment import Adjustment
from commonwatt.statement.header import Header, HeaderUnreadable
from commonwatt.statement.leaves import PositionLeaf, Section, read_adjustment
from commonwatt.statement.proof import Proof, ProofUnreadable, read_proof

_PERCENT_PLACES = 2


@dataclass(frozen=True, slots=True)
class Told:
    """What one line says."""

    start: int
    """UTC second."""
    end: int
    anchor: str
    position: Position
    green_wh: int
    local_price: int
    """Units per Wh; 0 where nothing was traded."""
    retail: int
    late_import_wh: int = 0
    """Of intervals before, and never counted until now; below zero where a correction says less."""
    late_export_wh: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """A member's figures after so many intervals."""

    until: int
    """UTC second at which the last counted interval ended."""
    anchor: str = ""
    """The last counted interval's; empty before the first."""
    import_wh: int = 0
    export_wh: int = 0
    from_neighbours_wh: int = 0
    to_neighbours_wh: int = 0
    less_import_wh: int = 0
    """Taken back by corrections and not made up for since: what comes next is not shown so far."""
    less_export_wh: int = 0
    day: int = 0
    """UTC second at which the local day of the last interval began."""
    earned: int = 0
    """On this day, in units: for what was sold, to neighbours and supplier."""
    bill: int = 0
    """On this day, in units: all that was paid, less what was earned."""
    day_import_wh: int = 0
    day_green_wh: int = 0
    local_price: int = 0
    retail: int = 0


def read_line(line: bytes) -> Told:
    """One line of a member's file; raises `ProofUnreadable` for anything else."""
    proof = read_proof(line)
    try:
        leaf, header = _position_of(proof), Header.decode(bytes.fromhex(proof.header))
        late = [one for one in _adjustments_of(proof) if one.was_never_settled]
    except (ValueError, struct.error, HeaderUnreadable) as error:
        raise ProofUnreadable(f"a member's line that says nothing of it: {error}") from None
    return Told(
        start=header.start,
        end=header.start + header.duration,
        anchor=proof.anchor,
        position=leaf.position,
        green_wh=leaf.green_wh,
        local_price=header.local_price,
        retail=header.retail,
        late_import_wh=sum(one.import_wh for one in late),
        late_export_wh=sum(one.export_wh for one in late),
    )


def _adjustments_of(proof: Proof) -> Iterator[Adjustment]:
    for entry in proof.leaves:
        if entry.section == Section.ADJUSTMENTS.label:
            yield read_adjustment(bytes.fromhex(entry.leaf))


def _position_of(proof: Proof) -> PositionLeaf:
    for entry in proof.leaves:
        if entry.section == Section.POSITIONS.label:
            return PositionLeaf.decode(bytes.fromhex(entry.leaf))
    raise ProofUnreadable("no position in a member's line")


def count(totals: Totals, lines: Iterable[Told], calendar: Calendar) -> Totals:
    """Figures after more intervals; those that are counted already change nothing."""
    for told in lines:
        if told.start >= totals.until:
            totals = _counted(totals, told, calendar)
    return totals


def _counted(before: Totals, told: Told, calendar: Calendar) -> Totals:
    day = _day_of(told.start, calendar)
    if day != before.day:
        before = replace(before, day=day, earned=0, bill=0, day_import_wh=0, day_green_wh=0)
    position = told.position
    taken = position.imported_wh + told.late_import_wh - before.less_import_wh
    given = position.exported_wh + told.late_export_wh - before.less_export_wh
    after = Totals(
        until=told.end,
        anchor=told.anchor,
        import_wh=before.import_wh + max(taken, 0),
        export_wh=before.export_wh + max(given, 0),
        less_import_wh=max(-taken, 0),
        less_export_wh=max(-given, 0),
        from_neighbours_wh=before.from_neighbours_wh + position.bought_local_wh,
        to_neighbours_wh=before.to_neighbours_wh + position.sold_local_wh,
        day=day,
        earned=before.earned + position.local_income + position.supplier_income,
        bill=before.bill + position.bill,
        day_import_wh=before.day_import_wh + position.imported_wh,
        day_green_wh=before.day_green_wh + told.green_wh,
        local_price=told.local_price,
        retail=told.retail,
    )
    for name in ("import_wh", "export_wh", "from_neighbours_wh", "to_neighbours_wh"):
        grown = getattr(after, name) >= getattr(before, name)
        require("totals only grow", grown, total=name, start=told.start)
    return after


def _day_of(start: int, calendar: Calendar) -> int:
    """UTC second at which the local day began in which an interval starts."""
    return calendar.midnight(datetime.fromtimestamp(start, UTC).astimezone(calendar.zone).date())


def figures_of(totals: Totals, currency: Currency, score: str | None) -> dict[str, str | None]:
    """By sensor its figure as a decimal string; None where there is nothing to say.

    Args:
        totals: the member's.
        currency: of amounts and prices.
        score: the hourly score in percent, if there is one.
    """
    return {
        "import": _kwh(totals.import_wh),
        "export": _kwh(totals.export_wh),
        "from_neighbours": _kwh(totals.from_neighbours_wh),
        "to_neighbours": _kwh(totals.to_neighbours_wh),
        "price_now": currency.price_text(totals.local_price or totals.retail),
        "price_next": currency.price_text(totals.retail),
        "earned_today": currency.amount_text(totals.earned),
        "bill_today": currency.amount_text(totals.bill),
        "green_share": percent_text(totals.day_green_wh, totals.day_import_wh),
        "hourly_score": score,
    }


def percent_text(part: int, whole: int) -> str | None:
    """A part in percent with two decimals, cut off; None of nothing.

    >>> percent_text(2, 3), percent_text(0, 0)
    ('66.66', None)
    """
    if not whole:
        return None
    return decimal_text(part * 100 * 10**_PERCENT_PLACES // whole, _PERCENT_PLACES)


def reset_text(totals: Totals) -> str:
    """When the local day began, ISO 8601 in UTC."""
    return time_text(totals.day)


def _kwh(wh: int) -> str:
    return decimal_text(wh, len(str(WH_PER_KWH)) - 1)

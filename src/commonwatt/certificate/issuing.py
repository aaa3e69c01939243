"""How units come into the book: issued from a statement, corrected, and debts settled."""

from dataclasses import dataclass, replace

from commonwatt.certificate.actions import Correct, Issue
from commonwatt.certificate.bundle import Bundle, Origin, Status
from commonwatt.certificate.charging import Room, put_into, room_for
from commonwatt.certificate.context import Context, digest_of
from commonwatt.certificate.refusal import ActionRefused, refuse_unless
from commonwatt.certificate.state import ISSUED, Device, Issuance, Link, Numbering, State
from commonwatt.meter.acceptance import within_capacity
from commonwatt.quantity import MWH_PER_WH


@dataclass(frozen=True, slots=True)
class Found:
    """What a reading leads to, in Wh, before any debt is paid."""

    metered_wh: int
    retired_wh: int
    free_wh: int
    record: bytes
    """SHA-256 of the reading."""
    stored: tuple[tuple[Room, int], ...] = ()
    """Charges, and what goes into each."""
    own_wh: int = 0
    links: tuple[Link, ...] = ()


def issue(context: Context, action: Issue) -> tuple[Bundle, ...]:
    """R1 to R4, R6, R7, R10, R11, R24: what a statement says of one meter and interval, once."""
    context.require_issuer()
    device = context.device(action.meter)
    origin = context.interval(action.meter, action.start, action.duration)
    refuse_unless(not device.storage_permille, "R25", "storage generates nothing: see discharge")
    context.require_in_service(device, origin)
    refuse_unless(context.state.is_free(ISSUED, origin), "R3", "the interval is issued already")
    _require_energy(device, origin, action)
    found = Found(
        metered_wh=action.metered_wh,
        retired_wh=action.retired_wh,
        free_wh=action.free_wh,
        record=digest_of(action.record),
        stored=_rooms(context, context.state.plant_of(device), origin, action),
    )
    return record_issuance(context, device, origin, found)


def _rooms(
    context: Context, plant: Device, origin: Origin, action: Issue
) -> tuple[tuple[Room, int], ...]:
    """R24: charges of the very interval, each named once, with room for what goes in."""
    meters = {put.meter for put in action.stored}
    refuse_unless(len(meters) == len(action.stored), "R24", "name each storage device once")
    return tuple(
        (
            room_for(
                context, origin, plant.owner, put.wh,
                meter=put.meter, start=origin.start, duration=origin.duration,
            ),
            put.wh,
        )
        for put in action.stored
    )  # fmt: skip


def record_issuance(
    context: Context, device: Device, origin: Origin, found: Found
) -> tuple[Bundle, ...]:
    """Number the units of an interval: retired ones, then stored ones, then the first holder's.

    A device in debt issues less to its holder until the debt is paid (R10).
    """
    state, plant, by = context.state, context.state.plant_of(device), context.number
    withheld = min(plant.debt_wh, found.free_wh)
    state.devices[plant.meter] = replace(plant, debt_wh=plant.debt_wh - withheld)
    stored = sum(wh for _, wh in found.stored)
    state.occupy(ISSUED, origin)
    issuance = Issuance(
        origin=origin,
        owner=plant.owner,
        by=by,
        metered_wh=found.metered_wh,
        retired_wh=found.retired_wh,
        stored_wh=stored,
        free_wh=found.free_wh,
        own_wh=found.own_wh,
        issued_wh=found.retired_wh + stored + found.free_wh - withheld,
        withheld_wh=withheld,
        owed_wh=0,
        record=found.record,
        links=found.links,
    )
    state.issuances[origin] = issuance
    made, at = [], 0
    if found.retired_wh:
        at = found.retired_wh
        made.append(state.add(origin, 0, at, plant.owner, Status.RETIRED, by))
    for room, wh in found.stored:
        bundle = state.add(origin, at, at + wh, plant.owner, Status.STORED, by)
        put_into(context, room, bundle)
        made.append(bundle)
        at = bundle.end
    if at < issuance.issued_wh:
        made.append(state.add(origin, at, issuance.issued_wh, plant.owner, Status.ACTIVE, by))
    return tuple(made)


def correct(context: Context, action: Correct) -> tuple[Bundle, ...]:
    """R10: a corrected reading adds, or withdraws what its first holder still has, or is owed.

    It refers to the reading it corrects; said again it changes nothing. What was retired in good
    faith or put into storage stays. What is gone already is the device's debt.
    """
    context.require_issuer()
    device, record = context.device(action.meter), digest_of(action.record)
    origin = context.interval(action.meter, action.start, action.duration)
    found = context.state.issuances.get(origin)
    if found is None:
        raise ActionRefused("R10", "there is nothing to correct: issue it")
    # What was retired or stored at issue stays, even where the correction leaves less than that.
    free = min(action.free_wh, action.metered_wh - found.retired_wh - found.stored_wh)
    if record == found.record:
        same = (action.metered_wh, free) == (found.metered_wh, found.free_wh)
        refuse_unless(same, "R10", "this very record said otherwise before")
        return ()
    refuse_unless(
        digest_of(action.corrects) == found.record,
        "R10",
        "it corrects another than the last record",
    )
    refuse_unless(not device.storage_permille, "R24", "discharges are corrected with their charges")
    plausible = action.metered_wh >= 0 and _is_plausible(device, origin, action.metered_wh)
    refuse_unless(plausible, "R7", f"{action.metered_wh} Wh is not what this device can make")
    refuse_unless(
        0 <= action.free_wh <= action.metered_wh, "R1", f"{action.free_wh} Wh free of what was made"
    )
    changed = replace(found, metered_wh=action.metered_wh, free_wh=free, record=record)
    change, plant = free - found.free_wh, context.state.plant_of(device)
    if change >= 0:
        return _add(context, plant, changed, change)
    return _take_back(context, plant, changed, -change)


def _add(context: Context, plant: Device, issuance: Issuance, wh: int) -> tuple[Bundle, ...]:
    """Number more units for whom the device belongs to now, as far as it owes nothing."""
    state, origin = context.state, issuance.origin
    paid = min(plant.debt_wh, wh)
    # What this very interval owed is not owed twice.
    settled = min(issuance.owed_wh, paid)
    first, end = issuance.issued_wh, issuance.issued_wh + wh - paid
    numbered = (Numbering(first, plant.owner, context.number),) if first < end else ()
    state.devices[plant.meter] = replace(plant, debt_wh=plant.debt_wh - paid)
    state.issuances[origin] = replace(
        issuance,
        issued_wh=end,
        withheld_wh=issuance.withheld_wh + paid - settled,
        owed_wh=issuance.owed_wh - settled,
        added=issuance.added + numbered,
    )
    if first == end:
        return ()
    return (state.add(origin, first, end, plant.owner, Status.ACTIVE, context.number),)


def _take_back(context: Context, plant: Device, issuance: Issuance, wh: int) -> tuple[Bundle, ...]:
    """Withdraw what its first holders still have, highest numbers first; the rest is owed."""
    state, left = context.state, wh
    # Units that were withheld for a debt were never issued: they go first, and the debt is back.
    returned = min(issuance.withheld_wh, left)
    left -= returned
    # What the issuer withdrew without a correction is back already: it is not owed once more.
    left -= min(_unreckoned_wh(state, issuance, wh), left)
    taken = []
    parts = sorted(state.parts_of(issuance.origin), key=lambda bundle: -bundle.first)
    for bundle in parts:
        first_holder = issuance.numbering(bundle.first).owner
        mine = bundle.holder == first_holder and bundle.status is Status.ACTIVE
        if not left or not mine:
            continue
        last = state.cut_end(bundle, min(left, bundle.wh), context.number)
        taken.append(state.turn(last, Status.WITHDRAWN, context.number))
        left -= last.wh
    state.devices[plant.meter] = replace(plant, debt_wh=plant.debt_wh + returned + left)
    state.issuances[issuance.origin] = replace(
        issuance,
        withheld_wh=issuance.withheld_wh - returned,
        owed_wh=issuance.owed_wh + left,
    )
    return tuple(taken)


def _unreckoned_wh(state: State, issuance: Issuance, less_wh: int) -> int:
    """Units withdrawn that no correction has counted; `less_wh` is how much the last one found."""
    parts = state.parts_of(issuance.origin)
    withdrawn = sum(bundle.wh for bundle in parts if bundle.status is Status.WITHDRAWN)
    found = issuance.found_wh + less_wh
    return withdrawn - (issuance.issued_wh + issuance.withheld_wh - issuance.owed_wh - found)


def settle(context: Context, origin: Origin, wh: int) -> None:
    """R10: what was owed for units is not owed any more once the issuer has withdrawn them."""
    state = context.state
    issuance, plant = state.issuances[origin], state.plant_of(state.devices[origin.meter])
    settled = min(wh, issuance.owed_wh, plant.debt_wh)
    state.devices[plant.meter] = replace(plant, debt_wh=plant.debt_wh - settled)
    state.issuances[origin] = replace(issuance, owed_wh=issuance.owed_wh - settled)


def _require_energy(device: Device, origin: Origin, action: Issue) -> None:
    """R1, R7: something, nothing below zero, within what was metered and what the device can do."""
    below = min(action.metered_wh, action.retired_wh, action.free_wh) < 0
    refuse_unless(not below, "R7", "energy below zero")
    stored = [put.wh for put in action.stored]
    refuse_unless(min(stored, default=1) > 0, "R7", "nothing is put into storage: leave it out")
    parts = action.retired_wh + sum(stored) + action.free_wh
    refuse_unless(parts > 0, "R7", "nothing is issued for nothing")
    metered = action.metered_wh
    refuse_unless(parts <= metered, "R1", f"{parts} Wh of {metered} metered: never more than that")
    refuse_unless(
        _is_plausible(device, origin, metered),
        "R7",
        f"{metered} Wh in {origin.duration} s is more than {device.rated_w} W can make",
    )


def _is_plausible(device: Device, origin: Origin, wh: int) -> bool:
    return within_capacity(wh * MWH_PER_WH, device.rated_w, origin.duration)

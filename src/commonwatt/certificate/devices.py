"""Devices, and how units come into the book: issuing and correcting."""

from dataclasses import replace

from commonwatt.certificate.actions import Admit, Close, Correct, Issue
from commonwatt.certificate.bundle import Bundle, Origin, Status
from commonwatt.certificate.context import Context, account_of, digest_of, meter_of
from commonwatt.certificate.refusal import ActionRefused, refuse_unless
from commonwatt.certificate.state import Device, Issuance, Link, State
from commonwatt.meter.acceptance import within_capacity
from commonwatt.meter.registration import RATED_W_MAX, ZONE_BYTES
from commonwatt.quantity import MWH_PER_WH

ISSUED, CHARGED, CONSUMED = "issued", "charged", "consumed"
"""Kinds of intervals; within one kind and meter none overlaps another (R3)."""
PERMILLE = 1_000


def admit(context: Context, action: Admit) -> None:
    """R11, R12: the issuer admits one physical meter as one device, once."""
    context.require_issuer()
    meter, owner = meter_of(action.meter), account_of(action.owner)
    refuse_unless(meter not in context.state.devices, "R12", "this meter is a device already")
    refuse_unless(0 < action.rated_w <= RATED_W_MAX, "R7", f"a rated power of {action.rated_w} W")
    zone = action.zone
    named = zone.isascii() and zone.isprintable() and 0 < len(zone) <= ZONE_BYTES
    refuse_unless(named, "R21", f"zone {zone!r:.40}: use 1 to {ZONE_BYTES} printable characters")
    permille = action.storage_permille
    refuse_unless(0 <= permille <= PERMILLE, "R24", f"an efficiency of {permille} of a thousand")
    one_kind = (action.source == 0) == (permille > 0)
    refuse_unless(one_kind, "R8", "a device generates or stores, not both and not neither")
    context.state.devices[meter] = Device(
        meter=meter,
        owner=owner,
        source=action.source,
        rated_w=action.rated_w,
        zone=zone,
        first_start=action.first_start,
        support=action.support,
        storage_permille=permille,
    )


def close(context: Context, action: Close) -> None:
    """R4: the issuer takes a device out of service; its open debt stays on it, for all to see."""
    context.require_issuer()
    device = context.device(action.meter)
    refuse_unless(device.closed_from is None, "R17", "the device is out of service already")
    for kind in (ISSUED, CHARGED):
        taken = context.state.spans.get((kind, device.meter), [])
        later = bool(taken) and taken[-1].end > action.from_start
        refuse_unless(not later, "R17", f"a later interval is {kind} already")
    context.state.devices[device.meter] = replace(device, closed_from=action.from_start)


def issue(context: Context, action: Issue) -> tuple[Bundle, ...]:
    """R1 to R4, R6, R7, R10, R11: what a statement says of one meter and interval, once."""
    context.require_issuer()
    device = context.device(action.meter)
    origin = context.interval(action.meter, action.start, action.duration)
    refuse_unless(not device.storage_permille, "R25", "storage generates nothing: see discharge")
    context.require_in_service(device, origin)
    refuse_unless(context.state.is_free(ISSUED, origin), "R3", "the interval is issued already")
    _require_energy(device, origin, action.metered_wh, action.retired_wh, action.free_wh)
    return record_issuance(
        context,
        device,
        origin,
        metered_wh=action.metered_wh,
        retired_wh=action.retired_wh,
        free_wh=action.free_wh,
        record=digest_of(action.record),
    )


def record_issuance(
    context: Context,
    device: Device,
    origin: Origin,
    *,
    metered_wh: int,
    retired_wh: int,
    free_wh: int,
    record: bytes,
    links: tuple[Link, ...] = (),
) -> tuple[Bundle, ...]:
    """Number the units of an interval: the retired ones first, then those of the first holder.

    A device in debt issues less until the debt is paid (R10).
    """
    state = context.state
    withheld = min(device.debt_wh, free_wh)
    issued = retired_wh + free_wh - withheld
    state.devices[device.meter] = replace(device, debt_wh=device.debt_wh - withheld)
    state.occupy(ISSUED, origin)
    state.issuances[origin] = Issuance(
        origin=origin,
        owner=device.owner,
        metered_wh=metered_wh,
        retired_wh=retired_wh,
        free_wh=free_wh,
        issued_wh=issued,
        withheld_wh=withheld,
        owed_wh=0,
        record=record,
        links=links,
    )
    made = []
    for first, end, status in (
        (0, retired_wh, Status.RETIRED),
        (retired_wh, issued, Status.ACTIVE),
    ):
        if first < end:
            made.append(state.add(origin, first, end, device.owner, status, context.number))
    return tuple(made)


def correct(context: Context, action: Correct) -> tuple[Bundle, ...]:
    """R10: a corrected reading adds, or withdraws what its first holder still has, or is owed.

    It refers to the reading it corrects; said again it changes nothing. What was retired in good
    faith stays. What is gone already is the device's debt.
    """
    context.require_issuer()
    device, record = context.device(action.meter), digest_of(action.record)
    origin = context.interval(action.meter, action.start, action.duration)
    found = context.state.issuances.get(origin)
    if found is None:
        raise ActionRefused("R10", "there is nothing to correct: issue it")
    # What was retired within the community stays, even where the correction leaves less than that.
    free = min(action.free_wh, action.metered_wh - found.retired_wh)
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
    change = free - found.free_wh
    if change >= 0:
        return _add(context, device, changed, change)
    return _take_back(context, device, changed, -change)


def _add(context: Context, device: Device, issuance: Issuance, wh: int) -> tuple[Bundle, ...]:
    """Number more units, as far as the device owes nothing."""
    state, origin = context.state, issuance.origin
    paid = min(device.debt_wh, wh)
    # What this very interval owed is not owed twice.
    settled = min(issuance.owed_wh, paid)
    end = issuance.issued_wh + wh - paid
    state.devices[device.meter] = replace(device, debt_wh=device.debt_wh - paid)
    state.issuances[origin] = replace(
        issuance,
        issued_wh=end,
        withheld_wh=issuance.withheld_wh + paid - settled,
        owed_wh=issuance.owed_wh - settled,
    )
    if end == issuance.issued_wh:
        return ()
    return (
        state.add(origin, issuance.issued_wh, end, issuance.owner, Status.ACTIVE, context.number),
    )


def _take_back(context: Context, device: Device, issuance: Issuance, wh: int) -> tuple[Bundle, ...]:
    """Withdraw what the first holder still has, highest numbers first; the rest is owed."""
    state, left = context.state, wh
    # Units that were withheld for a debt were never issued: they go first, and the debt is back.
    returned = min(issuance.withheld_wh, left)
    left -= returned
    # What the issuer withdrew without a correction is back already: it is not owed once more.
    left -= min(_unreckoned_wh(state, issuance, wh), left)
    taken = []
    parts = sorted(state.parts_of(issuance.origin), key=lambda bundle: -bundle.first)
    for bundle in parts:
        mine = bundle.holder == issuance.owner and bundle.status is Status.ACTIVE
        if not left or not mine:
            continue
        last = state.cut_end(bundle, min(left, bundle.wh), context.number)
        taken.append(state.turn(last, Status.WITHDRAWN, context.number))
        left -= last.wh
    state.devices[device.meter] = replace(device, debt_wh=device.debt_wh + returned + left)
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
    found = issuance.retired_wh + issuance.free_wh + less_wh
    return withdrawn - (issuance.issued_wh + issuance.withheld_wh - issuance.owed_wh - found)


def settle(context: Context, origin: Origin, wh: int) -> None:
    """R10: what was owed for units is not owed any more once the issuer has withdrawn them."""
    state = context.state
    issuance, device = state.issuances[origin], state.devices[origin.meter]
    settled = min(wh, issuance.owed_wh, device.debt_wh)
    state.issuances[origin] = replace(issuance, owed_wh=issuance.owed_wh - settled)
    state.devices[origin.meter] = replace(device, debt_wh=device.debt_wh - settled)


def _require_energy(
    device: Device, origin: Origin, metered_wh: int, retired_wh: int, free_wh: int
) -> None:
    """R1, R7: never more than was metered, nor than the device can make; something at all."""
    refuse_unless(min(metered_wh, retired_wh, free_wh) >= 0, "R7", "energy below zero")
    refuse_unless(retired_wh + free_wh > 0, "R7", "nothing is issued for nothing")
    refuse_unless(
        retired_wh + free_wh <= metered_wh,
        "R1",
        f"{retired_wh + free_wh} Wh of {metered_wh} metered: never more than that",
    )
    refuse_unless(
        _is_plausible(device, origin, metered_wh),
        "R7",
        f"{metered_wh} Wh in {origin.duration} s is more than {device.rated_w} W can make",
    )


def _is_plausible(device: Device, origin: Origin, wh: int) -> bool:
    return within_capacity(wh * MWH_PER_WH, device.rated_w, origin.duration)

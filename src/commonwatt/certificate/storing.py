"""Storage: certificates put into a charge, and those of what comes out again (R24, R25).

First in, first out: a discharge draws on the oldest charge that ended before it began and has
something left. What was put in comes out less losses, at the efficiency published when the device
was admitted; energy that was charged without certificates is never green.
"""

from bisect import bisect_left
from dataclasses import replace

from commonwatt.certificate import actions
from commonwatt.certificate.bundle import Bundle, Origin, Status
from commonwatt.certificate.context import Context, digest_of
from commonwatt.certificate.devices import (
    CHARGED,
    CONSUMED,
    ISSUED,
    PERMILLE,
    record_issuance,
)
from commonwatt.certificate.refusal import ActionRefused, refuse_unless
from commonwatt.certificate.state import Charge, Device, Link
from commonwatt.meter.acceptance import within_capacity
from commonwatt.quantity import MWH_PER_WH


def charge(context: Context, action: actions.Charge) -> None:
    """R24: what a storage device took in within an interval, known once."""
    context.require_issuer()
    device = _storage(context, action.meter)
    origin = context.interval(action.meter, action.start, action.duration)
    context.require_in_service(device, origin)
    consumed = not context.state.is_free(CONSUMED, origin)
    refuse_unless(not consumed, "R24", "this was consumed, not put into storage")
    _require_energy(device, action.wh, action.duration)
    charges = context.state.charges.get(device.meter, [])
    in_order = not charges or charges[-1].origin.end <= origin.start
    refuse_unless(in_order, "R24", "charges come once, in order of time: first in, first out")
    context.state.occupy(CHARGED, origin)
    context.state.charges.setdefault(device.meter, []).append(Charge(origin, action.wh))


def store(context: Context, action: actions.Store) -> tuple[Bundle, ...]:
    """R24: units of the charge's interval and zone, as many as were charged, are put into it."""
    bundle, device = context.own_units(action.bundle, action.wh), _storage(context, action.meter)
    refuse_unless(bundle.holder == device.owner, "R13", "the storage device is another's")
    charges = context.state.charges.get(device.meter, [])
    wanted, origin = Origin(device.meter, action.start, action.duration), bundle.origin
    at = bisect_left(charges, wanted, key=lambda found: found.origin)
    if at == len(charges) or charges[at].origin != wanted:
        raise ActionRefused("R24", f"nothing was charged from {action.start} on")
    found = charges[at]
    inside = found.origin.start <= origin.start and origin.end <= found.origin.end
    refuse_unless(inside, "R24", "the units were not produced within the charge")
    zone = context.state.devices[origin.meter].zone
    refuse_unless(zone == device.zone, "R24", f"the units are of zone {zone}, not {device.zone}")
    left = found.wh - found.stored_wh
    refuse_unless(action.wh <= left, "R24", f"{action.wh} Wh into a charge with {left} Wh open")
    part = context.state.cut(bundle, action.wh, context.number)
    charges[at] = replace(found, stored_wh=found.stored_wh + action.wh)
    context.state.stored[part.number] = wanted
    return (context.state.turn(part, Status.STORED, context.number),)


def discharge(context: Context, action: actions.Discharge) -> tuple[Bundle, ...]:
    """R3, R24, R25: certificates for what came out, as far as it had gone in with certificates."""
    context.require_issuer()
    device = _storage(context, action.meter)
    origin = context.interval(action.meter, action.start, action.duration)
    context.require_in_service(device, origin)
    refuse_unless(context.state.is_free(ISSUED, origin), "R3", "the interval is issued already")
    _require_energy(device, action.wh, action.duration)
    record, links, left = digest_of(action.record), [], action.wh
    charges = context.state.charges.get(device.meter, [])
    for at, found in enumerate(charges):
        if not left or found.origin.end > origin.start:
            break
        drawn = min(left, drawable_wh(found, device))
        if drawn:
            links.append(Link(found.origin, drawn))
            charges[at] = replace(found, drawn_wh=found.drawn_wh + drawn)
            left -= drawn
    return record_issuance(
        context,
        device,
        origin,
        metered_wh=action.wh,
        retired_wh=0,
        free_wh=action.wh - left,
        record=record,
        links=tuple(links),
    )


def drawable_wh(charge: Charge, device: Device) -> int:
    """What may still come out of a charge with certificates: stored, less losses, less drawn."""
    return charge.stored_wh * device.storage_permille // PERMILLE - charge.drawn_wh


def _storage(context: Context, meter: str) -> Device:
    device = context.device(meter)
    refuse_unless(device.storage_permille > 0, "R24", "the device stores nothing")
    return device


def _require_energy(device: Device, wh: int, duration: int) -> None:
    """R7: something, and no more than the device can move."""
    plausible = wh > 0 and within_capacity(wh * MWH_PER_WH, device.rated_w, duration)
    refuse_unless(plausible, "R7", f"{wh} Wh in {duration} s is not what this device can move")

"""Putting units into a charge: the same for a holder's act and for what a statement says (R24)."""

from bisect import bisect_left, insort
from dataclasses import dataclass, replace

from commonwatt.certificate.bundle import Bundle, Origin
from commonwatt.certificate.context import Context
from commonwatt.certificate.refusal import ActionRefused, refuse_unless
from commonwatt.certificate.state import PERMILLE, Charge, Device


@dataclass(frozen=True, slots=True)
class Room:
    """A charge that takes the units of somebody."""

    device: Device
    """The storage device as it is now."""
    place: int
    """Of the charge among the device's."""


def storage_device(context: Context, meter: str) -> Device:
    """The device of a meter, if it stores (R24)."""
    device = context.device(meter)
    refuse_unless(device.storage_permille > 0, "R24", "the device stores nothing")
    return device


def room_for(
    context: Context, origin: Origin, owner: bytes, wh: int, *, meter: str, start: int,
    duration: int,
) -> Room:  # fmt: skip
    """R13, R24: a charge that may take units: same owner, time, zone, and room for all of them.

    Args:
        context: of the action.
        origin: what the units were issued for.
        owner: who has them.
        wh: how many.
        meter: the storage device's.
        start: of the charge.
        duration: of the charge.

    Raises:
        ActionRefused: there is no such charge, or it may not take these units.
    """
    said = storage_device(context, meter)
    device = context.state.plant_of(said)
    refuse_unless(owner == device.owner, "R13", "the storage device is another's")
    charges = context.state.charges.get(device.meter, [])
    wanted = Origin(said.meter, start, duration)
    place = bisect_left(charges, start, key=lambda found: found.origin.start)
    if place == len(charges) or charges[place].origin != wanted:
        raise ActionRefused("R24", f"nothing was charged from {start} on for {duration} s")
    found = charges[place]
    inside = wanted.start <= origin.start and origin.end <= wanted.end
    refuse_unless(inside, "R24", "the units were not produced within the charge")
    zone = context.state.devices[origin.meter].zone
    refuse_unless(zone == said.zone, "R24", f"the units are of zone {zone}, not {said.zone}")
    left = found.wh - found.stored_wh
    refuse_unless(wh <= left, "R24", f"{wh} Wh into a charge with {left} Wh open")
    return Room(device, place)


def put_into(context: Context, room: Room, bundle: Bundle) -> None:
    """Put a bundle into a charge that has room for it; the bundle itself is not turned here."""
    state, meter = context.state, room.device.meter
    found = state.charges[meter][room.place]
    filled = replace(found, stored_wh=found.stored_wh + bundle.wh)
    state.charges[meter][room.place] = filled
    state.stored[bundle.number] = found.origin
    places = state.open_charges.setdefault(meter, [])
    if drawable_wh(filled, room.device) and room.place not in places:
        insort(places, room.place)


def drawable_wh(charge: Charge, device: Device) -> int:
    """What may still come out of a charge with certificates: stored, less losses, less drawn."""
    return charge.stored_wh * device.storage_permille // PERMILLE - charge.drawn_wh

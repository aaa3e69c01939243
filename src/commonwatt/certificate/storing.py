"""Storage: certificates put into a charge, and those of what comes out again (R24, R25).

First in, first out: a discharge draws on the oldest charge that ended before it began and has
something left. What was put in comes out less losses, at the efficiency published when the device
was admitted; energy that was charged without certificates is never green. The arithmetic is in
`lots.py`.
"""

from dataclasses import replace

from commonwatt.certificate import actions
from commonwatt.certificate.bundle import Bundle, Origin, Status
from commonwatt.certificate.charging import drawable_wh, put_into, room_for, storage_device
from commonwatt.certificate.context import WH_MAX, Context, digest_of
from commonwatt.certificate.issuing import Found, record_issuance
from commonwatt.certificate.lots import draw, given_green_wh
from commonwatt.certificate.refusal import refuse_unless
from commonwatt.certificate.state import CHARGED, CONSUMED, ISSUED, Charge, Device, Link
from commonwatt.meter.acceptance import within_capacity
from commonwatt.quantity import MWH_PER_WH


def charge(context: Context, action: actions.Charge) -> None:
    """R24: what a storage device took in within an interval, known once."""
    context.require_issuer()
    device = storage_device(context, action.meter)
    origin = context.interval(action.meter, action.start, action.duration)
    context.require_in_service(device, origin)
    consumed = not context.state.is_free(CONSUMED, origin)
    refuse_unless(not consumed, "R24", "this was consumed, not put into storage")
    _require_energy(device, action.wh, action.duration)
    plant = context.state.plant_of(device)
    charges = context.state.charges.get(plant.meter, [])
    in_order = not charges or charges[-1].origin.end <= origin.start
    refuse_unless(in_order, "R24", "charges come once, in order of time: first in, first out")
    context.state.occupy(CHARGED, origin)
    context.state.charges.setdefault(plant.meter, []).append(Charge(origin, action.wh))


def store(context: Context, action: actions.Store) -> tuple[Bundle, ...]:
    """R13, R24: a holder puts units into a charge of their interval and zone."""
    bundle = context.own_units(action.bundle, action.wh)
    room = room_for(
        context, bundle.origin, bundle.holder, action.wh,
        meter=action.meter, start=action.start, duration=action.duration,
    )  # fmt: skip
    part = context.state.cut(bundle, action.wh, context.number)
    put_into(context, room, part)
    return (context.state.turn(part, Status.STORED, context.number),)


def discharge(context: Context, action: actions.Discharge) -> tuple[Bundle, ...]:
    """R3, R24, R25: certificates for what came out and left the home, as far as it is green.

    What the home used itself is drawn from the charges like the rest, and never issued.
    """
    context.require_issuer()
    device = storage_device(context, action.meter)
    origin = context.interval(action.meter, action.start, action.duration)
    context.require_in_service(device, origin)
    refuse_unless(context.state.is_free(ISSUED, origin), "R3", "the interval is issued already")
    given = action.given_wh
    refuse_unless(0 < action.wh <= WH_MAX, "R7", f"a discharge of {action.wh} Wh")
    refuse_unless(0 <= given <= action.wh, "R24", f"{given} Wh given of {action.wh} Wh")
    # What came out in a gap of the records is drawn whatever it was: nothing is issued for it.
    if given:
        _require_energy(device, action.wh, action.duration)
    plant = context.state.plant_of(device)
    places, drawn = _drawn(context, plant, origin, action.wh)
    green = sum(drawn)
    issued = given_green_wh(action.wh, given, green)
    retired = action.retired_wh
    refuse_unless(0 <= retired <= issued, "R24", f"{retired} Wh retired of {issued} Wh issued")
    # The last that may be refused: from here on the book changes.
    record = digest_of(action.record)
    found = Found(
        metered_wh=action.wh,
        retired_wh=retired,
        free_wh=issued - retired,
        own_wh=green - issued,
        record=record,
        links=_take_out(context, plant, places, drawn),
    )
    return record_issuance(context, device, origin, found)


def _drawn(context: Context, plant: Device, origin: Origin, wh: int) -> tuple[list[int], list[int]]:
    """R24: places of the charges that ended before a discharge, and what it draws of each."""
    charges = context.state.charges.get(plant.meter, [])
    places = [
        place
        for place in context.state.open_charges.get(plant.meter, ())
        if charges[place].origin.end <= origin.start
    ]
    return places, draw([drawable_wh(charges[place], plant) for place in places], wh)


def _take_out(
    context: Context, plant: Device, places: list[int], drawn: list[int]
) -> tuple[Link, ...]:
    """Take a discharge's energy out of the charges; returns what came from where."""
    state, links = context.state, []
    for place, wh in zip(places, drawn, strict=True):
        if wh:
            found = state.charges[plant.meter][place]
            left = replace(found, drawn_wh=found.drawn_wh + wh)
            state.charges[plant.meter][place] = left
            links.append(Link(found.origin, wh))
            if not drawable_wh(left, plant):
                state.open_charges[plant.meter].remove(place)
    return tuple(links)


def _require_energy(device: Device, wh: int, duration: int) -> None:
    """R7: something, and no more than the device can move."""
    plausible = wh > 0 and within_capacity(wh * MWH_PER_WH, device.rated_w, duration)
    refuse_unless(plausible, "R7", f"{wh} Wh in {duration} s is not what this device can move")

"""Devices: admitted by the issuer once each, handed on, given another meter, out of service.

A plant may outlive its meters: `Device.successor` leads from each to the next, and the last one has
the owner, the debt and the charges of all of them (`State.plant_of`).
"""

from dataclasses import replace
from datetime import date

from commonwatt.certificate.actions import Accept, Admit, Close, Hand, Replace
from commonwatt.certificate.context import (
    Context,
    account_of,
    meter_of,
    require_reason,
    second_of,
    zone_of,
)
from commonwatt.certificate.refusal import ActionRefused, refuse_unless
from commonwatt.certificate.state import CHARGED, ISSUED, PERMILLE, Device, State
from commonwatt.meter.keys import KeyUnusable, meter_id, require_public_key
from commonwatt.meter.registration import RATED_W_MAX

VOUCHER_MAX = 100
SOURCE_MAX = 2**32 - 1
"""As many codes as a registration has room for."""


def admit(context: Context, action: Admit) -> None:
    """R11, R12: the issuer admits one physical meter as one device, once."""
    context.require_issuer()
    meter, owner = meter_of(action.meter), account_of(action.owner)
    refuse_unless(meter not in context.state.devices, "R12", "this meter is a device already")
    refuse_unless(0 < action.rated_w <= RATED_W_MAX, "R7", f"a rated power of {action.rated_w} W")
    permille = action.storage_permille
    refuse_unless(0 <= permille <= PERMILLE, "R24", f"an efficiency of {permille} of a thousand")
    known = _is_day(action.commissioned) or not action.commissioned
    refuse_unless(known, "R4", f"commissioned {action.commissioned!r:.40}: write 2016-06-21")
    key = _proof(meter, action.key, action.voucher)
    coded = 0 <= action.source <= SOURCE_MAX
    refuse_unless(coded, "R8", f"technology code {action.source}: use an AIB code")
    one_kind = (action.source == 0) == (permille > 0)
    refuse_unless(one_kind, "R8", "a device generates or stores, not both and not neither")
    context.state.devices[meter] = Device(
        meter=meter,
        owner=owner,
        source=action.source,
        rated_w=action.rated_w,
        zone=zone_of(action.zone),
        first_start=second_of(action.first_start),
        support=action.support,
        storage_permille=permille,
        key=key,
        voucher=action.voucher,
        commissioned=action.commissioned,
    )


def close(context: Context, action: Close) -> None:
    """R4: the issuer takes a device out of service; its open debt stays on it, for all to see."""
    context.require_issuer()
    device = _in_service(context, action.meter)
    _require_nothing_later(context, device, second_of(action.from_start))
    context.state.devices[device.meter] = replace(
        device, closed_from=action.from_start, handed_to=None
    )


def hand(context: Context, action: Hand) -> None:
    """R13: the owner says who may have the device; it stays the owner's until that one accepts."""
    device, to = _in_service(context, action.meter), account_of(action.to)
    refuse_unless(context.actor == device.owner, "R13", "the device is another's")
    back = to == device.owner
    refuse_unless(not back or device.handed_to is not None, "R14", "there is no offer to take back")
    context.state.devices[device.meter] = replace(device, handed_to=None if back else to)


def accept(context: Context, action: Accept) -> None:
    """R13: whom a device was offered to becomes its owner; debt and charges stay with it (R10)."""
    device = context.device(action.meter)
    refuse_unless(context.actor == device.handed_to, "R13", "the device was not offered to you")
    context.state.devices[device.meter] = replace(device, owner=context.actor, handed_to=None)


def exchange(context: Context, action: Replace) -> None:
    """R4, R10, R12, R24: another meter at the same plant; debt and charges go over to it."""
    context.require_issuer()
    require_reason(action.reason)
    state, successor = context.state, meter_of(action.successor)
    device, start = _in_service(context, action.meter), second_of(action.from_start)
    refuse_unless(successor not in state.devices, "R12", "the new meter is a device already")
    refuse_unless(start >= device.first_start, "R4", f"the device was not in service at {start}")
    _require_nothing_later(context, device, start)
    voucher = "" if action.key else device.voucher
    key = _proof(successor, action.key, voucher)
    state.devices[successor] = replace(
        device, meter=successor, key=key, voucher=voucher, first_start=start, handed_to=None
    )
    state.devices[device.meter] = replace(
        device, closed_from=start, debt_wh=0, handed_to=None, successor=successor
    )
    # The same battery: what is in it can be drawn by the new meter, and only by it.
    if device.meter in state.charges:
        state.charges[successor] = state.charges.pop(device.meter)
    if device.meter in state.open_charges:
        state.open_charges[successor] = state.open_charges.pop(device.meter)


def closed_with_debt(state: State) -> tuple[Device, ...]:
    """R10: devices out of service whose debt nothing pays any more, in the order of admission."""
    return tuple(
        device
        for device in state.devices.values()
        if device.closed_from is not None and device.debt_wh
    )


def _in_service(context: Context, meter: str) -> Device:
    device = context.device(meter)
    still = device.closed_from is None
    refuse_unless(still, "R17", "the device is out of service, or another meter took its place")
    return device


def _require_nothing_later(context: Context, device: Device, start: int) -> None:
    """R17: no interval of the device that ends after a time is in the book."""
    for kind in (ISSUED, CHARGED):
        taken = context.state.spans.get((kind, device.meter), [])
        later = bool(taken) and taken[-1].end > start
        refuse_unless(not later, "R17", f"a later interval is {kind} already")


def is_voucher(text: str) -> bool:
    """R4: whether it names somebody who can vouch for a meter."""
    return text.isprintable() and len(text.strip()) > 0 and len(text) <= VOUCHER_MAX


def _proof(meter: bytes, key: str, voucher: str) -> bytes:
    """R4, R12: a meter's public key, which it is named after; empty where somebody vouches for it.

    One key has one name, so a meter that signs cannot be admitted twice.
    """
    one = bool(key) != bool(voucher)
    refuse_unless(one, "R4", "a meter signs, or somebody vouches for it: one of the two")
    if not key:
        refuse_unless(is_voucher(voucher), "R4", f"name who vouches in {VOUCHER_MAX} characters")
        return b""
    try:
        found = bytes.fromhex(key)
        require_public_key(found)
    except (ValueError, KeyUnusable):
        found = b""
    if found.hex() != key:
        raise ActionRefused("R4", "a key is a point x || y of P-256: use 128 lower-case hex digits")
    refuse_unless(meter_id(found) == meter, "R12", "the meter is not named after this key")
    return found


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False

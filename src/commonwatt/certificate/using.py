"""What holders do with units, and the issuer's visible acts: move, reserve, retire, withdraw."""

from dataclasses import replace

from commonwatt.certificate.actions import (
    Border,
    Claim,
    Consume,
    Export,
    Reinstate,
    Release,
    Reserve,
    Restore,
    Retire,
    Revoke,
    Take,
    Transfer,
    Withdraw,
)
from commonwatt.certificate.bundle import Bundle, Origin, Status
from commonwatt.certificate.context import (
    WH_MAX,
    Context,
    account_of,
    digest_of,
    interval_of,
    meter_of,
    require_reason,
    same_hour,
    zone_of,
)
from commonwatt.certificate.devices import VOUCHER_MAX, is_voucher
from commonwatt.certificate.issuing import settle
from commonwatt.certificate.refusal import ActionRefused, refuse_unless
from commonwatt.certificate.state import CHARGED, CONSUMED, Consumption, Retirement

PURPOSE_MAX = 200
RESERVATION_MAX_S = 366 * 86_400
REGISTRY_MAX = 100


def transfer(context: Context, action: Transfer) -> tuple[Bundle, ...]:
    """R13, R14: the holder gives units to another, whole or not at all."""
    bundle, to = context.own_units(action.bundle, action.wh), account_of(action.to)
    refuse_unless(to != bundle.holder, "R14", "a transfer to oneself moves nothing")
    part = context.state.cut(bundle, action.wh, context.number)
    return (context.state.turn(part, Status.ACTIVE, context.number, to),)


def reserve(context: Context, action: Reserve) -> tuple[Bundle, ...]:
    """R14: units promised to somebody until a time are frozen; they stay the holder's."""
    bundle, whom = context.own_units(action.bundle, action.wh), account_of(action.for_whom)
    refuse_unless(whom != bundle.holder, "R14", "a reservation for oneself promises nothing")
    ahead = action.until - context.now
    refuse_unless(
        0 < ahead <= RESERVATION_MAX_S, "R14", f"reserved until {action.until}: name a time to come"
    )
    part = context.state.cut(bundle, action.wh, context.number)
    context.state.reservations[part.number] = whom, action.until
    return (context.state.turn(part, Status.RESERVED, context.number),)


def release(context: Context, action: Release) -> tuple[Bundle, ...]:
    """R14: whom it is for may give it up, anybody may end it after its time."""
    bundle, whom, until = _reservation(context, action.bundle)
    allowed = context.actor == whom or context.now >= until
    refuse_unless(allowed, "R14", f"bundle {bundle.number} is promised until {until}")
    del context.state.reservations[bundle.number]
    return (context.state.turn(bundle, Status.ACTIVE, context.number),)


def take(context: Context, action: Take) -> tuple[Bundle, ...]:
    """R13, R14, R22: whom units are reserved for takes them, in time."""
    bundle, whom, until = _reservation(context, action.bundle)
    refuse_unless(context.actor == whom, "R13", f"bundle {bundle.number} is reserved for another")
    refuse_unless(context.now < until, "R14", f"the reservation ended at {until}")
    expired = context.is_expired(bundle.origin)
    refuse_unless(not expired, "R22", f"the units of bundle {bundle.number} have expired")
    del context.state.reservations[bundle.number]
    return (context.state.turn(bundle, Status.ACTIVE, context.number, whom),)


def _reservation(context: Context, number: int) -> tuple[Bundle, bytes, int]:
    bundle = context.bundle(number)
    refuse_unless(bundle.status is Status.RESERVED, "R14", f"bundle {number} is not reserved")
    return bundle, *context.state.reservations[number]


def retire(context: Context, action: Retire) -> tuple[Bundle, ...]:
    """R18 to R21: used up once, for one beneficiary and purpose, within a consumption if named."""
    bundle, beneficiary = (
        context.own_units(action.bundle, action.wh),
        account_of(action.beneficiary),
    )
    purpose = action.purpose
    refuse_unless(
        len(purpose.strip()) > 0 and len(purpose) <= PURPOSE_MAX,
        "R18",
        f"say for what, in 1 to {PURPOSE_MAX} characters",
    )
    consumption = border = None
    if action.meter:
        consumption = Origin(meter_of(action.meter), action.start, action.duration)
        border = _match(context, bundle.origin, consumption, beneficiary, action.wh)
    part = context.state.cut(bundle, action.wh, context.number)
    context.state.retirements[part.number] = Retirement(
        beneficiary, purpose, consumption, border, context.number
    )
    return (context.state.turn(part, Status.RETIRED, context.number),)


def _match(
    context: Context, origin: Origin, wanted: Origin, beneficiary: bytes, wh: int
) -> tuple[str, str, int, int] | None:
    """R19 to R21: take up consumption, and border capacity where zones differ; all or nothing."""
    state = context.state
    found = state.consumptions.get(wanted)
    if found is None or found.revoked:
        raise ActionRefused("R19", "this consumption is not known, or was withdrawn")
    refuse_unless(found.owner == beneficiary, "R18", "the consumption is another's")
    refuse_unless(
        same_hour(origin, wanted), "R20", "it was not produced within the interval of consumption"
    )
    left = found.wh - found.matched_wh
    refuse_unless(wh <= left, "R19", f"{wh} Wh for a consumption with {left} Wh left to match")
    zone, border = state.devices[origin.meter].zone, None
    if zone != found.zone:
        border = (zone, found.zone, wanted.start, wanted.duration)
        capacity, used = state.borders.get(border, (0, 0))
        refuse_unless(
            wh <= capacity - used,
            "R21",
            f"{wh} Wh from zone {zone} to {found.zone}: {capacity - used} Wh are left",
        )
        state.borders[border] = capacity, used + wh
    state.consumptions[wanted] = replace(found, matched_wh=found.matched_wh + wh)
    return border


def claim(context: Context, action: Claim) -> tuple[Bundle, ...]:
    """R18: only the beneficiary may claim the use of what was retired for it."""
    bundle = context.bundle(action.bundle)
    retirement = context.state.retirements.get(bundle.number)
    if bundle.status is not Status.RETIRED or retirement is None:
        raise ActionRefused("R17", f"bundle {bundle.number} is not retired and unclaimed")
    mine = retirement.beneficiary == context.actor
    refuse_unless(mine, "R18", f"bundle {bundle.number} was retired for another")
    matched = retirement.consumption
    stands = matched is None or not context.state.consumptions[matched].revoked
    refuse_unless(stands, "R19", "the consumption it was retired for was withdrawn")
    return (context.state.turn(bundle, Status.CLAIMED, context.number),)


def consume(context: Context, action: Consume) -> None:
    """R19: what a meter consumed in an interval, known once; the community covered a part of it."""
    context.require_issuer()
    origin = context.interval(action.meter, action.start, action.duration)
    refuse_unless(context.state.is_free(CONSUMED, origin), "R19", "this consumption is known")
    stored = not context.state.is_free(CHARGED, origin)
    refuse_unless(not stored, "R24", "this was put into storage, not consumed")
    refuse_unless(0 < action.wh <= WH_MAX, "R7", f"a consumption of {action.wh} Wh")
    covered, voucher = action.covered_wh, action.voucher
    refuse_unless(0 <= covered <= action.wh, "R19", f"{covered} Wh covered of {action.wh} Wh")
    named = not voucher or is_voucher(voucher)
    refuse_unless(named, "R4", f"name who vouches in {VOUCHER_MAX} characters, or nobody")
    owner, zone = account_of(action.owner), zone_of(action.zone)
    context.state.occupy(CONSUMED, origin)
    context.state.consumptions[origin] = Consumption(
        origin,
        owner,
        zone,
        action.wh,
        matched_wh=covered,
        covered_wh=covered,
        voucher=voucher,
    )


def revoke(context: Context, action: Revoke) -> None:
    """R23: the issuer withdraws a consumption; nothing more is matched to it."""
    context.require_issuer()
    require_reason(action.reason)
    origin = Origin(meter_of(action.meter), action.start, action.duration)
    found = context.state.consumptions.get(origin)
    if found is None or found.revoked:
        raise ActionRefused("R23", "this consumption is not known, or was withdrawn")
    context.state.consumptions[origin] = replace(found, revoked=True)


def border(context: Context, action: Border) -> None:
    """R21: a published rule, with a capacity, for one interval; before anything uses it."""
    context.require_issuer()
    zones = zone_of(action.from_zone), zone_of(action.to_zone)
    refuse_unless(zones[0] != zones[1], "R21", "a border lies between two zones")
    interval = interval_of(action.start, action.duration)
    free = context.state.is_border_free(zones, interval)
    refuse_unless(free, "R21", "a rule for this border and time is published already")
    refuse_unless(0 <= action.wh <= WH_MAX, "R21", f"a capacity of {action.wh} Wh")
    context.state.publish(zones, interval, action.wh)


def withdraw(context: Context, action: Withdraw) -> tuple[Bundle, ...]:
    """R22, R23: the issuer takes back units not used yet, expired or not, with a reason."""
    context.require_issuer()
    require_reason(action.reason)
    bundle = context.live_units(action.bundle, action.wh)
    part = context.state.cut(bundle, action.wh, context.number)
    # What is left of a reserved bundle stays promised.
    context.state.reservations.pop(part.number, None)
    settle(context, bundle.origin, action.wh)
    return (context.state.turn(part, Status.WITHDRAWN, context.number),)


def reinstate(context: Context, action: Reinstate) -> tuple[Bundle, ...]:
    """R23: what was retired for a consumption that was withdrawn goes back to the same owner."""
    context.require_issuer()
    require_reason(action.reason)
    bundle = context.bundle(action.bundle)
    retirement = context.state.retirements.get(bundle.number)
    if retirement is None:
        raise ActionRefused("R17", f"bundle {bundle.number} was not retired by a holder")
    matched = retirement.consumption
    found = None if matched is None else context.state.consumptions[matched]
    if found is None or not found.revoked:
        raise ActionRefused("R23", "what it was retired for stands: only a withdrawn one lets go")
    context.state.consumptions[found.origin] = replace(
        found, matched_wh=found.matched_wh - bundle.wh
    )
    if retirement.border is not None:
        capacity, used = context.state.borders[retirement.border]
        context.state.borders[retirement.border] = capacity, used - bundle.wh
    del context.state.retirements[bundle.number]
    return (context.state.turn(bundle, Status.ACTIVE, context.number),)


def export(context: Context, action: Export) -> tuple[Bundle, ...]:
    """R26: dead here before alive there, once per message."""
    bundle, message = context.own_units(action.bundle, action.wh), digest_of(action.message)
    refuse_unless(message not in context.state.exports, "R26", "this message was used already")
    named = len(action.registry.strip()) > 0 and len(action.registry) <= REGISTRY_MAX
    refuse_unless(named, "R26", f"name the other registry in 1 to {REGISTRY_MAX} characters")
    part = context.state.cut(bundle, action.wh, context.number)
    context.state.exports[message] = part.number
    return (context.state.turn(part, Status.EXPORTED, context.number),)


def restore(context: Context, action: Restore) -> tuple[Bundle, ...]:
    """R17, R26: what a message exported returns to whoever sent it, once."""
    context.require_issuer()
    require_reason(action.reason)
    message = digest_of(action.message)
    number = context.state.exports.get(message)
    if number is None:
        raise ActionRefused("R26", "nothing is out under this message")
    # The same units may be sent out again under another message: this one is used up.
    context.state.exports[message] = None
    return (context.state.turn(context.bundle(number), Status.ACTIVE, context.number),)

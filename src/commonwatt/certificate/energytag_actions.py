"""EnergyTag API v2 action documents: transfer, cancel, claim, withdraw, reserve, in and out.

A document names a list of bundles and becomes one action of the book, to be signed like any other:
where it names several, they are done together or not at all (R14). A quantity or a percentage is of
every bundle named, and a percentage is, as in the published schema, a share above 0 and up to 1; it
rounds down to whole Wh and the rest stays (R16). What our rules ask for and EnergyTag has no name
for has names of its own here, all of them optional on the wire: `purpose` (R18), `reason` (R23),
`reserved_until` (R14) and the consumption (R19 to R21).
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

import msgspec

from commonwatt.certificate.actions import (
    Action,
    Claim,
    Reserve,
    Retire,
    Together,
    Transfer,
    Withdraw,
)
from commonwatt.certificate.book import TOGETHER_MAX
from commonwatt.certificate.bundle import Bundle
from commonwatt.certificate.context import account_of, meter_of, require_reason
from commonwatt.certificate.energytag import DOCUMENT_BYTES_MAX, DocumentUnusable, unreadable
from commonwatt.certificate.refusal import ActionRefused, refuse_unless
from commonwatt.certificate.state import State
from commonwatt.quantity import Interval, parse_time, time_text

BUNDLES_MAX = TOGETHER_MAX
"""In one document."""
SHARE_PLACES_MAX = 18
"""Decimals of a percentage: an exponent would let a few digits fill the memory."""
Translated: TypeAlias = Transfer | Retire | Claim | Withdraw | Reserve
_OWN_FIELDS = {
    "transfer": {"target_id"},
    "reserve": {"target_id", "reserved_until"},
    "cancel": {
        "beneficiary",
        "purpose",
        "consumption_device_id",
        "consumption_starting_interval",
        "consumption_ending_interval",
    },
    "claim": {"beneficiary"},
    "withdraw": {"reason"},
}
"""What only some of the actions have."""
_ANY_OWN = sorted(set[str]().union(*_OWN_FIELDS.values()))


@dataclass(frozen=True, slots=True)
class Terms:
    """What the registry fixed for documents that do not say it."""

    purpose: str
    """Of a cancellation without one."""
    reservation_s: int
    """How long a reservation without an end lasts."""


class ActionDocument(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """An action in EnergyTag's names; accounts are hex digits, times ISO 8601 with an offset."""

    source_id: str
    """The account the bundles are in."""
    user_id: str
    """The account that acts and signs."""
    granular_certificate_bundle_ids: tuple[int, ...]
    action_type: str = ""
    """May be left to the route."""
    target_id: str | None = None
    certificate_quantity: int | None = None
    certificate_bundle_percentage: Decimal | None = None
    beneficiary: str | None = None
    action_request_datetime: str | None = None
    action_completed_datetime: str | None = None
    localise_time: bool | None = None
    """Read and not needed: every time here names its offset."""
    purpose: str | None = None
    reason: str | None = None
    reserved_until: str | None = None
    consumption_device_id: str | None = None
    consumption_starting_interval: str | None = None
    consumption_ending_interval: str | None = None


_read = msgspec.json.Decoder(ActionDocument).decode


def read_action(text: bytes) -> ActionDocument:
    """An action document; raises `DocumentUnusable`."""
    if len(text) > DOCUMENT_BYTES_MAX:
        raise DocumentUnusable(
            f"an EnergyTag action of more than {DOCUMENT_BYTES_MAX} bytes: name fewer bundles"
        )
    try:
        return _read(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DocumentUnusable(unreadable("action", error)) from None


def action_of(
    document: ActionDocument, state: State, terms: Terms, now: int, route: str = ""
) -> Translated | Together:
    """R14: what a document wants done; for several bundles, in its order, all of it or nothing.

    Whether the book does it is the book's to say.

    Args:
        document: as read.
        state: of the book; a percentage is of a bundle as it is now.
        terms: for what the document does not say.
        now: UTC second, where a reservation without an end begins.
        route: the last part of the address it was sent to, if it came that way.

    Raises:
        DocumentUnusable: it says two things at once, or leaves out what the action needs.
        ActionRefused: a rule is broken already.
        BadInterval: a time is not one.
    """
    kind = _kind(document, route)
    account_of(document.user_id)
    source, numbers = account_of(document.source_id), document.granular_certificate_bundle_ids
    if not 0 < len(numbers) <= BUNDLES_MAX:
        raise DocumentUnusable(
            f"granular_certificate_bundle_ids: {len(numbers)} bundles; name 1 to {BUNDLES_MAX}"
        )
    if len(set(numbers)) < len(numbers):
        raise DocumentUnusable("granular_certificate_bundle_ids: one is named twice; name it once")
    found = []
    for number in numbers:
        bundle = state.bundles.get(number)
        if bundle is None:
            raise ActionRefused("R13", f"there is no bundle {number}")
        refuse_unless(bundle.holder == source, "R13", f"bundle {number} is not in source_id")
        wh = _wh_of(document, bundle)
        found.append(_action(kind, document, bundle, wh, terms=terms, now=now))
    return found[0] if len(found) == 1 else Together(tuple(found))


def document_of(
    action: Action, actor: bytes, source: bytes, requested: int, completed: int | None = None
) -> ActionDocument:
    """An action of the book as EnergyTag would write it.

    Args:
        action: one of those EnergyTag knows; of several together, each by itself.
        actor: account that signed.
        source: account the bundle was in.
        requested: UTC second.
        completed: UTC second, once done.

    Raises:
        DocumentUnusable: EnergyTag has no such action.
    """
    own: dict[str, object]
    match action:
        case Transfer():
            own = {"action_type": "transfer", "target_id": action.to}
        case Reserve():
            until = time_text(action.until)
            own = {"action_type": "reserve", "target_id": action.for_whom, "reserved_until": until}
        case Retire():
            own = {
                "action_type": "cancel",
                "beneficiary": action.beneficiary,
                "purpose": action.purpose,
                **_consumption_fields(action),
            }
        case Claim():
            own = {"action_type": "claim", "beneficiary": actor.hex()}
        case Withdraw():
            own = {"action_type": "withdraw", "reason": action.reason}
        case _:
            name = type(action).__struct_config__.tag
            raise DocumentUnusable(f"EnergyTag has no action for {name}: read it in the log")
    if not isinstance(action, Claim):
        own["certificate_quantity"] = action.wh
    done = None if completed is None else time_text(completed)
    return msgspec.convert(
        own
        | {
            "source_id": source.hex(),
            "user_id": actor.hex(),
            "granular_certificate_bundle_ids": (action.bundle,),
            "action_request_datetime": time_text(requested),
            "action_completed_datetime": done,
        },
        ActionDocument,
    )


def _kind(document: ActionDocument, route: str) -> str:
    """Which action it is; what belongs to another action is refused, not passed over."""
    kind = document.action_type or route
    if kind not in _OWN_FIELDS:
        raise DocumentUnusable(f"action_type {kind!r:.40}: use one of {', '.join(_OWN_FIELDS)}")
    if route not in {"", kind}:
        raise DocumentUnusable(f"a {kind} sent to the route of a {route}: send it to its own")
    for field in _ANY_OWN:
        if field not in _OWN_FIELDS[kind] and getattr(document, field) is not None:
            raise DocumentUnusable(f"{field}: a {kind} has none; leave it out")
    return kind


def _wh_of(document: ActionDocument, bundle: Bundle) -> int:
    """How much of a bundle is meant: all of it unless the document says less (R14, R16)."""
    wh, share = document.certificate_quantity, document.certificate_bundle_percentage
    if wh is not None and share is not None:
        raise DocumentUnusable(
            "certificate_quantity and certificate_bundle_percentage: use one of them"
        )
    if wh is not None:
        fits = 0 < wh <= bundle.wh
        refuse_unless(fits, "R14", f"{wh} Wh of bundle {bundle.number}: it has {bundle.wh}")
        return wh
    if share is None:
        return bundle.wh
    # In this order: what is not a number cannot be compared, and what is huge not multiplied.
    if not share.is_finite() or not 0 < share <= 1 or _places(share) > SHARE_PLACES_MAX:
        raise DocumentUnusable(
            f"certificate_bundle_percentage {share!s:.40}: use a share above 0 and up to 1 with at"
            f" most {SHARE_PLACES_MAX} decimals, such as 0.75 for 75 per cent"
        )
    part = int(Fraction(share) * bundle.wh)
    refuse_unless(
        part > 0, "R16", f"{share} of the {bundle.wh} Wh of bundle {bundle.number} is no whole Wh"
    )
    return part


def _places(share: Decimal) -> int:
    exponent = share.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else SHARE_PLACES_MAX + 1


def _action(
    kind: str, document: ActionDocument, bundle: Bundle, wh: int, *, terms: Terms, now: int
) -> Translated:
    number = bundle.number
    match kind:
        case "transfer":
            return Transfer(number, wh, _target(document))
        case "reserve":
            until = now + terms.reservation_s
            if document.reserved_until is not None:
                until = parse_time(document.reserved_until)
            return Reserve(number, wh, _target(document), until)
        case "withdraw":
            reason = document.reason or ""
            require_reason(reason)
            return Withdraw(number, wh, reason)
        case "claim":
            whole = wh == bundle.wh
            refuse_unless(whole, "R18", f"bundle {number} was retired whole: claim all of it")
            mine = document.beneficiary in {None, document.user_id}
            refuse_unless(mine, "R18", "only the beneficiary may claim: it must be user_id")
            return Claim(number)
        case _:
            # EnergyTag: where no beneficiary is named it is the holder of the account.
            named = document.beneficiary
            beneficiary = account_of(document.source_id if named is None else named).hex()
            purpose = terms.purpose if document.purpose is None else document.purpose
            meter, start, duration = _consumption(document)
            return Retire(number, wh, beneficiary, purpose, meter, start, duration)


def _target(document: ActionDocument) -> str:
    if document.target_id is None:
        raise DocumentUnusable("target_id is missing: name the account it is for")
    return account_of(document.target_id).hex()


def _consumption(document: ActionDocument) -> tuple[str, int, int]:
    """Meter, start and duration of the consumption it is for; an empty meter for none."""
    named = (
        document.consumption_device_id,
        document.consumption_starting_interval,
        document.consumption_ending_interval,
    )
    meter, start_text, end_text = named
    if meter is None and start_text is None and end_text is None:
        return "", 0, 0
    if meter is None or start_text is None or end_text is None:
        raise DocumentUnusable("a consumption: name its device, starting and ending interval")
    start = parse_time(start_text)
    interval = Interval(start, parse_time(end_text) - start)
    return meter_of(meter).hex(), interval.start, interval.duration


def _consumption_fields(action: Retire) -> dict[str, object]:
    if not action.meter:
        return {}
    return {
        "consumption_device_id": action.meter,
        "consumption_starting_interval": time_text(action.start),
        "consumption_ending_interval": time_text(action.start + action.duration),
    }

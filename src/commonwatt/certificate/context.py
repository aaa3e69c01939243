"""What an action finds when it comes: the state, who acts, when, and under which entry."""

from dataclasses import dataclass

from commonwatt.certificate.bundle import LIVE, Bundle, Origin, Status
from commonwatt.certificate.refusal import ActionRefused, refuse_unless
from commonwatt.certificate.state import Device, State
from commonwatt.meter.registration import ZONE_BYTES
from commonwatt.quantity import SECONDS_PER_HOUR, TIME_MAX, BadInterval, Interval

ACCOUNT_BYTES = METER_BYTES = 20
DIGEST_BYTES = 32
REASON_MAX = 200
WH_MAX = 2**53 - 1
"""In one quantity that no rated power limits: what every reader of JSON keeps exact (R7)."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """What the issuer fixed beforehand for all certificates of the book."""

    issuer: bytes
    """Account whose signature alone can cause supply (R11)."""
    lifetime_s: int
    """A unit expires so long after its production interval ends (R22); 0 for never."""


@dataclass(frozen=True, slots=True)
class Context:
    """One action's surroundings."""

    state: State
    scheme: Scheme
    actor: bytes
    """The account that signed."""
    now: int
    """UTC second of the entry."""
    number: int
    """Of the entry."""

    def require_issuer(self) -> None:
        """R11: only the issuer causes supply, and takes it back."""
        refuse_unless(self.actor == self.scheme.issuer, "R11", "only the issuer may do this")

    def is_expired(self, origin: Origin) -> bool:
        """R22: whether units of an interval have expired by now, unless used before."""
        lifetime = self.scheme.lifetime_s
        return bool(lifetime) and self.now >= origin.end + lifetime

    def bundle(self, number: int) -> Bundle:
        """The bundle of this number."""
        bundle = self.state.bundles.get(number)
        if bundle is None:
            raise ActionRefused("R13", f"there is no bundle {number}")
        return bundle

    def own_units(self, number: int, wh: int) -> Bundle:
        """A bundle of which the actor may use `wh` units now (R13, R14, R17, R22)."""
        bundle = self.bundle(number)
        refuse_unless(bundle.holder == self.actor, "R13", f"bundle {number} is another's")
        frozen = bundle.status is Status.RESERVED
        refuse_unless(not frozen, "R14", f"bundle {number} is reserved: release it first")
        live = bundle.status is Status.ACTIVE
        refuse_unless(live, "R17", f"bundle {number} is {bundle.status.value}, for good")
        refuse_unless(
            not self.is_expired(bundle.origin), "R22", f"the units of bundle {number} have expired"
        )
        refuse_unless(
            0 < wh <= bundle.wh, "R14", f"{wh} Wh of bundle {number}: it has {bundle.wh}, use some"
        )
        return bundle

    def live_units(self, number: int, wh: int) -> Bundle:
        """A bundle of which `wh` units are neither used nor gone, expired or not (R17, R23)."""
        bundle = self.bundle(number)
        live = bundle.status in LIVE
        refuse_unless(live, "R17", f"bundle {number} is {bundle.status.value}, for good")
        refuse_unless(
            0 < wh <= bundle.wh, "R23", f"{wh} Wh of bundle {number}: it has {bundle.wh}, use some"
        )
        return bundle

    def device(self, meter: str) -> Device:
        """The device of a meter (R4)."""
        device = self.state.devices.get(meter_of(meter))
        if device is None:
            raise ActionRefused("R4", f"meter {meter:.40} is no device of this book")
        return device

    def interval(self, meter: str, start: int, duration: int) -> Origin:
        """A meter's interval: on the grid, a minute to an hour, over by now (R6)."""
        interval = interval_of(start, duration)
        refuse_unless(interval.end <= self.now, "R6", f"the interval at {start} is not over")
        return Origin(meter_of(meter), start, duration)

    def require_in_service(self, device: Device, origin: Origin) -> None:
        """R4: the device was in service in the whole interval."""
        begun = origin.start >= device.first_start
        refuse_unless(begun, "R4", f"the device was not in service at {origin.start}")
        closed = device.closed_from is not None and origin.end > device.closed_from
        refuse_unless(not closed, "R4", f"the device was out of service at {origin.start}")


def interval_of(start: int, duration: int) -> Interval:
    """An interval on the grid, a minute to an hour long (R6)."""
    try:
        return Interval(start, duration)
    except BadInterval as error:
        raise ActionRefused("R6", str(error)) from None


def second_of(start: int) -> int:
    """A UTC second that an interval may start at (R6)."""
    refuse_unless(0 <= start < TIME_MAX, "R6", f"the time {start}: use UTC seconds")
    return start


def zone_of(text: str) -> str:
    """A bidding zone's name (R21)."""
    named = text.isascii() and text.isprintable() and 0 < len(text) <= ZONE_BYTES
    refuse_unless(named, "R21", f"zone {text!r:.40}: use 1 to {ZONE_BYTES} printable characters")
    return text


def meter_of(text: str) -> bytes:
    """A meter's id from hex digits (R4)."""
    return _bytes_of(text, METER_BYTES, "R4", "a meter")


def account_of(text: str) -> bytes:
    """An account from hex digits; the zero account is nobody's (R13)."""
    account = _bytes_of(text, ACCOUNT_BYTES, "R13", "an account")
    refuse_unless(any(account), "R13", "the zero account is nobody's: name one")
    return account


def digest_of(text: str) -> bytes:
    """A digest from hex digits (R5)."""
    return _bytes_of(text, DIGEST_BYTES, "R5", "a digest")


def require_reason(text: str) -> None:
    """A visible act has a reason (R9, R23)."""
    fits = len(text.strip()) > 0 and len(text) <= REASON_MAX
    refuse_unless(fits, "R23", f"give a reason of 1 to {REASON_MAX} characters")


def same_hour(origin: Origin, other: Origin) -> bool:
    """R20: the interval lies in the other one, and so in its hour."""
    inside = other.start <= origin.start and origin.end <= other.end
    return inside and origin.start // SECONDS_PER_HOUR == other.start // SECONDS_PER_HOUR


def _bytes_of(text: str, size: int, rule: str, what: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    # Upper case and spaces would let one thing be written in two ways.
    if len(found) != size or found.hex() != text:
        raise ActionRefused(
            rule, f"{text!r:.60} is not {what}: use {2 * size} lower-case hex digits"
        )
    return found

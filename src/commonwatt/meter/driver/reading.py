"""What a driver makes of a device's words: readings, each with who vouches for it."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol, TypeAlias

from commonwatt.errors import InputError
from commonwatt.meter.driver.energy import ENERGY_MWH_MAX
from commonwatt.meter.driver.failure import (
    MessageTooLarge,
    NumberUnreadable,
    RegisterMissing,
    SourceUnusable,
    TimeUnreadable,
    shown,
)
from commonwatt.meter.driver.moment import in_range
from commonwatt.meter.record import Quality

SOURCE_MAX = 200
"""Characters of a device's own id."""
READINGS_MAX = 250_000
"""Readings from one file: two years of five minutes; more are divided into several files."""


class Check(Enum):
    """How far a device's signature was checked."""

    HOLDS = "holds under the key that was given for this device"
    KEY_SENT_ALONG = "holds, under a key that came with the message: unchanged, by whom is open"
    NO_KEY = "not checked: no key was given for this device"
    LEGACY = "holds, on a curve of 192 bits, which is too weak to vouch"
    LEGACY_UNCHECKED = "not checked: a curve of 192 bits that no library here still knows"
    KIND_UNKNOWN = "not checked: signed in a way that is not read here"


@dataclass(frozen=True, slots=True)
class SignedBy:
    """A signature that came with a reading."""

    scheme: str
    """As the device names it, such as `ECDSA-secp256r1-SHA256`."""
    key: bytes
    """DER SubjectPublicKeyInfo of the key it was held against; empty where there was none."""
    check: Check

    @property
    def vouches(self) -> bool:
        """Whether the device itself vouches: checked, under a key that was given for it."""
        return self.check is Check.HOLDS


@dataclass(frozen=True, slots=True)
class Reading:
    """A device's cumulative registers at one time. At least one of them is known."""

    source: str
    """The device's own id: a serial number, a metering point, a topic."""
    time: int
    """UTC seconds: the device's own time where it says one, otherwise when the message came."""
    import_mwh: int | None
    """Register of energy in, in mWh; None where the message says nothing of it."""
    export_mwh: int | None
    """Register of energy out, in mWh; None where the message says nothing of it."""
    quality: Quality = Quality.MEASURED
    signed_by: SignedBy | None = None
    """None: nobody signed, so a gateway has to vouch."""

    def __post_init__(self) -> None:
        """Refuse what no record could hold."""
        _require_source(self.source)
        in_range(self.time, "a reading's time")
        _require_energy(self.import_mwh, self.export_mwh)

    def after(self, earlier: "Reading") -> "Reading":
        """This reading with the registers that only an earlier one of the device says.

        Devices that send each register in a message of its own give readings with one register
        each; a gateway puts them together with this.
        """
        return replace(
            self,
            import_mwh=earlier.import_mwh if self.import_mwh is None else self.import_mwh,
            export_mwh=earlier.export_mwh if self.export_mwh is None else self.export_mwh,
        )


@dataclass(frozen=True, slots=True)
class IntervalReading:
    """The energy of the half-open time `[start, start + duration)`. One direction is known."""

    source: str
    """The device's own id: a serial number, a metering point, a topic."""
    start: int
    """UTC seconds."""
    duration: int
    """Seconds, at least one."""
    import_mwh: int | None
    """Energy in, in mWh; None where nothing is said of it."""
    export_mwh: int | None
    """Energy out, in mWh; None where nothing is said of it."""
    quality: Quality = Quality.MEASURED
    signed_by: SignedBy | None = None
    """None: nobody signed, so a gateway has to vouch."""

    def __post_init__(self) -> None:
        """Refuse what no record could hold."""
        _require_source(self.source)
        in_range(self.start, "an interval's start")
        if self.duration < 1:
            raise TimeUnreadable(f"an interval of {self.duration} s: it has to end after it starts")
        in_range(self.start + self.duration, "an interval's end")
        _require_energy(self.import_mwh, self.export_mwh)

    @property
    def end(self) -> int:
        """The first second after the interval."""
        return self.start + self.duration


AnyReading: TypeAlias = Reading | IntervalReading


@dataclass(frozen=True, slots=True)
class Message:
    """What came in: a message of MQTT, a piece of a serial line, a file."""

    payload: bytes
    received: int
    """UTC seconds at which it came, by the clock of whoever received it."""
    topic: str = ""
    """MQTT topic; for OCPP the station's id from the address it called."""
    retained: bool = False
    """Kept by the broker from before: when its value was read is not known."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a driver made of a message: readings, and what could not be read."""

    readings: tuple[AnyReading, ...] = ()
    refused: tuple[InputError, ...] = ()


class Driver(Protocol):
    """Reads one kind of device."""

    def take(self, message: Message) -> Taken:
        """The readings in a message; nothing for messages that are about something else.

        It raises nothing: what cannot be read is told in `Taken.refused`.
        """


def require_count(count: int) -> None:
    """Raise `MessageTooLarge` for more than `READINGS_MAX` readings in one file."""
    if count > READINGS_MAX:
        raise MessageTooLarge(f"more than {READINGS_MAX} readings in one file: divide it")


def _require_source(source: str) -> None:
    if not source:
        raise SourceUnusable("the device does not say who it is: set its serial number or id")
    if len(source) > SOURCE_MAX or not source.isprintable():
        raise SourceUnusable(
            f"the device calls itself {shown(source)}: "
            f"an id has at most {SOURCE_MAX} printable characters"
        )


def _require_energy(import_mwh: int | None, export_mwh: int | None) -> None:
    if import_mwh is None and export_mwh is None:
        raise RegisterMissing("neither energy in nor energy out is known: send at least one")
    for energy in (import_mwh, export_mwh):
        if energy is not None and not 0 <= energy <= ENERGY_MWH_MAX:
            raise NumberUnreadable(f"{energy} mWh is no energy that a register holds")

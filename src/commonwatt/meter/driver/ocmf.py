"""OCMF, the Open Charge Metering Format 0.4 to 1.4 (S.A.F.E. e.V.): what charging stations sign.

A record is `OCMF|{payload}|{signature}`. The signature covers the payload's bytes exactly as they
stand, so they are verified before anything is read from them and never written anew. Readings
inherit what they leave out from the one before; each has its own time, state and error flags, and
a valid signature does not make a bad reading good.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from commonwatt.meter.driver.device_key import (
    DEFAULT_SCHEME,
    SIGNATURE_TEXT_MAX,
    check_signature,
    from_base64,
    read_bytes,
    read_scheme,
)
from commonwatt.meter.driver.energy import read_energy
from commonwatt.meter.driver.failure import (
    FormatUnreadable,
    MessageCut,
    ReadingsContradict,
    RegisterMissing,
    SignatureUnreadable,
    SourceUnusable,
    shown,
)
from commonwatt.meter.driver.moment import utc_seconds
from commonwatt.meter.driver.obis import Flow, Register, Scope, read_register
from commonwatt.meter.driver.reading import AnyReading, IntervalReading, Reading, SignedBy
from commonwatt.meter.driver.strict_json import (
    as_list,
    as_number,
    as_object,
    as_text,
    read_json,
    text_or,
)
from commonwatt.meter.driver.text import too_large
from commonwatt.meter.record import Quality

OCMF_BYTES_MAX = 64 * 1_024
"""A session with a reading each quarter of an hour for two days has some 30 KB."""
HEADER = "OCMF|"
INHERITED = ("TM", "TX", "RI", "RU", "RT", "EF", "ST")
ENDS = frozenset("ELRAP")
"""TX of the last reading: by the car, locally, remotely, aborted, or power gone."""
STATES = {"G": Quality.MEASURED, "S": Quality.SUBSTITUTED}
"""ST: good and substitute; every other state is an error of the meter."""
STATES_KNOWN = frozenset("NGTDRMXIOSEF")
_CLOCKS = frozenset("UISR")


@dataclass(frozen=True, slots=True)
class Value:
    """One register at one time, as the record says it."""

    register: Register
    time: int
    """UTC seconds, cut."""
    stamp: str
    """The time as written; two readings within a second differ here."""
    reason: str
    """TX: B begin, C charging, X exception, E end (or L, R, A, P), S suspended, T tariff."""
    energy_mwh: int
    quality: Quality


@dataclass(frozen=True, slots=True)
class OcmfRecord:
    """A record whose signature was looked at."""

    source: str
    """Serial number of the meter, or of the gateway, or the charge point."""
    page: str
    """PG: T and F number the records with and without a transaction."""
    values: tuple[Value, ...]
    signed_by: SignedBy

    def readings(self) -> tuple[Reading, ...]:
        """The lifetime registers, one reading for each time, in the record's order.

        The total of all tariffs goes before the sum of them, energy at the meter before energy
        at the car. A time at which the chosen register is missing says nothing of it.
        """
        groups = list(_groups(self.values))
        chosen = {flow: _choice(groups, flow, Scope.LIFETIME) for flow in Flow}
        found = []
        for group in groups:
            energies = {flow: _energy(group, chosen[flow]) for flow in Flow}
            if any(energy is not None for energy in energies.values()):
                found.append(
                    Reading(
                        source=self.source,
                        time=group[0].time,
                        import_mwh=energies[Flow.IMPORT],
                        export_mwh=energies[Flow.EXPORT],
                        quality=_quality(group),
                        signed_by=self.signed_by,
                    )
                )
        return tuple(found)

    def session(self) -> IntervalReading | None:
        """The charging session from its begin to its end, where the record has both.

        Raises:
            ReadingsContradict: a register fell in between.
        """
        groups = list(_groups(self.values))
        begins = [group for group in groups if group[0].reason == "B"]
        ends = [group for group in groups if group[0].reason in ENDS]
        if not begins or not ends or ends[-1][0].time <= begins[0][0].time:
            return None
        first, last = begins[0], ends[-1]
        energies = {flow: _moved(first, last, flow) for flow in Flow}
        if all(energy is None for energy in energies.values()):
            return None
        return IntervalReading(
            source=self.source,
            start=first[0].time,
            duration=last[0].time - first[0].time,
            import_mwh=energies[Flow.IMPORT],
            export_mwh=energies[Flow.EXPORT],
            quality=_quality([*first, *last]),
            signed_by=self.signed_by,
        )


def read_ocmf(text: str, keys: "Keys | None" = None) -> OcmfRecord:
    """Read a record and check its signature.

    Args:
        text: `OCMF|...|...`; space around it does not matter.
        keys: public keys of the devices; without them nothing is checked, and the record says so.

    Raises:
        MessageTooLarge: more than `OCMF_BYTES_MAX`.
        MessageCut: no signature section.
        FormatUnreadable: not OCMF.
        SignatureUnreadable: an algorithm or encoding nobody here knows.
        SignatureWrong: not the key's over these bytes.
        DeviceKeyUnusable: no key, or one of another curve than the record names.
        NumberUnreadable, UnitUnknown, TimeUnreadable, SourceUnusable: in a reading.
    """
    if len(text) > OCMF_BYTES_MAX:
        raise too_large("an OCMF record", len(text), OCMF_BYTES_MAX)
    text = text.strip()
    if not text.startswith(HEADER):
        raise FormatUnreadable(f"{shown(text)} is no OCMF record: it begins with {HEADER!r}")
    start, end = len(HEADER), text.rfind("|")
    if end < start:
        raise MessageCut("an OCMF record without its signature section: send it whole")
    payload, signature = text[start:end], text[end + 1 :]
    fields = as_object(read_json(payload, OCMF_BYTES_MAX, "OCMF payload"), "OCMF payload")
    source = _source(fields)
    signed_by = _checked(payload, signature, (keys or Keys()).of(source))
    return OcmfRecord(source, text_or(fields, "PG"), tuple(_values(fields)), signed_by)


def ocmf_readings(record: OcmfRecord) -> tuple[AnyReading, ...]:
    """The registers of a record, or its session where it has no lifetime register.

    Raises:
        RegisterMissing: neither of the two.
        ReadingsContradict: a register fell during the session.
    """
    registers = record.readings()
    if registers:
        return registers
    session = record.session()
    if session is None:
        raise RegisterMissing(
            f"OCMF record {shown(record.page)} of {shown(record.source)} has neither a lifetime "
            "register (1.8.0, B0) nor begin and end of a session: have the station send one"
        )
    return (session,)


@dataclass(frozen=True, slots=True)
class Keys:
    """Public keys of devices, as published: hex, base64, PEM."""

    default: str = ""
    """For devices not named; empty for none."""
    by_source: Mapping[str, str] | None = None

    def of(self, source: str) -> str:
        """The key of this device; empty for none."""
        return (self.by_source or {}).get(source, self.default)


def _source(fields: Mapping[str, object]) -> str:
    for name in ("MS", "GS", "CI"):
        text = text_or(fields, name).strip()
        if text:
            return text
    raise SourceUnusable(
        "an OCMF record without MS, GS and CI: have the station write its serial number"
    )


def _checked(payload: str, signature: str, key: str) -> SignedBy:
    what = "OCMF signature section"
    if not signature.strip():
        raise MessageCut("an OCMF record whose signature section is empty: send it whole")
    fields = as_object(read_json(signature, OCMF_BYTES_MAX, what), what)
    scheme = read_scheme(text_or(fields, "SA", DEFAULT_SCHEME))
    data = text_or(fields, "SD")
    if not data or len(data) > SIGNATURE_TEXT_MAX:
        raise SignatureUnreadable(f"OCMF signature data {shown(data)}: SD holds the signature")
    encoding = text_or(fields, "SE", "hex")
    if encoding not in {"hex", "base64"}:
        raise SignatureUnreadable(f"SE {shown(encoding)}: write the signature in hex or base64")
    decode = from_base64 if encoding == "base64" else read_bytes
    # The text came as UTF-8, so these are the very bytes that stood between the bars.
    message = payload.encode("utf-8", "surrogatepass")
    return check_signature(scheme, decode(data, "OCMF signature data"), message, key)


def _values(fields: Mapping[str, object]) -> Iterator[Value]:
    inherited: dict[str, object] = {}
    spoilt = Quality(0)
    for number, entry in enumerate(as_list(fields.get("RD"), "RD"), start=1):
        own = as_object(entry, f"reading {number}")
        inherited |= {name: own[name] for name in INHERITED if own.get(name) is not None}
        what = f"reading {number}"
        reason = text_or(inherited, "TX")
        if reason == "X":
            # From an exception on, the specification lets nothing more be billed.
            spoilt = Quality.METER_ERROR
        register = read_register(text_or(inherited, "RI"))
        value = own.get("RV")
        if register is None or value is None:
            continue  # an event, a duration, or another quantity than active energy
        stamp = as_text(inherited.get("TM"), f"TM of {what}")
        time, clock = _time(stamp, what)
        unit = text_or(inherited, "RU")
        yield Value(
            register=register,
            time=time,
            stamp=stamp,
            reason=reason,
            energy_mwh=read_energy(as_number(value, f"RV of {what}"), unit, f"RV of {what}"),
            quality=clock | spoilt | _state(inherited, what),
        )


def _time(stamp: str, what: str) -> tuple[int, Quality]:
    """The time and whether the clock was set: only S is synchronised, R counts from an I."""
    text, _, clock = stamp.partition(" ")
    if clock not in _CLOCKS:
        raise FormatUnreadable(f"TM of {what}: {shown(stamp)} ends with none of U, I, S, R")
    time = utc_seconds(text, f"TM of {what}")
    return time, Quality(0) if clock == "S" else Quality.CLOCK_NOT_SYNCHRONISED


def _state(inherited: Mapping[str, object], what: str) -> Quality:
    state, errors = text_or(inherited, "ST"), text_or(inherited, "EF")
    if state not in STATES_KNOWN or not set(errors) <= {"E", "t"}:
        raise FormatUnreadable(
            f"{what}: state ST {shown(state)} with errors EF {shown(errors)} is none of OCMF"
        )
    quality = STATES.get(state, Quality.METER_ERROR)
    if errors:
        quality = (quality & ~Quality.MEASURED) | Quality.METER_ERROR
    return quality | (Quality.CLOCK_NOT_SYNCHRONISED if "t" in errors else Quality(0))


def _groups(values: tuple[Value, ...]) -> Iterator[list[Value]]:
    """What was read at one moment: the same time as written, each register once."""
    group: list[Value] = []
    for value in values:
        same = group and (group[0].stamp, group[0].reason) == (value.stamp, value.reason)
        if not same or any(value.register == other.register for other in group):
            if group:
                yield group
            group = []
        group.append(value)
    if group:
        yield group


def _choice(groups: list[list[Value]], flow: Flow, scope: Scope) -> frozenset[Register]:
    """Which registers to add up for one direction: the best kind that is there at all."""
    there = sorted(
        {
            value.register
            for group in groups
            for value in group
            if value.register.flow is flow and value.register.scope is scope
        },
        key=lambda register: (_rank(register), register),
    )
    if not there:
        return frozenset()
    best = there[0]
    if not best.tariff:
        return frozenset({best})
    # No total is there: all tariffs of the same kind make one.
    return frozenset(
        register
        for register in there
        if (register.group, register.stored) == (best.group, best.stored)
    )


def _rank(register: Register) -> tuple[int, bool]:
    """1.8.0 first, then energy at the meter (B0, B2), then at the car; totals before tariffs."""
    place = register.group[1:]
    return 0 if not place else (1 if place in {"0", "2"} else 2), register.tariff > 0


def _energy(group: list[Value], chosen: frozenset[Register]) -> int | None:
    energies = {value.register: value.energy_mwh for value in group if value.register in chosen}
    return sum(energies.values()) if chosen and len(energies) == len(chosen) else None


def _moved(first: list[Value], last: list[Value], flow: Flow) -> int | None:
    for scope in (Scope.SESSION, Scope.LIFETIME):
        chosen = _choice([first, last], flow, scope)
        before, after = _energy(first, chosen), _energy(last, chosen)
        if before is not None and after is not None:
            if after < before:
                raise ReadingsContradict(
                    f"a register fell from {before} to {after} mWh during a session: "
                    "have the meter looked at"
                )
            return after - before
    return None


def _quality(values: list[Value]) -> Quality:
    quality = Quality(0)
    for value in values:
        quality |= value.quality
    bad = quality & (Quality.METER_ERROR | Quality.SUBSTITUTED)
    return quality & ~Quality.MEASURED if bad else quality

"""OCPP 1.6, 2.0.1 and 2.1 (JSON): meter values of charging stations, signed ones with OCMF inside.

Read are `MeterValues`, `TransactionEvent`, `StartTransaction` and `StopTransaction`, as a call
(`[2, id, action, payload]`) or as the payload alone. A station does not name itself in a message;
its id is the message's topic. Of a value that is signed, the signed record is what counts, not
the number beside it, which may be another register. A key that comes with the message shows only
that nothing was changed on the way: the key that vouches has to be given beforehand.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import msgspec

from commonwatt.meter.driver.energy import scaled_energy, unit_power, whole_number
from commonwatt.meter.driver.failure import (
    FormatUnreadable,
    MessageTooLarge,
    ReadingsContradict,
    SignatureUnreadable,
    shown,
)
from commonwatt.meter.driver.moment import utc_seconds
from commonwatt.meter.driver.ocmf import HEADER, Keys, ocmf_readings, read_ocmf
from commonwatt.meter.driver.reading import (
    AnyReading,
    Check,
    Message,
    Reading,
    SignedBy,
)
from commonwatt.meter.driver.strict_json import (
    Number,
    as_list,
    as_number,
    as_object,
    as_text,
    read_json,
    text_or,
)
from commonwatt.quantity import time_text

PAYLOAD_BYTES_MAX = 512 * 1_024
SAMPLES_MAX = 5_000
IMPORT_REGISTER, EXPORT_REGISTER = "Energy.Active.Import.Register", "Energy.Active.Export.Register"
"""Measurands; the first is meant where a value names none."""
MULTIPLIER_MAX = 20
_CALL = "2"
_KEY_PARTS = 4


class OcppOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a configuration can say."""

    public_key: str = ""
    """Public key of the meters, where one is given for all."""
    public_keys: dict[str, str] = {}
    """Public keys by serial number of the meter."""
    location: str = "Outlet"
    """Where the register counts: Outlet (to the car), Inlet, Body, Cable, EV, Upstream."""

    @property
    def keys(self) -> Keys:
        """The keys as signed records ask for them."""
        return Keys(self.public_key, self.public_keys)


@dataclass(frozen=True, slots=True)
class _Sample:
    """One sampled value of active energy."""

    time: int
    out: bool
    energy_mwh: int
    signed_by: SignedBy | None


def read_ocpp(message: Message, options: OcppOptions) -> tuple[AnyReading, ...]:
    """The readings in a message of a station; none in those that carry no energy.

    Raises:
        MessageTooLarge: more than `PAYLOAD_BYTES_MAX`, or more than `SAMPLES_MAX` values.
        FormatUnreadable: not such a message.
        ReadingsContradict: two values for one register and time.
        TimeUnreadable, NumberUnreadable, UnitUnknown, SourceUnusable: in its values.
        SignatureUnreadable, SignatureWrong, DeviceKeyUnusable, MessageCut, RegisterMissing: in a
            signed record.
    """
    payload = _payload(read_json(message.payload, PAYLOAD_BYTES_MAX, "OCPP message"))
    if payload is None:
        return ()
    source = message.topic + _connector(payload)
    readings: list[AnyReading] = []
    samples: list[_Sample] = []
    for number, (stamp, value) in enumerate(_values(payload)):
        if number >= SAMPLES_MAX:
            raise MessageTooLarge(
                f"more than {SAMPLES_MAX} values in a message: send them in parts"
            )
        _take(stamp, value, options, readings, samples)
    readings += _registers(source, [*samples, *_ends(payload)])
    # Begin and end of a session may both carry the record of the whole.
    return tuple(dict.fromkeys(readings))


def _payload(document: object) -> Mapping[str, object] | None:
    if isinstance(document, dict):
        return document
    call = as_list(document, "OCPP message")
    match call:
        case [Number() as kind, _, _, payload] if kind == _CALL:
            return as_object(payload, "payload of an OCPP call")
        case _:
            return None  # an answer or an error


def _connector(payload: Mapping[str, object]) -> str:
    """`/N` for the connector or EVSE that a message is about; nothing where it names none."""
    number = payload.get("connectorId", payload.get("evseId"))
    evse = payload.get("evse")
    if number is None and isinstance(evse, dict):
        number = evse.get("id")
    if number is None:
        return ""
    if not isinstance(number, Number) or not number.isdecimal():
        raise FormatUnreadable(f"connector {shown(number)} is no whole number")
    return f"/{number}"


def _values(payload: Mapping[str, object]) -> Iterator[tuple[object, Mapping[str, object]]]:
    """Each sampled value with the time it stands under."""
    for name in ("meterValue", "transactionData"):
        for entry in as_list(payload.get(name) or [], name):
            fields = as_object(entry, name)
            for value in as_list(fields.get("sampledValue"), "sampledValue"):
                yield fields.get("timestamp"), as_object(value, "sampledValue")


def _take(
    stamp: object,
    value: Mapping[str, object],
    options: OcppOptions,
    readings: list[AnyReading],
    samples: list[_Sample],
) -> None:
    """Put a value where it belongs; what is no register of active energy is passed over."""
    signed, text = value.get("signedMeterValue"), value.get("value")
    signed_by: SignedBy | None = None
    if text_or(value, "format", "Raw") == "SignedData":
        signed = _signed_text(as_text(text, "value"))  # as OCPP 1.6 sends it
    if signed is not None:
        fields = as_object(signed, "signedMeterValue")
        record = _record(fields)
        if record is not None:
            readings += _from_record(record, fields, options)
            return
        scheme = text_or(fields, "signingMethod") or text_or(fields, "encodingMethod")
        signed_by = SignedBy(scheme or "unnamed", b"", Check.KIND_UNKNOWN)
        if not isinstance(text, Number):
            return  # only the signed data, of a kind that is not read
    sample = _sample(stamp, value, options, signed_by)
    if sample is not None:
        samples.append(sample)


def _sample(
    stamp: object, value: Mapping[str, object], options: OcppOptions, signed_by: SignedBy | None
) -> _Sample | None:
    measurand = text_or(value, "measurand", IMPORT_REGISTER)
    here = text_or(value, "location", "Outlet") == options.location
    if measurand not in {IMPORT_REGISTER, EXPORT_REGISTER} or not here or value.get("phase"):
        return None
    unit, multiplier = text_or(value, "unit", "Wh"), 0
    if value.get("unitOfMeasure") is not None:
        of_measure = as_object(value["unitOfMeasure"], "unitOfMeasure")
        unit = text_or(of_measure, "unit", "Wh")
        multiplier = _multiplier(of_measure.get("multiplier"))
    return _Sample(
        time=utc_seconds(as_text(stamp, "timestamp"), "timestamp"),
        out=measurand == EXPORT_REGISTER,
        energy_mwh=scaled_energy(
            as_number(value.get("value"), "value"),
            unit_power(unit, measurand) + multiplier,
            measurand,
        ),
        signed_by=signed_by,
    )


def _multiplier(value: object) -> int:
    if value is None:
        return 0
    text = as_number(value, "multiplier")
    power = whole_number(text, -MULTIPLIER_MAX, MULTIPLIER_MAX)
    if power is None:
        raise FormatUnreadable(
            f"multiplier {shown(text)} is no power of ten from -{MULTIPLIER_MAX} to "
            f"{MULTIPLIER_MAX}"
        )
    return power


def _ends(payload: Mapping[str, object]) -> Iterator[_Sample]:
    """The registers in whole Wh with which a transaction of OCPP 1.6 begins and ends."""
    for name in ("meterStart", "meterStop"):
        value = payload.get(name)
        if value is not None:
            yield _Sample(
                time=utc_seconds(as_text(payload.get("timestamp"), "timestamp"), "timestamp"),
                out=False,
                energy_mwh=scaled_energy(as_number(value, name), unit_power("Wh", name), name),
                signed_by=None,
            )


def _registers(source: str, samples: list[_Sample]) -> Iterator[Reading]:
    """One reading for each time, with both registers where both are there."""
    by_time: dict[int, dict[bool, _Sample]] = {}
    for sample in samples:
        known = by_time.setdefault(sample.time, {})
        before = known.get(sample.out)
        if before is not None and before.energy_mwh != sample.energy_mwh:
            raise ReadingsContradict(
                f"a register of {shown(source)} at {time_text(sample.time)} is both "
                f"{before.energy_mwh} and {sample.energy_mwh} mWh: have the station send one"
            )
        known.setdefault(sample.out, sample)
    for time, known in by_time.items():
        imported, exported = known.get(False), known.get(True)
        signers = {sample.signed_by for sample in known.values()}
        yield Reading(
            source=source,
            time=time,
            import_mwh=imported.energy_mwh if imported else None,
            export_mwh=exported.energy_mwh if exported else None,
            signed_by=signers.pop() if len(signers) == 1 else None,
        )


def _signed_text(text: str) -> object:
    """What OCPP 1.6 puts into a value of format SignedData: an object as text, or the record."""
    if text.lstrip().startswith("{"):
        return read_json(text, PAYLOAD_BYTES_MAX, "signed value")
    return {"signedMeterData": text}


def _record(fields: Mapping[str, object]) -> str | None:
    """The OCMF text in a signed value, plain, in base64 or hex; None for other formats."""
    data = text_or(fields, "signedMeterData")
    if data.lstrip().startswith(HEADER):
        return data
    decoded = _decoded(data)
    if decoded is not None and decoded.lstrip().startswith(HEADER):
        return decoded
    if text_or(fields, "encodingMethod").upper() == "OCMF":
        raise SignatureUnreadable(
            f"signed data {shown(data)} is called OCMF and is none: have the station send it whole"
        )
    return None


def _decoded(data: str) -> str | None:
    packed = "".join(data.split())
    for decode in (bytes.fromhex, _plain_base64):
        try:
            return decode(packed).decode("utf-8")
        except (ValueError, binascii.Error):
            continue
    return None


def _plain_base64(text: str) -> bytes:
    bare = text.rstrip("=")
    return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)


def _from_record(
    record: str, fields: Mapping[str, object], options: OcppOptions
) -> tuple[AnyReading, ...]:
    """Readings of a signed record; under the key sent along where no other was given."""
    read = read_ocmf(record, options.keys)
    sent = text_or(fields, "publicKey")
    if read.signed_by.check is Check.NO_KEY and sent:
        read = read_ocmf(record, Keys(_sent_key(sent)))
        checked = read.signed_by
        if checked.check is Check.HOLDS:
            checked = replace(checked, check=Check.KEY_SENT_ALONG)
        read = replace(read, signed_by=checked)
    return ocmf_readings(read)


def _sent_key(text: str) -> str:
    """The key in `oca:base16:asn1:HEX`, bare or in base64 as the OCA's note asks, or as it is."""
    decoded = _decoded(text) or ""
    for candidate in (text, decoded):
        parts = candidate.split(":")
        if len(parts) == _KEY_PARTS and parts[0] == "oca":
            return parts[-1]
    # The note's own example is base64 over bare hex.
    return decoded if decoded.isascii() and decoded.isalnum() else text

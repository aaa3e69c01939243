"""Meter values of charging stations over OCPP, signed and not."""

import base64
import json
from copy import deepcopy

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.driver import Message
from commonwatt.meter.driver.failure import (
    DeviceKeyUnusable,
    FormatUnreadable,
    MessageTooLarge,
    NumberUnreadable,
    ReadingsContradict,
    RegisterMissing,
    SignatureUnreadable,
    SignatureWrong,
    SourceUnusable,
    TimeUnreadable,
    UnitUnknown,
)
from commonwatt.meter.driver.ocpp import PAYLOAD_BYTES_MAX, SAMPLES_MAX, OcppOptions, read_ocpp
from commonwatt.meter.driver.reading import AnyReading, Check, IntervalReading, Reading
from commonwatt.quantity import decimal_text
from meter.driver.samples import (
    OCMF_TEXT,
    OCPP_SIGNED,
    OCPP_VALUES,
    RECEIVED,
    as_json,
    ocmf_payload,
    ocmf_reading,
    signed,
    spki,
    station_key,
)

NOON = 1_705_316_400
AT = "2024-01-15T11:00:00Z"
EXPORT = "Energy.Active.Export.Register"
KEY = spki(station_key()).hex()


def read(document: object, topic: str = "station-1", **options: object) -> tuple[AnyReading, ...]:
    message = Message(as_json(document), RECEIVED, topic)
    return read_ocpp(message, OcppOptions(**options))  # type: ignore[arg-type]


def values(*sampled: dict, **fields: object) -> dict:
    return {
        "connectorId": 1,
        "meterValue": [{"timestamp": AT, "sampledValue": list(sampled)}],
    } | fields


def signed_value(record: str = OCMF_TEXT, **fields: str) -> dict:
    data = base64.b64encode(record.encode()).decode()
    return {
        "value": 7,
        "signedMeterValue": {"signedMeterData": data, "encodingMethod": "OCMF", **fields},
    }


def test_both_registers_of_one_time_make_one_reading() -> None:
    assert read([2, "1", "MeterValues", OCPP_VALUES]) == (
        Reading("station-1/1", NOON, 1_500_000, 2_000_000),
    )


@given(
    st.integers(min_value=0, max_value=10**13),
    st.sampled_from([("Wh", 3), ("kWh", 6)]),
    st.integers(min_value=-6, max_value=6),
)
def test_a_value_with_unit_and_multiplier_is_read_back_exactly(
    energy: int, unit: tuple[str, int], multiplier: int
) -> None:
    name, places = unit
    number = f"{decimal_text(energy, places)}e{-multiplier}"
    of_measure = {"unit": name, "multiplier": multiplier}
    text = json.dumps(values({"value": "#", "unitOfMeasure": of_measure})).replace('"#"', number)
    [reading] = read_ocpp(Message(text.encode(), RECEIVED, "s"), OcppOptions())
    assert isinstance(reading, Reading)
    assert reading.import_mwh == energy


def test_ocpp_1_6_writes_numbers_as_texts_and_leaves_out_what_is_usual() -> None:
    assert read(values({"value": "1500"})) == (Reading("station-1/1", NOON, 1_500_000, None),)
    kilo = {"value": "1.5", "unit": "kWh", "measurand": EXPORT, "context": "Sample.Clock"}
    assert read(values(kilo)) == (Reading("station-1/1", NOON, None, 1_500_000),)


def test_a_transaction_of_ocpp_1_6_begins_and_ends_with_a_register() -> None:
    start = {"connectorId": 2, "idTag": "x", "meterStart": 100, "timestamp": AT}
    assert read([2, "1", "StartTransaction", start]) == (
        Reading("station-1/2", NOON, 100_000, None),
    )
    data = [{"timestamp": "2024-01-15T12:00:00Z", "sampledValue": [{"value": "250"}]}]
    stop = {"transactionId": 7, "meterStop": 300, "timestamp": "2024-01-15T13:00:00Z"}
    assert read([2, "2", "StopTransaction", stop | {"transactionData": data}]) == (
        Reading("station-1", NOON + 3_600, 250_000, None),
        Reading("station-1", NOON + 7_200, 300_000, None),
    )


def test_a_transaction_event_names_its_evse() -> None:
    event = {"eventType": "Updated", "evse": {"id": 3, "connectorId": 1}, "timestamp": AT}
    event |= {"meterValue": values({"value": 1})["meterValue"]}
    assert read(event)[0].source == "station-1/3"


@pytest.mark.parametrize(
    "sampled",
    [
        {"value": 1, "phase": "L1"},
        {"value": 1, "measurand": "Power.Active.Import"},
        {"value": 1, "measurand": "Energy.Active.Import.Interval"},
        {"value": 1, "measurand": "SoC", "unitOfMeasure": {"unit": "Percent"}},
        {"value": 1, "location": "Inlet"},
    ],
)
def test_other_quantities_phases_and_places_are_passed_over(sampled: dict) -> None:
    assert read(values(sampled)) == ()


def test_the_place_of_the_register_can_be_chosen() -> None:
    inlet = {"value": 1, "location": "Inlet"}
    assert len(read(values(inlet, {"value": 2}), location="Inlet")) == 1


@pytest.mark.parametrize(
    "document",
    [{}, [3, "1", {}], [4, "1", "InternalError", "", {}], [2, "1", "Heartbeat", {}], [2], [],
     {"meterValue": None}, {"meterValue": []}],
)  # fmt: skip
def test_messages_without_energy_give_nothing(document: object) -> None:
    assert read(document) == ()


def test_of_a_signed_value_the_signed_record_counts() -> None:
    readings = read(OCPP_SIGNED, public_key=KEY)
    assert [reading.import_mwh for reading in readings] == [1_500_000, 2_500_000]
    assert {reading.source for reading in readings} == {"1METER001"}
    assert all(reading.signed_by and reading.signed_by.vouches for reading in readings)


def test_keys_can_be_given_for_each_meter() -> None:
    [first, _] = read(OCPP_SIGNED, public_keys={"1METER001": KEY})
    assert first.signed_by is not None
    assert first.signed_by.check is Check.HOLDS
    [unchecked, _] = read(OCPP_SIGNED, public_keys={"1METER002": KEY})
    assert unchecked.signed_by is not None
    assert unchecked.signed_by.check is Check.NO_KEY


@pytest.mark.parametrize(
    "sent",
    [
        KEY,
        base64.b64encode(spki(station_key())).decode(),
        f"oca:base16:asn1:{KEY}",
        base64.b64encode(f"oca:base16:asn1:{KEY}".encode()).decode(),
        base64.b64encode(KEY.encode()).decode(),
    ],
    ids=["hex", "base64", "oca", "oca in base64", "hex in base64"],
)
def test_a_key_that_came_along_shows_that_nothing_changed_but_does_not_vouch(sent: str) -> None:
    [first, _] = read(values(signed_value(publicKey=sent)))
    assert first.signed_by is not None
    assert first.signed_by.check is Check.KEY_SENT_ALONG
    assert first.signed_by.key == spki(station_key())
    assert not first.signed_by.vouches
    forged = signed_value(OCMF_TEXT.replace("1.5", "9.5"), publicKey=sent)
    with pytest.raises(SignatureWrong):
        read(values(forged))


def test_a_given_key_vouches_even_where_one_came_along() -> None:
    [first, _] = read(values(signed_value(publicKey=KEY)), public_key=KEY)
    assert first.signed_by is not None
    assert first.signed_by.check is Check.HOLDS


def test_a_weak_key_that_came_along_stays_weak() -> None:
    old = station_key(ec.SECP192R1())
    record = signed(ocmf_payload(ocmf_reading()), old, "ECDSA-secp192r1-SHA256")
    [reading] = read(values(signed_value(record, publicKey=spki(old).hex())))
    assert reading.signed_by is not None
    assert reading.signed_by.check is Check.LEGACY


def test_a_key_that_came_along_does_not_replace_the_one_that_was_given() -> None:
    forger = station_key(number=8)
    record = signed(ocmf_payload(ocmf_reading()), forger)
    sent = signed_value(record, publicKey=spki(forger).hex())
    with pytest.raises(SignatureWrong):
        read(values(sent), public_key=KEY)


@pytest.mark.parametrize(
    "value",
    [
        OCMF_TEXT,
        OCMF_TEXT.encode().hex(),
        base64.b64encode(OCMF_TEXT.encode()).decode(),
        json.dumps(signed_value()["signedMeterValue"]),
        json.dumps({"signedMeterData": OCMF_TEXT}),
    ],
    ids=["plain", "hex", "base64", "object as text", "plain in object"],
)
def test_ocpp_1_6_puts_the_signed_record_into_the_value(value: str) -> None:
    readings = read(values({"value": value, "format": "SignedData"}), public_key=KEY)
    assert [reading.import_mwh for reading in readings] == [1_500_000, 2_500_000]


def test_a_record_that_is_sent_twice_counts_once() -> None:
    assert len(read(values(signed_value(), signed_value()), public_key=KEY)) == 2


def test_a_session_register_alone_is_given_as_an_interval() -> None:
    code = "01-00:B2.08.00*FF"
    end = ocmf_reading(4, RI=code, TX="E", TM="2024-01-15T13:00:00,000+0100 S")
    record = signed(ocmf_payload(ocmf_reading(0, RI=code), end))
    [session] = read(values(signed_value(record)), public_key=KEY)
    assert isinstance(session, IntervalReading)
    assert (session.start, session.duration, session.import_mwh) == (NOON, 3_600, 4_000_000)


def test_a_signature_of_another_kind_is_told_and_the_number_is_used() -> None:
    fields = {
        "signedMeterData": "AP;0;3;AJ",
        "encodingMethod": "ALFEN",
        "signingMethod": "ECDSA192",
    }
    [reading] = read(values({"value": 1500, "signedMeterValue": fields}))
    assert isinstance(reading, Reading)
    assert reading.import_mwh == 1_500_000
    assert reading.signed_by is not None
    assert (reading.signed_by.scheme, reading.signed_by.check) == ("ECDSA192", Check.KIND_UNKNOWN)
    assert read(values({"value": "AP;0;3;AJ", "format": "SignedData"})) == ()


@pytest.mark.parametrize(
    ("document", "failure"),
    [
        ("hello", FormatUnreadable),
        ([2, "1", "MeterValues", []], FormatUnreadable),
        (values(connectorId=1.5), FormatUnreadable),
        (values(connectorId="one"), FormatUnreadable),
        ({"meterValue": {"timestamp": AT}}, FormatUnreadable),
        ({"meterValue": [{"timestamp": AT}]}, FormatUnreadable),
        (values(1), FormatUnreadable),  # type: ignore[arg-type]
        (values({"measurand": EXPORT}), FormatUnreadable),
        (values({"value": 1, "unitOfMeasure": {"multiplier": 21}}), FormatUnreadable),
        (values({"value": 1, "unitOfMeasure": {"multiplier": 1.5}}), FormatUnreadable),
        (values({"value": 1, "unitOfMeasure": 1}), FormatUnreadable),
        (values({"value": 1, "unit": "W"}), UnitUnknown),
        (values({"value": "NaN"}), NumberUnreadable),
        (values({"value": -1}), NumberUnreadable),
        (values({"value": 1}, {"value": 2}), ReadingsContradict),
        (
            {"meterValue": [{"timestamp": "2024-01-15T11:00:00", "sampledValue": [{"value": 1}]}]},
            TimeUnreadable,
        ),
        ({"meterStart": 1}, FormatUnreadable),
        (values(signed_value("OCMF|{}|{}")), SourceUnusable),
        (values(signed_value("nothing")), SignatureUnreadable),
        (values(signed_value(publicKey="oca:base16:asn1:zz")), DeviceKeyUnusable),
        (values({"value": "{", "format": "SignedData"}), FormatUnreadable),
        (values({"value": 7, "format": "SignedData"}), FormatUnreadable),
        (values(signed_value(signed(ocmf_payload(ocmf_reading(RI="1-0:1.7.0"))))), RegisterMissing),
    ],
)
def test_what_a_station_cannot_mean_is_refused(document: object, failure: type) -> None:
    with pytest.raises(failure):
        read(document)


def test_a_station_has_a_name() -> None:
    with pytest.raises(SourceUnusable):
        read({"meterValue": values({"value": 1})["meterValue"]}, topic="")


def test_messages_and_values_are_limited() -> None:
    with pytest.raises(MessageTooLarge):
        read_ocpp(Message(b" " * (PAYLOAD_BYTES_MAX + 1), RECEIVED, "s"), OcppOptions())
    many = deepcopy(OCPP_VALUES)
    many["meterValue"][0]["sampledValue"] = [{"value": 1}] * (SAMPLES_MAX + 1)  # type: ignore[index]
    with pytest.raises(MessageTooLarge, match=f"more than {SAMPLES_MAX} values"):
        read(many)

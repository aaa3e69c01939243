"""OCMF records: what stations sign, how it is checked, and what is read of it."""

import base64
import json

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.meter.driver.device_key import CURVES, KEY_TEXT_MAX, read_scheme, read_signature
from commonwatt.meter.driver.failure import (
    DeviceKeyUnusable,
    FormatUnreadable,
    MessageCut,
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
from commonwatt.meter.driver.ocmf import OCMF_BYTES_MAX, Keys, ocmf_readings, read_ocmf
from commonwatt.meter.driver.reading import Check, IntervalReading, Reading
from commonwatt.meter.record import Quality
from commonwatt.quantity import decimal_text
from meter.driver.samples import (
    ocmf_payload,
    ocmf_reading,
    raw_form,
    signed,
    spki,
    station_key,
)

NOON = 1_705_316_400
"""2024-01-15T12:00:00+0100."""
AT_ONE, SYNCHRONISED = "2024-01-15T13:00:00,500+0100 S", Quality.MEASURED
KEY = station_key()
KEYS = Keys(spki(KEY).hex())


def read(*readings: dict[str, object], **fields: object) -> tuple[Reading, ...]:
    """The registers of a record of these readings, well signed."""
    return read_ocmf(signed(ocmf_payload(*readings, **fields)), KEYS).readings()


# Who vouches


CURVES_OF_OCMF = sorted(curve for curve in CURVES if CURVES[curve].make)


@pytest.mark.parametrize("spelled", [*CURVES_OF_OCMF, "brainpool256r1", "brainpool384r1"])
@pytest.mark.parametrize("written", ["r||s", "DER"])
def test_a_record_of_every_curve_is_checked(spelled: str, written: str) -> None:
    curve = read_scheme(f"ECDSA-{spelled}-SHA256").curve
    assert curve.make is not None
    key = station_key(curve.make())
    form = raw_form(curve.field_bytes) if written == "r||s" else bytes.hex
    scheme = f"ECDSA-{spelled}-SHA256"
    text = signed(ocmf_payload(ocmf_reading()), key, scheme, form)
    signed_by = read_ocmf(text, Keys(spki(key).hex())).signed_by
    assert signed_by.check is (Check.LEGACY if curve.legacy else Check.HOLDS)
    assert signed_by.vouches != curve.legacy
    assert (signed_by.scheme, signed_by.key) == (scheme, spki(key))
    forger = station_key(curve.make(), number=8)
    with pytest.raises(SignatureWrong, match="key of this device"):
        read_ocmf(text, Keys(spki(forger).hex()))


def test_a_curve_that_no_library_has_is_told_as_unchecked() -> None:
    text = signed(
        ocmf_payload(ocmf_reading()), station_key(ec.SECP192R1()), "ECDSA-secp192k1-SHA256"
    )
    published = "3046301006072a8648ce3d020106052b8104001f03320004" + "01" * 48
    for key in (published, "01" * 48):
        signed_by = read_ocmf(text, Keys(key)).signed_by
        assert signed_by.check is Check.LEGACY_UNCHECKED
        assert not signed_by.vouches


def test_where_the_library_has_no_p192_the_record_is_told_as_unchecked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: bytes) -> None:
        raise UnsupportedAlgorithm("this build has no such curve")

    old, new = station_key(ec.SECP192R1()), station_key(ec.BrainpoolP256R1())
    payload = ocmf_payload(ocmf_reading())
    monkeypatch.setattr("commonwatt.meter.driver.device_key.load_der_public_key", refuse)
    record = read_ocmf(signed(payload, old, "ECDSA-secp192r1-SHA256"), Keys(spki(old).hex()))
    assert record.signed_by.check is Check.LEGACY_UNCHECKED
    with pytest.raises(DeviceKeyUnusable):
        read_ocmf(signed(payload, new, "ECDSA-brainpool256r1-SHA256"), Keys(spki(new).hex()))


def test_without_a_key_nothing_is_checked_and_the_record_says_so() -> None:
    record = read_ocmf(signed(ocmf_payload(ocmf_reading())))
    assert record.signed_by.check is Check.NO_KEY
    assert not record.readings()[0].signed_by.vouches  # type: ignore[union-attr]


NUMBERS = KEY.public_key().public_numbers()
POINT = NUMBERS.x.to_bytes(32) + NUMBERS.y.to_bytes(32)


@pytest.mark.parametrize(
    "published",
    [
        spki(KEY).hex(),
        spki(KEY).hex(" ", 2).upper(),
        base64.b64encode(spki(KEY)).decode(),
        base64.b64encode(spki(KEY)).decode().rstrip("="),
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        POINT.hex(),
        "04" + POINT.hex(),
        ("02" if NUMBERS.y % 2 == 0 else "03") + POINT[:32].hex(),
    ],
    ids=["hex", "spaced hex", "base64", "bare base64", "PEM", "x||y", "04", "compressed"],
)
def test_a_key_is_read_however_it_was_published(published: str) -> None:
    signed_by = read_ocmf(signed(ocmf_payload(ocmf_reading())), Keys(published)).signed_by
    assert signed_by.check is Check.HOLDS
    assert signed_by.key == spki(KEY)


def test_each_device_has_its_own_key() -> None:
    keys = Keys("00", {"1METER001": spki(KEY).hex()})
    text = signed(ocmf_payload(ocmf_reading()))
    assert read_ocmf(text, keys).signed_by.check is Check.HOLDS
    with pytest.raises(DeviceKeyUnusable):
        read_ocmf(signed(ocmf_payload(ocmf_reading(), MS="1METER002")), keys)


@pytest.mark.parametrize(
    ("published", "told"),
    [
        ("nonsense!", "no public key"),
        ("00" * 64, "no public key"),
        ("04" + "00" * 63, "no public key"),
        ("3059" + "00" * 80, "no public key"),
        ("ab" * KEY_TEXT_MAX, "no public key"),
        (spki(KEY).hex() + "00", "no public key"),
        (spki(station_key(ec.SECP256K1())).hex(), "curve secp256k1, the signature of secp256r1"),
        (spki(station_key(ec.SECP384R1())).hex(), "curve secp384r1"),
        (
            ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
            .public_key()
            .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            .hex(),
            "not one of ECDSA",
        ),
    ],
)
def test_what_is_no_key_of_the_device_is_refused(published: str, told: str) -> None:
    with pytest.raises(DeviceKeyUnusable, match=told):
        read_ocmf(signed(ocmf_payload(ocmf_reading())), Keys(published))


def test_without_an_algorithm_p256_is_meant() -> None:
    payload = ocmf_payload(ocmf_reading())
    text = signed(payload).replace('"SA": "ECDSA-secp256r1-SHA256", ', "")
    assert "SA" not in text
    assert read_ocmf(text, KEYS).signed_by.check is Check.HOLDS


def test_a_signature_in_base64_is_read_where_the_record_says_so() -> None:
    def form(data: bytes) -> str:
        return base64.b64encode(data).decode()

    payload = ocmf_payload(ocmf_reading())
    text = signed(payload, form=form, more={"SE": "base64", "SM": "application/x-der"})
    assert read_ocmf(text, KEYS).signed_by.check is Check.HOLDS


def test_der_numbers_without_their_sign_byte_mean_what_they_are() -> None:
    """Some meters write r and s with 24 bytes always, below zero by the letter of DER."""
    der = bytes.fromhex("30340218" + "e1" * 24 + "0218" + "00" + "7d" * 23)
    assert read_signature(der, 24) == (int("e1" * 24, 16), int("7d" * 23, 16))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"0",
        b"\x30\x00",
        b"\x30\x06\x02\x01\x01\x02\x01\x01\x00",
        b"\x30\x06\x02\x02\x01\x02\x01",
        b"\x30\x81",
        b"\x30\x84\x00\x00\x00\x01",
        b"\x31\x06\x02\x01\x01\x02\x01\x01",
        b"\x30\x04\x02\x00\x02\x00",
        bytes(63),
        bytes(65),
    ],
)
def test_what_is_no_signature_is_refused(data: bytes) -> None:
    with pytest.raises(SignatureUnreadable, match="neither DER nor two numbers"):
        read_signature(data, 32)


def test_a_long_signature_has_its_length_in_a_byte_of_its_own() -> None:
    key = station_key(ec.SECP521R1(), number=2**519)
    text = signed(ocmf_payload(ocmf_reading()), key, "ECDSA-secp521r1-SHA256")
    assert '"SD": "3081' in text
    assert read_ocmf(text, Keys(spki(key).hex())).signed_by.check is Check.HOLDS


@pytest.mark.parametrize(
    "section",
    ['{"SA":"RSA-SHA256","SD":"00"}', '{"SA":"ECDSA-secp999r1-SHA256","SD":"00"}',
     '{"SA":"ECDSA-secp256r1-MD5","SD":"00"}', '{"SE":"base32","SD":"00"}', '{"SD":"zz!"}', "{}",
     '{"SD":""}', '{"SD":"' + "0" * 3_000 + '"}', '{"SE":"base64","SD":"=="}'],
)  # fmt: skip
def test_a_signature_section_that_cannot_be_read_is_told(section: str) -> None:
    with pytest.raises(SignatureUnreadable):
        read_ocmf(f"OCMF|{ocmf_payload(ocmf_reading())}|{section}")


def test_the_bytes_are_verified_as_they_stand_spaces_and_all() -> None:
    payload = json.dumps(json.loads(ocmf_payload(ocmf_reading())), indent=3)
    text = signed(payload)
    assert read_ocmf(f"  {text}\n", KEYS).signed_by.check is Check.HOLDS
    with pytest.raises(SignatureWrong):
        read_ocmf(text.replace("   ", " ", 1), KEYS)


def test_a_bar_inside_the_payload_does_not_end_it() -> None:
    text = signed(ocmf_payload(ocmf_reading(), TT="day|night"))
    assert read_ocmf(text, KEYS).signed_by.check is Check.HOLDS


# What is read


@given(
    st.lists(st.integers(min_value=0, max_value=10**13), min_size=1, max_size=4),
    st.sampled_from([("kWh", 6), ("Wh", 3)]),
    st.sampled_from(["number", "text"]),
)
def test_registers_that_a_station_signs_are_read_back_exactly(
    energies: list[int], unit: tuple[str, int], written: str
) -> None:
    name, places = unit
    entries = []
    for hour, energy in enumerate(energies):
        number = decimal_text(energy, places)
        entry = ocmf_reading(number if written == "text" else None, RU=name)
        entry["TM"] = f"2024-01-15T{hour + 12}:00:00,000+0100 S"
        entries.append(json.dumps(entry).replace("null", number))
    payload = f'{{"PG":"F1","GS":"gateway","RD":[{",".join(entries)}]}}'
    readings = read_ocmf(signed(payload), KEYS).readings()
    assert [reading.import_mwh for reading in readings] == energies
    assert [reading.time for reading in readings] == [
        NOON + 3_600 * n for n in range(len(energies))
    ]
    assert {reading.source for reading in readings} == {"gateway"}


def test_readings_inherit_what_they_leave_out() -> None:
    later = {"TM": AT_ONE, "RV": 2.5}
    out = {"RV": 0.5, "RI": "1-0:2.8.0"}
    first, second = read(ocmf_reading(), later | {"TX": "E"}, out)
    assert (first.import_mwh, first.export_mwh) == (1_500_000, None)
    assert (second.time, second.import_mwh, second.export_mwh) == (NOON + 3_600, 2_500_000, 500_000)
    assert second.quality == SYNCHRONISED


@pytest.mark.parametrize("flag", "UIR")
def test_a_clock_that_is_not_synchronised_is_marked(flag: str) -> None:
    [reading] = read(ocmf_reading(TM=f"2024-01-15T12:00:00,000+0100 {flag}"))
    assert reading.quality == Quality.MEASURED | Quality.CLOCK_NOT_SYNCHRONISED
    assert reading.time == NOON


@pytest.mark.parametrize(
    ("state", "errors", "quality"),
    [
        ("G", "", Quality.MEASURED),
        ("S", "", Quality.SUBSTITUTED),
        ("M", "", Quality.METER_ERROR),
        ("N", "", Quality.METER_ERROR),
        ("G", "E", Quality.METER_ERROR),
        ("G", "t", Quality.METER_ERROR | Quality.CLOCK_NOT_SYNCHRONISED),
        ("E", "Et", Quality.METER_ERROR | Quality.CLOCK_NOT_SYNCHRONISED),
    ],
)
def test_states_and_errors_of_the_meter_are_kept(state: str, errors: str, quality: Quality) -> None:
    [reading] = read(ocmf_reading(ST=state, EF=errors))
    assert reading.quality == quality
    assert reading.signed_by is not None
    assert reading.signed_by.vouches


def test_from_an_exception_on_nothing_counts_as_measured() -> None:
    good, bad, after = read(
        ocmf_reading(), ocmf_reading(2, TX="X", TM=AT_ONE), ocmf_reading(3, TX="E", TM=AT_ONE)
    )
    assert good.quality == Quality.MEASURED
    assert {bad.quality, after.quality} == {Quality.METER_ERROR}


def test_the_total_goes_before_tariffs_and_the_meter_before_the_car() -> None:
    def imported(*codes: str) -> int | None:
        entries = [ocmf_reading(2**n, RI=code) for n, code in enumerate(codes)]
        return read(*entries)[0].import_mwh

    million = 1_000_000
    assert imported("1-0:1.8.0", "1-0:1.8.1", "1-0:1.8.2") == million
    assert imported("1-0:1.8.1", "1-0:1.8.2") == 3 * million
    assert imported("01-00:B1.08.00*FF", "01-00:B0.08.00*FF") == 2 * million
    assert imported("01-00:B1.08.00*FF") == million
    assert imported("01-00:B2.08.00*FF", "1-0:1.8.0") == 2 * million


def test_a_time_without_the_chosen_register_says_nothing_of_it() -> None:
    readings = read(
        ocmf_reading(1, RI="1-0:1.8.1"), ocmf_reading(2, RI="1-0:1.8.2"),
        ocmf_reading(3, RI="1-0:1.8.1", TM=AT_ONE),
    )  # fmt: skip
    assert [reading.import_mwh for reading in readings] == [3_000_000]


def test_a_session_is_the_energy_between_its_begin_and_its_end() -> None:
    record = read_ocmf(
        signed(ocmf_payload(ocmf_reading(), ocmf_reading(2.75, TX="L", TM=AT_ONE))), KEYS
    )
    assert record.session() == IntervalReading(
        "1METER001", NOON, 3_600, 1_250_000, None, Quality.MEASURED, record.signed_by
    )
    assert record.page == "T12"


def test_a_register_of_the_session_alone_is_given_as_its_energy() -> None:
    code = "1-0:1.8.0*198"
    both = ocmf_payload(ocmf_reading(0, RI=code), ocmf_reading(4, RI=code, TX="E", TM=AT_ONE))
    record = read_ocmf(signed(both), KEYS)
    assert record.readings() == ()
    assert ocmf_readings(record)[0].import_mwh == 4_000_000
    begin = read_ocmf(signed(ocmf_payload(ocmf_reading(0, RI=code))), KEYS)
    assert begin.session() is None
    with pytest.raises(RegisterMissing, match="'T12' of '1METER001'"):
        ocmf_readings(begin)


def test_begin_and_end_without_a_common_register_are_no_session() -> None:
    end = ocmf_reading(4, RI="1-0:1.8.1", TX="E", TM=AT_ONE)
    assert read_ocmf(signed(ocmf_payload(ocmf_reading(), end))).session() is None


def test_a_register_that_fell_during_a_session_is_refused() -> None:
    record = read_ocmf(signed(ocmf_payload(ocmf_reading(5), ocmf_reading(4, TX="E", TM=AT_ONE))))
    with pytest.raises(ReadingsContradict, match="fell from 5000000 to 4000000"):
        record.session()


def test_durations_events_and_powers_are_passed_over() -> None:
    assert len(read(ocmf_reading(), {"RV": 30, "RI": "01-00:00.08.06.FF", "RU": "sec"})) == 1
    event = {"TM": AT_ONE, "TX": "X", "ST": "T", "EF": "E"}
    assert len(read(ocmf_reading(), event)) == 1


@pytest.mark.parametrize(
    ("fields", "source"),
    [({"MS": "m", "GS": "g"}, "m"), ({"MS": "", "GS": "g"}, "g"), ({"MS": None, "CI": "c"}, "c")],
)
def test_the_meter_names_itself_or_its_gateway_does(fields: dict, source: str) -> None:
    assert read(ocmf_reading(), **fields)[0].source == source


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    summer, winter = read(
        ocmf_reading(TM="2024-10-27T02:30:00,000+0200 S"),
        ocmf_reading(TM="2024-10-27T02:30:00,000+0100 S"),
    )
    assert winter.time - summer.time == 3_600


# What is refused


@pytest.mark.parametrize(
    ("fields", "failure"),
    [
        ({"TM": "2024-01-15T12:00:00,000 S"}, TimeUnreadable),
        ({"TM": "yesterday S"}, TimeUnreadable),
        ({"TM": "2024-01-15T12:00:00,000+0100"}, FormatUnreadable),
        ({"TM": "2024-01-15T12:00:00,000+0100 Q"}, FormatUnreadable),
        ({"TM": None}, FormatUnreadable),
        ({"RU": "J"}, UnitUnknown),
        ({"RU": None}, UnitUnknown),
        ({"RV": "1,5"}, NumberUnreadable),
        ({"RV": -1}, NumberUnreadable),
        ({"RV": True}, FormatUnreadable),
        ({"ST": "Q"}, FormatUnreadable),
        ({"ST": None}, FormatUnreadable),
        ({"EF": "Z"}, FormatUnreadable),
    ],
)
def test_a_reading_that_is_none_of_ocmf_is_refused(fields: dict, failure: type) -> None:
    with pytest.raises(failure):
        read(ocmf_reading() | fields)


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("", FormatUnreadable),
        ("OCMF", FormatUnreadable),
        ("ocmf|{}|{}", FormatUnreadable),
        ("OCMF|{}", MessageCut),
        ("OCMF|{}|", SourceUnusable),
        ('OCMF|{"MS":"m"}|', MessageCut),
        ('OCMF|{"MS":"m"', MessageCut),
        ('OCMF|{"MS":"m"}|{', FormatUnreadable),
        ('OCMF|{"MS":"m"}|[]', FormatUnreadable),
        ("OCMF|[]|{}", FormatUnreadable),
        ('OCMF|{"MS":7}|{"SD":"00"}', FormatUnreadable),
        ('OCMF|{"MS":"m","MS":"n"}|{"SD":"00"}', FormatUnreadable),
        ("OCMF|" + " " * OCMF_BYTES_MAX, MessageTooLarge),
    ],
)
def test_what_is_no_record_is_refused(text: str, failure: type) -> None:
    with pytest.raises(failure):
        read_ocmf(text, KEYS)


@pytest.mark.parametrize("payload", ['{"MS":"m"}', '{"MS":"m","RD":{}}', '{"MS":"m","RD":[1]}'])
def test_a_record_without_a_list_of_readings_is_refused(payload: str) -> None:
    with pytest.raises(FormatUnreadable):
        read_ocmf(signed(payload), KEYS)


def test_signatures_of_samples_are_real() -> None:
    """The tests' own tool: a raw form is the same two numbers as the DER form."""
    text = signed(ocmf_payload(ocmf_reading()))
    der = bytes.fromhex(json.loads(text.rpartition("|")[2])["SD"])
    assert decode_dss_signature(der) == read_signature(bytes.fromhex(raw_form(32)(der)), 32)

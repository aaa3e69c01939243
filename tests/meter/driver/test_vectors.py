"""Genuine records of meters in the field, with the verdicts published beside them."""

import json
from hashlib import sha256

import pytest

from commonwatt.errors import InputError
from commonwatt.meter.driver.device_key import read_scheme
from commonwatt.meter.driver.espi import EspiOptions, read_espi
from commonwatt.meter.driver.failure import ChecksumWrong, DriverError, SignatureWrong
from commonwatt.meter.driver.nem12 import read_channels, read_nem12
from commonwatt.meter.driver.ocmf import HEADER, Keys, read_ocmf
from commonwatt.meter.driver.p1 import read_p1, read_telegram
from commonwatt.meter.driver.p1_stream import Splitter
from commonwatt.meter.driver.reading import Check
from commonwatt.meter.record import Quality
from meter.driver.samples import VECTORS, genuine

pytestmark = genuine


def listed(name: str) -> list[dict]:
    path = VECTORS / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


OCMF = {case["id"]: case for case in listed("ocmf.json")}
TELEGRAMS = {case["id"]: case for case in listed("dsmr.json")}
NEM12 = {case["file"]: case for case in listed("nem12/expected.json")}
GREEN_BUTTON = {case["file"]: case for case in listed("greenbutton/expected.json")}


def key_of(case: dict) -> str:
    return case["public_key_as_published"] or case["public_key_spki_der_hex"]


def test_there_are_records_to_read() -> None:
    assert len(OCMF) >= 15
    assert len(TELEGRAMS) >= 4
    assert len(NEM12) >= 4
    assert len(GREEN_BUTTON) >= 1


@pytest.mark.parametrize("name", OCMF)
def test_a_station_vouches_exactly_where_the_published_verdict_is_valid(name: str) -> None:
    case = OCMF[name]
    try:
        signed_by = read_ocmf(case["ocmf"], Keys(key_of(case))).signed_by
    except SignatureWrong:
        assert case["verdict"] == "invalid"
        return
    assert signed_by.vouches == (case["verdict"] == "valid")
    assert signed_by.scheme == case["declared_algorithm"]
    assert read_scheme(signed_by.scheme).curve.name == case["key_curve"]
    assert signed_by.key.hex() == case["public_key_spki_der_hex"]


def test_a_weak_curve_is_told_as_such_and_does_not_vouch() -> None:
    [case] = [case for case in OCMF.values() if case["key_curve"] == "secp192r1"]
    record = read_ocmf(case["ocmf"], Keys(key_of(case)))
    assert record.signed_by.check is Check.LEGACY
    assert [reading.import_mwh for reading in record.readings()] == [2_851_485_000, 2_851_753_000]


@pytest.mark.parametrize("name", OCMF)
def test_the_signed_bytes_are_those_between_the_first_and_the_last_bar(name: str) -> None:
    text = OCMF[name]["ocmf"]
    payload = text[len(HEADER) : text.rindex("|")]
    if "signed_bytes_sha256" in OCMF[name]:
        assert sha256(payload.encode()).hexdigest() == OCMF[name]["signed_bytes_sha256"]
    assert read_ocmf(text).signed_by.check is Check.NO_KEY


@pytest.mark.parametrize("name", [name for name in OCMF if OCMF[name]["verdict"] == "valid"])
def test_one_changed_digit_of_a_genuine_record_is_noticed(name: str) -> None:
    case = OCMF[name]
    at = next(
        place for place, sign in enumerate(case["ocmf"]) if sign in "123456789" and place > 40
    )
    changed = case["ocmf"][:at] + "0" + case["ocmf"][at + 1 :]
    with pytest.raises(DriverError):
        read_ocmf(changed, Keys(key_of(case)))


def test_registers_of_genuine_stations_are_read_in_every_spelling() -> None:
    def registers(name: str) -> list[tuple[int | None, int | None]]:
        readings = read_ocmf(OCMF[name]["ocmf"]).readings()
        return [(reading.import_mwh, reading.export_mwh) for reading in readings]

    assert registers("ocmf-000") == [(259_600, None), (259_700, None)]  # 1-b:1.8.0, kWh
    assert registers("ocmf-010") == [(57_584_000, 4_405_000), (58_685_000, 4_405_000)]
    assert registers("ocmf-016") == [(9_038_000, None)]  # 01-00:01.08.00.FF, a padded text
    assert registers("ocmf-022") == [(1_833_000, None)]  # 1-0:1.8.1, Wh
    assert registers("ocmf-012") == []  # 1-0:1.8.0*198 counts a session


def test_a_well_signed_reading_of_a_broken_meter_stays_bad() -> None:
    readings = read_ocmf(OCMF["ocmf-026"]["ocmf"]).readings()
    assert all(Quality.METER_ERROR in reading.quality for reading in readings)
    assert all(Quality.MEASURED not in reading.quality for reading in readings)


@pytest.mark.parametrize("name", TELEGRAMS)
def test_a_telegram_is_read_exactly_where_its_check_sum_fits(name: str) -> None:
    case = TELEGRAMS[name]
    data = case["telegram"].encode()
    if not case["crc_ok"]:
        with pytest.raises(ChecksumWrong, match=case["crc_given"]):
            read_p1(data, 0)
        return
    lines = read_telegram(data).lines
    for code, value in case["kwh"].items():
        assert lines[code] == f"({value}*kWh)"
    milli = {code: int(value.replace(".", "")) * 1_000 for code, value in case["kwh"].items()}
    reading = read_p1(data, 0)
    assert reading.import_mwh == milli["1-0:1.8.1"] + milli["1-0:1.8.2"]
    assert reading.export_mwh == milli["1-0:2.8.1"] + milli["1-0:2.8.2"]
    assert reading.signed_by is None


def test_genuine_telegrams_come_out_of_a_noisy_line_whatever_its_pieces() -> None:
    whole = [case["telegram"].encode() for case in TELEGRAMS.values()]
    line = whole[0][200:] + b"\x00\xff!!" + b"".join(t + b"\xfe/\n" for t in whole) + whole[0][:100]
    for size in (1, 7, 100, 5_000):
        splitter = Splitter()
        pieces = [line[at : at + size] for at in range(0, len(line), size)]
        assert [t for piece in pieces for t in splitter.feed(piece)] == whole


@pytest.mark.parametrize("name", NEM12)
def test_a_file_of_a_market_gives_the_published_sums(name: str) -> None:
    case, data = NEM12[name], (VECTORS / "nem12" / name).read_bytes()
    if case.get("upstream_class") == "invalid":
        with pytest.raises(InputError, match="100,NEM12"):
            read_nem12(data)
        return
    counts: dict[tuple[str, str], int] = {}
    sums: dict[tuple[str, str], int] = {}
    flags: dict[tuple[str, str], set[str]] = {}
    for channel in read_channels(data):
        key = channel.nmi, channel.suffix
        counts[key] = counts.get(key, 0) + sum(len(day.values) for day in channel.days)
        flags.setdefault(key, set()).update(flag for day in channel.days for flag in day.flags)
        if channel.is_energy:
            parts = list(channel.parts())
            energy = sum((part.import_mwh or 0) + (part.export_mwh or 0) for part in parts)
            sums[key] = sums.get(key, 0) + energy
    expected = {
        (nmi, suffix): told
        for nmi, channels in case["channels"].items()
        for suffix, told in channels.items()
    }
    assert counts == {key: told["n"] for key, told in expected.items()}
    assert flags == {key: {q[0] for q in told["quality"]} for key, told in expected.items()}
    factor = {"kwh": 1_000_000, "wh": 1_000}
    for key, energy in sums.items():
        assert energy == round(expected[key]["sum"] * factor[expected[key]["uom"].lower()])
    total = sum((r.import_mwh or 0) + (r.export_mwh or 0) for r in read_nem12(data))
    assert total == sum(sums.values())


@pytest.mark.parametrize("name", GREEN_BUTTON)
def test_a_genuine_green_button_feed_gives_the_published_sum(name: str) -> None:
    case = GREEN_BUTTON[name]
    readings = read_espi((VECTORS / "greenbutton" / name).read_bytes(), EspiOptions())
    assert len(readings) == case["readings"]
    assert sum(reading.import_mwh or 0 for reading in readings) == case["value_sum"] * 1_000
    assert readings[0].start == case["first_block"]["start"]
    assert readings[-1].end == case["first_block"]["start"] + case["first_block"]["duration"]
    # Two of them say more of themselves: 8, estimated, and 7, edited by hand.
    assert readings[0].quality == Quality.ESTIMATED
    assert readings[1].quality == Quality.MANUAL | Quality.SUBSTITUTED
    assert {reading.quality for reading in readings[2:]} == {Quality.MEASURED}

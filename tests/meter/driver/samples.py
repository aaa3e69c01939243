"""Hand-made messages of every kind of device, and the means to make more."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from commonwatt.meter.driver import Message, Taken, open_driver
from commonwatt.meter.driver.p1 import crc16

RECEIVED = 1_700_000_000
VECTORS = Path(__file__).parents[4] / "shared" / "vectors"
"""Genuine records of meters, beside the project; they are not part of it."""

genuine = pytest.mark.skipif(not VECTORS.is_dir(), reason="the genuine meter records are not here")


def station_key(
    curve: ec.EllipticCurve | None = None, number: int = 7
) -> ec.EllipticCurvePrivateKey:
    """A charging station's key, the same on every run."""
    return ec.derive_private_key(number, curve or ec.SECP256R1())


def spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def signed(
    payload: str,
    key: ec.EllipticCurvePrivateKey | None = None,
    scheme: str = "ECDSA-secp256r1-SHA256",
    form: Callable[[bytes], str] = bytes.hex,
    more: Mapping[str, str] | None = None,
) -> str:
    """An OCMF record over a payload."""
    signer = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    signature = (key or station_key()).sign(payload.encode(), signer)
    section = {"SA": scheme, **(more or {}), "SD": form(signature)}
    return f"OCMF|{payload}|{json.dumps(section)}"


def raw_form(field_bytes: int) -> Callable[[bytes], str]:
    """A DER signature as `r || s` in hex."""

    def form(signature: bytes) -> str:
        return b"".join(n.to_bytes(field_bytes) for n in decode_dss_signature(signature)).hex()

    return form


def ocmf_payload(*readings: dict[str, object], **fields: object) -> str:
    head: dict[str, object] = {"FV": "1.0", "PG": "T12", "MS": "1METER001", **fields}
    return json.dumps({**head, "RD": list(readings)})


def ocmf_reading(energy: object = 1.5, **fields: object) -> dict[str, object]:
    return {
        "TM": "2024-01-15T12:00:00,000+0100 S", "TX": "B", "RV": energy, "RI": "1-0:1.8.0",
        "RU": "kWh", "EF": "", "ST": "G",
    } | fields  # fmt: skip


def telegram(*lines: str, head: str = "ISk5\\2MT382-1000", version: str = "50") -> bytes:
    """A P1 telegram with its check sum."""
    rows = ["/" + head, "", f"1-3:0.2.8({version})", *lines, "!"]
    body = "\r\n".join(rows).encode()
    return body + f"{crc16(body):04X}\r\n".encode()


P1_LINES = (
    "0-0:1.0.0(240115120000W)",
    "0-0:96.1.1(4B384547303034303436333935353037)",
    "1-0:1.8.1(000004.426*kWh)",
    "1-0:1.8.2(000002.399*kWh)",
    "1-0:2.8.1(000002.444*kWh)",
    "1-0:2.8.2(000000.000*kWh)",
    "0-1:24.2.1(240115115500W)(00000.107*m3)",
)


def nem12(*lines: str) -> bytes:
    return "\n".join(["100,NEM12,200405011135,MDA1,Ret1", *lines, "900", ""]).encode()


def nem12_channel(suffix: str = "E1", unit: str = "kWh", minutes: int = 30) -> str:
    return f"200,VABD000163,E1B1,1,{suffix},N1,METSER123,{unit},{minutes},"


def nem12_day(
    day: str = "20240115", value: str = "1.111", flag: str = "A", number: int = 48
) -> str:
    return f"300,{day},{','.join([value] * number)},{flag},,,20240116120025,"


def feed(blocks: str, types: str = "", flow: int = 1, power: int = 0, readings: str = "") -> bytes:
    """A Green Button feed of one usage point."""
    reading_type = (
        '<entry><link rel="self" href="/ReadingType/07"/><content>'
        '<ReadingType xmlns="http://naesb.org/espi"><commodity>1</commodity>'
        f"<flowDirection>{flow}</flowDirection><intervalLength>900</intervalLength>"
        f"<powerOfTenMultiplier>{power}</powerOfTenMultiplier><uom>72</uom>"
        "</ReadingType></content></entry>"
    )
    meter_reading = (
        '<entry><link rel="self" href="/UsagePoint/1/MeterReading/01"/>'
        '<link rel="up" href="/UsagePoint/1/MeterReading"/>'
        '<link rel="related" href="/UsagePoint/1/MeterReading/01/IntervalBlock"/>'
        '<link rel="related" href="/ReadingType/07"/>'
        '<content><MeterReading xmlns="http://naesb.org/espi"/></content></entry>'
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<feed xmlns="http://www.w3.org/2005/Atom">'
        f"{readings or meter_reading}{types or reading_type}{blocks}</feed>"
    ).encode()


def block(
    *intervals: tuple[int, int, object],
    up: str = "/UsagePoint/1/MeterReading/01/IntervalBlock",
    more: str = "",
) -> str:
    """A block of (start, duration, value)."""
    inside = "".join(
        f"<IntervalReading>{more}<timePeriod><duration>{duration}</duration>"
        f"<start>{start}</start></timePeriod><value>{value}</value></IntervalReading>"
        for start, duration, value in intervals
    )
    return (
        f'<entry><link rel="self" href="{up}/173"/><link rel="up" href="{up}"/><content>'
        f'<IntervalBlock xmlns="http://naesb.org/espi">{inside}</IntervalBlock></content></entry>'
    )


@dataclass(frozen=True)
class Sample:
    """A message that a driver reads."""

    driver: str
    payload: bytes
    topic: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    before: tuple[tuple[str, bytes], ...] = ()
    """Topics and payloads that the driver has heard before."""

    def taken(self, payload: bytes | None = None) -> Taken:
        """What a new driver makes of it, or of something else in its place."""
        driver = open_driver(self.driver, self.options)
        for topic, earlier in self.before:
            driver.take(Message(earlier, RECEIVED, topic))
        message = Message(self.payload if payload is None else payload, RECEIVED, self.topic)
        return driver.take(message)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


ANNOUNCEMENT = (
    b'{"~":"meter","uniq_id":"grid_out","stat_t":"~/7","unit_of_meas":"kWh",'
    b'"val_tpl":"{{ value_json.ENERGY[\'Total\'] }}"}'
)
OCMF_TEXT = signed(ocmf_payload(ocmf_reading(), ocmf_reading(2.5, TX="E")))
OCPP_VALUES = {
    "evseId": 1,
    "meterValue": [
        {
            "timestamp": "2024-01-15T11:00:00Z",
            "sampledValue": [
                {"value": 1500, "unitOfMeasure": {"unit": "Wh", "multiplier": 0}},
                {"value": 2, "measurand": "Energy.Active.Export.Register",
                 "unitOfMeasure": {"unit": "kWh"}},
            ],
        }
    ],
}  # fmt: skip
OCPP_SIGNED = {
    "connectorId": 1,
    "meterValue": [
        {
            "timestamp": "2024-01-15T11:00:00Z",
            "sampledValue": [
                {
                    "value": 7,
                    "signedMeterValue": {
                        "signedMeterData": base64.b64encode(OCMF_TEXT.encode()).decode(),
                        "encodingMethod": "OCMF",
                        "signingMethod": "",
                    },
                }
            ],
        }
    ],
}
OCPP_STOP = {
    "transactionId": 7,
    "meterStop": 2500,
    "timestamp": "2024-01-15T13:00:00Z",
    "transactionData": [
        {
            "timestamp": "2024-01-15T12:00:00Z",
            "sampledValue": [
                {"value": "2.5", "unit": "kWh"},
                {"value": OCMF_TEXT, "format": "SignedData", "context": "Transaction.End"},
            ],
        }
    ],
}
SAMPLES = {
    "csv intervals": Sample(
        "csv",
        b"source,start,duration_s,import_kwh,export_wh,quality\n"
        b"home,2024-01-15T12:00:00+01:00,900,0.25,0,measured\n"
        b"home,2024-01-15T12:15:00+01:00,900,0.5,10,estimated\n",
    ),
    "csv registers": Sample(
        "csv",
        b"time;import_kwh\n2024-01-15T12:00:00Z;1234,567\n",
        options={"source": "cellar", "decimal_comma": True},
    ),
    "espi": Sample("espi", feed(block((1_330_578_000, 900, 282), (1_330_578_900, 900, 323)))),
    "homeassistant": Sample(
        "homeassistant",
        b"1234.5",
        "homeassistant/sensor/grid_import/state",
        {"imports": ["sensor.grid_import"], "unit": "kWh"},
    ),
    "homeassistant announced": Sample(
        "homeassistant",
        b'{"ENERGY":{"Total":"1234.5"}}',
        "meter/7",
        {"exports": ["grid_out"]},
        (("homeassistant/sensor/grid_out/config", ANNOUNCEMENT),),
    ),
    "nem12": Sample(
        "nem12",
        nem12(
            nem12_channel(), nem12_day(flag="V"), "400,1,20,A,,", "400,21,48,S14,32,",
            nem12_channel("B1"), nem12_day(value="0.5"), nem12_channel("Q1", "kVArh"), nem12_day(),
        ),
    ),
    "ocmf": Sample("ocmf", OCMF_TEXT.encode(), options={"public_key": spki(station_key()).hex()}),
    "ocpp values": Sample("ocpp", as_json([2, "1", "MeterValues", OCPP_VALUES]), "station-1"),
    "ocpp signed": Sample(
        "ocpp", as_json(OCPP_SIGNED), "station-1", {"public_key": spki(station_key()).hex()}
    ),
    "ocpp 1.6": Sample(
        "ocpp",
        as_json([2, "1", "StopTransaction", OCPP_STOP]),
        "station-1",
        {"public_key": spki(station_key()).hex()},
    ),
    "p1": Sample("p1", telegram(*P1_LINES)),
    "shelly total": Sample("shelly", b"1234.5", "shellies/shellyem-1/emeter/0/total"),
    "shelly emdata": Sample(
        "shelly",
        b'{"id":0,"a_total_act_energy":10.5,"total_act":12345.67,"total_act_ret":89.01}',
        "shellypro3em-1/status/emdata:0",
    ),
    "shelly plug": Sample(
        "shelly",
        b'{"id":0,"output":true,"aenergy":{"total":100.5,"minute_ts":1705316400},'
        b'"ret_aenergy":{"total":40.25}}',
        "plug-1/status/switch:0",
    ),
    "shelly info": Sample(
        "shelly",
        b'{"unixtime":1705316400,"emeters":[{"is_valid":true,"total":5.3,"total_returned":0.2},'
        b'{"is_valid":true,"total":7,"total_returned":0}]}',
        "shellies/shellyem-1/info",
        {"sum_phases": True},
    ),
    "shelly event": Sample(
        "shelly",
        b'{"src":"shellypro3em-1","dst":"x/events","method":"NotifyStatus","params":'
        b'{"ts":1705316400.25,"emdata:0":{"id":0,"total_act":12345.67,"total_act_ret":89.01}}}',
        "shellypro3em-1/events/rpc",
    ),
    "tasmota": Sample(
        "tasmota",
        b'{"Time":"2024-01-15T12:00:00+01:00","ENERGY":{"Total":[1.5,2.5,3.0],"ExportActive":0.25}}',
        "tele/cellar/SENSOR",
    ),
    "tasmota script": Sample(
        "tasmota",
        b'{"Time":"2024-01-15T12:00:00","SML":{"Total_in":1234.5678,"Total_out":0.1,"Power":7}}',
        "tele/cellar/SENSOR",
    ),
}  # fmt: skip
"""By name; each gives readings."""
QUIET = {
    "homeassistant announcement": Sample(
        "homeassistant",
        ANNOUNCEMENT,
        "homeassistant/sensor/grid_out/config",
        {"exports": ["grid_out"]},
    ),
    "homeassistant unit": Sample(
        "homeassistant",
        b'"kWh"',
        "homeassistant/sensor/grid_import/unit_of_measurement",
        {"imports": ["sensor.grid_import"]},
    ),
}
"""By name; each is read, and gives no reading."""

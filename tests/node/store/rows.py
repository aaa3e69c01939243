"""Records as a node would hand them to its memory; nobody checks their signatures there."""

from hashlib import sha256

from commonwatt.meter.acceptance import Accepted, Reason, Refused
from commonwatt.meter.record import Quality, Record, SignedRecord

NOON = 1_466_510_400
QUARTER = 900
STREET, MILL = b"street".ljust(20, b"."), b"mill".ljust(20, b".")
"""Two communities."""


def meter(number: int) -> bytes:
    return sha256(b"meter %d" % number).digest()[:20]


def signed(number: int, time_end: int, import_mwh: int = 1_000) -> SignedRecord:
    record = Record(
        version=1,
        kind=0,
        quality=Quality.MEASURED,
        ledger=b"ledger..",
        meter=meter(number),
        sequence=time_end // QUARTER,
        time_end=time_end,
        duration=QUARTER,
        import_mwh=import_mwh,
        export_mwh=0,
        previous=bytes(32),
    )
    encoded = record.encode()
    return SignedRecord(encoded, sha256(encoded).digest() * 2)


def accepted(number: int, time_end: int, import_mwh: int = 1_000) -> Accepted:
    found = signed(number, time_end, import_mwh)
    return Accepted(found, Record.decode(found.record), found.digest, 1, 0, gap=False)


def batch(time_end: int, meters: int = 5) -> list[Accepted]:
    return [accepted(number, time_end) for number in range(meters)]


def refused(number: int, time_end: int, reason: Reason = Reason.OVER_CAPACITY) -> Refused:
    return Refused(signed(number, time_end, import_mwh=10**12), reason)

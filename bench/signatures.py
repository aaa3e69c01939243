"""A child: how close batch verification of signed records comes to the bare curve operation.

Both are timed in turn on the same records, so that whatever else the machine does hits both. The
bare one has everything prepared: keys loaded, signatures in DER, one algorithm object. Prints the
figures as JSON.
"""

import sys
import time
from collections.abc import Callable

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bench.figure import Figure, Section
from commonwatt.meter.keys import MeterKey, verify_batch
from commonwatt.meter.record import NO_PREVIOUS, Kind, Quality, Record, SignedRecord

METERS, RECORDS_EACH = 53, 5
ROUNDS, QUICK_ROUNDS = 81, 21
RATE_PERCENT_MIN = 90.0
PERCENT = 100
QUARTER_HOUR_S = 900

Pair = tuple[bytes, SignedRecord]


def main(rounds: int) -> list[Section]:
    """The ratio, median over all rounds, and both rates."""
    pairs = _pairs()
    bare, batch = _bare(pairs), _batch(pairs)
    bare()
    batch()
    spent = time.process_time()
    bare_seconds: list[float] = []
    batch_seconds: list[float] = []
    for index in range(rounds):
        # Taking turns at being first: the second finds the caches of the first.
        order = ((bare, bare_seconds), (batch, batch_seconds))
        for work, seconds in order if index % 2 else reversed(order):
            started = time.process_time()
            work()
            seconds.append(time.process_time() - started)
    spent = time.process_time() - spent
    ratios = [
        PERCENT * alone / ours for alone, ours in zip(bare_seconds, batch_seconds, strict=True)
    ]
    figures = (
        Figure(
            name="verify_batch_percent_of_bare",
            what="verify_batch against bare P-256",
            unit="%",
            target=RATE_PERCENT_MIN,
            at_least=True,
            runs=tuple(ratios),
            digits=1,
            cpu_seconds=spent,
        ),
        _rate("verify_batch_per_second", "verify_batch", len(pairs), batch_seconds),
        _rate(
            "verify_bare_per_second", "bare P-256: keys and DER prepared", len(pairs), bare_seconds
        ),
    )
    return [Section("verification of signed records, side by side", figures)]


def _rate(name: str, what: str, count: int, seconds: list[float]) -> Figure:
    rates = tuple(count / taken for taken in seconds)
    return Figure(name=name, what=what, unit="/ CPU s", runs=rates, digits=0)


def _pairs() -> list[Pair]:
    """Signed records of a suburb's meters, as one interval after another brings them."""
    keys = [MeterKey.from_seed(b"bench/%d" % number) for number in range(METERS)]
    return [
        (key.public_key, key.sign(_record(key.meter, sequence)))
        for sequence in range(1, RECORDS_EACH + 1)
        for key in keys
    ]


def _record(meter: bytes, sequence: int) -> bytes:
    return Record(
        version=1,
        kind=Kind.REGISTERS,
        quality=Quality.MEASURED,
        ledger=bytes(8),
        meter=meter,
        sequence=sequence,
        time_end=sequence * QUARTER_HOUR_S,
        duration=QUARTER_HOUR_S,
        import_mwh=sequence * 1_234_567,
        export_mwh=sequence * 765_432,
        previous=NO_PREVIOUS,
    ).encode()


def _bare(pairs: list[Pair]) -> Callable[[], None]:
    curve, algorithm = ec.SECP256R1(), ec.ECDSA(hashes.SHA256())
    prepared = []
    for public, signed in pairs:
        key = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + public)
        half = len(signed.signature) // 2
        r, s = (int.from_bytes(part) for part in (signed.signature[:half], signed.signature[half:]))
        prepared.append((key, encode_dss_signature(r, s), signed.record))

    def work() -> None:
        for key, signature, data in prepared:
            key.verify(signature, data, algorithm)

    return work


def _batch(pairs: list[Pair]) -> Callable[[], None]:
    def work() -> None:
        if not all(verify_batch(pairs)):
            raise RuntimeError("a good signature was refused")

    return work


if __name__ == "__main__":
    sections = main(QUICK_ROUNDS if "--quick" in sys.argv else ROUNDS)
    sys.stdout.buffer.write(msgspec.json.encode(sections))

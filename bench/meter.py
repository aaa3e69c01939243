"""A meter for measurements: it takes and gives the same in every interval."""

from hashlib import sha256

from commonwatt.meter.keys import MeterKey
from commonwatt.meter.record import NO_PREVIOUS, RECORD_VERSION, Record, SignedRecord

INTERVAL_S = 900


class Meter:
    """Signs a record an interval."""

    def __init__(self, name: str, ledger: bytes, step: tuple[int, int], start: int) -> None:
        """Sign the opening record.

        Args:
            name: the key comes from it.
            ledger: 8 bytes.
            step: mWh taken and given in an interval.
            start: UTC second of the opening record.
        """
        self.key = MeterKey.from_seed(name.encode())
        self._ledger, self._step = ledger, step
        self._sequence, self._previous, self._import, self._export = 0, NO_PREVIOUS, 0, 0
        self.opening = self.sign(start)

    def sign(self, time_end: int) -> SignedRecord:
        """Its next record."""
        record = Record(
            version=RECORD_VERSION, kind=0, quality=1, ledger=self._ledger, meter=self.key.meter,
            sequence=self._sequence, time_end=time_end, duration=INTERVAL_S,
            import_mwh=self._import, export_mwh=self._export, previous=self._previous,
        ).encode()  # fmt: skip
        self._sequence, self._previous = self._sequence + 1, sha256(record).digest()
        self._import += self._step[0]
        self._export += self._step[1]
        return self.key.sign(record)

"""A meter's records as earlier intervals published them: what a correction is judged against.

Corrections are rare, so nothing is remembered for them: the files are read again, the newest day
first, as far back as needed.
"""

from collections.abc import Iterator

from commonwatt.audit.published import Files, decode
from commonwatt.meter.correction import Around, around_of, is_correction
from commonwatt.meter.record import Record, SignedRecord
from commonwatt.quantity import Interval, time_text
from commonwatt.statement.publication import (
    INPUTS_SUFFIX,
    IntervalLine,
    RecordLine,
    inputs_path,
)

_INTERVAL, _RECORD = b'{"start":', b'{"record":'


class Past:
    """What was published until an interval."""

    def __init__(self, files: Files, interval: Interval, until: Interval) -> None:
        """Look back from an interval.

        Args:
            files: what was published.
            interval: the one that is audited.
            until: the last interval whose records are known.
        """
        self._files, self._interval = files, interval
        self._start_max = until.start
        self._found: dict[tuple[bytes, int], list[tuple[int, SignedRecord]]] = {}

    def around(self, meter: bytes, time_end: int, *, settled: bool) -> Around:
        """The counted records next to an end. See `meter.correction.History`."""
        key = meter, time_end
        if key not in self._found:
            self._found[key] = list(self._records(meter, time_end))
        versions: dict[int, list[tuple[bool, int, SignedRecord]]] = {}
        for start, signed in self._found[key]:
            if start < self._interval.start or not settled:
                end = Record.decode(signed.record).time_end
                versions.setdefault(end, []).append((is_correction(signed), start, signed))
        return around_of(([one for _, _, one in sorted(of)] for of in versions.values()), time_end)

    def _records(self, meter: bytes, time_end: int) -> Iterator[tuple[int, SignedRecord]]:
        """A meter's records since some time before an end, with the interval that counted each."""
        days = {path for path in self._files.paths() if path.endswith(INPUTS_SUFFIX)}
        newest = inputs_path(time_text(self._interval.start)[:10])
        for path in sorted((day for day in days if day <= newest), reverse=True):
            is_enough = False
            for start, signed in self._of_day(path, meter):
                yield start, signed
                own = Record.decode(signed.record).time_end
                # In time, so that all between this one and the end have been seen.
                is_enough |= own < time_end and own == start + self._interval.duration
            if is_enough:
                return

    def _of_day(self, path: str, meter: bytes) -> Iterator[tuple[int, SignedRecord]]:
        start, name = 0, meter.hex().encode()
        for line in self._files.lines(path):
            if line.startswith(_INTERVAL):
                start = decode(IntervalLine, line, path).start
                if start > self._start_max:
                    return
            elif name in line and line.startswith(_RECORD):
                said = decode(RecordLine, line, path)
                signed = SignedRecord(bytes.fromhex(said.record), bytes.fromhex(said.signature))
                if signed.meter == meter:
                    yield start, signed

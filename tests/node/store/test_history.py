"""What corrections are judged against is found in the database as it was counted."""

from random import Random

import pytest

from commonwatt.meter.acceptance import Accepted, Late
from commonwatt.meter.correction import is_correction
from commonwatt.meter.record import Record, SignedRecord
from commonwatt.node.store import Store
from commonwatt.node.store.history import KeptHistory
from commonwatt.quantity import Interval
from node.store.rows import MILL, STREET
from street import MIDSUMMER_NOON, Counted, SimulatedMeter

INTERVALS = 8


def verdict(signed: SignedRecord, *, late: bool) -> Accepted | Late:
    record = Record.decode(signed.record)
    if late:
        return Late(signed, record, signed.digest, 0, 0, gap=False, counted_until=None)
    return Accepted(signed, record, signed.digest, 0, 0, gap=False)


def lived(chance: Random, meters: list[SimulatedMeter]) -> list[tuple[int, SignedRecord]]:
    """Records in time, late, lost and corrected, each with the interval that counted it."""
    rows: list[tuple[int, SignedRecord]] = []
    for index in range(INTERVALS):
        start = MIDSUMMER_NOON.start + 900 * index
        mine = {
            (signed.meter, Record.decode(signed.record).time_end): signed
            for counted, signed in rows
            if counted < start
        }
        for (name, _), signed in sorted(mine.items()):
            if chance.random() < 0.2:
                meter = next(one for one in meters if one.key.meter == name)
                rows.append((start, meter.correct(signed, chance.randrange(9))))
        for meter in meters:
            signed = meter.measure(start + 900, 1_000)
            delay = chance.choice((0, 0, 0, 1, 2, INTERVALS))
            rows.append((start + 900 * delay, signed))
    return rows


@pytest.mark.parametrize("seed", range(3))
def test_the_records_around_an_end_are_those_that_were_counted_until_then(
    store: Store, seed: int
) -> None:
    meters = [SimulatedMeter(f"{seed} {n}", MIDSUMMER_NOON.start) for n in range(3)]
    rows = lived(Random(seed), meters)
    database = store.database(STREET)
    for start, signed in rows:
        end = Record.decode(signed.record).time_end
        if is_correction(signed) or end <= start:
            database.acknowledge_late(start, [verdict(signed, late=True)])
        else:
            database.acknowledge(start, [verdict(signed, late=False)], [])  # type: ignore[list-item]
    # Another community's are nobody else's.
    store.database(MILL).acknowledge(0, [verdict(rows[0][1], late=False)], [])  # type: ignore[list-item]
    found = 0
    for index in range(INTERVALS):
        interval = Interval(MIDSUMMER_NOON.start + 900 * index, 900)
        pairs = (
            (KeptHistory(database.scope, interval), max(start for start, _ in rows)),
            (KeptHistory(database.scope, interval, until=interval), interval.start),
        )
        for history, until in pairs:
            known = Counted(interval.start, [row for row in rows if row[0] <= until])
            for meter in meters:
                for end in range(MIDSUMMER_NOON.end, interval.end, 900):
                    for settled in (False, True):
                        asked = (meter.key.meter, end)
                        around = history.around(*asked, settled=settled)
                        assert around == known.around(*asked, settled=settled)
                        found += around.at is not None
    assert found > INTERVALS

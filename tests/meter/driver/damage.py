"""What may come of a message that is damaged: readings, or clear errors, and nothing else."""

from commonwatt.meter.driver import IntervalReading, Reading, Taken
from commonwatt.meter.driver.failure import DriverError

MESSAGE_MAX = 500
"""Characters of an error: one line that can be read."""


def require_clear(taken: Taken) -> None:
    """Readings that keep their own rules, and errors of the drivers' own, each on one line."""
    for reading in taken.readings:
        assert isinstance(reading, Reading | IntervalReading)
    for error in taken.refused:
        assert isinstance(error, DriverError), repr(error)
        text = str(error)
        assert text.isprintable(), text
        assert 10 < len(text) <= MESSAGE_MAX, text

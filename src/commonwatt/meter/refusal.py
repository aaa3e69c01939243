"""For which reasons a record could be refused while an interval was open.

A refused record came before or after what its meter's records of the interval changed. What is
published must hold before or after all of that, so that who was not there can tell.
"""

from collections.abc import Iterable
from typing import NamedTuple

from commonwatt.meter.acceptance import Gate, Reason, Refused, Standing, judge
from commonwatt.meter.correction import History, is_correction, judge_correction
from commonwatt.meter.record import SignedRecord
from commonwatt.meter.registration import Registration


class Moment(NamedTuple):
    """What was known of a meter."""

    standing: Standing | None
    history: History


def reasons_at(
    signed: SignedRecord, registration: Registration | None, gate: Gate, moments: Iterable[Moment]
) -> list[Reason]:
    """Why a record is refused at each moment, leaving out those at which it would count."""
    found = []
    for standing, history in moments:
        if is_correction(signed):
            verdict = judge_correction(signed, registration, gate, history)
        else:
            verdict = judge(signed, registration, standing, gate)
        if isinstance(verdict, Refused):
            found.append(verdict.reason)
    return found

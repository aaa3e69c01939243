"""The hourly score of one member, this month so far, from the book of certificates."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from commonwatt.certificate.matching import Period
from commonwatt.certificate.score import Calendar, Used
from commonwatt.certificate.state import CONSUMED, State
from commonwatt.node.mqtt.home.totals import percent_text


def month_of(moment: int, calendar: Calendar) -> Period:
    """From the beginning of a moment's local month to just after the moment."""
    day = datetime.fromtimestamp(moment, UTC).astimezone(calendar.zone).date()
    return Period(calendar.midnight(day.replace(day=1)), moment + 1)


def hourly_score(
    state: State, account: bytes, meters: Iterable[bytes], period: Period
) -> str | None:
    """R19: what was matched of what an account's meters took, in percent; None of nothing.

    The definition of `certificate.score`, without its days: per consumption the smaller of what
    was used and what was retired for it.

    Args:
        state: the book's; it is only read.
        account: the member's.
        meters: its meters at the street.
        period: which consumptions.
    """
    used = [one for meter in meters for one in _used(state, account, meter, period)]
    return percent_text(sum(u.matched_wh for u in used), sum(u.consumed_wh for u in used))


def _used(state: State, account: bytes, meter: bytes, period: Period) -> Iterator[Used]:
    # A copy: the book goes on while it is asked.
    spans = list(state.spans.get((CONSUMED, meter), ()))
    for origin in spans[bisect_left(spans, period.start, key=lambda origin: origin.start) :]:
        if origin.start >= period.end:
            return
        found = state.consumptions.get(origin)
        if found is not None and found.owner == account and not found.revoked:
            yield Used(origin.start, found.wh, found.matched_wh)

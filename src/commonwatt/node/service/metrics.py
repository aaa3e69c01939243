"""A node's figures as Prometheus reads them.

Counters and times are kept as things happen; everything else is looked up when somebody asks. Each
service has a registry of its own, so several can be in one process.
"""

from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import text

from commonwatt.meter.acceptance import Accepted, Duplicate, Late, Reason, Refused, Verdict
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.pipeline import Closed
from commonwatt.node.service.watch import CHAIN_WELL, Watch
from commonwatt.node.store.transactions import SQLITE, Transactions

if TYPE_CHECKING:
    from commonwatt.node.service.service import Service

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of what `metrics_text` gives."""
OF_COMMUNITY = ("community",)
BATCH_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CLOSE_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 600.0, 3600.0)
"""Seconds; a chain that is away makes an interval wait for hours."""

GAUGES = {
    "commonwatt_intervals_waiting": "Intervals that are stated and not yet on the chain.",
    "commonwatt_chain_up": "Whether the community's chain answered when it was last needed.",
    "commonwatt_meters": "Meters that are registered.",
    "commonwatt_meters_heard": "Meters that have spoken for the open interval.",
    "commonwatt_meters_silent": "Meters without a record in the last interval on the chain.",
    "commonwatt_open_interval_start_seconds": "UTC second at which the open interval began.",
    "commonwatt_time_seconds": "UTC second by the node's clock, or by a test bed's.",
    "commonwatt_book_entries": "Entries of the book of certificates.",
    "commonwatt_keeper_up": "Whether the thread that closes the intervals is at work.",
    "commonwatt_database_bytes": "Size of the node's database.",
}
"""What is looked up, with its help; all but the last by community."""


class Metrics:
    """One service's counters and times."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._accepted = self._counter("records_accepted", "Records that count.")
        self._duplicate = self._counter("records_duplicate", "Records that had come before.")
        self._refused = Counter(
            "commonwatt_records_refused",
            "Records that went to quarantine, by reason.",
            ("community", "reason"),
            registry=self.registry,
        )
        self._closed = self._counter("intervals_closed", "Intervals that came onto the chain.")
        self._batch = self._histogram(
            "intake_batch_seconds", "From a batch's arrival to the disk.", BATCH_BUCKETS
        )
        self._close = self._histogram(
            "interval_close_seconds", "From an interval's gate to its payment.", CLOSE_BUCKETS
        )
        self.silent: dict[str, int] = {}
        """Meters that were silent in the last interval on the chain, by community."""

    def _counter(self, name: str, help_text: str) -> Counter:
        return Counter(f"commonwatt_{name}", help_text, OF_COMMUNITY, registry=self.registry)

    def _histogram(self, name: str, help_text: str, buckets: tuple[float, ...]) -> Histogram:
        full = f"commonwatt_{name}"
        return Histogram(full, help_text, OF_COMMUNITY, registry=self.registry, buckets=buckets)

    def watch(self, community: str) -> Watch:
        """Counts what happens in a community from now on."""
        return _Counting(self, community)

    def took(self, community: str, verdicts: Sequence[Verdict], seconds: float) -> None:
        """Count a batch."""
        kinds = Tally(type(verdict) for verdict in verdicts)
        self._accepted.labels(community).inc(kinds[Accepted] + kinds[Late])
        self._duplicate.labels(community).inc(kinds[Duplicate])
        if kinds[Refused]:
            reasons = Tally(v.reason.name for v in verdicts if isinstance(v, Refused))
            for reason, count in reasons.items():
                self._refused.labels(community, reason).inc(count)
        self._batch.labels(community).observe(seconds)

    def closed(self, community: str, closed: Closed) -> None:
        """Count an interval that came onto the chain."""
        self._closed.labels(community).inc()
        self._close.labels(community).observe(closed.seconds)
        self.silent[community] = len(closed.statement.silent)

    def begin(self, community: str) -> None:
        """Make a community's figures visible before anything has happened."""
        for family in (self._accepted, self._duplicate, self._closed, self._batch, self._close):
            family.labels(community)
        for reason in Reason:
            self._refused.labels(community, reason.name)


class _Counting(Watch):
    """A community's part of the metrics."""

    def __init__(self, metrics: Metrics, community: str) -> None:
        self._metrics, self._community = metrics, community
        metrics.begin(community)

    def took(self, verdicts: Sequence[Verdict], seconds: float) -> None:
        """Count a batch."""
        self._metrics.took(self._community, verdicts, seconds)

    def closed(self, closed: Closed) -> None:
        """Count an interval."""
        self._metrics.closed(self._community, closed)


def metrics_text(service: "Service") -> bytes:
    """All figures of a service in Prometheus' text format; see `CONTENT_TYPE`."""
    return generate_latest(_Everything(service))


class _Everything:
    """Counters, and what is looked up now."""

    def __init__(self, service: "Service") -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """Each family of figures."""
        for family in self._service.metrics.registry.collect():
            # When a counter was made is of no use to anybody, and doubles the text.
            family.samples = [one for one in family.samples if not one.name.endswith("_created")]
            yield family
        yield from _looked_up(self._service)


def _looked_up(service: "Service") -> Iterator[Metric]:
    values: dict[str, dict[str, float]] = {}
    keepers, silent = service.keepers, service.metrics.silent
    for name, hosted in service.communities.items():
        status, meters = hosted.status(), len(hosted.community.registrations)
        keeper = keepers.get(name)
        values[name] = {
            "commonwatt_intervals_waiting": status.waiting,
            "commonwatt_chain_up": status.chain == CHAIN_WELL,
            "commonwatt_meters": meters,
            "commonwatt_meters_heard": meters - status.silent,
            "commonwatt_meters_silent": silent.get(name, 0),
            "commonwatt_open_interval_start_seconds": status.open_start,
            "commonwatt_time_seconds": status.now,
            "commonwatt_book_entries": status.book_entries,
            "commonwatt_keeper_up": keeper is not None and keeper.is_alive,
        }
    *by_community, database = GAUGES
    for gauge in by_community:
        family = GaugeMetricFamily(gauge, GAUGES[gauge], labels=OF_COMMUNITY)
        for name, found in values.items():
            family.add_metric([name], float(found[gauge]))
        yield family
    size = database_bytes(service.store.transactions)
    if size is not None:
        yield GaugeMetricFamily(database, GAUGES[database], value=size)


def database_bytes(transactions: Transactions) -> int | None:
    """How large a database is; None while that cannot be asked."""
    if transactions.url.drivername == SQLITE:
        path = Path(transactions.name)
        files = (path, path.with_name(f"{path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.is_file())
    try:
        with transactions.reading() as connection:
            found = connection.scalar(text("SELECT pg_database_size(current_database())"))
            return int(found)
    except DatabaseUnusable:
        return None

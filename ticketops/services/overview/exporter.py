"""The snapshot for Prometheus: a scrape reads the latest one and asks nobody."""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ticketops.domain.overview.check import Thresholds
from ticketops.domain.overview.checks import checks
from ticketops.domain.overview.snapshot import Snapshot
from ticketops.services.exposition import Health
from ticketops.services.overview.series import metrics

MOST_SERIES: Final = 20_000
"""Series of one metric; what is more is left out and counted."""


class SnapshotExporter(Collector):
    """Serves what it was given last."""

    def __init__(self, thresholds: Thresholds, *, now: Callable[[], datetime], stale_after: float) -> None:
        """`stale_after`: seconds after which a snapshot no longer makes the exporter ready."""
        self._thresholds = thresholds
        self._now = now
        self._stale_after = stale_after
        self._snapshot: Snapshot | None = None
        self._body = b""
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def show(self, snapshot: Snapshot) -> None:
        """Serve this from now on; it is written out here, once, so that a scrape costs next to nothing."""
        self._snapshot = snapshot
        self._body = generate_latest(self._registry)

    def ready(self) -> Health:
        """Whether there is a snapshot, and a recent one."""
        if self._snapshot is None:
            return Health(ok=False, reason="there is no snapshot yet")
        age = (self._now() - self._snapshot.at).total_seconds()
        return Health(ok=age <= self._stale_after, reason=f"the snapshot is {age:.0f} s old")

    def exposition(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return self._body

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """See prometheus_client's Collector."""
        snapshot, left_out = self._snapshot, 0
        if snapshot is None:
            return
        for metric in metrics(snapshot, checks(snapshot, self._thresholds)):
            kind = CounterMetricFamily if metric.counter else GaugeMetricFamily
            family = kind(metric.name, metric.help, labels=metric.labels)
            values = iter(metric.values)
            for labels, value in islice(values, MOST_SERIES):
                family.add_metric(labels, value)
            left_out += sum(1 for _ in values)
            yield family
        yield GaugeMetricFamily(
            "ticketops_exporter_series_left_out", "Series beyond the bound of one metric", value=left_out
        )

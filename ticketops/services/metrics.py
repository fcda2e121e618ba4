"""Prometheus metrics of the outbox relay."""

from collections import Counter as Tally
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ticketops.domain.outbox import Backlog, PendingEvent
from ticketops.domain.records import topic_of
from ticketops.domain.relay import Failed

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_SAMPLES = 10
"""Events of a batch whose latency is observed; all of them would cost more than publishing them."""
_MOST_TOPICS = 200
_OTHERS = "(others)"


class RelayMetrics:
    """Implements observer.Meter; one registry a process."""

    def __init__(self, topics: Mapping[str, str]) -> None:
        self._topics = topics
        self._labels: set[str] = set()
        self._registry = CollectorRegistry()
        registry = self._registry
        self._pending = Gauge("ticketops_outbox_pending", "Outbox rows that wait to be published", registry=registry)
        self._oldest = Gauge(
            "ticketops_outbox_oldest_pending_seconds",
            "Age of the oldest pending outbox event that is not held back",
            registry=registry,
        )
        self._held_back = Gauge(
            "ticketops_outbox_held_back_aggregates",
            "Aggregates that wait for a retry or for the operator",
            registry=registry,
        )
        self._dead = Gauge("ticketops_outbox_dead_letters", "Outbox events past their attempts", registry=registry)
        self._published = Counter(
            "ticketops_outbox_published", "Events acknowledged by Kafka", ["topic"], registry=registry
        )
        self._failed = Counter("ticketops_outbox_failed", "Attempts that failed", ["state"], registry=registry)
        self._seconds = Histogram(
            "ticketops_outbox_publish_seconds",
            "From the event's created_at to its acknowledgement, sampled",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._shards = Gauge("ticketops_relay_shards", "Shards that this relay holds", registry=registry)
        self._up = Gauge("ticketops_backend_up", "1 while the backend answers", ["backend"], registry=registry)
        for backend in ("postgres", "kafka"):
            self._up.labels(backend).set(0)

    def published(self, events: Sequence[PendingEvent], seconds: float) -> None:
        """See observer.Meter."""
        for aggregate_type, count in Tally(event.aggregate_type for event in events).items():
            self._published.labels(self._topic(aggregate_type)).inc(count)
        for event in events[:: max(1, len(events) // _SAMPLES)]:
            self._seconds.observe(max(0.0, event.age) + seconds)

    def _topic(self, aggregate_type: str) -> str:
        """The topic as a label; where a pattern makes too many of them, one name for the rest."""
        topic = topic_of(aggregate_type, self._topics) or ""
        if topic not in self._labels and len(self._labels) >= _MOST_TOPICS:
            return _OTHERS
        self._labels.add(topic)
        return topic

    def failed(self, failed: Sequence[Failed]) -> None:
        """See observer.Meter."""
        for one in failed:
            self._failed.labels(one.state.value).inc()

    def backlog(self, backlog: Backlog) -> None:
        """See observer.Meter."""
        self._pending.set(backlog.pending)
        self._oldest.set(backlog.oldest_seconds or 0)
        self._held_back.set(backlog.held_back)
        self._dead.set(backlog.dead)

    def backend(self, backend: str, *, up: bool) -> None:
        """See observer.Meter."""
        self._up.labels({"PostgreSQL": "postgres"}.get(backend, backend.lower())).set(int(up))

    def shards(self, count: int) -> None:
        """How many shards this relay holds now."""
        self._shards.set(count)

    def exposition(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return generate_latest(self._registry)

"""Prometheus metrics of one worker."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ticketops.domain.consuming import Death, Handled
from ticketops.domain.key_queues import Job

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class WorkerMetrics:
    """One registry a process."""

    def __init__(self, worker: str, backends: Sequence[str]) -> None:
        """`worker` labels every sample; `backends` are those that it needs."""
        self._worker = worker
        self.registry = registry = CollectorRegistry()
        """For what else this process counts."""
        self._records = Counter(
            "ticketops_worker_records", "Records handled", ["worker", "topic", "outcome"], registry=registry
        )
        self._failed = Counter(
            "ticketops_worker_failed_attempts", "Attempts that failed", ["worker", "kind"], registry=registry
        )
        self._dead = Counter(
            "ticketops_worker_dead_letters", "Dead letters written", ["worker", "topic", "reason"], registry=registry
        )
        self._skipped = Counter(
            "ticketops_worker_skipped", "Records that the roll-out leaves to others", ["worker"], registry=registry
        )
        self._seconds = Histogram(
            "ticketops_worker_batch_seconds", "Time to handle a batch", ["worker"], buckets=_BUCKETS, registry=registry
        )
        self._batch = Histogram(
            "ticketops_worker_batch_records",
            "Records in a batch",
            ["worker"],
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
            registry=registry,
        )
        self._unfinished = Gauge(
            "ticketops_worker_unfinished", "Records read and not finished", ["worker"], registry=registry
        )
        self._waiting = Gauge(
            "ticketops_worker_waiting_keys", "Keys that wait for their next attempt", ["worker"], registry=registry
        )
        self._partitions = Gauge(
            "ticketops_worker_partitions", "Partitions assigned", ["worker", "state"], registry=registry
        )
        self._shadow = Counter(
            "ticketops_worker_shadow", "Decisions compared with what is there", ["worker", "result"], registry=registry
        )
        self._up = Gauge("ticketops_backend_up", "1 while the backend answers", ["backend"], registry=registry)
        for backend in backends:
            self.backend(backend, up=False)

    def handled(self, jobs: Sequence[Job], outcomes: Sequence[Handled]) -> None:
        """Records had their effect, or needed none."""
        for job, outcome in zip(jobs, outcomes, strict=True):
            self._records.labels(self._worker, job.record.topic, outcome.what).inc()

    def batch(self, records: int, seconds: float) -> None:
        """A batch was handled."""
        self._batch.labels(self._worker).observe(records)
        self._seconds.labels(self._worker).observe(seconds)

    def failed(self, kind: str) -> None:
        """An attempt failed."""
        self._failed.labels(self._worker, kind).inc()

    def buried(self, deaths: Sequence[Death]) -> None:
        """Dead letters were written."""
        for death in deaths:
            self._dead.labels(self._worker, death.record.topic, death.reason.value).inc()

    def skipped(self, count: int) -> None:
        """Records were left to others."""
        self._skipped.labels(self._worker).inc(count)

    def compared(self, result: str, count: int = 1) -> None:
        """A decision was compared with what is there."""
        self._shadow.labels(self._worker, result).inc(count)

    def holding(self, *, unfinished: int, waiting: int, assigned: int, paused: int) -> None:
        """What the process holds now."""
        self._unfinished.labels(self._worker).set(unfinished)
        self._waiting.labels(self._worker).set(waiting)
        self._partitions.labels(self._worker, "assigned").set(assigned)
        self._partitions.labels(self._worker, "paused").set(paused)

    def backend(self, backend: str, *, up: bool) -> None:
        """A backend answers, or no longer."""
        self._up.labels({"PostgreSQL": "postgres"}.get(backend, backend.lower())).set(int(up))

    def exposition(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return generate_latest(self.registry)

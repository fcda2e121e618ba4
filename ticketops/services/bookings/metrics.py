"""Prometheus metrics of the booking worker."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ticketops.domain.breaker import Circuit
from ticketops.ports.booking_queue import QueueFigures

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_WORKER = "bookings"


class BookingMetrics:
    """One registry a process."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._items = Counter(
            "ticketops_worker_items",
            "Items concluded: processed, expired, dead, returned, or lost to another worker",
            ["worker", "outcome"],
            registry=registry,
        )
        self._failed = Counter(
            "ticketops_worker_failed_attempts", "Attempts that failed", ["worker", "kind"], registry=registry
        )
        self._dead = Counter(
            "ticketops_worker_item_dead_letters", "Dead letters written", ["worker", "reason"], registry=registry
        )
        self._seconds = Histogram(
            "ticketops_worker_attempt_seconds",
            "Time of an attempt",
            ["worker"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._held = Gauge("ticketops_worker_in_hand", "Items in this process' hands", ["worker"], registry=registry)
        self._queue = Gauge(
            "ticketops_worker_queue_items",
            "Items queued, waiting for another attempt, or held by any worker",
            ["worker", "state"],
            registry=registry,
        )
        self._shows = Gauge("ticketops_worker_shows", "Shows with items", ["worker"], registry=registry)
        self._circuit = Gauge(
            "ticketops_worker_circuit", "1 for the state that the circuit is in", ["worker", "state"], registry=registry
        )
        self._up = Gauge("ticketops_backend_up", "1 while the backend answers", ["backend"], registry=registry)
        self.backend(up=False)
        self.circuit(Circuit.CLOSED)

    def concluded(self, outcome: str, count: int = 1) -> None:
        """Items are out of the worker's hands."""
        self._items.labels(_WORKER, outcome).inc(count)

    def attempted(self, seconds: float) -> None:
        """An attempt was made."""
        self._seconds.labels(_WORKER).observe(seconds)

    def failed(self, kind: str) -> None:
        """An attempt failed."""
        self._failed.labels(_WORKER, kind).inc()

    def buried(self, reason: str) -> None:
        """A dead letter was written."""
        self._dead.labels(_WORKER, reason).inc()

    def holding(self, count: int) -> None:
        """What this process has in hand now."""
        self._held.labels(_WORKER).set(count)

    def queue(self, figures: QueueFigures) -> None:
        """What there is."""
        self._shows.labels(_WORKER).set(figures.shows)
        for state, count in (("queued", figures.queued), ("waiting", figures.waiting), ("held", figures.held)):
            self._queue.labels(_WORKER, state).set(count)

    def circuit(self, circuit: Circuit) -> None:
        """The state of the circuit."""
        for state in Circuit:
            self._circuit.labels(_WORKER, state.value).set(int(state is circuit))

    def backend(self, *, up: bool) -> None:
        """Redis answers, or no longer."""
        self._up.labels("redis").set(int(up))

    def exposition(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return generate_latest(self._registry)

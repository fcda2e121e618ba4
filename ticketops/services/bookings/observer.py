"""What the booking worker tells of itself: log lines, each once in a while, and metrics."""

import threading
import time
from collections.abc import Callable

import structlog

from ticketops.domain.booking_work import Doomed, Expired, Taken
from ticketops.domain.breaker import Circuit
from ticketops.domain.consuming import Failure
from ticketops.services.bookings.metrics import BookingMetrics

_SAY_AGAIN = 10.0


class BookingObserver:
    """Turns what happens into log lines and figures; several threads may use one."""

    def __init__(self, metrics: BookingMetrics, clock: Callable[[], float] = time.monotonic) -> None:
        self.metrics = metrics
        self._clock = clock
        self._told: dict[tuple[str, str], tuple[float, int]] = {}
        """What was said → when, and how often it happened since."""
        self._circuit = Circuit.CLOSED
        self._lock = threading.Lock()
        self._log = structlog.get_logger("ticketops").bind(part="worker bookings")

    def processed(self, count: int) -> None:
        """Items had their effect."""
        self.metrics.concluded("processed", count)

    def failed(self, taken: Taken, failure: Failure, delay: float) -> None:
        """An attempt failed, and another follows."""
        self.metrics.failed(failure.kind.value)
        if like_it := self._times("failed", failure.kind.value):
            self._log.warning(
                "an item could not be processed",
                show=taken.show,
                attempt=taken.attempt,
                next_attempt_in=round(delay, 2),
                kind=failure.kind.value,
                why=failure.message,
                items_like_it=like_it,
            )

    def buried(self, doomed: Doomed, letter: str) -> None:
        """A dead letter was written."""
        self.metrics.concluded("dead")
        self.metrics.buried(doomed.reason.value)
        if like_it := self._times("buried", doomed.reason.value):
            self._log.error(
                "dead letter",
                letter=letter,
                show=doomed.taken.show,
                reason=doomed.reason.value,
                attempts=doomed.attempts,
                why=doomed.message,
                items_like_it=like_it,
            )

    def expired(self, expired: Expired) -> None:
        """An item was removed because its time had passed."""
        self.metrics.concluded("expired")
        if like_it := self._times("expired", ""):
            self._log.warning(
                "an item expired before anybody tried it, and was removed",
                item=expired.text.id,
                show=expired.taken.show,
                items_like_it=like_it,
            )

    def returned(self, count: int) -> None:
        """Items went back untried."""
        self.metrics.concluded("returned", count)

    def lost(self, count: int) -> None:
        """Leases had ended before their items were concluded: others have them."""
        self.metrics.concluded("lost", count)
        if like_it := self._times("lost", ""):
            self._log.warning(
                "leases ended while items were in hand; others process them again",
                items=count,
                hint="raise worker.bookings.lease_seconds if this goes on",
                items_like_it=like_it,
            )

    def circuit(self, circuit: Circuit, retry_in: float) -> None:
        """The state of the circuit now."""
        self.metrics.circuit(circuit)
        former, self._circuit = self._circuit, circuit
        if circuit is former:
            return
        if circuit is Circuit.OPEN:
            self._log.warning("the circuit is open: items wait where they are", retry_in=round(retry_in, 1))
        else:
            self._log.info("the circuit changed", state=circuit.value)

    def _times(self, what: str, kind: str) -> int:
        """How often it happened since it was last said, now included; 0 where it was said just now."""
        now = self._clock()
        with self._lock:
            at, since = self._told.get((what, kind), (float("-inf"), 0))
            if now - at < _SAY_AGAIN:
                self._told[what, kind] = (at, since + 1)
                return 0
            self._told[what, kind] = (now, 0)
            return since + 1

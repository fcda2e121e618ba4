"""What the threads of one relay share: orders from the coordinator, counters for the report."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ticketops.domain.relay import Lease, Pause, Report, Takeover
from ticketops.errors import LeaseLost
from ticketops.services.relay.turns import Turns


@dataclass(slots=True)
class Orders:
    """What a heartbeat told, for every lane."""

    asked_at: float = float("-inf")
    """time.monotonic() at which the heartbeat began."""
    deadline: float = float("-inf")
    """time.monotonic() until which the leases are surely ours."""
    pauses: tuple[Pause, ...] = ()
    failures: bool = False
    generation: int = 0


class Assignment:
    """The shards of one lane, handed over between the coordinator and the lane.

    The coordinator offers and withdraws; the lane takes note between two batches, so that a shard is given back
    only when nothing of it is in flight.
    """

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self._lock = threading.Lock()
        self._offered: list[Takeover] = []
        self._withdrawn: set[Lease] = set()
        self._lost: set[Lease] = set()
        self._held: set[Lease] = set()
        self.wake = wake

    @property
    def changed(self) -> bool:
        """True while there is something for the lane to take note of."""
        with self._lock:
            return bool(self._offered or self._withdrawn or self._lost)

    @property
    def served(self) -> frozenset[Lease]:
        """Leases that the lane works with; what it was offered since it last took note is not among them."""
        with self._lock:
            return frozenset(self._held)

    @property
    def held(self) -> frozenset[Lease]:
        """Leases that the lane works with, or has been offered."""
        with self._lock:
            return frozenset(self._held | {t.lease for t in self._offered})

    def offer(self, takeover: Takeover) -> None:
        """Give the lane a shard."""
        with self._lock:
            self._offered.append(takeover)
        self.wake()

    def withdraw(self, lease: Lease) -> None:
        """Ask for a shard back; it is back when it is no longer held."""
        with self._lock:
            self._withdrawn.add(lease)
        self.wake()

    def lose(self, lease: Lease) -> None:
        """Say that a shard is another relay's now; nothing more may be sent for it."""
        with self._lock:
            self._lost.add(lease)
        self.wake()

    def lost(self, leases: frozenset[Lease]) -> bool:
        """True when one of the leases was lost."""
        with self._lock:
            return bool(self._lost & leases)

    def take(self) -> tuple[list[Takeover], frozenset[Lease]]:
        """For the lane, between two batches: what is new, and what is gone."""
        with self._lock:
            new, self._offered = self._offered, []
            held = self._held | {t.lease for t in new}
            gone = (self._withdrawn | self._lost) & held
            self._held = held - gone
            self._withdrawn.clear()
            self._lost.clear()
            return [t for t in new if t.lease in self._held], frozenset(gone)

    def forget(self, leases: frozenset[Lease]) -> None:
        """For the lane: these are not ours any more."""
        with self._lock:
            self._held -= leases


@dataclass(slots=True)
class Counters:
    """Sums since the start, under one lock."""

    published: int = 0
    failed: int = 0
    last_error: str = ""
    last_error_at: datetime | None = None
    waiting: dict[str, str] = field(default_factory=dict)
    """Part → the backend that it waits for."""


class RelayState:
    """Shared by the coordinator, the lanes and the exposition of one relay."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._lock = threading.Lock()
        self._now = now
        self._counters = Counters()
        self.orders = Orders()
        self.turns = Turns()

    def count(self, published: int, failed: int) -> None:
        """Add to the sums."""
        with self._lock:
            self._counters.published += published
            self._counters.failed += failed

    @property
    def published(self) -> int:
        """Events published since the start."""
        with self._lock:
            return self._counters.published

    def note_error(self, error: str) -> None:
        """Keep the last error for the report."""
        with self._lock:
            self._counters.last_error, self._counters.last_error_at = error, self._now()

    def waits(self, part: str, backend: str | None) -> None:
        """A part waits for a backend; None: no longer."""
        with self._lock:
            if backend is None:
                self._counters.waiting.pop(part, None)
            else:
                self._counters.waiting[part] = backend

    @property
    def waiting_for(self) -> str:
        """The backends that parts wait for, in words; empty while all is well."""
        with self._lock:
            return ", ".join(sorted(set(self._counters.waiting.values())))

    def report(self, rate: float) -> Report:
        """What to say of this relay at a heartbeat."""
        waiting = self.waiting_for
        with self._lock:
            counters = self._counters
            return Report(
                published=counters.published,
                failed=counters.failed,
                rate=rate,
                waiting_for=waiting,
                last_error=counters.last_error,
                last_error_at=counters.last_error_at,
            )

    def require_lease(self, monotonic: float) -> None:
        """LeaseLost when no heartbeat has succeeded for the length of a lease."""
        if monotonic > self.orders.deadline:
            raise LeaseLost("the leases have run out", why="no heartbeat reached the database in time")

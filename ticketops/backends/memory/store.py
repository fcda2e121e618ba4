"""One outbox and its relays' state in memory: what a database holds, with a clock of one's own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from ticketops.domain.outbox import Aggregate, FailureState, OutboxEvent, Status
from ticketops.domain.relay import Identity, Pause, PauseScope, Report
from ticketops.domain.shards import shard_of


def utc_now() -> datetime:
    """This host's clock."""
    return datetime.now(UTC)


@dataclass(slots=True)
class MemoryRow:
    """One row of the outbox."""

    id: bytes
    seq: int
    aggregate: Aggregate
    event_type: str
    payload: bytes | None
    created_at: datetime
    trace_parent: str | None = None
    status: Status = Status.PENDING
    published_at: datetime | None = None
    retry_count: int = 0
    last_error: str | None = None


@dataclass(slots=True)
class MemoryFailure:
    """Why an event is held back or a dead letter."""

    aggregate: Aggregate
    state: FailureState
    attempts: int
    retry_at: datetime | None
    error: str
    failed_at: datetime

    def holds_back(self, now: datetime) -> bool:
        """True while the events of its aggregate must wait."""
        if self.state is FailureState.RETRYING:
            return self.retry_at is not None and self.retry_at > now
        return self.state is not FailureState.DEAD


@dataclass(slots=True)
class MemoryBatch:
    """What a shard's owner has in flight."""

    id: UUID
    event_ids: tuple[bytes, ...]
    since: datetime


@dataclass(slots=True)
class MemoryLease:
    """The lease of one shard, or of one leader's task."""

    owner: str | None = None
    epoch: int = 0
    expires_at: datetime | None = None
    renewed_at: datetime | None = None
    batch: MemoryBatch | None = None

    def free(self, now: datetime) -> bool:
        """True where nobody holds it."""
        return self.owner is None or self.expires_at is None or self.expires_at < now

    def give(self, owner: str, ttl: float, now: datetime) -> None:
        """Make it `owner`'s for `ttl` seconds."""
        self.owner, self.expires_at, self.renewed_at = owner, now + timedelta(seconds=ttl), now

    def let_go(self) -> None:
        """Make it nobody's."""
        self.owner, self.expires_at = None, None


@dataclass(slots=True)
class MemoryMember:
    """One relay."""

    identity: Identity
    started_at: datetime
    seen_at: datetime
    expires_at: datetime
    report: Report = field(default_factory=Report)


class MemoryStore:
    """Shared by the ports of one outbox; every method of theirs takes `lock`."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self.now = now
        self.lock = threading.RLock()
        self.rows: dict[bytes, MemoryRow] = {}
        self.failures: dict[bytes, MemoryFailure] = {}
        self.shards: list[MemoryLease] = []
        self.tasks: dict[str, MemoryLease] = {}
        self.members: dict[str, MemoryMember] = {}
        self.pauses: dict[tuple[PauseScope, str], Pause] = {}
        self.generation = 0
        self.locked: set[bytes] = set()
        """Rows that somebody else holds locked."""
        self.wakes: list[Callable[[], None]] = []
        """Called after every commit."""
        self._next_seq = 1
        self._open: list[MemoryTransaction] = []

    def add(self, *events: OutboxEvent) -> None:
        """Write events in a transaction of their own."""
        with self.transaction() as transaction:
            transaction.add(*events)

    @contextmanager
    def transaction(self) -> Iterator["MemoryTransaction"]:
        """Events added to it get their seq at once and are seen when it ends."""
        transaction = MemoryTransaction(self)
        with self.lock:
            self._open.append(transaction)
        try:
            yield transaction
        except BaseException:
            transaction.rows.clear()
            raise
        finally:
            with self.lock:
                self._open.remove(transaction)
                self.rows |= {row.id: row for row in transaction.rows}
            for wake in list(self.wakes):
                wake()

    def draw_seq(self) -> int:
        """The next seq."""
        with self.lock:
            self._next_seq += 1
            return self._next_seq - 1

    def safe_seq(self) -> int:
        """The highest seq below which no transaction is still open."""
        with self.lock:
            first = [transaction.rows[0].seq for transaction in self._open if transaction.rows]
            return min(first, default=self._next_seq) - 1

    def pending(self) -> list[MemoryRow]:
        """The rows that wait, in order."""
        waiting = (row for row in self.rows.values() if row.status is Status.PENDING)
        return sorted(waiting, key=lambda row: row.seq)

    def shard_of(self, row: MemoryRow) -> int:
        """The shard of a row."""
        return shard_of(row.aggregate.id, len(self.shards))

    def held_back(self) -> frozenset[Aggregate]:
        """The aggregates that must wait now."""
        now = self.now()
        return frozenset(failure.aggregate for failure in self.failures.values() if failure.holds_back(now))

    def in_flight(self) -> frozenset[bytes]:
        """The events that batches name."""
        return frozenset(i for shard in self.shards if shard.batch for i in shard.batch.event_ids)


class MemoryTransaction:
    """A writer's transaction; see MemoryStore.transaction."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.rows: list[MemoryRow] = []

    def add(self, *events: OutboxEvent) -> None:
        """Write events, in their order."""
        for event in events:
            with self._store.lock:
                self.rows.append(self._row(event))

    def _row(self, event: OutboxEvent) -> MemoryRow:
        return MemoryRow(
            id=event.id.bytes,
            seq=self._store.draw_seq(),
            aggregate=Aggregate(event.aggregate_type, event.aggregate_id),
            event_type=event.event_type,
            payload=event.payload_text().encode(),
            created_at=self._store.now(),
            trace_parent=event.trace_parent,
        )

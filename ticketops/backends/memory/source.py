"""An outbox in memory as the relay's source of events."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from ticketops.backends.memory.store import MemoryBatch, MemoryFailure, MemoryLease, MemoryRow, MemoryStore
from ticketops.domain.outbox import FailureState, PendingEvent, Status
from ticketops.domain.relay import Failed, Lease, ReadRequest, Settlement
from ticketops.domain.shards import rollout_bucket
from ticketops.errors import LeaseLost

_FINAL = frozenset({FailureState.DEAD, FailureState.PARKED})
_LOCKED_AGAIN = 2.0
"""Seconds until an event whose row was locked when it was to become a dead letter is tried again."""
_ANY = 100
"""Percent of the aggregates: all of them."""


class MemoryOutboxSource:
    """Implements ports.OutboxSource."""

    def __init__(self, store: MemoryStore, *, delete: bool = False, skip_locked: bool = False) -> None:
        self._store = store
        self._delete = delete
        self._skip_locked = skip_locked

    def check(self) -> None:
        """See ports.OutboxSource."""

    def read(self, request: ReadRequest) -> list[PendingEvent]:
        """See ports.OutboxSource."""
        with self._store.lock:
            waiting = self._wanted(request)
            held_back = self._store.held_back() if request.failures else frozenset()
            turns = {lease.shard: turn for turn, lease in enumerate(request.leases)}
            waiting = [row for row in waiting if row.id not in request.exclude and row.aggregate not in held_back]
            waiting.sort(key=lambda row: turns[self._store.shard_of(row)])
            return self._cut(self._spread(waiting, request.per_shard)[: request.limit], request)

    def _spread(self, rows: Iterable[MemoryRow], per_shard: int) -> list[MemoryRow]:
        """At most so many of each shard."""
        counts: Counter[int] = Counter()
        chosen = []
        for row in rows:
            shard = self._store.shard_of(row)
            counts[shard] += 1
            if counts[shard] <= per_shard:
                chosen.append(row)
        return chosen

    def _wanted(self, request: ReadRequest) -> list[MemoryRow]:
        """What the request is about, in flight or held back as it may be."""
        shards = {lease.shard for lease in request.leases}
        return [
            row
            for row in self._store.pending()
            if self._store.shard_of(row) in shards
            and (request.floor is None or row.seq > request.floor)
            and (not request.only_types or row.aggregate.type in request.only_types)
            and row.aggregate.type not in request.paused_types
            and (request.percentage >= _ANY or rollout_bucket(row.aggregate.id) < request.percentage)
        ]

    def _cut(self, rows: Iterable[MemoryRow], request: ReadRequest) -> list[PendingEvent]:
        events: list[PendingEvent] = []
        room = request.max_bytes
        for row in rows:
            events.append(self._event(row, failures=request.failures))
            room -= len(row.payload or b"")
            if room <= 0:
                break
        return events

    def _event(self, row: MemoryRow, *, failures: bool) -> PendingEvent:
        failure = self._store.failures.get(row.id) if failures else None
        return PendingEvent(
            id=row.id,
            shard=self._store.shard_of(row),
            seq=row.seq,
            aggregate_type=row.aggregate.type,
            aggregate_id=row.aggregate.id,
            event_type=row.event_type,
            payload=row.payload,
            created_at=_rfc3339(row.created_at),
            trace_parent=row.trace_parent,
            attempts=failure.attempts if failure else 0,
            age=(self._store.now() - row.created_at).total_seconds(),
        )

    def begin(self, batch_id: UUID, leases: frozenset[Lease], events: Sequence[PendingEvent]) -> frozenset[bytes]:
        """See ports.OutboxSource."""
        with self._store.lock:
            now = self._store.now()
            for lease, shard in self._shards(leases):
                ids = tuple(event.id for event in events if event.shard == lease.shard)
                if ids:
                    shard.batch = MemoryBatch(batch_id, ids, now)
            return frozenset(e.id for e in events if self._taken(e.id)) if self._skip_locked else frozenset()

    def _taken(self, event_id: bytes) -> bool:
        row = self._store.rows.get(event_id)
        return row is None or row.status is not Status.PENDING or event_id in self._store.locked

    def _shards(self, leases: Iterable[Lease]) -> list[tuple[Lease, MemoryLease]]:
        """The stored leases; LeaseLost unless every one is ours."""
        shards = self._store.shards
        found = [(lease, shards[lease.shard]) for lease in leases if lease.shard < len(shards)]
        lost = sum(shard.epoch != lease.epoch for lease, shard in found)
        if lost:
            raise LeaseLost("a shard belongs to another relay now", why=f"{lost} leases were taken over")
        return found

    def settle(self, settlement: Settlement) -> frozenset[bytes]:
        """See ports.OutboxSource."""
        with self._store.lock:
            for _, shard in self._shards(settlement.leases):
                if settlement.batch_id is None or shard.batch is None or shard.batch.id == settlement.batch_id:
                    shard.batch = None
            left = frozenset(i for i in settlement.published if i in self._store.locked and not self._taken_off(i))
            for event_id in settlement.published:
                if event_id not in left and not self._taken_off(event_id):
                    self._mark(self._store.rows[event_id])
            for event_id in settlement.recovered:
                self._store.failures.pop(event_id, None)
            for failed in settlement.failed:
                self._fail(failed)
            return left

    def _taken_off(self, event_id: bytes) -> bool:
        row = self._store.rows.get(event_id)
        return row is None or row.status is not Status.PENDING

    def _mark(self, row: MemoryRow) -> None:
        if self._delete:
            del self._store.rows[row.id]
        else:
            row.status, row.published_at = Status.PUBLISHED, self._store.now()

    def _fail(self, failed: Failed) -> None:
        now, locked = self._store.now(), failed.event.id in self._store.locked
        if locked and failed.state in _FINAL:
            failed = replace(failed, state=FailureState.RETRYING, attempts=failed.attempts - 1, delay=_LOCKED_AGAIN)
        self._store.failures[failed.event.id] = MemoryFailure(
            aggregate=failed.event.aggregate,
            state=failed.state,
            attempts=failed.attempts,
            retry_at=None if failed.delay is None else now + timedelta(seconds=failed.delay),
            error=failed.error,
            failed_at=now,
        )
        row = self._store.rows.get(failed.event.id)
        if row is not None and row.status is Status.PENDING and not locked:
            row.retry_count, row.last_error = failed.attempts, failed.error
            if failed.state in _FINAL:
                row.status = Status.FAILED

    def find(self, lease: Lease, event_id: bytes) -> PendingEvent | None:
        """See ports.OutboxSource."""
        with self._store.lock:
            row = self._store.rows.get(event_id)
            if row is None or row.status is not Status.PENDING or self._store.shard_of(row) != lease.shard:
                return None
            return self._event(row, failures=True)

    def advance_floor(self, request: ReadRequest) -> int | None:
        """See ports.OutboxSource."""
        with self._store.lock:
            lowest = min((row.seq - 1 for row in self._wanted(request)), default=self._store.safe_seq())
            return max(min(lowest, self._store.safe_seq()), request.floor or 0)

    def close(self) -> None:
        """See ports.OutboxSource."""


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

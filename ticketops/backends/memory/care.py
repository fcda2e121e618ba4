"""Upkeep of an outbox in memory."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from ticketops.backends.memory.store import MemoryFailure, MemoryRow, MemoryStore
from ticketops.domain.outbox import Backlog, FailureState, Status

_WAITING = frozenset({FailureState.RETRYING, FailureState.BLOCKED})


class MemoryOutboxCare:
    """Implements ports.OutboxCare."""

    def __init__(self, store: MemoryStore, *, max_attempts: int) -> None:
        self._store = store
        self._max_attempts = max_attempts

    def backlog(self) -> Backlog:
        """See ports.OutboxCare."""
        with self._store.lock:
            store, failures = self._store, self._store.failures.values()
            held = {failure.aggregate for failure in failures if failure.state is not FailureState.DEAD}
            free = [row.created_at for row in store.pending() if row.aggregate not in held]
            return Backlog(
                pending=len(store.pending()),
                oldest_seconds=(store.now() - min(free)).total_seconds() if free else None,
                held_back=len({failure.aggregate for failure in failures if failure.state in _WAITING}),
                dead=sum(row.retry_count >= self._max_attempts for row in self._failed()),
            )

    def _failed(self) -> list[MemoryRow]:
        return [row for row in self._store.rows.values() if row.status is Status.FAILED]

    def delete_published(self, older_than: float, limit: int) -> int:
        """See ports.OutboxCare."""
        with self._store.lock:
            store = self._store
            before = store.now() - timedelta(seconds=older_than)
            kept = store.in_flight() | store.locked
            done = [
                (row.published_at, row.id) for row in store.rows.values() if row.published_at and row.id not in kept
            ]
            old = sorted(entry for entry in done if entry[0] < before)[:limit]
            for _, event_id in old:
                del store.rows[event_id]
            return len(old)

    def failed(self, max_attempts: int, limit: int) -> dict[UUID, int]:
        """See ports.OutboxCare."""
        with self._store.lock:
            rows = [row for row in self._failed() if row.retry_count < max_attempts]
            stray = [row for row in rows if row.id not in self._store.failures]
            return {UUID(bytes=row.id): row.retry_count for row in stray[:limit]}

    def adopt(self, rows: Mapping[UUID, int]) -> int:
        """See ports.OutboxCare."""
        with self._store.lock:
            free = [row for row in self._failed() if row.id not in self._store.locked]
            same = [row for row in free if rows.get(UUID(bytes=row.id)) == row.retry_count]
            for row in same:
                row.status = Status.PENDING
            return len(same)

    def tidy_failures(self, limit: int) -> int:
        """See ports.OutboxCare."""
        with self._store.lock:
            return self._park(limit) + self._forget()

    def _park(self, limit: int) -> int:
        parked = {f.aggregate: i for i, f in self._store.failures.items() if f.state is FailureState.PARKED}
        waiting = [row for row in self._store.pending() if row.aggregate in parked and row.id not in self._store.locked]
        chosen = waiting[:limit]
        for row in chosen:
            error = f"parked behind {UUID(bytes=parked[row.aggregate])}"
            now = self._store.now()
            self._store.failures[row.id] = MemoryFailure(row.aggregate, FailureState.PARKED, 0, None, error, now)
            row.status, row.retry_count, row.last_error = Status.FAILED, self._max_attempts, error
        return len(chosen)

    def _forget(self) -> int:
        pending = {row.id for row in self._store.pending()}
        kept = pending | {row.id for row in self._failed()}
        gone = [i for i, f in self._store.failures.items() if i not in (pending if f.state in _WAITING else kept)]
        for event_id in gone:
            del self._store.failures[event_id]
        return len(gone)

    def close(self) -> None:
        """See ports.OutboxCare."""

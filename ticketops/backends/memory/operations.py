"""The port OperationStore in memory."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from ticketops.backends.memory.store import utc_now
from ticketops.domain.deadletters import Outcome, Result
from ticketops.domain.operations import (
    ENDED,
    AuditEntry,
    FrozenItem,
    Operation,
    OperationItem,
    OperationState,
    Verb,
    cancel_entry,
    cancel_note,
    end_entry,
    item_entry,
    item_target,
    requeued_by_queue,
    start_entry,
)
from ticketops.errors import NotFoundError, RefusedError, UsageError


@dataclass(slots=True)
class _Kept:
    operation: Operation
    items: list[OperationItem]
    ttl: float = 0.0
    cancel_asked: bool = False


class MemoryOperationStore:
    """Implements ports.OperationStore for one process; every method takes the lock."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._kept: dict[UUID, _Kept] = {}
        self._log: list[AuditEntry] = []

    @property
    def place(self) -> str:
        """See ports.OperationStore."""
        return "memory"

    @property
    def shared(self) -> bool:
        """See ports.OperationStore."""
        return False

    def now(self) -> datetime:
        """See ports.OperationStore."""
        return self._now()

    def create(self, operation: Operation, items: Iterable[FrozenItem]) -> Operation:
        """See ports.OperationStore."""
        frozen = [_frozen(number, item, operation.created_at) for number, item in enumerate(items, 1)]
        counts = _ordered(Counter(item.outcome for item in frozen if item.outcome))
        made = replace(operation, total=len(frozen), counts=counts, runner="", runner_until=None)
        with self._lock:
            self._kept[made.id] = _Kept(made, frozen)
            self._log.append(start_entry(made))
        return made

    def find(self, text: str) -> Operation:
        """See ports.OperationStore."""
        wanted = text.strip().lower().replace("-", "")
        with self._lock:
            found = [kept.operation for key, kept in self._kept.items() if wanted and key.hex.startswith(wanted)]
        if not found:
            raise NotFoundError(f"there is no operation {text}", hint="`ticketops ops list` shows them")
        if len(found) > 1:
            raise UsageError(f"{text} names {len(found)} operations", hint="give more of the id")
        return found[0]

    def recent(self, *, state: OperationState | None = None, queue: str | None = None, limit: int) -> list[Operation]:
        """See ports.OperationStore."""
        with self._lock:
            newest = [kept.operation for kept in reversed(self._kept.values())]
        return [
            one for one in newest if (state is None or one.state is state) and (queue is None or queue in one.queues)
        ][:limit]

    def claim(self, operation: UUID, runner: str, ttl: float) -> bool:
        """See ports.OperationStore."""
        with self._lock:
            kept, now = self._get(operation), self._now()
            current = kept.operation
            if current.runner != runner and current.worked_on(now):
                return False
            if kept.cancel_asked and current.state not in ENDED:
                self._close(kept, OperationState.CANCELLED, current.note)
            if kept.operation.state in ENDED:
                raise _over(kept.operation)
            kept.ttl = ttl
            until = now + timedelta(seconds=ttl)
            kept.operation = replace(
                current, state=OperationState.RUNNING, runner=runner, runner_until=until, ended_at=None, note=""
            )
            return True

    def pending(self, operation: UUID, limit: int, after: int = 0) -> list[OperationItem]:
        """See ports.OperationStore."""
        with self._lock:
            return [item for item in self._get(operation).items[after:] if item.outcome is None][:limit]

    def record(self, operation: UUID, runner: str, results: Mapping[int, Result]) -> bool:
        """See ports.OperationStore."""
        with self._lock:
            kept, now = self._get(operation), self._now()
            _check_runner(kept.operation, runner)
            counts = dict(kept.operation.counts)
            for number, result in results.items():
                item = kept.items[number - 1]
                if item.outcome is None:
                    kept.items[number - 1] = replace(item, outcome=result.outcome, detail=result.detail, at=now)
                    counts[result.outcome] = counts.get(result.outcome, 0) + 1
            kept.operation = replace(kept.operation, counts=_ordered(counts))
            if kept.operation.runner == runner:
                kept.operation = replace(kept.operation, runner_until=now + timedelta(seconds=kept.ttl))
            return not kept.cancel_asked

    def end(self, operation: UUID, runner: str, state: OperationState, note: str = "") -> Operation:
        """See ports.OperationStore."""
        with self._lock:
            kept = self._get(operation)
            _check_runner(kept.operation, runner)
            if kept.operation.state in ENDED:
                if kept.operation.state is state:
                    return kept.operation
                raise _over(kept.operation)
            return self._close(kept, state, note or (kept.operation.note if kept.cancel_asked else ""))

    def _close(self, kept: _Kept, state: OperationState, note: str) -> Operation:
        now = self._now()
        kept.operation = replace(kept.operation, state=state, note=note, ended_at=now, runner="", runner_until=None)
        self._log.append(end_entry(kept.operation, now))
        return kept.operation

    def cancel(self, operation: UUID, actor: str, reason: str) -> Operation:
        """See ports.OperationStore."""
        with self._lock:
            kept, now = self._get(operation), self._now()
            if kept.operation.state in ENDED:
                raise _over(kept.operation)
            kept.cancel_asked = True
            kept.operation = replace(kept.operation, note=cancel_note(actor, reason))
            if not kept.operation.worked_on(now):
                self._close(kept, OperationState.CANCELLED, kept.operation.note)
            self._log.append(cancel_entry(kept.operation, actor, reason, now))
            return kept.operation

    def items(self, operation: UUID) -> Iterator[OperationItem]:
        """See ports.OperationStore."""
        with self._lock:
            yield from list(self._get(operation).items)

    def history(self, queue: str, item: str, origin: str) -> list[AuditEntry]:
        """See ports.OperationStore."""
        targets = {item_target(queue, item), item_target(queue, origin)}
        with self._lock:
            found = [entry for entry in self._log if entry.target in targets]
            for kept in self._kept.values():
                found += [
                    item_entry(kept.operation, one)
                    for one in kept.items
                    if one.outcome and one.item.queue == queue and (one.item.id == item or one.item.origin == origin)
                ]
        return sorted(found, key=lambda entry: entry.at)

    def audit(self, entry: AuditEntry) -> None:
        """See ports.OperationStore."""
        with self._lock:
            self._log.append(entry)

    def log(self, *, since: datetime | None = None, limit: int) -> list[AuditEntry]:
        """See ports.OperationStore."""
        with self._lock:
            newest = sorted(self._log, key=lambda entry: entry.at)[::-1]
        return [entry for entry in newest if since is None or entry.at >= since][:limit]

    def requeued(self) -> dict[str, int]:
        """See ports.OperationStore."""
        with self._lock:
            made = [kept.operation for kept in self._kept.values() if kept.operation.verb is Verb.REQUEUE]
            return requeued_by_queue((one.queues, {key.value: n for key, n in one.counts.items()}) for one in made)

    def forget(self, before: datetime, limit: int) -> int:
        """See ports.OperationStore."""
        with self._lock:
            old = [
                kept
                for kept in self._kept.values()
                if kept.items and kept.operation.ended_at and kept.operation.ended_at < before
                and kept.operation.state in ENDED
            ][:limit]  # fmt: skip
            for kept in old:
                kept.items = []
            return len(old)

    def close(self) -> None:
        """See ports.OperationStore."""

    def _get(self, operation: UUID) -> _Kept:
        if operation not in self._kept:
            raise NotFoundError(f"there is no operation {operation}", hint="`ticketops ops list` shows them")
        return self._kept[operation]


def _frozen(number: int, item: FrozenItem, at: datetime) -> OperationItem:
    plain = replace(item, left=None, detail="")
    if item.left is None:
        return OperationItem(number=number, item=plain)
    return OperationItem(number=number, item=plain, outcome=item.left, detail=item.detail, at=at)


def _check_runner(operation: Operation, runner: str) -> None:
    if operation.runner not in {"", runner}:
        raise RefusedError(f"operation {operation.id} is run by {operation.runner}", why="the lease was over")


def _over(operation: Operation) -> RefusedError:
    return RefusedError(f"operation {operation.id} is {operation.state}", why=operation.note)


def _ordered(counts: Mapping[Outcome, int]) -> dict[Outcome, int]:
    return {outcome: counts[outcome] for outcome in Outcome if outcome in counts}

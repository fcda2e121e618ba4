"""Operations: changes to many dead letters, stored before the first item so that they can be resumed and proved."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from ticketops.domain.deadletters import Outcome


class Verb(StrEnum):
    """What an operation does to its items."""

    REQUEUE = "requeue"
    DISCARD = "discard"
    RESTORE = "restore"
    PURGE = "purge"
    EDIT = "edit"
    HOLD = "hold"
    RELEASE = "release"
    IMPORT = "import"
    CLEANUP = "cleanup"
    MEND = "mend"


class OperationState(StrEnum):
    """Where an operation stands."""

    RUNNING = "running"
    """Started and not ended; without a live runner it was cut off and can be resumed."""
    STOPPED = "stopped"
    """Ended before its last item (Ctrl-C, max failures, a destination that backs up); can be resumed."""
    CANCELLED = "cancelled"
    """Ended on request; what is left stays as it is."""
    DONE = "done"
    """Every item has its result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One change to many items."""

    id: UUID
    verb: Verb
    queues: tuple[str, ...]
    actor: str
    """user@host."""
    reason: str
    """Why, in the actor's words."""
    selector: Mapping[str, object]
    """The conditions as resolved at the start, for people."""
    cutoff: datetime
    """Items that died later are not meant."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Rate, canary, bounds: what `resume` goes on with."""
    context: str = ""
    created_at: datetime
    ended_at: datetime | None = None
    state: OperationState = OperationState.RUNNING
    total: int = 0
    """Items frozen at the start."""
    counts: Mapping[Outcome, int] = field(default_factory=dict)
    """Items with a result, by what came of them."""
    note: str = ""
    """Why it stopped."""
    runner: str = ""
    """Who works on it now (user@host:pid); empty: nobody."""
    runner_until: datetime | None = None
    """The end of the runner's lease."""

    @property
    def left(self) -> int:
        """Items without a result."""
        return self.total - sum(self.counts.values())

    def worked_on(self, now: datetime) -> bool:
        """True while somebody's lease lasts."""
        return bool(self.runner) and self.runner_until is not None and self.runner_until > now


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenItem:
    """One item of an operation, chosen before the first was touched."""

    queue: str
    id: str
    digest: str
    origin: str
    key: str
    left: Outcome | None = None
    """Why it is left as it is, where that was decided when it was chosen; the item has this result from the start."""
    detail: str = ""
    """What goes with `left`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationItem:
    """One item of an operation, with its result."""

    number: int
    """From 1, in the order of the work."""
    item: FrozenItem
    outcome: Outcome | None = None
    """None: not tried yet, or cut off before the result was recorded."""
    detail: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the audit log."""

    at: datetime
    actor: str
    action: str
    """As the command is named: `dlq requeue`."""
    target: str
    """Queue and item, or what else was changed."""
    operation: UUID | None = None
    reason: str = ""
    result: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Somebody is looking at an item; bulk changes skip it."""

    queue: str
    id: str
    note: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """A discarded item."""

    queue: str
    id: str
    operation: UUID
    actor: str
    reason: str
    at: datetime
    settled: bool
    """False: its removal from the queue is not confirmed; it may still be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """An edited item keeps its id; this is what its payload was before."""

    queue: str
    id: str
    operation: UUID
    actor: str
    reason: str
    at: datetime
    before: bytes
    after: bytes


SEVERAL = "(several)"
"""What an operation over more than one queue is counted under; no queue can have this name."""
ENDED = frozenset({OperationState.CANCELLED, OperationState.DONE})
"""States that nothing follows."""


def requeued_by_queue(done: Iterable[tuple[Sequence[str], Mapping[str, int]]]) -> dict[str, int]:
    """Dead letters that were put back, by queue, from each requeue's queues and what came of its items."""
    totals: Counter[str] = Counter()
    for queues, counts in done:
        totals[queues[0] if len(queues) == 1 else SEVERAL] += counts.get(Outcome.DONE, 0)
    return dict(totals)


def item_target(queue: str, item: str) -> str:
    """How the audit log names one item."""
    return f"{queue}/{item}"


def key_of(queue: str, item: str) -> bytes:
    """16 bytes that stand for an item of a queue in an index, however long its id is."""
    text = f"{queue}\0{item}"
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def start_entry(operation: Operation) -> AuditEntry:
    """What the audit log says when an operation was stored."""
    return AuditEntry(
        at=operation.created_at,
        actor=operation.actor,
        action=f"dlq {operation.verb}",
        target=", ".join(operation.queues),
        operation=operation.id,
        reason=operation.reason,
        result="started",
        details={"selector": dict(operation.selector), "total": operation.total},
    )


def end_entry(operation: Operation, at: datetime) -> AuditEntry:
    """What the audit log says when an operation was ended or put down."""
    counts = {outcome.value: number for outcome, number in operation.counts.items()}
    return AuditEntry(
        at=at,
        actor=operation.actor,
        action=f"dlq {operation.verb}",
        target=", ".join(operation.queues),
        operation=operation.id,
        reason=operation.reason,
        result=operation.state.value,
        details={"counts": counts, "total": operation.total, "note": operation.note},
    )


def cancel_entry(operation: Operation, actor: str, reason: str, at: datetime) -> AuditEntry:
    """What the audit log says when somebody asked for an end."""
    return AuditEntry(
        at=at,
        actor=actor,
        action="ops cancel",
        target=", ".join(operation.queues),
        operation=operation.id,
        reason=reason,
        result=operation.state.value if operation.state in ENDED else "asked for",
    )


def item_entry(operation: Operation, item: OperationItem) -> AuditEntry:
    """What the history of an item says of its result in an operation."""
    return AuditEntry(
        at=item.at or operation.created_at,
        actor=operation.actor,
        action=f"dlq {operation.verb}",
        target=item_target(item.item.queue, item.item.id),
        operation=operation.id,
        reason=operation.reason,
        result=item.outcome.value if item.outcome else "",
        details={"detail": item.detail} if item.detail else {},
    )


def cancel_note(actor: str, reason: str) -> str:
    """The note of an operation that somebody asked to end."""
    return f"cancelled by {actor}: {reason}" if reason else f"cancelled by {actor}"

"""An operator's change to outbox events: what is asked for, what it would meet, what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from ticketops.domain.outbox import EventRow


class Action(StrEnum):
    """The changes that `ticketops outbox` makes."""

    RETRY = "retry"
    SKIP = "skip"
    REPLAY = "replay"
    CLEANUP = "cleanup"


class Left(StrEnum):
    """Why an event was left as it is."""

    IN_FLIGHT = "in flight"
    """A relay is publishing it at this moment."""
    LOCKED = "locked"
    """Another process has its row locked."""
    PUBLISHED = "published"
    WAITING = "not failed"
    """It is pending and nothing holds it back."""
    DEAD = "dead letter already"
    GONE = "gone"
    """Deleted since it was selected."""
    REFUSED = "refused"
    """Kafka cannot take the record."""
    NO_TOPIC = "no topic"
    """The configuration has no topic for its aggregate type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Who changes what, and why; one row of the audit log."""

    id: UUID
    action: Action
    actor: str
    """user@host."""
    reason: str
    selector: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a selector meets."""

    count: int
    oldest: datetime | None
    newest: datetime | None
    by_status: Mapping[str, int]
    by_type: Mapping[str, int]
    """Aggregate type = events."""
    reasons: tuple[tuple[str, int], ...]
    """The commonest error texts, with their number."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What came of one batch of a change."""

    changed: int
    left: tuple[tuple[bytes, Left], ...] = ()
    """Event ids that were left, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeResult:
    """What came of a change."""

    operation: UUID
    changed: int
    left: Mapping[Left, int]
    examples: tuple[tuple[UUID, Left], ...]
    """The first events that were left."""

    @property
    def complete(self) -> bool:
        """True where nothing was left."""
        return not self.left


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One row of `outbox stats`."""

    status: str
    aggregate_type: str
    count: int
    oldest: datetime | None
    recent_in: int
    """Created within the window."""
    recent_out: int
    """Published within the window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStats:
    """Everything `outbox stats` shows."""

    at: datetime
    """The database's clock."""
    window: float
    """Seconds that the rates are of."""
    groups: tuple[Group, ...]
    held_back: int
    """Aggregates that wait for a retry or for the operator."""
    dead: int
    oldest_pending: datetime | None

    @property
    def pending(self) -> int:
        """PENDING rows."""
        return sum(group.count for group in self.groups if group.status == "PENDING")

    @property
    def rate_in(self) -> float:
        """Events created per second."""
        return sum(group.recent_in for group in self.groups) / self.window

    @property
    def rate_out(self) -> float:
        """Events published per second."""
        return sum(group.recent_out for group in self.groups) / self.window

    @property
    def drain_seconds(self) -> float | None:
        """Seconds until nothing is pending, at these rates; None where the backlog does not shrink."""
        if not self.pending:
            return 0.0
        net = self.rate_out - self.rate_in
        return self.pending / net if net > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDetail:
    """Everything `outbox show` tells of one event."""

    event: EventRow
    before: int
    """Events of its aggregate that wait before it."""
    first_failed_at: datetime | None = None
    last_failed_at: datetime | None = None
    attempts: int = 0
    error: str | None = None
    """The relay's last error of it."""
    trace_parent: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=())
    topic: str | None = None

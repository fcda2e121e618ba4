"""Outbox events: as a service writes them, as the relay reads them, as an operator sees them.

Lengths and the meaning of the columns: the booking service's outbox_events table.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID, uuid4

from ticketops.domain import payload as json_payload
from ticketops.errors import InvalidEvent

MAX_TYPE = 50
"""Characters in aggregate_type and event_type."""
MAX_AGGREGATE_ID = 100
"""Characters in aggregate_id."""
MAX_TRACE_PARENT = 255
"""Characters in trace_parent; a W3C traceparent has 55 in its first version."""


class Status(StrEnum):
    """What the status column may hold; a check constraint allows no other."""

    PENDING = "PENDING"
    PUBLISHED = "PUBLISHED"
    FAILED = "FAILED"


class FailureState(StrEnum):
    """Why an event is not published now."""

    RETRYING = "retrying"
    """Its aggregate waits until `retry_at`."""
    BLOCKED = "blocked"
    """Its aggregate waits for the operator."""
    PARKED = "parked"
    """A dead letter that takes its successors with it."""
    DEAD = "dead"
    """A dead letter; its aggregate goes on."""


class FailurePolicy(StrEnum):
    """What happens when an event has used up its attempts."""

    BLOCK = "block"
    """The aggregate waits for the operator."""
    DEAD_LETTER = "dead_letter"
    """The event becomes a dead letter and its aggregate goes on."""
    PARK = "park"
    """The event and all its successors become dead letters, in order."""


class Aggregate(NamedTuple):
    """What order is kept for: the records of one key in one topic."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An event to be written in the caller's transaction; validated when it is made.

    Raises InvalidEvent, which names the field.
    """

    aggregate_type: str
    """BOOKING, PAYMENT, TICKET or another type with a topic; at most 50 characters."""
    aggregate_id: str
    """The Kafka record key; at most 100 characters."""
    event_type: str
    """BOOKING_CONFIRMED and the like; at most 50 characters."""
    payload: object
    """The record value: anything `json.dumps` takes, or JSON text as `str` or `bytes`."""
    id: UUID = field(default_factory=uuid4)
    """The event id, by which consumers drop repeats."""
    trace_parent: str | None = None
    """A W3C traceparent; stored only where the table has a column for it."""
    _text: str = field(init=False, repr=False, compare=False)
    """The payload as it was when it was checked."""

    def __post_init__(self) -> None:
        _check_text("aggregate_type", self.aggregate_type, MAX_TYPE)
        _check_text("aggregate_id", self.aggregate_id, MAX_AGGREGATE_ID)
        _check_text("event_type", self.event_type, MAX_TYPE)
        if not isinstance(self.id, UUID):
            raise InvalidEvent("id is not a UUID", why=f"it is a {type(self.id).__name__}")
        if self.trace_parent is not None:
            _check_text("trace_parent", self.trace_parent, MAX_TRACE_PARENT)
        text = self.payload if isinstance(self.payload, str | bytes) else json_payload.dump(self.payload)
        object.__setattr__(self, "_text", json_payload.checked(text))

    def payload_text(self) -> str:
        """The payload as JSON text that PostgreSQL's jsonb accepts, as it was when the event was made."""
        return self._text


def _check_text(name: str, value: object, limit: int) -> None:
    if not isinstance(value, str) or not value:
        raise InvalidEvent(f"{name} is empty or not text", hint=f"give {name} as a non-empty str")
    if len(value) > limit:
        raise InvalidEvent(f"{name} has {len(value)} characters", why=f"the column holds {limit}")
    _check_storable(name, value)


def _check_storable(name: str, value: str) -> None:
    if "\0" in value:
        raise InvalidEvent(f"{name} holds a NUL character", why="PostgreSQL text cannot")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidEvent(f"{name} holds a lone surrogate", why="it has no UTF-8 form") from error


class PendingEvent(NamedTuple):
    """One row as the relay reads it: bytes in, bytes out, nothing parsed."""

    id: bytes
    """The event id, 16 bytes."""
    shard: int
    seq: int | None
    """None where the table has no such column, or the row is older than it."""
    aggregate_type: str
    aggregate_id: str
    event_type: str
    payload: bytes | None
    """The payload column's text in UTF-8; None where the column is NULL."""
    created_at: str | None
    """RFC 3339 in UTC; None where the table has no such column."""
    trace_parent: str | None
    attempts: int
    """Attempts that failed before this one."""
    age: float
    """Seconds since created_at on the database's clock; 0 where unknown."""

    @property
    def aggregate(self) -> Aggregate:
        """What this event is ordered within."""
        return Aggregate(self.aggregate_type, self.aggregate_id)


@dataclass(frozen=True, slots=True)
class EventRow:
    """One outbox row as an operator sees it."""

    id: UUID
    aggregate_type: str
    aggregate_id: str
    event_type: str
    payload: str | None
    """The payload column's text; None where it is NULL or was not asked for."""
    status: Status
    created_at: datetime | None
    published_at: datetime | None
    retry_count: int
    last_error: str | None
    seq: int | None
    failure: FailureState | None
    """Set while the event is held back or a dead letter."""
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits, and for how long."""

    pending: int
    """PENDING rows, those held back included."""
    oldest_seconds: float | None
    """Age of the oldest PENDING row that is not held back; None when there is none."""
    held_back: int
    """Aggregates that wait for a retry or for the operator."""
    dead: int
    """FAILED rows past their attempts."""

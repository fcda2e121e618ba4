"""What a state machine moves: a booking or another service's row, its moves, and what is written with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID, uuid4

from ticketops.domain.outbox import OutboxEvent


class Field(StrEnum):
    """What a change may set beside the state, by its TicketOps name."""

    PAYMENT_STATUS = "payment_status"
    PAYMENT_REFERENCE = "payment_reference"
    CONFIRMED_AT = "confirmed_at"
    CANCELLED_AT = "cancelled_at"
    CANCELLATION_REASON = "cancellation_reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One row that has a state; a field is None where its table has no such column, or the column is NULL."""

    key: str
    """What the history names it by: the booking id, as text."""
    state: str
    id: int | None = None
    """The row's number in its own table, which compensations refer to."""
    reference: str | None = None
    """What people call it by."""
    payment_status: str | None = None
    payment_reference: str | None = None
    """The payment id."""
    user_id: str | None = None
    event_id: str | None = None
    """The show."""
    total_amount: Decimal | None = None
    currency: str | None = None
    seat_count: int | None = None
    seats: tuple[str, ...] = ()
    expires_at: datetime | None = None
    confirmed_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancellation_reason: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One transition of a subject, as the history keeps it."""

    source: str
    event: str
    target: str
    triggered_by: str = ""
    reason: str = ""
    id: UUID = field(default_factory=uuid4)
    """transition_id."""


class CompensationType(StrEnum):
    """What must be undone outside the database."""

    CANCEL_PAYMENT = "CANCEL_PAYMENT"
    RELEASE_SEATS = "RELEASE_SEATS"
    REFUND_PAYMENT = "REFUND_PAYMENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensation:
    """A row of failed_compensations: the saga retries it, 30 s after it was written for the first time."""

    type: CompensationType
    reference_id: str
    """Of RELEASE_SEATS the show's event_id."""
    error: str
    payload: str = ""
    id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Everything that one transaction writes of one subject."""

    before: Subject
    after: Subject
    at: datetime
    """The time of its moves."""
    moves: tuple[Move, ...] = ()
    """In their order, each from where the one before it led."""
    fields: Mapping[Field, object] = field(default_factory=dict)
    """Columns to set, the state apart."""
    events: tuple[OutboxEvent, ...] = ()
    """In the order of the outbox."""
    compensations: tuple[Compensation, ...] = ()

    @property
    def empty(self) -> bool:
        """True where there is nothing to write."""
        return not (self.moves or self.fields or self.events or self.compensations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row of the history, as it is read."""

    number: int
    """The order of the rows of one subject."""
    id: str
    key: str
    source: str
    target: str
    event: str | None
    triggered_by: str | None
    reason: str | None
    at: datetime

"""The state machines: where their rows are, and how long a state may last."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from ticketops.options.types import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectColumns:
    """Column names of the bookings table; an empty name says that the table has no such column."""

    key: str = "booking_id"
    """What the history names a booking by; uuid, text or a number; unique."""
    state: str = "status"
    """Text."""
    id: str = "id"
    """bigint, which compensations refer to."""
    reference: str = "booking_reference"
    """Text, unique; what people call it by."""
    payment_status: str = "payment_status"
    """Text."""
    payment_reference: str = "payment_reference"
    """Text, the payment id."""
    user_id: str = "user_id"
    """Text."""
    event_id: str = "event_id"
    """Text, the show."""
    total_amount: str = "total_amount"
    """numeric."""
    currency: str = "currency"
    """Text."""
    seat_count: str = "seat_count"
    """Integer."""
    expires_at: str = "expires_at"
    """timestamptz; the event EXPIRE is refused before it."""
    confirmed_at: str = "confirmed_at"
    """timestamptz."""
    cancelled_at: str = "cancelled_at"
    """timestamptz."""
    cancellation_reason: str = "cancellation_reason"
    """Text."""
    created_at: str = "created_at"
    """timestamptz."""
    updated_at: str = "updated_at"
    """timestamptz, set by every change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryColumns:
    """Column names of the history of transitions."""

    id: str = "id"
    """bigint that grows with every insert: the order of one booking's transitions."""
    transition_id: str = "transition_id"
    """uuid, unique; empty: there is none."""
    key: str = "booking_id"
    """The booking's key."""
    from_state: str = "from_state"
    """Text."""
    to_state: str = "to_state"
    """Text."""
    event: str = "event"
    """Text, nullable."""
    triggered_by: str = "triggered_by"
    """Text of 100 characters or more, nullable; empty: there is none."""
    reason: str = "reason"
    """Text of 500 characters or more, nullable; empty: there is none."""
    created_at: str = "created_at"
    """timestamptz."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateOptions:
    """Bookings and their state machine."""

    table: str = "bookings"
    """The table of bookings, in `postgres.schema`."""
    seats_table: str = "booking_seats"
    """The table of their seats."""
    history_table: str = "booking_state_transitions"
    """The table of their transitions."""
    compensations_table: str = "failed_compensations"
    """The table of what must be undone outside the database."""
    columns: SubjectColumns = field(default_factory=SubjectColumns)
    """Column names of the bookings table."""
    history_columns: HistoryColumns = field(default_factory=HistoryColumns)
    """Column names of the history."""
    limits: Mapping[str, Seconds] = field(
        default_factory=lambda: {
            "PENDING": 900.0,
            "RESERVING": 120.0,
            "SEATS_RESERVED": 900.0,
            "PAYMENT_PENDING": 900.0,
            "PAYMENT_PROCESSING": 300.0,
            "PAYMENT_FAILED": 300.0,
            "AWAITING_PAYMENT": 900.0,
            "PROCESSING_PAYMENT": 300.0,
        }
    )
    """State = seconds after which a booking in it is stuck; a state that is not named has no limit."""
    history_days: Annotated[float, Meta(ge=0)] = 90.0
    """Days that transitions are kept; 0 keeps them for ever."""
    inbox_days: Annotated[float, Meta(gt=0)] = 30.0
    """Days that the ids of consumed events are kept; a repeat that comes later is consumed again."""
    expire: bool = False
    """True: the daemon that does maintenance moves what is past expires_at to its expired state."""

    @property
    def places(self) -> "Places":
        """Where bookings are."""
        return Places(
            table=self.table,
            seats_table=self.seats_table,
            history_table=self.history_table,
            compensations_table=self.compensations_table,
            columns=self.columns,
            history_columns=self.history_columns,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where one machine's rows are, in `postgres.schema`; an empty table says that there is none."""

    table: str
    history_table: str
    columns: SubjectColumns
    history_columns: HistoryColumns
    seats_table: str = ""
    compensations_table: str = ""

"""The state machines: where their rows are, and how long a state may last."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated

from msgspec import Meta

from ticketops.domain.machine import Machine, Rule
from ticketops.errors import ConfigError
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
    idempotency_column: str = "idempotency_key"
    """Column of the bookings table by which `trace` finds a booking too; empty: there is none."""
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
    expire: bool = True
    """False: `state expire --daemon` drops old rows only, and moves nothing that is past expires_at."""
    maintenance_interval: Seconds = 5.0
    """Seconds between the daemon's looks at what is past expires_at."""
    cleanup_interval: Seconds = 300.0
    """Seconds between its rounds of dropping old transitions and inbox entries."""

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
class MachineOptions:
    """The state machine of another service, in `postgres.schema`."""

    table: str
    """The table of what moves."""
    history_table: str
    """The table of transitions."""
    initial: str
    """The state that a row is made in."""
    transitions: tuple[str, ...]
    """The table: each `FROM + EVENT -> TO`."""
    terminal: tuple[str, ...] = ()
    """States that no event leads out of."""
    success: tuple[str, ...] = ()
    """States where a row may rest for good, though events lead out."""
    expiry: str = "EXPIRE"
    """The event that moves what is past columns.expires_at, where there is such a column."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Columns of the table: key, state, reference, expires_at, created_at, updated_at; only key and state must be."""
    history_columns: Mapping[str, str] = field(default_factory=dict)
    """Columns of the history, where they are not named as those of bookings; "" says that there is none."""
    limits: Mapping[str, Seconds] = field(default_factory=dict)
    """State = seconds after which a row in it is stuck."""
    aggregate_type: str = ""
    """Aggregate type of its outbox events; empty: the machine's name in capitals."""
    announced: Mapping[str, str] = field(default_factory=dict)
    """State = event_type of the outbox event that is written when it is entered; {id, status, timestamp, reason}."""

    def machine(self, name: str) -> Machine:
        """The machine; ConfigError where its parts contradict each other."""
        return Machine(
            name=name,
            rules=tuple(_rule(name, text) for text in self.transitions),
            initial=self.initial,
            terminal=frozenset(self.terminal),
            success=frozenset(self.success),
            expiry=self.expiry,
            aggregate_type=self.aggregate_type or name.upper(),
            announced=self.announced,
        )

    @property
    def places(self) -> "Places":
        """Where its rows are; ConfigError where a column is named that there is none of."""
        nothing = {item.name: "" for item in fields(SubjectColumns)}
        named = {"key": "id", "state": "state"} | _known(self.columns, "columns", _DECLARED)
        every = [item.name for item in fields(HistoryColumns)]
        recorded = {"key": named["key"]} | _known(self.history_columns, "history_columns", every)
        return Places(
            table=self.table,
            history_table=self.history_table,
            columns=SubjectColumns(**(nothing | named)),
            history_columns=HistoryColumns(**recorded),
        )


_DECLARED = ("key", "state", "reference", "expires_at", "created_at", "updated_at")
_RULE = re.compile(r"\s*(\S(?:.*\S)?)\s*\+\s*(\S(?:.*\S)?)\s*->\s*(\S(?:.*\S)?)\s*")


def _rule(name: str, text: str) -> Rule:
    found = _RULE.fullmatch(text)
    if found is None:
        raise ConfigError(f"machines.{name}.transitions holds {text!r}", hint='write "FROM + EVENT -> TO"')
    return Rule(*found.groups())


def _known(given: Mapping[str, str], option: str, names: Sequence[str]) -> dict[str, str]:
    for name in given:
        if name not in names:
            raise ConfigError(f"{option} of a machine names {name}", why=f"there are {', '.join(names)}")
    return dict(given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where one machine's rows are, in `postgres.schema`; an empty table says that there is none."""

    table: str
    history_table: str
    columns: SubjectColumns
    history_columns: HistoryColumns
    seats_table: str = ""
    compensations_table: str = ""

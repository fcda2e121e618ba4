"""The transactional outbox."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from ticketops.domain.outbox import FailurePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxColumns:
    """Column names of the outbox table; an empty name says that the table has no such column."""

    id: str = "id"
    """uuid, the primary key."""
    aggregate_type: str = "aggregate_type"
    """Text; chooses the topic."""
    aggregate_id: str = "aggregate_id"
    """Text; the record key."""
    event_type: str = "event_type"
    """Text."""
    payload: str = "payload"
    """jsonb, json, text or bytea; the record value."""
    status: str = "status"
    """PENDING, PUBLISHED or FAILED; empty: a row that is there is pending, and is deleted when published."""
    created_at: str = "created_at"
    """timestamptz."""
    published_at: str = "published_at"
    """timestamptz."""
    retry_count: str = "retry_count"
    """Integer."""
    last_error: str = "last_error"
    """Text."""
    seq: str = "seq"
    """bigint that grows with every insert; used for the order where the table has it."""
    trace_parent: str = ""
    """Text, a W3C traceparent sent as a header; empty: none is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxOptions:
    """The transactional outbox: where its rows are, and where they go."""

    table: str = "outbox_events"
    """The table, in `postgres.schema`."""
    columns: OutboxColumns = field(default_factory=OutboxColumns)
    """Column names."""
    topics: Mapping[str, str] = field(
        default_factory=lambda: {
            "BOOKING": "booking-events",
            "PAYMENT": "payment-events",
            "TICKET": "ticket-events",
        }
    )
    """Aggregate type = topic. `"*"` names the topic of every other type; `{type}` in it is the type in lower case."""
    on_failure: FailurePolicy = FailurePolicy.DEAD_LETTER
    """After the last attempt: `block`, `dead_letter` or `park`."""
    on_failure_by_topic: Mapping[str, FailurePolicy] = field(default_factory=dict)
    """Topic = policy, where it differs."""
    no_headers: tuple[str, ...] = ()
    """Topics whose records carry no headers, as today's processor writes them."""
    trace_field: str = ""
    """The payload's own field with a W3C traceparent, where `columns.trace_parent` is empty; empty: there is none."""
    on_published: Literal["mark", "delete"] = "mark"
    """`mark` sets PUBLISHED and published_at; `delete` removes the row."""
    retention_days: Annotated[float, Meta(ge=0)] = 7.0
    """Days that PUBLISHED rows are kept; 0 keeps them for ever."""

"""The tables of the booking, worker and email services, as TicketOps creates them where there are none.

Columns, defaults, checks and indexes are the services' own; see the wire contract.
"""

from collections.abc import Sequence

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from ticketops.backends.postgres.schema_outbox import outbox_table
from ticketops.options import OutboxOptions

BOOKING_STATES = (
    "PENDING",
    "RESERVING",
    "SEATS_RESERVED",
    "PAYMENT_PENDING",
    "PAYMENT_PROCESSING",
    "PAYMENT_FAILED",
    "CONFIRMED",
    "CANCELLED",
    "FAILED",
    "EXPIRED",
    "AWAITING_PAYMENT",
    "PROCESSING_PAYMENT",
)
"""Every state that booking_state_transitions accepts; the last two are kept for old rows."""


def services_tables(schema: str, outbox: OutboxOptions) -> MetaData:
    """Every table of the services, in `schema`; the outbox under its configured names."""
    metadata = MetaData(schema=schema)
    outbox_table(metadata, outbox)
    _bookings(metadata)
    _booking_state_transitions(metadata)
    _failed_compensations(metadata)
    _email_jobs(metadata)
    return metadata


def create_statements(tables: Sequence[Table]) -> tuple[str, ...]:
    """The DDL that creates tables and their indexes, complete and without parameters."""
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # not annotated by SQLAlchemy
    ddl: list[ExecutableDDLElement] = []
    for table in tables:
        ddl += [CreateTable(table), *(CreateIndex(index) for index in _indexes(table))]
    return tuple(str(element.compile(dialect=dialect)).strip() for element in ddl)


def _indexes(table: Table) -> list[Index]:
    return sorted(table.indexes, key=lambda index: str(index.name))


def _created() -> Column[object]:
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()"))


def _updated() -> Column[object]:
    return Column("updated_at", DateTime(timezone=True), nullable=False, server_default=text("now()"))


def _time(name: str, *, nullable: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _text(name: str, length: int, default: str | None = None, *, nullable: bool = False) -> Column[str]:
    shown = None if default is None else text(f"'{default}'")
    return Column(name, String(length), nullable=nullable, server_default=shown)


def _bookings(metadata: MetaData) -> None:
    bookings = Table(
        "bookings",
        metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=True),
        Column("booking_id", Uuid, nullable=False, unique=True),
        Column("booking_reference", String(50), nullable=False, unique=True),
        _text("user_id", 36),
        _text("event_id", 36),
        Column("idempotency_key", String(64), unique=True),
        _text("status", 20, "PENDING"),
        _text("payment_status", 20, "NOT_REQUIRED"),
        _text("payment_reference", 100, nullable=True),
        Column("total_amount", Numeric(12, 2), nullable=False),
        _text("currency", 3, "USD"),
        Column("seat_count", Integer, nullable=False),
        _time("expires_at", nullable=False),
        _time("confirmed_at"),
        _time("cancelled_at"),
        Column("cancellation_reason", Text),
        _created(),
        _updated(),
    )
    Table(
        "booking_seats",
        metadata,
        Column("booking_id", BigInteger, ForeignKey(bookings.c.id, ondelete="CASCADE")),
        Column("seat_number", String(32)),
    )


def _booking_state_transitions(metadata: MetaData) -> None:
    states = ", ".join(f"'{state}'" for state in BOOKING_STATES)
    Table(
        "booking_state_transitions",
        metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=True),
        Column("transition_id", Uuid, nullable=False, unique=True),
        Column("booking_id", Uuid, nullable=False, index=True),
        _text("from_state", 30),
        _text("to_state", 30),
        _text("event", 50, nullable=True),
        _text("triggered_by", 100, nullable=True),
        _text("reason", 500, nullable=True),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()"), index=True),
        CheckConstraint(f"from_state IN ({states})", name="booking_state_transitions_from_state_check"),
        CheckConstraint(f"to_state IN ({states})", name="booking_state_transitions_to_state_check"),
        Index("ix_booking_state_transitions_to_state", "to_state"),
    )


def _failed_compensations(metadata: MetaData) -> None:
    Table(
        "failed_compensations",
        metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=True),
        Column("compensation_id", Uuid, nullable=False, unique=True),
        Column("booking_id", BigInteger, nullable=False),
        _text("booking_reference", 50),
        _text("compensation_type", 30),
        _text("status", 20, "PENDING"),
        _text("reference_id", 100, nullable=True),
        _text("error_message", 1000, nullable=True),
        Column("retry_count", Integer, nullable=False, server_default=text("0")),
        Column("max_retries", Integer, nullable=False, server_default=text("5")),
        _time("next_retry_at"),
        _time("last_retry_at"),
        Column("payload", Text),
        _created(),
        _updated(),
    )


def _email_jobs(metadata: MetaData) -> None:
    Table(
        "email_jobs",
        metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=True),
        Column("public_id", Uuid, nullable=False, unique=True, server_default=text("gen_random_uuid()")),
        Column("to_emails", ARRAY(Text), nullable=False),
        Column("cc_emails", ARRAY(Text)),
        Column("bcc_emails", ARRAY(Text)),
        _text("template_name", 255),
        Column("variables", postgresql.JSONB),
        _text("status", 20, "pending"),
        Column("priority", Integer, nullable=False, server_default=text("2")),
        Column("retry_count", Integer, nullable=False, server_default=text("0")),
        Column("max_retries", Integer, nullable=False, server_default=text("3")),
        Column("error_message", Text),
        _time("processed_at"),
        _time("sent_at"),
        _created(),
        _updated(),
    )

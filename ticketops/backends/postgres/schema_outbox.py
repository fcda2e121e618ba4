"""The outbox table under its configured names, and TicketOps' own tables that go with it."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeEngine

from ticketops.backends.postgres.naming import with_suffix
from ticketops.domain.outbox import MAX_AGGREGATE_ID, MAX_TYPE, Status
from ticketops.options import OutboxColumns, OutboxOptions


def outbox_table(metadata: MetaData, options: OutboxOptions, *, with_seq: bool = False) -> Table:
    """The outbox; columns are reached by what they mean (`table.c.status`), whatever their names are.

    `with_seq`: the table has the seq column, which is added by statements of its own, not by CREATE TABLE.
    """
    table = Table(options.table, metadata, *_columns(options.columns, with_seq=with_seq))
    _add_constraints(table)
    return table


def _columns(names: OutboxColumns, *, with_seq: bool) -> Iterator[Column[Any]]:
    yield Column(names.id, Uuid, key="id", primary_key=True, server_default=text("gen_random_uuid()"))
    yield _needed(names.aggregate_type, "aggregate_type", String(MAX_TYPE))
    yield _needed(names.aggregate_id, "aggregate_id", String(MAX_AGGREGATE_ID))
    yield _needed(names.event_type, "event_type", String(MAX_TYPE))
    yield _needed(names.payload, "payload", JSONB())
    optional = (
        _needed(names.status, "status", String(20), "'PENDING'"),
        _needed(names.created_at, "created_at", DateTime(timezone=True), "now()"),
        Column(names.published_at, DateTime(timezone=True), key="published_at"),
        _needed(names.retry_count, "retry_count", Integer(), "0"),
        Column(names.last_error, Text, key="last_error"),
        Column(names.seq if with_seq else "", BigInteger, key="seq"),
        Column(names.trace_parent, Text, key="trace_parent"),
    )
    yield from (column for column in optional if column.name)


def _needed(name: str, key: str, kind: TypeEngine[Any], default: str = "") -> Column[Any]:
    return Column(name, kind, key=key, nullable=False, server_default=text(default) if default else None)


def _add_constraints(table: Table) -> None:
    """The check and the three indexes of the booking service's table, as far as the columns are there."""
    columns = table.c
    Index(with_suffix(table.name, "_aggregate"), columns.aggregate_type, columns.aggregate_id)
    if "status" not in columns:
        return
    check = CheckConstraint(columns.status.in_(list(Status)), name=with_suffix(table.name, "_status_check"))
    table.append_constraint(check)
    for status, time in ((Status.PENDING, "created_at"), (Status.PUBLISHED, "published_at")):
        if time in columns:
            name = with_suffix(table.name, f"_{status.lower()}")
            Index(name, columns.status, columns[time], postgresql_where=columns.status == status.value)


def failures_table(metadata: MetaData) -> Table:
    """Events that are held back or dead letters; one row per event."""
    return Table(
        "outbox_failures",
        metadata,
        Column("scope", Text, primary_key=True),
        Column("event_id", Uuid, primary_key=True),
        Column("aggregate_type", Text, nullable=False),
        Column("aggregate_id", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("retry_at", DateTime(timezone=True)),
        Column("error", Text, nullable=False),
        Column("first_failed_at", DateTime(timezone=True), nullable=False),
        Column("last_failed_at", DateTime(timezone=True), nullable=False),
    )


def batches_table(metadata: MetaData) -> Table:
    """What each shard's owner has in flight."""
    return Table(
        "relay_batches",
        metadata,
        Column("scope", Text, primary_key=True),
        Column("shard", Integer, primary_key=True),
        Column("event_ids", ARRAY(Uuid)),
        Column("inflight_since", DateTime(timezone=True)),
    )


def leases_table(metadata: MetaData) -> Table:
    """Who owns which shard."""
    return Table(
        "leases",
        metadata,
        Column("scope", Text, primary_key=True),
        Column("slot", Integer, primary_key=True),
        Column("owner", Text),
        Column("expires_at", DateTime(timezone=True)),
    )


def changes_table(metadata: MetaData) -> Table:
    """A counter that operators' changes raise, so that relays read again from the start."""
    return Table(
        "outbox_changes",
        metadata,
        Column("scope", Text, primary_key=True),
        Column("generation", BigInteger, nullable=False),
    )


def audit_table(metadata: MetaData) -> Table:
    """Who changed what, when and why."""
    return Table(
        "audit",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("at", DateTime(timezone=True), server_default=text("now()")),
        Column("actor", Text, nullable=False),
        Column("action", Text, nullable=False),
        Column("target", Text, nullable=False),
        Column("details", JSONB, nullable=False),
        Column("reason", Text, nullable=False),
        Column("result", Text, nullable=False),
    )

"""The tables: operations with items and results, holds, the archive, edits, the audit log.

On PostgreSQL `ticketops db upgrade` makes them (migrations 0002 and 0007; the audit log: 0001), in a file `create_all`
does, and what `sqlite.py` has for files that are older.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from ticketops.backends.store.alert_tables import AlertTables, alert_tables
from ticketops.backends.store.columns import AnyText, Json, Moment
from ticketops.backends.store.ledger_tables import LedgerTables, ledger_tables

FILE_VERSION = 2
"""Of the tables in a file; to be raised with every change to them."""

_Big = BigInteger().with_variant(Integer(), "sqlite")


@dataclass(frozen=True, slots=True)
class Tables:
    """Every table, in one schema or in none."""

    metadata: MetaData
    operations: Table
    items: Table
    results: Table
    holds: Table
    archive: Table
    edits: Table
    audit: Table
    ledger: LedgerTables
    alerts: AlertTables


def tables(schema: str | None) -> Tables:
    """The tables in `schema`; None: in a file."""
    metadata = MetaData(schema=schema)
    return Tables(
        metadata=metadata,
        operations=_operations(metadata),
        items=_items(metadata),
        results=_results(metadata),
        holds=_holds(metadata),
        archive=_archive(metadata),
        edits=_edits(metadata),
        audit=_audit(metadata),
        ledger=ledger_tables(metadata),
        alerts=alert_tables(metadata),
    )


def _needed(name: str, kind: TypeEngine[Any], default: str | None = None) -> Column[Any]:
    return Column(name, kind, nullable=False, server_default=None if default is None else text(default))


def _operations(metadata: MetaData) -> Table:
    return Table(
        "operations",
        metadata,
        Column("seq", _Big, Identity(always=True), primary_key=True),
        Column("id", Uuid, nullable=False, unique=True),
        _needed("verb", Text()),
        _needed("queues", Json()),
        _needed("actor", AnyText()),
        _needed("reason", AnyText()),
        _needed("selector", Json()),
        _needed("cutoff", Moment()),
        _needed("settings", Json()),
        _needed("context", AnyText()),
        _needed("created_at", Moment()),
        Column("ended_at", Moment),
        _needed("state", Text()),
        _needed("total", BigInteger(), "0"),
        _needed("counts", Json(), "'{}'"),
        _needed("note", AnyText(), "''"),
        _needed("runner", AnyText(), "''"),
        Column("runner_until", Moment),
        _needed("runner_ttl", Double(), "0"),
        _needed("cancel_asked", Boolean(), "false"),
        _needed("first_open", BigInteger(), "1"),
        _needed("items_kept", Boolean(), "true"),
    )


def _items(metadata: MetaData) -> Table:
    """Written once, when the operation is stored; `origin` is null where it is the item's id."""
    table = Table(
        "operation_items",
        metadata,
        Column("operation", BigInteger, primary_key=True, autoincrement=False),
        Column("number", BigInteger, primary_key=True, autoincrement=False),
        _needed("queue", AnyText()),
        _needed("item", AnyText()),
        _needed("digest", AnyText()),
        Column("origin", AnyText),
        _needed("key", AnyText()),
        _needed("item_key", LargeBinary()),
        Column("origin_key", LargeBinary),
        sqlite_with_rowid=False,
    )
    Index("operation_items_item", table.c.item_key)
    given = table.c.origin_key.is_not(None)
    Index("operation_items_origin", table.c.origin_key, postgresql_where=given, sqlite_where=given)
    return table


def _results(metadata: MetaData) -> Table:
    """Only ever added to, so that a million results cost no dead rows; one is of `span` items, from `number` on."""
    return Table(
        "operation_results",
        metadata,
        Column("operation", BigInteger, primary_key=True, autoincrement=False),
        Column("number", BigInteger, primary_key=True, autoincrement=False),
        _needed("outcome", Text()),
        _needed("detail", AnyText()),
        _needed("at", Moment()),
        _needed("span", BigInteger(), "1"),
        sqlite_with_rowid=False,
    )


def _holds(metadata: MetaData) -> Table:
    return Table(
        "holds",
        metadata,
        Column("item_key", LargeBinary, primary_key=True),
        _needed("queue", AnyText()),
        _needed("item", AnyText()),
        _needed("note", AnyText()),
        _needed("actor", AnyText()),
        _needed("at", Moment()),
    )


def _archive(metadata: MetaData) -> Table:
    table = Table(
        "archive",
        metadata,
        Column("seq", _Big, Identity(always=True), primary_key=True),
        _needed("item_key", LargeBinary()),
        _needed("operation", Uuid()),
        _needed("queue", AnyText()),
        _needed("item", AnyText()),
        _needed("actor", AnyText()),
        _needed("reason", AnyText()),
        _needed("at", Moment()),
        _needed("settled", Boolean(), "false"),
        _needed("letter", LargeBinary()),
    )
    Index("archive_item", table.c.item_key, table.c.operation, unique=True)
    Index("archive_queue", table.c.queue, table.c.seq)
    return table


def _edits(metadata: MetaData) -> Table:
    table = Table(
        "edits",
        metadata,
        Column("seq", _Big, Identity(always=True), primary_key=True),
        _needed("item_key", LargeBinary()),
        _needed("operation", Uuid()),
        _needed("queue", AnyText()),
        _needed("item", AnyText()),
        _needed("actor", AnyText()),
        _needed("reason", AnyText()),
        _needed("at", Moment()),
        _needed("before", LargeBinary()),
        _needed("after", LargeBinary()),
    )
    Index("edits_item", table.c.item_key, table.c.operation, unique=True)
    return table


def _audit(metadata: MetaData) -> Table:
    """Other parts write here too, each in a transaction of its own change."""
    table = Table(
        "audit",
        metadata,
        Column("id", _Big, Identity(always=True), primary_key=True),
        Column("at", Moment, nullable=False, server_default=func.now()),
        _needed("actor", Text()),
        _needed("action", Text()),
        _needed("target", Text()),
        Column("details", JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        _needed("reason", Text(), "''"),
        _needed("result", Text(), "''"),
        Column("operation", Uuid),
    )
    Index("audit_at", table.c.at)
    Index("audit_target", table.c.target, postgresql_using="hash")
    return table

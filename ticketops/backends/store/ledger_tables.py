"""The tables of the ledger: dead-letter topics, how far each is indexed, and their records.

On PostgreSQL they are made by `ticketops db upgrade` (migration 0003), in a file by `create_all`.
"""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, LargeBinary, MetaData, Table, Text, Uuid, text

from ticketops.backends.store.columns import AnyText, Moment

_Big = BigInteger().with_variant(Integer(), "sqlite")
OPEN_ONES = text("state IN ('open', 'claimed')")


@dataclass(frozen=True, slots=True)
class LedgerTables:
    """Every table of the ledger."""

    logs: Table
    positions: Table
    records: Table


def ledger_tables(metadata: MetaData) -> LedgerTables:
    """The tables in the schema of `metadata`."""
    return LedgerTables(logs=_logs(metadata), positions=_positions(metadata), records=_records(metadata))


def _logs(metadata: MetaData) -> Table:
    table = Table(
        "ledger_logs",
        metadata,
        Column("id", _Big, Identity(always=True), primary_key=True),
        Column("cluster", AnyText, nullable=False),
        Column("topic", AnyText, nullable=False),
        Column("incarnation", AnyText, nullable=False, server_default=text("''")),
    )
    Index("ledger_logs_name", table.c.cluster, table.c.topic, unique=True)
    return table


def _positions(metadata: MetaData) -> Table:
    return Table(
        "ledger_positions",
        metadata,
        Column("log", BigInteger, primary_key=True, autoincrement=False),
        Column("partition", BigInteger, primary_key=True, autoincrement=False),
        Column("next", BigInteger, nullable=False),
    )


def _records(metadata: MetaData) -> Table:
    """Only columns of types that COPY is told of: rows come by the million."""
    table = Table(
        "ledger_records",
        metadata,
        Column("log", BigInteger, primary_key=True, autoincrement=False),
        Column("partition", BigInteger, primary_key=True, autoincrement=False),
        Column("offset", BigInteger, primary_key=True, autoincrement=False),
        Column("failed_at", Moment),
        Column("key", AnyText, nullable=False),
        Column("reason", AnyText, nullable=False),
        Column("error_class", AnyText, nullable=False),
        Column("message", AnyText, nullable=False),
        Column("outline", AnyText, nullable=False),
        Column("family", Text, nullable=False),
        Column("origin", AnyText, nullable=False),
        Column("destination", AnyText, nullable=False),
        Column("consumer_group", AnyText, nullable=False),
        Column("attempts", BigInteger),
        Column("requeues", BigInteger, nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("digest", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("operation", Uuid),
        Column("actor", AnyText, nullable=False),
        Column("changed_at", Moment),
        Column("bounds", Text, nullable=False),
        Column("sent_to", AnyText, nullable=False),
        Column("payload", LargeBinary),
        Column("edit", Uuid),
        Column("edited_digest", Text, nullable=False),
    )
    own = table.c
    Index(
        "ledger_records_unsettled",
        own.log,
        own.partition,
        own.offset,
        postgresql_where=OPEN_ONES,
        sqlite_where=OPEN_ONES,
    )
    sent = text("sent_to <> ''")
    Index("ledger_records_sent", own.sent_to, postgresql_where=sent, sqlite_where=sent)
    return table

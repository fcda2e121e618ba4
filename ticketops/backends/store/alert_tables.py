"""The tables of alerts.

On PostgreSQL `ticketops db upgrade` makes them (migration 0006), in a file `create_all` does.
"""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Boolean, Column, Identity, Index, Integer, MetaData, Table, Text, text

from ticketops.backends.store.columns import AnyText, Json, Moment

_Big = BigInteger().with_variant(Integer(), "sqlite")


@dataclass(frozen=True, slots=True)
class AlertTables:
    """Every table of alerts."""

    alerts: Table
    silences: Table
    messages: Table
    evaluator: Table


def alert_tables(metadata: MetaData) -> AlertTables:
    """The tables in the schema of `metadata`."""
    return AlertTables(_alerts(metadata), _silences(metadata), _messages(metadata), _evaluator(metadata))


def _alerts(metadata: MetaData) -> Table:
    return Table(
        "alerts",
        metadata,
        Column("rule", AnyText, primary_key=True),
        Column("subject", AnyText, primary_key=True),
        Column("phase", Text, nullable=False),
        Column("since", Moment, nullable=False),
        Column("fired_at", Moment),
        Column("resolved_at", Moment),
        Column("told_at", Moment),
        Column("seen_at", Moment, nullable=False),
        Column("message", AnyText, nullable=False),
    )


def _silences(metadata: MetaData) -> Table:
    return Table(
        "alert_silences",
        metadata,
        Column("id", _Big, Identity(always=True), primary_key=True),
        Column("rule", AnyText, nullable=False),
        Column("subject", AnyText, nullable=False),
        Column("until", Moment, nullable=False),
        Column("by", AnyText, nullable=False),
        Column("reason", AnyText, nullable=False),
        Column("at", Moment, nullable=False),
    )


def _messages(metadata: MetaData) -> Table:
    table = Table(
        "alert_messages",
        metadata,
        Column("id", _Big, Identity(always=True), primary_key=True),
        Column("target", AnyText, nullable=False),
        Column("notice", Text, nullable=False),
        Column("rule", AnyText, nullable=False),
        Column("subject", AnyText, nullable=False),
        Column("severity", Text, nullable=False),
        Column("text", AnyText, nullable=False),
        Column("labels", Json, nullable=False),
        Column("at", Moment, nullable=False),
        Column("since", Moment, nullable=False),
        Column("attempts", BigInteger, nullable=False, server_default=text("0")),
        Column("due", Moment, nullable=False),
        Column("error", AnyText, nullable=False, server_default=text("''")),
        Column("delivered_at", Moment),
        Column("given_up", Boolean, nullable=False, server_default=text("false")),
    )
    waits = text("delivered_at IS NULL AND NOT given_up")
    Index("alert_messages_waiting", table.c.due, postgresql_where=waits, sqlite_where=waits)
    return table


def _evaluator(metadata: MetaData) -> Table:
    """One row: who evaluates, and when it was done last."""
    return Table(
        "alert_evaluator",
        metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("owner", AnyText, nullable=False),
        Column("until", Moment, nullable=False),
        Column("evaluated_at", Moment),
    )

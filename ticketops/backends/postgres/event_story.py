"""What `trace` reads of the outbox, and whether anything was done to its items: plain statements that load little."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg import sql

from ticketops.backends.postgres.layout import Layout, inspect
from ticketops.backends.postgres.reader import Reader
from ticketops.domain.drafts import storable
from ticketops.domain.operations import item_target, key_of
from ticketops.domain.outbox import EventRow, FailureState, Status
from ticketops.options import OutboxOptions, PostgresOptions

_EVENTS: Final[LiteralString] = """
SELECT {id}, {aggregate_type}::text, {aggregate_id}::text, {event_type}::text, {payload}, {status}::text,
       {created_at}::timestamptz, {published_at}::timestamptz, {retry_count}, {last_error}::text, {seq}::bigint,
       f.state, f.retry_at
FROM {table} o LEFT JOIN {failures} f ON f.scope = {scope} AND f.event_id = {id}
WHERE {which} ORDER BY {seq}::bigint NULLS FIRST, {created_at}::timestamptz, {id} LIMIT %(limit)s"""
_FINAL: Final[LiteralString] = "CASE WHEN f.state IN ('dead', 'parked') THEN 'FAILED' ELSE 'PENDING' END"
_TOUCHED: Final[LiteralString] = """
SELECT EXISTS (SELECT 1 FROM {own}.operation_items WHERE item_key = ANY(%(keys)s::bytea[]))
    OR EXISTS (SELECT 1 FROM {own}.operation_items WHERE origin_key = ANY(%(keys)s::bytea[]))
    OR EXISTS (SELECT 1 FROM {own}.audit WHERE target = ANY(%(targets)s::text[]))"""


class PostgresEventStory:
    """Implements ports.trace.EventStory."""

    def __init__(self, postgres: PostgresOptions, outbox: OutboxOptions, shards: int, timeout: float) -> None:
        """`timeout` in seconds for connecting and for each answer."""
        self._reader = Reader(postgres, timeout)
        self._postgres, self._outbox, self._shards = postgres, outbox, shards

    def event(self, event_id: UUID) -> EventRow | None:
        """See ports.trace.EventStory."""
        return next(iter(self._found("{id} = %(id)s", {"id": event_id, "limit": 1})), None)

    def of_keys(self, types: Sequence[str], keys: Sequence[str], limit: int) -> list[EventRow]:
        """See ports.trace.EventStory."""
        known = [key for key in keys if key == storable(key)]
        values = {"types": list(types), "keys": known, "limit": limit}
        of_type: LiteralString = "{aggregate_type} = ANY(%(types)s::text[]) AND " if types else ""
        return self._found(of_type + "{aggregate_id} = ANY(%(keys)s::text[])", values) if known else []

    def close(self) -> None:
        """See ports.trace.EventStory."""
        self._reader.close()

    def _found(self, which: LiteralString, values: dict[str, object]) -> list[EventRow]:
        parts = _parts(self._layout)
        statement = sql.SQL(_EVENTS).format(**parts, which=sql.SQL(which).format(**parts))
        return [_event(row) for row in self._reader.rows(statement, values)]

    @cached_property
    def _layout(self) -> Layout:
        with self._reader.reading() as connection:
            return inspect(connection, self._postgres, self._outbox, self._shards)


def _parts(layout: Layout) -> dict[str, sql.Composable]:
    """What stands for each column; NULL, or what is known of failures, for one that the table lacks."""
    instead: dict[str, LiteralString] = {"status": _FINAL, "retry_count": "coalesce(f.attempts, 0)"}
    names = ("id", "aggregate_type", "aggregate_id", "event_type", "status", "created_at", "published_at", "seq")
    columns: dict[str, sql.Composable] = {
        name: layout.column(name) if layout.has(name) else sql.SQL(instead.get(name, "NULL"))
        for name in (*names, "retry_count", "last_error")
    }
    columns["last_error"] = sql.SQL("coalesce({}, f.error)").format(columns["last_error"])
    return {
        **columns,
        "payload": layout.payload_bytes,
        "table": layout.table,
        "failures": layout.own("outbox_failures"),
        "scope": sql.Literal(layout.scope),
    }


def _event(row: tuple[Any, ...]) -> EventRow:
    payload: bytes | None = row[4]
    return EventRow(
        id=row[0], aggregate_type=row[1], aggregate_id=row[2], event_type=row[3],
        payload=None if payload is None else bytes(payload).decode(errors="replace"),
        status=Status(row[5]), created_at=row[6], published_at=row[7], retry_count=row[8], last_error=row[9],
        seq=row[10], failure=FailureState(row[11]) if row[11] else None, retry_at=row[12],
    )  # fmt: skip


class PostgresOperationGlance:
    """Implements ports.trace.OperationGlance."""

    def __init__(self, postgres: PostgresOptions, timeout: float, *, missing: str) -> None:
        """`missing`: the hint where the tables are."""
        self._reader = Reader(postgres, timeout, missing=missing)
        self._statement = sql.SQL(_TOUCHED).format(own=sql.Identifier(postgres.own_schema))

    def untouched(self, items: Sequence[tuple[str, str, str]]) -> bool:
        """See ports.trace.OperationGlance."""
        named = {(queue, one) for queue, item, origin in items for one in (item, origin)}
        values = {
            "keys": [key_of(queue, one) for queue, one in named],
            "targets": [storable(item_target(queue, one)) for queue, one in named],
        }
        return not self._reader.rows(self._statement, values)[0][0]

    def close(self) -> None:
        """See ports.trace.OperationGlance."""
        self._reader.close()

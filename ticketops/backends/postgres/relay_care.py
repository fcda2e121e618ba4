"""What the leader of an outbox does now and then, and what every relay looks at: backlog, cleanup, adoption."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString
from uuid import UUID

from psycopg import Connection, sql

from ticketops.backends.postgres import layout as layouts
from ticketops.backends.postgres.backlog import NO_DEAD_LETTER, BacklogQueries
from ticketops.backends.postgres.layout import Layout
from ticketops.backends.postgres.relay_marks import PROCESSOR_ATTEMPTS
from ticketops.backends.postgres.session import Session
from ticketops.domain.outbox import Backlog
from ticketops.errors import StatementCancelled
from ticketops.options import OutboxOptions, PostgresOptions

_COUNT_COST = 100.0
"""Counting dead letters reads the whole table: it rests this many times as long as it took, at least a minute."""

_BOUND = 0.3
"""The part of postgres.answer_timeout that a statement gets which may have to read the whole table.

The server ends it then: what this process gives up goes on there.
"""

_DEAD_ROWS: LiteralString = "SELECT count(*) FROM {table} o WHERE {status} = 'FAILED' AND {retry_count} >= %(max)s"
_DEAD_FAILURES: LiteralString = """
SELECT count(*) FROM {failures} WHERE scope = %(scope)s AND state IN ('dead', 'parked')
"""
_DELETE: LiteralString = """
DELETE FROM {table} o WHERE {id} IN (
    SELECT {id} FROM {table} o
    WHERE {status} = 'PUBLISHED' AND {published_at} < now() - make_interval(secs => %(age)s)
      AND NOT EXISTS (SELECT 1 FROM {batches} b WHERE b.scope = %(scope)s AND {id} = ANY(b.event_ids))
    ORDER BY {published_at} LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
"""
_FAILED: LiteralString = """
SELECT {id}, {retry_count} FROM {table} o
WHERE {status} = 'FAILED' AND {retry_count} < %(max)s
  AND NOT EXISTS (SELECT 1 FROM {failures} f WHERE f.scope = %(scope)s AND f.event_id = {id})
LIMIT %(limit)s
"""
_ADOPT: LiteralString = """
UPDATE {table} o SET {set_status} = 'PENDING' FROM unnest(%(ids)s::uuid[], %(counts)s::int[]) AS seen (id, retries)
WHERE {id} = seen.id AND {retry_count} = seen.retries AND {status} = 'FAILED'
  AND {id} IN (SELECT {id} FROM {table} o WHERE {id} = ANY(%(ids)s::uuid[]) FOR UPDATE SKIP LOCKED)
"""
# The guard is evaluated once: without it every round would read all that is pending.
_PARK: LiteralString = """
INSERT INTO {failures} (scope, event_id, aggregate_type, aggregate_id, state, attempts, error)
SELECT %(scope)s, {id}, {aggregate_type}, {aggregate_id}, 'parked', 0, 'parked behind ' || p.event_id
FROM {table} o CROSS JOIN LATERAL (
    SELECT event_id FROM {failures} p
    WHERE p.scope = %(scope)s AND p.state = 'parked'
      AND p.aggregate_type = {aggregate_type} AND p.aggregate_id = {aggregate_id}
    ORDER BY p.first_failed_at LIMIT 1) p
WHERE EXISTS (SELECT 1 FROM {failures} g WHERE g.scope = %(scope)s AND g.state = 'parked')
  AND {pending} AND {unparked}
ORDER BY {order} LIMIT %(limit)s
ON CONFLICT (scope, event_id) DO UPDATE SET state = excluded.state, retry_at = NULL, error = excluded.error
"""
_PARK_ROWS: LiteralString = """
UPDATE {table} o SET {set_status} = 'FAILED', {set_retry_count} = %(max)s, {set_last_error} = {parked_error}
FROM {failures} f
WHERE f.scope = %(scope)s AND f.state = 'parked' AND {id} = f.event_id AND {id} IN (
    SELECT {id} FROM {table} o JOIN {failures} p ON p.scope = %(scope)s AND p.state = 'parked' AND p.event_id = {id}
    WHERE {pending} FOR UPDATE OF o SKIP LOCKED)
"""
_FORGET: LiteralString = """
DELETE FROM {failures} f WHERE f.scope = %(scope)s AND NOT EXISTS (
    SELECT 1 FROM {table} o WHERE {id} = f.event_id AND (f.state IN ('dead', 'parked') OR {pending}))
"""


class PostgresOutboxCare:
    """Implements ports.OutboxCare; one instance for one thread."""

    def __init__(
        self,
        postgres: PostgresOptions,
        outbox: OutboxOptions,
        *,
        shards: int,
        max_attempts: int,
        application: str,
    ) -> None:
        self._options = (postgres, outbox, shards)
        self._max_attempts = max_attempts
        self._session = Session(postgres, application)
        self._known: Layout | None = None
        self._dead = 0
        self._count_dead_at = 0.0

    @property
    def _layout(self) -> Layout:
        if self._known is None:
            with self._session.use() as connection:
                self._known = layouts.inspect(connection, *self._options)
        return self._known

    def backlog(self) -> Backlog:
        """See ports.OutboxCare."""
        layout = self._layout
        with self._bounded() as connection:
            pending, oldest, held_back = BacklogQueries(layout).waiting(connection)
        return Backlog(pending=pending, oldest_seconds=oldest, held_back=held_back, dead=self._count_dead())

    def _count_dead(self) -> int:
        started = time.monotonic()
        if started >= self._count_dead_at:
            self._dead = self._dead_rows()
            took = time.monotonic() - started
            self._count_dead_at = started + max(60.0, took * _COUNT_COST)
        return self._dead

    def _dead_rows(self) -> int:
        """FAILED rows past their attempts; where the table is too large to look through, the relay's own alone."""
        try:
            with self._bounded() as connection:
                by_rows = self._layout.has("status") and self._layout.has("retry_count")
                return int(self._scalar(connection, _DEAD_ROWS if by_rows else _DEAD_FAILURES) or 0)
        except StatementCancelled:
            with self._session.use() as connection:
                return int(self._scalar(connection, _DEAD_FAILURES) or 0)

    def delete_published(self, older_than: float, limit: int) -> int:
        """See ports.OutboxCare."""
        if not (self._layout.has("status") and self._layout.has("published_at")):
            return 0
        return self._change(_DELETE, age=older_than, limit=limit)

    def failed(self, max_attempts: int, limit: int) -> dict[UUID, int]:
        """See ports.OutboxCare."""
        if not (self._layout.has("status") and self._layout.has("retry_count")):
            return {}
        with self._bounded() as connection:
            values = self._values(max=max_attempts, limit=limit)
            return dict(connection.execute(self._statement(_FAILED), values).fetchall())

    def adopt(self, rows: Mapping[UUID, int]) -> int:
        """See ports.OutboxCare."""
        return self._change(_ADOPT, ids=list(rows), counts=list(rows.values())) if rows else 0

    def tidy_failures(self, limit: int) -> int:
        """See ports.OutboxCare."""
        layout = self._layout
        with self._session.transaction() as connection:
            values = self._values(limit=limit, max=max(self._max_attempts, PROCESSOR_ATTEMPTS))
            changed = connection.execute(self._statement(_PARK), values).rowcount
            if layout.has("status") and layout.has("retry_count") and layout.has("last_error"):
                connection.execute(self._statement(_PARK_ROWS), values)
            return changed + connection.execute(self._statement(_FORGET), values).rowcount

    def close(self) -> None:
        """See ports.OutboxCare."""
        self._session.close()

    @contextmanager
    def _bounded(self) -> Iterator[Connection[tuple[Any, ...]]]:
        with self._session.transaction() as connection:
            milliseconds = max(round(self._options[0].answer_timeout * _BOUND * 1000), 1)
            connection.execute(f"SET LOCAL statement_timeout = {milliseconds}".encode())
            yield connection

    def _change(self, query: LiteralString, **values: Any) -> int:  # noqa: ANN401
        with self._session.transaction(durable=False) as connection:
            return connection.execute(self._statement(query), self._values(**values)).rowcount

    def _scalar(self, connection: Connection[tuple[Any, ...]], query: LiteralString) -> Any:  # noqa: ANN401
        row = connection.execute(self._statement(query), self._values(max=self._max_attempts)).fetchone()
        return row[0] if row else None

    def _values(self, **values: Any) -> dict[str, Any]:  # noqa: ANN401
        return {"scope": self._layout.scope, **values}

    def _statement(self, query: LiteralString) -> sql.Composed:
        layout = self._layout
        names = (
            "id",
            "aggregate_type",
            "aggregate_id",
            "status",
            "published_at",
            "retry_count",
        )
        columns = {name: layout.column(name) for name in names}
        targets = {f"set_{name}": layout.target(name) for name in ("status", "retry_count", "last_error")}
        failures = layout.own("outbox_failures")
        no_dead_letter = sql.SQL(NO_DEAD_LETTER).format(failures=failures, id=columns["id"])
        return sql.SQL(query).format(
            table=layout.table,
            failures=failures,
            batches=layout.own("relay_batches"),
            pending=layout.pending,
            unparked=no_dead_letter,
            order=layout.order,
            parked_error=layout.as_error(sql.SQL("f.error")),
            **columns,
            **targets,
        )

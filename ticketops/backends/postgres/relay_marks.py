"""What came of a batch, written to the outbox and to outbox_failures in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from psycopg import Connection, sql

from ticketops.backends.postgres.layout import Layout
from ticketops.backends.postgres.uuids import UuidArray
from ticketops.domain.outbox import FailureState
from ticketops.domain.relay import Failed

LOCK_TIMEOUT = "500ms"
"""How long marking waits for a row that somebody has locked, before it leaves that row for later."""
PROCESSOR_ATTEMPTS = 5
"""The booking service sets FAILED rows with fewer retries back to PENDING; a dead letter must not be among them."""
_ERROR_LENGTH = 2000
_LOCKED_AGAIN = 2.0
"""Seconds until an event whose row was locked when it was to become a dead letter is tried again."""

_REMEMBER = """
INSERT INTO {failures} AS f (scope, event_id, aggregate_type, aggregate_id, state, attempts, retry_at, error)
VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp() + make_interval(secs => %s), %s)
ON CONFLICT (scope, event_id) DO UPDATE
SET state = excluded.state, attempts = excluded.attempts, retry_at = excluded.retry_at, error = excluded.error,
    last_failed_at = clock_timestamp()
"""
_FINAL = frozenset({FailureState.DEAD, FailureState.PARKED})


class Marks:
    """The writing statements for one layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._mark = self._change(sql.SQL("{} = ANY(%s)").format(layout.column("id"))).as_bytes(None)

    def published(
        self, connection: Connection[tuple[Any, ...]], ids: Sequence[bytes], *, wait: bool
    ) -> frozenset[bytes]:
        """Mark or delete; answers ids left because their row is locked. LockTimeout where `wait` is true."""
        if not ids:
            return frozenset()
        array = UuidArray.of(ids)
        if wait:
            _bound_waits(connection)
            connection.execute(self._mark, (array,))
            return frozenset()
        connection.execute(self._change(self._unlocked()), (array,))
        left = sql.SQL("SELECT uuid_send({id}) FROM {table} o WHERE {id} = ANY(%s) AND {pending}").format(
            id=self._layout.column("id"), table=self._layout.table, pending=self._layout.pending
        )
        return frozenset(bytes(row[0]) for row in connection.execute(left, (array,), binary=True))

    def _unlocked(self) -> sql.Composed:
        query = sql.SQL(
            "{id} IN (SELECT {id} FROM {table} o WHERE {id} = ANY(%s) AND {pending} FOR UPDATE SKIP LOCKED)"
        )
        return query.format(id=self._layout.column("id"), table=self._layout.table, pending=self._layout.pending)

    def _change(self, which: sql.Composable) -> sql.Composed:
        layout = self._layout
        if layout.outbox.on_published == "delete" or not layout.has("status"):
            query = sql.SQL("DELETE FROM {table} o WHERE {which} AND {pending}")
        else:
            query = sql.SQL("UPDATE {table} o SET {changes} WHERE {which} AND {pending}")
        changes: list[sql.Composable] = [sql.SQL("{} = 'PUBLISHED'").format(layout.target("status"))]
        if layout.has("published_at"):
            changes.append(sql.SQL("{} = now()").format(layout.target("published_at")))
        return query.format(
            table=layout.table, which=which, pending=layout.pending, changes=sql.SQL(", ").join(changes)
        )

    def forget(self, connection: Connection[tuple[Any, ...]], ids: Sequence[bytes]) -> None:
        """Events that had failed before are published: their failures are over."""
        if ids:
            query = sql.SQL("DELETE FROM {} WHERE scope = %s AND event_id = ANY(%s)")
            statement = query.format(self._layout.own("outbox_failures"))
            connection.execute(statement, (self._layout.scope, UuidArray.of(ids)))

    def failed(self, connection: Connection[tuple[Any, ...]], failed: Sequence[Failed], *, wait: bool) -> None:
        """Remember attempts that failed, and what follows from them. LockTimeout where `wait` is true.

        With `wait` false a dead letter whose row is locked counts as not tried, until it is tried again.
        """
        if not failed:
            return
        writable = list(failed)
        if wait:
            _bound_waits(connection)
        else:
            free = self._lock_free(connection, [f.event.id for f in failed])
            writable = [f for f in failed if f.event.id in free]
            failed = [f if f.event.id in free or not self._ends(f) else _postponed(f) for f in failed]
        remember = sql.SQL(_REMEMBER).format(failures=self._layout.own("outbox_failures"))
        with connection.cursor() as cursor:
            cursor.executemany(remember, [self._failure(f) for f in failed])
            for final in (True, False):
                rows = [f for f in writable if (f.state in _FINAL) is final]
                if rows and (statement := self._row_change(final=final)) is not None:
                    cursor.executemany(statement, [_row_values(f, final=final) for f in rows])

    def _lock_free(self, connection: Connection[tuple[Any, ...]], ids: Sequence[bytes]) -> frozenset[bytes]:
        """Lock those rows that nobody else has locked."""
        query = sql.SQL(
            "SELECT uuid_send({id}) FROM {table} o WHERE {id} = ANY(%s) AND {pending} FOR UPDATE SKIP LOCKED"
        )
        layout = self._layout
        statement = query.format(id=layout.column("id"), table=layout.table, pending=layout.pending)
        rows = connection.execute(statement, (UuidArray.of(ids),), binary=True)
        return frozenset(bytes(row[0]) for row in rows)

    def _ends(self, failed: Failed) -> bool:
        """The row must say FAILED, or it would be read again."""
        return failed.state in _FINAL and self._layout.has("status")

    def _failure(self, failed: Failed) -> tuple[Any, ...]:
        event = failed.event
        return (
            self._layout.scope,
            event.id.hex(),
            event.aggregate_type,
            event.aggregate_id,
            failed.state.value,
            failed.attempts,
            failed.delay,
            storable(failed.error),
        )

    def _row_change(self, *, final: bool) -> sql.Composed | None:
        """What the services' row says of the failure, as far as the table has columns for it."""
        layout = self._layout
        values = {"retry_count": sql.SQL("%(retry_count)s"), "last_error": layout.as_error(sql.SQL("%(last_error)s"))}
        changes = [
            sql.SQL("{} = {}").format(layout.target(name), value) for name, value in values.items() if layout.has(name)
        ]
        if final and layout.has("status"):
            changes.append(sql.SQL("{} = 'FAILED'").format(layout.target("status")))
        if not changes:
            return None
        return sql.SQL("UPDATE {table} o SET {changes} WHERE {id} = %(id)s AND {pending}").format(
            table=layout.table,
            changes=sql.SQL(", ").join(changes),
            id=layout.column("id"),
            pending=layout.pending,
        )


def _bound_waits(connection: Connection[tuple[Any, ...]]) -> None:
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT))


def _postponed(failed: Failed) -> Failed:
    return replace(failed, state=FailureState.RETRYING, attempts=failed.attempts - 1, delay=_LOCKED_AGAIN)


def _row_values(failed: Failed, *, final: bool) -> dict[str, Any]:
    return {
        "id": failed.event.id.hex(),
        "retry_count": max(failed.attempts, PROCESSOR_ATTEMPTS) if final else failed.attempts,
        "last_error": storable(failed.error),
    }


def storable(error: str) -> str:
    """An error text that a text column takes, at most 2,000 characters."""
    return error.replace("\0", "␀").encode(errors="replace").decode()[:_ERROR_LENGTH]

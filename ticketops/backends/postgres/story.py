"""What `trace` reads of the booking service's database, and of the email workers', beside what others read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, LiteralString

from psycopg import sql

from ticketops.backends.postgres.reader import Reader
from ticketops.domain.drafts import storable
from ticketops.domain.trace.facts import CompensationRow, EmailRow
from ticketops.options import PostgresOptions, StateOptions

_COLUMN: Final[LiteralString] = """
SELECT 1 FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND a.attname = %s AND a.attnum > 0 AND NOT a.attisdropped"""
_BY: Final[LiteralString] = "SELECT {key}::text FROM {table} WHERE {column} = %(text)s {order} LIMIT %(limit)s"
_COMPENSATIONS: Final[LiteralString] = """
SELECT compensation_id::text, compensation_type, status, coalesce(error_message, ''), coalesce(retry_count, 0),
       coalesce(max_retries, 0), next_retry_at, created_at, updated_at
FROM {table} WHERE booking_id = %(number)s OR booking_reference = ANY(%(references)s)
ORDER BY created_at, id LIMIT %(limit)s"""
_EMAILS: Final[LiteralString] = """
SELECT public_id::text, template_name, status, coalesce(error_message, ''), coalesce(retry_count, 0),
       created_at, processed_at, sent_at, coalesce(cardinality(to_emails), 0)
FROM {table}
WHERE (variables ->> 'booking_id' = ANY(%(references)s) OR variables ->> 'booking_reference' = ANY(%(references)s))
  AND (created_at >= %(since)s::timestamptz OR %(since)s::timestamptz IS NULL)
ORDER BY created_at, id LIMIT %(limit)s"""
_FEW: Final = 10


class PostgresBookingStory:
    """Implements ports.trace.BookingStory."""

    def __init__(self, postgres: PostgresOptions, state: StateOptions, timeout: float) -> None:
        """`timeout` in seconds for connecting and for each answer."""
        self._reader = Reader(postgres, timeout)
        self._schema = postgres.schema
        self._state = state

    def by_idempotency_key(self, text: str) -> list[str]:
        """See ports.trace.BookingStory."""
        return self._by(self._state.idempotency_column, text, _FEW)

    def of_show(self, text: str, limit: int) -> list[str]:
        """See ports.trace.BookingStory."""
        return self._by(self._state.columns.event_id, text, limit)

    def compensations(self, number: int | None, references: Sequence[str], limit: int) -> list[CompensationRow]:
        """See ports.trace.BookingStory."""
        name = self._state.compensations_table
        if not name:
            return []
        statement = sql.SQL(_COMPENSATIONS).format(table=sql.Identifier(self._schema, name))
        values = {"number": number, "references": [one for one in references if one == storable(one)], "limit": limit}
        return [
            CompensationRow(
                id=row[0], type=row[1], status=row[2], error=row[3], retry_count=row[4], max_retries=row[5],
                next_retry_at=row[6], created_at=row[7], updated_at=row[8],
            )
            for row in self._reader.rows(statement, values)
        ]  # fmt: skip

    def close(self) -> None:
        """See ports.trace.BookingStory."""
        self._reader.close()

    def _by(self, column: str, text: str, limit: int) -> list[str]:
        if not column or text != storable(text):
            return []
        there = self._reader.rows(sql.SQL(_COLUMN), (self._schema, self._state.table, column))
        if not there:
            return []
        names = self._state.columns
        order = (
            sql.SQL("ORDER BY {} DESC").format(sql.Identifier(names.created_at)) if names.created_at else sql.SQL("")
        )
        statement = sql.SQL(_BY).format(
            key=sql.Identifier(names.key),
            table=sql.Identifier(self._schema, self._state.table),
            column=sql.Identifier(column),
            order=order,
        )
        return [row[0] for row in self._reader.rows(statement, {"text": text, "limit": limit})]


class PostgresEmailStory:
    """Implements ports.trace.EmailStory."""

    def __init__(self, postgres: PostgresOptions, table: str, timeout: float) -> None:
        """`postgres` is the email workers' database; `timeout` in seconds for connecting and for each answer."""
        self._reader = Reader(postgres, timeout)
        self._table = sql.Identifier(postgres.schema, table)

    def jobs(self, references: Sequence[str], since: datetime | None, limit: int) -> list[EmailRow]:
        """See ports.trace.EmailStory."""
        named = [one for one in references if one == storable(one)]
        values = {"references": named, "since": since, "limit": limit}
        return [
            EmailRow(
                id=row[0], template=row[1], status=row[2], error=row[3], retry_count=row[4], created_at=row[5],
                processed_at=row[6], sent_at=row[7], addresses=row[8],
            )
            for row in self._reader.rows(sql.SQL(_EMAILS).format(table=self._table), values)
        ]  # fmt: skip

    def close(self) -> None:
        """See ports.trace.EmailStory."""
        self._reader.close()

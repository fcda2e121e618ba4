"""Email jobs in the email workers' database, with the inbox of whoever makes them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, LiteralString
from uuid import UUID

import msgspec
from psycopg import Connection

from ticketops.backends.postgres.naming import quoted
from ticketops.backends.postgres.session import Session
from ticketops.domain.drafts import as_json
from ticketops.domain.emails import EmailJob, job_id
from ticketops.options import PostgresOptions
from ticketops.ports.emails import Page, Place

_Connection = Connection[tuple[Any, ...]]
_BEGINNING: Final[Place] = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
_variables = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class PostgresEmailJobs:
    """Implements ports.EmailJobs."""

    def __init__(self, postgres: PostgresOptions, table: str, *, application: str) -> None:
        self._session = Session(postgres, application)
        self._names = {"own": quoted(postgres.own_schema), "jobs": quoted(postgres.schema, table)}

    def check(self) -> None:
        """See ports.EmailJobs."""
        with self._session.use() as connection:
            self._run(connection, _CHECK, ())

    def add(self, consumer: str, jobs: Mapping[str, EmailJob | None]) -> dict[str, datetime]:
        """See ports.EmailJobs."""
        with self._session.transaction() as connection:
            noted = dict(self._run(connection, _NOTE, (consumer, sorted(jobs))))
            made = {event: job for event, job in jobs.items() if event in noted and job is not None}
            if made:
                rows = [_row(job, noted[event]) for event, job in made.items()]
                self._run(connection, _ADD, (as_json({"jobs": rows}).decode(),))
        return noted

    def undelivered(self, limit: int, age: float) -> list[tuple[UUID, bytes]]:
        """See ports.EmailJobs."""
        with self._session.use() as connection:
            rows = self._run(connection, _UNDELIVERED, (age, limit))
        return [(public_id, entry.encode()) for public_id, entry in rows]

    def waiting(self, consumer: str, ages: tuple[float, float], after: Place | None, limit: int) -> Page:
        """See ports.EmailJobs; a job is this consumer's where its id is the one that an event of the inbox makes."""
        least, most = ages
        moment, public_id = after or _BEGINNING
        with self._session.use() as connection:
            rows = self._run(connection, _WAITING, (consumer, least, most, moment, public_id, limit))
        jobs = [(_job(row), row[-1]) for row in rows if row[0] in {job_id(consumer, event) for event in row[-2]}]
        last = (rows[-1][-1], rows[-1][0]) if len(rows) == limit else None
        return Page(tuple((job.public_id, job.entry(at)) for job, at in jobs), last)

    def delivered(self, ids: Sequence[UUID]) -> None:
        """See ports.EmailJobs; forgotten by a crash of the server, it costs a push that adds nothing."""
        with self._session.transaction(durable=False) as connection:
            self._run(connection, _DELIVERED, (list(ids),))

    def count(self, template: str, reference: str) -> int:
        """See ports.EmailJobs."""
        with self._session.use() as connection:
            return int(self._run(connection, _COUNT, (template, reference))[0][0])

    def forget(self, days: float, limit: int) -> int:
        """See ports.EmailJobs."""
        with self._session.transaction(durable=False) as connection:
            return len(self._run(connection, _FORGET, (days, limit)))

    def close(self) -> None:
        """See ports.EmailJobs."""
        self._session.close()

    def _run(
        self, connection: _Connection, statement: LiteralString, values: Sequence[object]
    ) -> list[tuple[Any, ...]]:
        cursor = connection.execute(statement.format(**self._names).encode(), values)
        return cursor.fetchall() if cursor.description else []


def _row(job: EmailJob, at: datetime) -> dict[str, object]:
    return {
        "id": str(job.public_id),
        "to": list(job.to),
        "template": job.template,
        "variables": job.variables,
        "priority": job.priority,
        "retries": job.max_retries,
        "at": at.isoformat(),
        "entry": job.entry(at).decode(),
    }


def _job(row: tuple[Any, ...]) -> EmailJob:
    public_id, to, template, variables, priority, max_retries = row[:6]
    return EmailJob(
        public_id=public_id,
        to=tuple(to),
        template=template,
        variables=_variables.decode(variables),
        priority=priority,
        max_retries=max_retries,
    )


_CHECK: LiteralString = """
SELECT j.public_id, to_emails, template_name, variables, status, priority, retry_count, max_retries, error_message,
  created_at, updated_at, i.event_id, p.entry
FROM {jobs} AS j, {own}.inbox AS i, {own}.email_pushes AS p LIMIT 0"""
_NOTE: LiteralString = """
INSERT INTO {own}.inbox (consumer, event_id, at) SELECT %s, id, clock_timestamp() FROM unnest(%s::text[]) AS id
ON CONFLICT DO NOTHING RETURNING event_id, at"""
_ADD: LiteralString = """
WITH given AS (SELECT job FROM jsonb_array_elements(%s::jsonb -> 'jobs') AS job),
added AS (
  INSERT INTO {jobs} (public_id, to_emails, template_name, variables, status, priority, retry_count, max_retries,
    error_message, created_at, updated_at)
  SELECT (job ->> 'id')::uuid, ARRAY(SELECT jsonb_array_elements_text(job -> 'to')), job ->> 'template',
    job -> 'variables', 'pending', (job ->> 'priority')::int, 0, (job ->> 'retries')::int, '',
    (job ->> 'at')::timestamptz, (job ->> 'at')::timestamptz
  FROM given
  ON CONFLICT DO NOTHING RETURNING public_id
)
INSERT INTO {own}.email_pushes (public_id, entry, at)
SELECT public_id, job ->> 'entry', (job ->> 'at')::timestamptz
FROM given JOIN added ON public_id = (job ->> 'id')::uuid
ON CONFLICT DO NOTHING"""
_UNDELIVERED: LiteralString = """
SELECT public_id, entry FROM {own}.email_pushes WHERE at < now() - make_interval(secs => %s) ORDER BY at LIMIT %s"""
_WAITING: LiteralString = """
SELECT public_id, to_emails, template_name, variables::text, priority, max_retries,
  ARRAY(SELECT event_id FROM {own}.inbox AS i WHERE i.consumer = %s AND i.at = j.created_at), created_at
FROM {jobs} AS j
WHERE status = 'pending' AND retry_count = 0 AND created_at < now() - make_interval(secs => %s)
  AND created_at > now() - make_interval(secs => %s) AND (created_at, public_id) > (%s, %s)
ORDER BY created_at, public_id LIMIT %s"""
_DELIVERED: LiteralString = "DELETE FROM {own}.email_pushes WHERE public_id = ANY (%s)"
_COUNT: LiteralString = """
SELECT count(*) FROM {jobs}
WHERE template_name = %s AND variables ->> 'booking_reference' = %s AND created_at > now() - interval '1 day'"""
_FORGET: LiteralString = """
DELETE FROM {own}.inbox WHERE (consumer, event_id) IN (
  SELECT consumer, event_id FROM {own}.inbox WHERE at < now() - make_interval(secs => 86400 * %s) LIMIT %s
) RETURNING 1"""

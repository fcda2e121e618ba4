"""Email jobs as entries of the list: what a row says, in the email worker's own format."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, LiteralString
from uuid import UUID

import msgspec
from psycopg import sql

from ticketops.backends.postgres.session import Session
from ticketops.domain.bookings import moment
from ticketops.domain.drafts import as_json
from ticketops.options import PostgresOptions

_WAITING: Final[LiteralString] = """
SELECT public_id, to_emails, cc_emails, bcc_emails, template_name, variables::text, status, priority,
       coalesce(retry_count, 0), coalesce(max_retries, 0), coalesce(error_message, ''), created_at, updated_at
FROM {table}
WHERE status = 'pending' AND created_at < now() - make_interval(secs => %(age)s)
ORDER BY created_at LIMIT %(limit)s"""
_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class PostgresLostEmails:
    """Implements ports.doctor.LostEmails."""

    def __init__(self, postgres: PostgresOptions, table: str, timeout: float) -> None:
        """`postgres` is the email workers' database; `timeout` in seconds for connecting and for each answer."""
        bounded = replace(postgres, connect_timeout=timeout, answer_timeout=timeout)
        self._session = Session(bounded, "ticketops doctor")
        self._statement = sql.SQL(_WAITING).format(table=sql.Identifier(postgres.schema, table))

    def waiting(self, age: float, limit: int) -> Sequence[tuple[UUID, bytes]]:
        """See ports.doctor.LostEmails."""
        with self._session.use() as connection:
            rows = connection.execute(self._statement, {"age": age, "limit": limit}).fetchall()
        return [(row[0], _entry(row)) for row in rows]

    def close(self) -> None:
        """See ports.doctor.LostEmails."""
        self._session.close()


def _entry(row: tuple[Any, ...]) -> bytes:
    """The fields in the email worker's order; see the wire contract, email_jobs."""
    public_id, to, cc, bcc, template, variables, status, priority, retries, most, error, created, updated = row
    return as_json(
        {
            "id": str(public_id),
            "to": to,
            "cc": cc,
            "bcc": bcc,
            "template_name": template,
            "variables": _decoder.decode(variables),
            "status": status,
            "priority": priority,
            "retry_count": retries,
            "max_retries": most,
            "error_message": error,
            "processed_at": None,
            "sent_at": None,
            "created_at": moment(created),
            "updated_at": moment(updated),
            "is_tracked": True,
            "queue_id": "",
            "processing_at": None,
            "completed_at": None,
        }
    )

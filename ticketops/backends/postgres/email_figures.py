"""Email jobs in a snapshot: the rows' side."""

from dataclasses import replace
from typing import Final, LiteralString

from psycopg import sql

from ticketops.backends.postgres.session import Session
from ticketops.domain.overview.emails import EmailRows
from ticketops.options import EmailsOptions, PostgresOptions

_COUNTS: Final[LiteralString] = """
SELECT count(*) FILTER (WHERE status = 'pending'),
       date_part('epoch', now() - min(created_at) FILTER (WHERE status = 'pending')),
       count(*) FILTER (WHERE status = 'failed' AND updated_at > now() - interval '24 hours')
FROM {table} WHERE status IN ('pending', 'failed')
"""
_OLD: Final[LiteralString] = """
SELECT public_id FROM {table}
WHERE status = 'pending' AND created_at < now() - make_interval(secs => %(grace)s)
ORDER BY created_at LIMIT %(limit)s
"""


class PostgresEmailFigures:
    """Answers about one table of email jobs. One instance serves one thread."""

    def __init__(self, postgres: PostgresOptions, emails: EmailsOptions, timeout: float) -> None:
        """`timeout` in seconds for connecting and for each answer."""
        url = emails.url or postgres.url
        bounded = replace(postgres, url=url, connect_timeout=timeout, answer_timeout=timeout)
        self._session = Session(bounded, "ticketops status")
        self._table = sql.Identifier(emails.schema or postgres.schema, emails.table)

    def rows(self, grace: float, limit: int) -> EmailRows:
        """Counts, and the ids of at most `limit` pending rows older than `grace` seconds, oldest first."""
        with self._session.use() as connection:
            row = connection.execute(sql.SQL(_COUNTS).format(table=self._table)).fetchone() or (0, None, 0)
            values = {"grace": grace, "limit": limit}
            old = connection.execute(sql.SQL(_OLD).format(table=self._table), values).fetchall()
        oldest = None if row[1] is None else max(float(row[1]), 0.0)
        return EmailRows(pending=row[0], oldest_seconds=oldest, failed=row[2], old=tuple(str(one[0]) for one in old))

    def close(self) -> None:
        """Give up the connection; idempotent."""
        self._session.close()

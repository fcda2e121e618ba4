"""Addresses that a query of the configuration answers."""

from collections.abc import Mapping

from psycopg import errors

from ticketops.backends.postgres.session import Session
from ticketops.errors import ConfigError, DataError
from ticketops.options import PostgresOptions

_MOST = 50
"""Addresses of one booking."""


class SqlRecipients:
    """Implements ports.Recipients; the query runs in a transaction that can change nothing."""

    calls_out = False

    def __init__(self, postgres: PostgresOptions, query: str, *, application: str) -> None:
        self._session = Session(postgres, application)
        self._query = query.encode()

    def check(self) -> None:
        """See ports.Recipients."""
        try:
            self.find({"user_id": "", "booking_id": "", "reference": "", "event_id": ""})
        except DataError:  # an empty id need not have the type of a real one
            return

    def find(self, booking: Mapping[str, str]) -> list[str]:
        """See ports.Recipients."""
        with self._session.transaction(durable=False) as connection:
            connection.execute("SET TRANSACTION READ ONLY")
            try:
                cursor = connection.execute(self._query, dict(booking))
            except errors.ReadOnlySqlTransaction as error:
                raise ConfigError("worker.emails.recipients_query changes something", why="it may only read") from error
            except (KeyError, TypeError, IndexError, errors.SyntaxError) as error:
                raise ConfigError("worker.emails.recipients_query cannot be used", why=str(error)) from error
            rows = cursor.fetchmany(_MOST) if cursor.description else []
        return [str(row[0]) for row in rows if row[0] is not None]

    def close(self) -> None:
        """See ports.Recipients."""
        self._session.close()

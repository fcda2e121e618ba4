"""Waking by LISTEN, where the trigger is installed and no transaction pooler stands between."""

import time
from dataclasses import dataclass

from psycopg import sql

from ticketops.backends.postgres import layout as layouts
from ticketops.backends.postgres.session import connect, deadline, scope, translated
from ticketops.options import OutboxOptions, PostgresOptions


@dataclass(frozen=True, slots=True)
class WakeCheck:
    """Whether LISTEN can be relied on here."""

    possible: bool
    reason: str
    """In words, for the log."""


class PostgresWaker:
    """Implements ports.Waker; one instance for one thread."""

    def __init__(self, postgres: PostgresOptions, outbox: OutboxOptions, *, shards: int, application: str) -> None:
        self._options = (postgres, outbox, shards)
        self._timeout = postgres.answer_timeout
        self._connection = connect(postgres, application=application)
        self._scope = scope(postgres, outbox)

    def check(self) -> WakeCheck:
        """Look for the trigger, and for a pooler: it gives its clients a process id that is not the server's.

        BackendUnavailable after postgres.answer_timeout, as in `listen`.
        """
        connection = self._connection
        with translated(), deadline(connection, self._timeout):
            layout = layouts.inspect(connection, *self._options)
            row = connection.execute("SELECT pg_backend_pid()").fetchone()
        if not layout.has_trigger:
            return WakeCheck(possible=False, reason="the wake trigger is not installed")
        if row is None or row[0] != connection.info.backend_pid:
            return WakeCheck(possible=False, reason="a connection pooler stands between, behind which LISTEN fails")
        return WakeCheck(possible=True, reason="the wake trigger is installed")

    def listen(self) -> None:
        """Begin to listen; wakes that come before the first `wait` are kept."""
        with translated(), deadline(self._connection, self._timeout):
            self._connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(layouts.WAKE_CHANNEL)))

    def wait(self, timeout: float) -> bool:
        """See ports.Waker."""
        until = time.monotonic() + timeout
        with translated():
            while (left := until - time.monotonic()) > 0:
                for notify in self._connection.notifies(timeout=left, stop_after=1):
                    if notify.payload in {"", self._scope}:
                        return True
        return False

    def close(self) -> None:
        """See ports.Waker."""
        self._connection.close()

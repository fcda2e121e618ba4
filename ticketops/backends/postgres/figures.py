"""The database's part of a snapshot: a few small questions."""

from typing import Final, LiteralString

from psycopg import sql

from ticketops.backends.postgres import layout as layouts
from ticketops.backends.postgres.backlog import BacklogQueries
from ticketops.backends.postgres.layout import Layout
from ticketops.backends.postgres.session import Session
from ticketops.domain.overview.snapshot import BackendFigures, CompensationFigures, OutboxFigures
from ticketops.options import OutboxOptions, PostgresOptions

_WINDOW: Final = 60.0
"""Seconds that rates are of."""
_VERSION: Final = (
    "SELECT current_setting('server_version'), pg_is_in_recovery(), current_setting('transaction_read_only')"
)
_COMPENSATIONS: Final[LiteralString] = """
SELECT count(*) FILTER (WHERE status = 'PENDING' AND next_retry_at < now()),
       count(*) FILTER (WHERE status = 'PENDING' AND next_retry_at IS NULL),
       count(*) FILTER (WHERE status IN ('FAILED', 'MANUAL')),
       date_part('epoch', now() - min(next_retry_at) FILTER (WHERE status = 'PENDING' AND next_retry_at < now()))
FROM {table} WHERE status IN ('PENDING', 'FAILED', 'MANUAL')
"""


class PostgresFigures:
    """Answers about one database. One instance serves one thread."""

    def __init__(
        self,
        session: Session,
        postgres: PostgresOptions,
        outbox: OutboxOptions,
        *,
        shards: int,
        compensations_table: str,
    ) -> None:
        """`session`: whose time-outs count; it may be shared."""
        self._session = session
        self._postgres = postgres
        self._outbox = outbox
        self._shards = shards
        self._compensations = sql.Identifier(postgres.schema, compensations_table)
        self._layout: Layout | None = None

    def backend(self) -> BackendFigures:
        """Version, and whether the server takes writes; the collector measures how long this took."""
        with self._session.use() as connection:
            row = connection.execute(_VERSION).fetchone() or ("", False, "off")
        kind = "standby" if row[1] else "read-only" if row[2] == "on" else "primary"
        return BackendFigures(latency=0.0, version=str(row[0]).split()[0], detail=kind)

    def outbox(self) -> OutboxFigures:
        """The backlog and its flow over the last minute."""
        with self._session.use() as connection:
            self._layout = self._layout or layouts.inspect(connection, self._postgres, self._outbox, self._shards)
            queries = BacklogQueries(self._layout)
            pending, oldest, held_back = queries.waiting(connection)
            rate_in, rate_out = queries.flow(connection, _WINDOW)
            dead = queries.dead(connection)
        return OutboxFigures(
            pending=pending, oldest_seconds=oldest, held_back=held_back, dead=dead, rate_in=rate_in, rate_out=rate_out
        )

    def compensations(self) -> CompensationFigures:
        """What the saga still has to undo."""
        with self._session.use() as connection:
            row = connection.execute(sql.SQL(_COMPENSATIONS).format(table=self._compensations)).fetchone()
        due, never, failed, oldest = row or (0, 0, 0, None)
        seconds = None if oldest is None else max(float(oldest), 0.0)
        return CompensationFigures(due=due, never=never, failed=failed, oldest_due_seconds=seconds)

    def close(self) -> None:
        """Give up the connection; idempotent."""
        self._session.close()

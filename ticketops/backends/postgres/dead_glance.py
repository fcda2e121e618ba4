"""Which rows of a table are dead letters, and whether there are any: all that a look at an empty queue needs."""

from collections.abc import Callable
from typing import Any, Final, LiteralString

from psycopg import Connection, sql

from ticketops.backends.postgres.layout import Layout, inspect
from ticketops.backends.postgres.session import Session
from ticketops.options import OutboxOptions, PostgresOptions, RelayOptions

COMPENSATION_DEAD: Final[LiteralString] = "(o.status IN ('FAILED', 'MANUAL'))"
"""The saga gave it up; `o` is its table."""
_FINAL: Final[LiteralString] = "(f.state IN ('dead', 'parked'))"
_FAILED: Final[LiteralString] = "({status} = 'FAILED' AND ({retry_count} >= {most} OR {final}))"
_ANY_COMPENSATION: Final[LiteralString] = "SELECT EXISTS (SELECT 1 FROM {table} o WHERE " + COMPENSATION_DEAD + ")"
_ANY_EVENT: Final[LiteralString] = """
SELECT EXISTS (SELECT 1 FROM {table} o LEFT JOIN {failures} f ON f.scope = {scope} AND f.event_id = {id} WHERE {dead})
"""
Query = Callable[[Connection[tuple[Any, ...]]], sql.Composed]


def outbox_dead(layout: Layout, max_attempts: int) -> sql.Composable:
    """An event past its attempts, or parked behind one that is; `o` is the outbox, `f` what is known of failures."""
    if not layout.has("status"):
        return sql.SQL(_FINAL)
    counted = layout.column("retry_count") if layout.has("retry_count") else sql.SQL("coalesce(f.attempts, 0)")
    return sql.SQL(_FAILED).format(
        status=layout.column("status"), retry_count=counted, most=sql.Literal(max_attempts), final=sql.SQL(_FINAL)
    )


class TableGlance:
    """Implements ports.QueueGlance for a table; one instance serves one thread."""

    def __init__(self, postgres: PostgresOptions, query: Query) -> None:
        self._session = Session(postgres, "ticketops dlq")
        self._make = query
        self._query: sql.Composed | None = None

    def empty(self) -> bool:
        """See ports.QueueGlance."""
        with self._session.use() as connection:
            self._query = self._query or self._make(connection)
            row = connection.execute(self._query).fetchone()
        return row is not None and not row[0]

    def close(self) -> None:
        """See ports.QueueGlance."""
        self._session.close()


def outbox_glance(postgres: PostgresOptions, outbox: OutboxOptions, relay: RelayOptions) -> TableGlance:
    """The events that the relay gave up."""

    def query(connection: Connection[tuple[Any, ...]]) -> sql.Composed:
        layout = inspect(connection, postgres, outbox, relay.shards)
        return sql.SQL(_ANY_EVENT).format(
            table=layout.table,
            failures=layout.own("outbox_failures"),
            scope=sql.Literal(layout.scope),
            id=layout.column("id"),
            dead=outbox_dead(layout, relay.max_attempts),
        )

    return TableGlance(postgres, query)


def compensation_glance(postgres: PostgresOptions, table: str) -> TableGlance:
    """The compensations that the saga gave up."""
    query = sql.SQL(_ANY_COMPENSATION).format(table=sql.Identifier(postgres.schema, table))
    return TableGlance(postgres, lambda _: query)

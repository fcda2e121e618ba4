"""Which rows of a table are dead letters, and what there are of them: all that a look at a queue needs."""

from collections.abc import Callable
from typing import Any, Final, LiteralString

from psycopg import Connection, sql

from ticketops.backends.postgres.layout import Layout, inspect
from ticketops.backends.postgres.session import Session
from ticketops.domain.holdings import WINDOWS, Cause, Holding
from ticketops.options import OutboxOptions, PostgresOptions, RelayOptions

COMPENSATION_DEAD: Final[LiteralString] = "(o.status IN ('FAILED', 'MANUAL'))"
"""The saga gave it up; `o` is its table."""
_FINAL: Final[LiteralString] = "(f.state IN ('dead', 'parked'))"
_FAILED: Final[LiteralString] = "({status} = 'FAILED' AND ({retry_count} >= {most} OR {final}))"
_COMPENSATIONS: Final[LiteralString] = (
    """
SELECT coalesce(o.last_retry_at, o.updated_at, o.created_at) AS failed_at, o.error_message AS error,
       CASE WHEN o.status = 'MANUAL' THEN 'manual' ELSE 'max_retries_exceeded' END AS reason
FROM {table} o WHERE """
    + COMPENSATION_DEAD
)
_EVENTS: Final[LiteralString] = """
SELECT {failed_at} AS failed_at, {error} AS error,
       CASE WHEN f.state = 'parked' THEN 'parked' WHEN f.error LIKE {skipped} THEN 'skipped'
            ELSE 'max_retries_exceeded' END AS reason
FROM {table} o LEFT JOIN {failures} f ON f.scope = {scope} AND f.event_id = {id} WHERE {dead}
"""
SKIPPED: Final = "skipped by %"
"""How `outbox skip` begins the error that it writes."""
_CAUSES: Final[LiteralString] = """
SELECT date_part('epoch', clock_timestamp() - failed_at), reason, '', coalesce(left(error, 2000), ''), ''
FROM ({letters}) letters LIMIT {most}
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

    def __init__(self, session: Session, letters: Query) -> None:
        """`letters`: the table's dead letters, as failed_at, error and reason."""
        self._session = session
        self._make = letters
        self._letters: sql.Composed | None = None

    def holding(self, most: int) -> Holding | None:
        """See ports.QueueGlance."""
        with self._session.use() as connection:
            letters = self._letters = self._letters or self._make(connection)
            return holding_of(connection, letters, sql.SQL(_CAUSES), most)

    def close(self) -> None:
        """See ports.QueueGlance."""
        self._session.close()


def holding_of(connection: Connection[tuple[Any, ...]], letters: sql.Composable, causes: sql.SQL, most: int) -> Holding:
    """What a query of letters, with their failed_at, comes to; `causes` tells those of at most {most} {letters}."""
    counted = connection.execute(counts_of(letters)).fetchone() or (0, None)
    count, oldest, *arrivals = counted
    if not count:
        return Holding()
    asked = causes.format(letters=letters, most=sql.Literal(most))
    found = None if count > most else [Cause(*row) for row in connection.execute(asked)]
    seconds = None if oldest is None else max(float(oldest), 0.0)
    return Holding(count, seconds, dict(zip(WINDOWS, arrivals, strict=True)), found)


def counts_of(letters: sql.Composable) -> sql.Composed:
    """Count, age of the oldest, and arrivals by window."""
    arrivals = sql.SQL(", ").join(
        sql.SQL("count(*) FILTER (WHERE failed_at > clock_timestamp() - make_interval(secs => {}))").format(seconds)
        for seconds in WINDOWS.values()
    )
    return sql.SQL(
        "SELECT count(*), date_part('epoch', clock_timestamp() - min(failed_at)), {arrivals} FROM ({letters}) letters"
    ).format(arrivals=arrivals, letters=letters)


def outbox_glance(
    session: Session, postgres: PostgresOptions, outbox: OutboxOptions, relay: RelayOptions
) -> TableGlance:
    """The events that the relay gave up."""

    def letters(connection: Connection[tuple[Any, ...]]) -> sql.Composed:
        layout = inspect(connection, postgres, outbox, relay.shards)
        since: sql.Composable = sql.SQL("f.last_failed_at")
        said: sql.Composable = sql.SQL("f.error")
        if layout.has("created_at"):
            since = sql.SQL("coalesce(f.last_failed_at, {})").format(layout.column("created_at"))
        if layout.has("last_error"):
            said = sql.SQL("coalesce({}, f.error)").format(layout.column("last_error"))
        return sql.SQL(_EVENTS).format(
            failed_at=since,
            error=said,
            skipped=sql.Literal(SKIPPED),
            table=layout.table,
            failures=layout.own("outbox_failures"),
            scope=sql.Literal(layout.scope),
            id=layout.column("id"),
            dead=outbox_dead(layout, relay.max_attempts),
        )

    return TableGlance(session, letters)


def compensation_glance(session: Session, postgres: PostgresOptions, table: str) -> TableGlance:
    """The compensations that the saga gave up."""
    letters = sql.SQL(_COMPENSATIONS).format(table=sql.Identifier(postgres.schema, table))
    return TableGlance(session, lambda _: letters)
